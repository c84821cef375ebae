//! A reign that has opened: does what it is told until it ends - frozen and thawed, passed on, or ended in good order.

use std::sync::Arc;
use std::time::Duration;

use tandem_muc_core::stanza::Inbound;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::timeout;
use tracing::{info, warn};

use super::dispatch::Demand;
use super::{Frozen, Order, Setup, Vitals, sweep};
use crate::journal::Journal;
use crate::store::{Epoch, SqlStore};
use crate::stream::{Received, StreamHandle, StreamState};

/// How long what was begun may take to become durable and be said; then it is let go, for a server or a database that
/// is away would hold the end up for ever. Nobody was told what is not durable; what was not said is said at the start.
const DRAIN: Duration = Duration::from_millis(2_500);
/// How long the last words may take to be handed on.
const FAREWELL: Duration = Duration::from_millis(1_200);
/// How long a successor may take to have the lease.
const SUCCEEDED: Duration = Duration::from_millis(1_500);
/// Once it has, its stream opens within this; where the server lets newcomers replace, ours has ended by then.
const REPLACED: Duration = Duration::from_millis(80);
/// How often the lease is looked at meanwhile.
const LOOK: Duration = Duration::from_millis(5);

/// Everything of a reign under way.
pub(super) struct Court {
    pub(super) setup: Arc<Setup>,
    pub(super) stream: StreamHandle,
    pub(super) journal: Journal,
    pub(super) demands: mpsc::Sender<Demand>,
    pub(super) quit: watch::Sender<bool>,
    pub(super) stop: watch::Sender<bool>,
    pub(super) dispatching: JoinHandle<Vec<Received>>,
    pub(super) shards: Vec<JoinHandle<()>>,
    pub(super) journaling: JoinHandle<()>,
}

impl Court {
    pub(super) fn hangers_on(&self) -> Vec<AbortHandle> {
        let tasks = self.shards.iter().chain([&self.journaling]).map(JoinHandle::abort_handle);
        tasks.chain([self.dispatching.abort_handle()]).collect()
    }

    pub(super) async fn rule(self, mut orders: mpsc::UnboundedReceiver<Order>) {
        // One look for ghosts at a time, and none beyond the reign: the journal ends when nobody holds it any more.
        let mut sweeping = Guards(Vec::new());
        while let Some(order) = orders.recv().await {
            match order {
                Order::Freeze(told) => self.freeze(told).await,
                Order::Thaw => {
                    let _ = self.demands.send(Demand::Thaw).await;
                }
                Order::Sweep => {
                    let (store, journal) = (self.setup.store.clone(), self.journal.clone());
                    let (stream, demands) = (self.stream.clone(), self.demands.clone());
                    let domain = self.setup.stream.domain.clone();
                    let sweep = tokio::spawn(async move {
                        sweep::run(store, &journal, domain).await;
                        // Whoever is gone has bounced when what was asked last is known to be handed on.
                        let _ = journal.flush().await;
                        drop(journal);
                        stream.drained().await;
                        let _ = demands.send(Demand::Swept).await;
                    });
                    sweeping = Guards(vec![sweep.abort_handle()]);
                }
                Order::Vitals(told) => {
                    let (health, stream) = (self.journal.watch(), self.stream.state());
                    let _ = told.send(Vitals { health, stream, pulse: self.journal.pulse() });
                }
                Order::PassOn(epoch, told) => {
                    let _ = told.send(self.pass_on(epoch).await);
                    return;
                }
                Order::End(told) => {
                    drop(sweeping);
                    self.end().await;
                    let _ = told.send(());
                    return;
                }
            }
        }
    }

    /// Beside what else there is to do, for it may take long and be called off.
    async fn freeze(&self, told: oneshot::Sender<Result<Frozen, String>>) {
        let (still, stood) = oneshot::channel();
        if self.demands.send(Demand::Freeze(still)).await.is_err() {
            let _ = told.send(Err("the reign ended".to_owned()));
            return;
        }
        let (journal, stream) = (self.journal.clone(), self.stream.clone());
        tokio::spawn(async move {
            let frozen = async {
                stood.await.map_err(|_| "the reign ended".to_owned())?;
                let flushed = journal.flush().await.ok_or("the journal ended")?;
                drop(journal);
                handed_on(&stream).await;
                let mark = stream.marked().filter(|_| flushed.has_marks);
                let is_relayed = matches!(&*stream.state().borrow(), StreamState::Attached { relay: Some(_), .. });
                Ok(Frozen { mark, handled: stream.handled_with(&[]), is_relayed })
            };
            let _ = told.send(frozen.await);
        });
    }

    /// The lease is another's: the stream is read until the server ends it, which the newcomer brings about. A server
    /// that takes both is left once the newcomer has begun, so that there is always somebody to bring stanzas to.
    async fn pass_on(self, epoch: Epoch) -> Vec<Inbound> {
        self.stream.retire();
        let Court { setup, stream, mut dispatching, journaling, .. } = self;
        journaling.abort();
        let kept = tokio::select! {
            kept = &mut dispatching => kept,
            () = begun(&setup.store, &setup.stream.domain, epoch) => {
                stream.leave();
                match timeout(FAREWELL, dispatching).await {
                    Ok(kept) => kept,
                    Err(_) => return Vec::new(),
                }
            }
        };
        // What a relay brought it brings again.
        kept.unwrap_or_default().into_iter().filter(|kept| kept.ticket.is_none()).map(|kept| kept.inbound).collect()
    }

    async fn end(self) {
        let hangers_on = self.hangers_on();
        let Court { setup, stream, journal, quit, stop, dispatching, shards, journaling, demands } = self;
        drop((journal, demands));
        quit.send_replace(true);
        stop.send_replace(true);
        let domain = &setup.stream.domain;
        let drained = timeout(DRAIN, async {
            let _ = dispatching.await;
            for shard in shards {
                let _ = shard.await;
            }
            let _ = journaling.await;
        });
        if drained.await.is_err() {
            warn!(
                domain,
                "not everything could be finished; what is durable and was not heard is said at the next start"
            );
            hangers_on.iter().for_each(AbortHandle::abort);
        } else {
            info!(domain, "everything said is durable");
        }
        let _ = timeout(FAREWELL, stream.close()).await;
    }
}

/// Aborts what hangs on a reign that is cut off.
pub(super) struct Guards(pub(super) Vec<AbortHandle>);

impl Drop for Guards {
    fn drop(&mut self) {
        self.0.iter().for_each(AbortHandle::abort);
    }
}

/// Waits until the successor has taken the lease up, which gives it an epoch of its own, and has had time to attach.
async fn begun(store: &SqlStore, domain: &str, handed_in: Epoch) {
    let taken_up = async {
        while !matches!(store.see_lease(domain).await, Ok(Some(lease)) if lease.epoch > handed_in) {
            tokio::time::sleep(LOOK).await;
        }
    };
    let _ = timeout(SUCCEEDED, taken_up).await;
    tokio::time::sleep(REPLACED).await;
}

/// Waits until everything said is handed on; where no stream is open there is nothing to wait for.
async fn handed_on(stream: &StreamHandle) {
    let mut state = stream.state();
    tokio::select! {
        () = stream.drained() => {}
        _ = state.wait_for(|state| !matches!(state, StreamState::Attached { .. })) => {}
    }
}
