//! Standing by: the session lock is waited for, the lease watched, orders heeded that nobody else can carry out.

use super::{Action, Duty, Event, LeaseView, Order, OrderKind, Pair, Reason, Right, State, Unopened, taking};
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
            Event::LockHad(_) => {
                self.weigh_lock(now);
                self.heed_lock(now, out);
            }
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
        if self.is_this_turn(now) && !self.is_seeking && (now >= self.seek_from || self.was_handed) {
            (self.is_seeking, self.sought_at) = (true, now);
            out.push(Action::SeekLock);
        }
        // What was handed over is this node's already, whoever still has the lock.
        if let Some(LeaseView { epoch, expires_ms, .. }) = self.seen.lease
            && self.was_handed
        {
            return self.ask(now, Right::Silent { epoch, expires_ms }, out);
        }
        if self.obstacle_here(now).is_some() {
            return;
        }
        // The holder is given the chance to end and free its lock; only who does neither is overtaken without it.
        let is_this_turn = self.is_this_turn(now);
        if let Some(right) = self.right_by_time(now).filter(|_| is_this_turn) {
            self.ask(now, right, out);
        }
    }

    /// The lock is ours: whoever had it is gone, or has handed over - which of the two, only a look can tell.
    fn heed_lock(&mut self, now: Moment, out: &mut Vec<Action>) {
        if now < self.ask_from || self.blind.is_some() {
            return;
        }
        if self.obstacle_here(now).is_some() || !self.is_this_turn(now) {
            self.has_lock = false;
            self.seek_from = Moment(now.0 + self.terms.lease_ms);
            return out.push(Action::DropLock);
        }
        if let Some((had_at, until)) = self.doubt.filter(|_| self.is_held_by_twin()) {
            if self.lease_still_since.is_some_and(|since| since > had_at) {
                // The holder renews and has no lock: it gets the chance to have it.
                (self.has_lock, self.doubt) = (false, None);
                self.seek_from = Moment(now.0 + self.terms.lease_ms);
                return out.push(Action::DropLock);
            }
            if now < until {
                return;
            }
        }
        self.ask(now, Right::Dead, out);
    }

    /// A lock that was free when it was sought is no proof that the holder just died: it may be without it. Whether it
    /// still renews tells.
    fn weigh_lock(&mut self, now: Moment) {
        let was_free = now.0.saturating_sub(self.sought_at.0) < taking::AGAIN_MS;
        let is_over = self.seen.lease.as_ref().is_some_and(|lease| lease.is_over);
        let until = Moment(now.0 + self.terms.lease_ms / 2);
        self.doubt = (was_free && !is_over && self.is_held_by_twin()).then_some((now, until));
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
        let is_taking_over = self.is_held_by_twin() && self.order.is_none();
        self.what_forbids_moves().filter(|_| is_taking_over)
    }

    /// Why nothing moves by itself now.
    pub(super) fn what_forbids_moves(&self) -> Option<(Reason, String)> {
        if self.may_move() {
            return None;
        }
        if self.seen.is_paused {
            return Some((Reason::OnAdminRequest, "automatic moves are paused; resume allows them again".into()));
        }
        let what = format!("{} automatic moves lately are enough; recover allows more", self.seen.moves_lately);
        Some((Reason::FailoverLimit, what))
    }

    /// Whether a free lease is this node's to take: a backup leaves a domain nobody serves to the home node for a while,
    /// and a home node that could not serve to the backup that could.
    fn is_this_turn(&self, now: Moment) -> bool {
        let has_waited = now.0.saturating_sub(self.started.0) >= self.terms.patience_ms;
        match self.holder() {
            Some(_) => true,
            None if self.is_home() && (self.seen.unfit.is_none() || self.twin_obstacle().is_some()) => true,
            None => (has_waited && self.twin_obstacle().is_some()) || self.is_long_free(now),
        }
    }

    /// Free for so long that the home node, fit as it says it is, will not come.
    fn is_long_free(&self, now: Moment) -> bool {
        let patience = 2 * self.terms.patience_ms;
        self.lease_still_since.is_some_and(|since| now.0.saturating_sub(since.0) >= patience)
    }

    pub(super) fn ask(&mut self, now: Moment, right: Right, out: &mut Vec<Action>) {
        let is_ours = self.holder() == Some(self.terms.node.as_str());
        let handed_in = match &self.seen.lease {
            Some(LeaseView { owner: Some(owner), epoch, .. }) if *owner == self.terms.node => Some(*epoch),
            Some(_) | None => None,
        };
        let former = self.holder().filter(|holder| *holder != self.terms.node).map(str::to_owned);
        let ends_sessions_of = if right == Right::Dead { None } else { former };
        // What is ours because an answer was lost on its way is asked for again for the same cause.
        if self.order.is_none() && !(self.unanswered.is_some() && is_ours) {
            self.cause = Some(self.handed_by_twin().unwrap_or_else(|| self.cause_of(&right)));
        }
        let detect_ms = self.lease_still_since.map_or(0, |still| now.0.saturating_sub(still.0));
        let is_move = is_ours && self.was_handed;
        self.duty = Duty::Taking(Unopened { handed_in, is_move, since: now, detect_ms, opened: None });
        out.push(Action::AskLease { right, above: self.epoch_max, ends_sessions_of });
    }

    /// Why the twin handed the domain over, if it did: in its own words where they were seen in time.
    fn handed_by_twin(&self) -> Option<(Reason, String)> {
        if self.holder() != Some(self.terms.node.as_str()) {
            return None;
        }
        let said = self.seen.twin.as_ref().and_then(|twin| twin.standing.as_ref());
        // Who has handed over stands by already when it is looked at, for the same reason.
        let said = said.filter(|standing| {
            let is_at_it = matches!(standing.state, State::FailingOver | State::FallingBack);
            is_at_it || (self.was_handed && standing.reason != Reason::Initialization)
        });
        let twin = self.terms.twin.as_deref().unwrap_or_default();
        let unsaid = || (Reason::OnAdminRequest, format!("node {twin} handed the domain over"));
        said.map(|standing| (standing.reason, standing.why.clone())).or_else(|| self.was_handed.then(unsaid))
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
        let is_mine = self.holder().is_none_or(|holder| holder == self.terms.node);
        // A holder that took it at the last moment has the time of a move to carry it out.
        let left_alone_ms = if is_mine { 0 } else { self.terms.patience_ms + self.terms.move_ms };
        let Some(order) = self.next_order(left_alone_ms) else { return };
        match order.kind {
            OrderKind::Pause | OrderKind::Resume => out.push(Action::Answer(order.done("noted"))),
            OrderKind::Recover => {
                (self.seek_from, self.ask_from) = (now, now);
                self.seen.moves_lately = 0;
                out.push(Action::Answer(order.done("tries again now")));
            }
            OrderKind::Fallback if self.is_home() && is_mine => {
                self.seen.is_idle = false;
                out.push(Action::Answer(order.done("nobody serves the domain: its home node takes it")));
            }
            OrderKind::Failover if self.is_held_by_twin() => self.force(now, order, out),
            OrderKind::Fallback if self.is_home() && self.is_held_by_twin() => self.force(now, order, out),
            OrderKind::Failover | OrderKind::Fallback | OrderKind::SwitchOver | OrderKind::Sweep => {
                let why = match self.holder().filter(|_| !is_mine) {
                    Some(who) => format!("node {who} serves the domain and does not carry out orders; try failover"),
                    None => "nobody serves the domain at this moment; give it again when somebody does".to_owned(),
                };
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
