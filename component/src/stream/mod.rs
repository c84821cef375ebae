//! The XMPP side, typed: stanzas in, stanzas out, over a component's stream (XEP-0114 v1.6).
//!
//! [`Stream::start`] keeps a stream open for as long as the process wants one: it connects, reads eagerly, speaks in
//! order, repeats after a reconnect what no mark proves to have been handed on, and says at any time how it stands.
//! Opening is tokio-xmpp's, reading is the own [`framer`]'s; nothing a stranger sends ends a stream.

mod board;
pub(crate) mod connect;
mod ear;
pub mod framer;
mod gate;
mod ledger;
mod line;
mod mark;
mod out;
pub(crate) mod padding;
mod pulse;
pub(crate) mod read;
mod reader;
mod relayed;
mod session;
pub(crate) mod socket;
mod standby;
mod trouble;
mod window;
mod writer;

use std::fmt;
use std::time::{Duration, Instant};

use secrecy::SecretString;
use tandem_muc_core::stanza::{Inbound, Outbound};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;
use tracing::debug;

pub use board::{Path, PathState};
pub use framer::Limits;
pub use gate::{Gate, Gatekeeper};
pub use ledger::Ticket;
pub use mark::Mark;
pub use read::{Heard, hear};
pub use relayed::{Claim, Welcome};
pub use standby::{Standby, Warm};
pub use trouble::{Cause, Trouble};

use ledger::Ledger;
use session::Session;
pub(crate) use session::leave;

/// What a stream needs to know.
#[derive(Debug, Clone)]
pub struct StreamConfig {
    /// The service domain, prepared.
    pub domain: String,
    /// Addresses of relays, `host:port`: all are attached, and spoken through is the first that is.
    pub relays: Vec<String>,
    /// Addresses of the server's component port, `host:port`, tried in order.
    pub servers: Vec<String>,
    /// The secret shared with the server.
    pub secret: SecretString,
    /// How large a stanza may be.
    pub limits: Limits,
}

/// How much may wait, and how long.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Stanzas read and not yet taken; beyond it reading waits. Default 1,024.
    pub inbound_max: usize,
    /// Groups of outbounds waiting to be written; beyond it [`StreamHandle::say`] waits. Default 1,024.
    pub said_max: usize,
    /// Outbounds beyond the last returned mark; beyond it writing waits. A fan-out counts as one. Default 500.
    pub window: usize,
    /// How long each step of connecting may take. Default 5 s.
    pub step_patience: Duration,
    /// How long a mark may take to come back before the server counts as silent. Default 10 s.
    pub mark_patience: Duration,
    /// How long the server behind a relay may owe a mark without a word while there is another relay to turn to. Default
    /// 3 s: shorter silences a loaded machine has, too.
    pub relay_patience: Duration,
    /// How often a relay that is only heard is asked for a sign of life. Default 2 s.
    pub beat: Duration,
    /// A mark is sent at least this often, as a sign of life. Default 15 s.
    pub keepalive: Duration,
    /// A relay, which gives a sign of life every second, is gone when nothing was heard of it for so long. Default 3 s.
    pub relay_silence: Duration,
    /// The pause after a first failure to attach; it doubles up to 15 s. Default 500 ms.
    pub pause_min: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            inbound_max: 1024,
            said_max: 1024,
            window: 500,
            step_patience: Duration::from_secs(5),
            mark_patience: Duration::from_secs(10),
            relay_patience: Duration::from_secs(3),
            beat: Duration::from_secs(2),
            keepalive: Duration::from_secs(15),
            relay_silence: standby::SILENCE,
            pause_min: Duration::from_millis(500),
        }
    }
}

/// In whose name a stream speaks: one stream, one reign.
#[derive(Debug)]
pub struct Reign {
    /// Epoch, node and database, for marks and for the relay.
    pub claim: Claim,
    /// Open while the lease is good.
    pub gate: Gate,
    /// What the store says of the relay's stanzas: those need not come again.
    pub handled: Option<String>,
    /// A stream that is ready.
    pub warm: Option<Warm>,
}

impl Reign {
    /// A reign without a lease that could end.
    pub fn of_epoch(epoch: u64) -> Reign {
        let claim = Claim { epoch, ..Claim::default() };
        Reign { claim, gate: Gate::always_open(), handled: None, warm: None }
    }
}

/// A stanza that came in.
#[derive(Debug, Clone)]
pub struct Received {
    /// The stanza.
    pub inbound: Inbound,
    /// To be given back when it is handled, if it came through a relay.
    pub ticket: Option<Ticket>,
}

impl std::borrow::Borrow<Inbound> for Received {
    fn borrow(&self) -> &Inbound {
        &self.inbound
    }
}

/// What its owners want of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    /// To be open.
    Stay,
    /// Everything said, then closed.
    Close,
    /// Nothing more said, read to its end.
    Retire,
    /// The same, and the end is ours to make.
    Leave,
    /// Gone, this moment.
    Cut,
}

