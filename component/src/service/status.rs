//! What an operator can ask: how each domain fares, in words and as a yes or no.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use crate::config::Config;
use crate::journal::{Health, Pulse};
use crate::store::SqlStore;
use crate::stream::StreamState;

/// What a loop may be silent beyond the store's longest answer.
const SPARE: Duration = Duration::from_secs(5);

/// How the whole process fares.
#[derive(Clone, Debug)]
pub struct Status {
    node: Arc<str>,
    domains: Arc<[DomainStatus]>,
    store: Arc<OnceLock<SqlStore>>,
}

/// How one domain fares; shared between who knows and who asks.
#[derive(Clone, Debug)]
pub struct DomainStatus {
    domain: Arc<str>,
    phase: Arc<Mutex<Phase>>,
    /// A silence longer than this is a hang: the store's longest answer and some time to spare.
    patience: Duration,
    /// Whether the store answered when the lease was last renewed: heard also where nobody says anything.
    store_answers: Arc<AtomicBool>,
}

/// Where a domain stands.
#[derive(Clone, Debug)]
pub enum Phase {
    /// Starting up.
    Starting,
    /// The lease is held by another session or node.
    WaitingForLease(String),
    /// Lease held; the ends tell the rest.
    Serving {
        /// The epoch of the lease.
        epoch: i64,
        /// The journal's health.
        health: tokio::sync::watch::Receiver<Health>,
        /// The stream's state.
        stream: tokio::sync::watch::Receiver<StreamState>,
        /// The journal's pulse.
        pulse: Pulse,
    },
    /// Ended.
    Ended,
}

impl Status {
    /// All domains of `config`, starting.
    pub fn new(config: &Config) -> Status {
        let of = |service: &crate::config::Service| DomainStatus {
            domain: service.domain.0.as_str().into(),
            phase: Arc::new(Mutex::new(Phase::Starting)),
            patience: Duration::from_millis(config.store.answer_ms) + SPARE,
            store_answers: Arc::new(AtomicBool::new(true)),
        };
        Status {
            node: config.node.name.as_str().into(),
            domains: config.services.iter().map(of).collect(),
            store: Arc::default(),
        }
    }

    /// The node's name.
    pub fn node(&self) -> &str {
        &self.node
    }

    /// The store, once it is open.
    pub fn store(&self) -> Option<SqlStore> {
        self.store.get().cloned()
    }

    /// Says that the store is open.
    pub(super) fn note_open(&self, store: SqlStore) {
        let _ = self.store.set(store);
    }

    /// Each domain.
    pub fn domains(&self) -> impl Iterator<Item = &DomainStatus> {
        self.domains.iter()
    }
}

impl DomainStatus {
    /// The service domain.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// Says where the domain stands now.
    pub fn enter(&self, phase: Phase) {
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner) = phase;
    }

    /// Whether its parts move: false means a hang, which only a restart can end.
    pub fn is_moving(&self) -> bool {
        match &*self.phase.lock().unwrap_or_else(PoisonError::into_inner) {
            Phase::Starting | Phase::WaitingForLease(_) | Phase::Ended => true,
            Phase::Serving { pulse, .. } => pulse.silence() < self.patience,
        }
    }

    /// Says whether the store answers.
    pub fn note_store(&self, answers: bool) {
        self.store_answers.store(answers, Ordering::Relaxed);
    }

    /// Whether its stream is open.
    pub fn is_attached(&self) -> bool {
        match &*self.phase.lock().unwrap_or_else(PoisonError::into_inner) {
            Phase::Serving { stream, .. } => matches!(&*stream.borrow(), StreamState::Attached { .. }),
            Phase::Starting | Phase::WaitingForLease(_) | Phase::Ended => false,
        }
    }

    /// `Ok` if it serves; else the sentence why not.
    pub fn verdict(&self) -> Result<String, String> {
        let phase = self.phase.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match phase {
            Phase::Starting => Err("starting".to_owned()),
            Phase::WaitingForLease(holder) => Err(format!("waiting for the lease: {holder}")),
            Phase::Ended => Err("ended".to_owned()),
            Phase::Serving { epoch, health, stream, .. } => {
                let health = *health.borrow();
                match (health, &*stream.borrow()) {
                    (Health::Away, _) => Err("the store does not answer; words are held".to_owned()),
                    (Health::Over { by }, _) => Err(format!("stepped down: epoch {} holds the fence", by.0)),
                    (Health::Fine, _) if !self.store_answers.load(Ordering::Relaxed) => {
                        Err("the store does not answer; the lease is not renewed".to_owned())
                    }
                    (Health::Fine, StreamState::Attached { server, .. }) => {
                        Ok(format!("serving in epoch {epoch}, attached to {server}"))
                    }
                    (Health::Fine, other) => Err(format!("not attached: {other}")),
                }
            }
        }
    }
}
