//! Session locks of PostgreSQL: advisory locks, each held by a connection of its own that does nothing else.

use std::time::Duration;

use super::{PostgresEngine, PostgresWire};
use crate::store::connection::{Held, Purpose, Wire};
use crate::store::error::StoreError;
use crate::store::key;

/// How long one statement waits for a lock, see [`wait_text`].
pub(super) const LOCK_WAIT_MS: u64 = 100;

const TRY_LOCK: &str = "SELECT CASE WHEN pg_try_advisory_lock(?) THEN 1 ELSE 0 END";

impl PostgresEngine {
    pub(super) async fn take_lock(&self, name: &str) -> Result<Option<Held>, StoreError> {
        let mut wire = self.open_for_lock().await?;
        let is_taken = self.try_lock(&mut wire, lock_number(name)).await?;
        Ok(is_taken.then(|| Held::Session(Box::new(wire))))
    }

    pub(super) async fn await_lock(&self, name: &str) -> Result<Held, StoreError> {
        let number = lock_number(name);
        let wait = wait_text(number);
        let mut wire = self.open_for_lock().await?;
        // A lock that the waiting brought is this session's already, so that trying gets it once more.
        while !self.try_lock(&mut wire, number).await? {
            let waited = async { wire.script(&wait).await.map_err(|trouble| trouble.at("muc_lease")) };
            within(self.answer_ms + LOCK_WAIT_MS, waited).await?;
        }
        Ok(Held::Session(Box::new(wire)))
    }

    /// A connection that may hold a session lock; no longer than an answer may take.
    async fn open_for_lock(&self) -> Result<PostgresWire, StoreError> {
        within(self.answer_ms, async { Ok(self.open(Purpose::Lock).await?) }).await
    }

    /// Whether the lock is this session's now.
    async fn try_lock(&self, wire: &mut PostgresWire, number: i64) -> Result<bool, StoreError> {
        let asked = async { wire.fetch(TRY_LOCK, &[number.into()]).await.map_err(|trouble| trouble.at("muc_lease")) };
        let taken = within(self.answer_ms, asked).await?;
        Ok(taken.into_iter().next().is_some_and(|mut row| row.int() == Ok(1)))
    }
}

/// The number a lock of that name has.
fn lock_number(name: &str) -> i64 {
    let hash = key::of_text(name);
    i64::from_be_bytes(hash[..8].try_into().expect("a hash is longer than eight bytes"))
}

/// Waits for a lock, `lock_timeout` at most. One long statement would wait as well, but a statement keeps its snapshot:
/// nothing written meanwhile, in the whole database, could be cleaned up, and the fence's row would have a trail of
/// millions. Caught inside the block, the timeout is no error in the server's log either.
fn wait_text(number: i64) -> String {
    format!("DO $$ BEGIN PERFORM pg_advisory_lock({number}); EXCEPTION WHEN lock_not_available THEN NULL; END $$")
}

/// The outcome, if it comes within an answer's time.
async fn within<T>(limit_ms: u64, call: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    let Ok(result) = tokio::time::timeout(Duration::from_millis(limit_ms), call).await else {
        return Err(StoreError::Unavailable(format!("postgres did not answer within {limit_ms} ms").into()));
    };
    result
}
