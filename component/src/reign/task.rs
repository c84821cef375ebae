//! The reign's one task: opens the domain step by step, then does what it is told until it ends.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tandem_muc_core::name::BareJid;
use tandem_muc_core::pair::{Level, Opening};
use tandem_muc_core::record::Message;
use tandem_muc_core::stanza::Inbound;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::timeout;
use tracing::{info, warn};

use super::dispatch::{Beginning, Demand, Dispatch};
use super::lobby::Lobby;
use super::{Frozen, Grant, News, Order, Setup, Vitals, expiry, level, passed, sweep};
use crate::journal::{self, Entry, Health, Journal};
use crate::shard::{self, Archives, Shard};
use crate::store::{Epoch, SqlStore, StoreError};
use crate::stream::{Claim, Pace, Received, Stream, StreamHandle, StreamState, Welcome};

/// The most stanzas that wait in one shard.
const MAILBOX_MAX: usize = 1_000;
/// How long what was begun may take to become durable and be said; then it is let go, for a server or a database that
/// is away would hold the end up for ever. Nobody was told what is not durable; what was not said is said at the start.
const DRAIN: Duration = Duration::from_millis(2_500);
/// How long the last words may take to be handed on.
const FAREWELL: Duration = Duration::from_millis(1_200);
/// How often the tail is asked for until the store answers.
const AGAIN: Duration = Duration::from_millis(250);
/// How long a successor may take to have the lease.
const SUCCEEDED: Duration = Duration::from_millis(1_500);
/// Once it has, its stream opens within this; where the server lets newcomers replace, ours has ended by then.
const REPLACED: Duration = Duration::from_millis(80);
/// How often the lease is looked at meanwhile.
const LOOK: Duration = Duration::from_millis(5);

/// Before it has opened.
pub(super) struct Task {
    setup: Arc<Setup>,
    grant: Grant,
    news: mpsc::UnboundedSender<News>,
    stream: StreamHandle,
    inbound: mpsc::Receiver<Received>,
}

/// Once it has.
struct Court {
    setup: Arc<Setup>,
    stream: StreamHandle,
    journal: Journal,
    demands: mpsc::Sender<Demand>,
    quit: watch::Sender<bool>,
    stop: watch::Sender<bool>,
    dispatching: JoinHandle<Vec<Received>>,
    shards: Vec<JoinHandle<()>>,
    journaling: JoinHandle<()>,
}

impl Task {
    pub(super) fn new(setup: Arc<Setup>, mut grant: Grant, news: mpsc::UnboundedSender<News>) -> (Task, StreamHandle) {
        let claim = Claim {
            epoch: grant.lease.epoch.0.unsigned_abs(),
            node: setup.node.clone(),
            database: setup.database.clone(),
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

    pub(super) async fn run(mut self, mut orders: mpsc::Receiver<Order>) {
        let watching = tokio::spawn(tell_stream(self.stream.state(), self.news.clone()));
        let _guards = Guards(vec![watching.abort_handle()]);
        let Some(welcome) = self.attached(&mut orders).await else {
            // What the stream said last is told here: who watches it ends with this task.
            news_of(&self.stream.state().borrow()).map(|told| self.news.send(told));
            return;
        };
        // A relay knows better than the store how far the words of the reign before came; but groups of a time that the
        // store has forgotten are not those it has now.
        let lease = &self.grant.lease;
        let knows = |welcome: &Welcome| welcome.said_in == Some(lease.before.0.unsigned_abs());
        let said = welcome.filter(knows).and_then(|welcome| welcome.mark).filter(|said| *said <= lease.seq);
        let mark = self.grant.lease.mark.max(said.unwrap_or(i64::MIN));
        let tail = tail(&self.setup.store, &self.setup.stream.domain, mark).await;
        let (repeated, news) = (tail.len() as u64, self.news.clone());
        let (court, opened) = self.open(mark, tail);
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

    /// Waits for the stream to attach; what is asked meanwhile is easily done, for nothing was begun.
    async fn attached(&mut self, orders: &mut mpsc::Receiver<Order>) -> Option<Option<Welcome>> {
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
    async fn still(&mut self, orders: &mut mpsc::Receiver<Order>) -> Option<()> {
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

    fn open(self, mark: i64, tail: Vec<(BareJid, Message)>) -> (Court, oneshot::Receiver<u64>) {
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
        let lobby = Lobby::new(rules, setup.store.clone(), journal.clone());
        let dispatch = Dispatch {
            domain: domain.clone(),
            shards: ends,
            journal: journal.clone(),
            stream: stream.clone(),
            lobby,
            since: Instant::now(),
            news,
            kept: None,
            thaw: None,
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

impl Court {
    fn hangers_on(&self) -> Vec<AbortHandle> {
        let tasks = self.shards.iter().chain([&self.journaling]).map(JoinHandle::abort_handle);
        tasks.chain([self.dispatching.abort_handle()]).collect()
    }

    async fn rule(self, mut orders: mpsc::Receiver<Order>) {
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
                    let sweep = tokio::spawn(sweep::run(store, journal, self.setup.stream.domain.clone()));
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

/// Waits for the stream to attach; nothing if it never will.
async fn welcomed(state: &mut watch::Receiver<StreamState>) -> Option<Option<Welcome>> {
    let attached = state.wait_for(|state| matches!(state, StreamState::Attached { .. })).await.ok()?;
    match &*attached {
        StreamState::Attached { relay, .. } => Some(*relay),
        StreamState::Connecting { .. } | StreamState::Outdated { .. } | StreamState::Closed => None,
    }
}

/// Aborts what hangs on a reign that is cut off.
struct Guards(Vec<AbortHandle>);

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

/// What may not have been heard of a node that died: messages durable after the last mark it stored.
async fn tail(store: &SqlStore, domain: &str, mark: i64) -> Vec<(BareJid, Message)> {
    loop {
        match store.tail(domain, mark).await {
            Ok(tail) => {
                if !tail.is_empty() {
                    info!(domain, messages = tail.len(), mark, "repeating what may not have been heard, ids unchanged");
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

fn news_of(state: &StreamState) -> Option<News> {
    match state {
        StreamState::Connecting { last_trouble: Some(trouble) } => Some(News::Detached(trouble.to_string())),
        StreamState::Attached { relay: Some(_), .. } => Some(News::Attached(Level::Relay)),
        StreamState::Attached { relay: None, .. } => Some(News::Attached(Level::Bare)),
        StreamState::Outdated { highest } => Some(News::Outdated(i64::try_from(*highest).unwrap_or(i64::MAX))),
        StreamState::Connecting { last_trouble: None } | StreamState::Closed => None,
    }
}

async fn tell_stream(mut state: watch::Receiver<StreamState>, news: mpsc::UnboundedSender<News>) {
    loop {
        let told = news_of(&state.borrow_and_update());
        if told.is_some_and(|told| news.send(told).is_err()) || state.changed().await.is_err() {
            return;
        }
    }
}

async fn tell_health(mut health: watch::Receiver<Health>, news: mpsc::UnboundedSender<News>) {
    let mut was_away = false;
    loop {
        let told = match *health.borrow_and_update() {
            Health::Fine => std::mem::take(&mut was_away).then_some(News::Commits(None)),
            Health::Late | Health::Away => {
                was_away = true;
                Some(News::Commits(Some("the database takes no commits".to_owned())))
            }
            Health::Over { by } => Some(News::Fenced(by.0)),
        };
        if told.is_some_and(|told| news.send(told).is_err()) || health.changed().await.is_err() {
            return;
        }
    }
}
