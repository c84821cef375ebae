//! Planned moves, the giving side: freeze, see the last words handed on, hand the lease over, pass on what was read.

use super::{Action, Duty, Event, OrderKind, Pair, Reason, Unopened};
use crate::time::Moment;

/// So many patiences pass after a move that was called off before the next one by itself: each one halts the words.
const CALM: u64 = 3;

impl Pair {
    /// Begins to hand over; the stream that is away has nothing to be waited for.
    pub(super) fn hand(&mut self, now: Moment, epoch: i64, unopened: Option<Unopened>, out: &mut Vec<Action>) {
        self.duty = Duty::Handing { epoch, is_frozen: false, until: Moment(now.0 + self.terms.move_ms), unopened };
        out.push(Action::Freeze);
    }

    /// Until the last words are handed on.
    pub(super) fn freezing(
        &mut self,
        now: Moment,
        event: &Event,
        (epoch, until, unopened): (i64, Moment, Option<Unopened>),
        out: &mut Vec<Action>,
    ) {
        match event {
            Event::LeaseLost | Event::Fenced(_) | Event::Outdated(_) => self.step_down(now, event, out),
            Event::Frozen => {
                self.duty = Duty::Handing { epoch, is_frozen: true, until, unopened };
                let to = self.terms.twin.clone().unwrap_or_default();
                out.push(Action::HandOver { to });
            }
            Event::NotFrozen(why) => self.call_off(now, epoch, unopened, why, out),
            Event::Tick if now >= until => {
                self.call_off(now, epoch, unopened, "the last words were not handed on in time", out);
            }
            Event::Opened(opening) => {
                let unopened = unopened.map(|unopened| Unopened { opened: Some(*opening), ..unopened });
                self.duty = Duty::Handing { epoch, is_frozen: false, until, unopened };
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
            | Event::Commits(_)
            | Event::HandedOver(_)
            | Event::NotHandedOver(_)
            | Event::PassedOn
            | Event::Ended
            | Event::Stop => {}
        }
    }

    /// Until the lease is the other's.
    pub(super) fn handing(
        &mut self,
        now: Moment,
        event: &Event,
        (epoch, until, unopened): (i64, Moment, Option<Unopened>),
        out: &mut Vec<Action>,
    ) {
        match event {
            Event::LeaseLost | Event::Fenced(_) | Event::Outdated(_) => self.step_down(now, event, out),
            // Nobody was told whose the lease is until it was over anyway: a node that is to stop need not know.
            Event::Tick if self.is_stopping && now.0 >= until.0 + self.terms.lease_ms => self.abandon(out),
            Event::NotHandedOver(why) => self.call_off(now, epoch, unopened, why, out),
            Event::HandedOver(handed) => self.pass(now, *handed, out),
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
            | Event::NotFrozen(_)
            | Event::PassedOn
            | Event::Ended
            | Event::Stop => {}
        }
    }

    fn abandon(&mut self, out: &mut Vec<Action>) {
        if let Some(order) = self.order.take() {
            out.push(Action::Answer(order.refused("the database did not say whether the domain was handed over")));
        }
        out.push(Action::Cut);
        self.finish(out);
    }

    /// The lease is the twin's in epoch `handed`: what was read goes there too.
    fn pass(&mut self, now: Moment, handed: i64, out: &mut Vec<Action>) {
        // The lock goes only after the lease: whoever wakes up by it finds the lease its own.
        self.duty = Duty::Passing { until: Moment(now.0 + 2 * self.terms.move_ms) };
        out.push(Action::DropLock);
        out.push(Action::PassOn { epoch: handed });
        (self.has_lock, self.is_seeking) = (false, false);
        self.seek_from = Moment(now.0 + self.terms.lease_ms);
        self.given_up = Some(self.epoch_max);
        self.ask_from = self.seek_from;
        self.handed = Some(handed);
        let twin = self.terms.twin.clone().unwrap_or_default();
        self.know_lease(now, twin.clone(), handed);
        if let Some(order) = self.order.take() {
            // Idle until an operator says fallback: the database remembers it by this order.
            self.seen.is_idle |= order.kind == OrderKind::Failover && self.is_home();
            out.push(Action::Answer(order.done(format!("handed to node {twin} in epoch {handed}"))));
        }
    }

    /// Nothing has changed: the reign goes on, or ends without a successor where it was to end.
    fn call_off(&mut self, now: Moment, epoch: i64, unopened: Option<Unopened>, why: &str, out: &mut Vec<Action>) {
        if let Some(order) = self.order.take() {
            out.push(Action::Answer(order.refused(format!("the move was called off, nothing changed: {why}"))));
        }
        self.cause = Some((Reason::TakeBackFailed, format!("a move was called off: {why}")));
        self.home_fit_since = None;
        self.move_from = Moment(now.0 + CALM * self.terms.patience_ms);
        out.push(Action::Thaw);
        if self.is_stopping {
            return self.end(now, out);
        }
        match unopened {
            None => self.duty = Duty::Serving { epoch },
            Some(unopened @ Unopened { opened: None, .. }) => self.duty = Duty::Opening { epoch, unopened },
            Some(unopened @ Unopened { opened: Some(opening), .. }) => self.open(now, epoch, unopened, opening, out),
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
    pub(super) fn ending(&mut self, now: Moment, event: &Event, until: Moment, out: &mut Vec<Action>) {
        match event {
            Event::Ended => self.finish(out),
            Event::Tick if now >= until => {
                out.push(Action::Cut);
                self.finish(out);
            }
            Event::LeaseLost | Event::Fenced(_) | Event::Outdated(_) => self.step_down(now, event, out),
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
            | Event::NotFrozen(_)
            | Event::HandedOver(_)
            | Event::NotHandedOver(_)
            | Event::PassedOn
            | Event::Stop => {}
        }
    }
}
