//! Sessions and their locks: who waits for one hears of a death at once, who gives up leaves nothing behind, and what
//! a stopped holder keeps locked is freed by ending its sessions.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::{Connection, Executor};
use tandem_muc::store::{Acquired, Marks, Right, SessionLock, SqlStore, StoreError};
use tandem_muc_core::muc::RoomConfig;
use tandem_muc_core::record::Record;
use tokio::task::JoinHandle;

use crate::node::{beat_of, duty_of};
use crate::place::{Place, SERVICE, ask, fence, lock, reign};
use crate::records::{created, fact};

/// Longer than a death takes to be heard of, shorter than any lease.
const AT_ONCE: Duration = Duration::from_millis(500);

/// Locks that anybody has or waits for.
const LOCKS: &str = "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database
     WHERE l.locktype = 'advisory' AND d.datname = current_database()";

fn wait_for_lock(store: &SqlStore) -> JoinHandle<Result<(SessionLock, Instant), StoreError>> {
    let store = store.clone();
    tokio::spawn(async move { Ok((store.wait_session_lock(SERVICE).await?, Instant::now())) })
}

async fn held(store: &SqlStore) -> SessionLock {
    store.session_lock(SERVICE).await.expect("answers").expect("free")
}

pub(crate) async fn who_waits_for_a_session_lock_has_it_once_it_is_free(place: Arc<Place>) {
    let (store, twin) = (place.store().await, place.store().await);
    let mut first = twin.wait_session_lock(SERVICE).await.expect("nobody has it");
    assert!(first.is_alive().await);
    drop(first);
    let lock = store.wait_session_lock(SERVICE).await.expect("free again");
    let waiting = wait_for_lock(&twin);
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert!(!waiting.is_finished(), "the other session lives");
    let dropped = Instant::now();
    drop(lock);
    let (mut lock, had) = waiting.await.expect("no panic").expect("had");
    println!("         had {:?} after it was let go", had - dropped);
    assert!(had - dropped < AT_ONCE, "{:?}", had - dropped);
    assert!(lock.is_alive().await);
    assert!(store.session_lock(SERVICE).await.expect("answers").is_none(), "it is held for sure");
    assert!(matches!(twin.acquire(&ask("b", 60_000, Right::Dead(&lock))).await, Ok(Acquired::Lease(_))));
}

