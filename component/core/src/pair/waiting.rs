//! Standing by: the session lock is waited for, the lease watched, orders heeded that nobody else can carry out.

use super::{Action, Duty, Event, LeaseView, Order, OrderKind, Pair, Reason, Right, State};
use crate::time::Moment;

impl Pair {
    pub(super) fn starting(&mut self, now: Moment, event: &Event, out: &mut Vec<Action>) {
        if self.is_stopping {
            return self.finish(out);
        }
        if let Event::Saw(_) = event {
            self.duty = Duty::Waiting;
            self.waiting(now, event, out);
        }
    }

    pub(super) fn waiting(&mut self, now: Moment, event: &Event, out: &mut Vec<Action>) {
        if self.is_stopping {
            return self.finish(out);
        }
        match event {
            Event::LockHad(_) => self.heed_lock(now, out),
            Event::Saw(_) | Event::Tick | Event::LockGone | Event::Detached(_) | Event::Attached(_) => {
                self.heed_orders(now, out);
                if self.duty == Duty::Waiting {
                    self.watch(now, out);
                }
            }
            Event::Blind(_)
            | Event::LeaseHad(_)
            | Event::LeaseHeld
            | Event::LeaseUnanswered(_)
            | Event::Renewed
            | Event::LeaseLost
            | Event::LeaseOverdue(_)
            | Event::Fenced(_)
            | Event::Outdated(_)
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

    /// Seeks the lock, or takes the lease that time has freed.
    fn watch(&mut self, now: Moment, out: &mut Vec<Action>) {
        if now < self.ask_from {
            return;
        }
        if self.has_lock {
            return self.heed_lock(now, out);
        }
        // Also where this node would not take over: a domain that is handed to it is handed by the lock.
        if self.is_this_turn(now) && !self.is_seeking && now >= self.seek_from {
            self.is_seeking = true;
            out.push(Action::SeekLock);
        }
        if self.obstacle_here(now).is_some() {
            return;
        }
        // The holder is given the chance to end and free its lock; only who does neither is overtaken without it.
        let is_freed = self.holder().is_some() && self.is_this_turn(now);
        if let Some(right) = self.right_by_time(now).filter(|_| is_freed) {
            self.ask(now, right, out);
        }
    }

    /// The lock is ours: whoever had it is gone, or has handed over.
    fn heed_lock(&mut self, now: Moment, out: &mut Vec<Action>) {
        if now < self.ask_from {
            return;
        }
        if self.obstacle_here(now).is_some() || !self.is_this_turn(now) {
            self.has_lock = false;
            self.seek_from = Moment(now.0 + self.terms.lease_ms);
            return out.push(Action::DropLock);
        }
        self.ask(now, Right::Dead, out);
    }

    /// Why this node does not serve though nobody else may do so.
    pub(super) fn obstacle_here(&self, now: Moment) -> Option<(Reason, String)> {
        if let Some(stranger) = self.stranger(now) {
            let what = format!(
                "node {stranger} serves the domain, which is neither this node nor its twin: the domain is configured for two pairs, or [pair] twin names another node"
            );
            return Some((Reason::TakeOverFailed, what));
        }
        if self.seen.is_idle && self.holder() != Some(self.terms.node.as_str()) {
            return Some((Reason::OnAdminRequest, "an operator moved the domain away; fallback brings it back".into()));
        }
        let is_taking_over = self.is_held_by_twin();
        if is_taking_over && !self.may_move() && self.order.is_none() {
            if self.seen.is_paused {
                return Some((Reason::OnAdminRequest, "automatic moves are paused; resume allows them again".into()));
            }
            let what = format!("{} automatic moves lately are enough; recover allows more", self.seen.moves_lately);
            return Some((Reason::FailoverLimit, what));
        }
        None
    }

    /// Whether a free lease is this node's to take: a backup leaves a domain nobody serves to the home node for a while.
    fn is_this_turn(&self, now: Moment) -> bool {
        let has_waited = now.0.saturating_sub(self.started.0) >= self.terms.patience_ms;
        match self.holder() {
            Some(_) => true,
            None => self.is_home() || (has_waited && self.twin_obstacle().is_some()) || self.is_long_free(now),
        }
    }

    /// Free for so long that the home node, fit as it says it is, will not come.
    fn is_long_free(&self, now: Moment) -> bool {
        let patience = 2 * self.terms.patience_ms;
        self.lease_still_since.is_some_and(|since| now.0.saturating_sub(since.0) >= patience)
    }

    pub(super) fn ask(&mut self, now: Moment, right: Right, out: &mut Vec<Action>) {
        let handed_in = match &self.seen.lease {
            Some(LeaseView { owner: Some(owner), epoch, .. }) if *owner == self.terms.node => Some(*epoch),
            Some(_) | None => None,
        };
        let former = self.holder().filter(|holder| *holder != self.terms.node).map(str::to_owned);
        let ends_sessions_of = if right == Right::Dead { None } else { former };
        if self.order.is_none() {
            self.cause = Some(self.handed_by_twin().unwrap_or_else(|| self.cause_of(&right)));
        }
        self.duty = Duty::Taking { handed_in, since: now };
        out.push(Action::AskLease { right, above: self.epoch_max, ends_sessions_of });
    }

    /// Why the twin handed the domain over, if it did.
    fn handed_by_twin(&self) -> Option<(Reason, String)> {
        let standing = self.seen.twin.as_ref()?.standing.as_ref()?;
        let is_handing = matches!(standing.state, State::FailingOver | State::FallingBack);
        let is_ours = self.holder() == Some(self.terms.node.as_str());
        (is_handing && is_ours).then(|| (standing.reason, standing.why.clone()))
    }

    /// Why this node takes the lease.
    fn cause_of(&self, right: &Right) -> (Reason, String) {
        match (self.holder(), right) {
            (None, _) if self.is_home() => (Reason::Initialization, "nobody served the domain".into()),
            (None, _) => (Reason::PeerDownDuringInitialization, "its home node did not come to serve it".into()),
            (Some(holder), _) if holder == self.terms.node => {
                (Reason::Initialization, "this node served it last".into())
            }
            (Some(holder), Right::Dead) => (Reason::PeerDown, format!("node {holder} ended: its session lock is free")),
            (Some(holder), Right::Free) => (Reason::LeaseExpired, format!("node {holder} did not renew its lease")),
            (Some(holder), Right::Silent { .. }) => {
                (Reason::LeaseExpired, format!("the lease of node {holder} has stood still for too long"))
            }
        }
    }

    /// Orders that the holder would carry out, where the holder does not, and those that are any node's.
    fn heed_orders(&mut self, now: Moment, out: &mut Vec<Action>) {
        let Some(order) = self.seen.orders.first().cloned() else { return };
        let is_mine = self.holder().is_none_or(|holder| holder == self.terms.node);
        let is_left_alone = order.age_ms > self.terms.patience_ms;
        if !is_mine && !is_left_alone {
            return;
        }
        self.seen.orders.remove(0);
        match order.kind {
            OrderKind::Pause | OrderKind::Resume => out.push(Action::Answer(order.done("noted"))),
            OrderKind::Recover => {
                (self.seek_from, self.ask_from) = (now, now);
                self.seen.moves_lately = 0;
                out.push(Action::Answer(order.done("tries again now")));
            }
            OrderKind::Failover if self.is_held_by_twin() => self.force(now, order, out),
            OrderKind::Fallback if self.is_home() && self.is_held_by_twin() => self.force(now, order, out),
            OrderKind::Failover | OrderKind::Fallback | OrderKind::SwitchOver | OrderKind::Sweep => {
                let who = self.holder().unwrap_or("nobody").to_owned();
                let why = format!("{who} serves the domain and does not carry out orders; try failover from its twin");
                out.push(Action::Answer(order.refused(why)));
            }
        }
    }

    /// Takes the lease from a holder that does not move.
    fn force(&mut self, now: Moment, order: Order, out: &mut Vec<Action>) {
        let Some(LeaseView { epoch, expires_ms, .. }) = self.seen.lease else { return };
        self.cause = Some((
            Reason::OnAdminRequest,
            format!("{} by {}, against a holder that did not answer", order.kind, order.by),
        ));
        self.order = Some(order);
        self.ask(now, Right::Silent { epoch, expires_ms }, out);
    }
}
