//! The SQLite engine, over sqlx with the library built in: a file of our own, write-ahead log, every commit synced.
//! Its session lock is a locked file beside the database, see `lock`.

use std::collections::HashMap;
use std::fs::{self, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::query::Query;
use sqlx::sqlite::{
    Sqlite, SqliteArguments, SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteRow, SqliteSynchronous,
};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Row as _, SqlSafeStr, SqlStr, TypeInfo, ValueRef};

use super::connection::{Answer, Cell, Columns, Engine, Held, Purpose, Row, Value, Wire};
use super::dialect::{self, Dialect};
use super::error::{OpenError, Reaction, StoreError, Trouble};
use rustix::fs::Access;

mod lock;
use lock::LockFile;

/// Two nodes that open a new file at once turn on its write-ahead log at once, and SQLite tells one of them that the
/// file is locked without waiting its busy timeout: it is asked again after this pause.
const OPEN_PAUSE: Duration = Duration::from_millis(20);

/// Whoever waits for a session lock asks for it again after this pause.
const LOCK_PAUSE: Duration = Duration::from_millis(3);

/// Rows in one statement at most.
const ROWS_MAX: usize = 64;

/// A database file.
#[derive(Clone)]
pub(super) struct SqliteEngine {
    path: PathBuf,
    place: String,
    busy: Duration,
}

impl SqliteEngine {
    /// Of what follows `sqlite:` in the url.
    pub(super) fn new(rest: &str, answer_ms: u64) -> Result<SqliteEngine, OpenError> {
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let path = path.strip_prefix("//").unwrap_or(path);
        if !query.is_empty() {
            return Err(OpenError::WrongUrl { why: format!("sqlite takes no options, {query:?} is one") });
        }
        if path.is_empty() || path == ":memory:" {
            return Err(OpenError::WrongUrl { why: "it names no file; rooms must survive the process".into() });
        }
        let place = format!("SQLite file {path}");
        // Shorter than the answer may take: what is told then is that the file is locked.
        let busy = Duration::from_millis((answer_ms / 5 * 4).min(4_000));
        Ok(SqliteEngine { path: path.into(), place, busy })
    }

    async fn open(&self) -> Result<SqliteWire, OpenError> {
        self.create_private()?;
        let options = SqliteConnectOptions::new()
            .filename(&self.path)
            .journal_mode(SqliteJournalMode::Wal)
            .busy_timeout(self.busy)
            .synchronous(SqliteSynchronous::Full)
            .disable_statement_logging();
        let connection = SqliteConnection::connect_with(&options).await.map_err(|e| self.refused(e))?;
        Ok(SqliteWire { connection, texts: HashMap::new(), inserts: HashMap::new() })
    }

    /// Creates the file for this user alone where there is none; messages are in it. The file itself is never opened
    /// here: closing it again would drop the locks that SQLite's own connections of this process hold on it.
    fn create_private(&self) -> Result<(), OpenError> {
        let what = || self.place.clone();
        let folder = match self.path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        if !folder.is_dir() {
            return Err(OpenError::NoFolder { folder: folder.display().to_string() });
        }
        if !self.path.exists() {
            return self.link_empty_file().map_err(|why| match why.kind() {
                ErrorKind::ReadOnlyFilesystem => OpenError::ReadOnly { what: what() },
                ErrorKind::StorageFull => OpenError::DiskFull { what: what() },
                ErrorKind::PermissionDenied => OpenError::NotPermitted { what: what(), why: why.to_string() },
                _ => OpenError::Other { what: what(), why: why.to_string() },
            });
        }
        let may = |access| rustix::fs::access(&self.path, access).is_ok();
        if may(Access::WRITE_OK) {
            Ok(())
        } else if may(Access::READ_OK) {
            Err(OpenError::ReadOnly { what: what() })
        } else {
            Err(OpenError::NotPermitted { what: what(), why: "permission denied".into() })
        }
    }

    /// Makes an empty file beside its place and gives it its name once it is closed; another's may be there first.
    fn link_empty_file(&self) -> std::io::Result<()> {
        let mut beside = self.path.clone().into_os_string();
        beside.push(format!(".{}.new", uuid::Uuid::new_v4().simple()));
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
        let linked = fs::hard_link(&beside, &self.path);
        fs::remove_file(&beside)?;
        match linked {
            Err(why) if why.kind() != ErrorKind::AlreadyExists => Err(why),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn refused(&self, error: sqlx::Error) -> OpenError {
        let what = self.place.clone();
        let why = error.to_string();
        let sqlx::Error::Database(said) = error else {
            return OpenError::Other { what, why };
        };
        match primary_code(&*said) {
            8 => OpenError::ReadOnly { what },
            13 => OpenError::DiskFull { what },
            14 | 3 | 23 => OpenError::NotPermitted { what, why },
            26 => OpenError::NotADatabase { what },
            5 | 6 => OpenError::Unreachable { what, why: "another program keeps it locked".into() },
            _ => OpenError::Other { what, why },
        }
    }
}

impl Engine for SqliteEngine {
    fn kind(&self) -> &'static str {
        "sqlite"
    }

    fn place(&self) -> &str {
        &self.place
    }

    fn dialect(&self) -> &'static Dialect {
        &dialect::SQLITE
    }

