//! One beat: this node's sign of life is written, everything the engine wants to know is read.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tandem_muc_core::pair::{LeaseView, Order, Sighting, Standing, TwinView};
use tracing::error;

use super::Setup;
use super::taken::{Orders, Ours};
use crate::store::{Duty, DutySeen, LeaseSeen, NodeBeat, SqlStore, StoreError};

/// An order that its taker has not ended by now never will be: no move takes so long.
const LOST_MS: u64 = 60_000;

/// What the last looks found, kept between them.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// The furthest place of the fence ever seen: a database behind it has forgotten.
    furthest: (i64, i64),
    orders: Orders,
}

/// Looks at the database on behalf of one driver.
#[derive(Clone, Debug)]
pub(super) struct Looker {
    pub(super) setup: Arc<Setup>,
    memory: Arc<Mutex<Memory>>,
    /// What is to be written, and whoever writes: an older state never comes after a newer one.
    latest: Arc<Mutex<Option<(Duty, bool)>>>,
    pen: Arc<tokio::sync::Mutex<()>>,
}

/// A look, and what was found to be lost.
#[derive(Debug)]
pub(super) struct Look {
    pub(super) sighting: Sighting,
    /// The database has gone back.
    pub(super) loss: Option<String>,
    /// Orders taken while this node served, which it serves no more.
    pub(super) late: Vec<Order>,
}

impl Looker {
    pub(super) fn new(setup: Arc<Setup>) -> Looker {
        Looker { setup, memory: Arc::default(), latest: Arc::default(), pen: Arc::default() }
    }

    fn store(&self) -> &SqlStore {
        &self.setup.reign.store
    }

    fn domain(&self) -> &str {
        &self.setup.reign.stream.domain
    }

    /// How the node stands to the domain from now on; the next beat writes it.
    pub(super) fn stand(&self, duty: Duty, is_paused: bool) {
        *self.latest.lock().unwrap_or_else(PoisonError::into_inner) = Some((duty, is_paused));
    }

    /// Writes how the node stands, and that it lives.
    pub(super) async fn beat(&self) -> Result<(), StoreError> {
        let _pen = self.pen.lock().await;
        let latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some((duty, is_paused)) = latest else { return Ok(()) };
        let card = &self.setup.card;
        let beat = NodeBeat {
            node: &self.setup.terms.node,
            incarnation: &card.incarnation,
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION"),
            http: card.http.as_deref(),
            is_paused,
        };
        self.store().beat(&beat, &[duty]).await
    }

    /// Reads what there is to know; `unfit` says why this node could not serve.
    pub(super) async fn look(&self, unfit: Option<String>) -> Result<Look, StoreError> {
        let (store, domain) = (self.store(), self.domain());
        let lease = store.see_lease(domain).await?;
        let loss = lease.as_ref().and_then(|lease| self.compare(lease));
        let within_ms = u64::try_from(self.setup.moves_within.as_millis()).unwrap_or(u64::MAX);
        let bearings = store.bearings(domain, within_ms).await?;
        let duties = if self.setup.terms.twin.is_some() { store.duties(Some(domain)).await? } else { Vec::new() };
        let (orders, late) = self.orders(lease.as_ref()).await?;
        let is_home = self.setup.terms.home == self.setup.terms.node;
        let sighting = Sighting {
            lease: lease.map(view),
            twin: self.twin(&duties),
            unfit,
            is_paused: bearings.is_paused,
            is_idle: is_home && bearings.is_sent_away,
            moves_lately: bearings.moves,
            orders,
        };
        Ok(Look { sighting, loss, late })
    }

