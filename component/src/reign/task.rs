//! The reign's one task: opens the domain step by step. What it does then is in `court`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tandem_muc_core::name::BareJid;
use tandem_muc_core::pace;
use tandem_muc_core::pair::Opening;
use tokio::sync::{mpsc, oneshot, watch};
use tracing::{info, warn};

use super::activity::{self, Activity, listeners_before};
use super::court::{Court, Guards};
use super::dispatch::{Beginning, Dispatch};
use super::hush::Hush;
use super::lobby::Lobby;
use super::news::{news_of, tell_health, tell_relays, tell_stream};
use super::{Frozen, Grant, News, Order, Setup, expiry, level, passed};
use crate::journal::{self, Entry, Journal};
use crate::shard::{self, Archives, Listeners, Shard};
use crate::store::{SqlStore, StoreError, Unheard};
use crate::stream::{Claim, Mark, Pace, Received, Stream, StreamHandle, StreamState, Welcome};

/// So long is a mark awaited before words are said again that a relay says it has passed on: a server that takes longer
/// hears them twice, under the same ids.
const PROOF_PATIENCE: Duration = Duration::from_millis(300);
/// The most stanzas that wait in one shard.
const MAILBOX_MAX: usize = 1_000;
/// How often the tail is asked for until the store answers.
const AGAIN: Duration = Duration::from_millis(250);
/// Before it has opened.
pub(super) struct Task {
    setup: Arc<Setup>,
    grant: Grant,
    news: mpsc::UnboundedSender<News>,
    stream: StreamHandle,
    inbound: mpsc::Receiver<Received>,
}

impl Task {
    pub(super) fn new(setup: Arc<Setup>, mut grant: Grant, news: mpsc::UnboundedSender<News>) -> (Task, StreamHandle) {
        let claim = Claim {
            epoch: grant.lease.epoch.0.unsigned_abs(),
            node: setup.node.clone(),
            database: setup.database.clone(),
            relays: setup.stream.relays.len(),
        };
        let reign = crate::stream::Reign {
            claim,
            gate: grant.gate.clone(),
            handled: grant.lease.inbound.clone(),
            warm: grant.warm.take(),
        };
        let (stream, inbound) = Stream::reign(setup.stream.clone(), Pace::default(), reign);
        (Task { setup, grant, news, stream: stream.clone(), inbound }, stream)
    }

    pub(super) async fn run(mut self, mut orders: mpsc::UnboundedReceiver<Order>) {
        let watching = tokio::spawn(tell_stream(self.stream.state(), self.news.clone()));
        let relays = tokio::spawn(tell_relays(self.stream.paths(), self.news.clone()));
        let _guards = Guards(vec![watching.abort_handle(), relays.abort_handle()]);
        let Some(welcome) = self.attached(&mut orders).await else {
            // What the stream said last is told here: who watches it ends with this task.
            news_of(&self.stream.state().borrow()).map(|told| self.news.send(told));
            return;
        };
        let mark = self.heard_to(welcome).await;
        let tail = tail(&self.setup.store, &self.setup.stream.domain, mark).await;
        let (repeated, news) = (tail.len() as u64, self.news.clone());
        let (setup, max) = (&self.setup, self.setup.service.limits.activity_listeners);
        let before = listeners_before(&setup.store, &setup.stream.domain, max).await;
        let listeners = Listeners::new(&setup.service.domain.0, max, before);
        let (court, opened) = self.open(mark, tail, listeners);
        if court.setup.has_twin
            && let (None, Some(question)) = (welcome, level::question(&court.setup.stream.domain))
        {
            court.journal.submit(Entry::Lobby { word: Some(question), ticket: None }).await;
        }
        let _guards = Guards(court.hangers_on().into_iter().chain([watching.abort_handle()]).collect());
        tokio::spawn(tell_health(court.journal.watch(), news.clone()));
        tokio::spawn(async move {
            let Ok(passed) = opened.await else { return };
            let (held, bounced) = welcome.map_or((0, 0), |welcome| (welcome.held, welcome.bounced));
            let _ = news.send(News::Opened(Opening { repeated, replayed: held + passed, bounced }));
        });
        court.rule(orders).await;
    }

