//! How often something may happen: so many at once, so many a minute after that.

use crate::time::Moment;

const MINUTE_MS: u64 = 60_000;

/// A rate; with 0 a minute there is no limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rate {
    /// So many a minute, for ever.
    pub per_minute: u32,
    /// So many at once, after a time of rest.
    pub at_once: u32,
}

/// How much of a rate is used up: the moment at which nothing of it would be.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub(super) struct Used(Moment);

impl Rate {
    /// No limit.
    pub const FREE: Rate = Rate { per_minute: 0, at_once: 0 };

    fn is_free(self) -> bool {
        self.per_minute == 0
    }

    /// Milliseconds between two, at a steady pace.
    fn step_ms(self) -> u64 {
        MINUTE_MS / u64::from(self.per_minute.max(1))
    }

    /// Uses one up.
    ///
    /// # Errors
    /// The moment at which there will be one again.
    pub(super) fn take(self, used: &mut Used, now: Moment) -> Result<(), Moment> {
        if self.is_free() {
            return Ok(());
        }
        let rested_ms = self.step_ms() * u64::from(self.at_once.max(1) - 1);
        let free_at = used.0.0.saturating_sub(rested_ms);
        if free_at > now.0 {
            return Err(Moment(free_at));
        }
        used.0 = Moment(used.0.0.max(now.0) + self.step_ms());
        Ok(())
    }
}

impl Used {
    /// Whether nothing of it is used up any more.
    pub(super) fn is_rested(self, now: Moment) -> bool {
        self.0 <= now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_then_a_steady_pace() {
        let rate = Rate { per_minute: 60, at_once: 3 };
        let mut used = Used::default();
        let at = |used: &mut Used, ms| rate.take(used, Moment(ms));
        assert_eq!([at(&mut used, 100), at(&mut used, 100), at(&mut used, 100)], [Ok(()); 3]);
        assert_eq!(at(&mut used, 100), Err(Moment(1_100)));
        assert_eq!(at(&mut used, 1_099), Err(Moment(1_100)));
        assert_eq!(at(&mut used, 1_100), Ok(()));
        assert_eq!(at(&mut used, 1_100), Err(Moment(2_100)));
        assert!(!used.is_rested(Moment(4_099)) && used.is_rested(Moment(4_100)));
        assert_eq!([at(&mut used, 9_000), at(&mut used, 9_000), at(&mut used, 9_000)], [Ok(()); 3]);
        assert!(at(&mut used, 9_000).is_err());
    }

    #[test]
    fn without_a_rate_there_is_no_limit() {
        let mut used = Used::default();
        assert!((0..1_000).all(|_| Rate::FREE.take(&mut used, Moment(0)).is_ok()));
    }
}
