//! The store: rooms, their people and their messages in a SQL database, behind a fence only the rightful node
//! passes. Only this folder knows SQL.
//!
//! [`SqlStore`] is the seam: few, coarse calls, each bounded in time, each error named after what the caller does
//! next. A file is a table (`rooms`, `affiliations`, `occupants`, `messages`, `echoes`, `lease`, `node`, `orders`, `events`,
//! `passed`, `identity`, `vcards`, `hats`), an act (`append`, `load`, `listing`, `locals`, `acquire`, `hand_over`, `migrate`) or an
//! engine (`sqlite`, `postgres`); `connection` says what an engine has to bring. The calls of the pair stand in their
//! files.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use secrecy::{ExposeSecret, SecretString};
use tandem_muc_core::muc::RoomConfig;
use tandem_muc_core::name::BareJid;
use tandem_muc_core::record::{Record, RoomId, RoomImage, Seq};
use tandem_muc_core::room::find::{FoundRoom, RoomSearch};
use tandem_muc_core::room::{Found, Search};
use tandem_muc_core::time::Utc;

mod acquire;
mod affiliations;
mod append;
mod archive;
mod bearings;
mod changes;
mod connection;
mod dialect;
mod echoes;
mod error;
mod events;
mod hand_over;
mod hats;
mod hints;
mod identity;
mod key;
mod labels;
mod lease;
mod listeners;
mod listing;
mod load;
mod locals;
mod lock;
mod messages;
mod migrate;
mod node;
mod occupants;
mod orders;
mod passed;
mod postgres;
mod relisted;
mod rooms;
mod session;
mod sqlite;
mod vcards;

pub use acquire::{Acquired, Ask, Lease, Right};
pub use append::Marks;
pub use bearings::Bearings;
use connection::Engine;
pub use echoes::{Echo, Unheard};
pub use error::{BoxError, OpenError, StoreError};
pub use events::{EventSeen, HaEvent};
pub use hand_over::HandOver;
pub use hints::Hint;
pub use lease::LeaseSeen;
pub use listing::{Page, RoomPage};
pub use load::HistoryWanted;
pub use locals::{LocalsPage, LocalsPlace};
pub use lock::SessionLock;
pub use node::{Duty, DutySeen, NodeBeat, NodeSeen};
pub use orders::{NewOrder, OrderSeen};
pub use passed::PassedOn;
use session::{Lane, Session, Statement};

/// Readers at once.
const READERS: usize = 4;

/// Looks into archives at once.
pub const ARCHIVISTS: usize = 2;

/// Where the store is and how patient its callers are.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// `sqlite:/path/to/rooms.db` or `postgres://user:password@host:port/database`.
    pub url: SecretString,
    /// The longest a call may take, in milliseconds.
    pub answer_ms: u64,
}

/// The number of a reign over a service: grows with every change of the holder.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Epoch(pub i64);

/// One reign, one place in the order of groups: what an append claims and the database checks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fence {
    /// The service domain.
    pub service: String,
    /// The reign.
    pub epoch: Epoch,
    /// The number of the group before.
    pub after: i64,
    /// The number of this group, greater than `after`.
    pub next: i64,
}

/// What has happened, and where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fact {
    /// The room's key.
    pub room: RoomId,
    /// The room's JID.
    pub jid: BareJid,
    /// What has happened.
    pub record: Record,
}

/// What a look at the database says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Probe {
    /// Name and version of the database.
    pub version: String,
    /// How long one statement took there and back, in milliseconds.
    pub round_trip_ms: u64,
}

/// The store of one node; clones share its connections.
#[derive(Clone)]
pub struct SqlStore {
    engine: Arc<dyn Engine>,
    answer: Duration,
    /// The journal's connection, and the lease's where the database lets two write at once.
    writer: Lane,
    keeper: Lane,
    /// What a beat reads, and where the database lets two write at once also what it writes: a thousand rooms that load
    /// do not delay it.
    watcher: Lane,
    noter: Lane,
    readers: Lane,
    /// What is looked for in archives: it may take long, and rooms that load do not wait for it.
    archivists: Lane,
}

impl fmt::Debug for SqlStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SqlStore({})", self.engine.place())
    }
}

impl SqlStore {
    /// The schema this program reads and writes.
    pub const SCHEMA: u32 = 6;