    fn migrations(&self) -> &'static [(u32, &'static str)] {
        &[
            (1, include_str!("../../../schema/sqlite/0001_rooms.sql")),
            (2, include_str!("../../../schema/sqlite/0002_pair.sql")),
            (3, include_str!("../../../schema/sqlite/0003_echoes.sql")),
            (4, include_str!("../../../schema/sqlite/0004_vcard.sql")),
            (5, include_str!("../../../schema/sqlite/0005_hats.sql")),
        ]
    }

    fn migration_lock(&self) -> Option<&'static str> {
        // BEGIN IMMEDIATE is the lock.
        None
    }

    fn has_concurrent_writers(&self) -> bool {
        false
    }

    fn connect(&self, _: Purpose) -> Answer<'_, Box<dyn Wire>, OpenError> {
        Box::pin(async move {
            let deadline = Instant::now() + self.busy;
            loop {
                match self.open().await {
                    Err(OpenError::Unreachable { .. }) if Instant::now() < deadline => {
                        tokio::time::sleep(OPEN_PAUSE).await;
                    }
                    opened => return Ok(Box::new(opened?) as Box<dyn Wire>),
                }
            }
        })
    }

    fn labelled(&self, _: &str) -> Arc<dyn Engine> {
        // Nobody can see, let alone end, another's connection to a file.
        Arc::new(self.clone())
    }

    fn session_lock<'a>(&'a self, name: &'a str) -> Answer<'a, Option<Held>, StoreError> {
        Box::pin(async move {
            let lock = LockFile::open(&self.path, name)?;
            Ok(lock.is_taken()?.then_some(Held::File(lock.file)))
        })
    }

    fn await_session_lock<'a>(&'a self, name: &'a str) -> Answer<'a, Held, StoreError> {
        Box::pin(async move {
            let lock = LockFile::open(&self.path, name)?;
            while !lock.is_taken()? {
                tokio::time::sleep(LOCK_PAUSE).await;
            }
            Ok(Held::File(lock.file))
        })
    }

    fn end_sessions<'a>(&'a self, _: &'a mut dyn Wire, _: &'a str) -> Answer<'a, u64> {
        Box::pin(async { Ok(0) })
    }
}

/// One connection; its work is done by a thread of its own.
struct SqliteWire {
    connection: SqliteConnection,
    /// What is sent, by the portable text it is made from.
    texts: HashMap<&'static str, SqlStr>,
    /// Inserts of many rows, by table and number of rows.
    inserts: HashMap<(&'static str, usize), SqlStr>,
}

impl SqliteWire {
    fn text(&mut self, portable: &'static str) -> SqlStr {
        let make = || AssertSqlSafe(std::sync::Arc::<str>::from(dialect::SQLITE.render(portable))).into_sql_str();
        self.texts.entry(portable).or_insert_with(make).clone()
    }

    fn insert_text(&mut self, into: &Columns, rows: usize) -> SqlStr {
        let make = || {
            let names: Vec<&str> = into.columns.iter().map(|&(name, _)| name).collect();
            let row = format!("({})", vec!["?"; names.len()].join(", "));
            let all = vec![row; rows].join(", ");
            let text = format!("INSERT INTO {} ({}) VALUES {all}", into.table, names.join(", "));
            AssertSqlSafe(std::sync::Arc::<str>::from(text)).into_sql_str()
        };
        self.inserts.entry((into.table, rows)).or_insert_with(make).clone()
    }

