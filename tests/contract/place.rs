//! A fresh, empty database for one case, and what a case may ask of it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use tandem_muc::store::{Acquired, Ask, Epoch, Fence, Marks, Right, SqlStore, StoreConfig};
use tandem_muc_tests::postgres::Postgres;
use tempfile::TempDir;

/// The service all cases speak of.
pub(crate) const SERVICE: &str = "conference.example.org";

/// Where a case runs.
pub(crate) enum Place {
    /// A file.
    Sqlite { folder: TempDir },
    /// A database on the shared server.
    Postgres { server: Arc<Mutex<Postgres>>, database: String },
}

impl Place {
    pub(crate) fn is_postgres(&self) -> bool {
        matches!(self, Place::Postgres { .. })
    }

    pub(crate) fn url(&self) -> String {
        match self {
            Place::Sqlite { .. } => format!("sqlite:{}", self.file().display()),
            Place::Postgres { server, database } => lock(server).url(database),
        }
    }

    /// The database file.
    pub(crate) fn file(&self) -> PathBuf {
        match self {
            Place::Sqlite { folder } => folder.path().join("rooms.db"),
            Place::Postgres { .. } => panic!("PostgreSQL is no file"),
        }
    }

    pub(crate) fn config(&self) -> StoreConfig {
        self.config_answering(5_000)
    }

    pub(crate) fn config_answering(&self, answer_ms: u64) -> StoreConfig {
        StoreConfig { url: self.url().into(), answer_ms }
    }

    /// A store with its tables made.
    pub(crate) async fn store(&self) -> SqlStore {
        let store = SqlStore::open(&self.config()).await.expect("opens");
        store.migrate().await.expect("migrates");
        store
    }

    /// What an operator would type: a statement and what it gives.
    pub(crate) fn sql(&self, statement: &str) -> String {
        match self {
            Place::Sqlite { .. } => {
                let mut sqlite = std::process::Command::new("sqlite3");
                let done = sqlite.arg("-batch").arg(self.file()).arg(".timeout 5000").arg(statement).output();
                let done = done.expect("sqlite3 is installed");
                assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
                String::from_utf8_lossy(&done.stdout).trim().to_owned()
            }
            Place::Postgres { server, database } => lock(server).sql(database, statement).expect("psql"),
        }
    }
}

pub(crate) fn lock(server: &Mutex<Postgres>) -> std::sync::MutexGuard<'_, Postgres> {
    server.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A fence of `epoch` for the group after `after`.
pub(crate) fn fence(epoch: Epoch, after: i64) -> Fence {
    Fence { service: SERVICE.into(), epoch, after, next: after + 1 }
}

/// A request of `node` for the lease of [`SERVICE`].
pub(crate) fn ask<'a>(node: &'a str, ttl_ms: u64, right: Right<'a>) -> Ask<'a> {
    Ask { name: SERVICE, node, ttl_ms, right, above: Epoch(0) }
}

/// Marks that say what was spoken.
pub(crate) fn marked(mark: i64) -> Marks<'static> {
    Marks { mark: Some(mark), inbound: None, ..Marks::default() }
}

/// The lease of [`SERVICE`], taken for node a.
pub(crate) async fn reign(store: &SqlStore) -> Epoch {
    match store.acquire(&ask("a", 60_000, Right::Free)).await.expect("answers") {
        Acquired::Lease(lease) => lease.epoch,
        held @ Acquired::HeldBy { .. } => panic!("{held:?}"),
    }
}
