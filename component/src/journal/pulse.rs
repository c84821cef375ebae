//! A pulse: shows from outside that a loop still turns, for the watchdog and `/health`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How often a turning loop beats at least.
pub(super) const BEAT: Duration = Duration::from_secs(1);

/// Shows that a loop still turns.
#[derive(Clone, Debug)]
pub struct Pulse {
    born: Instant,
    /// Milliseconds from birth to the last beat.
    last_ms: Arc<AtomicU64>,
}

impl Pulse {
    pub(super) fn start() -> Pulse {
        Pulse { born: Instant::now(), last_ms: Arc::new(AtomicU64::new(0)) }
    }

    pub(super) fn beat(&self) {
        let since = u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_ms.store(since, Ordering::Relaxed);
    }

    /// How long ago it last beat.
    pub fn silence(&self) -> Duration {
        self.born.elapsed().saturating_sub(Duration::from_millis(self.last_ms.load(Ordering::Relaxed)))
    }
}
