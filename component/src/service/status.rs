//! What an operator can ask: how each domain fares, in words and as a yes or no.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tandem_muc_core::pair::State;
use tokio::sync::{Notify, watch};

use crate::config::Config;
use crate::journal::Health;
use crate::pair::Report;
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
    /// A silence longer than this is a hang: the store's longest answer and some time to spare.
    patience: Duration,
    reports: watch::Sender<Report>,
    /// Has its driver look at the database at once.
    nudge: Arc<Notify>,
    node: Arc<str>,
}

impl Status {
    /// All domains of `config`, starting.
    pub fn new(config: &Config) -> Status {
        let node: Arc<str> = config.node.name.as_str().into();
        let of = |service: &crate::config::Service| DomainStatus {
            domain: service.domain.0.as_str().into(),
            patience: Duration::from_millis(config.store.answer_ms) + SPARE,
            reports: watch::Sender::new(Report::initial()),
            nudge: Arc::default(),
            node: node.clone(),
        };
        Status { domains: config.services.iter().map(of).collect(), node, store: Arc::default() }
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
    pub fn note_open(&self, store: SqlStore) {
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

    /// Where its driver reports.
    pub(super) fn reports(&self) -> watch::Sender<Report> {
        self.reports.clone()
    }

    /// What its driver waits for beside its beats.
    pub(super) fn nudges(&self) -> Arc<Notify> {
        self.nudge.clone()
    }

    /// Has its driver look at the database at once: there is something new, an order perhaps.
    pub fn nudge(&self) {
        self.nudge.notify_one();
    }

    /// Says why it has not begun.
    pub(super) fn wait_for(&self, why: &str) {
        self.reports.send_modify(|report| why.clone_into(&mut report.standing.why));
    }

    /// How it fares now.
    pub fn report(&self) -> Report {
        self.reports.borrow().clone()
    }

    /// Whether its parts move: false means a hang, which only a restart can end.
    pub fn is_moving(&self) -> bool {
        self.reports.borrow().vitals.as_ref().is_none_or(|vitals| vitals.pulse.silence() < self.patience)
    }

    /// Whether its stream is open.
    pub fn is_attached(&self) -> bool {
        let report = self.reports.borrow();
        report.vitals.as_ref().is_some_and(|vitals| matches!(&*vitals.stream.borrow(), StreamState::Attached { .. }))
    }

    /// Whether this node speaks for it now.
    pub fn speaks(&self) -> bool {
        let is_speaking = self.reports.borrow().vitals.is_some();
        is_speaking && self.verdict().is_ok()
    }

    /// `Ok` if it serves, or stands by while its twin does; else the sentence why not.
    pub fn verdict(&self) -> Result<String, String> {
        let report = self.report();
        let Report { standing, epoch, vitals, gate, holder, .. } = report;
        if report.is_over {
            return Err("ended".to_owned());
        }
        let (Some(vitals), Some(epoch)) = (vitals, epoch) else {
            let words = format!("{}: {}", standing.state, standing.why);
            let is_fine = match standing.state {
                State::Normal | State::FailedOver | State::Idle => holder.as_deref().is_some_and(|h| *h != *self.node),
                State::Initializing
                | State::RunningInBackupMode
                | State::TakingOver
                | State::FailingOver
                | State::FailedOverUnfit
                | State::TakingBack
                | State::FallingBack
                | State::RunningInFailedMode
                | State::Unknown => false,
            };
            return match (is_fine, holder) {
                (true, Some(holder)) => Ok(format!("{words}; node {holder} serves")),
                (true, None) | (false, _) => Err(words),
            };
        };
        let health = *vitals.health.borrow();
        match (health, &*vitals.stream.borrow()) {
            (Health::Late | Health::Away, _) => Err("the store does not answer; words are held".to_owned()),
            (Health::Over { by }, _) => Err(format!("stepped down: epoch {} holds the fence", by.0)),
            (Health::Fine, _) if gate.is_some_and(|gate| !gate.is_open()) => {
                Err("the lease could not be renewed in time; words are held".to_owned())
            }
            (Health::Fine, _) if !report.has_store => {
                Err("the store does not answer; the lease is not renewed".to_owned())
            }
            (Health::Fine, StreamState::Attached { server, relay, .. }) => {
                let how = if relay.is_some() { "the relay at " } else { "" };
                Ok(format!("{}: serving in epoch {epoch}, attached to {how}{server}", standing.state))
            }
            (Health::Fine, other) => Err(format!("not attached: {other}")),
        }
    }
}