pub(crate) async fn who_gives_up_waiting_leaves_no_lock_behind(place: Arc<Place>) {
    let (store, twin) = (place.store().await, place.store().await);
    let lock = held(&store).await;
    for _ in 0..5 {
        let given_up = tokio::time::timeout(Duration::from_millis(60), twin.wait_session_lock(SERVICE)).await;
        assert!(given_up.is_err(), "it is held");
    }
    let waiting = wait_for_lock(&twin);
    tokio::time::sleep(Duration::from_millis(50)).await;
    waiting.abort();
    let _ = waiting.await;
    drop(lock);
    let third = place.store().await;
    let begun = Instant::now();
    let lock = third.wait_session_lock(SERVICE).await.expect("nobody else wants it");
    assert!(begun.elapsed() < AT_ONCE, "{:?}", begun.elapsed());
    drop(lock);
    if place.is_postgres() {
        let is_clean = async {
            while place.sql(LOCKS) != "0" {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(1), is_clean).await.expect("nothing is left behind");
    }
}

/// On SQLite a killed process closes the file, which [`who_waits_for_a_session_lock_has_it_once_it_is_free`] covers.
pub(crate) async fn a_killed_session_is_heard_of_at_once(place: Arc<Place>) {
    let (store, twin) = (place.store().await, place.store().await);
    let mut lock = held(&store).await;
    let waiting = wait_for_lock(&twin);
    tokio::time::sleep(Duration::from_millis(300)).await;
    let killed = Instant::now();
    // Those that wait are not granted anything; the holder alone is.
    let granted = LOCKS.replace("count(*)", "count(pg_terminate_backend(l.pid))") + " AND l.granted";
    assert_eq!(place.sql(&granted), "1");
    let (mut had, at) = waiting.await.expect("no panic").expect("had");
    println!("         had {:?} after the order to end the other session", at - killed);
    assert!(at - killed < AT_ONCE, "{:?}", at - killed);
    assert!(had.is_alive().await);
    assert!(!lock.is_alive().await);
}

pub(crate) async fn waiting_for_a_lock_holds_up_no_cleaning(place: Arc<Place>) {
    let twin = place.store().await.named("b", SERVICE);
    let lock = held(&place.store().await).await;
    let waiting = wait_for_lock(&twin);
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let old = place.sql(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
         AND (backend_xmin IS NOT NULL OR xact_start IS NOT NULL)
         AND xact_start < clock_timestamp() - interval '500 ms'",
    );
    assert_eq!(old, "0", "no snapshot is older than half a second");
    assert!(!waiting.is_finished());
    drop(lock);
    waiting.await.expect("no panic").expect("had");
}

pub(crate) async fn no_time_limit_ends_waiting_or_holding(place: Arc<Place>) {
    let Place::Postgres { server, database } = &*place else { unreachable!("a case for PostgreSQL") };
    let settings = "statement_timeout lock_timeout idle_in_transaction_session_timeout idle_session_timeout";
    for setting in settings.split(' ') {
        let set = format!("ALTER DATABASE {database} SET {setting} = 150");
        lock(server).sql("postgres", &set).expect("psql");
    }
    let (store, twin) = (place.store().await, place.store().await);
    let mut lock = held(&store).await;
    let waiting = wait_for_lock(&twin);
    tokio::time::sleep(Duration::from_millis(800)).await;
    assert!(!waiting.is_finished() && lock.is_alive().await);
    drop(lock);
    let (mut lock, _) = waiting.await.expect("no panic").expect("had");
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert!(lock.is_alive().await);
}

pub(crate) async fn a_lost_database_ends_the_waiting(place: Arc<Place>) {
    let (store, twin) = (place.store().await, place.store().await);
    let _lock = held(&store).await;
    let waiting = wait_for_lock(&twin);
    tokio::time::sleep(Duration::from_millis(300)).await;
    place.sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()
         AND pid <> pg_backend_pid()",
    );
    let ended = waiting.await.expect("no panic").map(|_| ());
    assert!(matches!(ended, Err(StoreError::Unavailable(_))), "{ended:?}");
}

