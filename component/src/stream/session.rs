//! One stream after the other: attach, read and speak until it ends, wait a little, attach again.
//!
//! A relay is tried before any server. Where it was away and is back, the stream moves over to it.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use rand::random_range;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::{Instant, sleep, timeout};
use tracing::{info, warn};

use super::connect::{self, Attached};
use super::ledger::Ledger;
use super::pulse::Pulse;
use super::reader::Reader;
use super::relayed;
use super::standby::Warm;
use super::trouble::{Cause, Trouble};
use super::window::Window;
use super::writer::{Inlet, Writer};
use super::{Claim, Gate, Pace, Received, Reign, Said, StreamConfig, StreamHandle, StreamState, Welcome, Wish};

/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(15);
/// A stream that lasted this long was no failure: the pauses start anew.
const LASTED: Duration = Duration::from_secs(10);
/// Refusals the reader may have waiting; a flood of bad stanzas beyond it goes unanswered.
const ASIDES_MAX: usize = 256;
/// Marks on their way from reader to writer: many more than a window has.
const MARKS_MAX: usize = 1024;
/// The server's goodbye is awaited this long.
const GOODBYE: Duration = Duration::from_millis(500);
/// How often a relay that was away is looked for.
const LOOK: Duration = Duration::from_secs(1);

/// The task behind a [`StreamHandle`].
pub(super) struct Session {
    config: StreamConfig,
    pace: Pace,
    request: Request,
    gate: Gate,
    warm: Option<Warm>,
    inlet: Inlet,
    asides: mpsc::Sender<Said>,
    inbound: mpsc::Sender<Received>,
    state: watch::Sender<StreamState>,
    wish: watch::Receiver<Wish>,
    /// When somebody else was let in our place: then only a lease renewed since lets us try again.
    replaced_at: Option<Instant>,
}

/// What a relay is asked with.
#[derive(Clone)]
struct Request {
    domain: String,
    claim: Claim,
    ledger: Ledger,
    patience: Duration,
}

/// A stream stanzas can flow on.
struct Open {
    attached: Attached,
    relay: Option<Welcome>,
}

/// How one connection ended.
enum End {
    /// As wanted.
    Closed,
    /// The relay is back.
    Moved(Box<Open>),
    Broken(Cause),
}

/// What stops the speaking on one connection.
enum Halt {
    /// The reader ended.
    Read(Cause),
    Wished(Wish),
    Spoken(Result<(), Cause>),
    /// The relay is back, and has attached us.
    Back(Box<Open>),
}

impl Session {
    pub(super) fn new(
        config: StreamConfig,
        pace: Pace,
        reign: Reign,
    ) -> (Self, StreamHandle, mpsc::Receiver<Received>) {
        let (said, said_out) = mpsc::channel(pace.said_max.max(1));
        let (asides, asides_out) = mpsc::channel(ASIDES_MAX);
        let (inbound, inbound_out) = mpsc::channel(pace.inbound_max.max(1));
        let (state, state_out) = watch::channel(StreamState::Connecting { last_trouble: None });
        let (marked, marked_out) = watch::channel(None);
        let (wish, wish_out) = watch::channel(Wish::Stay);
        let Reign { claim, gate, handled, warm } = reign;
        let ledger = Ledger::inherit(handled.as_deref());
        let inlet = Inlet {
            said: said_out,
            asides: asides_out,
            wish: wish_out.clone(),
            window: Window::new(pace.window),
            marked,
            has_warned: false,
            gate: gate.clone(),
            ledger: ledger.clone(),
            unsettled: Vec::new(),
            unflushed: Vec::new(),
            has_acknowledged: false,
        };
        let handle = StreamHandle {
            said,
            asides: asides.clone(),
            state: state_out,
            marked: marked_out,
            wish,
            ledger: ledger.clone(),
        };
        let request = Request { domain: config.domain.clone(), claim, ledger, patience: pace.step_patience };
        let (wish, replaced_at) = (wish_out, None);
        let session = Self { config, pace, request, gate, warm, inlet, asides, inbound, state, wish, replaced_at };
        (session, handle, inbound_out)
    }

