//! Making and changing the tables: numbered scripts, each in a transaction of its own that also notes its number.

use super::SqlStore;
use super::connection::{Engine, Purpose};
use super::error::{OpenError, StoreError};
use super::session::{Session, Statement};

const TABLE: &str = "muc_schema_version";
const IS_THERE: Statement = Statement::on(TABLE, "SELECT COUNT(*) {tables}");
const CREATE: Statement = Statement::on(
    TABLE,
    "CREATE TABLE muc_schema_version (version_no BIGINT NOT NULL PRIMARY KEY, applied_ms BIGINT NOT NULL)",
);
const NOTE: Statement =
    Statement::on(TABLE, "INSERT INTO muc_schema_version (version_no, applied_ms) VALUES (?, {now_ms})");
const HIGHEST: Statement = Statement::on(TABLE, "SELECT MAX(version_no) FROM muc_schema_version");

/// Applies what is missing. Several nodes may run this at once: one does it, the others find it done.
pub(super) async fn run(engine: &dyn Engine) -> Result<Vec<u32>, OpenError> {
    let mut session = Session::alone(engine.connect(Purpose::Migration).await?);
    let mut applied = Vec::new();
    for &(version, script) in engine.migrations() {
        let step = step(&mut session, engine, version, script).await;
        let is_new = match step {
            Ok(found) => refuse_newer(engine, found)?,
            Err(error) => {
                let why = reason(error);
                return Err(OpenError::Migration { what: engine.place().to_owned(), version, why });
            }
        };
        if is_new.is_none_or(|found| found < version) {
            applied.push(version);
        }
    }
    Ok(applied)
}

/// One migration, unless it was applied already; the version found before.
async fn step(
    session: &mut Session,
    engine: &dyn Engine,
    version: u32,
    script: &str,
) -> Result<Option<u32>, StoreError> {
    session.begin(TABLE).await?;
    if let Some(lock) = engine.migration_lock() {
        session.script(TABLE, lock).await?;
    }
    let found = read(session).await?;
    if found.is_some_and(|found| found >= version) {
        session.rollback(TABLE).await;
        return Ok(found);
    }
    if found.is_none() {
        session.execute(CREATE, &[]).await?;
    }
    session.script(TABLE, script).await?;
    session.execute(NOTE, &[i64::from(version).into()]).await?;
    session.commit(TABLE).await?;
    Ok(found)
}

/// The schema there is; one newer than ours is an error.
pub(super) async fn version(engine: &dyn Engine) -> Result<Option<u32>, OpenError> {
    let mut session = Session::alone(engine.connect(Purpose::Work).await?);
    let found = read(&mut session)
        .await
        .map_err(|error| OpenError::Other { what: engine.place().to_owned(), why: reason(error) })?;
    refuse_newer(engine, found)
}

async fn read(session: &mut Session) -> Result<Option<u32>, StoreError> {
    let is_there = session.fetch_one(IS_THERE, &[]).await?.is_some_and(|mut row| row.int().is_ok_and(|n| n > 0));
    if !is_there {
        return Ok(None);
    }
    let Some(mut row) = session.fetch_one(HIGHEST, &[]).await? else {
        return Ok(None);
    };
    let highest = row.maybe_int().map_err(|what| StoreError::Damaged { table: TABLE, what })?;
    Ok(highest.map(|version| u32::try_from(version).unwrap_or(u32::MAX)))
}

fn refuse_newer(engine: &dyn Engine, found: Option<u32>) -> Result<Option<u32>, OpenError> {
    match found {
        Some(found) if found > SqlStore::SCHEMA => {
            Err(OpenError::NewerSchema { what: engine.place().to_owned(), found, known: SqlStore::SCHEMA })
        }
        known => Ok(known),
    }
}

/// What the database said, without the advice for a running store.
fn reason(error: StoreError) -> String {
    match error {
        StoreError::Unavailable(why) => why.to_string(),
        StoreError::Damaged { what, .. } => what,
        StoreError::Fenced { by } => format!("epoch {} holds the fence", by.0),
    }
}
