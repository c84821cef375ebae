//! One stream after the other: attach, read and speak until it ends, wait a little, attach again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::random_range;
use tandem_muc_core::stanza::{Condition, Inbound, Outbound, StanzaError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};
use tracing::{debug, info, warn};

use super::connect::{self, Attached};
use super::framer::Framer;
use super::mark::Mark;
use super::pulse::Pulse;
use super::read::{Heard, hear};
use super::trouble::{Cause, Trouble};
use super::window::Window;
use super::writer::{Inlet, Writer};
use super::{Pace, StreamConfig, StreamHandle, StreamState, socket};

/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(15);
/// A stream that lasted this long was no failure: the pauses start anew.
const LASTED: Duration = Duration::from_secs(10);
/// Refusals the reader may have waiting; a flood of bad stanzas beyond it goes unanswered.
const ASIDES_MAX: usize = 256;
/// Marks on their way from reader to writer: many more than a window has.
const MARKS_MAX: usize = 1024;
/// Without marks silence proves little; after this long a new connection is cheap insurance.
const SILENCE_WITHOUT_MARKS: Duration = Duration::from_secs(300);
/// The server's goodbye is awaited this long.
const GOODBYE: Duration = Duration::from_millis(500);

/// The task behind a [`StreamHandle`].
pub(super) struct Session {
    config: StreamConfig,
    pace: Pace,
    epoch: u64,
    inlet: Inlet,
    asides: mpsc::Sender<Outbound>,
    inbound: mpsc::Sender<Inbound>,
    state: watch::Sender<StreamState>,
    closing: watch::Receiver<bool>,
}

/// How one connection ended.
enum End {
    /// As wanted.
    Closed,
    Broken(Cause),
}

impl Session {
    pub(super) fn new(config: StreamConfig, pace: Pace, epoch: u64) -> (Self, StreamHandle, mpsc::Receiver<Inbound>) {
        let (said, said_out) = mpsc::channel(pace.said_max.max(1));
        let (asides, asides_out) = mpsc::channel(ASIDES_MAX);
        let (inbound, inbound_out) = mpsc::channel(pace.inbound_max.max(1));
        let (state, state_out) = watch::channel(StreamState::Connecting { last_trouble: None });
        let (marked, marked_out) = watch::channel(None);
        let (closing, closing_out) = watch::channel(false);
        let inlet = Inlet {
            said: said_out,
            asides: asides_out,
            closing: closing_out.clone(),
            window: Window::new(pace.window),
            marked,
            has_warned: false,
        };
        let handle = StreamHandle { said, asides: asides.clone(), state: state_out, marked: marked_out, closing };
        let session = Self { config, pace, epoch, inlet, asides, inbound, state, closing: closing_out };
        (session, handle, inbound_out)
    }

    /// Keeps a stream open until it is to be closed.
    pub(super) async fn run(mut self) {
        let mut closing = self.closing.clone();
        let mut pause = self.pace.pause_min;
        loop {
            let attached = tokio::select! {
                attached = connect::attach(&self.config, self.pace.step_patience) => attached,
                // A dropped handle closes as well.
                _ = closing.wait_for(|is_closing| *is_closing) => break,
            };
            let trouble = match attached {
                Ok(attached) => {
                    let since = Instant::now();
                    let Some(trouble) = self.hold(attached, since).await else { break };
                    if since.elapsed() >= LASTED {
                        pause = self.pace.pause_min;
                    }
                    trouble
                }
                Err(trouble) => trouble,
            };
            let wait = if trouble.cause.is_lasting() { PAUSE_MAX } else { jittered(pause) };
            warn!(again_in_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX), "{trouble}");
            self.state.send_replace(StreamState::Connecting { last_trouble: Some(trouble) });
            pause = PAUSE_MAX.min(pause * 2);
            tokio::select! {
                () = sleep(wait) => {}
                _ = closing.wait_for(|is_closing| *is_closing) => break,
            }
        }
        self.state.send_replace(StreamState::Closed);
    }

    /// Reads and speaks on one connection; gives the trouble it ended with, if it was not meant to end.
    async fn hold(&mut self, attached: Attached, since: Instant) -> Option<Trouble> {
        let Attached { socket, framer, server } = attached;
        info!(domain = %self.config.domain, server, "the stream is open");
        self.state.send_replace(StreamState::Attached { server: server.clone(), since });
        match self.converse(socket, framer).await {
            End::Closed => None,
            End::Broken(cause) => Some(Trouble { domain: self.config.domain.clone(), server, cause }),
        }
    }

    async fn converse(&mut self, socket: TcpStream, framer: Framer) -> End {
        let (read_half, write_half) = socket.into_split();
        let pulse = Arc::new(Pulse::new());
        let (marks, marks_out) = mpsc::channel(MARKS_MAX);
        let reader = Reader {
            socket: read_half,
            framer,
            domain: self.config.domain.clone(),
            inbound: self.inbound.clone(),
            asides: self.asides.clone(),
            marks,
            pulse: Arc::clone(&pulse),
            silence: self.pace.keepalive + self.pace.mark_patience,
        };
        let mut reading = tokio::spawn(reader.run());
        let _guard = AbortOnDrop(reading.abort_handle());
        let writer =
            Writer::new(&self.config.domain, self.pace, self.epoch, write_half, &mut self.inlet, marks_out, &pulse);
        tokio::select! {
            cause = &mut reading => End::Broken(cause.unwrap_or_else(|why| Cause::Closed(why.to_string()))),
            spoken = writer.run() => match spoken {
                Ok(()) => {
                    let _ = timeout(GOODBYE, reading).await;
                    End::Closed
                }
                // What the server said before it hung up tells more than the write that failed.
                Err(cause) => match timeout(GOODBYE, reading).await {
                    Ok(Ok(cause @ (Cause::Conflict | Cause::NotAuthorized | Cause::HostUnknown | Cause::Closed(_)))) => End::Broken(cause),
                    _ => End::Broken(cause),
                },
            },
        }
    }
}

struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Between half and all of `pause`, so that two nodes do not knock in step.
fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(random_range(0.5..=1.0))
}

/// Closes a stream nothing was said on.
pub(crate) async fn leave(mut socket: TcpStream) {
    let goodbye = async {
        socket.write_all(b"</stream:stream>").await?;
        socket.shutdown().await?;
        while socket.read(&mut [0; 1024]).await? > 0 {}
        std::io::Result::Ok(())
    };
    // Whether the server answers the goodbye changes nothing.
    let _ = timeout(GOODBYE, goodbye).await;
}

/// The reading end of one connection.
struct Reader {
    socket: OwnedReadHalf,
    framer: Framer,
    domain: String,
    inbound: mpsc::Sender<Inbound>,
    asides: mpsc::Sender<Outbound>,
    marks: mpsc::Sender<Mark>,
    pulse: Arc<Pulse>,
    /// No byte for this long is silence.
    silence: Duration,
}

impl Reader {
    /// Reads until the stream ends; says why it did.
    async fn run(mut self) -> Cause {
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
        if self.pulse.is_refusing_marks() { SILENCE_WITHOUT_MARKS } else { self.silence }
    }

    /// Passes on every whole stanza that was read.
    async fn frames(&mut self) -> Result<(), Cause> {
        loop {
            let heard = match self.framer.frame() {
                Ok(None) => return Ok(()),
                Ok(Some(frame)) => hear(frame, &self.domain),
                Err(why) => return Err(Cause::Closed(why.to_string())),
            };
            match heard {
                Heard::Stanza(inbound) => self.pass_on(*inbound).await,
                Heard::Mark(mark) => self.note(mark),
                Heard::Refuse(answer) => self.refuse(*answer),
                Heard::Ignored(why) => debug!(domain = self.domain, why, "a stanza is ignored"),
                Heard::End => return Err(Cause::Closed("it said goodbye".to_owned())),
                Heard::Error(condition) => return Err(connect::refused(&condition)),
            }
        }
    }

    async fn pass_on(&self, inbound: Inbound) {
        let inbound = match self.inbound.try_send(inbound) {
            Ok(()) => return,
            Err(TrySendError::Full(inbound) | TrySendError::Closed(inbound)) => inbound,
        };
        self.pulse.hold_up(true);
        let passed = self.inbound.send(inbound).await;
        self.pulse.hold_up(false);
        self.pulse.heard();
        if let Err(back) = passed {
            self.put_off(&back.0);
        }
    }

    /// Nobody takes stanzas any more, but last words and their marks are still on their way. The condition is the one
    /// a self-ping may get without its client leaving the room (XEP-0410 §3.2).
    fn put_off(&self, inbound: &Inbound) {
        let why = StanzaError::new(Condition::RemoteServerTimeout, "The service is restarting; please try again soon.");
        if let Some(answer) = inbound.error(&why) {
            self.refuse(answer);
        }
    }

    fn note(&self, mark: Mark) {
        if self.marks.try_send(mark).is_err() {
            debug!(domain = self.domain, "a mark is left out; the next one covers it");
        }
    }

    fn refuse(&self, answer: Outbound) {
        if self.asides.try_send(answer).is_err() {
            debug!(domain = self.domain, "a bad stanza goes unanswered: too many of them wait");
        }
    }
}
