//! Who speaks: on one connection after the other, through a relay where there is one, else straight to the server.
//!
//! All relays of the domain are attached and heard ([`Ears`]); what is said goes through one of them, and through another
//! when that one is gone. Where none could be reached and one is back, the stream moves over to it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use rand::random_range;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use super::board::Board;
use super::connect;
use super::ear::{self, Ears};
use super::ledger::Ledger;
use super::line::{Line, Opener, Reading, better_of};
use super::standby::Warm;
use super::trouble::{Cause, Trouble};
use super::window::Window;
use super::writer::{Ends, Inlet, Writer};
use super::{Pace, Received, Reign, StreamConfig, StreamHandle, StreamState, Welcome, Wish};

/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(15);
/// A stream that lasted this long was no failure: the pauses start anew.
const LASTED: Duration = Duration::from_secs(10);
/// Refusals the readers may have waiting; a flood of bad stanzas beyond it goes unanswered.
const ASIDES_MAX: usize = 256;
/// The server's goodbye is awaited this long.
pub(super) const GOODBYE: Duration = Duration::from_millis(500);
/// Before words go another way: what the server still has of them, unread in its socket, comes first.
const SETTLE: Duration = Duration::from_millis(50);

/// The task behind a [`StreamHandle`].
pub(super) struct Session {
    opener: Opener,
    board: Board,
    warm: Option<Warm>,
    inlet: Inlet,
    state: watch::Sender<StreamState>,
    wish: watch::Receiver<Wish>,
    /// Dropped when the connection spoken on has ended, if a relay's ear lent it.
    lent: Option<oneshot::Sender<()>>,
}

/// How speaking on one connection ended.
enum End {
    /// As wanted.
    Closed,
    /// A relay is back.
    Moved,
    Broken(Trouble),
}