    /// The last group known to be heard. A relay knows better than the store how far the words of the reign before came
    /// to itself; that the server has them too is proven by a mark that went after them, else a relay that dies now
    /// would take them with it.
    async fn heard_to(&self, welcome: Option<Welcome>) -> i64 {
        let lease = &self.grant.lease;
        // Groups of a time that the store has forgotten are not those it has now.
        let knows = |welcome: &Welcome| welcome.said_in == Some(lease.before.0.unsigned_abs());
        let said = welcome.filter(knows).and_then(|welcome| welcome.mark);
        let Some(said) = said.filter(|said| (lease.mark + 1..=lease.seq).contains(said)) else { return lease.mark };
        let mark = Mark { epoch: lease.epoch.0.unsigned_abs(), seq: lease.mark };
        let Some(word) = mark.word(&self.setup.stream.domain) else { return lease.mark };
        let proven = tokio::time::timeout(PROOF_PATIENCE, self.stream.proves(word)).await;
        if proven == Ok(true) { said } else { lease.mark }
    }

    /// Waits for the stream to attach; what is asked meanwhile is easily done, for nothing was begun.
    async fn attached(&mut self, orders: &mut mpsc::UnboundedReceiver<Order>) -> Option<Option<Welcome>> {
        let mut state = self.stream.state();
        loop {
            tokio::select! {
                welcome = welcomed(&mut state) => return welcome,
                order = orders.recv() => match order? {
                    Order::Freeze(told) => {
                        let handled = self.grant.lease.inbound.clone();
                        let _ = told.send(Ok(Frozen { mark: None, handled, is_relayed: false }));
                        self.still(orders).await?;
                    }
                    Order::PassOn(_, told) => { let _ = told.send(Vec::new()); }
                    Order::End(told) => {
                        let _ = told.send(());
                        return None;
                    }
                    Order::Thaw | Order::Sweep | Order::Vitals(_) => {}
                },
            }
        }
    }

    /// Frozen before it opened: what comes in meanwhile waits, and goes on to the next reign.
    async fn still(&mut self, orders: &mut mpsc::UnboundedReceiver<Order>) -> Option<()> {
        loop {
            match orders.recv().await? {
                Order::PassOn(_, told) => {
                    self.stream.retire();
                    self.inbound.close();
                    let mut unhandled = Vec::new();
                    while let Ok(received) = self.inbound.try_recv() {
                        unhandled.extend(received.ticket.is_none().then_some(received.inbound));
                    }
                    let _ = told.send(unhandled);
                }
                Order::End(told) => {
                    let _ = told.send(());
                    return None;
                }
                Order::Freeze(told) => {
                    let _ = told.send(Err("it is frozen already".to_owned()));
                }
                Order::Thaw => return Some(()),
                Order::Sweep | Order::Vitals(_) => {}
            }
        }
    }

