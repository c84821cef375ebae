//! Taking over: the lease is asked for, then the domain is opened - attached, the unheard repeated, the waiting handled.

use super::{Action, Cost, Duty, Event, Opening, Pair, Reason, Unopened};
use crate::time::Moment;

/// The pause after a lease that could not be had.
pub(super) const AGAIN_MS: u64 = 250;

/// An end in good order may take as long as so many moves: a node that renews and does not speak helps nobody.
const END_MOVES: u64 = 5;

impl Pair {
    pub(super) fn taking(&mut self, now: Moment, event: &Event, unopened: Unopened, out: &mut Vec<Action>) {
        match event {
            Event::LeaseHad(epoch) => self.begin(now, *epoch, unopened, out),
            Event::LeaseHeld | Event::LeaseUnanswered(_) => {
                if *event == Event::LeaseHeld {
                    self.unanswered = None;
                }
                self.ask_from = Moment(now.0 + AGAIN_MS);
                self.duty = Duty::Waiting;
                if let Some(order) = self.order.take() {
                    out.push(Action::Answer(order.refused("the lease could not be had; try again")));
                }
                if self.is_stopping {
                    self.finish(out);
                }
            }
            Event::Tick
            | Event::Saw(_)
            | Event::Blind(_)
            | Event::LockHad(_)
            | Event::LockGone
            | Event::Renewed
            | Event::LeaseLost
            | Event::LeaseOverdue(_)
            | Event::Fenced(_)
            | Event::Outdated(_)
            | Event::Attached(_)
            | Event::Detached(_)
            | Event::Opened(_)
            | Event::Commits(_)
            | Event::Frozen
            | Event::NotFrozen(_)
            | Event::HandedOver(_)
            | Event::NotHandedOver(_)
            | Event::PassedOn
            | Event::Ended
            | Event::Stop => {}
        }
    }

    fn begin(&mut self, now: Moment, epoch: i64, unopened: Unopened, out: &mut Vec<Action>) {
        (self.detached, self.commits, self.overdue) = (None, None, None);
        self.unanswered = None;
        self.know_lease(now, self.terms.node.clone(), epoch);
        self.reign_since = now;
        self.duty = Duty::Opening { epoch, unopened };
        out.push(Action::Begin { epoch, handed_in: unopened.handed_in });
        if self.is_stopping {
            self.end(now, out);
        }
    }

    /// Ends the reign in good order.
    pub(super) fn end(&mut self, now: Moment, out: &mut Vec<Action>) {
        if let Some(order) = self.order.take() {
            out.push(Action::Answer(order.refused(format!("node {} is being stopped", self.terms.node))));
        }
        self.duty = Duty::Ending { until: Moment(now.0 + END_MOVES * self.terms.move_ms) };
        out.push(Action::End);
    }

    pub(super) fn opening(
        &mut self,
        now: Moment,
        event: &Event,
        epoch: i64,
        unopened: Unopened,
        out: &mut Vec<Action>,
    ) {
        match event {
            Event::Opened(opening) => self.open(now, epoch, unopened, *opening, out),
            Event::LeaseLost | Event::Fenced(_) | Event::Outdated(_) => self.step_down(now, event, out),
            Event::Stop => self.end(now, out),
            Event::Tick | Event::Saw(_) | Event::LockGone => {
                self.keep_lock(now, out);
                self.heed_in_time(now, epoch, unopened, out);
                if self.duty == (Duty::Opening { epoch, unopened }) {
                    self.consider_handing(now, epoch, Some(unopened), out);
                }
            }
            Event::Blind(_)
            | Event::LockHad(_)
            | Event::LeaseHad(_)
            | Event::LeaseHeld
            | Event::LeaseUnanswered(_)
            | Event::Renewed
            | Event::LeaseOverdue(_)
            | Event::Attached(_)
            | Event::Detached(_)
            | Event::Commits(_)
            | Event::Frozen
            | Event::NotFrozen(_)
            | Event::HandedOver(_)
            | Event::NotHandedOver(_)
            | Event::PassedOn
            | Event::Ended => {}
        }
    }

    /// Opening takes no time to speak of; one that does not come about does not keep an operator waiting.
    fn heed_in_time(&mut self, now: Moment, epoch: i64, unopened: Unopened, out: &mut Vec<Action>) {
        let is_long = now.0.saturating_sub(self.reign_since.0) >= self.terms.patience_ms;
        if is_long && self.order.is_none() {
            self.heed_order(now, epoch, Some(unopened), out);
        }
    }

    /// The lock shows the other node at once when this one dies: a reign that is without it seeks it.
    pub(super) fn keep_lock(&mut self, now: Moment, out: &mut Vec<Action>) {
        if !self.has_lock && !self.is_seeking && now >= self.seek_from {
            (self.is_seeking, self.sought_at) = (true, now);
            out.push(Action::SeekLock);
        }
    }

    pub(super) fn open(
        &mut self,
        now: Moment,
        epoch: i64,
        unopened: Unopened,
        opening: Opening,
        out: &mut Vec<Action>,
    ) {
        let Unopened { is_move, since, .. } = unopened;
        self.duty = Duty::Serving { epoch };
        let cost = Cost { detect_ms: unopened.detect_ms, gap_ms: now.0.saturating_sub(since.0), opening };
        let order = self.order.take();
        self.tell_opened(epoch, cost, order.as_ref().map(|order| order.by.clone()), out);
        if let Some(order) = order {
            out.push(Action::Answer(order.done(format!("node {} serves in epoch {epoch}", self.terms.node))));
        }
        // Who left while nobody served could tell nobody.
        if !is_move {
            out.push(Action::Sweep);
        }
    }

    /// The lease is another's: nothing more is said, and this node stands by again.
    pub(super) fn step_down(&mut self, now: Moment, event: &Event, out: &mut Vec<Action>) {
        let what = match event {
            Event::Fenced(by) => format!("a write met the fence of epoch {by}"),
            Event::Outdated(by) => format!("the relay serves epoch {by}"),
            _ => "its renewal found the lease gone".to_owned(),
        };
        out.push(Action::Cut);
        self.cause = Some((Reason::LeaseLost, what));
        if let Some(order) = self.order.take() {
            out.push(Action::Answer(order.refused("the lease was lost meanwhile")));
        }
        (self.has_lock, self.is_seeking) = (false, false);
        self.seek_from = Moment(now.0 + self.terms.lease_ms);
        self.given_up = Some(self.epoch_max);
        self.ask_from = Moment(now.0 + AGAIN_MS);
        self.detached = None;
        self.duty = Duty::Waiting;
        if self.is_stopping {
            self.finish(out);
        } else {
            out.push(Action::DropLock);
        }
    }
}
