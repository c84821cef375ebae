//! The gate: words pass only while this node's lease lasts, by its own monotonic clock.
//!
//! Whoever renews the lease holds the gate open for as long as the renewal is good from the moment it was *asked* for;
//! nobody has to close it. A process that was stopped for minutes finds it shut when it goes on.

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// Until when the lease is good, and when that was last found out.
#[derive(Clone, Copy, Debug)]
struct Term {
    until: Option<Instant>,
    renewed_at: Instant,
}

/// The end that holds the gate open.
#[derive(Clone, Debug)]
pub struct Gatekeeper(watch::Sender<Term>);

/// The end that words pass.
#[derive(Clone, Debug)]
pub struct Gate(watch::Receiver<Term>);

impl Gatekeeper {
    /// A gate that is open until `until`.
    pub fn open_until(until: Instant) -> (Gatekeeper, Gate) {
        let (keeper, gate) = watch::channel(Term { until: Some(until), renewed_at: Instant::now() });
        (Gatekeeper(keeper), Gate(gate))
    }

    /// Holds it open until `until`.
    pub fn renew(&self, until: Instant) {
        self.0.send_replace(Term { until: Some(until), renewed_at: Instant::now() });
    }

    /// Shuts it for good.
    pub fn shut(&self) {
        let now = Instant::now();
        self.0.send_replace(Term { until: Some(now), renewed_at: now });
    }

    /// Whether it is open now.
    pub fn is_open(&self) -> bool {
        self.0.borrow().is_open()
    }

    /// The end that words pass.
    pub fn gate(&self) -> Gate {
        Gate(self.0.subscribe())
    }
}

impl Term {
    fn is_open(self) -> bool {
        self.until.is_none_or(|until| Instant::now() < until)
    }
}

impl Gate {
    /// One that never shuts: for streams without a lease behind them.
    pub fn always_open() -> Gate {
        // A gate whose keeper is gone keeps its last term.
        Gate(watch::channel(Term { until: None, renewed_at: Instant::now() }).1)
    }

    /// Whether words may pass now.
    pub fn is_open(&self) -> bool {
        self.0.borrow().is_open()
    }

    /// Waits until words may pass.
    pub(super) async fn opened(&mut self) {
        if self.is_open() {
            return;
        }
        if self.0.wait_for(|term| term.is_open()).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Waits for a renewal after `moment`: proof that the lease is this node's still.
    pub(super) async fn renewed_after(&mut self, moment: Instant) {
        let is_fresh = |term: &Term| term.is_open() && (term.renewed_at > moment || term.until.is_none());
        if self.0.wait_for(is_fresh).await.is_err() {
            sleep_until(moment + std::time::Duration::from_secs(1)).await;
        }
    }
}
