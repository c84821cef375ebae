//! Taking over: the lease is asked for, then the domain is opened - attached, the unheard repeated, the waiting handled.

use super::{Action, Cost, Duty, Event, Opening, Pair, Reason};
use crate::time::Moment;

/// The pause after a lease that could not be had.
const AGAIN_MS: u64 = 250;

impl Pair {
    pub(super) fn taking(
        &mut self,
        now: Moment,
        event: &Event,
        handed_in: Option<i64>,
        since: Moment,
        out: &mut Vec<Action>,
    ) {
        match event {
            Event::LeaseHad(epoch) => {
                self.detached = None;
                self.commits = None;
                self.overdue = None;
                self.duty = Duty::Opening { epoch: *epoch, handed_in, since };
                out.push(Action::Begin { epoch: *epoch, handed_in });
                if self.is_stopping {
                    self.duty = Duty::Ending;
                    out.push(Action::End);
                }
            }
            Event::LeaseHeld | Event::LeaseUnanswered(_) => {
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

    pub(super) fn opening(
        &mut self,
        now: Moment,
        event: &Event,
        (epoch, handed_in, since): (i64, Option<i64>, Moment),
        out: &mut Vec<Action>,
    ) {
        match event {
            Event::Opened(opening) => self.open(now, epoch, handed_in, since, *opening, out),
            Event::LeaseLost | Event::Fenced(_) | Event::Outdated(_) => self.step_down(now, event, out),
            Event::Stop => {
                self.duty = Duty::Ending;
                out.push(Action::End);
            }
            Event::Tick | Event::Saw(_) => self.consider_handing(now, epoch, out),
            Event::Blind(_)
            | Event::LockHad(_)
            | Event::LockGone
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

    fn open(
        &mut self,
        now: Moment,
        epoch: i64,
        handed_in: Option<i64>,
        since: Moment,
        opening: Opening,
        out: &mut Vec<Action>,
    ) {
        self.duty = Duty::Serving { epoch };
        let is_takeover = handed_in.is_none();
        let detect_ms = self.lease_still_since.map_or(0, |still| since.0.saturating_sub(still.0));
        let cost = Cost { detect_ms, gap_ms: now.0.saturating_sub(since.0), opening };
        let order = self.order.take();
        self.tell_opened(epoch, cost, order.as_ref().map(|order| order.by.clone()), out);
        if let Some(order) = order {
            out.push(Action::Answer(order.done(format!("node {} serves in epoch {epoch}", self.terms.node))));
        }
        if is_takeover {
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
        self.cause = Some((Reason::LeaseLost, what));
        if let Some(order) = self.order.take() {
            out.push(Action::Answer(order.refused("the lease was lost meanwhile")));
        }
        out.push(Action::Cut);
        out.push(Action::DropLock);
        (self.has_lock, self.is_seeking) = (false, false);
        self.seek_from = Moment(now.0 + self.terms.lease_ms);
        self.ask_from = Moment(now.0 + AGAIN_MS);
        self.detached = None;
        self.duty = Duty::Waiting;
        if self.is_stopping {
            self.finish(out);
        }
    }
}
