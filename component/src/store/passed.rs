//! Table `muc_passed_on`: what a holder read from its stream and did not handle before it handed over, for the next
//! one to handle first. A row without stanza, number 0, says that more will come; the last row says that it is all.

use super::connection::{Columns, Kind, Row, Value};
use super::error::StoreError;
use super::session::{Session, Statement};
use super::{Epoch, SqlStore};

const TABLE: &str = "muc_passed_on";

const COLUMNS: Columns = Columns {
    table: TABLE,
    columns: &[
        ("service_txt", Kind::Text),
        ("epoch", Kind::Int),
        ("nth", Kind::Int),
        ("stanza_xml", Kind::Text),
        ("is_last", Kind::Int),
    ],
};
const ANNOUNCE: Statement = Statement::on(
    TABLE,
    "INSERT INTO muc_passed_on (service_txt, epoch, nth, stanza_xml, is_last) VALUES (?, ?, 0, NULL, 0)",
);
/// Changes nothing, and locks the announcement: whoever forgets it waits, or has done so.
const STILL_AWAITED: Statement =
    Statement::on(TABLE, "UPDATE muc_passed_on SET is_last = 0 WHERE service_txt = ? AND epoch = ? AND nth = 0");
const CLEAR: Statement =
    Statement::on(TABLE, "DELETE FROM muc_passed_on WHERE service_txt = ? AND epoch = ? AND nth > 0");
const READ: Statement = Statement::on(
    TABLE,
    "SELECT stanza_xml, is_last FROM muc_passed_on WHERE service_txt = ? AND epoch = ? ORDER BY nth",
);
const FORGET: Statement = Statement::on(TABLE, "DELETE FROM muc_passed_on WHERE service_txt = ? AND epoch <= ?");

/// What the holder before has passed on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PassedOn {
    /// Nothing, and nothing will come.
    Nothing,
    /// It will come.
    Awaited,
    /// All of it, in the order it was read.
    Whole(Vec<String>),
}

impl SqlStore {
    /// Passes `stanzas` on to the holder in `epoch`, all of them at once. False: it does not wait for them any more,
    /// or never did, and nothing was written. Repeating it after a lost answer is harmless.
    pub async fn pass_on(&self, name: &str, epoch: Epoch, stanzas: &[String]) -> Result<bool, StoreError> {
        self.bounded(async { pass_on(&mut self.noter().await?, name, epoch, stanzas).await }).await
    }

    /// What was passed on to the holder in `epoch`.
    pub async fn passed_on(&self, name: &str, epoch: Epoch) -> Result<PassedOn, StoreError> {
        self.bounded(async { read(self.watcher().await?.fetch(READ, &[name.into(), epoch.0.into()]).await?) }).await
    }

    /// Forgets what was passed on to the holders up to `epoch`: it is handled, or given up.
    pub async fn forget_passed_on(&self, name: &str, epoch: Epoch) -> Result<(), StoreError> {
        let values = [name.into(), epoch.0.into()];
        self.bounded(async { self.noter().await?.execute(FORGET, &values).await.map(|_| ()) }).await
    }
}

/// Says that more will come, inside the transaction that hands over.
pub(super) async fn announce(session: &mut Session, name: &str, epoch: Epoch) -> Result<(), StoreError> {
    session.execute(ANNOUNCE, &[name.into(), epoch.0.into()]).await.map(|_| ())
}

async fn pass_on(session: &mut Session, name: &str, epoch: Epoch, stanzas: &[String]) -> Result<bool, StoreError> {
    let rows = rows(name, epoch, stanzas);
    session.begin(TABLE).await?;
    match write(session, name, epoch, &rows).await {
        Ok(true) => session.commit(TABLE).await.map(|()| true),
        Ok(false) => {
            session.rollback(TABLE).await;
            Ok(false)
        }
        Err(error) => {
            session.rollback(TABLE).await;
            Err(error)
        }
    }
}

async fn write(session: &mut Session, name: &str, epoch: Epoch, rows: &[Vec<Value<'_>>]) -> Result<bool, StoreError> {
    let key = [name.into(), epoch.0.into()];
    if session.execute(STILL_AWAITED, &key).await? == 0 {
        return Ok(false);
    }
    session.execute(CLEAR, &key).await?;
    session.insert(&COLUMNS, rows).await?;
    Ok(true)
}

fn rows<'a>(name: &'a str, epoch: Epoch, stanzas: &'a [String]) -> Vec<Vec<Value<'a>>> {
    let row = |nth: i64, stanza: Option<&'a str>, is_last: bool| {
        vec![name.into(), epoch.0.into(), nth.into(), stanza.into(), is_last.into()]
    };
    if stanzas.is_empty() {
        return vec![row(1, None, true)];
    }
    (1..).zip(stanzas).map(|(nth, stanza)| row(nth, Some(stanza), nth == last(stanzas))).collect()
}

fn last(stanzas: &[String]) -> i64 {
    i64::try_from(stanzas.len()).unwrap_or(i64::MAX)
}

fn read(rows: Vec<Row>) -> Result<PassedOn, StoreError> {
    if rows.is_empty() {
        return Ok(PassedOn::Nothing);
    }
    let mut is_whole = false;
    let mut stanzas = Vec::with_capacity(rows.len());
    for mut row in rows {
        let mut read = || Ok((row.maybe_text()?, row.bool()?));
        let (stanza, is_last) = read().map_err(|what| StoreError::Damaged { table: TABLE, what })?;
        stanzas.extend(stanza);
        is_whole |= is_last;
    }
    Ok(if is_whole { PassedOn::Whole(stanzas) } else { PassedOn::Awaited })
}
