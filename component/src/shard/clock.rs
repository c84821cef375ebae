//! Time and chance for the engines: the one place of the shell that makes a [`Now`].

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use rand::RngExt;
use tandem_muc_core::record::RoomId;
use tandem_muc_core::time::{Moment, Now, Utc};

/// A clock that started some time ago.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock(Instant);

impl Clock {
    pub(super) fn start() -> Clock {
        Clock(Instant::now())
    }

    pub(super) fn now(self) -> Now {
        Now { utc: utc(), moment: self.moment(), chance: rand::rng().random() }
    }

    pub(super) fn moment(self) -> Moment {
        Moment(u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    /// When `moment` comes, for a timer.
    pub(super) fn instant(self, moment: Moment) -> Instant {
        self.0 + std::time::Duration::from_millis(moment.0)
    }
}

fn utc() -> Utc {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Utc(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// A key for a room that may be created: the time in milliseconds above 20 random bits, so that keys of both nodes
/// and of all domains differ and grow with time.
pub(super) fn new_room_id() -> RoomId {
    RoomId(((utc().0 << 20) | i64::from(rand::rng().random_range(0..1_u32 << 20))) & i64::MAX)
}
