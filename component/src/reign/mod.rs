//! A reign: one domain served in one epoch, from the stream to the rooms. It begins with a lease in hand and ends in
//! one of three ways - in good order, handed over, or cut off - and whoever made it (the pair) decides which.
//!
//! Here it is decided what starts after what: the stream attaches, what may not have been heard is repeated, what a
//! predecessor left is handled, and only then what is new.

mod activity;
mod court;
mod dispatch;
mod expiry;
mod hush;
mod level;
mod lobby;
mod news;
mod passed;
mod search;
mod sweep;
mod task;

use std::sync::Arc;
use std::time::Duration;

use tandem_muc_core::pair::{Level, Opening};
use tandem_muc_core::stanza::Inbound;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

use crate::config::{Config, ConfigError, Service};
use crate::journal::{Health, Pulse};
use crate::store::{Epoch, Lease, SqlStore};
use crate::stream::{Gate, Limits, Path, StreamConfig, StreamHandle, StreamState, Warm};

pub use passed::as_text;

/// A reign ends within this: what was begun is finished, the last words are handed on.
const ENDING: Duration = Duration::from_secs(4);

/// News of a changed configuration.
pub type Reloads = watch::Receiver<Option<Arc<Config>>>;

/// What every reign of a domain is made from.
#[derive(Debug)]
pub struct Setup {
    /// This node.
    pub node: String,
    /// Whether it has a twin, and so wants to know what kind of server it is attached to.
    pub has_twin: bool,
    /// The identity of the database.
    pub database: String,
    /// Tasks that run rooms.
    pub shards: usize,
    /// The most records in one commit.
    pub group_max: usize,
    /// The most stanzas that wait for the database.
    pub queue_max: usize,
    /// How long they do before new ones are told to wait.
    pub held: Duration,
    /// The domain's section of the configuration.
    pub service: Service,
    /// How it attaches.
    pub stream: StreamConfig,
    /// The shared database.
    pub store: SqlStore,
    /// Changes of the configuration.
    pub reloads: Reloads,
}

/// What a reign begins with.
#[derive(Debug)]
pub struct Grant {
    /// The lease, and where its predecessor stopped.
    pub lease: Lease,
    /// Open while the lease is good.
    pub gate: Gate,
    /// The epoch it was handed over in: what was passed on in it comes first.
    pub handed_in: Option<Epoch>,
    /// A stream that is ready.
    pub warm: Option<Warm>,
}

/// What a reign tells.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum News {
    /// The stream is open.
    Attached(Level),
    /// What kind of bare server it is, as it says itself.
    Leveled(Level),
    /// It is not.
    Detached(String),
    /// One of several relays is lost, and why, or it is back.
    Relay {
        /// Its address.
        relay: String,
        /// Why it is lost; nothing: it is back.
        lost: Option<String>,
    },
    /// The relay serves a higher epoch.
    Outdated(i64),
    /// What was unheard is repeated, what had waited is handled; from here on it is as ever.
    Opened(Opening),
    /// Another epoch holds the fence.
    Fenced(i64),
    /// Trouble with commits, or the end of it.
    Commits(Option<String>),
}

/// Everything said and handed on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Frozen {
    /// The last group known to be handed on.
    pub mark: Option<i64>,
    /// What is handled of the relay's stanzas.
    pub handled: Option<String>,
    /// Whether a successor is told by the relay what was not handled.
    pub is_relayed: bool,
}

/// The ends by which a reign's health is seen.
#[derive(Clone, Debug)]
pub struct Vitals {
    /// The journal's health.
    pub health: watch::Receiver<Health>,
    /// The stream's state.
    pub stream: watch::Receiver<StreamState>,
    /// The journal's pulse.
    pub pulse: Pulse,
}

/// What the task of a reign is told.
enum Order {
    Freeze(oneshot::Sender<Result<Frozen, String>>),
    Thaw,
    PassOn(Epoch, oneshot::Sender<Vec<Inbound>>),
    End(oneshot::Sender<()>),
    Sweep,
    Vitals(oneshot::Sender<Vitals>),
}

