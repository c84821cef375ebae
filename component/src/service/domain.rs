//! One service domain from end to end: what starts after what, and in which order it stops.

use std::sync::Arc;
use std::time::Duration;

use tandem_muc_core::name::BareJid;
use tandem_muc_core::record::Message;
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinHandle};
use tracing::{info, warn};

use super::dispatch::Dispatch;
use super::lease::{Kept, Terms};
use super::lobby::Lobby;
use super::{DomainStatus, Phase, ServiceError, turned};
use crate::config::{Config, ConfigError, Service};
use crate::journal::{self, Journal};
use crate::shard::{self, Shard};
use crate::store::{SqlStore, StoreError};
use crate::stream::{Limits, Stream, StreamConfig};
use crate::telemetry;

/// The most stanzas that wait in one shard.
const MAILBOX_MAX: usize = 1_000;
/// How long what was begun may take to become durable and be said; then it is let go, for a server or a database that
/// is away would hold the end up for ever. Nobody was told what is not durable; what was not said is said at the start.
const DRAIN: Duration = Duration::from_millis(2_500);
/// How long the last words may take to be handed on.
const FAREWELL: Duration = Duration::from_millis(1_200);
/// How long giving the lease back may take; else it runs out by itself.
const GIVING_BACK: Duration = Duration::from_millis(700);
/// How often the tail is asked for until the store answers.
const AGAIN: Duration = Duration::from_millis(250);

/// What a domain is assembled from.
pub(super) struct Setup {
    pub(super) node: String,
    pub(super) shards: usize,
    pub(super) group_max: usize,
    pub(super) queue_max: usize,
    pub(super) lease_ms: u64,
    pub(super) service: Service,
    pub(super) store: SqlStore,
    pub(super) status: DomainStatus,
    pub(super) reloads: watch::Receiver<Option<Arc<Config>>>,
}

/// The stream a `[[service]]` asks for.
pub fn stream_config(service: &Service) -> Result<StreamConfig, ConfigError> {
    Ok(StreamConfig {
        domain: service.domain.0.as_str().to_owned(),
        servers: service.server.clone(),
        secret: service.secret()?,
        limits: Limits {
            stanza_bytes: service.limits.stanza_bytes,
            depth: service.limits.stanza_depth,
            ..Limits::default()
        },
    })
}

/// Serves the domain until `ends` turns true or its lease is lost.
pub(super) async fn run(setup: Setup, mut ends: watch::Receiver<bool>) -> Result<(), ServiceError> {
    let domain = setup.service.domain.0.as_str().to_owned();
    let stream_config = stream_config(&setup.service)?;
    let terms =
        Terms { store: setup.store.clone(), domain: domain.clone(), node: setup.node.clone(), ttl_ms: setup.lease_ms };
    let Some(held) = terms.acquire(&setup.status, &mut ends).await? else { return Ok(()) };
    let epoch = held.lease.epoch;
    #[expect(clippy::cast_precision_loss, reason = "an epoch counts takeovers")]
    metrics::gauge!(telemetry::EPOCH, "domain" => domain.clone()).set(epoch.0 as f64);

    let tail = tokio::select! {
        tail = tail(&setup.store, &domain, held.lease.mark) => tail,
        () = turned(&mut ends) => return Ok(()),
    };
    let (stream, inbound) = Stream::start(stream_config, epoch.0.unsigned_abs());
    let rules = Arc::new(setup.service.rules());
    let (notices, heeded): (Vec<_>, Vec<_>) = (0..setup.shards).map(|_| mpsc::unbounded_channel()).unzip();
    let (journal, mut journal_runs) = Journal::start(
        journal::Setup {
            domain: domain.clone(),
            store: setup.store.clone(),
            stream: stream.clone(),
            epoch,
            seq: held.lease.seq,
            mark: held.lease.mark,
            has_tail: !tail.is_empty(),
            group_max: setup.group_max,
            queue_max: setup.queue_max,
            notices,
        },
        ends.clone(),
    );
    let (shards, shards_run): (Vec<_>, Vec<_>) = heeded
        .into_iter()
        .enumerate()
        .map(|(nth, heeded)| {
            let shard = shard::Setup {
                nth,
                domain: domain.clone(),
                rules: rules.clone(),
                store: setup.store.clone(),
                journal: journal.clone(),
                mailbox_max: MAILBOX_MAX,
                idle: Duration::from_secs(setup.service.limits.idle_seconds),
            };
            Shard::start(shard, heeded)
        })
        .unzip();
    setup.status.enter(Phase::Serving {
        epoch: epoch.0,
        health: journal.watch(),
        stream: stream.state(),
        pulse: journal.pulse(),
    });

    let (give_back, returns) = watch::channel(false);
    let mut keeping = tokio::spawn(terms.keep(held, setup.status.clone(), returns));
    let lobby = Lobby::new(rules, setup.store.clone(), journal.clone());
    let dispatch = Dispatch { domain: domain.clone(), shards, journal, stream: stream.clone(), lobby };
    let (quit, quits) = watch::channel(false);
    let mut dispatching = tokio::spawn(dispatch.run(tail, inbound, setup.reloads, quits));

    // Told to stop, the journal may end by itself: that is no loss of the lease.
    let is_lost = tokio::select! {
        biased;
        () = turned(&mut ends) => false,
        kept = &mut keeping => matches!(kept, Ok(Kept::Lost)),
        _ = &mut journal_runs => true,
    };
    quit.send_replace(true);
    let hangers_on: Vec<_> =
        shards_run.iter().chain([&dispatching, &journal_runs]).map(JoinHandle::abort_handle).collect();
    let is_drained = tokio::time::timeout(DRAIN, async {
        let _ = (&mut dispatching).await;
        for shard in shards_run {
            let _ = shard.await;
        }
        if !journal_runs.is_finished() {
            let _ = (&mut journal_runs).await;
        }
    });
    if is_drained.await.is_err() {
        warn!(domain, "not everything could be finished; what is durable and was not heard is said at the next start");
        hangers_on.iter().for_each(AbortHandle::abort);
    }
    let _ = tokio::time::timeout(FAREWELL, stream.close()).await;
    give_back.send_replace(true);
    if !keeping.is_finished() && tokio::time::timeout(GIVING_BACK, &mut keeping).await.is_err() {
        warn!(domain, "lease: not given back; it runs out by itself");
        keeping.abort();
    }
    setup.status.enter(Phase::Ended);
    if is_lost {
        return Err(ServiceError::SteppedDown(domain));
    }
    info!(domain, "stopped: everything said is durable");
    Ok(())
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
