//! The stream to the server: not opened before the first node attaches, opened again for as long as anybody may come.

use super::Relay;
use super::event::{Action, Closing, Reason, Refusal};
use crate::time::Moment;

/// The first pause between two attempts, in milliseconds; it doubles.
const PAUSE_MIN_MS: u64 = 200;
/// The longest pause, in milliseconds.
const PAUSE_MAX_MS: u64 = 5_000;
/// A stream that lasted this long was no failure: the pauses start anew.
const LASTED_MS: u64 = 10_000;

/// How the stream to the server stands.
#[derive(Debug)]
pub(super) struct Server {
    state: State,
    pause_ms: u64,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// There is none; the next attempt begins by itself at this time, if at all.
    Down {
        retry_at: Option<Moment>,
    },
    Opening,
    Up {
        since: Moment,
    },
}

impl Default for Server {
    fn default() -> Server {
        Server { state: State::Down { retry_at: None }, pause_ms: PAUSE_MIN_MS }
    }
}

impl Server {
    pub(super) fn is_up(&self) -> bool {
        self.up_since().is_some()
    }

    pub(super) fn up_since(&self) -> Option<Moment> {
        match self.state {
            State::Up { since } => Some(since),
            State::Down { .. } | State::Opening => None,
        }
    }

    pub(super) fn retry_at(&self) -> Option<Moment> {
        match self.state {
            State::Down { retry_at } => retry_at,
            State::Opening | State::Up { .. } => None,
        }
    }

    /// An attempt is wanted now; whether it has to be begun.
    pub(super) fn begin(&mut self) -> bool {
        let is_down = matches!(self.state, State::Down { .. });
        if is_down {
            self.state = State::Opening;
        }
        is_down
    }

    /// Whether the time of the next attempt has come, which is then under way.
    pub(super) fn take_retry(&mut self, now: Moment) -> bool {
        self.retry_at().is_some_and(|at| at <= now) && self.begin()
    }

    /// The stream is closed by us, and not opened again before it is wanted.
    fn leave(&mut self) {
        *self = Server::default();
    }

    fn up(&mut self, now: Moment) {
        self.state = State::Up { since: now };
    }

    /// Gives whether a stream was open.
    fn down(&mut self, now: Moment, is_wanted: bool) -> bool {
        let since = self.up_since();
        if since.is_some_and(|since| now.0.saturating_sub(since.0) >= LASTED_MS) {
            self.pause_ms = PAUSE_MIN_MS;
        }
        let retry_at = is_wanted.then(|| Moment(now.0.saturating_add(self.pause_ms)));
        self.state = State::Down { retry_at };
        self.pause_ms = PAUSE_MAX_MS.min(self.pause_ms * 2);
        since.is_some()
    }
}

impl<T: Clone> Relay<T> {
    pub(super) fn server_up(&mut self, now: Moment, out: &mut Vec<Action<T>>) {
        self.server.up(now);
        for (link, attach) in std::mem::take(&mut self.waiting) {
            self.attach(now, link, attach, out);
        }
    }

    /// When a relay that nobody comes to, of a domain that has others, gives up its place in the server: it has waited
    /// as long as it may hold a stanza. A server that knows several ways to a domain would go on to use this one.
    pub(super) fn detaches_at(&self) -> Option<Moment> {
        let since = self.left_since().filter(|_| self.has_others && !self.is_stopping)?;
        Some(Moment(since.0.saturating_add(self.bounds.wait_ms)))
    }

    /// What is kept is answered first, while it can be; who attaches next has the server reached for anew.
    pub(super) fn detach(&mut self, out: &mut Vec<Action<T>>) {
        self.bounce_all(out);
        self.server.leave();
        out.push(Action::Detach);
    }

    /// Nothing that is kept is forgotten; who held the domain has to attach anew, and so knows that what it said last
    /// may not have arrived.
    pub(super) fn server_down(&mut self, now: Moment, why: &str, out: &mut Vec<Action<T>>) {
        let is_wanted = self.counts.attached > 0 || self.held.len() > 0;
        let was_up = self.server.down(now, is_wanted && !self.is_stopping);
        if !was_up {
            for (link, _) in std::mem::take(&mut self.waiting) {
                let refusal = Refusal { reason: Reason::Server, highest: self.highest, sentence: why.to_owned() };
                out.push(Action::Refuse(link, refusal));
            }
            return;
        }
        // What was said since the last mark came back may have died with the stream.
        self.said = self.said.zip(self.proven).map(|((epoch, said), proven)| (epoch, said.min(proven)));
        self.release_and_tell(now, out);
        self.close_all(&Closing::ServerGone(why.to_owned()), out);
    }
}
