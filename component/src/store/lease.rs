//! The lease and the fence: two rows for each service. The lease is renewed every beat and never waits for a batch;
//! the fence is moved by every append, as its first statement, so that a stale holder's write finds no row.

use super::Epoch;
use super::error::StoreError;
use super::session::{Session, Statement};

const LEASE: &str = "muc_lease";
const FENCE: &str = "muc_fence";

const SEE: Statement = Statement::on(
    LEASE,
    "SELECT l.owner_txt, l.epoch, l.expires_ms - {now_ms}, f.epoch
     FROM muc_lease l LEFT JOIN muc_fence f ON f.name_txt = l.name_txt WHERE l.name_txt = ?",
);
const NEW_LEASE: Statement =
    Statement::on(LEASE, "INSERT INTO muc_lease (name_txt, owner_txt, epoch, expires_ms) VALUES (?, NULL, 0, 0)");
const NEW_FENCE: Statement =
    Statement::on(FENCE, "INSERT INTO muc_fence (name_txt, epoch, seq, mark_seq) VALUES (?, 0, 0, 0)");
const ACQUIRE: Statement = Statement::on(
    LEASE,
    "UPDATE muc_lease SET owner_txt = ?, epoch = epoch + 1, expires_ms = {now_ms} + ?
     WHERE name_txt = ? AND (owner_txt IS NULL OR expires_ms < {now_ms})",
);
const STEAL: Statement = Statement::on(
    LEASE,
    "UPDATE muc_lease SET owner_txt = ?, epoch = epoch + 1, expires_ms = {now_ms} + ?
     WHERE name_txt = ? AND epoch = ?",
);
const RENEW: Statement = Statement::on(
    LEASE,
    "UPDATE muc_lease SET expires_ms = {now_ms} + ? WHERE name_txt = ? AND owner_txt = ? AND epoch = ?",
);
const RELEASE: Statement = Statement::on(
    LEASE,
    "UPDATE muc_lease SET owner_txt = NULL, expires_ms = 0 WHERE name_txt = ? AND owner_txt = ? AND epoch = ?",
);
const OVERTAKE: Statement = Statement::on(LEASE, "UPDATE muc_lease SET epoch = ? WHERE name_txt = ?");
const RAISE: Statement = Statement::on(FENCE, "UPDATE muc_fence SET epoch = ? WHERE name_txt = ? AND epoch < ?");
const PLACE: Statement = Statement::on(FENCE, "SELECT epoch, seq, mark_seq FROM muc_fence WHERE name_txt = ?");

/// A lease in hand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lease {
    /// The new reign.
    pub epoch: Epoch,
    /// The last group written: the first [`super::Fence::after`].
    pub seq: i64,
    /// The last group known to be spoken.
    pub mark: i64,
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

/// The lease row as others see it.
struct Seen {
    owner: Option<String>,
    epoch: i64,
    expires_in_ms: i64,
    has_fence: bool,
}

async fn see(session: &mut Session, name: &str) -> Result<Option<Seen>, StoreError> {
    let Some(mut row) = session.fetch_one(SEE, &[name.into()]).await? else {
        return Ok(None);
    };
    let mut read = || -> Result<Seen, String> {
        Ok(Seen {
            owner: row.maybe_text()?,
            epoch: row.int()?,
            expires_in_ms: row.int()?,
            has_fence: row.maybe_int()?.is_some(),
        })
    };
    read().map(Some).map_err(|what| StoreError::Damaged { table: LEASE, what: format!("lease of {name}: {what}") })
}

/// The place of the fence: epoch, last group, last group spoken.
pub(super) async fn place(session: &mut Session, name: &str) -> Result<Option<(Epoch, i64, i64)>, StoreError> {
    let Some(mut row) = session.fetch_one(PLACE, &[name.into()]).await? else {
        return Ok(None);
    };
    let mut read = || Ok((Epoch(row.int()?), row.int()?, row.int()?));
    read()
        .map(Some)
        .map_err(|what: String| StoreError::Damaged { table: FENCE, what: format!("fence of {name}: {what}") })
}

pub(super) async fn acquire(
    session: &mut Session,
    name: &str,
    node: &str,
    ttl_ms: u64,
    may_steal: bool,
) -> Result<Acquired, StoreError> {
    let seen = make_rows(session, name).await?;
    session.begin(LEASE).await?;
    let ttl = i64::try_from(ttl_ms).unwrap_or(i64::MAX / 4);
    let taken = if may_steal {
        session.execute(STEAL, &[node.into(), ttl.into(), name.into(), seen.epoch.into()]).await?
    } else {
        session.execute(ACQUIRE, &[node.into(), ttl.into(), name.into()]).await?
    };
    if taken == 0 {
        session.rollback(LEASE).await;
        let Some(held) = see(session, name).await? else {
            return Err(gone(LEASE, name));
        };
        return Ok(Acquired::HeldBy {
            node: held.owner.unwrap_or_default(),
            epoch: Epoch(held.epoch),
            expires_in_ms: held.expires_in_ms,
        });
    }
    let lease = raise_fence(session, name).await?;
    session.commit(LEASE).await?;
    Ok(Acquired::Lease(lease))
}

/// Makes lease and fence where there are none. Where another node makes them at the same moment, its are as good:
/// the failed insert is not looked at, only what is there afterwards.
async fn make_rows(session: &mut Session, name: &str) -> Result<Seen, StoreError> {
    if let Some(seen) = see(session, name).await?
        && seen.has_fence
    {
        return Ok(seen);
    }
    for made in [NEW_LEASE, NEW_FENCE] {
        match session.execute(made, &[name.into()]).await {
            Ok(_) | Err(StoreError::Damaged { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    see(session, name).await?.ok_or_else(|| gone(LEASE, name))
}

/// Ends the epoch before: waits for its last write, and lets none in after it. The new epoch exceeds both rows',
/// also when one of them was restored from an older copy.
async fn raise_fence(session: &mut Session, name: &str) -> Result<Lease, StoreError> {
    let Some(seen) = see(session, name).await? else {
        return Err(gone(LEASE, name));
    };
    let mut epoch = seen.epoch;
    if session.execute(RAISE, &[epoch.into(), name.into(), epoch.into()]).await? == 0 {
        let Some((Epoch(ahead), ..)) = place(session, name).await? else {
            return Err(gone(FENCE, name));
        };
        epoch = ahead + 1;
        session.execute(OVERTAKE, &[epoch.into(), name.into()]).await?;
        session.execute(RAISE, &[epoch.into(), name.into(), epoch.into()]).await?;
    }
    let Some((held, seq, mark)) = place(session, name).await? else {
        return Err(gone(FENCE, name));
    };
    debug_assert_eq!(held, Epoch(epoch), "the fence row is locked since it was raised");
    Ok(Lease { epoch: held, seq, mark })
}

fn gone(table: &'static str, name: &str) -> StoreError {
    StoreError::Damaged { table, what: format!("the row of {name} was just removed by somebody") }
}

pub(super) async fn renew(
    session: &mut Session,
    name: &str,
    node: &str,
    epoch: Epoch,
    ttl_ms: u64,
) -> Result<bool, StoreError> {
    let ttl = i64::try_from(ttl_ms).unwrap_or(i64::MAX / 4);
    Ok(session.execute(RENEW, &[ttl.into(), name.into(), node.into(), epoch.0.into()]).await? == 1)
}

pub(super) async fn release(session: &mut Session, name: &str, node: &str, epoch: Epoch) -> Result<(), StoreError> {
    session.execute(RELEASE, &[name.into(), node.into(), epoch.0.into()]).await?;
    Ok(())
}
