//! What the relay hears and what it wants done.

use super::Numbers;

/// One node's stream to the relay, for as long as it lasts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Link(pub u64);

/// What happens to a relay.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event<T> {
    /// A node shook hands.
    Opened(Link),
    /// A node's stream ended, or was closed as asked.
    Closed(Link),
    /// A node wants to hold the domain.
    Attach(Link, Attach),
    /// A node has handled these for good.
    Ack(Link, Numbers),
    /// A node said all words of this group.
    Said(Link, i64),
    /// A node gives up the domain and stays linked.
    Left(Link),
    /// The stream to the server is open.
    ServerUp,
    /// The stream to the server ended or could not be opened, and why.
    ServerDown(String),
    /// The server sent a stanza.
    Stanza {
        /// As it came.
        stanza: T,
        /// Its length.
        bytes: usize,
        /// Whether an error may answer it.
        is_answerable: bool,
    },
    /// The server gave a mark back.
    Mark {
        /// The epoch it was said in.
        epoch: u64,
        /// The highest group said in full before it.
        seq: i64,
        /// As it came.
        stanza: T,
    },
    /// The time of [`super::Relay::wake`] has come.
    Tick,
    /// The end is near: nothing more is forwarded, what was forwarded may still be acknowledged.
    Stopping,
    /// The end.
    Stopped,
}

/// What a node says of itself to hold the domain.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Attach {
    /// The epoch of its lease.
    pub epoch: u64,
    /// Its name.
    pub node: String,
    /// The identity of its database.
    pub database: String,
    /// Of which boot it has handled what.
    pub handled: Option<(String, Numbers)>,
    /// Whether the domain has other relays, so that stanzas find another way where this one is detached.
    pub has_others: bool,
}

/// What is to be done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Action<T> {
    /// Open the stream to the server; [`Event::ServerUp`] or [`Event::ServerDown`] answers.
    Reach,
    /// Close the stream to the server: nobody comes here, and what the server has finds another way. Nothing answers.
    Detach,
    /// Tell this node that it holds the domain; what [`super::Relay::forward`] gives comes behind it.
    Welcome(Link, Welcome),
    /// Tell this node why it does not; it stays linked.
    Refuse(Link, Refusal),
    /// Close this node's stream.
    Close(Link, Closing),
    /// Answer this stanza with `wait`/`remote-server-timeout`.
    Bounce(T),
    /// Nobody holds the domain any more: worth a line in the log.
    Holding {
        /// Who held it.
        node: String,
        /// In which epoch.
        epoch: u64,
        /// Stanzas kept for the next one.
        held: usize,
    },
}

/// What the new holder is told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Welcome {
    /// The node's name.
    pub node: String,
    /// The epoch it attached with.
    pub epoch: u64,
    /// The relay's boot.
    pub boot: String,
    /// The number of the first stanza that follows.
    pub next: u64,
    /// The highest group said in full by anyone.
    pub mark: Option<i64>,
    /// The epoch that was said in: of a time that the database forgot, it may be unknown to the database.
    pub said_in: Option<u64>,
    /// Stanzas that are replayed.
    pub held: usize,
    /// Stanzas bounced since the last holder was gone.
    pub bounced: u64,
    /// How long nobody held the domain, in milliseconds.
    pub waited_ms: u64,
    /// Whom it replaced: node and epoch.
    pub replaced: Option<(String, u64)>,
}

/// Why a node may not hold the domain.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// In one word.
    pub reason: Reason,
    /// The highest epoch seen.
    pub highest: u64,
    /// In a sentence.
    pub sentence: String,
}

/// Why a node may not hold the domain, by what it does next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason {
    /// Its epoch is over: it steps down, or takes a higher one.
    Epoch,
    /// Another database's node holds the domain: somebody has to look.
    Database,
    /// The server cannot be reached: it tries again.
    Server,
}

impl Reason {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::Epoch => "epoch",
            Reason::Database => "database",
            Reason::Server => "server",
        }
    }
}

/// Why a node's stream is closed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Closing {
    /// A node with a higher epoch attached, or the same one anew.
    Replaced {
        /// Its name.
        by: String,
        /// Its epoch.
        epoch: u64,
    },
    /// The stream to the server ended, and why.
    ServerGone(String),
    /// The relay ends.
    Stopping,
}
