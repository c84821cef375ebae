//! Planned moves, the giving side: freeze, see the last words handed on, hand the lease over, pass on what was read.

use super::{Action, Duty, Event, OrderKind, Pair, Reason};
use crate::time::Moment;

impl Pair {
    /// Begins to hand over; the stream that is away has nothing to be waited for.
    pub(super) fn hand(&mut self, now: Moment, epoch: i64, out: &mut Vec<Action>) {
        self.duty = Duty::Handing { epoch, is_frozen: false, until: Moment(now.0 + self.terms.move_ms) };
        out.push(Action::Freeze);
    }

    pub(super) fn handing(
        &mut self,
        now: Moment,
        event: &Event,
        (epoch, is_frozen, until): (i64, bool, Moment),
        out: &mut Vec<Action>,
    ) {
        match event {
            Event::LeaseLost | Event::Fenced(_) | Event::Outdated(_) => self.step_down(now, event, out),
            Event::Frozen if !is_frozen => {
                self.duty = Duty::Handing { epoch, is_frozen: true, until };
                let to = self.terms.twin.clone().unwrap_or_default();
                out.push(Action::HandOver { to });
            }
            Event::NotFrozen(why) | Event::NotHandedOver(why) => self.call_off(epoch, why, out),
            Event::Tick if !is_frozen && now >= until => {
                self.call_off(epoch, "the last words were not handed on in time", out);
            }
            Event::HandedOver(handed) => {
                // The lock goes only after the lease: whoever wakes up by it finds the lease its own.
                self.duty = Duty::Passing { until: Moment(now.0 + 2 * self.terms.move_ms) };
                out.push(Action::DropLock);
                out.push(Action::PassOn { epoch: *handed });
                (self.has_lock, self.is_seeking) = (false, false);
                self.seek_from = Moment(now.0 + self.terms.lease_ms);
                self.ask_from = self.seek_from;
                if let Some(order) = self.order.take() {
                    // Idle until an operator says fallback: the database remembers it by this order.
                    self.seen.is_idle |= order.kind == OrderKind::Failover && self.is_home();
                    let twin = self.terms.twin.as_deref().unwrap_or_default();
                    out.push(Action::Answer(order.done(format!("handed to node {twin} in epoch {handed}"))));
                }
            }
            Event::Tick
            | Event::Saw(_)
            | Event::Blind(_)
            | Event::LockHad(_)
            | Event::LockGone
            | Event::LeaseHad(_)
            | Event::LeaseHeld
            | Event::LeaseUnanswered(_)
            | Event::Renewed
            | Event::LeaseOverdue(_)
            | Event::Attached(_)
            | Event::Detached(_)
            | Event::Opened(_)
            | Event::Commits(_)
            | Event::Frozen
            | Event::PassedOn
            | Event::Ended
            | Event::Stop => {}
        }
    }

    /// Nothing has changed: the reign goes on, or ends without a successor where it was to end.
    fn call_off(&mut self, epoch: i64, why: &str, out: &mut Vec<Action>) {
        if let Some(order) = self.order.take() {
            out.push(Action::Answer(order.refused(format!("the move was called off, nothing changed: {why}"))));
        }
        self.cause = Some((Reason::TakeBackFailed, format!("a move was called off: {why}")));
        self.home_fit_since = None;
        out.push(Action::Thaw);
        if self.is_stopping {
            self.duty = Duty::Ending;
            out.push(Action::End);
        } else {
            self.duty = Duty::Serving { epoch };
        }
    }

    pub(super) fn passing(&mut self, now: Moment, event: &Event, until: Moment, out: &mut Vec<Action>) {
        let is_late = matches!(event, Event::Tick) && now >= until;
        if *event != Event::PassedOn && !is_late {
            return;
        }
        out.push(Action::Cut);
        self.detached = None;
        self.duty = Duty::Waiting;
        if self.is_stopping {
            self.finish(out);
        }
    }

    /// The reign ends in good order: what was begun is finished, the lease given back.
    pub(super) fn ending(&mut self, event: &Event, out: &mut Vec<Action>) {
        if *event == Event::Ended {
            self.finish(out);
        }
    }
}
