//! The reading end of one connection: eager, bounded by silence, and never ended by what a stranger sends.

use std::sync::Arc;
use std::time::Duration;

use tandem_muc_core::stanza::{Condition, Outbound, StanzaError};
use tokio::io::AsyncReadExt;
use tokio::net::tcp::OwnedReadHalf;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::time::timeout;
use tracing::debug;

use super::framer::{Frame, Framer};
use super::ledger::{Boot, Ledger};
use super::mark::Mark;
use super::pulse::Pulse;
use super::read::{Heard, hear};
use super::relayed::Own;
use super::trouble::Cause;
use super::{Received, Said, Ticket, aside, connect, relayed, socket};

/// Without marks silence proves little; after this long a new connection is cheap insurance.
const SILENCE_WITHOUT_MARKS: Duration = Duration::from_secs(300);

/// A relay brought a stanza once more.
struct Again;

/// The reading end of one connection.
pub(super) struct Reader {
    pub(super) socket: OwnedReadHalf,
    pub(super) framer: Framer,
    pub(super) domain: String,
    pub(super) inbound: mpsc::Sender<Received>,
    pub(super) asides: mpsc::Sender<Said>,
    pub(super) marks: mpsc::Sender<Mark>,
    pub(super) pulse: Arc<Pulse>,
    /// No byte for this long is silence.
    pub(super) silence: Duration,
    pub(super) ledger: Ledger,
    /// The relay's boot and the number of the next stanza, if it comes from a relay.
    pub(super) relay: Option<(Boot, u64)>,
}

impl Reader {
    /// Reads until the stream ends; says why it did.
    pub(super) async fn run(mut self) -> Cause {
        loop {
            if let Err(cause) = self.frames().await {
                return cause;
            }
            match timeout(self.patience(), self.socket.read_buf(self.framer.space())).await {
                Ok(Ok(0)) => return Cause::Closed("it hung up".to_owned()),
                Ok(Ok(_)) => {
                    self.pulse.heard();
                    socket::acknowledge_at_once(self.socket.as_ref());
                }
                Ok(Err(why)) => return Cause::Closed(why.to_string()),
                // Asked again: the writer may have found out meanwhile that silence proves little.
                Err(_) if self.pulse.silence() >= self.patience() => return Cause::Silence(self.patience()),
                Err(_) => {}
            }
        }
    }

    fn patience(&self) -> Duration {
        let is_bare = self.relay.is_none();
        if is_bare && self.pulse.is_refusing_marks() { SILENCE_WITHOUT_MARKS } else { self.silence }
    }

    /// Passes on every whole stanza that was read.
    async fn frames(&mut self) -> Result<(), Cause> {
        let mut has_served = false;
        loop {
            let heard = match self.framer.frame() {
                Ok(None) => return Ok(()),
                Ok(Some(Frame::Stanza(raw)))
                    if self.relay.is_some()
                        && let Some(own) = relayed::own(&raw) =>
                {
                    if let (Own::At(at), Some((_, next))) = (own, &mut self.relay) {
                        *next = at;
                    }
                    continue;
                }
                Ok(Some(frame)) => {
                    if !std::mem::replace(&mut has_served, true) {
                        self.pulse.served();
                    }
                    hear(frame, &self.domain)
                }
                Err(why) => return Err(Cause::Closed(why.to_string())),
            };
            let Ok(ticket) = self.ticket(&heard) else { continue };
            match heard {
                Heard::Stanza(inbound) => {
                    self.pass_on(Received { inbound: *inbound, ticket }).await;
                }
                Heard::Mark(mark) => self.note(mark),
                Heard::Refuse(answer) => self.refuse(Some(*answer), ticket),
                Heard::Ignored(why) => {
                    debug!(domain = self.domain, why, "a stanza is ignored");
                    if ticket.is_some() {
                        self.refuse(None, ticket);
                    }
                }
                Heard::End => return Err(Cause::Closed("it said goodbye".to_owned())),
                Heard::Error(condition) => return Err(connect::refused(&condition)),
            }
        }
    }

    /// What the stanza just read has to give back.
    ///
    /// # Errors
    /// It came before, under an earlier attachment, and is handled or being handled.
    fn ticket(&mut self, heard: &Heard) -> Result<Option<Ticket>, Again> {
        let relay = match heard {
            Heard::Stanza(_) | Heard::Refuse(_) | Heard::Ignored(_) => self.relay.as_mut(),
            Heard::Mark(_) | Heard::End | Heard::Error(_) => None,
        };
        let Some((boot, next)) = relay else { return Ok(None) };
        let no = *next;
        *next += 1;
        self.ledger.take(*boot, no).map(Some).ok_or(Again)
    }

    async fn pass_on(&self, received: Received) {
        let received = match self.inbound.try_send(received) {
            Ok(()) => return,
            Err(TrySendError::Full(received) | TrySendError::Closed(received)) => received,
        };
        self.pulse.hold_up(true);
        let passed = self.inbound.send(received).await;
        self.pulse.hold_up(false);
        self.pulse.heard();
        if let Err(back) = passed {
            self.put_off(&back.0);
        }
    }

    /// Nobody takes stanzas any more, but last words and their marks are still on their way. The condition is the one
    /// a self-ping may get without its client leaving the room (XEP-0410 §3.2).
    /// What a relay brought is not answered: whoever serves next is brought it again.
    fn put_off(&self, received: &Received) {
        let why = StanzaError::new(Condition::RemoteServerTimeout, "The service is restarting; please try again soon.");
        if let (Some(answer), None) = (received.inbound.error(&why), received.ticket) {
            self.refuse(Some(answer), None);
        }
    }

    fn note(&self, mark: Mark) {
        if self.marks.try_send(mark).is_err() {
            debug!(domain = self.domain, "a mark is left out; the next one covers it");
        }
    }

    fn refuse(&self, answer: Option<Outbound>, ticket: Option<Ticket>) {
        if self.asides.try_send(aside(answer, ticket)).is_err() {
            debug!(domain = self.domain, "a bad stanza goes unanswered: too many of them wait");
            if let Some(ticket) = ticket {
                self.ledger.settle([ticket]);
            }
        }
    }
}
