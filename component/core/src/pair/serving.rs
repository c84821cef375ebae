//! Serving: orders carried out, trouble of one's own weighed against the twin's fitness, the way home found by itself.

use super::{Action, Duty, Event, Order, OrderKind, Pair, Reason, Unopened};
use crate::time::Moment;

/// What a node says of itself is of now when an order is as old as this: some beats.
const LOOKED_BY_MS: u64 = 1_500;

impl Pair {
    pub(super) fn serving(&mut self, now: Moment, event: &Event, epoch: i64, out: &mut Vec<Action>) {
        match event {
            Event::LeaseLost | Event::Fenced(_) | Event::Outdated(_) => self.step_down(now, event, out),
            Event::Stop => self.stop(now, epoch, out),
            Event::Tick | Event::Saw(_) => {
                self.keep_lock(now, out);
                self.heed_order(now, epoch, None, out);
                if self.duty == (Duty::Serving { epoch }) {
                    self.consider_handing(now, epoch, None, out);
                }
            }
            Event::LockGone => self.keep_lock(now, out),
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
            return self.hand(now, epoch, None, out);
        }
        self.end(now, out);
    }

    pub(super) fn heed_order(&mut self, now: Moment, epoch: i64, unopened: Option<Unopened>, out: &mut Vec<Action>) {
        if self.is_order_early() {
            return;
        }
        let Some(order) = self.next_order(0) else { return };
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
                self.heed_move(now, (epoch, unopened), order, out);
            }
        }
    }

    /// Whether the next order moves the domain to a twin that looks unfit, and is so young that this may be of a moment
    /// ago: a node that has just given a domain away finds its stream anew, and says so at its next beat.
    fn is_order_early(&self) -> bool {
        let next = self.seen.orders.iter().find(|order| !self.heeded.contains(&order.id));
        let is_move = |kind: OrderKind| match kind {
            OrderKind::Fallback => !self.is_home(),
            OrderKind::Failover | OrderKind::SwitchOver => true,
            OrderKind::Pause | OrderKind::Resume | OrderKind::Recover | OrderKind::Sweep => false,
        };
        let is_young = next.is_some_and(|order| is_move(order.kind) && order.age_ms < LOOKED_BY_MS);
        let says_unfit = self
            .seen
            .twin
            .as_ref()
            .is_some_and(|twin| twin.unfit.is_some() && twin.silent_ms <= self.terms.patience_ms);
        is_young && says_unfit
    }

    fn heed_move(
        &mut self,
        now: Moment,
        (epoch, unopened): (i64, Option<Unopened>),
        order: Order,
        out: &mut Vec<Action>,
    ) {
        // Orders carry no node: what was asked of the former holder must not move the domain on, or back.
        let reign_ms = self.lease_seen_at.map_or(0, |seen_at| seen_at.0.saturating_sub(self.reign_since.0));
        if order.age_ms > reign_ms {
            let node = &self.terms.node;
            let why =
                format!("given before node {node} began to serve in epoch {epoch}; give it again if still wanted");
            return out.push(Action::Answer(order.refused(why)));
        }
        if let Some(why) = self.twin_obstacle() {
            return out.push(Action::Answer(order.refused(why)));
        }
        self.cause = Some((Reason::OnAdminRequest, format!("{} by {}", order.kind, order.by)));
        self.order = Some(order);
        self.hand(now, epoch, unopened, out);
    }

    /// Whether the twin would do better, or the domain should go home.
    pub(super) fn consider_handing(
        &mut self,
        now: Moment,
        epoch: i64,
        unopened: Option<Unopened>,
        out: &mut Vec<Action>,
    ) {
        let Some((reason, why)) = self.reason_to_hand(now) else { return };
        if let Some(order) = self.order.take() {
            out.push(Action::Answer(order.refused(format!("the lease was had, and is handed back: {why}"))));
        }
        self.cause = Some((reason, why));
        self.hand(now, epoch, unopened, out);
    }

    fn reason_to_hand(&self, now: Moment) -> Option<(Reason, String)> {
        let is_fresh = self.lease_seen_at.is_some_and(|at| now.0.saturating_sub(at.0) < self.terms.patience_ms);
        let cannot = self.overdue.is_some() || self.blind.is_some() || !is_fresh || now < self.move_from;
        if cannot || self.twin_obstacle().is_some() || !self.may_move() {
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
        // A home node that was just lost looks fit for as long as its last beat is young.
        let fit_ms = now.0.saturating_sub(self.home_fit_since?.max(self.reign_since).0);
        let after_ms = self.terms.fallback_after_ms?;
        (fit_ms >= after_ms).then(|| {
            let what = format!("home node {} has been fit for {} s", self.terms.home, fit_ms / 1000);
            (Reason::AutomaticFallback, what)
        })
    }
}
