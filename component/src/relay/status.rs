//! What an operator can ask: how each domain's relay stands.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use tandem_muc_core::relay::{Counts, Relay};

/// A task that was not seen for so long hangs: it looks around twice a second.
const HANGS_AFTER: Duration = Duration::from_secs(10);

/// How the whole process fares.
#[derive(Clone, Debug, Default)]
pub struct Status {
    domains: Arc<[DomainStatus]>,
}

/// How one domain fares; shared between who knows and who asks.
#[derive(Clone, Debug)]
pub struct DomainStatus {
    domain: Arc<str>,
    seen: Arc<Mutex<Seen>>,
}

/// How one domain stood when its task looked last.
#[derive(Clone, Debug, Serialize)]
pub struct Seen {
    /// This boot's word.
    pub boot: String,
    /// Where the server is, while the stream to it is open.
    pub server: Option<String>,
    /// The node that holds the domain.
    pub holder: Option<String>,
    /// The epoch it attached with.
    pub epoch: Option<u64>,
    /// Stanzas sent to it and not acknowledged yet.
    pub unacknowledged: usize,
    /// Nodes linked that do not hold the domain.
    pub standbys: usize,
    /// Stanzas kept.
    pub held: usize,
    /// Their bytes.
    pub held_bytes: usize,
    /// The highest epoch seen.
    pub highest_epoch: u64,
    /// The highest group said in full.
    pub mark: Option<i64>,
    /// Stanzas that came from the server.
    pub inbound: u64,
    /// Stanzas sent to holders, replays included.
    pub forwarded: u64,
    /// Of these, sent before.
    pub replayed: u64,
    /// Stanzas that went to the server for holders.
    pub outbound: u64,
    /// Stanzas of nodes that did not hold the domain, and went nowhere.
    pub stray: u64,
    /// Stanzas answered with an error because nobody took them in time.
    pub bounced: u64,
    /// Errors and results that nobody took in time.
    pub dropped: u64,
    /// Stanzas that should have been answered, but the server did not read.
    pub unanswered: u64,
    /// Attachments granted.
    pub attachments: u64,
    #[serde(skip)]
    beat_at: Instant,
}

impl Status {
    /// The status of these domains.
    pub fn new(domains: Vec<DomainStatus>) -> Status {
        Status { domains: domains.into() }
    }

    /// Each domain's.
    pub fn domains(&self) -> impl Iterator<Item = &DomainStatus> {
        self.domains.iter()
    }

    /// Whether no domain's task hangs.
    pub fn is_moving(&self) -> bool {
        self.domains().all(|domain| domain.lock().beat_at.elapsed() < HANGS_AFTER)
    }

    /// One line about everything.
    pub fn words(&self) -> String {
        let words: Vec<_> = self.domains().map(|domain| format!("{}: {}", domain.domain, domain.words())).collect();
        words.join("; ")
    }
}

impl DomainStatus {
    /// The status of `domain` in the relay's boot `boot`.
    pub fn new(domain: &str, boot: &str) -> DomainStatus {
        let seen = Seen {
            boot: boot.to_owned(),
            server: None,
            holder: None,
            epoch: None,
            unacknowledged: 0,
            standbys: 0,
            held: 0,
            held_bytes: 0,
            highest_epoch: 0,
            mark: None,
            inbound: 0,
            forwarded: 0,
            replayed: 0,
            outbound: 0,
            stray: 0,
            bounced: 0,
            dropped: 0,
            unanswered: 0,
            attachments: 0,
            beat_at: Instant::now(),
        };
        DomainStatus { domain: domain.into(), seen: Arc::new(Mutex::new(seen)) }
    }

    /// The domain.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// How it stood when its task looked last.
    pub fn seen(&self) -> Seen {
        self.lock().clone()
    }

    fn words(&self) -> String {
        let seen = self.lock();
        let server = if seen.server.is_some() { "" } else { ", server not attached" };
        match (&seen.holder, seen.epoch) {
            (Some(node), Some(epoch)) => format!("held by {node} in epoch {epoch}{server}"),
            _ => format!("no node attached, {} stanzas held{server}", seen.held),
        }
    }

    /// Called in each turn of the task: copies numbers, and words only where they changed.
    pub(super) fn show<T: Clone>(&self, relay: &Relay<T>, server: Option<&str>) {
        let mut seen = self.lock();
        let seen = &mut *seen;
        let holder = relay.holder();
        update(&mut seen.server, server);
        update(&mut seen.holder, holder.map(|holder| holder.node));
        seen.epoch = holder.map(|holder| holder.epoch);
        seen.unacknowledged = holder.map_or(0, |holder| holder.unacknowledged);
        seen.standbys = relay.standbys();
        (seen.held, seen.held_bytes) = relay.held();
        seen.highest_epoch = relay.highest();
        seen.mark = relay.mark();
        let Counts { numbered, forwarded, replayed, bounced, dropped, attached } = relay.counts();
        (seen.inbound, seen.forwarded, seen.replayed) = (numbered, forwarded, replayed);
        (seen.bounced, seen.dropped, seen.attachments) = (bounced, dropped, attached);
        seen.beat_at = Instant::now();
    }

    /// Stanzas a node said: those that went to the server, and those that went nowhere.
    pub(super) fn count_words(&self, outbound: u64, stray: u64) {
        let mut seen = self.lock();
        seen.outbound += outbound;
        seen.stray += stray;
    }

    /// Answers there was no room for.
    pub(super) fn count_unanswered(&self, count: u64) {
        if count > 0 {
            self.lock().unanswered += count;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn update(kept: &mut Option<String>, news: Option<&str>) {
    if kept.as_deref() != news {
        *kept = news.map(str::to_owned);
    }
}