    /// Keeps a stream open until it is to be closed.
    pub(super) async fn run(mut self) {
        let mut wish = self.wish.clone();
        let mut pause = self.pace.pause_min;
        let mut moved = None;
        let last = loop {
            let opened = match moved.take() {
                Some(open) => Ok(open),
                None => tokio::select! {
                    opened = self.open() => opened,
                    // A dropped handle closes as well.
                    _ = wish.wait_for(|wish| *wish != Wish::Stay) => break StreamState::Closed,
                },
            };
            let trouble = match opened {
                Ok(open) => {
                    let (since, server) = (Instant::now(), open.attached.server.clone());
                    match self.hold(open, since).await {
                        End::Closed => break StreamState::Closed,
                        End::Moved(open) => {
                            moved = Some(*open);
                            continue;
                        }
                        End::Broken(cause) => {
                            if since.elapsed() >= LASTED {
                                pause = self.pace.pause_min;
                            }
                            Trouble { domain: self.config.domain.clone(), server, cause }
                        }
                    }
                }
                Err(trouble) => trouble,
            };
            if let Cause::Outdated(highest) = trouble.cause {
                warn!("{trouble}");
                break StreamState::Outdated { highest };
            }
            let wait = if trouble.cause.is_lasting() { PAUSE_MAX } else { jittered(pause) };
            warn!(again_in_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX), "{trouble}");
            self.state.send_replace(StreamState::Connecting { last_trouble: Some(trouble) });
            pause = PAUSE_MAX.min(pause * 2);
            tokio::select! {
                () = sleep(wait) => {}
                _ = wish.wait_for(|wish| *wish != Wish::Stay) => break StreamState::Closed,
            }
        };
        // Whoever is told of the end finds nothing more to read.
        drop(self.inbound);
        self.state.send_replace(last);
    }

    /// Attaches through the relay, else to the server. Not without a lease: who was put out by another waits for proof
    /// that it was no successor.
    async fn open(&mut self) -> Result<Open, Trouble> {
        self.gate.opened().await;
        if let Some(at) = self.replaced_at {
            self.gate.renewed_after(at).await;
        }
        let mut refusal = None;
        if !self.config.relays.is_empty() {
            let trouble = match self.open_at_relay().await {
                Ok(open) => return Ok(open),
                Err(trouble) => trouble,
            };
            // Past a relay that knows better, or another pair's, nobody attaches.
            if matches!(trouble.cause, Cause::Outdated(_) | Cause::OtherDatabase) || self.config.servers.is_empty() {
                return Err(trouble);
            }
            refusal = Some(trouble);
        }
        match connect::attach(&self.config, self.pace.step_patience).await {
            Ok(attached) => Ok(Open { attached, relay: None }),
            Err(trouble) => Err(refusal.unwrap_or(trouble)),
        }
    }

    /// On the stream that was kept ready, else on a new one: what was ready may have gone stale unnoticed.
    async fn open_at_relay(&mut self) -> Result<Open, Trouble> {
        if let Some(Warm(attached)) = self.warm.take() {
            match self.request.put(attached).await {
                Err(Trouble { cause: Cause::Closed(_) | Cause::Silence(_), .. }) => {}
                answered => return answered,
            }
        }
        let attached = connect::shake_hands_with_relay(&self.config, self.pace.step_patience).await?;
        self.request.put(attached).await
    }

    /// Reads and speaks on one connection until it ends.
    async fn hold(&mut self, open: Open, since: Instant) -> End {
        let Open { attached, relay } = open;
        let server = attached.server.clone();
        match relay {
            Some(Welcome { held, bounced, .. }) => {
                info!(domain = %self.config.domain, server, held, bounced, "the stream is open, through the relay");
            }
            None => info!(domain = %self.config.domain, server, "the stream is open"),
        }
        self.state.send_replace(StreamState::Attached { server, since: since.into_std(), relay });
        let end = self.converse(attached, relay).await;
        if matches!(end, End::Broken(Cause::Conflict)) {
            self.replaced_at = Some(Instant::now());
        }
        end
    }

    async fn converse(&mut self, attached: Attached, relay: Option<Welcome>) -> End {
        let Attached { socket, framer, .. } = attached;
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
            silence: match relay {
                Some(_) => self.pace.relay_silence,
                None => self.pace.keepalive + self.pace.mark_patience,
            },
            ledger: self.request.ledger.clone(),
            next: relay.map(|welcome| welcome.next),
        };
        let mut reading = tokio::spawn(reader.run());
        let _guard = AbortOnDrop(reading.abort_handle());
        let epoch = self.request.claim.epoch;
        let is_relayed = relay.is_some();
        let (domain, wish) = (&self.config.domain, &mut self.wish);
        let mut writer =
            Writer::new(domain, self.pace, epoch, is_relayed, write_half, &mut self.inlet, marks_out, &pulse);
        let halt = {
            // One speech for as long as the connection is spoken on: begun anew it would not know what it had written.
            let mut speaking = pin!(writer.run());
            loop {
                tokio::select! {
                    biased;
                    cause = &mut reading => break Halt::Read(cause.unwrap_or_else(|why| Cause::Closed(why.to_string()))),
                    // A dropped handle says what it was given; the writer sees to that.
                    Ok(wanted) = any_of(wish, &[Wish::Retire, Wish::Leave, Wish::Cut]) => break Halt::Wished(wanted),
                    spoken = &mut speaking => break Halt::Spoken(spoken),
                    attached = relay_is_back(&self.config, self.pace.step_patience), if !is_relayed && !self.config.relays.is_empty() => {
                        match self.request.put(attached).await {
                            Ok(open) => break Halt::Back(Box::new(open)),
                            Err(Trouble { cause: cause @ (Cause::Outdated(_) | Cause::OtherDatabase), .. }) => return End::Broken(cause),
                            Err(trouble) => warn!("{trouble}"),
                        }
                    }
                }
            }
        };
        match halt {
            Halt::Read(cause) => End::Broken(cause),
            Halt::Wished(wanted) => {
                if wanted != Wish::Cut {
                    read_to_the_end(&mut reading, &mut writer, wish).await;
                }
                End::Closed
            }
            Halt::Spoken(Ok(())) => {
                let _ = timeout(GOODBYE, reading).await;
                End::Closed
            }
            // What the server said before it hung up tells more than the write that failed.
            Halt::Spoken(Err(cause)) => match timeout(GOODBYE, reading).await {
                Ok(Ok(cause @ (Cause::Conflict | Cause::NotAuthorized | Cause::HostUnknown | Cause::Closed(_)))) => {
                    End::Broken(cause)
                }
                _ => End::Broken(cause),
            },
            Halt::Back(open) => {
                info!(domain, "the relay is back; moving over to it");
                let _ = writer.farewell().await;
                let _ = timeout(GOODBYE, &mut reading).await;
                End::Moved(open)
            }
        }
    }
}

