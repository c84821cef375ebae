//! What can go wrong with the store, by what its receiver does next: [`StoreError`] while it runs,
//! [`OpenError`] before it does, where a person reads the sentence and mends something.

use std::error::Error;
use std::fmt;

use super::Epoch;

/// Any error, as a cause.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// Why a call did not do what it was asked; a variant for each reaction.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Step down: this reign is over, or not what the store thinks it is.
    #[error("store: the fence is held by epoch {}, nothing was written; stepping down", by.0)]
    Fenced {
        /// The epoch that holds the fence.
        by: Epoch,
    },
    /// Hold the words and try again while the lease lasts. Whether the last write happened is not known;
    /// repeating it is harmless.
    #[error("store: {0}; trying again")]
    Unavailable(#[source] BoxError),
    /// These rows cannot be read or written, others can: one room's matter, for the operator to see.
    #[error("store: table {table} is damaged or was given what it cannot keep: {what}; restore or remove that row")]
    Damaged {
        /// The table.
        table: &'static str,
        /// Which row and why.
        what: String,
    },
}

/// Why a store cannot be used at all.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the sentences say it; fields are what they name")]
pub enum OpenError {
    /// The url cannot be understood.
    #[error(
        "store.url is not usable: {why}; write sqlite:/path/to/rooms.db or postgres://user:password@host:5432/database"
    )]
    WrongUrl { why: String },
    /// Nobody answers there.
    #[error("{what} cannot be reached: {why}; start the database or correct store.url")]
    Unreachable { what: String, why: String },
    /// The database refuses the user or the password.
    #[error("{what} refuses to log in: {why}; correct user and password in store.url")]
    WrongPassword { what: String, why: String },
    /// No encrypted connection came about.
    #[error(
        "{what} does not speak TLS as asked: {why}; correct sslmode and sslrootcert in store.url, or the server's certificate"
    )]
    Tls { what: String, why: String },
    /// There is no such database.
    #[error("{what} does not exist; create it (createdb) or correct store.url")]
    NoSuchDatabase { what: String },
    /// The file's folder is missing.
    #[error(
        "folder {folder} of the database file does not exist; create it, writable for this user, or correct store.url"
    )]
    NoFolder { folder: String },
    /// The file may not be opened.
    #[error("{what} may not be opened: {why}; give this user read and write permission on the file and its folder")]
    NotPermitted { what: String, why: String },
    /// The database can be read, not written.
    #[error("{what} is read-only; make it writable, or point store.url to the primary and not to a standby or a copy")]
    ReadOnly { what: String },
    /// The file is something else.
    #[error("{what} is no SQLite database; move it away or correct store.url")]
    NotADatabase { what: String },
    /// No space is left.
    #[error("{what} has no space left on its disk; free some and start again")]
    DiskFull { what: String },
    /// The tables were made by a newer version.
    #[error(
        "{what} has schema {found}, this program knows schemas up to {known}; install the version that made it, or newer"
    )]
    NewerSchema { what: String, found: u32, known: u32 },
    /// The user may not do what is needed.
    #[error("{what} does not permit that: {why}; grant it to the user in store.url")]
    NotGranted { what: String, why: String },
    /// A migration step did not go through; the database is as it was before that step.
    #[error("migration {version} of {what} failed and was undone: {why}; mend that and run migrate again")]
    Migration { what: String, version: u32, why: String },
    /// Something else.
    #[error("{what} cannot be used: {why}")]
    Other { what: String, why: String },
}

/// What an engine's driver reports, by what became of the connection and the statement.
#[derive(Debug)]
pub(super) struct Trouble {
    pub(super) reaction: Reaction,
    /// The database's own code, where it gave one.
    pub(super) code: String,
    pub(super) what: String,
}

/// What the store does next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Reaction {
    /// The connection is of no further use, what was under way may or may not have happened.
    Reconnect,
    /// The database did not do it, for reasons that pass or that an operator removes.
    Wait,
    /// The database will never take or give this row.
    Refuse,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.code.is_empty() { write!(f, "{}", self.what) } else { write!(f, "{} ({})", self.what, self.code) }
    }
}

impl Error for Trouble {}

impl Trouble {
    pub(super) fn lost(what: impl Into<String>) -> Trouble {
        Trouble { reaction: Reaction::Reconnect, code: String::new(), what: what.into() }
    }

    /// As the store's callers see it; `table` is what was being read or written.
    pub(super) fn at(self, table: &'static str) -> StoreError {
        match self.reaction {
            Reaction::Reconnect | Reaction::Wait => StoreError::Unavailable(Box::new(self)),
            Reaction::Refuse => StoreError::Damaged { table, what: self.to_string() },
        }
    }
}

impl From<OpenError> for StoreError {
    fn from(error: OpenError) -> StoreError {
        StoreError::Unavailable(Box::new(error))
    }
}
