//! By which right a lease is had, and how it is handed over: what the old holder can still do afterwards is nothing.

use std::sync::Arc;
use std::time::Duration;

use tandem_muc::store::{Acquired, Ask, Epoch, HandOver, Lease, LeaseSeen, Marks, Right, SqlStore, StoreError};
use tandem_muc_core::muc::RoomConfig;
use tandem_muc_core::record::{Record, Seq};

use crate::place::{Place, SERVICE, ask, fence, marked, reign};
use crate::records::{created, fact, hall, load, spoken};

const TWIN_GETS_IT: HandOver<'static> = HandOver {
    name: SERVICE,
    node: "a",
    epoch: Epoch(1),
    to: "b",
    ttl_ms: 60_000,
    mark: Some(7),
    inbound: Some("cafe:12+14"),
    passes_on: false,
};

async fn seen(store: &SqlStore) -> LeaseSeen {
    store.see_lease(SERVICE).await.expect("answers").expect("a lease")
}

async fn take(store: &SqlStore, node: &str, right: Right<'_>) -> Option<Lease> {
    match store.acquire(&ask(node, 60_000, right)).await.expect("answers") {
        Acquired::Lease(lease) => Some(lease),
        Acquired::HeldBy { .. } => None,
    }
}

fn silent(seen: &LeaseSeen) -> Right<'static> {
    Right::Silent { epoch: seen.epoch, expires_ms: seen.expires_ms }
}

pub(crate) async fn a_lease_is_seen_with_its_fence(place: Arc<Place>) {
    let store = place.store().await;
    assert_eq!(store.see_lease(SERVICE).await.expect("answers"), None);
    let epoch = reign(&store).await;
    let inbound = Marks { mark: Some(1), inbound: Some("cafe:3"), ..Marks::default() };
    store.append(&fence(epoch, 0), &[], inbound).await.expect("ours");
    let held = seen(&store).await;
    assert!((50_000..=60_000).contains(&held.expires_in_ms), "{held:?}");
    let expected = LeaseSeen {
        owner: Some("a".into()),
        epoch,
        fence_epoch: epoch,
        seq: 1,
        mark: 1,
        inbound: Some("cafe:3".into()),
        ..held.clone()
    };
    assert_eq!(held, expected);
    tokio::time::sleep(Duration::from_millis(5)).await;
    assert!(store.renew(SERVICE, "a", epoch, 60_000).await.expect("answers"));
    assert!(seen(&store).await.expires_ms > held.expires_ms, "a renewal shows");
    store.release(SERVICE, "a", epoch).await.expect("answers");
    let free = seen(&store).await;
    assert_eq!((free.owner, free.epoch, free.expires_ms), (None, epoch, 0));
    assert!(free.expires_in_ms < 0);
}

pub(crate) async fn a_silent_lease_is_taken_if_it_is_still_as_it_was_seen(place: Arc<Place>) {
    let (store, twin) = (place.store().await, place.store().await);
    let epoch = reign(&store).await;
    let before = seen(&twin).await;
    tokio::time::sleep(Duration::from_millis(5)).await;
    assert!(store.renew(SERVICE, "a", epoch, 60_000).await.expect("answers"));
    assert_eq!(take(&twin, "b", silent(&before)).await, None, "the row changed meanwhile");
    let now = seen(&twin).await;
    let other_epoch = Right::Silent { epoch: Epoch(epoch.0 + 1), expires_ms: now.expires_ms };
    assert_eq!(take(&twin, "b", other_epoch).await, None);
    assert_eq!(seen(&twin).await.owner.as_deref(), Some("a"));
    let taken = take(&twin, "b", silent(&now)).await.expect("nothing changed");
    assert_eq!(taken.epoch, Epoch(2));
    assert!(!store.renew(SERVICE, "a", epoch, 60_000).await.expect("answers"));
    let stale = store.append(&fence(epoch, 0), &[], Marks::default()).await;
    assert!(matches!(stale, Err(StoreError::Fenced { by: Epoch(2) })), "{stale:?}");
}