impl Request {
    /// Asks the relay to attach us on a stream that has shaken hands.
    async fn put(&self, mut attached: Attached) -> Result<Open, Trouble> {
        let server = attached.server.clone();
        let trouble = |cause| Trouble { domain: self.domain.clone(), server, cause };
        let Some(boot) = attached.relay.as_ref().map(|greeting| greeting.boot.clone()) else {
            return Err(trouble(Cause::NoRelay));
        };
        let handled = self.ledger.handled(&boot);
        match relayed::attach(&mut attached, &self.claim, &boot, &handled, self.patience).await {
            Ok(welcome) => Ok(Open { attached, relay: Some(welcome) }),
            Err(cause) => Err(trouble(cause)),
        }
    }
}

/// Comes with a relay that has shaken hands.
async fn relay_is_back(config: &StreamConfig, patience: Duration) -> Attached {
    loop {
        sleep(LOOK).await;
        if let Ok(attached) = connect::shake_hands_with_relay(config, patience).await {
            return attached;
        }
    }
}

/// Reads on until the server ends the stream, or until we are to end it.
async fn read_to_the_end(reading: &mut JoinHandle<Cause>, writer: &mut Writer<'_>, wish: &mut watch::Receiver<Wish>) {
    tokio::select! {
        _ = &mut *reading => {}
        wanted = any_of(wish, &[Wish::Leave, Wish::Cut]) => if let Ok(Wish::Leave) = wanted {
            let _ = writer.farewell().await;
            let _ = timeout(GOODBYE, reading).await;
        }
    }
}

/// Waits for one of these wishes; an error when nobody can wish any more.
async fn any_of(wish: &mut watch::Receiver<Wish>, these: &[Wish]) -> Result<Wish, watch::error::RecvError> {
    wish.wait_for(|wish| these.contains(wish)).await.map(|wish| *wish)
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
