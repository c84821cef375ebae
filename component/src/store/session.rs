//! A connection in use, and the lanes they come from: for the journal, for the lease, for the beat, for readers.
//! What was interrupted in the middle - a timeout, a dropped future, a lost link - never goes back to its lane.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::connection::{Columns, Engine, Purpose, Row, Value, Wire};
use super::error::{OpenError, Reaction, StoreError, Trouble};

/// How long a connection may rest without being asked whether it still lives.
const RESTED_LONG: Duration = Duration::from_secs(1);
const STILL_THERE: &str = "SELECT 1";

/// A portable text and the table it is about, which is named when something is wrong with it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Statement {
    pub(super) table: &'static str,
    pub(super) text: &'static str,
}

impl Statement {
    pub(super) const fn on(table: &'static str, text: &'static str) -> Statement {
        Statement { table, text }
    }
}

/// A connection at rest, and since when.
type Rested = (Instant, Box<dyn Wire>);

/// At most so many connections for one purpose, kept while they are good.
#[derive(Clone)]
pub(super) struct Lane {
    permits: Arc<Semaphore>,
    idle: Arc<Mutex<Vec<Rested>>>,
}

impl Lane {
    pub(super) fn of(connections: usize) -> Lane {
        Lane { permits: Arc::new(Semaphore::new(connections)), idle: Arc::default() }
    }

    /// A connection of this lane, a new one if none is at rest. One that rested long is asked first whether it still
    /// lives: the database may have been started again meanwhile, and nobody need be told.
    pub(super) async fn session(&self, engine: &dyn Engine) -> Result<Session, OpenError> {
        let permit = self.permits.clone().acquire_owned().await.expect("lanes are never closed");
        let wire = match self.rested().await {
            Some(wire) => wire,
            None => engine.connect(Purpose::Work).await?,
        };
        Ok(Session {
            wire: Some(wire),
            is_settled: true,
            in_transaction: false,
            home: Some(self.clone()),
            _permit: Some(permit),
        })
    }

    async fn rested(&self) -> Option<Box<dyn Wire>> {
        let (since, mut wire) = self.idle().pop()?;
        if since.elapsed() < RESTED_LONG || wire.fetch(STILL_THERE, &[]).await.is_ok() {
            return Some(wire);
        }
        // Those that rested beside it are no better.
        self.drain();
        None
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Rested>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connections at rest; the lane makes new ones when asked again.
    pub(super) fn drain(&self) -> Vec<Box<dyn Wire>> {
        std::mem::take(&mut *self.idle()).into_iter().map(|(_, wire)| wire).collect()
    }
}

/// A connection in use.
pub(super) struct Session {
    wire: Option<Box<dyn Wire>>,
    /// Whether every statement begun has ended, and the connection with it has not.
    is_settled: bool,
    in_transaction: bool,
    home: Option<Lane>,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Session {
    /// Around a connection that belongs to no lane.
    pub(super) fn alone(wire: Box<dyn Wire>) -> Session {
        Session { wire: Some(wire), is_settled: true, in_transaction: false, home: None, _permit: None }
    }

    fn begin_call(&mut self) -> Result<&mut dyn Wire, Trouble> {
        let was_settled = std::mem::replace(&mut self.is_settled, false);
        match &mut self.wire {
            Some(wire) if was_settled => Ok(&mut **wire),
            _ => Err(Trouble::lost("the connection is in an unknown state")),
        }
    }

    fn end_call<T>(&mut self, result: Result<T, Trouble>, table: &'static str) -> Result<T, StoreError> {
        self.is_settled = !matches!(&result, Err(trouble) if trouble.reaction == Reaction::Reconnect);
        if let (false, Some(home)) = (self.is_settled, &self.home) {
            home.drain();
        }
        result.map_err(|trouble| trouble.at(table))
    }

    pub(super) async fn execute(&mut self, statement: Statement, values: &[Value<'_>]) -> Result<u64, StoreError> {
        let result = match self.begin_call() {
            Ok(wire) => wire.execute(statement.text, values).await,
            Err(trouble) => Err(trouble),
        };
        self.end_call(result, statement.table)
    }

    pub(super) async fn fetch(&mut self, statement: Statement, values: &[Value<'_>]) -> Result<Vec<Row>, StoreError> {
        let result = match self.begin_call() {
            Ok(wire) => wire.fetch(statement.text, values).await,
            Err(trouble) => Err(trouble),
        };
        self.end_call(result, statement.table)
    }

    /// The first row, if there is one.
    pub(super) async fn fetch_one(
        &mut self,
        statement: Statement,
        values: &[Value<'_>],
    ) -> Result<Option<Row>, StoreError> {
        Ok(self.fetch(statement, values).await?.into_iter().next())
    }

    pub(super) async fn script(&mut self, table: &'static str, text: &str) -> Result<(), StoreError> {
        let result = match self.begin_call() {
            Ok(wire) => wire.script(text).await,
            Err(trouble) => Err(trouble),
        };
        self.end_call(result, table)
    }

    pub(super) async fn begin(&mut self, table: &'static str) -> Result<(), StoreError> {
        self.in_transaction = true;
        let result = match self.begin_call() {
            Ok(wire) => wire.begin().await,
            Err(trouble) => Err(trouble),
        };
        self.end_call(result, table)
    }

    pub(super) async fn commit(&mut self, table: &'static str) -> Result<(), StoreError> {
        self.script(table, "COMMIT").await?;
        self.in_transaction = false;
        Ok(())
    }

    /// Undoes the transaction. Where that fails, the connection is dropped and the database undoes it.
    pub(super) async fn rollback(&mut self, table: &'static str) {
        if self.script(table, "ROLLBACK").await.is_ok() {
            self.in_transaction = false;
        }
    }

    pub(super) async fn insert(&mut self, into: &'static Columns, rows: &[Vec<Value<'_>>]) -> Result<(), StoreError> {
        let result = match self.begin_call() {
            Ok(wire) => wire.insert(into, rows).await,
            Err(trouble) => Err(trouble),
        };
        self.end_call(result, into.table)
    }

    /// See [`Engine::end_sessions`].
    pub(super) async fn end_sessions(&mut self, engine: &dyn Engine, label: &str) -> Result<u64, StoreError> {
        let result = match self.begin_call() {
            Ok(wire) => engine.end_sessions(wire, label).await,
            Err(trouble) => Err(trouble),
        };
        self.end_call(result, "sessions")
    }

    /// See [`Wire::insert_behind`].
    pub(super) async fn insert_behind(
        &mut self,
        fence: Statement,
        values: &[Value<'_>],
        into: &'static Columns,
        rows: &[Vec<Value<'_>>],
    ) -> Result<bool, StoreError> {
        let result = match self.begin_call() {
            Ok(wire) => wire.insert_behind(fence.text, values, into, rows).await,
            Err(trouble) => Err(trouble),
        };
        self.end_call(result, into.table)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let (Some(wire), Some(home)) = (self.wire.take(), &self.home)
            && self.is_settled
            && !self.in_transaction
        {
            home.idle().push((Instant::now(), wire));
        }
    }
}
