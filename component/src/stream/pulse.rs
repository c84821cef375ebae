//! Signs of life of one connection, shared by its reader and its writer.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

/// What reader and writer have to know of each other.
#[derive(Debug)]
pub(super) struct Pulse {
    beat: Mutex<Beat>,
    /// Whether the reader waits for somebody to take a stanza off its hands, and so cannot see marks.
    held_up: watch::Sender<bool>,
}

#[derive(Debug, Clone, Copy)]
struct Beat {
    heard_at: Instant,
    /// The server itself was heard, not only the relay before it.
    served_at: Instant,
    /// Since when a mark is waited for.
    awaited_since: Option<Instant>,
    is_refusing_marks: bool,
}

impl Pulse {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        let beat = Beat { heard_at: now, served_at: now, awaited_since: None, is_refusing_marks: false };
        Self { beat: Mutex::new(beat), held_up: watch::Sender::new(false) }
    }

    fn with<T>(&self, look: impl FnOnce(&mut Beat) -> T) -> T {
        look(&mut self.beat.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Bytes arrived.
    pub(super) fn heard(&self) {
        self.with(|beat| beat.heard_at = Instant::now());
    }

    /// Something of the server's arrived.
    pub(super) fn served(&self) {
        self.with(|beat| beat.served_at = Instant::now());
    }

    /// How long no bytes arrived.
    pub(super) fn silence(&self) -> Duration {
        self.with(|beat| beat.heard_at.elapsed())
    }

    /// A mark went out.
    pub(super) fn mark_sent(&self) {
        self.with(|beat| beat.awaited_since = Some(beat.awaited_since.unwrap_or_else(Instant::now)));
    }

    /// A mark came back; the next one, if any is out, has its own time.
    pub(super) fn mark_returned(&self, is_another_out: bool) {
        self.with(|beat| beat.awaited_since = is_another_out.then(Instant::now));
    }

    pub(super) fn awaited_since(&self) -> Option<Instant> {
        self.with(|beat| beat.awaited_since)
    }

    /// Whether a mark is out for so long without a word of the server in return, though we would read it.
    pub(super) fn is_silent_for(&self, patience: Duration) -> bool {
        let is_late = self.awaited_since().is_some_and(|since| since.elapsed() >= patience);
        is_late && self.with(|beat| beat.served_at.elapsed()) >= patience && !self.is_held_up()
    }

    /// The server gives no marks back: its silence means little from now.
    pub(super) fn marks_refused(&self) {
        self.with(|beat| {
            beat.is_refusing_marks = true;
            beat.awaited_since = None;
        });
    }

    pub(super) fn is_refusing_marks(&self) -> bool {
        self.with(|beat| beat.is_refusing_marks)
    }

    pub(super) fn hold_up(&self, is_held_up: bool) {
        self.held_up.send_replace(is_held_up);
    }

    pub(super) fn is_held_up(&self) -> bool {
        *self.held_up.borrow()
    }

    /// Waits until the reader is held up.
    pub(super) async fn held_up(&self) {
        // The sender lives as long as `self`, so the wait cannot fail.
        let _ = self.held_up.subscribe().wait_for(|is_held_up| *is_held_up).await;
    }
}