/// What stops the speaking on one connection.
enum Halt {
    /// The reader ended.
    Read(Cause),
    Wished(Wish),
    Spoken(Result<(), Cause>),
    /// A relay is back, and has attached us.
    Back,
    /// A relay serves a higher epoch.
    Outdated(u64),
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
        let ledger = Ledger::inherit(handled.as_deref(), config.relays.len());
        let board = Board::new(&config.relays);
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
            unproven: VecDeque::new(),
        };
        let handle = StreamHandle {
            said,
            asides: asides.clone(),
            state: state_out,
            paths: board.watch(),
            marked: marked_out,
            wish,
            ledger: ledger.clone(),
        };
        let replaced_at = watch::Sender::new(None);
        let opener = Opener { config: Arc::new(config), pace, claim, ledger, gate, inbound, asides, replaced_at };
        let session = Self { opener, board, warm, inlet, state, wish: wish_out, lent: None };
        (session, handle, inbound_out)
    }

    /// Keeps a stream open until it is to be closed.
    pub(super) async fn run(mut self) {
        let mut ears = Ears::start(&self.opener, self.board.clone(), self.warm.take());
        let last = self.speak(&mut ears).await;
        let wanted = *self.wish.borrow();
        match wanted {
            Wish::Stay | Wish::Close => ears.finish().await,
            Wish::Retire | Wish::Leave | Wish::Cut => ears.cut().await,
        }
        // Whoever is told of the end finds nothing more to read.
        drop(self.opener);
        self.state.send_replace(last);
    }

    /// On one connection after the other; gives the state it ends in.
    async fn speak(&mut self, ears: &mut Ears) -> StreamState {
        let mut wish = self.wish.clone();
        let mut seen = self.board.watch();
        let mut pause = self.opener.pace.pause_min;
        loop {
            let opened = tokio::select! {
                opened = self.open(ears) => opened,
                // A dropped handle closes as well.
                _ = wish.wait_for(|wish| *wish != Wish::Stay) => return StreamState::Closed,
            };
            let trouble = match opened {
                Ok(line) => {
                    let since = line.since;
                    match self.hold(line, ears).await {
                        End::Closed => return StreamState::Closed,
                        End::Moved => continue,
                        End::Broken(trouble) => {
                            if since.elapsed() >= LASTED {
                                pause = self.opener.pace.pause_min;
                            }
                            trouble
                        }
                    }
                }
                Err(trouble) => trouble,
            };
            if let Cause::Outdated(highest) = trouble.cause {
                warn!("{trouble}");
                return StreamState::Outdated { highest };
            }
            if self.board.first_heard().is_some() {
                warn!("{trouble}; going on through another relay");
                sleep(SETTLE).await;
                continue;
            }
            let wait = if trouble.cause.is_lasting() { PAUSE_MAX } else { jittered(pause) };
            warn!(again_in_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX), "{trouble}");
            self.state.send_replace(StreamState::Connecting { last_trouble: Some(trouble) });
            pause = PAUSE_MAX.min(pause * 2);
            tokio::select! {
                () = sleep(wait) => ears.try_again(),
                () = ear::heard(&mut seen) => {}
                _ = wish.wait_for(|wish| *wish != Wish::Stay) => return StreamState::Closed,
            }
        }
    }

    /// Through a relay, else to the server.
    async fn open(&mut self, ears: &mut Ears) -> Result<Line, Trouble> {
        self.opener.may_open().await;
        if let Some(line) = ears.first().await {
            return Ok(line);
        }
        let refusal = self.board.worst();
        if let Some(trouble) = &refusal {
            // Past a relay that knows better, or another pair's, nobody attaches.
            let knows_better = matches!(trouble.cause, Cause::Outdated(_) | Cause::OtherDatabase);
            if knows_better || self.opener.config.servers.is_empty() {
                return Err(trouble.clone());
            }
        }
        match connect::attach(&self.opener.config, self.opener.pace.step_patience).await {
            Ok(attached) => Ok(self.opener.line(attached, None)),
            Err(trouble) => Err(refusal.unwrap_or(trouble)),
        }
    }

    /// Reads and speaks on one connection until it ends.
    async fn hold(&mut self, mut line: Line, ears: &Ears) -> End {
        let Line { server, since, relay, .. } = &line;
        let (server, since, domain) = (server.clone(), since.into_std(), self.opener.config.domain.as_str());
        match relay {
            Some((Welcome { held, bounced, .. }, _)) => {
                info!(domain, server, held, bounced, "the stream is open, through the relay");
            }
            None => info!(domain, server, "the stream is open"),
        }
        let relay = relay.map(|(welcome, _)| self.board.with_all(welcome));
        self.state.send_replace(StreamState::Attached { server: server.clone(), since, relay });
        self.lent = line.lent.take();
        match self.converse(line).await {
            Ok(end) => end,
            Err(cause) => {
                self.opener.note_end(&cause);
                let trouble = self.opener.trouble(&server, cause);
                ears.lost(&trouble);
                self.lent = None;
                End::Broken(trouble)
            }
        }
    }

    async fn converse(&mut self, line: Line) -> Result<End, Cause> {
        let Line { relay, socket, mut reading, marks, pulse, .. } = line;
        let boot = relay.map(|(_, boot)| boot);
        let (mut seen, mut outdated) = (self.board.watch(), self.board.watch());
        let Opener { config, pace, claim, .. } = &self.opener;
        let (domain, wish) = (config.domain.as_str(), &mut self.wish);
        let ends = Ends { domain, pace: *pace, epoch: claim.epoch, boot, pulse: &pulse };
        let mut writer = Writer::new(ends, socket, &mut self.inlet, marks, self.board.watch());
        let halt = tokio::select! {
            biased;
            cause = reading.ended() => Halt::Read(cause),
            // A dropped handle says what it was given; the writer sees to that.
            Ok(wanted) = any_of(wish, &[Wish::Retire, Wish::Leave, Wish::Cut]) => Halt::Wished(wanted),
            highest = ear::overtaken(&mut outdated) => Halt::Outdated(highest),
            spoken = writer.run() => Halt::Spoken(spoken),
            () = ear::heard(&mut seen), if boot.is_none() => Halt::Back,
        };
        match halt {
            // The server let a relay take our place: that relay is about to attach us.
            Halt::Read(Cause::Conflict) if boot.is_none() && !config.relays.is_empty() => tokio::select! {
                () = ear::heard(&mut seen) => Ok(End::Moved),
                highest = ear::overtaken(&mut outdated) => Err(Cause::Outdated(highest)),
                () = sleep(GOODBYE) => Err(Cause::Conflict),
            },
            Halt::Read(cause) => Err(cause),
            Halt::Outdated(highest) => Err(Cause::Outdated(highest)),
            Halt::Wished(wanted) => {
                if wanted != Wish::Cut {
                    read_to_the_end(&mut reading, &mut writer, wish).await;
                }
                Ok(End::Closed)
            }
            Halt::Spoken(Ok(())) => {
                let _ = timeout(GOODBYE, reading.ended()).await;
                Ok(End::Closed)
            }
            Halt::Spoken(Err(cause)) => Err(better_of(cause, &mut reading, GOODBYE).await),
            Halt::Back => {
                info!(domain, "a relay is back; moving over to it");
                let _ = writer.farewell().await;
                let _ = timeout(GOODBYE, reading.ended()).await;
                Ok(End::Moved)
            }
        }
    }
}

/// Reads on until the server ends the stream, or until we are to end it.
async fn read_to_the_end(reading: &mut Reading, writer: &mut Writer<'_>, wish: &mut watch::Receiver<Wish>) {
    tokio::select! {
        _ = reading.ended() => {}
        wanted = any_of(wish, &[Wish::Leave, Wish::Cut]) => if let Ok(Wish::Leave) = wanted {
            let _ = writer.farewell().await;
            let _ = timeout(GOODBYE, reading.ended()).await;
        }
    }
}

/// Waits for one of these wishes; an error when nobody can wish any more.
async fn any_of(wish: &mut watch::Receiver<Wish>, these: &[Wish]) -> Result<Wish, watch::error::RecvError> {
    wish.wait_for(|wish| these.contains(wish)).await.map(|wish| *wish)
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