pub(crate) async fn of_eight_who_find_a_lease_silent_one_gets_it(place: Arc<Place>) {
    let store = place.store().await;
    reign(&store).await;
    let right = silent(&seen(&store).await);
    let racers = (0..8).map(|nth| {
        let place = place.clone();
        tokio::spawn(async move {
            let store = SqlStore::open(&place.config()).await.expect("opens");
            take(&store, &format!("node{nth}"), right).await
        })
    });
    let mut winners = Vec::new();
    for racer in racers.collect::<Vec<_>>() {
        winners.extend(racer.await.expect("no panic"));
    }
    assert_eq!(winners.iter().map(|lease| lease.epoch).collect::<Vec<_>>(), [Epoch(2)]);
    assert_eq!(seen(&store).await.fence_epoch, Epoch(2));
}

pub(crate) async fn a_new_epoch_exceeds_what_was_seen_elsewhere(place: Arc<Place>) {
    let store = place.store().await;
    let above = |node, right, above| Ask { above: Epoch(above), ..ask(node, 60_000, right) };
    let epoch_of = async |asked: Ask<'_>| match store.acquire(&asked).await.expect("answers") {
        Acquired::Lease(lease) => lease.epoch,
        held @ Acquired::HeldBy { .. } => panic!("{held:?}"),
    };
    assert_eq!(epoch_of(above("a", Right::Free, 10)).await, Epoch(11));
    assert_eq!(epoch_of(above("b", silent(&seen(&store).await), 4)).await, Epoch(12));
    let lock = store.session_lock(SERVICE).await.expect("answers").expect("free");
    assert_eq!(epoch_of(above("c", Right::Dead(&lock), 12)).await, Epoch(13));
    assert_eq!(epoch_of(above("c", Right::Dead(&lock), 20)).await, Epoch(21), "the database went back meanwhile");
    let held = seen(&store).await;
    assert_eq!((held.epoch, held.fence_epoch), (Epoch(21), Epoch(21)));
    store.append(&fence(Epoch(21), 0), &[], Marks::default()).await.expect("ours");
}

pub(crate) async fn what_is_handed_over_is_taken_up_with_all_that_came_along(place: Arc<Place>) {
    let (store, twin) = (place.store().await, place.store().await);
    let epoch = reign(&store).await;
    store.append(&fence(epoch, 0), &[fact(created(RoomConfig::default()))], marked(0)).await.expect("ours");
    for _ in 0..2 {
        let next = store.hand_over(&TWIN_GETS_IT).await.expect("answers");
        assert_eq!(next, Some(Epoch(2)), "also if the answer was lost the first time");
    }
    let stale = store.append(&fence(epoch, 1), &[fact(Record::Unlocked)], marked(8)).await;
    assert!(matches!(stale, Err(StoreError::Fenced { by: Epoch(2) })), "{stale:?}");
    assert!(!store.renew(SERVICE, "a", epoch, 60_000).await.expect("answers"));
    store.release(SERVICE, "a", epoch).await.expect("answers");

    assert_eq!(take(&twin, "a", Right::Free).await, None, "the giver has to wait as anybody has");
    let lock = twin.session_lock(SERVICE).await.expect("answers").expect("free");
    let taken = take(&twin, "b", Right::Dead(&lock)).await;
    let expected = Lease { epoch: Epoch(3), before: Epoch(2), seq: 1, mark: 7, inbound: Some("cafe:12+14".into()) };
    assert_eq!(taken, Some(expected));
    twin.append(&fence(Epoch(3), 1), &[fact(Record::Unlocked)], Marks::default()).await.expect("the target's");
    assert!(twin.renew(SERVICE, "b", Epoch(3), 60_000).await.expect("answers"));
    let late = store.hand_over(&TWIN_GETS_IT).await.expect("answers");
    assert_eq!(late, Some(Epoch(2)), "also if the target has taken it up by the time the answer is asked for again");
}