    /// What the twin says of itself; a secret unlike ours makes it unfit in our eyes.
    fn twin(&self, duties: &[DutySeen]) -> Option<TwinView> {
        let twin = self.setup.terms.twin.as_deref()?;
        let seen = duties.iter().find(|seen| seen.node == twin)?;
        let duty = &seen.duty;
        let unfit = if duty.secret_tag != self.setup.card.secret_tag {
            Some(format!("its secret for {} is not this node's; both configurations must have the same", duty.service))
        } else if duty.home != self.setup.terms.home {
            let (theirs, ours) = (&duty.home, &self.setup.terms.home);
            Some(format!("it has home = \"{theirs}\" for {}, this node has \"{ours}\"", duty.service))
        } else if duty.twin.as_deref() != Some(self.setup.terms.node.as_str()) {
            Some(format!("its twin is {}, not this node", duty.twin.as_deref().unwrap_or("nobody")))
        } else {
            duty.unfit.clone()
        };
        let standing = match (duty.state.parse(), duty.reason.parse()) {
            (Ok(state), Ok(reason)) => Some(Standing { state, reason, why: duty.why.clone() }),
            _ => None,
        };
        Some(TwinView { silent_ms: seen.silent_ms, unfit, standing })
    }

    /// Takes the orders that are this node's to carry out: the holder's, and those a holder leaves lying. Gives those
    /// that wait, and those that came too late.
    async fn orders(&self, lease: Option<&LeaseSeen>) -> Result<(Vec<Order>, Vec<Order>), StoreError> {
        let terms = &self.setup.terms;
        let holder = lease.and_then(|lease| lease.owner.as_deref());
        let is_mine = holder.is_none_or(|holder| holder == terms.node);
        let open = self.store().open_orders(self.domain()).await?;
        self.memory().orders.forget_ended(open.iter().map(|open| open.id.as_str()));
        for open in open {
            // Taken when it may be heeded, not earlier.
            let is_left = open.age_ms > terms.patience_ms + terms.move_ms;
            let ours = self.memory().orders.ours(&open.id);
            match open.node.as_deref() {
                None if is_mine || is_left => {}
                Some(node) if node == terms.node && ours == Ours::Unheard => {}
                Some(node)
                    if (node == terms.node && ours == Ours::Inherited)
                        || (node != terms.node && is_mine && open.age_ms > LOST_MS) =>
                {
                    let why = format!(
                        "node {node} took it and ended before it said what came of it; give it again if still wanted"
                    );
                    self.store().end_order(&open.id, "failed", &why).await?;
                    continue;
                }
                None | Some(_) => continue,
            }
            let Ok(kind) = open.kind.parse() else {
                error!(order = open.kind, by = open.by, "an order this program does not know is left alone");
                continue;
            };
            self.memory().orders.ask(&open.id);
            if open.node.is_some() || self.store().take_order(&open.id, &terms.node).await? {
                let order = Order { id: open.id, kind, by: open.by, age_ms: open.age_ms };
                self.memory().orders.take(order, is_mine, Instant::now());
            }
        }
        Ok(self.memory().orders.waiting(!is_mine, Instant::now()))
    }

    /// An order was answered; it is not given to the engine again.
    pub(super) fn answered(&self, id: &str) {
        self.memory().orders.answered(id);
    }

    /// Whether it was taken and is not answered.
    pub(super) fn is_taken(&self, id: &str) -> bool {
        self.memory().orders.is_taken(id)
    }

    /// Whether the fence stands behind where it was seen before.
    fn compare(&self, lease: &LeaseSeen) -> Option<String> {
        let mut memory = self.memory();
        let (epoch, seq) = memory.furthest;
        let now = (lease.fence_epoch.0, lease.seq);
        if now.1 >= seq {
            memory.furthest = (now.0.max(epoch), now.1);
            return None;
        }
        // Told once: from here on it is what it is.
        memory.furthest = now;
        Some(format!(
            "the database has gone back: epoch {epoch}, group {seq} was seen, now it is epoch {}, group {}; what was said in {} groups is lost to the archive",
            now.0,
            now.1,
            seq - now.1
        ))
    }

    fn memory(&self) -> std::sync::MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn view(seen: LeaseSeen) -> LeaseView {
    LeaseView {
        owner: seen.owner,
        epoch: seen.epoch.0.max(seen.fence_epoch.0),
        expires_ms: seen.expires_ms,
        is_over: seen.expires_in_ms < 0,
    }
}
