//! The fence: one reign, one place in the order of groups; everything else writes nothing.

use std::sync::Arc;
use std::time::Duration;

use tandem_muc::store::{Acquired, Epoch, Fence, Marks, Right, SqlStore, StoreError};
use tandem_muc_core::muc::RoomConfig;
use tandem_muc_core::record::{Message, MessageKind, Record, Seq};

use crate::place::{Place, SERVICE, ask, fence, marked, reign};
use crate::records::{created, fact, hall, load, spoken};

fn said(seq: i64) -> Record {
    Record::Spoken(Arc::new(spoken(seq, "hello")))
}

pub(crate) async fn a_stale_epoch_and_a_wrong_place_write_nothing(place: Arc<Place>) {
    let store = place.store().await;
    let epoch = reign(&store).await;
    store.append(&fence(epoch, 0), &[fact(created(RoomConfig::default()))], Marks::default()).await.expect("ours");
    let before = load(&store, &hall()).await;
    let unlock = [fact(Record::Unlocked)];
    let speech = [fact(said(1))];
    for facts in [&unlock, &speech] {
        for wrong in [
            fence(Epoch(epoch.0 - 1), 1),
            fence(Epoch(epoch.0 + 1), 1),
            fence(epoch, 2),
            Fence { after: 0, next: 5, ..fence(epoch, 0) },
            Fence { service: "other.example.org".into(), ..fence(epoch, 1) },
        ] {
            let answer = store.append(&wrong, facts, Marks::default()).await;
            assert!(matches!(answer, Err(StoreError::Fenced { .. })), "{wrong:?}: {answer:?}");
        }
    }
    assert_eq!(load(&store, &hall()).await, before);
    store.append(&fence(epoch, 1), &speech, Marks::default()).await.expect("nothing was used up");
}

pub(crate) async fn repeating_an_append_whose_answer_was_lost_is_harmless(place: Arc<Place>) {
    let store = place.store().await;
    let epoch = reign(&store).await;
    let opening = [fact(created(RoomConfig::default())), fact(said(1))];
    let speech = [fact(said(2)), fact(said(3))];
    for _ in 0..3 {
        store.append(&fence(epoch, 0), &opening, Marks::default()).await.expect("once or again");
    }
    for _ in 0..3 {
        store.append(&fence(epoch, 1), &speech, Marks::default()).await.expect("once or again");
    }
    let image = load(&store, &hall()).await.expect("a room");
    let numbers: Vec<Seq> = image.history.iter().map(|message| message.seq).collect();
    assert_eq!(numbers, [Seq(1), Seq(2), Seq(3)]);
    let late = store.append(&fence(epoch, 0), &opening, Marks::default()).await;
    assert!(matches!(late, Err(StoreError::Fenced { .. })), "only the last group can be repeated: {late:?}");
}

pub(crate) async fn the_tail_after_a_mark_is_what_was_written_since(place: Arc<Place>) {
    let store = place.store().await;
    let epoch = reign(&store).await;
    store.append(&fence(epoch, 0), &[fact(created(RoomConfig::default()))], Marks::default()).await.expect("ours");
    for group in 1..5 {
        let subject = Message { kind: MessageKind::Subject, ..spoken(group * 10 + 2, "subject") };
        let facts = [fact(said(group * 10 + 1)), fact(Record::Spoken(Arc::new(subject)))];
        store.append(&fence(epoch, group), &facts, marked(group)).await.expect("ours");
    }
    let tail = store.tail(SERVICE, 3).await.expect("readable");
    let numbers: Vec<i64> = tail.iter().map(|(_, message)| message.seq.0).collect();
    assert_eq!(numbers, [31, 32, 41, 42], "group 4 wrote what came after mark 3");
    assert_eq!(tail[0], (hall(), spoken(31, "hello")));
    assert!(store.tail("other.example.org", 0).await.expect("readable").is_empty());
}

pub(crate) async fn an_old_holder_cannot_write_while_a_new_one_takes_over(place: Arc<Place>) {
    let store = place.store().await;
    let epoch = reign(&store).await;
    store.append(&fence(epoch, 0), &[fact(created(RoomConfig::default()))], Marks::default()).await.expect("ours");
    let writer = {
        let store = store.clone();
        tokio::spawn(async move {
            let mut after = 1;
            loop {
                match store.append(&fence(epoch, after), &[fact(said(after))], Marks::default()).await {
                    Ok(()) => after += 1,
                    Err(StoreError::Fenced { by }) => return (after, by),
                    Err(error) => panic!("{error}"),
                }
            }
        })
    };
    tokio::time::sleep(Duration::from_millis(100)).await;
    let twin = SqlStore::open(&place.config()).await.expect("opens");
    let lock = twin.session_lock(SERVICE).await.expect("answers").expect("free");
    let Acquired::Lease(lease) = twin.acquire(&ask("b", 60_000, Right::Dead(&lock))).await.expect("answers") else {
        panic!("the session lock is in hand");
    };
    let (written, by) = writer.await.expect("no panic");
    assert_eq!((lease.seq, lease.epoch), (written, by), "what the new holder saw last is what the old one wrote last");
    let image = load(&store, &hall()).await.expect("a room");
    assert_eq!(image.last_seq, Seq(written - 1));
}
