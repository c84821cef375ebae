//! Lease, fence and session lock: who may write.

use std::sync::Arc;

use tandem_muc::store::{Acquired, Epoch, Lease, StoreError};

use crate::place::{Place, SERVICE, fence};

pub(crate) async fn a_lease_is_given_once_and_comes_with_the_fence(place: Arc<Place>) {
    let store = place.store().await;
    let taken = store.acquire(SERVICE, "a", 60_000, None).await.expect("answers");
    assert_eq!(taken, Acquired::Lease(Lease { epoch: Epoch(1), seq: 0, mark: 0 }));
    let held = store.acquire(SERVICE, "b", 60_000, None).await.expect("answers");
    let Acquired::HeldBy { node, epoch, expires_in_ms } = held else { panic!("{held:?}") };
    assert_eq!((node.as_str(), epoch), ("a", Epoch(1)));
    assert!((50_000..=60_000).contains(&expires_in_ms), "{expires_in_ms}");

    store.append(&fence(Epoch(1), 0), &[], Some(0)).await.expect("ours");
    store.append(&fence(Epoch(1), 1), &[], Some(1)).await.expect("ours");
    store.release(SERVICE, "a", Epoch(1)).await.expect("answers");
    let taken = store.acquire(SERVICE, "b", 60_000, None).await.expect("answers");
    assert_eq!(taken, Acquired::Lease(Lease { epoch: Epoch(2), seq: 2, mark: 1 }));
    let stale = store.append(&fence(Epoch(1), 2), &[], None).await;
    assert!(matches!(stale, Err(StoreError::Fenced { by: Epoch(2) })), "{stale:?}");
}
