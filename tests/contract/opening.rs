//! Before it runs: what a person has to mend is said in one sentence, naming the right thing.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::sync::Arc;

use tandem_muc::store::{Acquired, Ask, OpenError, Right, SqlStore, StoreConfig};
use tandem_muc_tests::postgres::PASSWORD;

use crate::place::{Place, SERVICE, ask, lock};

async fn open(url: &str) -> Result<SqlStore, OpenError> {
    SqlStore::open(&StoreConfig { url: url.into(), answer_ms: 5_000 }).await
}

pub(crate) async fn wrong_urls_say_what_is_wrong(_: Arc<Place>) {
    for url in ["rooms.db", "mysql://a/b", "sqlite:", "sqlite::memory:", "sqlite:/a?mode=ro", "postgres://a:b@:x/"] {
        let refused = open(url).await;
        assert!(matches!(refused, Err(OpenError::WrongUrl { .. })), "{url}: {refused:?}");
    }
    let refused = open("sqlite:/nowhere/at/all/rooms.db").await;
    assert!(matches!(&refused, Err(OpenError::NoFolder { folder }) if folder == "/nowhere/at/all"), "{refused:?}");
}

pub(crate) async fn a_newer_schema_is_refused(place: Arc<Place>) {
    let store = SqlStore::open(&place.config()).await.expect("opens");
    assert_eq!(store.schema().await.expect("answers"), None);
    assert_eq!(store.migrate().await.expect("migrates"), (1..=SqlStore::SCHEMA).collect::<Vec<_>>());
    assert_eq!(store.migrate().await.expect("migrates"), [0_u32; 0]);
    assert_eq!(store.schema().await.expect("answers"), Some(SqlStore::SCHEMA));
    place.sql("INSERT INTO muc_schema_version (version_no, applied_ms) VALUES (99, 0)");
    for refused in [store.schema().await.err(), store.migrate().await.err()] {
        let refused = refused.expect("refused");
        assert!(matches!(refused, OpenError::NewerSchema { found: 99, known: SqlStore::SCHEMA, .. }), "{refused:?}");
        assert!(refused.to_string().contains("schema 99"), "{refused}");
    }
}

pub(crate) async fn several_nodes_migrate_at_once(place: Arc<Place>) {
    let mut nodes = Vec::new();
    for _ in 0..4 {
        let place = place.clone();
        nodes.push(tokio::spawn(async move {
            let store = SqlStore::open(&place.config()).await.expect("opens");
            store.migrate().await.expect("migrates")
        }));
    }
    let mut applied = Vec::new();
    for node in nodes {
        applied.extend(node.await.expect("no panic"));
    }
    applied.sort_unstable();
    assert_eq!(
        applied,
        (1..=SqlStore::SCHEMA).collect::<Vec<_>>(),
        "each step was done by one node, the others found it done"
    );
}

pub(crate) async fn a_database_that_cannot_be_written_is_told(place: Arc<Place>) {
    let store = place.store().await;
    if let Place::Postgres { server, database } = &*place {
        let read_only = format!("ALTER DATABASE {database} SET default_transaction_read_only = on");
        lock(server).sql("postgres", &read_only).expect("psql");
        let refused = SqlStore::open(&place.config()).await;
        assert!(matches!(refused, Err(OpenError::ReadOnly { .. })), "{refused:?}");
        return;
    }
    store.close().await;
    let file = place.file();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o444)).expect("chmod");
    std::fs::set_permissions(file.parent().expect("a folder"), std::fs::Permissions::from_mode(0o755)).expect("chmod");
    let may_write = std::fs::OpenOptions::new().write(true).open(&file).is_ok();
    if may_write {
        // Root may write everything: ask as somebody else.
        assert_eq!(ask_as_nobody(&file), "ReadOnly");
    } else {
        let refused = SqlStore::open(&place.config()).await;
        assert!(matches!(refused, Err(OpenError::ReadOnly { .. })), "{refused:?}");
    }
}

/// The name of the first argument that makes this program open a database and tell what came of it.
pub(crate) const OPEN_AND_TELL: &str = "--open-and-tell";

/// Runs this program once more as an ordinary user, to open `file`.
fn ask_as_nobody(file: &std::path::Path) -> String {
    const NOBODY: u32 = 65_534;
    let folder = tempfile::TempDir::new().expect("a temporary directory");
    let program = folder.path().join("contract");
    std::fs::copy(std::env::current_exe().expect("this program"), &program).expect("copied");
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).expect("chmod");
    let asked = std::process::Command::new(&program)
        .arg(OPEN_AND_TELL)
        .arg(format!("sqlite:{}", file.display()))
        .uid(NOBODY)
        .gid(NOBODY)
        .output()
        .expect("started");
    String::from_utf8_lossy(&asked.stdout).trim().to_owned()
}

