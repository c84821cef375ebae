//! When the database goes away: every call says so in time, and works again when it is back.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tandem_muc::store::{Marks, SqlStore, StoreError};
use tandem_muc_core::muc::RoomConfig;
use tandem_muc_core::record::{Record, Seq};
use tandem_muc_tests::postgres::{Ending, Postgres};

use crate::place::{Place, SERVICE, fence, lock, reign};
use crate::records::{created, fact, hall, load, spoken};

pub(crate) async fn a_restarted_database_is_found_again(_: Arc<Place>) {
    // A server of its own: after a crash PostgreSQL looks at every file it has, and the shared one has many.
    let server = Postgres::start().expect("starts as the shared one did").expect("is installed");
    let server = Arc::new(Mutex::new(server));
    let own = Place::Postgres { server: server.clone(), database: "postgres".into() };
    let store = own.store().await;
    let epoch = reign(&store).await;
    store.append(&fence(epoch, 0), &[fact(created(RoomConfig::default()))], Marks::default()).await.expect("written");
    lock(&server).stop(Ending::Fast);
    lock(&server).resume().expect("starts again");
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert!(store.renew(SERVICE, "a", epoch, 60_000).await.expect("whoever did not ask meanwhile notices nothing"));
    load(&store, &hall()).await.expect("a room");
    for (after, ending) in (1..).zip([Ending::Fast, Ending::Immediate]) {
        let speech = [fact(Record::Spoken(Arc::new(spoken(after, "a"))))];
        lock(&server).stop(ending);
        for _ in 0..2 {
            let away = store.append(&fence(epoch, after), &speech, Marks::default()).await;
            assert!(matches!(away, Err(StoreError::Unavailable(_))), "{away:?}");
            let away = store.renew(SERVICE, "a", epoch, 60_000).await;
            assert!(matches!(away, Err(StoreError::Unavailable(_))), "{away:?}");
            let away = store.occupied_rooms(SERVICE).await;
            assert!(matches!(away, Err(StoreError::Unavailable(_))), "{away:?}");
        }
        lock(&server).resume().expect("starts again");
        store.append(&fence(epoch, after), &speech, Marks::default()).await.expect("written");
        assert!(store.renew(SERVICE, "a", epoch, 60_000).await.expect("answers"));
        assert_eq!(load(&store, &hall()).await.expect("a room").last_seq, Seq(after));
    }
}

pub(crate) async fn a_call_takes_no_longer_than_it_may(place: Arc<Place>) {
    let patient = place.store().await;
    let epoch = reign(&patient).await;
    patient.append(&fence(epoch, 0), &[fact(created(RoomConfig::default()))], Marks::default()).await.expect("written");
    let store = SqlStore::open(&place.config_answering(300)).await.expect("opens");
    let speech = [fact(Record::Spoken(Arc::new(spoken(1, "a"))))];
    let blocker = tokio::task::spawn_blocking({
        let place = place.clone();
        move || match &*place {
            Place::Postgres { .. } => {
                place.sql("BEGIN; SELECT 1 FROM muc_fence FOR UPDATE; SELECT pg_sleep(2); COMMIT");
            }
            Place::Sqlite { .. } => hold_file(&place),
        }
    });
    tokio::time::sleep(Duration::from_millis(500)).await;
    let begun = Instant::now();
    let answer = store.append(&fence(epoch, 1), &speech, Marks::default()).await;
    assert!(matches!(answer, Err(StoreError::Unavailable(_))), "{answer:?}");
    assert!(begun.elapsed() < Duration::from_millis(900), "{:?}", begun.elapsed());
    blocker.await.expect("no panic");
    store.append(&fence(epoch, 1), &speech, Marks::default()).await.expect("written, now or before");
    assert_eq!(load(&store, &hall()).await.expect("a room").last_seq, Seq(1));
}

/// Keeps the database file locked for two seconds, as a backup tool gone wrong would.
fn hold_file(place: &Place) {
    let mut holder = std::process::Command::new("sqlite3");
    let held = holder.arg(place.file()).args(["BEGIN IMMEDIATE", ".shell sleep 2", "COMMIT"]).status();
    assert!(held.expect("sqlite3 is installed").success());
}