    /// Connects and looks whether the database can be written; does not migrate.
    pub async fn open(config: &StoreConfig) -> Result<SqlStore, OpenError> {
        let answer = Duration::from_millis(config.answer_ms.max(1));
        let engine = engine_of(&config.url, config.answer_ms)?;
        let store = SqlStore::over(engine, answer);
        let opened = tokio::time::timeout(answer, store.writer.session(&*store.engine)).await;
        match opened {
            Ok(Ok(_)) => Ok(store),
            Ok(Err(refused)) => Err(refused),
            Err(_) => Err(OpenError::Unreachable {
                what: store.engine.place().to_owned(),
                why: format!("no answer within {} ms", config.answer_ms),
            }),
        }
    }

    /// With connections of its own, made as they are needed.
    fn over(engine: Arc<dyn Engine>, answer: Duration) -> SqlStore {
        let (writer, watcher) = (Lane::of(1), Lane::of(1));
        let (keeper, noter) = if engine.has_concurrent_writers() {
            (Lane::of(1), watcher.clone())
        } else {
            (writer.clone(), writer.clone())
        };
        let (readers, archivists) = (Lane::of(READERS), Lane::of(ARCHIVISTS));
        SqlStore { engine, answer, writer, keeper, watcher, noter, readers, archivists }
    }

    /// Makes the tables, or brings them up to [`SqlStore::SCHEMA`]; the versions applied, oldest first. May be run
    /// again, and by several nodes at once.
    pub async fn migrate(&self) -> Result<Vec<u32>, OpenError> {
        migrate::run(&*self.engine).await
    }

    /// The schema of the database, `None` where there is none; [`OpenError::NewerSchema`] if it is not for us.
    pub async fn schema(&self) -> Result<Option<u32>, OpenError> {
        migrate::version(&*self.engine).await
    }