/// What [`ask_as_nobody`] wants to hear: the name of the error.
pub(crate) async fn open_and_tell(url: &str) -> String {
    match open(url).await {
        Ok(_) => "opened".to_owned(),
        Err(refused) => {
            format!("{refused:?}").split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default().to_owned()
        }
    }
}

pub(crate) async fn a_wrong_password_and_a_missing_database_are_told_apart(place: Arc<Place>) {
    let right = place.url();
    let password = PASSWORD.replace(' ', "%20");
    let refused = open(&right.replace(&password, "battery")).await.expect_err("refused");
    assert!(matches!(refused, OpenError::WrongPassword { .. }), "{refused:?}");
    assert!(!refused.to_string().contains("battery"), "the password is not told: {refused}");
    let refused = open(&right.replace("/case_", "/no_case_")).await.expect_err("refused");
    assert!(matches!(refused, OpenError::NoSuchDatabase { .. }), "{refused:?}");
    let Place::Postgres { server, .. } = &*place else { unreachable!("a case for PostgreSQL") };
    let port = lock(server).port();
    let closed = open(&right.replace(&format!(":{port}/"), ":9/")).await.expect_err("refused");
    assert!(matches!(closed, OpenError::Unreachable { .. }), "{closed:?}");
    let url = { lock(server).socket_url("postgres") };
    open(&url).await.expect("the Unix socket is a way too");
}

pub(crate) async fn a_file_that_is_no_database_is_told(place: Arc<Place>) {
    std::fs::write(place.file(), "Dear diary, today nothing happened. ".repeat(50)).expect("written");
    let refused = SqlStore::open(&place.config()).await;
    assert!(matches!(refused, Err(OpenError::NotADatabase { .. })), "{refused:?}");
}

pub(crate) async fn the_file_is_for_its_owner_alone(place: Arc<Place>) {
    let store = place.store().await;
    let _lock = store.session_lock(SERVICE).await.expect("answers").expect("free");
    for file in std::fs::read_dir(place.file().parent().expect("a folder")).expect("readable").flatten() {
        let mode = file.metadata().expect("readable").permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", file.path().display());
    }
}

pub(crate) async fn a_probe_tells_the_version(place: Arc<Place>) {
    let store = place.store().await;
    let name = if place.is_postgres() { "PostgreSQL 1" } else { "SQLite 3." };
    let probe = store.probe().await.expect("answers");
    assert!(probe.version.starts_with(name), "{probe:?}");
    assert_eq!(store.kind() == "postgres", place.is_postgres());
    assert!(store.tail(SERVICE, 0).await.expect("readable").is_empty());
    store.close().await;
}

/// Locks of this process on the file survive that another store opens it: else the other program, on leaving, would
/// take the write-ahead log along.
pub(crate) async fn other_programs_may_use_the_file_meanwhile(place: Arc<Place>) {
    let store = place.store().await;
    place.store().await;
    for nth in 1..4 {
        place.sql(&format!("INSERT INTO muc_lease VALUES ('s{nth}', 'b', {nth}, 99999999999999)"));
        let held = store.acquire(&Ask { name: &format!("s{nth}"), ..ask("a", 1, Right::Free) }).await.expect("answers");
        assert!(matches!(held, Acquired::HeldBy { .. }), "{held:?}");
    }
    let mut log = place.file().into_os_string();
    log.push("-wal");
    assert!(std::path::Path::new(&log).exists(), "the log is in use");
}

pub(crate) async fn tls_is_spoken_where_the_url_asks_for_it(place: Arc<Place>) {
    let Place::Postgres { server, .. } = &*place else { unreachable!("a case for PostgreSQL") };
    let url = place.url().replace("sslmode=disable", "sslmode=require");
    let refused = open(&url).await.expect_err("the server speaks no TLS yet");
    assert!(matches!(refused, OpenError::Tls { .. }), "{refused:?}");
    lock(server).enable_tls().expect("openssl is installed");
    for _ in 0..50 {
        if let Ok(store) = open(&url).await {
            store.probe().await.expect("answers");
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    open(&url).await.expect("five seconds after it was told to");
}