pub(crate) async fn only_the_holder_hands_over(place: Arc<Place>) {
    let store = place.store().await;
    let epoch = reign(&store).await;
    let before = seen(&store).await;
    let wrong = [
        HandOver { epoch: Epoch(epoch.0 + 1), ..TWIN_GETS_IT },
        HandOver { epoch: Epoch(0), ..TWIN_GETS_IT },
        HandOver { node: "b", to: "a", ..TWIN_GETS_IT },
        HandOver { name: "other.example.org", ..TWIN_GETS_IT },
    ];
    for wrong in wrong {
        assert_eq!(store.hand_over(&wrong).await.expect("answers"), None, "{wrong:?}");
    }
    place.sql("UPDATE muc_fence SET epoch = 40");
    assert_eq!(store.hand_over(&TWIN_GETS_IT).await.expect("answers"), None, "the fence is another's");
    place.sql("UPDATE muc_fence SET epoch = 1");
    let after = seen(&store).await;
    assert_eq!(LeaseSeen { expires_in_ms: before.expires_in_ms, ..after }, before, "nothing was written");
    store.append(&fence(epoch, 0), &[], Marks::default()).await.expect("still ours");
}

pub(crate) async fn the_target_finds_all_that_was_written_before(place: Arc<Place>) {
    let (store, twin) = (place.store().await, place.store().await);
    let epoch = reign(&store).await;
    store.append(&fence(epoch, 0), &[fact(created(RoomConfig::default()))], Marks::default()).await.expect("ours");
    let writer = {
        let store = store.clone();
        tokio::spawn(async move {
            let mut after = 1;
            loop {
                let speech = [fact(Record::Spoken(Arc::new(spoken(after, "hello"))))];
                match store.append(&fence(epoch, after), &speech, Marks::default()).await {
                    Ok(()) => after += 1,
                    Err(StoreError::Fenced { by }) => return (after, by),
                    Err(error) => panic!("{error}"),
                }
            }
        })
    };
    tokio::time::sleep(Duration::from_millis(100)).await;
    let next = store.hand_over(&HandOver { mark: None, ..TWIN_GETS_IT }).await.expect("answers").expect("ours");
    let lock = twin.session_lock(SERVICE).await.expect("answers").expect("free");
    let lease = take(&twin, "b", Right::Dead(&lock)).await.expect("handed over");
    let (written, by) = writer.await.expect("no panic");
    assert_eq!((lease.seq, lease.before, lease.mark), (written, next, 0));
    assert!((next..=lease.epoch).contains(&by), "{by:?}");
    assert_eq!(load(&twin, &hall()).await.expect("a room").last_seq, Seq(written - 1));
}

pub(crate) async fn what_is_handled_moves_with_the_group(place: Arc<Place>) {
    let store = place.store().await;
    let epoch = reign(&store).await;
    let said = |seq| fact(Record::Spoken(Arc::new(spoken(seq, "hello"))));
    let groups = [
        (vec![fact(created(RoomConfig::default()))], Some("cafe:1"), "cafe:1"),
        (vec![said(1)], Some("cafe:2"), "cafe:2"),
        (vec![said(2)], None, "cafe:2"),
        (vec![fact(Record::Unlocked), said(3)], None, "cafe:2"),
        (vec![], Some("cafe:2+4"), "cafe:2+4"),
        (vec![fact(Record::Unlocked)], Some("cafe:4"), "cafe:4"),
    ];
    for (after, (facts, inbound, expected)) in (0..).zip(groups) {
        let marks = Marks { mark: None, inbound, ..Marks::default() };
        for _ in 0..2 {
            store.append(&fence(epoch, after), &facts, marks).await.expect("once or again");
        }
        assert_eq!(seen(&store).await.inbound.as_deref(), Some(expected), "group {after}");
    }
    let marks = Marks { mark: Some(6), inbound: Some("cafe:99"), ..Marks::default() };
    for facts in [vec![], vec![said(4)], vec![fact(Record::Unlocked)]] {
        let stale = store.append(&fence(Epoch(epoch.0 - 1), 6), &facts, marks).await;
        assert!(matches!(stale, Err(StoreError::Fenced { .. })), "{stale:?}");
    }
    let place = seen(&store).await;
    assert_eq!((place.mark, place.inbound.as_deref()), (0, Some("cafe:4")));
    let lease = take(&store, "b", silent(&place)).await.expect("nothing changed");
    assert_eq!((lease.seq, lease.inbound.as_deref()), (6, Some("cafe:4")), "the next holder is told");
}
