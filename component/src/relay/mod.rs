//! The relay's shell: to the XMPP server it is the component of each domain, to the nodes it is the server.
//!
//! It lives beside the server and shares its fate, so that nodes may come and go without the server noticing: what comes
//! in is kept until a node has handled it, and of two nodes that both think they hold a domain only one is heard. What
//! is decided is decided by the engine in `tandem_muc_core::relay`; here are sockets, clock and log.

mod domain;
mod http;
mod inbound;
mod listen;
mod node;
mod outlet;
mod server;
mod status;
mod wire;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusHandle;
use tandem_muc_core::relay::{Bounds, Relay};
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tracing::info;

use crate::config::ConfigError;
use crate::config::relay::{Domain as DomainConfig, RelayConfig};
use crate::stream::{Limits, StreamConfig};

pub use status::{DomainStatus, Seen, Status};
pub use wire::NS;

use domain::Domain;
use listen::Door;

/// How long things may take. The defaults are for life; tests are in more of a hurry.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// How long a node may take to shake hands. Default 5 s.
    pub handshake: Duration,
    /// How long reaching the server may take. Default 5 s.
    pub reach: Duration,
    /// A node that was told nothing for so long gets a sign of life: it gives a silent relay up after three seconds.
    /// Default 1 s.
    pub alive: Duration,
    /// A node of which nothing was heard for so long is gone. Default 60 s.
    pub silence: Duration,
    /// A server that takes nothing of what waits for it for so long is gone. Default 30 s.
    pub stall: Duration,
    /// At the end the holder has so long to acknowledge what it has. Default 1 s.
    pub settle: Duration,
    /// How often to look at the clock where nothing happens. Default 500 ms.
    pub look: Duration,
    /// Nodes linked at once, each domain. Default 16.
    pub nodes_max: usize,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace {
            handshake: Duration::from_secs(5),
            reach: Duration::from_secs(5),
            alive: Duration::from_secs(1),
            silence: Duration::from_secs(60),
            stall: Duration::from_secs(30),
            settle: Duration::from_secs(1),
            look: Duration::from_millis(500),
            nodes_max: 16,
        }
    }
}

/// Why the relay does not start.
#[derive(Debug, Error)]
pub enum RelayError {
    /// A secret cannot be read.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// An address is taken.
    #[error("relay: cannot listen on {address} ({source}); set another listen address, or end what listens there")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
}

/// Newcomers on their way from the listener to their domain.
const NEWCOMERS_MAX: usize = 16;

/// A relay that listens; [`Running::ended`] waits for its end.
#[derive(Debug)]
pub struct Running {
    status: Status,
    addresses: Vec<SocketAddr>,
    http: Option<SocketAddr>,
    domains: JoinSet<()>,
    /// Ended with the last domain.
    doors: JoinSet<()>,
}

impl Running {
    /// How it fares.
    pub fn status(&self) -> Status {
        self.status.clone()
    }

    /// Where nodes attach, in the order of the domains.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Where health, status and metrics are answered.
    pub fn http(&self) -> Option<SocketAddr> {
        self.http
    }

    /// Waits until every domain has said its last words.
    pub async fn ended(mut self) {
        while self.domains.join_next().await.is_some() {}
        self.doors.shutdown().await;
    }
}

/// Starts to listen and to relay until `stops` turns true.
///
/// # Errors
/// A secret or an address that cannot be had; nothing runs then.
pub async fn start(
    config: &RelayConfig,
    pace: Pace,
    stops: &watch::Receiver<bool>,
    counted: PrometheusHandle,
) -> Result<Running, RelayError> {
    let boot = uuid::Uuid::new_v4().simple().to_string();
    let mut doors: BTreeMap<SocketAddr, BTreeMap<String, Door>> = BTreeMap::new();
    let mut domains = Vec::new();
    for domain in &config.domains {
        let (inside, newcomers) = mpsc::channel(NEWCOMERS_MAX);
        let stream = stream_config(domain, config.limits.stanza_bytes)?;
        let status = DomainStatus::new(&stream.domain, &boot);
        let door = Door { secret: stream.secret.clone(), stanza_bytes: config.limits.stanza_bytes, inside };
        doors.entry(domain.listen).or_default().insert(stream.domain.clone(), door);
        let relay = Relay::new(boot.clone(), bounds(config));
        domains.push((Domain::new(stream, pace, relay, newcomers, status.clone(), stops.clone()), status));
    }
    let mut bound = BTreeMap::new();
    let mut tasks = JoinSet::new();
    for (address, doors) in doors {
        let listener = listen(address).await?;
        bound.insert(address, listener.local_addr().unwrap_or(address));
        tasks.spawn(listen::accept(listener, Arc::new(doors), pace.handshake));
    }
    let status = Status::new(domains.iter().map(|(_, status)| status.clone()).collect());
    let mut http = None;
    if let Some(address) = config.http.listen {
        let listener = listen(address).await?;
        http = listener.local_addr().ok();
        tasks.spawn(http::serve(listener, status.clone(), counted));
    }
    let addresses = config.domains.iter().filter_map(|domain| bound.get(&domain.listen).copied()).collect();
    for (domain, listening) in config.domains.iter().zip(&addresses) {
        let listening: &SocketAddr = listening;
        info!(domain = %domain.domain.0, %listening, server = domain.server.join(" "), boot, "relay: waiting for nodes");
    }
    let mut running = Running { status, addresses, http, domains: JoinSet::new(), doors: tasks };
    for (domain, _) in domains {
        running.domains.spawn(domain.run());
    }
    Ok(running)
}

async fn listen(address: SocketAddr) -> Result<TcpListener, RelayError> {
    TcpListener::bind(address).await.map_err(|source| RelayError::Listen { address, source })
}

fn bounds(config: &RelayConfig) -> Bounds {
    let limits = &config.limits;
    Bounds {
        stanzas_max: limits.held_stanzas,
        bytes_max: limits.held_bytes,
        wait_ms: limits.held_seconds.saturating_mul(1_000),
    }
}

fn stream_config(domain: &DomainConfig, stanza_bytes: usize) -> Result<StreamConfig, ConfigError> {
    Ok(StreamConfig {
        domain: domain.domain.0.as_str().to_owned(),
        relays: Vec::new(),
        servers: domain.server.clone(),
        secret: domain.secret()?,
        limits: node_limits(stanza_bytes),
    })
}

/// What is passed on is bounded in length alone: to look inside is the nodes' affair, and the server's.
fn node_limits(stanza_bytes: usize) -> Limits {
    Limits { stanza_bytes, depth: u32::MAX, elements: u32::MAX, attribute_bytes: usize::MAX, attributes: u32::MAX }
}