/// A reign under way; dropping it cuts it off.
#[derive(Debug)]
pub struct Reign {
    /// As many as the pair gives: none is lost, however long the one before takes.
    orders: mpsc::UnboundedSender<Order>,
    stream: StreamHandle,
    running: tokio::task::JoinHandle<()>,
}

impl Reign {
    /// Begins to serve; must be called inside a runtime.
    pub fn begin(setup: Arc<Setup>, grant: Grant, news: mpsc::UnboundedSender<News>) -> Reign {
        let (orders, heard) = mpsc::unbounded_channel();
        let (task, stream) = task::Task::new(setup, grant, news);
        let running = tokio::spawn(task.run(heard));
        Reign { orders, stream, running }
    }

    /// Takes nothing new, finishes what was begun and sees it handed on.
    ///
    /// # Errors
    /// What did not come about within `patience`; then nothing has changed after [`Reign::thaw`].
    pub fn freeze(&self, patience: Duration) -> impl Future<Output = Result<Frozen, String>> + Send + 'static {
        let orders = self.orders.clone();
        async move {
            let frozen = async {
                let (told, frozen) = oneshot::channel();
                orders.send(Order::Freeze(told)).ok()?;
                frozen.await.ok()
            };
            match timeout(patience, frozen).await {
                Ok(Some(frozen)) => frozen,
                Ok(None) => Err("the reign ended".to_owned()),
                Err(_) => Err(format!("not everything was handed on within {} ms", patience.as_millis())),
            }
        }
    }

    /// Goes on after a freeze.
    pub fn thaw(&self) {
        let _ = self.orders.send(Order::Thaw);
    }

    /// Looks for occupants who are gone.
    pub fn sweep(&self) {
        let _ = self.orders.send(Order::Sweep);
    }

    /// The ends by which its health is seen; none before it has opened.
    pub fn vitals(&self) -> impl Future<Output = Option<Vitals>> + Send + 'static {
        let orders = self.orders.clone();
        async move {
            let (told, vitals) = oneshot::channel();
            orders.send(Order::Vitals(told)).ok()?;
            vitals.await.ok()
        }
    }

    /// The stream's state.
    pub fn stream(&self) -> watch::Receiver<StreamState> {
        self.stream.state()
    }

    /// How each relay stands.
    pub fn paths(&self) -> watch::Receiver<Vec<Path>> {
        self.stream.paths()
    }

    /// After a freeze and with the lease handed over in `epoch`: reads the stream to its end, gives what was not handled.
    pub async fn pass_on(self, epoch: Epoch) -> Vec<Inbound> {
        let (told, passed) = oneshot::channel();
        if self.orders.send(Order::PassOn(epoch, told)).is_err() {
            return Vec::new();
        }
        let passed = passed.await.unwrap_or_default();
        self.cut();
        passed
    }

    /// Finishes what was begun, says it, and closes the stream.
    pub async fn end(self) {
        let (told, ended) = oneshot::channel();
        let ending = async {
            if self.orders.send(Order::End(told)).is_ok() {
                let _ = ended.await;
            }
        };
        // One that still waits for the database to tell it what to repeat has nothing to finish, and does not listen.
        let _ = timeout(ENDING, ending).await;
        self.cut();
    }

    /// Stops this moment; nothing more is said.
    pub fn cut(self) {
        drop(self);
    }
}

impl Drop for Reign {
    fn drop(&mut self) {
        self.stream.cut();
        self.running.abort();
    }
}

/// The stream a `[[service]]` asks for.
pub fn stream_config(service: &Service) -> Result<StreamConfig, ConfigError> {
    Ok(StreamConfig {
        domain: service.domain.0.as_str().to_owned(),
        relays: service.relay.clone(),
        servers: service.server.clone(),
        secret: service.secret()?,
        limits: Limits {
            stanza_bytes: service.limits.stanza_bytes,
            depth: service.limits.stanza_depth,
            ..Limits::default()
        },
    })
}

/// Comes when `flag` turns true, or when nobody can turn it any more.
pub(crate) async fn turned(flag: &mut watch::Receiver<bool>) {
    let _ = flag.wait_for(|flag| *flag).await;
}
