//! A planned move's one transaction: lease and fence become the target's, with all the next holder has to know.

use super::error::StoreError;
use super::lease::{self, FENCE, LEASE, ttl};
use super::passed;
use super::session::{Session, Statement};
use super::{Epoch, SqlStore};

const GIVE: Statement = Statement::on(
    LEASE,
    "UPDATE muc_lease SET owner_txt = ?, epoch = ?, expires_ms = {now_ms} + ?
     WHERE name_txt = ? AND owner_txt = ? AND epoch = ?",
);
const RAISE: Statement = Statement::on(
    FENCE,
    "UPDATE muc_fence SET epoch = ?, mark_seq = COALESCE(?, mark_seq), inbound_txt = COALESCE(?, inbound_txt)
     WHERE name_txt = ? AND epoch = ?",
);

/// What is handed over, from whom to whom.
#[derive(Clone, Copy, Debug)]
pub struct HandOver<'a> {
    /// The service domain.
    pub name: &'a str,
    /// Who has it.
    pub node: &'a str,
    /// The reign that ends.
    pub epoch: Epoch,
    /// Who gets it, and takes it up in an epoch of its own.
    pub to: &'a str,
    /// How long the target has for that, before the lease is anybody's.
    pub ttl_ms: u64,
    /// The last group known to be spoken, if that is known anew.
    pub mark: Option<i64>,
    /// What was handled of the stanzas a relay numbered, if that is known anew.
    pub inbound: Option<&'a str>,
    /// Whether stanzas that were not handled will follow by [`SqlStore::pass_on`]: the target waits for them.
    pub passes_on: bool,
}

impl SqlStore {
    /// Hands the lease over; the new epoch, in which nothing of ours is written any more. `None` if the lease was not
    /// ours in that epoch. Repeating it after a lost answer is harmless.
    pub async fn hand_over(&self, handed: &HandOver<'_>) -> Result<Option<Epoch>, StoreError> {
        self.bounded(async { run(&mut self.keeper().await?, handed).await }).await
    }
}

async fn run(session: &mut Session, handed: &HandOver<'_>) -> Result<Option<Epoch>, StoreError> {
    let next = Epoch(handed.epoch.0 + 1);
    session.begin(LEASE).await?;
    match give(session, handed, next).await {
        Ok(true) => {
            session.commit(LEASE).await?;
            Ok(Some(next))
        }
        Ok(false) => {
            session.rollback(LEASE).await;
            let seen = lease::see(session, handed.name).await?;
            // The target may have taken it up by now, in an epoch of its own.
            let is_done = seen.is_some_and(|seen| {
                seen.owner.as_deref() == Some(handed.to) && seen.epoch >= next && seen.fence_epoch >= next
            });
            Ok(is_done.then_some(next))
        }
        Err(error) => {
            session.rollback(LEASE).await;
            Err(error)
        }
    }
}

/// Whether both rows were ours.
async fn give(session: &mut Session, handed: &HandOver<'_>, next: Epoch) -> Result<bool, StoreError> {
    let HandOver { name, node, epoch, to, .. } = *handed;
    let lease = [to.into(), next.0.into(), ttl(handed.ttl_ms).into(), name.into(), node.into(), epoch.0.into()];
    if session.execute(GIVE, &lease).await? == 0 {
        return Ok(false);
    }
    let fence = [next.0.into(), handed.mark.into(), handed.inbound.into(), name.into(), epoch.0.into()];
    if session.execute(RAISE, &fence).await? == 0 {
        return Ok(false);
    }
    if handed.passes_on {
        passed::announce(session, name, next).await?;
    }
    Ok(true)
}