pub(crate) async fn ending_the_sessions_of_a_stopped_holder_frees_the_fence(place: Arc<Place>) {
    let store = place.store().await;
    let (holder, twin) = (store.named("a", SERVICE), place.store().await.named("b", SERVICE));
    let epoch = reign(&holder).await;
    let mut lock = held(&holder).await;
    if !place.is_postgres() {
        assert_eq!(twin.end_sessions("a", SERVICE).await.expect("answers"), 0, "there are none to end");
        assert!(twin.sessions_of("a", SERVICE).await.expect("answers").is_empty());
        return;
    }
    let named = |node| {
        place.sql(&format!(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'tandem-muc {node} {SERVICE}'"
        ))
    };
    assert_eq!(named("a"), "2", "the lease's and the lock's");
    assert_eq!(twin.sessions_of("a", SERVICE).await.expect("answers").len(), 2);
    assert!(twin.sessions_of("a", "other.example.org").await.expect("answers").is_empty());
    // As a holder does that is stopped between two statements.
    let mut stuck = sqlx::PgConnection::connect(&place.url()).await.expect("connects");
    let label = format!("SET application_name = 'tandem-muc a {SERVICE}'");
    stuck.execute(sqlx::AssertSqlSafe(label)).await.expect("set");
    stuck.execute("BEGIN").await.expect("begun");
    stuck.execute("UPDATE muc_fence SET seq = seq + 1").await.expect("the row is locked now");

    let hasty = SqlStore::open(&place.config_answering(300)).await.expect("opens").named("b", SERVICE);
    let seen = twin.see_lease(SERVICE).await.expect("answers").expect("a lease");
    let right = Right::Silent { epoch, expires_ms: seen.expires_ms };
    let blocked = hasty.acquire(&ask("b", 60_000, right)).await;
    assert!(matches!(blocked, Err(StoreError::Unavailable(_))), "{blocked:?}");
    assert_eq!(twin.end_sessions("a", "other.example.org").await.expect("answers"), 0);
    assert_eq!(twin.end_sessions("aa", SERVICE).await.expect("answers"), 0);
    assert_eq!(named("a"), "3", "nobody else's were ended");

    let begun = Instant::now();
    assert_eq!(twin.end_sessions("a", SERVICE).await.expect("answers"), 3);
    let taken = twin.acquire(&ask("b", 60_000, right)).await.expect("answers");
    println!("         taken {:?} after the order to end the old sessions", begun.elapsed());
    let Acquired::Lease(lease) = taken else { panic!("{taken:?}") };
    assert_eq!((lease.epoch.0, lease.seq), (2, 0), "what was not committed is undone");
    assert!(begun.elapsed() < Duration::from_secs(1));
    assert!(!lock.is_alive().await);
    assert!(twin.session_lock(SERVICE).await.expect("answers").is_some(), "the lock is free too");
    assert!(stuck.execute("COMMIT").await.is_err(), "its session is over");
}

/// A node that was started anew beside its own stopped process.
pub(crate) async fn ending_the_sessions_of_a_namesake_spares_ones_own(place: Arc<Place>) {
    let (old, new) = (place.store().await.named("a", SERVICE), place.store().await.named("a", SERVICE));
    let mut old_lock = held(&old).await;
    old.nodes().await.expect("answers");
    let mut own_lock = new.session_lock("other.example.org").await.expect("answers").expect("free");
    new.nodes().await.expect("answers");
    assert_eq!(new.end_sessions("a", SERVICE).await.expect("answers"), 2);
    new.nodes().await.expect("not interrupted");
    assert!(own_lock.is_alive().await);
    assert!(!old_lock.is_alive().await);
}

pub(crate) async fn named_stores_write_side_by_side(place: Arc<Place>) {
    let store = place.store().await;
    let domains = ["one.example.org", "two.example.org", "three.example.org"];
    let writers = domains.map(|domain| {
        let store = store.named("a", domain);
        tokio::spawn(async move {
            let ask = tandem_muc::store::Ask { name: domain, ..ask("a", 60_000, Right::Free) };
            let Ok(Acquired::Lease(lease)) = store.acquire(&ask).await else { panic!("nobody else is here") };
            for after in 0..30 {
                let fence = tandem_muc::store::Fence { service: domain.into(), ..fence(lease.epoch, after) };
                let append =
                    store.append(&fence, &[], Marks { mark: Some(after), inbound: Some("cafe:1"), ..Marks::default() });
                let duties = [duty_of(domain, "Normal")];
                let (beat, appended, renewed) =
                    tokio::join!(beat_of(&store, "a", &duties), append, store.renew(domain, "a", lease.epoch, 60_000));
                beat.expect("written");
                appended.expect("written");
                assert!(renewed.expect("answers"));
            }
        })
    });
    for writer in writers {
        writer.await.expect("no panic");
    }
    for domain in domains {
        assert_eq!(store.see_lease(domain).await.expect("answers").expect("a lease").seq, 30);
    }
    assert_eq!(store.duties(None).await.expect("answers").len(), 3);
    let epoch = reign(&store).await;
    let facts = [fact(created(RoomConfig::default())), fact(Record::Unlocked)];
    store.append(&fence(epoch, 0), &facts, Marks::default()).await.expect("beside them");
}
