//! The PostgreSQL engine (12 and newer), over sqlx. Bulk inserts are one `unnest` statement; behind a fence it
//! is the same statement that moves the fence, so a group of messages costs one round trip.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::pin::Pin;
use std::str::FromStr;
use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use sqlx::postgres::{PgArguments, PgConnectOptions, PgConnection, PgRow, Postgres};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Column, ConnectOptions, Connection, Row as _, SqlSafeStr, SqlStr, TypeInfo};

use super::connection::{Answer, Cell, Columns, Engine, Held, Kind, Purpose, Row, Value, Wire};
use super::dialect::{self, Dialect};
use super::error::{OpenError, Reaction, StoreError, Trouble};

mod lock;
mod sessions;
use lock::LOCK_WAIT_MS;
use sessions::{OwnPid, Pids};

/// How long the server waits for our acknowledgement before it ends the session: then its locks are free.
const SILENCE_MS: u64 = 3_000;

/// The session's number, and whether it can only read, as on a standby and where an operator said so.
const INTRODUCTION: &str =
    "SELECT pg_backend_pid(), CASE WHEN current_setting('transaction_read_only') = 'on' THEN 1 ELSE 0 END";

/// A PostgreSQL server and a database on it.
#[derive(Clone)]
pub(super) struct PostgresEngine {
    options: PgConnectOptions,
    place: String,
    answer_ms: u64,
    own: Pids,
}

impl PostgresEngine {
    pub(super) fn new(url: &SecretString, answer_ms: u64) -> Result<PostgresEngine, OpenError> {
        let options = PgConnectOptions::from_str(url.expose_secret())
            .map_err(|_| OpenError::WrongUrl { why: "it is no complete postgres:// url".into() })?
            .application_name("tandem-muc")
            .disable_statement_logging();
        let database = options.get_database().unwrap_or(options.get_username()).to_owned();
        let place = match options.get_socket() {
            Some(socket) => format!("PostgreSQL database {database} at {}", socket.display()),
            None => format!("PostgreSQL database {database} at {}:{}", options.get_host(), options.get_port()),
        };
        Ok(PostgresEngine { options, place, answer_ms, own: Pids::default() })
    }

    async fn open(&self, purpose: Purpose) -> Result<PostgresWire, OpenError> {
        let mut connection = PgConnection::connect_with(&self.options).await.map_err(|e| self.refused(e))?;
        let (statement_ms, lock_ms) = match purpose {
            Purpose::Work => (self.answer_ms, self.answer_ms),
            Purpose::Migration => (0, 0),
            Purpose::Lock => (0, LOCK_WAIT_MS),
        };
        let session = format!(
            "SET statement_timeout = {statement_ms}; SET lock_timeout = {lock_ms}; \
             SET idle_in_transaction_session_timeout = {SILENCE_MS}; \
             SET tcp_keepalives_idle = 1; SET tcp_keepalives_interval = 1; SET tcp_keepalives_count = 2; \
             SET tcp_user_timeout = {SILENCE_MS}"
        );
        sqlx::raw_sql(AssertSqlSafe(session)).execute(&mut connection).await.map_err(|e| self.refused(e))?;
        if connection.server_version_num().is_some_and(|version| version >= 140_000) {
            if purpose == Purpose::Lock {
                let patience = sqlx::raw_sql("SET idle_session_timeout = 0").execute(&mut connection).await;
                patience.map_err(|e| self.refused(e))?;
            }
            // Not every operating system under PostgreSQL has it; without, a busy dead session is noticed later.
            let notice = "SET client_connection_check_interval = 100";
            if let Err(error) = sqlx::raw_sql(notice).execute(&mut connection).await {
                tracing::debug!(%error, "store: the server cannot watch for dead clients while it works");
            }
        }
        let mut wire = PostgresWire { connection, texts: HashMap::new(), pid: None };
        let said = wire.fetch(INTRODUCTION, &[]).await.unwrap_or_default();
        for mut row in said {
            wire.pid = row.int().ok().map(|pid| OwnPid::listed(pid, &self.own));
            if row.int() == Ok(1) {
                return Err(OpenError::ReadOnly { what: self.place.clone() });
            }
        }
        Ok(wire)
    }

