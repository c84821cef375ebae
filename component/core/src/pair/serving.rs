//! Serving: orders carried out, trouble of one's own weighed against the twin's fitness, the way home found by itself.

use super::{Action, Duty, Event, Order, OrderKind, Pair, Reason};
use crate::time::Moment;

impl Pair {
    pub(super) fn serving(&mut self, now: Moment, event: &Event, epoch: i64, out: &mut Vec<Action>) {
        match event {
            Event::LeaseLost | Event::Fenced(_) | Event::Outdated(_) => self.step_down(now, event, out),
            Event::Stop => self.stop(now, epoch, out),
            Event::Tick | Event::Saw(_) => {
                self.heed_order(now, epoch, out);
                if self.duty == (Duty::Serving { epoch }) {
                    self.consider_handing(now, epoch, out);
                }
            }
            // The lock died with its connection: had again, so that our own death is noticed at once.
            Event::LockGone => {
                self.is_seeking = true;
                out.push(Action::SeekLock);
            }
            // A server that crashed and came back has lost its clients.
            Event::Attached(_) => out.push(Action::Sweep),
            Event::Blind(_)
            | Event::LockHad(_)
            | Event::LeaseHad(_)
            | Event::LeaseHeld
            | Event::LeaseUnanswered(_)
            | Event::Renewed
            | Event::LeaseOverdue(_)
            | Event::Detached(_)
            | Event::Opened(_)
            | Event::Commits(_)
            | Event::Frozen
            | Event::NotFrozen(_)
            | Event::HandedOver(_)
            | Event::NotHandedOver(_)
            | Event::PassedOn
            | Event::Ended => {}
        }
    }

    fn stop(&mut self, now: Moment, epoch: i64, out: &mut Vec<Action>) {
        if self.twin_obstacle().is_none() && !self.seen.is_paused {
            self.cause = Some((Reason::OnAdminRequest, format!("node {} is being stopped", self.terms.node)));
            return self.hand(now, epoch, out);
        }
        self.duty = Duty::Ending;
        out.push(Action::End);
    }

    fn heed_order(&mut self, now: Moment, epoch: i64, out: &mut Vec<Action>) {
        let Some(order) = self.seen.orders.first().cloned() else { return };
        self.seen.orders.remove(0);
        match order.kind {
            OrderKind::Pause | OrderKind::Resume => out.push(Action::Answer(order.done("noted"))),
            OrderKind::Recover => {
                self.seen.moves_lately = 0;
                out.push(Action::Answer(order.done("nothing stands still: this node serves")));
            }
            OrderKind::Sweep => {
                out.push(Action::Sweep);
                out.push(Action::Answer(order.done("looking for occupants who are gone")));
            }
            OrderKind::Fallback if self.is_home() => {
                out.push(Action::Answer(order.done("the domain is at home already")));
            }
            OrderKind::Fallback | OrderKind::Failover | OrderKind::SwitchOver => {
                self.heed_move(now, epoch, order, out);
            }
        }
    }

    fn heed_move(&mut self, now: Moment, epoch: i64, order: Order, out: &mut Vec<Action>) {
        if let Some(why) = self.twin_obstacle() {
            return out.push(Action::Answer(order.refused(why)));
        }
        self.cause = Some((Reason::OnAdminRequest, format!("{} by {}", order.kind, order.by)));
        self.order = Some(order);
        self.hand(now, epoch, out);
    }

    /// Whether the twin would do better, or the domain should go home.
    pub(super) fn consider_handing(&mut self, now: Moment, epoch: i64, out: &mut Vec<Action>) {
        let Some(cause) = self.reason_to_hand(now) else { return };
        self.cause = Some(cause);
        self.hand(now, epoch, out);
    }

    fn reason_to_hand(&self, now: Moment) -> Option<(Reason, String)> {
        if self.twin_obstacle().is_some() || !self.may_move() || self.overdue.is_some() {
            return None;
        }
        let has_lasted = |since: Moment| now.0.saturating_sub(since.0) >= self.terms.patience_ms;
        if let Some((since, why)) = &self.detached
            && has_lasted(*since)
        {
            return Some((Reason::XmppServerUnreachable, why.clone()));
        }
        if let Some((since, why)) = &self.commits
            && has_lasted(*since)
        {
            return Some((Reason::DatabaseFailure, why.clone()));
        }
        let fit_ms = now.0.saturating_sub(self.home_fit_since?.0);
        let after_ms = self.terms.fallback_after_ms?;
        (fit_ms >= after_ms).then(|| {
            let what = format!("home node {} has been fit for {} s", self.terms.home, fit_ms / 1000);
            (Reason::AutomaticFallback, what)
        })
    }
}
