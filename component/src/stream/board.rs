//! How each relay of a domain stands, for whoever chooses one to speak through and for whoever asks.

use std::fmt;
use std::time::Instant;

use tokio::sync::watch;

use super::relayed::Welcome;
use super::trouble::{Cause, Trouble};

/// One relay of the domain.
#[derive(Debug, Clone)]
pub struct Path {
    /// Its address.
    pub relay: String,
    /// How it stands.
    pub state: PathState,
}

/// How one relay stands to this reign.
#[derive(Debug, Clone)]
pub enum PathState {
    /// Not tried yet.
    Untried,
    /// Not attached; it is tried again and again.
    Away {
        /// Why.
        trouble: Trouble,
    },
    /// What comes in there is heard.
    Heard {
        /// Since when it is attached.
        since: Instant,
        /// What it said.
        welcome: Welcome,
    },
    /// The same, and everything is said there.
    Spoken {
        /// Since when it is attached.
        since: Instant,
    },
}

impl PathState {
    /// Whether this reign is attached there.
    pub fn is_attached(&self) -> bool {
        match self {
            PathState::Heard { .. } | PathState::Spoken { .. } => true,
            PathState::Untried | PathState::Away { .. } => false,
        }
    }
}

impl fmt::Display for Path {
    /// As `status` has it; a relay is level 2.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let relay = &self.relay;
        match &self.state {
            PathState::Untried => write!(f, "relay {relay}: not tried yet"),
            PathState::Away { trouble } => write!(f, "relay {relay}: away: {trouble}"),
            PathState::Heard { .. } => write!(f, "L2 relay {relay}: heard"),
            PathState::Spoken { .. } => write!(f, "L2 relay {relay}: heard, spoken through"),
        }
    }
}

/// The relays in the order of the configuration.
#[derive(Debug, Clone)]
pub(super) struct Board(watch::Sender<Vec<Path>>);

impl Board {
    pub(super) fn new(relays: &[String]) -> Board {
        let path = |relay: &String| Path { relay: relay.clone(), state: PathState::Untried };
        Board(watch::Sender::new(relays.iter().map(path).collect()))
    }

    pub(super) fn watch(&self) -> watch::Receiver<Vec<Path>> {
        self.0.subscribe()
    }

    pub(super) fn set(&self, nth: usize, state: PathState) {
        self.0.send_modify(|paths| {
            if let Some(path) = paths.get_mut(nth) {
                path.state = state;
            }
        });
    }

    /// Whether this reign is attached at this address, or about to be for the first time.
    pub(super) fn is_attached(&self, relay: &str) -> bool {
        let is_away = |path: &Path| matches!(path.state, PathState::Away { .. });
        self.0.borrow().iter().any(|path| path.relay == relay && !is_away(path))
    }

    /// Why it is away, if it is.
    pub(super) fn trouble(&self, nth: usize) -> Option<Trouble> {
        match &self.0.borrow().get(nth)?.state {
            PathState::Away { trouble } => Some(trouble.clone()),
            PathState::Untried | PathState::Heard { .. } | PathState::Spoken { .. } => None,
        }
    }

    pub(super) fn has_untried(&self) -> bool {
        self.0.borrow().iter().any(|path| matches!(path.state, PathState::Untried))
    }

    /// The first relay that could be spoken through.
    pub(super) fn first_heard(&self) -> Option<usize> {
        first_heard(&self.0.borrow())
    }

    /// The trouble that says most of why no relay is attached: one that knows better first, then whoever answered.
    pub(super) fn worst(&self) -> Option<Trouble> {
        let paths = self.0.borrow();
        let rank = |trouble: &Trouble| match trouble.cause {
            Cause::Outdated(_) => 0,
            Cause::OtherDatabase => 1,
            Cause::Unreachable(_) => 3,
            _ => 2,
        };
        let troubles = paths.iter().filter_map(|path| match &path.state {
            PathState::Away { trouble } => Some(trouble),
            PathState::Untried | PathState::Heard { .. } | PathState::Spoken { .. } => None,
        });
        troubles.min_by_key(|trouble| rank(trouble)).cloned()
    }

    /// What the relays that are attached but not spoken through said, taken together with `welcome`.
    pub(super) fn with_all(&self, welcome: Welcome) -> Welcome {
        self.0.borrow().iter().fold(welcome, |all, path| match &path.state {
            PathState::Heard { welcome, .. } => all.with(*welcome),
            PathState::Untried | PathState::Away { .. } | PathState::Spoken { .. } => all,
        })
    }
}

/// The first relay that could be spoken through.
pub(super) fn first_heard(paths: &[Path]) -> Option<usize> {
    paths.iter().position(|path| matches!(path.state, PathState::Heard { .. }))
}

/// The higher epoch that some relay serves.
pub(super) fn outdated(paths: &[Path]) -> Option<u64> {
    paths.iter().find_map(|path| match &path.state {
        PathState::Away { trouble: Trouble { cause: Cause::Outdated(highest), .. } } => Some(*highest),
        PathState::Away { .. } | PathState::Untried | PathState::Heard { .. } | PathState::Spoken { .. } => None,
    })
}
