//! After the stream came back: a server that crashed has lost its clients, and the first to speak would speak to ghosts.
//! For a moment only errors are handled, by which those leave who are gone; whatever else comes waits its turn. The look
//! for ghosts ends it, or time does: a server that says nothing stops no room.

use std::time::{Duration, Instant as Since};

use tandem_muc_core::stanza::Type;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::dispatch::KEPT_MAX;
use crate::stream::{Received, StreamState};

/// How long it lasts at most: a thousand ghosts are found in less.
const LASTS: Duration = Duration::from_secs(1);

/// What becomes of it by itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Turn {
    /// The stream came back: it begins.
    Back {
        /// Whether it is with a bare server.
        is_bare: bool,
    },
    /// Its time is over.
    Over,
}

/// The moment after the stream came back, and what waits until it is over.
pub(super) struct Hush {
    state: watch::Receiver<StreamState>,
    /// Since when it is open that was open last.
    since: Option<Since>,
    until: Option<Instant>,
    /// The stream is lost: what a relay brings before words can go its way waits, too.
    is_away: bool,
    kept: Vec<Received>,
}

impl Hush {
    /// Of a stream that is open.
    pub(super) fn new(mut state: watch::Receiver<StreamState>) -> Hush {
        let since = since(&state.borrow_and_update());
        Hush { state, since, until: None, is_away: false, kept: Vec::new() }
    }

    /// Comes when one begins or ends by itself; to be called anew however often it is given up.
    pub(super) async fn turns(&mut self) -> Turn {
        loop {
            let ends = self.until;
            tokio::select! {
                biased;
                changed = self.state.changed() => {
                    if changed.is_err() {
                        self.state = watch::channel(StreamState::Closed).1;
                        std::future::pending::<()>().await;
                    }
                    let state = self.state.borrow_and_update();
                    let opened = since(&state);
                    self.is_away = matches!(&*state, StreamState::Connecting { .. });
                    if opened.is_some() && self.since != opened {
                        (self.since, self.until) = (opened, Some(Instant::now() + LASTS));
                        return Turn::Back { is_bare: matches!(&*state, StreamState::Attached { relay: None, .. }) };
                    }
                }
                () = until(ends) => return Turn::Over,
            }
        }
    }

    /// The stanza, unless it has to wait.
    pub(super) fn pass(&mut self, stanza: Received) -> Option<Received> {
        let is_over = self.until.is_none() && !self.is_away;
        if is_over || stanza.inbound.stanza.type_ == Type::Error {
            return Some(stanza);
        }
        self.kept.push(stanza);
        None
    }

    /// Whether no more can wait.
    pub(super) fn is_full(&self) -> bool {
        self.kept.len() >= KEPT_MAX
    }

    /// It is over; what waited, in its order.
    pub(super) fn end(&mut self) -> Vec<Received> {
        (self.until, self.is_away) = (None, false);
        std::mem::take(&mut self.kept)
    }
}

fn since(state: &StreamState) -> Option<Since> {
    match state {
        StreamState::Attached { since, .. } => Some(*since),
        StreamState::Connecting { .. } | StreamState::Outdated { .. } | StreamState::Closed => None,
    }
}

async fn until(ends: Option<Instant>) {
    match ends {
        Some(ends) => sleep_until(ends).await,
        None => std::future::pending().await,
    }
}