/// What is said together, in this order.
#[derive(Debug, Default)]
struct Said {
    words: Vec<Outbound>,
    /// The sequence of the group these words belong to.
    seq: Option<i64>,
    /// Whether the group ends with them.
    is_last: bool,
    /// What is handled once they are written.
    tickets: Vec<Ticket>,
    /// Told when all of it, and all before it, is handed on.
    drained: Option<oneshot::Sender<()>>,
}

/// How the stream stands.
#[derive(Debug, Clone)]
pub enum StreamState {
    /// There is none; it is being opened, or the next attempt waits.
    Connecting {
        /// What ended the last one or the last attempt.
        last_trouble: Option<Trouble>,
    },
    /// Stanzas flow.
    Attached {
        /// The address of the server.
        server: String,
        /// Since when.
        since: Instant,
        /// What the relay said, if it is one.
        relay: Option<Welcome>,
    },
    /// A relay serves a higher epoch: this stream will not open again.
    Outdated {
        /// That epoch.
        highest: u64,
    },
    /// Closed by [`StreamHandle::close`]; it will not open again.
    Closed,
}

/// The condition of a stream error (RFC 6120 §4.9.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamCondition {
    /// The condition's name.
    pub name: String,
    /// The server's words, if it has any.
    pub text: Option<String>,
}

impl fmt::Display for StreamCondition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.text {
            Some(text) => write!(f, "{}: {text}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

impl fmt::Display for StreamState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connecting { last_trouble: None } => f.write_str("stream: connecting"),
            Self::Connecting { last_trouble: Some(trouble) } => trouble.fmt(f),
            Self::Attached { server, relay: None, .. } => write!(f, "stream: attached to {server}"),
            Self::Attached { server, relay: Some(_), .. } => write!(f, "stream: attached to the relay at {server}"),
            Self::Outdated { highest } => write!(f, "stream: the relay serves epoch {highest}"),
            Self::Closed => f.write_str("stream: closed"),
        }
    }
}

/// A stream that opens itself again.
#[derive(Debug)]
pub struct Stream;

impl Stream {
    /// Starts to attach and goes on for ever; must be called inside a runtime.
    ///
    /// `epoch` goes into the marks: one stream, one reign. Stanzas come out of the receiver in the server's order; once
    /// it is closed, those that still come in are told to wait, and speaking goes on until [`StreamHandle::close`].
    pub fn start(config: StreamConfig, epoch: u64) -> (StreamHandle, mpsc::Receiver<Received>) {
        Self::start_at(config, Pace::default(), epoch)
    }

    /// The same at another pace.
    pub fn start_at(config: StreamConfig, pace: Pace, epoch: u64) -> (StreamHandle, mpsc::Receiver<Received>) {
        Self::reign(config, pace, Reign::of_epoch(epoch))
    }

    /// The same for a reign with a lease, through a relay where there is one.
    pub fn reign(config: StreamConfig, pace: Pace, reign: Reign) -> (StreamHandle, mpsc::Receiver<Received>) {
        let (session, handle, inbound) = Session::new(config, pace, reign);
        tokio::spawn(session.run());
        (handle, inbound)
    }
}

/// Connects, shakes hands and closes again: whether a stream would open with this configuration.
/// Gives the address of the server that took us.
///
/// # Errors
/// The precise reason why it would not.
pub async fn probe(config: &StreamConfig) -> Result<String, Trouble> {
    let attached = connect::attach(config, Pace::default().step_patience).await?;
    leave(attached.socket).await;
    Ok(attached.server)
}

/// The same with the relay, which attaches nobody by this. Gives its address and its boot, by which two addresses of one
/// relay are found out.
///
/// # Errors
/// The precise reason why it would not.
pub async fn probe_relay(config: &StreamConfig) -> Result<(String, String), Trouble> {
    let attached = connect::shake_hands_with_relay(config, Pace::default().step_patience).await?;
    let boot = attached.relay.map(|relay| relay.boot).unwrap_or_default();
    session::leave(attached.socket).await;
    Ok((attached.server, boot))
}

/// What its owners hold of a stream; it closes when the last one is dropped.
#[derive(Debug, Clone)]
pub struct StreamHandle {
    said: mpsc::Sender<Said>,
    asides: mpsc::Sender<Said>,
    state: watch::Receiver<StreamState>,
    paths: watch::Receiver<Vec<Path>>,
    marked: watch::Receiver<Option<i64>>,
    wish: watch::Sender<Wish>,
    ledger: Ledger,
}

/// A close takes this long at most: what waits is written, the last mark is awaited 2 s, the server says goodbye.
const CLOSE_PATIENCE: Duration = Duration::from_secs(5);

impl StreamHandle {
    /// Says `words` after everything said before; waits while too much waits already.
    ///
    /// They belong to the group that the fence numbered `seq`. The group counts as said in full when words of a later
    /// one follow or [`StreamHandle::all_said`] says so. On a closed stream they are dropped.
    pub async fn say(&self, words: Vec<Outbound>, seq: i64) {
        self.queue(Said { words, seq: Some(seq), ..Said::default() }).await;
    }

