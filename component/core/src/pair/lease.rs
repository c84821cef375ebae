//! The lease as a standby sees it: whose, how old, and by what right it may be taken. Clocks of nodes are never
//! compared: the database's clock says when a lease is over, and this node's own monotonic clock for how long its row
//! has not changed, which also holds where the database's clock jumps.

use super::{Duty, Pair};
use crate::time::Moment;

/// The lease's row.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LeaseView {
    /// Who has it; nobody after it was given back.
    pub owner: Option<String>,
    /// The reign.
    pub epoch: i64,
    /// When it ends, by the database's clock: changes with every renewal.
    pub expires_ms: i64,
    /// Whether that has passed.
    pub is_over: bool,
}

/// By what right a lease is asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Right {
    /// It has no owner, or has run out by the database's clock.
    Free,
    /// The session lock is ours: the session that had it is gone.
    Dead,
    /// Its row stands still for longer than a lease, or an operator says so: taken if it is still exactly this.
    Silent {
        /// The epoch seen.
        epoch: i64,
        /// The end seen.
        expires_ms: i64,
    },
}

/// Beyond the lease itself, so that one late beat of the holder's or of our own does not count.
const SLACK_MS: u64 = 500;

impl Pair {
    pub(super) fn see_lease(&mut self, now: Moment, lease: Option<&LeaseView>) {
        self.settle_doubt(now, lease);
        let is_same = self.seen.lease.as_ref() == lease
            || matches!((&self.seen.lease, lease), (Some(a), Some(b))
                if (&a.owner, a.epoch, a.expires_ms) == (&b.owner, b.epoch, b.expires_ms));
        if !is_same || self.lease_still_since.is_none() {
            self.lease_still_since = Some(now);
            let came_by_itself =
                self.lease_seen_at.is_some() && self.duty == Duty::Waiting && self.unanswered.is_none();
            let was_ours = self.is_ours(self.seen.lease.as_ref());
            // An old view, on its way for long, tells of nothing new.
            let is_new = lease.is_some_and(|lease| lease.epoch >= self.epoch_max);
            self.was_handed = self.is_ours(lease) && (self.was_handed || (came_by_itself && is_new && !was_ours));
        }
        self.lease_seen_at = Some(now);
        // Taken up: the lock is the other's, and this node waits for it again.
        if self.handed.is_some_and(|handed| lease.is_some_and(|lease| lease.epoch > handed)) {
            self.handed = None;
            (self.seek_from, self.ask_from) = (now, now);
        }
        self.seen.lease = lease.cloned();
        self.epoch_max = self.epoch_max.max(lease.map_or(0, |lease| lease.epoch));
    }

    /// An answer that was lost is of nothing any more when the lease is another's well after it: what becomes this node's
    /// later is handed to it. A look that is as old as the answer does not tell.
    fn settle_doubt(&mut self, now: Moment, lease: Option<&LeaseView>) {
        let is_ours = self.is_ours(lease);
        self.unanswered.take_if(|since| !is_ours && now.0.saturating_sub(since.0) > self.terms.lease_ms);
    }

    fn is_ours(&self, lease: Option<&LeaseView>) -> bool {
        lease.is_some_and(|lease| lease.owner.as_deref() == Some(self.terms.node.as_str()))
    }

    /// The lease is `owner`'s since this moment, which is known before it is seen.
    pub(super) fn know_lease(&mut self, now: Moment, owner: String, epoch: i64) {
        let expires_ms = self.seen.lease.as_ref().map_or(0, |lease| lease.expires_ms);
        self.seen.lease = Some(LeaseView { owner: Some(owner), epoch, expires_ms, is_over: false });
        self.lease_still_since = Some(now);
        self.was_handed = false;
    }

    /// Who has the lease, if somebody does.
    pub fn holder(&self) -> Option<&str> {
        self.seen.lease.as_ref()?.owner.as_deref()
    }

    pub(super) fn is_held_by_twin(&self) -> bool {
        self.holder().is_some() && self.holder() == self.terms.twin.as_deref()
    }

    /// Somebody has it, and renews it, who is neither this node nor its twin.
    pub(super) fn stranger(&self, now: Moment) -> Option<&str> {
        let holder = self.holder()?;
        let is_stranger = holder != self.terms.node && Some(holder) != self.terms.twin.as_deref();
        let is_renewed =
            self.seen.lease.as_ref().is_some_and(|lease| !lease.is_over) && self.right_by_time(now).is_none();
        (is_stranger && is_renewed).then_some(holder)
    }

    /// The right that needs no session lock, if there is one now. After this node was blind the holder was perhaps
    /// blind too: it gets the time of a lease to go on. Only what was seen counts: a node that was stopped itself wakes
    /// up with an old view, and must not disturb a holder that is well.
    pub(super) fn right_by_time(&self, now: Moment) -> Option<Right> {
        let seen_at = self.lease_seen_at?;
        if now.0.saturating_sub(seen_at.0) > self.terms.lease_ms {
            return None;
        }
        let until_seen_ms = |since: Moment| seen_at.0.saturating_sub(since.0);
        let seen_ms = until_seen_ms(self.sees_since?);
        let still_ms = until_seen_ms(self.lease_still_since?).min(seen_ms);
        let Some(LeaseView { owner: Some(_), epoch, expires_ms, is_over }) = self.seen.lease else {
            return (still_ms > self.terms.lease_ms).then_some(Right::Free);
        };
        if seen_ms < self.terms.lease_ms {
            return None;
        }
        // A clock that jumps ends no lease: its row has to stand still too.
        if is_over && still_ms >= self.terms.lease_ms / 2 {
            return Some(Right::Free);
        }
        (still_ms > self.terms.lease_ms + SLACK_MS).then_some(Right::Silent { epoch, expires_ms })
    }
}
