//! Lease, fence and session lock: who may write.

use std::sync::Arc;
use std::time::Duration;

use tandem_muc::store::{Acquired, Epoch, Lease, Marks, Right, SqlStore, StoreError};

use crate::place::{Place, SERVICE, ask, fence, marked, reign};

pub(crate) async fn a_lease_is_given_once_and_comes_with_the_fence(place: Arc<Place>) {
    let store = place.store().await;
    let taken = store.acquire(&ask("a", 60_000, Right::Free)).await.expect("answers");
    assert_eq!(taken, Acquired::Lease(Lease { epoch: Epoch(1), before: Epoch(0), seq: 0, mark: 0, inbound: None }));
    let held = store.acquire(&ask("b", 60_000, Right::Free)).await.expect("answers");
    let Acquired::HeldBy { node, epoch, expires_in_ms } = held else { panic!("{held:?}") };
    assert_eq!((node.as_str(), epoch), ("a", Epoch(1)));
    assert!((50_000..=60_000).contains(&expires_in_ms), "{expires_in_ms}");

    store.append(&fence(Epoch(1), 0), &[], marked(0)).await.expect("ours");
    store.append(&fence(Epoch(1), 1), &[], marked(1)).await.expect("ours");
    store.release(SERVICE, "a", Epoch(1)).await.expect("answers");
    let taken = store.acquire(&ask("b", 60_000, Right::Free)).await.expect("answers");
    assert_eq!(taken, Acquired::Lease(Lease { epoch: Epoch(2), before: Epoch(1), seq: 2, mark: 1, inbound: None }));
    let stale = store.append(&fence(Epoch(1), 2), &[], Marks::default()).await;
    assert!(matches!(stale, Err(StoreError::Fenced { by: Epoch(2) })), "{stale:?}");
}

pub(crate) async fn of_eight_who_ask_at_once_one_gets_the_lease(place: Arc<Place>) {
    place.store().await;
    let mut asking = Vec::new();
    for nth in 0..8 {
        let place = place.clone();
        asking.push(tokio::spawn(async move {
            let store = SqlStore::open(&place.config()).await.expect("opens");
            store.acquire(&ask(&format!("node{nth}"), 60_000, Right::Free)).await.expect("answers")
        }));
    }
    let mut winners = Vec::new();
    for asked in asking {
        if let Acquired::Lease(lease) = asked.await.expect("no panic") {
            winners.push(lease.epoch);
        }
    }
    assert_eq!(winners, [Epoch(1)]);
}

pub(crate) async fn a_lease_that_ran_out_is_anybodys(place: Arc<Place>) {
    let store = place.store().await;
    store.acquire(&ask("a", 1, Right::Free)).await.expect("answers");
    tokio::time::sleep(Duration::from_millis(30)).await;
    let taken = store.acquire(&ask("b", 60_000, Right::Free)).await.expect("answers");
    assert_eq!(taken, Acquired::Lease(Lease { epoch: Epoch(2), before: Epoch(1), seq: 0, mark: 0, inbound: None }));
    assert!(!store.renew(SERVICE, "a", Epoch(1), 60_000).await.expect("answers"));
}

pub(crate) async fn renewing_and_releasing_are_for_the_holder_alone(place: Arc<Place>) {
    let store = place.store().await;
    let epoch = reign(&store).await;
    assert!(store.renew(SERVICE, "a", epoch, 60_000).await.expect("answers"));
    assert!(!store.renew(SERVICE, "b", epoch, 60_000).await.expect("answers"));
    assert!(!store.renew(SERVICE, "a", Epoch(epoch.0 + 1), 60_000).await.expect("answers"));
    assert!(!store.renew("other.example.org", "a", epoch, 60_000).await.expect("answers"));
    store.release(SERVICE, "b", epoch).await.expect("answers");
    assert!(matches!(store.acquire(&ask("b", 1, Right::Free)).await, Ok(Acquired::HeldBy { .. })));
    store.release(SERVICE, "a", epoch).await.expect("answers");
    assert!(matches!(store.acquire(&ask("b", 1, Right::Free)).await, Ok(Acquired::Lease(_))));
}

pub(crate) async fn a_lease_is_stolen_only_with_the_session_lock(place: Arc<Place>) {
    let store = place.store().await;
    reign(&store).await;
    let twin = SqlStore::open(&place.config()).await.expect("opens");
    let other = twin.session_lock("other.example.org").await.expect("answers").expect("free");
    let refused = twin.acquire(&ask("b", 60_000, Right::Dead(&other))).await.expect("answers");
    assert!(matches!(refused, Acquired::HeldBy { .. }), "{refused:?}");
    let lock = twin.session_lock(SERVICE).await.expect("answers").expect("free");
    let taken = twin.acquire(&ask("b", 60_000, Right::Dead(&lock))).await.expect("answers");
    assert_eq!(taken, Acquired::Lease(Lease { epoch: Epoch(2), before: Epoch(1), seq: 0, mark: 0, inbound: None }));
    let stale = store.append(&fence(Epoch(1), 0), &[], Marks::default()).await;
    assert!(matches!(stale, Err(StoreError::Fenced { by: Epoch(2) })), "{stale:?}");
}

pub(crate) async fn a_session_lock_ends_with_its_session(place: Arc<Place>) {
    let (store, twin) = (place.store().await, place.store().await);
    let mut lock = store.session_lock(SERVICE).await.expect("answers").expect("free");
    assert!(lock.is_alive().await);
    assert!(twin.session_lock(SERVICE).await.expect("answers").is_none(), "held by another session");
    assert!(store.session_lock(SERVICE).await.expect("answers").is_none(), "held by this process");
    drop(lock);
    until_free(&twin).await;
}

/// Waits, a second at most, until the session lock can be had.
async fn until_free(store: &SqlStore) {
    for _ in 0..100 {
        if store.session_lock(SERVICE).await.expect("answers").is_some() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the session lock is not free within a second");
}

/// On SQLite a killed process closes the file, which [`a_session_lock_ends_with_its_session`] covers.
pub(crate) async fn a_killed_session_gives_its_lock_back(place: Arc<Place>) {
    let (store, twin) = (place.store().await, place.store().await);
    let mut lock = store.session_lock(SERVICE).await.expect("answers").expect("free");
    let killed = place.sql(
        "SELECT count(pg_terminate_backend(l.pid)) FROM pg_locks l JOIN pg_database d ON d.oid = l.database
         WHERE l.locktype = 'advisory' AND d.datname = current_database()",
    );
    assert_eq!(killed, "1");
    until_free(&twin).await;
    assert!(!lock.is_alive().await);
}

pub(crate) async fn a_fence_restored_ahead_of_its_lease_is_overtaken(place: Arc<Place>) {
    let store = place.store().await;
    let epoch = reign(&store).await;
    store.release(SERVICE, "a", epoch).await.expect("answers");
    place.sql("UPDATE muc_fence SET epoch = 40");
    let taken = store.acquire(&ask("b", 60_000, Right::Free)).await.expect("answers");
    assert_eq!(taken, Acquired::Lease(Lease { epoch: Epoch(41), before: Epoch(40), seq: 0, mark: 0, inbound: None }));
    assert!(store.renew(SERVICE, "b", Epoch(41), 60_000).await.expect("answers"));
    store.append(&fence(Epoch(41), 0), &[], Marks::default()).await.expect("ours");
}
