//! The pair engine: which node serves a service domain, and what is to be done when that changes.
//!
//! One [`Pair`] for each node and domain. Events come in, [`Action`]s go out, and nothing else happens: no clock, no
//! database, no stream. Whoever runs it does every action and reports back, so that any failure can be replayed. The
//! promise it keeps: it asks for words only between a lease that was had and one that was lost, and every state it is
//! in has a reason and a way out. A duty has a file of its own; [`standing`] says what an operator reads.

mod handing;
mod lease;
mod order;
mod serving;
mod standing;
mod taking;
#[cfg(test)]
mod tests;
mod waiting;

use crate::time::Moment;

pub use lease::{LeaseView, Right};
pub use order::{Order, OrderKind, Verdict};
pub use standing::{Reason, Standing, State, seen_from_afar};

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

/// What the twin says of itself, as the database has it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TwinView {
    /// How long ago it last wrote, by the database's clock.
    pub silent_ms: u64,
    /// Why it could not serve the domain; nothing if it could.
    pub unfit: Option<String>,
    /// How it stands, in its own words.
    pub standing: Option<Standing>,
}

/// One look at the database and around.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Sighting {
    /// The lease; none if nobody ever had it.
    pub lease: Option<LeaseView>,
    /// The twin; none if it was never there.
    pub twin: Option<TwinView>,
    /// Why this node could not serve; nothing if it could.
    pub unfit: Option<String>,
    /// Whether an operator forbade automatic moves.
    pub is_paused: bool,
    /// Whether an operator sent this node into idleness.
    pub is_idle: bool,
    /// Automatic moves lately, of both nodes, since an operator last said recover.
    pub moves_lately: u32,
    /// Orders nobody has taken, oldest first.
    pub orders: Vec<Order>,
}

/// How the stream is attached.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Level {
    /// L0: a bare server that takes any number of components.
    Bare,
    /// L1: a bare server that lets the newcomer replace.
    Replacing,
    /// L2: the relay.
    Relay,
}

/// What a reign found to do at its beginning.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Opening {
    /// Messages said again.
    pub repeated: u64,
    /// Stanzas that had waited and were handled.
    pub replayed: u64,
    /// Stanzas that had waited too long and were answered with an error.
    pub bounced: u64,
}

/// What happens.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// Time passes.
    Tick,
    /// A look at the database.
    Saw(Sighting),
    /// The look failed.
    Blind(String),
    /// The session lock is ours: the session that had it is gone. The lease as it is now comes along.
    LockHad(Option<LeaseView>),
    /// The session lock, or the wait for it, ended with its connection.
    LockGone,
    /// The lease is ours in this epoch.
    LeaseHad(i64),
    /// The lease is another's.
    LeaseHeld,
    /// The database did not say; nothing is known.
    LeaseUnanswered(String),
    /// The lease was prolonged.
    Renewed,
    /// It was not: it is another's now.
    LeaseLost,
    /// Nothing was heard of the renewal in time: words have stopped by this node's own clock.
    LeaseOverdue(String),
    /// The fence belongs to that epoch.
    Fenced(i64),
    /// The stream is open.
    Attached(Level),
    /// It is not.
    Detached(String),
    /// The relay, or the server, knows a higher epoch than ours.
    Outdated(i64),
    /// The reign speaks: what was unheard is said, what waited is handled.
    Opened(Opening),
    /// Trouble with commits, or the end of it.
    Commits(Option<String>),
    /// A frozen reign has said everything, and all of it was handed on.
    Frozen,
    /// That did not come about.
    NotFrozen(String),
    /// The lease is the other's, in this epoch.
    HandedOver(i64),
    /// The lease could not be handed over, and is ours still.
    NotHandedOver(String),
    /// What was read and not handled is with the other node.
    PassedOn,
    /// The reign ended in good order, as asked.
    Ended,
    /// An operator says so to this very node.
    Stop,
}

/// What is to be done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Action {
    /// Wait for the session lock.
    SeekLock,
    /// Let the session lock go, or stop waiting for it.
    DropLock,
    /// Ask for the lease.
    AskLease {
        /// By what right.
        right: Right,
        /// The new epoch exceeds this one.
        above: i64,
        /// Whose database sessions are ended first, so that an open transaction does not block the fence.
        ends_sessions_of: Option<String>,
    },
    /// Begin to serve: attach, repeat, replay, answer.
    Begin {
        /// In this epoch.
        epoch: i64,
        /// The epoch the domain was handed over in, if it was: what was passed on in it comes first.
        handed_in: Option<i64>,
    },
    /// Take nothing new, finish what was begun, see it handed on.
    Freeze,
    /// Go on: the move is called off.
    Thaw,
    /// Give the lease to the other node, in one transaction with mark and numbers.
    HandOver {
        /// Who gets it.
        to: String,
    },
    /// Read the stream to its end and pass on what was not handled.
    PassOn {
        /// In the epoch it was handed over in.
        epoch: i64,
    },
    /// Stop at once: nothing more is said.
    Cut,
    /// Stop in good order: what was begun is finished, the lease is given back.
    End,
    /// Look for occupants who are gone.
    Sweep,
    /// The standing changed: a row of history, a line in the log.
    Tell(Change),
    /// An order was carried out or not.
    Answer(Verdict),
    /// The node's duty for this domain is over.
    Finish,
}

