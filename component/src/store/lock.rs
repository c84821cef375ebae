//! Session locks: held as long as the session that took them lives. They tell the death of a process at once,
//! where a lease tells it when it runs out.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::connection::{Engine, Held};
use super::error::StoreError;
use super::session::{Session, Statement};

const ALIVE: Statement = Statement::on("muc_lease", "SELECT 1");

/// A session lock in hand; free for others once dropped.
pub struct SessionLock {
    name: String,
    holder: Holder,
    answer: Duration,
}

enum Holder {
    /// The mutex is never locked: it makes a shared borrow harmless.
    Session(Mutex<Session>),
    File {
        _locked: std::fs::File,
    },
}

impl fmt::Debug for SessionLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionLock({})", self.name)
    }
}

pub(super) async fn take(engine: &dyn Engine, name: &str, answer: Duration) -> Result<Option<SessionLock>, StoreError> {
    Ok(engine.session_lock(name).await?.map(|held| SessionLock::of(name, held, answer)))
}

pub(super) async fn wait(engine: &dyn Engine, name: &str, answer: Duration) -> Result<SessionLock, StoreError> {
    Ok(SessionLock::of(name, engine.await_session_lock(name).await?, answer))
}

impl SessionLock {
    fn of(name: &str, held: Held, answer: Duration) -> SessionLock {
        let holder = match held {
            Held::Session(wire) => Holder::Session(Mutex::new(Session::alone(wire))),
            Held::File(file) => Holder::File { _locked: file },
        };
        SessionLock { name: name.to_owned(), holder, answer }
    }

    /// The name it was taken under.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it is held still: false once the database ended its session, or does not answer.
    pub async fn is_alive(&mut self) -> bool {
        match &mut self.holder {
            Holder::Session(session) => {
                let session = session.get_mut().unwrap_or_else(PoisonError::into_inner);
                tokio::time::timeout(self.answer, session.fetch(ALIVE, &[])).await.is_ok_and(|answer| answer.is_ok())
            }
            Holder::File { .. } => true,
        }
    }
}
