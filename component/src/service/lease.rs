//! The lease of one domain: had before anything is spoken, renewed while it serves, given back at the end.
//!
//! The session lock tells at once that a former holder is dead; without it the lease is waited out.

use std::time::Duration;

use tokio::sync::watch;
use tracing::{info, warn};

use super::{DomainStatus, Phase, turned};
use crate::store::{Acquired, Ask, Epoch, Lease, OpenError, Right, SessionLock, SqlStore, StoreError};

/// How often a lease held by another is asked for again.
const RETRY: Duration = Duration::from_millis(250);

/// A lease this node holds.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) lease: Lease,
    lock: SessionLock,
}

/// What a lease is asked with.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    pub(super) store: SqlStore,
    pub(super) domain: String,
    pub(super) node: String,
    pub(super) ttl_ms: u64,
}

impl Terms {
    /// Waits for the lease; `None` if told to stop before it could be had.
    pub(super) async fn acquire(
        &self,
        status: &DomainStatus,
        stop: &mut watch::Receiver<bool>,
    ) -> Result<Option<Held>, OpenError> {
        let mut told = String::new();
        loop {
            let attempt = tokio::select! {
                attempt = self.attempt() => attempt,
                () = turned(stop) => return Ok(None),
            };
            let obstacle = match attempt {
                Ok(Ok(held)) => return Ok(Some(held)),
                Ok(Err(holder)) => holder,
                Err(why) => why.to_string(),
            };
            if told.split(';').next() != obstacle.split(';').next() {
                warn!(domain = self.domain, "lease: {obstacle}; waiting");
                told.clone_from(&obstacle);
            }
            status.enter(Phase::WaitingForLease(obstacle));
            tokio::select! {
                () = tokio::time::sleep(RETRY) => {}
                () = turned(stop) => return Ok(None),
            }
        }
    }

    async fn attempt(&self) -> Result<Result<Held, String>, StoreError> {
        let Some(lock) = self.store.session_lock(&self.domain).await? else {
            return Ok(Err("another living process serves this domain from this database".to_owned()));
        };
        let ask = Ask {
            name: &self.domain,
            node: &self.node,
            ttl_ms: self.ttl_ms,
            right: Right::Dead(&lock),
            above: Epoch(0),
        };
        match self.store.acquire(&ask).await? {
            Acquired::Lease(lease) => {
                info!(domain = self.domain, epoch = lease.epoch.0, "lease: ours");
                Ok(Ok(Held { lease, lock }))
            }
            Acquired::HeldBy { node, epoch, expires_in_ms } => {
                Ok(Err(format!("held by node {node} in epoch {}; it ends in {expires_in_ms} ms", epoch.0)))
            }
        }
    }

    /// Renews until `stop`; ends early, saying so, when the lease is another's.
    pub(super) async fn keep(self, mut held: Held, status: DomainStatus, mut stop: watch::Receiver<bool>) -> Kept {
        let mut beat = tokio::time::interval(Duration::from_millis(self.ttl_ms / 4));
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let epoch = held.lease.epoch;
        loop {
            tokio::select! {
                () = turned(&mut stop) => break,
                _ = beat.tick() => {}
            }
            let renewed = self.store.renew(&self.domain, &self.node, epoch, self.ttl_ms).await;
            status.note_store(renewed.is_ok());
            match renewed {
                Ok(true) => {}
                Ok(false) => {
                    warn!(domain = self.domain, epoch = epoch.0, "lease: lost to another node; stepping down");
                    return Kept::Lost;
                }
                Err(why) => {
                    tracing::debug!(domain = self.domain, %why, "lease: not renewed; the fence decides");
                    continue;
                }
            }
            self.take_lock_again(&mut held).await;
        }
        if let Err(why) = self.store.release(&self.domain, &self.node, epoch).await {
            warn!(domain = self.domain, %why, "lease: not given back; it runs out by itself");
        }
        Kept::GivenBack
    }

    /// A session lock dies with its connection; a database that was away took it along.
    async fn take_lock_again(&self, held: &mut Held) {
        if held.lock.is_alive().await {
            return;
        }
        match self.store.session_lock(&self.domain).await {
            Ok(Some(lock)) => held.lock = lock,
            Ok(None) | Err(_) => tracing::debug!(domain = self.domain, "lease: session lock not had again yet"),
        }
    }
}

/// How a lease ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kept {
    /// Told to stop.
    GivenBack,
    /// Another node has it.
    Lost,
}
