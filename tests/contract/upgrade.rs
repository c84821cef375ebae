//! From one schema to the next: what was there is there still, whoever asks knows the database again.

use std::sync::Arc;

use tandem_muc::store::{Acquired, Epoch, Lease, Marks, Page, Right, SqlStore};

use crate::place::{Place, SERVICE, ask, fence};

/// The tables as version 1 made them.
const FIRST: [&str; 2] =
    [include_str!("../../schema/sqlite/0001_rooms.sql"), include_str!("../../schema/postgres/0001_rooms.sql")];

pub(crate) async fn a_database_of_schema_1_is_brought_up_with_its_data(place: Arc<Place>) {
    let is_postgres = place.is_postgres();
    // Not at the line's beginning, where sqlite3 would take the comment for an option.
    place.sql(&format!(" {}", FIRST[usize::from(is_postgres)]));
    place.sql("CREATE TABLE muc_schema_version (version_no BIGINT NOT NULL PRIMARY KEY, applied_ms BIGINT NOT NULL)");
    place.sql("INSERT INTO muc_schema_version (version_no, applied_ms) VALUES (1, 0)");
    place.sql(&format!("INSERT INTO muc_lease VALUES ('{SERVICE}', NULL, 7, 0)"));
    place.sql(&format!("INSERT INTO muc_fence VALUES ('{SERVICE}', 7, 42, 41)"));
    let hash = if is_postgres { "'\\x00'" } else { "X'00'" };
    place.sql(&format!(
        "INSERT INTO muc_room (room_id, name_hash, service_txt, name_txt, state_txt, is_public, is_persistent, title_txt,
         config_txt, occupant_salt, creator_txt, created_ms, last_seq)
         VALUES (1, {hash}, '{SERVICE}', 'hall', 'open', 1, 1, 'The hall', '{{}}', '00', 'olga@example.org', 0, 5)"
    ));
    let store = SqlStore::open(&place.config()).await.expect("opens");
    assert_eq!(store.schema().await.expect("answers"), Some(1));
    let nodes: Vec<_> = (0..2)
        .map(|_| {
            let place = place.clone();
            tokio::spawn(async move {
                let store = SqlStore::open(&place.config()).await.expect("opens");
                store.migrate().await.expect("migrates")
            })
        })
        .collect();
    let mut applied = Vec::new();
    for node in nodes {
        applied.extend(node.await.expect("no panic"));
    }
    applied.sort_unstable();
    assert_eq!(applied, (2..=SqlStore::SCHEMA).collect::<Vec<_>>(), "one node did it, the other found it done");
    let lease = store.acquire(&ask("a", 60_000, Right::Free)).await.expect("answers");
    assert_eq!(lease, Acquired::Lease(Lease { epoch: Epoch(8), before: Epoch(7), seq: 42, mark: 41, inbound: None }));
    let inbound = Marks { mark: None, inbound: Some("cafe:1"), ..Marks::default() };
    store.append(&fence(Epoch(8), 42), &[], inbound).await.expect("ours");
    let rooms = store.public_rooms(SERVICE, Page::First, 10).await.expect("readable").rooms;
    assert_eq!(rooms.iter().map(|(_, title)| title.as_str()).collect::<Vec<_>>(), ["The hall"]);
    assert!(store.nodes().await.expect("answers").is_empty());
}

pub(crate) async fn a_database_keeps_its_identity(place: Arc<Place>) {
    place.store().await;
    let askers: Vec<_> = (0..6)
        .map(|_| {
            let place = place.clone();
            tokio::spawn(async move {
                let store = SqlStore::open(&place.config()).await.expect("opens");
                store.database_id().await.expect("answers")
            })
        })
        .collect();
    let mut ids = Vec::new();
    for asker in askers {
        ids.push(asker.await.expect("no panic"));
    }
    let store = place.store().await.named("a", SERVICE);
    ids.push(store.database_id().await.expect("answers"));
    let clock = store.database_clock().await.expect("answers").expect("it has an identity");
    let ours = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_millis();
    assert!(ours.abs_diff(clock.0.unsigned_abs().into()) < 10_000, "{clock:?}, here {ours}");
    ids.dedup();
    assert!(ids.len() == 1 && ids[0].len() == 36, "{ids:?}");
    assert_eq!(place.sql("SELECT COUNT(*) FROM muc_database"), "1");
}

pub(crate) async fn settings_that_endanger_something_are_told(place: Arc<Place>) {
    let store = place.store().await;
    let hints = store.hints().await.expect("answers");
    let concerns: Vec<&str> =
        hints.iter().filter(|hint| hint.concern.is_some()).map(|hint| hint.setting.as_str()).collect();
    if place.is_postgres() {
        assert_eq!(concerns, ["synchronous_standby_names"], "{hints:?}");
        let free = hints.iter().find(|hint| hint.setting == "free_connections").expect("told");
        assert!(free.value.parse::<i64>().is_ok_and(|free| (50..200).contains(&free)), "{free:?}");
    } else {
        let values: Vec<(&str, &str)> = hints.iter().map(|hint| (hint.setting.as_str(), hint.value.as_str())).collect();
        assert_eq!(values, [("journal_mode", "wal"), ("synchronous", "2")]);
        assert_eq!(concerns, [""; 0]);
    }
}
