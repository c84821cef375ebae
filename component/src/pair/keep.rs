//! Having and keeping: the session lock, the lease, its renewal, its handing over - each a task that reports back.

use std::sync::Arc;
use std::time::Duration;

use tandem_muc_core::pair::{Event, Right};
use tokio::sync::{Mutex, mpsc};
use tokio::time::{Instant, sleep, timeout};
use tracing::{debug, info, warn};

use super::Setup;
use super::look::{Look, Looker};
use crate::reign::Frozen;
use crate::store::{self, Acquired, Ask, Epoch, HandOver, Lease, SessionLock, StoreError};

/// The pause before a hand-over whose answer was lost is asked again.
const AGAIN: Duration = Duration::from_millis(50);

/// The sessions of a process that ended are gone within this, which is many times what it takes.
const DYING: Duration = Duration::from_millis(120);
const PAUSE: Duration = Duration::from_millis(5);
/// How long a lock is left to its holder, who waits for it.
const LEFT: Duration = Duration::from_millis(500);

/// What comes back to the driver's loop.
#[derive(Debug)]
pub(super) enum Back {
    /// For the engine, as it is.
    Event(Event),
    /// A look, or why there was none.
    Looked(Result<Box<Look>, String>),
    /// To look once more: the look before may have missed something.
    Nudge,
    /// The session lock, with the look that came with it.
    Lock(SessionLock, Result<Box<Look>, String>),
    /// The lease, and when it was asked for.
    Leased(Result<Acquired, StoreError>, Instant),
    /// The lease of this reign was prolonged, by a request of that moment.
    Renewed(u64, Result<bool, StoreError>, Instant),
    /// A freeze of this reign has come about or not.
    Frozen(u64, Result<Frozen, String>),
    /// News of a reign, by its number.
    News(u64, crate::reign::News),
    /// The ends of a reign's health.
    Vitals(u64, crate::reign::Vitals),
}

/// The session lock in hand, if there is one.
pub(super) type LockBox = Arc<Mutex<Option<SessionLock>>>;

pub(super) type BackTo = mpsc::UnboundedSender<Back>;

/// Waits for the session lock. One that a holder lost with its connection alone is left to it.
pub(super) async fn seek_lock(looker: Looker, unfit: Option<String>, back: BackTo) {
    let store = &looker.setup.reign.store;
    loop {
        let lock = match store.wait_session_lock(&looker.setup.reign.stream.domain).await {
            Ok(lock) => lock,
            Err(why) => {
                debug!(%why, "lease: the wait for the session lock ended");
                let _ = back.send(Back::Event(Event::LockGone));
                return;
            }
        };
        let look = looker.look(unfit.clone()).await;
        if let Ok(look) = &look
            && let Some(holder) = lives(&looker, look).await
        {
            let domain = &looker.setup.reign.stream.domain;
            info!(domain, holder, "lease: its holder has lost the session lock and lives; the lock is left to it");
            drop(lock);
            sleep(LEFT).await;
            continue;
        }
        let _ = back.send(Back::Lock(lock, look.map(Box::new).map_err(|why| why.to_string())));
        return;
    }
}

/// The other node that has the lease, if the database still has the sessions it had when its lock became free: those
/// of a process that ended go with it.
async fn lives(looker: &Looker, look: &Look) -> Option<String> {
    let Setup { reign, terms, .. } = &*looker.setup;
    let lease = look.sighting.lease.as_ref().filter(|lease| !lease.is_over)?;
    let holder = lease.owner.clone().filter(|owner| *owner != terms.node)?;
    let sessions = || reign.store.sessions_of(&holder, &reign.stream.domain);
    let began = Instant::now();
    let before = sessions().await.ok()?;
    loop {
        let now = sessions().await.ok()?;
        if !before.iter().any(|session| now.contains(session)) {
            return None;
        }
        if began.elapsed() >= DYING {
            return Some(holder);
        }
        sleep(PAUSE).await;
    }
}

/// Asks for the lease.
pub(super) async fn ask(
    setup: Arc<Setup>,
    lock: LockBox,
    right: Right,
    above: i64,
    ends_sessions_of: Option<String>,
    back: BackTo,
) {
    let (store, domain) = (&setup.reign.store, setup.reign.stream.domain.as_str());
    if let Some(node) = ends_sessions_of {
        match store.end_sessions(&node, domain).await {
            Ok(0) => {}
            Ok(sessions) => info!(domain, node, sessions, "ended the database sessions of the node before"),
            Err(why) => warn!(domain, node, %why, "could not end the database sessions of the node before"),
        }
    }
    let asked_at = Instant::now();
    let held = lock.lock().await;
    let right = match (&right, held.as_ref()) {
        (Right::Dead, Some(lock)) => store::Right::Dead(lock),
        (Right::Dead | Right::Free, _) => store::Right::Free,
        (Right::Silent { epoch, expires_ms }, _) => {
            store::Right::Silent { epoch: Epoch(*epoch), expires_ms: *expires_ms }
        }
    };
    let ttl_ms = setup.terms.lease_ms;
    let request = Ask { name: domain, node: &setup.terms.node, ttl_ms, right, above: Epoch(above) };
    let acquired = store.acquire(&request).await;
    drop(held);
    let _ = back.send(Back::Leased(acquired, asked_at));
}

/// Prolongs the lease. A database that hangs is given up before the lease ends.
pub(super) async fn renew(setup: Arc<Setup>, nth: u64, epoch: Epoch, back: BackTo) {
    let asked_at = Instant::now();
    let ttl_ms = setup.terms.lease_ms;
    let renewing = setup.reign.store.renew(&setup.reign.stream.domain, &setup.terms.node, epoch, ttl_ms);
    let renewed = match timeout(Duration::from_millis(ttl_ms), renewing).await {
        Ok(renewed) => renewed,
        Err(_) => Err(StoreError::Unavailable(format!("no answer within {ttl_ms} ms").into())),
    };
    let _ = back.send(Back::Renewed(nth, renewed, asked_at));
}

/// Hands the lease over; asked until the database has said what became of it.
pub(super) async fn hand_over(setup: Arc<Setup>, lease: Lease, to: String, frozen: Frozen, back: BackTo) {
    let handed = HandOver {
        name: &setup.reign.stream.domain,
        node: &setup.terms.node,
        epoch: lease.epoch,
        to: &to,
        ttl_ms: setup.terms.lease_ms,
        mark: frozen.mark,
        inbound: frozen.handled.as_deref(),
        passes_on: !frozen.is_relayed,
    };
    let event = loop {
        match setup.reign.store.hand_over(&handed).await {
            Ok(Some(epoch)) => break Event::HandedOver(epoch.0),
            Ok(None) => break Event::LeaseLost,
            Err(StoreError::Unavailable(why)) => {
                debug!(%why, "lease: whether it is handed over is not known yet");
                sleep(AGAIN).await;
            }
            Err(why @ (StoreError::Fenced { .. } | StoreError::Damaged { .. })) => {
                break Event::NotHandedOver(why.to_string());
            }
        }
    };
    let _ = back.send(Back::Event(event));
}
