//! The lease and the fence: two rows for each service. The lease is renewed every beat and never waits for a batch;
//! the fence is moved by every append, as its first statement, so that a stale holder's write finds no row. How a
//! lease is had is in `acquire`, how it is handed over in `hand_over`.

use super::connection::Row;
use super::error::StoreError;
use super::session::{Session, Statement};
use super::{Epoch, SqlStore};

pub(super) const LEASE: &str = "muc_lease";
pub(super) const FENCE: &str = "muc_fence";

const SEE: Statement = Statement::on(
    LEASE,
    "SELECT l.owner_txt, l.epoch, l.expires_ms, l.expires_ms - {now_ms}, f.epoch, f.seq, f.mark_seq, f.inbound_txt
     FROM muc_lease l LEFT JOIN muc_fence f ON f.name_txt = l.name_txt WHERE l.name_txt = ?",
);
const RENEW: Statement = Statement::on(
    LEASE,
    "UPDATE muc_lease SET expires_ms = {now_ms} + ? WHERE name_txt = ? AND owner_txt = ? AND epoch = ?",
);
const RELEASE: Statement = Statement::on(
    LEASE,
    "UPDATE muc_lease SET owner_txt = NULL, expires_ms = 0 WHERE name_txt = ? AND owner_txt = ? AND epoch = ?",
);
const PLACE: Statement =
    Statement::on(FENCE, "SELECT epoch, seq, mark_seq, inbound_txt FROM muc_fence WHERE name_txt = ?");

/// Lease and fence of a service as anybody sees them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LeaseSeen {
    /// Whose it is; nobody's where it was given back.
    pub owner: Option<String>,
    /// The reign.
    pub epoch: Epoch,
    /// When it runs out if it is not renewed, by the database's clock. It changes with every renewal.
    pub expires_ms: i64,
    /// How long until then; negative: it has run out.
    pub expires_in_ms: i64,
    /// The epoch that may write.
    pub fence_epoch: Epoch,
    /// The last group written.
    pub seq: i64,
    /// The last group known to be spoken.
    pub mark: i64,
    /// What was handled of the stanzas a relay numbered.
    pub inbound: Option<String>,
}

/// Where the fence stands.
pub(super) struct Place {
    pub(super) epoch: Epoch,
    pub(super) seq: i64,
    pub(super) mark: i64,
    pub(super) inbound: Option<String>,
}

impl SqlStore {
    /// The lease of that name, `None` if nobody ever asked for it.
    pub async fn see_lease(&self, name: &str) -> Result<Option<LeaseSeen>, StoreError> {
        self.bounded(async { see(&mut self.watcher().await?, name).await }).await
    }

    /// Prolongs the lease; false: it is no longer `node`'s, step down now.
    pub async fn renew(&self, name: &str, node: &str, epoch: Epoch, ttl_ms: u64) -> Result<bool, StoreError> {
        let values = [ttl(ttl_ms).into(), name.into(), node.into(), epoch.0.into()];
        self.bounded(async { Ok(self.keeper().await?.execute(RENEW, &values).await? == 1) }).await
    }

    /// Gives the lease back, so that the next need not wait; nothing happens if it is no longer `node`'s.
    pub async fn release(&self, name: &str, node: &str, epoch: Epoch) -> Result<(), StoreError> {
        let values = [name.into(), node.into(), epoch.0.into()];
        self.bounded(async { self.keeper().await?.execute(RELEASE, &values).await.map(|_| ()) }).await
    }
}

pub(super) async fn see(session: &mut Session, name: &str) -> Result<Option<LeaseSeen>, StoreError> {
    Ok(see_both(session, name).await?.map(|(seen, _)| seen))
}

/// The lease, and whether there is a fence beside it.
pub(super) async fn see_both(session: &mut Session, name: &str) -> Result<Option<(LeaseSeen, bool)>, StoreError> {
    let row = session.fetch_one(SEE, &[name.into()]).await?;
    row.map(read_seen).transpose().map_err(|what| damaged(LEASE, name, &what))
}

/// A fence that is not there yet has written nothing.
fn read_seen(mut row: Row) -> Result<(LeaseSeen, bool), String> {
    let (owner, epoch) = (row.maybe_text()?, Epoch(row.int()?));
    let (expires_ms, expires_in_ms) = (row.int()?, row.int()?);
    let fence_epoch = row.maybe_int()?;
    let seen = LeaseSeen {
        owner,
        epoch,
        expires_ms,
        expires_in_ms,
        fence_epoch: Epoch(fence_epoch.unwrap_or_default()),
        seq: row.maybe_int()?.unwrap_or_default(),
        mark: row.maybe_int()?.unwrap_or_default(),
        inbound: row.maybe_text()?,
    };
    Ok((seen, fence_epoch.is_some()))
}

pub(super) async fn place(session: &mut Session, name: &str) -> Result<Option<Place>, StoreError> {
    let row = session.fetch_one(PLACE, &[name.into()]).await?;
    row.map(read_place).transpose().map_err(|what| damaged(FENCE, name, &what))
}

fn read_place(mut row: Row) -> Result<Place, String> {
    Ok(Place { epoch: Epoch(row.int()?), seq: row.int()?, mark: row.int()?, inbound: row.maybe_text()? })
}

fn damaged(table: &'static str, name: &str, what: &str) -> StoreError {
    StoreError::Damaged { table, what: format!("row of {name}: {what}") }
}

/// A time to live as the database adds it to its clock.
pub(super) fn ttl(ttl_ms: u64) -> i64 {
    i64::try_from(ttl_ms).unwrap_or(i64::MAX / 4)
}