    /// Why no connection came about.
    fn refused(&self, error: sqlx::Error) -> OpenError {
        let what = self.place.clone();
        let why = error.to_string();
        match error {
            sqlx::Error::Database(said) => {
                let code = said.code().unwrap_or_default().into_owned();
                let why = said.message().to_owned();
                match code.as_str() {
                    "28P01" | "28000" => OpenError::WrongPassword { what, why },
                    "3D000" => OpenError::NoSuchDatabase { what },
                    "42501" => OpenError::NotGranted { what, why },
                    "53100" => OpenError::DiskFull { what },
                    "25006" => OpenError::ReadOnly { what },
                    _ if matches!(code.get(..2), Some("08" | "57" | "53")) => OpenError::Unreachable { what, why },
                    _ => OpenError::Other { what, why: format!("{why} ({code})") },
                }
            }
            sqlx::Error::Io(_) | sqlx::Error::Protocol(_) => OpenError::Unreachable { what, why },
            sqlx::Error::Tls(_) => OpenError::Tls { what, why },
            sqlx::Error::Configuration(_) => OpenError::WrongUrl { why },
            _ => OpenError::Other { what, why },
        }
    }
}

impl Engine for PostgresEngine {
    fn kind(&self) -> &'static str {
        "postgres"
    }

    fn place(&self) -> &str {
        &self.place
    }

    fn dialect(&self) -> &'static Dialect {
        &dialect::POSTGRES
    }

    fn migrations(&self) -> &'static [(u32, &'static str)] {
        &[
            (1, include_str!("../../../schema/postgres/0001_rooms.sql")),
            (2, include_str!("../../../schema/postgres/0002_pair.sql")),
            (3, include_str!("../../../schema/postgres/0003_echoes.sql")),
            (4, include_str!("../../../schema/postgres/0004_vcard.sql")),
            (5, include_str!("../../../schema/postgres/0005_hats.sql")),
            (6, include_str!("../../../schema/postgres/0006_attention.sql")),
        ]
    }

    fn migration_lock(&self) -> Option<&'static str> {
        // Any constant will do; this one reads "muc".
        Some("SELECT pg_advisory_xact_lock(7173475)")
    }

    fn has_concurrent_writers(&self) -> bool {
        true
    }

    fn connect(&self, purpose: Purpose) -> Answer<'_, Box<dyn Wire>, OpenError> {
        Box::pin(async move { Ok(Box::new(self.open(purpose).await?) as Box<dyn Wire>) })
    }

    fn labelled(&self, label: &str) -> Arc<dyn Engine> {
        Arc::new(PostgresEngine { options: self.options.clone().application_name(label), ..self.clone() })
    }

    fn session_lock<'a>(&'a self, name: &'a str) -> Answer<'a, Option<Held>, StoreError> {
        Box::pin(self.take_lock(name))
    }

    fn await_session_lock<'a>(&'a self, name: &'a str) -> Answer<'a, Held, StoreError> {
        Box::pin(self.await_lock(name))
    }

    fn end_sessions<'a>(&'a self, wire: &'a mut dyn Wire, label: &'a str) -> Answer<'a, u64> {
        Box::pin(sessions::end(wire, label, &self.own))
    }
}

/// One session.
struct PostgresWire {
    connection: PgConnection,
    /// What is sent, by the portable text or table it is made from.
    texts: HashMap<(&'static str, u8), SqlStr>,
    /// Its number in the list of this program's own.
    pid: Option<OwnPid>,
}

/// The forms a text is kept in.
const PLAIN: u8 = 0;
const BULK: u8 = 1;
const BULK_BEHIND_FENCE: u8 = 2;

impl PostgresWire {
    fn text(&mut self, portable: &'static str) -> SqlStr {
        self.kept(portable, PLAIN, || dialect::POSTGRES.render(portable))
    }

    fn kept(&mut self, from: &'static str, form: u8, make: impl FnOnce() -> String) -> SqlStr {
        let make = || AssertSqlSafe(std::sync::Arc::<str>::from(make())).into_sql_str();
        self.texts.entry((from, form)).or_insert_with(make).clone()
    }
}

impl Wire for PostgresWire {
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
        self.script("BEGIN ISOLATION LEVEL READ COMMITTED")
    }