    /// `sqlite` or `postgres`.
    pub fn kind(&self) -> &'static str {
        self.engine.kind()
    }

    /// Asks the database for its version, on the way everyone's statements take.
    pub async fn probe(&self) -> Result<Probe, StoreError> {
        self.bounded(async {
            let mut session = self.reader().await?;
            let begun = Instant::now();
            let row = session.fetch_one(Statement::on("version", self.engine.dialect().version), &[]).await?;
            let round_trip_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
            let version = row.and_then(|mut row| row.text().ok()).unwrap_or_default();
            Ok(Probe { version, round_trip_ms })
        })
        .await
    }

    /// Takes the session lock of that name; `None` while a living session, here or elsewhere, has it. It proves that
    /// the session before is gone, nothing more: the truth is the lease.
    pub async fn session_lock(&self, name: &str) -> Result<Option<SessionLock>, StoreError> {
        self.bounded(lock::take(&*self.engine, name, self.answer)).await
    }

    /// Takes the session lock of that name as soon as no living session has it, however long that takes. A dropped
    /// future waits no more.
    /// # Errors
    /// `Unavailable`: the database is away, or ended the session that waited; wait anew.
    pub async fn wait_session_lock(&self, name: &str) -> Result<SessionLock, StoreError> {
        lock::wait(&*self.engine, name, self.answer).await
    }

    /// Makes `facts` durable, all or none, as the group `fence.next`, and with them what `marks` says of the stream.
    /// Repeating an append whose answer was lost is harmless.
    /// # Errors
    /// `Fenced`: another epoch, or another group than `fence.after` before. `Damaged`: some fact cannot be kept,
    /// nothing was written; without it the others can be.
    pub async fn append(&self, fence: &Fence, facts: &[Fact], marks: Marks<'_>) -> Result<(), StoreError> {
        self.bounded(async {
            let mut session = self.writer.session(&*self.engine).await?;
            append::run(&mut session, fence, facts, marks).await
        })
        .await
    }

    /// The room as it is at rest, `None` if there is none. A destroyed room comes with its tombstone, even one that
    /// has run out. Whoever asks has no append for this room under way.
    pub async fn load_room(
        &self,
        service: &str,
        name: &BareJid,
        history: HistoryWanted,
    ) -> Result<Option<RoomImage>, StoreError> {
        self.bounded(async { load::room(&mut self.reader().await?, service, name, history).await }).await
    }

    /// The rooms everyone may know of - public, open, not destroyed - by JID.
    pub async fn public_rooms(&self, service: &str, page: Page<'_>, max: u32) -> Result<RoomPage, StoreError> {
        self.bounded(async { listing::public(&mut self.reader().await?, service, page, max).await }).await
    }

    /// The public rooms that fit `search`, by JID, from the one after `after` on; `max` of them at most. It goes through
    /// some ten thousand rooms; more are found from the last one on.
    pub async fn search_rooms(
        &self,
        service: &str,
        search: &RoomSearch,
        after: Option<&str>,
        max: usize,
    ) -> Result<Vec<FoundRoom>, StoreError> {
        self.bounded(async { listing::search(&mut self.archivist().await?, service, search, after, max).await }).await
    }

    /// The rooms somebody is inside of, by JID.
    pub async fn occupied_rooms(&self, service: &str) -> Result<Vec<BareJid>, StoreError> {
        self.bounded(async { listing::occupied(&mut self.reader().await?, service).await }).await
    }

    /// The archived messages of the groups after `mark` and their echoes, each room's in the order they happened: what
    /// may not have been heard.
    pub async fn tail(&self, service: &str, mark: i64) -> Result<Vec<(BareJid, Unheard)>, StoreError> {
        self.bounded(async { echoes::tail(&mut self.reader().await?, service, mark).await }).await
    }

    /// What the archive of `room` has to say to `search`. What it costs is bounded by the page and by how far one look
    /// goes, not by the length of the archive.
    pub async fn look(&self, room: RoomId, search: &Search) -> Result<Found, StoreError> {
        self.bounded(async { archive::look(&mut self.archivist().await?, room, search).await }).await
    }

    /// Rooms with their configurations, by key, from the one after `after` on; `max` of them or the last ones. One
    /// whose configuration cannot be read has none.
    pub async fn configured_rooms(
        &self,
        service: &str,
        after: RoomId,
        max: u32,
    ) -> Result<Vec<(RoomId, BareJid, Option<RoomConfig>)>, StoreError> {
        self.bounded(async { listing::configured(&mut self.archivist().await?, service, after, max).await }).await
    }

    /// The place up to which the oldest messages of `room` reach that were said before that time, `max` of them at
    /// most.
    pub async fn oldest_before(&self, room: RoomId, before: Utc, max: u32) -> Result<Option<Seq>, StoreError> {
        self.bounded(async { archive::oldest_before(&mut self.archivist().await?, room, before, max).await }).await
    }

    /// Lets go of the connections at rest; what is under way ends first.
    pub async fn close(self) {
        for lane in [&self.writer, &self.keeper, &self.watcher, &self.noter, &self.readers, &self.archivists] {
            for wire in lane.drain() {
                wire.close().await;
            }
        }
    }

    async fn reader(&self) -> Result<Session, OpenError> {
        self.readers.session(&*self.engine).await
    }

    async fn archivist(&self) -> Result<Session, OpenError> {
        self.archivists.session(&*self.engine).await
    }

    async fn keeper(&self) -> Result<Session, OpenError> {
        self.keeper.session(&*self.engine).await
    }

    async fn watcher(&self) -> Result<Session, OpenError> {
        self.watcher.session(&*self.engine).await
    }

    async fn noter(&self) -> Result<Session, OpenError> {
        self.noter.session(&*self.engine).await
    }

    /// No call takes longer than `store.answer_ms`. What is cut off takes its connection with it.
    async fn bounded<T>(&self, call: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        let Ok(result) = tokio::time::timeout(self.answer, call).await else {
            let what = format!("{} did not answer within {} ms", self.engine.kind(), self.answer.as_millis());
            return Err(StoreError::Unavailable(what.into()));
        };
        result
    }
}

/// The engine a url asks for.
fn engine_of(url: &SecretString, answer_ms: u64) -> Result<Arc<dyn Engine>, OpenError> {
    let text = url.expose_secret();
    match text.split_once(':') {
        Some(("sqlite", rest)) => Ok(Arc::new(sqlite::SqliteEngine::new(rest, answer_ms)?)),
        Some(("postgres" | "postgresql", _)) => Ok(Arc::new(postgres::PostgresEngine::new(url, answer_ms)?)),
        Some((scheme, _)) => Err(OpenError::WrongUrl { why: format!("no database is called {scheme:?} here") }),
        None => Err(OpenError::WrongUrl { why: "it does not begin with a database's name and a colon".into() }),
    }
}
