//! Damage: one room's matter, never all rooms'.

use std::sync::Arc;

use tandem_muc::store::{Fact, HistoryWanted, Marks, Page, StoreError};
use tandem_muc_core::muc::RoomConfig;
use tandem_muc_core::record::{Message, Record, RoomId};

use crate::place::{Place, SERVICE, fence, reign};
use crate::records::{HALL, bare, created, fact, hall, load, spoken};

pub(crate) async fn a_damaged_row_concerns_its_room_alone(place: Arc<Place>) {
    let store = place.store().await;
    let epoch = reign(&store).await;
    let yard = bare("yard@conference.example.org");
    let facts = [
        fact(created(RoomConfig::default())),
        fact(Record::Unlocked),
        Fact { room: RoomId(42), jid: yard.clone(), record: created(RoomConfig::default()) },
        Fact { room: RoomId(42), jid: yard.clone(), record: Record::Unlocked },
        fact(Record::Spoken(Arc::new(spoken(1, "a")))),
    ];
    store.append(&fence(epoch, 0), &facts, Marks::default()).await.expect("written");
    for (spoil, table) in [
        ("UPDATE muc_room SET config_txt = '{\"title\": 7' WHERE room_id = 41", "muc_room"),
        ("UPDATE muc_room SET config_txt = '{}', state_txt = 'ajar' WHERE room_id = 41", "muc_room"),
        (
            "UPDATE muc_room SET state_txt = 'open' WHERE room_id = 41; UPDATE muc_message SET sender_txt = '@'",
            "muc_message",
        ),
    ] {
        place.sql(spoil);
        let answer = store.load_room(SERVICE, &hall(), HistoryWanted::UpTo(50)).await;
        let Err(StoreError::Damaged { table: told, what }) = answer else { panic!("{spoil}: {answer:?}") };
        assert_eq!(told, table, "{what}");
        assert!(what.contains("hall@conference.example.org"), "{what}");
        assert!(load(&store, &yard).await.is_some());
        assert_eq!(store.public_rooms(SERVICE, Page::Last, 1).await.expect("readable").rooms[0].0, yard);
    }
}

pub(crate) async fn a_group_with_a_fact_that_cannot_be_kept_is_refused_whole(place: Arc<Place>) {
    let store = place.store().await;
    let epoch = reign(&store).await;
    let first = [fact(created(RoomConfig::default())), fact(Record::Spoken(Arc::new(spoken(1, "a"))))];
    store.append(&fence(epoch, 0), &first, Marks::default()).await.expect("written");
    let before = load(&store, &hall()).await;
    let good = fact(Record::Spoken(Arc::new(spoken(2, "b"))));
    let number_twice = fact(Record::Spoken(Arc::new(Message { archive_id: "other".into(), ..spoken(1, "c") })));
    let id_twice = fact(Record::Spoken(Arc::new(Message { archive_id: "archive-1".into(), ..spoken(9, "c") })));
    let nowhere = Fact { room: RoomId(999), ..fact(Record::Unlocked) };
    for bad in [number_twice, id_twice, nowhere] {
        let groups = [vec![good.clone(), bad.clone()], vec![fact(Record::Unlocked), good.clone(), bad.clone()]];
        for group in groups {
            let answer = store.append(&fence(epoch, 1), &group, Marks::default()).await;
            assert!(matches!(answer, Err(StoreError::Damaged { .. })), "{bad:?}: {answer:?}");
            assert_eq!(load(&store, &hall()).await, before, "nothing of the group is written");
        }
    }
    store
        .append(&fence(epoch, 1), &[good], Marks::default())
        .await
        .expect("the others can be written at the same place");
    assert_eq!(load(&store, &hall()).await.expect("a room").id, HALL);
}
