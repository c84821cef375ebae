//! The pair engine: which node serves a service domain, and what is to be done when that changes.
//!
//! One [`Pair`] for each node and domain. Events come in, [`Action`]s go out, and nothing else happens: no clock, no
//! database, no stream. Whoever runs it does every action and reports back, so that any failure can be replayed. The
//! promise it keeps: it asks for words only between a lease that was had and one that was lost, and every state it is
//! in has a reason and a way out. A duty has a file of its own; [`standing`] says what an operator reads.

mod action;
mod event;
mod handing;
mod lease;
mod order;
mod serving;
mod standing;
mod taking;
#[cfg(test)]
mod tests;
mod waiting;

use std::collections::VecDeque;

use crate::time::Moment;

pub use action::{Action, Change, Cost};
pub use event::{Event, Level, Opening, Sighting, TwinView};
pub use lease::{LeaseView, Right};
pub use order::{Order, OrderKind, Verdict};
pub use standing::{Reason, Standing, State, seen_from_afar};

/// A stream that was lost so often within [`RESTLESS_MS`] is in trouble even while it is open.
const RESTLESS: usize = 4;
const RESTLESS_MS: u64 = 30_000;

/// Who this node is to the domain, and its patience. Times in milliseconds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Terms {
    /// This node.
    pub node: String,
    /// The other one; none in single-node operation.
    pub twin: Option<String>,
    /// The node the domain belongs to.
    pub home: String,
    /// How long a lease holds without renewal.
    pub lease_ms: u64,
    /// How long a twin may be silent, or a trouble of one's own may last, before it counts.
    pub patience_ms: u64,
    /// How long a planned move may wait for the last words to be handed on before it is called off.
    pub move_ms: u64,
    /// How long the home node must have been fit before the domain returns by itself; never if none.
    pub fallback_after_ms: Option<u64>,
    /// So many automatic moves lately are enough: then an operator decides.
    pub moves_max: u32,
}

/// What the node does for the domain.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Duty {
    /// Nothing was seen yet.
    Starting,
    /// Stands by.
    Waiting,
    /// Asked for the lease.
    Taking(Unopened),
    /// Has the lease; does not speak yet.
    Opening { epoch: i64, unopened: Unopened },
    /// Speaks.
    Serving { epoch: i64 },
    /// Ends its reign for the other's sake; a reign that was not open yet remembers what its opening is of.
    Handing { epoch: i64, is_frozen: bool, until: Moment, unopened: Option<Unopened> },
    /// The other has the lease; what was read is passed on.
    Passing { until: Moment },
    /// Ends in good order.
    Ending { until: Moment },
    /// Over.
    Ended,
}

/// A reign that does not speak yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Unopened {
    /// The epoch the domain was handed over in, if it was, or that of our own former life.
    handed_in: Option<i64>,
    /// Whether the twin handed it over: then nobody was lost on the way.
    is_move: bool,
    /// Since when it was asked for.
    since: Moment,
    /// How long the lease had stood still by then.
    detect_ms: u64,
    /// What it found to do, where it began to speak while it was being handed over.
    opened: Option<Opening>,
}

/// The engine of one node for one domain.
#[derive(Clone, Debug)]
pub struct Pair {
    terms: Terms,
    duty: Duty,
    seen: Sighting,
    /// Since when the lease's row has not changed, by our own clock.
    lease_still_since: Option<Moment>,
    /// When its row was last looked at.
    lease_seen_at: Option<Moment>,
    /// Whether it became ours without our asking: the twin handed it over.
    was_handed: bool,
    /// Since when, if we asked for it and never heard what came of that.
    unanswered: Option<Moment>,
    /// The highest epoch ever seen.
    epoch_max: i64,
    started: Moment,
    /// Since when the database is seen without a break.
    sees_since: Option<Moment>,
    /// Why the last look failed.
    blind: Option<String>,
    has_lock: bool,
    is_seeking: bool,
    /// The epoch this node gave the lease away in, until the other has taken it up.
    handed: Option<i64>,
    /// When it was sought last; and since when and until when a lock that was free at once proves nothing.
    sought_at: Moment,
    doubt: Option<(Moment, Moment)>,
    /// Not before.
    seek_from: Moment,
    /// The epoch this node gave up or lost: once the twin has had the next, the lock is sought again.
    given_up: Option<i64>,
    ask_from: Moment,
    level: Option<Level>,
    /// Since when the stream is not open, and why.
    detached: Option<(Moment, String)>,
    /// When it was lost lately, and why the last time.
    losses: VecDeque<Moment>,
    last_loss: String,
    /// Since when commits are in trouble, and why.
    commits: Option<(Moment, String)>,
    overdue: Option<String>,
    /// Since when the home node has been fit while the domain is away from it.
    home_fit_since: Option<Moment>,
    /// When the reign began.
    reign_since: Moment,
    /// No move by itself before.
    move_from: Moment,
    /// The order under way.
    order: Option<Order>,
    /// The orders last heeded, for the database may show them once more.
    heeded: VecDeque<String>,
    /// Why the last change of holder came about.
    cause: Option<(Reason, String)>,
    is_stopping: bool,
    told: Standing,
}

