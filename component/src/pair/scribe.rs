//! What is told of the pair: rows of history and answers to orders, written in order beside all else, however long the
//! database is away; and the lines in the log.

use std::time::{Duration, Instant};

use tandem_muc_core::pair::{Change, Reason, Standing, Verdict};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tracing::{debug, error, info, warn};

use crate::store::{Epoch, HaEvent, SqlStore, StoreError};

/// Lines that wait while the database is away; more than a pair makes in a day.
const WAITING_MAX: usize = 1_000;
const AGAIN: Duration = Duration::from_millis(500);

enum Line {
    Event(Box<HaEvent>, Instant),
    Answer(Verdict),
}

/// Writes for one driver.
pub(super) struct Scribe {
    node: String,
    domain: String,
    lines: mpsc::Sender<Line>,
    writing: JoinHandle<()>,
}

impl Scribe {
    pub(super) fn start(store: SqlStore, node: String, domain: String) -> Scribe {
        let (lines, waiting) = mpsc::channel(WAITING_MAX);
        let writing = tokio::spawn(write(store, waiting));
        Scribe { node, domain, lines, writing }
    }

    /// A change of standing.
    pub(super) fn tell(&self, change: &Change) {
        let Standing { state, reason, why } = &change.to;
        let (domain, epoch, from) = (&self.domain, change.epoch, change.from);
        match &change.opened {
            Some(cost) => info!(
                domain, epoch, %from, %reason, detect_ms = cost.detect_ms, gap_ms = cost.gap_ms,
                repeated = cost.opening.repeated, replayed = cost.opening.replayed, bounced = cost.opening.bounced,
                "{state}: {why}"
            ),
            None if is_trouble(*reason) => warn!(domain, epoch, %from, %reason, "{state}: {why}"),
            None => info!(domain, epoch, %from, %reason, "{state}: {why}"),
        }
        let opened = change.opened.as_ref();
        self.write(Line::Event(
            Box::new(HaEvent {
                id: HaEvent::new_id(),
                node: self.node.clone(),
                service: self.domain.clone(),
                from: from.to_string(),
                to: state.to_string(),
                reason: reason.to_string(),
                why: why.clone(),
                epoch: Epoch(epoch),
                detect_ms: opened.map(|cost| cost.detect_ms),
                gap_ms: opened.map(|cost| cost.gap_ms),
                repeated: opened.map(|cost| cost.opening.repeated),
                replayed: opened.map(|cost| cost.opening.replayed),
                bounced: opened.map(|cost| cost.opening.bounced),
                operator: change.operator.clone(),
            }),
            Instant::now(),
        ));
    }

    /// One of several relays is lost, and why, or it is back: no reason to change anything, but to look.
    pub(super) fn note_relay(&self, standing: &Standing, epoch: Option<i64>, relay: &str, lost: Option<&str>) {
        let (reason, why) = match lost {
            Some(why) => (Reason::CriticalServiceDown, format!("the relay at {relay} is lost: {why}")),
            None => (Reason::Initialization, format!("the relay at {relay} is attached again")),
        };
        info!(domain = self.domain, epoch, "{why}");
        self.remark(standing, epoch.unwrap_or_default(), reason, why);
    }

    /// Something was lost that only an operator can judge.
    pub(super) fn lament(&self, standing: &Standing, epoch: i64, why: String) {
        error!(domain = self.domain, "{why}");
        self.remark(standing, epoch, Reason::DatabaseFailure, why);
    }

    /// A line that is no change of standing.
    fn remark(&self, standing: &Standing, epoch: i64, reason: Reason, why: String) {
        let state = standing.state.to_string();
        self.write(Line::Event(
            Box::new(HaEvent {
                id: HaEvent::new_id(),
                node: self.node.clone(),
                service: self.domain.clone(),
                from: state.clone(),
                to: state,
                reason: reason.to_string(),
                why,
                epoch: Epoch(epoch),
                detect_ms: None,
                gap_ms: None,
                repeated: None,
                replayed: None,
                bounced: None,
                operator: None,
            }),
            Instant::now(),
        ));
    }

    /// What came of an order.
    pub(super) fn answer(&self, verdict: Verdict) {
        let (domain, order, by) = (&self.domain, verdict.order.kind, &verdict.order.by);
        match &verdict.outcome {
            Ok(how) => info!(domain, %order, by, "order carried out: {how}"),
            Err(why) => warn!(domain, %order, by, "order refused: {why}"),
        }
        self.write(Line::Answer(verdict));
    }

    fn write(&self, line: Line) {
        if self.lines.try_send(line).is_err() {
            warn!(domain = self.domain, "history: too much waits for the database; a line is left out");
        }
    }

    /// Writes what waits, for a while.
    pub(super) async fn finish(self, patience: Duration) {
        drop(self.lines);
        if tokio::time::timeout(patience, self.writing).await.is_err() {
            warn!(domain = self.domain, "history: the last lines could not be written");
        }
    }
}

fn is_trouble(reason: Reason) -> bool {
    match reason {
        Reason::OnAdminRequest | Reason::AutomaticFallback | Reason::Initialization => false,
        Reason::CriticalServiceDown
        | Reason::DatabaseFailure
        | Reason::XmppServerUnreachable
        | Reason::PeerDown
        | Reason::LeaseExpired
        | Reason::LeaseLost
        | Reason::PeerDownDuringInitialization
        | Reason::TakeOverFailed
        | Reason::TakeBackFailed
        | Reason::FailoverLimit => true,
    }
}

async fn write(store: SqlStore, mut lines: mpsc::Receiver<Line>) {
    while let Some(line) = lines.recv().await {
        while let Err(StoreError::Unavailable(why)) = write_one(&store, &line).await {
            debug!(%why, "history: not written yet");
            tokio::time::sleep(AGAIN).await;
        }
    }
}

async fn write_one(store: &SqlStore, line: &Line) -> Result<(), StoreError> {
    match line {
        Line::Event(event, at) => {
            store.note_event(event, u64::try_from(at.elapsed().as_millis()).unwrap_or(u64::MAX)).await
        }
        Line::Answer(Verdict { order, outcome }) => {
            let (outcome, why) = match outcome {
                Ok(how) => ("done", how),
                Err(why) => ("refused", why),
            };
            store.end_order(&order.id, outcome, why).await.map(drop)
        }
    }
}