    /// Inside a transaction, which it commits if the fence moved.
    async fn move_and_insert(
        &mut self,
        fence: &'static str,
        values: &[Value<'_>],
        into: &'static Columns,
        rows: &[Vec<Value<'_>>],
    ) -> Result<bool, Trouble> {
        if self.execute(fence, values).await? == 0 {
            return Ok(false);
        }
        self.insert(into, rows).await?;
        self.script("COMMIT").await?;
        Ok(true)
    }
}

impl Wire for SqliteWire {
    fn execute<'a>(&'a mut self, text: &'static str, values: &'a [Value<'a>]) -> Answer<'a, u64> {
        Box::pin(async move {
            let query = bind(sqlx::query(self.text(text)), values);
            Ok(query.execute(&mut self.connection).await.map_err(trouble)?.rows_affected())
        })
    }

    fn fetch<'a>(&'a mut self, text: &'static str, values: &'a [Value<'a>]) -> Answer<'a, Vec<Row>> {
        Box::pin(async move {
            let query = bind(sqlx::query(self.text(text)), values);
            let rows = query.fetch_all(&mut self.connection).await.map_err(trouble)?;
            rows.iter().map(|row| cells(row).map_err(trouble)).collect()
        })
    }

    fn script<'a>(&'a mut self, text: &'a str) -> Answer<'a, ()> {
        Box::pin(async move {
            sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut self.connection).await.map_err(trouble)?;
            Ok(())
        })
    }

    fn begin(&mut self) -> Answer<'_, ()> {
        self.script("BEGIN IMMEDIATE")
    }

    fn insert<'a>(&'a mut self, into: &'static Columns, rows: &'a [Vec<Value<'a>>]) -> Answer<'a, ()> {
        Box::pin(async move {
            let mut rest = rows;
            while !rest.is_empty() {
                let (some, later) = rest.split_at(batch_of(rest.len()));
                let query = sqlx::query(self.insert_text(into, some.len()));
                let query = some.iter().fold(query, |query, row| bind(query, row));
                query.execute(&mut self.connection).await.map_err(trouble)?;
                rest = later;
            }
            Ok(())
        })
    }

    fn insert_behind<'a>(
        &'a mut self,
        fence: &'static str,
        values: &'a [Value<'a>],
        into: &'static Columns,
        rows: &'a [Vec<Value<'a>>],
    ) -> Answer<'a, bool> {
        Box::pin(async move {
            self.begin().await?;
            let done = self.move_and_insert(fence, values, into, rows).await;
            if !matches!(done, Ok(true)) && self.script("ROLLBACK").await.is_err() {
                // Whatever state it is in, nobody works on in it.
                return done.map_err(|trouble| Trouble { reaction: Reaction::Reconnect, ..trouble });
            }
            done
        })
    }

    fn close(self: Box<Self>) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(async move {
            if let Err(error) = self.connection.close().await {
                tracing::debug!(%error, "store: a connection did not close properly");
            }
        })
    }
}

/// How many of so many rows go into the next statement: a power of two, so that few statements are prepared, and not
/// too many, for each value is a parameter. Each statement is a trip to the connection's thread and back.
fn batch_of(rows: usize) -> usize {
    if rows >= ROWS_MAX { ROWS_MAX } else { 1 << rows.ilog2() }
}

type LiteQuery<'q> = Query<'q, Sqlite, SqliteArguments>;

fn bind<'q>(query: LiteQuery<'q>, values: &[Value<'_>]) -> LiteQuery<'q> {
    values.iter().fold(query, |query, value| match value {
        Value::Int(number) => query.bind(*number),
        Value::Text(text) => query.bind(text.as_deref().map(str::to_owned)),
        Value::Key(key) => query.bind(key.to_vec()),
    })
}

fn cells(row: &SqliteRow) -> Result<Row, sqlx::Error> {
    let cell = |nth: usize| {
        let raw = row.try_get_raw(nth)?;
        if raw.is_null() {
            return Ok(Cell::Null);
        }
        let kind = raw.type_info().name().to_owned();
        Ok(match kind.as_str() {
            "INTEGER" => Cell::Int(row.try_get_unchecked(nth)?),
            "BLOB" => Cell::Bytes(row.try_get_unchecked(nth)?),
            _ => Cell::Text(row.try_get_unchecked(nth)?),
        })
    };
    Ok(Row::new((0..row.len()).map(cell).collect::<Result<_, sqlx::Error>>()?))
}

/// The result code without its extension.
fn primary_code(error: &dyn sqlx::error::DatabaseError) -> u32 {
    error.code().and_then(|code| code.parse::<u32>().ok()).unwrap_or(1) & 0xff
}

/// What a failed statement means for connection and row (<https://sqlite.org/rescode.html>).
fn trouble(error: sqlx::Error) -> Trouble {
    match error {
        sqlx::Error::Database(said) => {
            let reaction = match primary_code(&*said) {
                // Too big, constraint, mismatch: this row, for ever.
                18..=20 => Reaction::Refuse,
                // Input and output, corrupt, cannot open, protocol, no database: begin anew with the file.
                10 | 11 | 14 | 15 | 26 => Reaction::Reconnect,
                _ => Reaction::Wait,
            };
            let code = said.code().unwrap_or_default().into_owned();
            Trouble { reaction, code, what: format!("sqlite says: {}", said.message()) }
        }
        sqlx::Error::Encode(why) | sqlx::Error::Decode(why) | sqlx::Error::ColumnDecode { source: why, .. } => {
            Trouble { reaction: Reaction::Refuse, code: String::new(), what: why.to_string() }
        }
        other => Trouble::lost(format!("the connection to sqlite is lost: {other}")),
    }
}