    fn insert<'a>(&'a mut self, into: &'static Columns, rows: &'a [Vec<Value<'a>>]) -> Answer<'a, ()> {
        Box::pin(async move {
            let text = self.kept(into.table, BULK, || insert_text(into, "", "", 0));
            let query = bind_columns(sqlx::query(text), into, rows);
            query.execute(&mut self.connection).await.map_err(trouble)?;
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
            let text = self.kept(into.table, BULK_BEHIND_FENCE, || {
                let moved = format!("WITH f AS ({} RETURNING 1) ", dialect::POSTGRES.render(fence));
                insert_text(into, &moved, "f, ", values.len())
            });
            let query = bind_columns(bind(sqlx::query(text), values), into, rows);
            let done = query.execute(&mut self.connection).await.map_err(trouble)?;
            Ok(done.rows_affected() > 0)
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

/// `INSERT … SELECT … FROM unnest(…)`, its arrays numbered after `before` other values.
fn insert_text(into: &Columns, head: &str, from: &str, before: usize) -> String {
    let names: Vec<&str> = into.columns.iter().map(|&(name, _)| name).collect();
    let mut text = format!("{head}INSERT INTO {} ({}) SELECT u.* FROM {from}unnest(", into.table, names.join(", "));
    for (nth, (_, kind)) in into.columns.iter().enumerate() {
        let array = match kind {
            Kind::Int => "int8[]",
            Kind::Text => "text[]",
            Kind::Key => "bytea[]",
        };
        let comma = if nth == 0 { "" } else { ", " };
        write!(text, "{comma}${}::{array}", before + nth + 1).expect("a String takes everything");
    }
    text.push_str(") AS u");
    text
}

type PgQuery<'q> = Query<'q, Postgres, PgArguments>;

fn bind<'q>(query: PgQuery<'q>, values: &[Value<'_>]) -> PgQuery<'q> {
    values.iter().fold(query, |query, value| match value {
        Value::Int(number) => query.bind(*number),
        Value::Text(text) => query.bind(text.as_deref()),
        Value::Key(key) => query.bind(key.as_slice()),
    })
}

/// Binds the rows as one array for each column.
fn bind_columns<'q>(query: PgQuery<'q>, into: &Columns, rows: &[Vec<Value<'_>>]) -> PgQuery<'q> {
    into.columns.iter().enumerate().fold(query, |query, (nth, (_, kind))| {
        let column = rows.iter().map(|row| &row[nth]);
        match kind {
            Kind::Int => query.bind(column.map(Value::as_int).collect::<Vec<Option<i64>>>()),
            Kind::Text => query.bind(column.map(Value::as_text).collect::<Vec<Option<&str>>>()),
            Kind::Key => query.bind(column.map(Value::as_key).collect::<Vec<Option<&[u8]>>>()),
        }
    })
}

fn cells(row: &PgRow) -> Result<Row, sqlx::Error> {
    let cell = |nth: usize| {
        Ok(match row.column(nth).type_info().name() {
            "INT8" => row.try_get::<Option<i64>, _>(nth)?.map_or(Cell::Null, Cell::Int),
            "INT4" => row.try_get::<Option<i32>, _>(nth)?.map_or(Cell::Null, |n| Cell::Int(n.into())),
            "INT2" => row.try_get::<Option<i16>, _>(nth)?.map_or(Cell::Null, |n| Cell::Int(n.into())),
            "BYTEA" => row.try_get::<Option<Vec<u8>>, _>(nth)?.map_or(Cell::Null, Cell::Bytes),
            "VOID" => Cell::Null,
            _ => row.try_get::<Option<String>, _>(nth)?.map_or(Cell::Null, Cell::Text),
        })
    };
    Ok(Row::new((0..row.len()).map(cell).collect::<Result<_, sqlx::Error>>()?))
}

/// What a failed statement means for connection and row, by SQLSTATE class.
fn trouble(error: sqlx::Error) -> Trouble {
    match error {
        sqlx::Error::Database(said) => {
            let code = said.code().unwrap_or_default().into_owned();
            let reaction = match code.get(..2).unwrap_or_default() {
                // Data exception, constraint, a limit of the program: this row, for ever.
                "22" | "23" | "54" => Reaction::Refuse,
                // Connection, operator's intervention, crash: the session is over or about to be.
                "08" | "57" | "58" | "XX" | "25" => Reaction::Reconnect,
                _ => Reaction::Wait,
            };
            Trouble { reaction, code, what: format!("postgres says: {}", said.message()) }
        }
        sqlx::Error::Encode(why) | sqlx::Error::Decode(why) | sqlx::Error::ColumnDecode { source: why, .. } => {
            Trouble { reaction: Reaction::Refuse, code: String::new(), what: why.to_string() }
        }
        other => Trouble::lost(format!("the connection to postgres is lost: {other}")),
    }
}
