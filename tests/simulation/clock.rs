//! Clocks that run differently: each a little fast or slow, each with a start of its own, calendars that jump.

use tandem_muc_core::time::{Moment, Now, Utc};

#[derive(Clone, Debug)]
pub(crate) struct Clock {
    drift_ppm: i64,
    start: u64,
    utc_start: i64,
}

impl Clock {
    pub(crate) fn new(drift_ppm: i64, start: u64, utc_start: i64) -> Clock {
        Clock { drift_ppm, start, utc_start }
    }

    fn passed(&self, now: u64) -> i64 {
        let now = now.cast_signed();
        now + now * self.drift_ppm / 1_000_000
    }

    /// Monotonic: it drifts and never jumps.
    pub(crate) fn moment(&self, now: u64) -> Moment {
        Moment(self.start + self.passed(now).unsigned_abs())
    }

    pub(crate) fn utc(&self, now: u64) -> Utc {
        Utc(self.utc_start + self.passed(now))
    }

    pub(crate) fn jump(&mut self, by_ms: i64) {
        self.utc_start += by_ms;
    }

    pub(crate) fn now(&self, now: u64, chance: u128) -> Now {
        Now { utc: self.utc(now), moment: self.moment(now), chance }
    }
}