impl Pair {
    /// An engine that has seen nothing yet.
    pub fn new(terms: Terms, now: Moment) -> Pair {
        Pair {
            terms,
            duty: Duty::Starting,
            seen: Sighting::default(),
            lease_still_since: None,
            lease_seen_at: None,
            was_handed: false,
            unanswered: None,
            epoch_max: 0,
            started: now,
            sees_since: None,
            blind: None,
            has_lock: false,
            is_seeking: false,
            handed: None,
            sought_at: Moment(0),
            doubt: None,
            seek_from: Moment(0),
            given_up: None,
            ask_from: Moment(0),
            level: None,
            detached: None,
            losses: VecDeque::new(),
            last_loss: String::new(),
            commits: None,
            overdue: None,
            home_fit_since: None,
            reign_since: now,
            move_from: Moment(0),
            order: None,
            heeded: VecDeque::new(),
            cause: None,
            is_stopping: false,
            told: Standing::initial(),
        }
    }

    /// Takes `event` in and says what is to be done, in this order.
    pub fn handle(&mut self, now: Moment, event: &Event, out: &mut Vec<Action>) {
        self.note(now, event);
        match self.duty.clone() {
            Duty::Starting => self.starting(now, event, out),
            Duty::Waiting => self.waiting(now, event, out),
            Duty::Taking(unopened) => self.taking(now, event, unopened, out),
            Duty::Opening { epoch, unopened } => self.opening(now, event, epoch, unopened, out),
            Duty::Serving { epoch } => self.serving(now, event, epoch, out),
            Duty::Handing { epoch, is_frozen: false, until, unopened } => {
                self.freezing(now, event, (epoch, until, unopened), out);
            }
            Duty::Handing { epoch, is_frozen: true, until, unopened } => {
                self.handing(now, event, (epoch, until, unopened), out);
            }
            Duty::Passing { until } => self.passing(now, event, until, out),
            Duty::Ending { until } => self.ending(now, event, until, out),
            Duty::Ended => {}
        }
        self.tell(now, out);
    }

    /// The epoch this node may speak in, if it may.
    pub fn reigns(&self) -> Option<i64> {
        match self.duty {
            Duty::Opening { epoch, .. } | Duty::Serving { epoch } | Duty::Handing { epoch, .. } => Some(epoch),
            Duty::Starting
            | Duty::Waiting
            | Duty::Taking(_)
            | Duty::Passing { .. }
            | Duty::Ending { .. }
            | Duty::Ended => None,
        }
    }

    /// What an operator reads of this node and domain now.
    pub fn standing(&self) -> &Standing {
        &self.told
    }

    /// Whether nothing is left to do.
    pub fn is_over(&self) -> bool {
        self.duty == Duty::Ended
    }

    /// The highest epoch seen: what comes must exceed it, also after the database forgot.
    pub fn epoch_max(&self) -> i64 {
        self.epoch_max
    }

