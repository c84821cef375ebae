//! One open connection with its reader at work: somebody may speak on it, or only listen.

use std::sync::Arc;

use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::connect::Attached;
use super::ledger::{Boot, Ledger};
use super::mark::Mark;
use super::pulse::Pulse;
use super::reader::Reader;
use super::relayed::Welcome;
use super::trouble::{Cause, Trouble};
use super::{Claim, Gate, Pace, Received, Said, StreamConfig, relayed};

/// Marks on their way from the reader: many more than a window has.
const MARKS_MAX: usize = 1024;

/// An open connection; dropping it ends it.
#[derive(Debug)]
pub(super) struct Line {
    /// Where it leads.
    pub(super) server: String,
    /// What the relay there said, if it is one, and its boot.
    pub(super) relay: Option<(Welcome, Boot)>,
    pub(super) since: Instant,
    pub(super) socket: OwnedWriteHalf,
    pub(super) reading: Reading,
    /// Marks that came back.
    pub(super) marks: mpsc::Receiver<Mark>,
    pub(super) pulse: Arc<Pulse>,
    /// Held by who lent it: told of its end by the drop.
    pub(super) lent: Option<oneshot::Sender<()>>,
}

/// The reader at work; dropping it ends it.
#[derive(Debug)]
pub(super) struct Reading(JoinHandle<Cause>);

impl Reading {
    /// Waits for its end and gives the reason; once.
    pub(super) async fn ended(&mut self) -> Cause {
        (&mut self.0).await.unwrap_or_else(|why| Cause::Closed(why.to_string()))
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What connections of one reign are opened with.
#[derive(Clone, Debug)]
pub(super) struct Opener {
    pub(super) config: Arc<StreamConfig>,
    pub(super) pace: Pace,
    pub(super) claim: Claim,
    pub(super) ledger: Ledger,
    pub(super) gate: Gate,
    pub(super) inbound: mpsc::Sender<Received>,
    /// Refusals of the readers, to be said past everything else.
    pub(super) asides: mpsc::Sender<Said>,
    /// When somebody else was let in our place: then only a lease renewed since lets us try again.
    pub(super) replaced_at: tokio::sync::watch::Sender<Option<Instant>>,
}

impl Opener {
    /// Waits until a connection may be opened. Not without a lease: who was put out by another waits for proof that it
    /// was no successor.
    pub(super) async fn may_open(&mut self) {
        self.gate.opened().await;
        let replaced_at = *self.replaced_at.borrow();
        if let Some(at) = replaced_at {
            self.gate.renewed_after(at).await;
        }
    }

    /// A connection has ended for this reason.
    pub(super) fn note_end(&self, cause: &Cause) {
        if *cause == Cause::Conflict {
            self.replaced_at.send_replace(Some(Instant::now()));
        }
    }

    pub(super) fn trouble(&self, server: &str, cause: Cause) -> Trouble {
        Trouble { domain: self.config.domain.clone(), server: server.to_owned(), cause }
    }

    /// Asks a relay that has shaken hands to attach us; `is_attached` says of an address whether it has already.
    pub(super) async fn attach(
        &self,
        mut attached: Attached,
        is_attached: impl Fn(&str) -> bool,
    ) -> Result<Line, Trouble> {
        let server = attached.server.clone();
        let Some(boot) = attached.relay.as_ref().map(|greeting| greeting.boot.clone()) else {
            return Err(self.trouble(&server, Cause::NoRelay));
        };
        let claimed = self.ledger.claim(&server, &boot, is_attached);
        let (nth, handled) = claimed.map_err(|other| self.trouble(&server, Cause::SameRelay(other)))?;
        match relayed::attach(&mut attached, &self.claim, &boot, &handled, self.pace.step_patience).await {
            Ok(welcome) => Ok(self.line(attached, Some((welcome, nth)))),
            Err(cause) => Err(self.trouble(&server, cause)),
        }
    }

    /// Begins to read what is open.
    pub(super) fn line(&self, attached: Attached, relay: Option<(Welcome, Boot)>) -> Line {
        let Attached { socket, framer, server, .. } = attached;
        let (read_half, socket) = socket.into_split();
        let pulse = Arc::new(Pulse::new());
        let (marked, marks) = mpsc::channel(MARKS_MAX);
        let reader = Reader {
            socket: read_half,
            framer,
            domain: self.config.domain.clone(),
            inbound: self.inbound.clone(),
            asides: self.asides.clone(),
            marks: marked,
            pulse: Arc::clone(&pulse),
            silence: match relay {
                Some(_) => self.pace.relay_silence,
                None => self.pace.keepalive + self.pace.mark_patience,
            },
            ledger: self.ledger.clone(),
            relay: relay.map(|(welcome, boot)| (boot, welcome.next)),
        };
        let reading = Reading(tokio::spawn(reader.run()));
        Line { server, relay, since: Instant::now(), socket, reading, marks, pulse, lent: None }
    }
}

/// What the server said before it hung up tells more than the write that failed.
pub(super) async fn better_of(cause: Cause, reading: &mut Reading, patience: std::time::Duration) -> Cause {
    match timeout(patience, reading.ended()).await {
        Ok(cause @ (Cause::Conflict | Cause::NotAuthorized | Cause::HostUnknown | Cause::Closed(_))) => cause,
        _ => cause,
    }
}