    fn open(self, mark: i64, tail: Vec<(BareJid, Unheard)>, listeners: Listeners) -> (Court, oneshot::Receiver<u64>) {
        let Task { setup, grant, stream, inbound, news } = self;
        let domain = setup.stream.domain.clone();
        let rules = Arc::new(setup.service.rules());
        let (stop, stops) = watch::channel(false);
        let (notices, heeded): (Vec<_>, Vec<_>) = (0..setup.shards).map(|_| mpsc::unbounded_channel()).unzip();
        let (journal, journaling) = Journal::start(
            journal::Setup {
                domain: domain.clone(),
                store: setup.store.clone(),
                stream: stream.clone(),
                epoch: grant.lease.epoch,
                seq: grant.lease.seq,
                mark,
                has_tail: !tail.is_empty(),
                group_max: setup.group_max,
                queue_max: setup.queue_max,
                held: setup.held,
                notices,
            },
            stops,
        );
        let archives = Archives::new(setup.store.clone());
        let (ends, shards): (Vec<_>, Vec<_>) = heeded
            .into_iter()
            .enumerate()
            .map(|(nth, heeded)| {
                let shard = shard::Setup {
                    nth,
                    domain: domain.clone(),
                    rules: rules.clone(),
                    store: setup.store.clone(),
                    archives: archives.clone(),
                    listeners: listeners.clone(),
                    journal: journal.clone(),
                    mailbox_max: MAILBOX_MAX,
                    idle: Duration::from_secs(setup.service.limits.idle_seconds),
                };
                Shard::start(shard, heeded)
            })
            .unzip();
        let (quit, quits) = watch::channel(false);
        let clock = expiry::Expiry {
            domain: domain.clone(),
            store: setup.store.clone(),
            shards: ends.clone(),
            rules: rules.clone(),
            reloads: setup.reloads.clone(),
        };
        tokio::spawn(clock.run(quits.clone()));
        let activity = Activity::start(activity::Setup {
            domain: domain.clone(),
            epoch: grant.lease.epoch,
            store: setup.store.clone(),
            journal: journal.clone(),
            listeners,
        });
        let lobby = Lobby::new(rules, setup.store.clone(), journal.clone(), activity);
        let dispatch = Dispatch {
            domain: domain.clone(),
            shards: ends,
            journal: journal.clone(),
            stream: stream.clone(),
            lobby,
            since: Instant::now(),
            news,
            kept: None,
            has_twin: setup.has_twin,
            hush: Hush::new(stream.state()),
            thaw: None,
            pace: pace::Pace::new(setup.service.pace()),
        };
        let (demands, demanded) = mpsc::channel(4);
        let (told_opened, opened) = oneshot::channel();
        let (told_passed, passed_on) = oneshot::channel();
        match grant.handed_in {
            None => drop(told_passed),
            Some(epoch) => {
                let (store, limits) = (setup.store.clone(), setup.stream.limits);
                tokio::spawn(async move {
                    let _ = told_passed.send(passed::awaited(&store, &domain, epoch, limits).await);
                });
            }
        }
        let beginning = Beginning { tail, passed_on, opened: told_opened };
        let dispatching = tokio::spawn(dispatch.run(beginning, inbound, demanded, setup.reloads.clone(), quits));
        (Court { setup, stream, journal, demands, quit, stop, dispatching, shards, journaling }, opened)
    }
}

/// Waits for the stream to attach; nothing if it never will.
async fn welcomed(state: &mut watch::Receiver<StreamState>) -> Option<Option<Welcome>> {
    let attached = state.wait_for(|state| matches!(state, StreamState::Attached { .. })).await.ok()?;
    match &*attached {
        StreamState::Attached { relay, .. } => Some(*relay),
        StreamState::Connecting { .. } | StreamState::Outdated { .. } | StreamState::Closed => None,
    }
}

/// What may not have been heard of a node that died: what is durable after the last mark it stored.
async fn tail(store: &SqlStore, domain: &str, mark: i64) -> Vec<(BareJid, Unheard)> {
    loop {
        match store.tail(domain, mark).await {
            Ok(tail) => {
                if !tail.is_empty() {
                    info!(domain, stanzas = tail.len(), mark, "repeating what may not have been heard, ids unchanged");
                }
                return tail;
            }
            Err(StoreError::Unavailable(why)) => {
                warn!(domain, %why, "what may not have been heard cannot be read yet; trying again");
                tokio::time::sleep(AGAIN).await;
            }
            Err(why @ (StoreError::Damaged { .. } | StoreError::Fenced { .. })) => {
                warn!(domain, %why, "not repeating what may not have been heard; it is in the archive");
                return Vec::new();
            }
        }
    }
}