    /// Nothing more will be said for `seq`: [`StreamHandle::marked`] may reach it.
    pub async fn all_said(&self, seq: i64) {
        self.all_said_for(seq, Vec::new()).await;
    }

    /// The same; and with it the stanzas of `tickets` are handled.
    pub async fn all_said_for(&self, seq: i64, tickets: Vec<Ticket>) {
        self.queue(Said { seq: Some(seq), is_last: true, tickets, ..Said::default() }).await;
    }

    /// Stanzas that led to no words of a group of their own are handled.
    pub async fn settle(&self, tickets: Vec<Ticket>) {
        if !tickets.is_empty() {
            self.queue(Said { tickets, ..Said::default() }).await;
        }
    }

    /// Waits until everything said before is handed on, or the connection it was said on is lost.
    pub async fn drained(&self) {
        let (told, drained) = oneshot::channel();
        self.queue(Said { drained: Some(told), ..Said::default() }).await;
        let _ = drained.await;
    }

    /// Says `word` and waits until it is handed on: true if that is proven on the connection that is open now, and with
    /// it that all is handed on that went this way before, whoever said it.
    pub async fn proves(&self, word: Outbound) -> bool {
        let since = |state: &StreamState| match state {
            StreamState::Attached { since, .. } => Some(*since),
            StreamState::Connecting { .. } | StreamState::Outdated { .. } | StreamState::Closed => None,
        };
        let before = since(&self.state.borrow());
        let (told, drained) = oneshot::channel();
        self.queue(Said { words: vec![word], drained: Some(told), ..Said::default() }).await;
        drained.await.is_ok() && before.is_some() && since(&self.state.borrow()) == before
    }

    /// Says `answer` past everything that waits: for refusals, which belong to no group. The stanza of `ticket` is
    /// handled with it.
    pub async fn refuse(&self, answer: Option<Outbound>, ticket: Option<Ticket>) {
        if self.asides.send(aside(answer, ticket)).await.is_err() {
            debug!("the stream is closed; a refusal is not sent");
        }
    }

    async fn queue(&self, said: Said) {
        if self.said.send(said).await.is_err() {
            debug!("the stream is closed; some words are not sent");
        }
    }

    /// What the store is to say of the relay's stanzas once the records of `tickets` are durable; nothing where there
    /// is no relay.
    pub fn handled_with(&self, tickets: &[Ticket]) -> Option<String> {
        self.ledger.text_with(tickets)
    }

    /// The records of `tickets` are durable.
    pub fn note_stored(&self, tickets: &[Ticket]) {
        self.ledger.store(tickets);
    }

    /// A relay is told of no group before `seq` that it is said in full: what a predecessor left unheard is not said
    /// again yet, and whoever comes next would take it for said.
    pub fn tell_said_from(&self, seq: i64) {
        self.ledger.tell_said_from(seq);
    }

    /// How the stream stands, and news of it.
    pub fn state(&self) -> watch::Receiver<StreamState> {
        self.state.clone()
    }

    /// How each relay stands, and news of it; none where there is no relay.
    pub fn paths(&self) -> watch::Receiver<Vec<Path>> {
        self.paths.clone()
    }

    /// The highest sequence whose words are all known to be handed on, `None` before the first.
    ///
    /// Where the server gives no marks back it is the highest that was written.
    pub fn marked(&self) -> Option<i64> {
        *self.marked.borrow()
    }

    /// News of [`StreamHandle::marked`].
    pub fn marks(&self) -> watch::Receiver<Option<i64>> {
        self.marked.clone()
    }

    /// Says what waits, sees it handed on (2 s at most), closes the stream. Without a connection it closes at once.
    pub async fn close(&self) {
        self.wish.send_replace(Wish::Close);
        self.closed().await;
    }

    /// Says nothing more, from this moment on, and is gone.
    pub fn cut(&self) {
        self.wish.send_replace(Wish::Cut);
    }

    /// Says nothing more and is read until the server ends it, as it does where a newcomer replaces.
    pub fn retire(&self) {
        self.wish.send_replace(Wish::Retire);
    }

    /// The same, but the server would not end it: we do.
    pub fn leave(&self) {
        self.wish.send_replace(Wish::Leave);
    }

    /// Waits until it is closed, for a while.
    pub async fn closed(&self) {
        let mut state = self.state.clone();
        // Either it is closed or its task is gone; both are the end.
        let _ = timeout(CLOSE_PATIENCE, state.wait_for(|state| matches!(state, StreamState::Closed))).await;
    }
}

fn aside(answer: Option<Outbound>, ticket: Option<Ticket>) -> Said {
    Said { words: answer.into_iter().collect(), tickets: ticket.into_iter().collect(), ..Said::default() }
}