    /// What every duty wants remembered.
    fn note(&mut self, now: Moment, event: &Event) {
        match event {
            Event::Saw(sighting) => self.see(now, sighting),
            Event::Blind(why) => {
                (self.blind, self.sees_since) = (Some(why.clone()), None);
                self.home_fit_since = None;
            }
            Event::LockHad(lease) => {
                (self.has_lock, self.is_seeking) = (true, false);
                // The look that was to come along may have failed: that tells nothing of the lease.
                if self.blind.is_none() {
                    self.see_lease(now, lease.as_ref());
                }
            }
            Event::LockGone => {
                self.seek_from = self.seek_after_loss(now);
                (self.has_lock, self.is_seeking) = (false, false);
            }
            Event::LeaseUnanswered(_) => self.unanswered = Some(now),
            Event::LeaseHad(epoch) | Event::HandedOver(epoch) | Event::Fenced(epoch) | Event::Outdated(epoch) => {
                self.epoch_max = self.epoch_max.max(*epoch);
            }
            Event::Renewed => self.overdue = None,
            Event::LeaseOverdue(why) => self.overdue = Some(why.clone()),
            Event::Attached(level) => (self.level, self.detached) = (Some(*level), None),
            Event::Detached(why) => self.note_loss(now, why),
            Event::Commits(trouble) => {
                let since = self.commits.take().map_or(now, |(since, _)| since);
                self.commits = trouble.clone().map(|why| (since, why));
            }
            Event::Stop => self.is_stopping = true,
            Event::Tick
            | Event::LeaseHeld
            | Event::LeaseLost
            | Event::Opened(_)
            | Event::Frozen
            | Event::NotFrozen(_)
            | Event::NotHandedOver(_)
            | Event::PassedOn
            | Event::Ended => {}
        }
    }

    fn note_loss(&mut self, now: Moment, why: &str) {
        if self.detached.is_none() {
            why.clone_into(&mut self.last_loss);
            self.losses.push_back(now);
            if self.losses.len() > RESTLESS {
                self.losses.pop_front();
            }
        }
        let since = self.detached.take().map_or(now, |(since, _)| since);
        self.detached = Some((since, why.to_owned()));
    }

    fn see(&mut self, now: Moment, sighting: &Sighting) {
        self.blind = None;
        self.sees_since.get_or_insert(now);
        let before = self.seen.lease.take();
        self.seen = sighting.clone();
        self.seen.lease = before;
        self.see_lease(now, sighting.lease.as_ref());
        let has_twin_begun =
            self.is_held_by_twin() && self.seen.lease.as_ref().map(|lease| lease.epoch) > self.given_up;
        if has_twin_begun && self.given_up.take().is_some() {
            self.seek_from = self.seek_from.min(now);
        }
        let is_away = self.terms.twin.as_ref().is_some_and(|twin| *twin == self.terms.home);
        if is_away && self.twin_obstacle().is_none() {
            self.home_fit_since.get_or_insert(now);
        } else {
            self.home_fit_since = None;
        }
    }

    fn is_home(&self) -> bool {
        self.terms.home == self.terms.node
    }

    /// Why the twin could not be given the domain; nothing if it could.
    fn twin_obstacle(&self) -> Option<String> {
        let Some(name) = &self.terms.twin else { return Some("there is no twin: no [pair] is configured".into()) };
        match &self.seen.twin {
            None => Some(format!("node {name} was never seen in this database")),
            Some(twin) if twin.silent_ms > self.terms.patience_ms => {
                Some(format!("node {name} has been silent for {} ms", twin.silent_ms))
            }
            Some(TwinView { unfit: Some(why), .. }) => Some(format!("node {name} could not serve: {why}")),
            Some(_) => None,
        }
    }

    /// Whether one more automatic move is allowed.
    fn may_move(&self) -> bool {
        !self.seen.is_paused && self.seen.moves_lately < self.terms.moves_max
    }

    /// When the session lock is sought again after it, or the wait for it, ended with its connection. The database was
    /// away, or one connection was: who holds the lease is let go first.
    fn seek_after_loss(&self, now: Moment) -> Moment {
        match (self.reigns().is_some(), self.has_lock) {
            (true, true) => now,
            (true, false) => Moment(now.0 + taking::AGAIN_MS),
            (false, _) => Moment(now.0 + self.terms.lease_ms),
        }
    }

    fn finish(&mut self, out: &mut Vec<Action>) {
        self.duty = Duty::Ended;
        out.push(Action::DropLock);
        out.push(Action::Finish);
    }
}
