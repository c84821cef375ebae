//! Having the lease: by which right it is taken, and the one transaction that takes it and ends the epoch before.

use super::error::StoreError;
use super::lease::{self, FENCE, LEASE, ttl};
use super::session::{Session, Statement};
use super::{Epoch, SessionLock, SqlStore};

const NEW_LEASE: Statement =
    Statement::on(LEASE, "INSERT INTO muc_lease (name_txt, owner_txt, epoch, expires_ms) VALUES (?, NULL, 0, 0)");
const NEW_FENCE: Statement =
    Statement::on(FENCE, "INSERT INTO muc_fence (name_txt, epoch, seq, mark_seq) VALUES (?, 0, 0, 0)");
const TAKE_FREE: Statement = Statement::on(
    LEASE,
    "UPDATE muc_lease SET owner_txt = ?, epoch = epoch + 1, expires_ms = {now_ms} + ?
     WHERE name_txt = ? AND (owner_txt IS NULL OR expires_ms < {now_ms})",
);
const TAKE_DEAD: Statement = Statement::on(
    LEASE,
    "UPDATE muc_lease SET owner_txt = ?, epoch = epoch + 1, expires_ms = {now_ms} + ?
     WHERE name_txt = ? AND epoch = ?",
);
const TAKE_SILENT: Statement = Statement::on(
    LEASE,
    "UPDATE muc_lease SET owner_txt = ?, epoch = epoch + 1, expires_ms = {now_ms} + ?
     WHERE name_txt = ? AND epoch = ? AND expires_ms = ?",
);
const OVERTAKE: Statement = Statement::on(LEASE, "UPDATE muc_lease SET epoch = ? WHERE name_txt = ?");
/// Hits the row in any case, which locks it: waits for the old owner's last write, and lets none in after it.
const RAISE: Statement = Statement::on(
    FENCE,
    "UPDATE muc_fence SET epoch = CASE WHEN epoch < ? THEN ? ELSE epoch + 1 END WHERE name_txt = ?",
);

/// A lease in hand.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lease {
    /// The reign.
    pub epoch: Epoch,
    /// The reign before, as far as this database knows.
    pub before: Epoch,
    /// The last group written: the first [`super::Fence::after`].
    pub seq: i64,
    /// The last group known to be spoken.
    pub mark: i64,
    /// What was handled of the stanzas a relay numbered, as the last holder wrote it.
    pub inbound: Option<String>,
}

/// What came of asking for a lease.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Acquired {
    /// It is ours.
    Lease(Lease),
    /// It is another's, or our own of an earlier life.
    HeldBy {
        /// Whose.
        node: String,
        /// The reign.
        epoch: Epoch,
        /// When it runs out if it is not renewed; negative: it just did.
        expires_in_ms: i64,
    },
}

/// A request for a lease.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// The service domain.
    pub name: &'a str,
    /// Who asks.
    pub node: &'a str,
    /// How long it holds without renewal.
    pub ttl_ms: u64,
    /// Why it may be taken.
    pub right: Right<'a>,
    /// The epoch had exceeds this too: a database that went back must not give out an epoch twice.
    pub above: Epoch,
}

/// Why a lease may be taken.
#[derive(Clone, Copy, Debug)]
pub enum Right<'a> {
    /// Nobody owns it, or it ran out by the database's clock.
    Free,
    /// The session lock of that name is in hand: the session before is gone. The lock of another name gives no more
    /// than [`Right::Free`].
    Dead(&'a SessionLock),
    /// Its row has not changed for longer than the lease, by the asker's own clock. Taken if it is still exactly so.
    Silent {
        /// As it was seen.
        epoch: Epoch,
        /// As it was seen.
        expires_ms: i64,
    },
}

impl SqlStore {
    /// Takes the lease where `ask.right` holds, and in the same transaction ends the epoch before: the new one exceeds
    /// that of the lease, that of the fence and `ask.above`.
    pub async fn acquire(&self, ask: &Ask<'_>) -> Result<Acquired, StoreError> {
        self.bounded(async { run(&mut self.keeper().await?, ask).await }).await
    }
}

async fn run(session: &mut Session, ask: &Ask<'_>) -> Result<Acquired, StoreError> {
    let epoch_before = make_rows(session, ask.name).await?;
    session.begin(LEASE).await?;
    if !take(session, ask, epoch_before).await? {
        session.rollback(LEASE).await;
        let held = lease::see(session, ask.name).await?.ok_or_else(|| gone(LEASE, ask.name))?;
        return Ok(Acquired::HeldBy {
            node: held.owner.unwrap_or_default(),
            epoch: held.epoch,
            expires_in_ms: held.expires_in_ms,
        });
    }
    let lease = end_epoch_before(session, ask).await?;
    session.commit(LEASE).await?;
    Ok(Acquired::Lease(lease))
}

/// Makes lease and fence where there are none; the lease's epoch. Where another node makes them at the same moment,
/// its are as good: the failed insert is not looked at, only what is there afterwards.
async fn make_rows(session: &mut Session, name: &str) -> Result<Epoch, StoreError> {
    if let Some((seen, true)) = lease::see_both(session, name).await? {
        return Ok(seen.epoch);
    }
    for made in [NEW_LEASE, NEW_FENCE] {
        match session.execute(made, &[name.into()]).await {
            Ok(_) | Err(StoreError::Damaged { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(lease::see(session, name).await?.ok_or_else(|| gone(LEASE, name))?.epoch)
}

/// Whether the lease's row is ours now.
async fn take(session: &mut Session, ask: &Ask<'_>, before: Epoch) -> Result<bool, StoreError> {
    let Ask { name, node, .. } = *ask;
    let ttl = ttl(ask.ttl_ms);
    let taken = match ask.right {
        Right::Dead(lock) if lock.name() == name => {
            session.execute(TAKE_DEAD, &[node.into(), ttl.into(), name.into(), before.0.into()]).await?
        }
        Right::Free | Right::Dead(_) => session.execute(TAKE_FREE, &[node.into(), ttl.into(), name.into()]).await?,
        Right::Silent { epoch, expires_ms } => {
            let values = [node.into(), ttl.into(), name.into(), epoch.0.into(), expires_ms.into()];
            session.execute(TAKE_SILENT, &values).await?
        }
    };
    Ok(taken == 1)
}

/// Raises the fence, and the lease with it where something is ahead: either row may come from an older copy.
async fn end_epoch_before(session: &mut Session, ask: &Ask<'_>) -> Result<Lease, StoreError> {
    let name = ask.name;
    let taken = lease::see(session, name).await?.ok_or_else(|| gone(LEASE, name))?.epoch;
    let before = lease::place(session, name).await?.ok_or_else(|| gone(FENCE, name))?.epoch;
    let wanted = if taken <= ask.above { ask.above.0 + 1 } else { taken.0 };
    session.execute(RAISE, &[wanted.into(), wanted.into(), name.into()]).await?;
    let place = lease::place(session, name).await?.ok_or_else(|| gone(FENCE, name))?;
    if place.epoch != taken {
        session.execute(OVERTAKE, &[place.epoch.0.into(), name.into()]).await?;
    }
    Ok(Lease { epoch: place.epoch, before, seq: place.seq, mark: place.mark, inbound: place.inbound })
}

fn gone(table: &'static str, name: &str) -> StoreError {
    StoreError::Damaged { table, what: format!("the row of {name} was just removed by somebody") }
}
