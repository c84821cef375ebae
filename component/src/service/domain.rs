//! One service domain of this node: what its driver is made from.

use std::sync::Arc;
use std::time::Duration;

use tandem_muc_core::pair::Terms;
use tokio::sync::watch;

use super::{DomainStatus, ServiceError};
use crate::config::{Config, Service};
use crate::pair::{self, Card};
use crate::reign::{self, Reloads};
use crate::store::SqlStore;

/// How long a planned move may wait for the last words to be handed on; then it is called off, and nothing has changed.
const MOVE_MS: u64 = 2_000;
/// How long before its lease ends a node without a twin falls silent: there is nobody who could speak, but a lease is
/// a lease.
const MARGIN_MS_ALONE: u64 = 400;
/// Patience and limits of a node without a twin: never come to.
const PATIENCE_MS_ALONE: u64 = 3_000;

/// What all domains of a node have in common.
pub(super) struct Node {
    pub(super) name: String,
    pub(super) database: String,
    pub(super) incarnation: String,
    pub(super) store: SqlStore,
    pub(super) reloads: Reloads,
}

/// Serves the domain, or stands by, until `ends` turns true.
pub(super) async fn run(
    config: Arc<Config>,
    service: Service,
    node: Arc<Node>,
    status: DomainStatus,
    ends: watch::Receiver<bool>,
) -> Result<(), ServiceError> {
    let stream = reign::stream_config(&service)?;
    let domain = stream.domain.clone();
    let secret_tag = super::secret_tag(&node.database, &domain, &stream.secret);
    let home = config.home(&service).to_owned();
    let reign = reign::Setup {
        node: node.name.clone(),
        has_twin: config.pair.is_some(),
        database: node.database.clone(),
        shards: config.node.shards,
        group_max: config.store.group_max,
        queue_max: config.store.queue_max,
        held: Duration::from_secs(config.store.held_seconds),
        stream,
        store: node.store.named(&node.name, &domain),
        reloads: node.reloads.clone(),
        service,
    };
    let twin = config.pair.as_ref();
    let setup = pair::Setup {
        terms: Terms {
            node: node.name.clone(),
            twin: twin.map(|pair| pair.twin.clone()),
            home,
            lease_ms: config.store.lease_ms,
            patience_ms: twin.map_or(PATIENCE_MS_ALONE, |pair| pair.patience_ms),
            move_ms: MOVE_MS,
            fallback_after_ms: twin.map(|pair| pair.fallback_after_min * 60_000).filter(|after_ms| *after_ms > 0),
            moves_max: twin.map_or(u32::MAX, |pair| pair.moves_max),
        },
        beat: Duration::from_millis(config.beat_ms().min(config.store.lease_ms / 4)),
        margin: Duration::from_millis(
            twin.map_or(MARGIN_MS_ALONE, |pair| pair.margin_ms).min(config.store.lease_ms / 4),
        ),
        moves_within: Duration::from_secs(60 * twin.map_or(10, |pair| pair.moves_within_min)),
        card: Card {
            incarnation: node.incarnation.clone(),
            http: config.http.listen.map(|address| address.to_string()),
            secret_tag,
        },
        report: status.reports(),
        nudges: status.nudges(),
        reign: Arc::new(reign),
    };
    let store = setup.reign.store.clone();
    pair::run(setup, ends).await;
    store.close().await;
    Ok(())
}