/// One change of standing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    /// Before.
    pub from: State,
    /// After, with the reason.
    pub to: Standing,
    /// The epoch it happened in, as far as known.
    pub epoch: i64,
    /// What a takeover or move cost; none if this change ended none.
    pub opened: Option<Cost>,
    /// Who asked for it.
    pub operator: Option<String>,
}

/// What a takeover or a planned move cost.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cost {
    /// From the end of the former reign, as far as it can be seen from here, to the request for the lease.
    pub detect_ms: u64,
    /// From there to the first words.
    pub gap_ms: u64,
    /// What was found to do.
    pub opening: Opening,
}

/// What the node does for the domain.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Duty {
    /// Nothing was seen yet.
    Starting,
    /// Stands by.
    Waiting,
    /// Asked for the lease.
    Taking { handed_in: Option<i64>, since: Moment },
    /// Has the lease; does not speak yet.
    Opening { epoch: i64, handed_in: Option<i64>, since: Moment },
    /// Speaks.
    Serving { epoch: i64 },
    /// Ends its reign for the other's sake.
    Handing { epoch: i64, is_frozen: bool, until: Moment },
    /// The other has the lease; what was read is passed on.
    Passing { until: Moment },
    /// Ends in good order.
    Ending,
    /// Over.
    Ended,
}

/// The engine of one node for one domain.
#[derive(Clone, Debug)]
pub struct Pair {
    terms: Terms,
    duty: Duty,
    seen: Sighting,
    /// Since when the lease's row has not changed, by our own clock.
    lease_still_since: Option<Moment>,
    /// The highest epoch ever seen.
    epoch_max: i64,
    started: Moment,
    /// When the database was last seen, and since when without a break.
    saw_at: Option<Moment>,
    sees_since: Option<Moment>,
    /// Why the last look failed.
    blind: Option<String>,
    has_lock: bool,
    is_seeking: bool,
    /// Not before.
    seek_from: Moment,
    ask_from: Moment,
    level: Option<Level>,
    /// Since when the stream is not open, and why.
    detached: Option<(Moment, String)>,
    /// Since when commits are in trouble, and why.
    commits: Option<(Moment, String)>,
    overdue: Option<String>,
    /// Since when the home node has been fit while the domain is away from it.
    home_fit_since: Option<Moment>,
    /// The order under way.
    order: Option<Order>,
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
            epoch_max: 0,
            started: now,
            saw_at: None,
            sees_since: None,
            blind: None,
            has_lock: false,
            is_seeking: false,
            seek_from: Moment(0),
            ask_from: Moment(0),
            level: None,
            detached: None,
            commits: None,
            overdue: None,
            home_fit_since: None,
            order: None,
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
            Duty::Taking { handed_in, since } => self.taking(now, event, handed_in, since, out),
            Duty::Opening { epoch, handed_in, since } => self.opening(now, event, (epoch, handed_in, since), out),
            Duty::Serving { epoch } => self.serving(now, event, epoch, out),
            Duty::Handing { epoch, is_frozen, until } => self.handing(now, event, (epoch, is_frozen, until), out),
            Duty::Passing { until } => self.passing(now, event, until, out),
            Duty::Ending => self.ending(event, out),
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
            | Duty::Taking { .. }
            | Duty::Passing { .. }
            | Duty::Ending
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
            Event::Blind(why) => (self.blind, self.sees_since) = (Some(why.clone()), None),
            Event::LockHad(lease) => {
                (self.has_lock, self.is_seeking) = (true, false);
                self.see_lease(now, lease.as_ref());
            }
            Event::LockGone => {
                (self.has_lock, self.is_seeking) = (false, false);
                // The database was away, or one connection was: who holds the lease is let go first.
                self.seek_from = Moment(now.0 + self.terms.lease_ms);
            }
            Event::LeaseHad(epoch) | Event::HandedOver(epoch) | Event::Fenced(epoch) | Event::Outdated(epoch) => {
                self.epoch_max = self.epoch_max.max(*epoch);
            }
            Event::Renewed => self.overdue = None,
            Event::LeaseOverdue(why) => self.overdue = Some(why.clone()),
            Event::Attached(level) => (self.level, self.detached) = (Some(*level), None),
            Event::Detached(why) => {
                let since = self.detached.take().map_or(now, |(since, _)| since);
                self.detached = Some((since, why.clone()));
            }
            Event::Commits(trouble) => {
                let since = self.commits.take().map_or(now, |(since, _)| since);
                self.commits = trouble.clone().map(|why| (since, why));
            }
            Event::Stop => self.is_stopping = true,
            Event::Tick
            | Event::LeaseHeld
            | Event::LeaseUnanswered(_)
            | Event::LeaseLost
            | Event::Opened(_)
            | Event::Frozen
            | Event::NotFrozen(_)
            | Event::NotHandedOver(_)
            | Event::PassedOn
            | Event::Ended => {}
        }
    }

    fn see(&mut self, now: Moment, sighting: &Sighting) {
        self.blind = None;
        self.saw_at = Some(now);
        self.sees_since.get_or_insert(now);
        let before = self.seen.lease.take();
        self.seen = sighting.clone();
        self.seen.lease = before;
        self.see_lease(now, sighting.lease.as_ref());
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

    fn finish(&mut self, out: &mut Vec<Action>) {
        self.duty = Duty::Ended;
        out.push(Action::DropLock);
        out.push(Action::Finish);
    }
}
