//! What the engine hears: looks at the database, answers to what it asked for, news of the stream.

use super::{LeaseView, Order, Standing};

/// What the twin says of itself, as the database has it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TwinView {
    /// How long ago it last wrote, by the database's clock.
    pub silent_ms: u64,
    /// Why it could not serve the domain; nothing if it could.
    pub unfit: Option<String>,
    /// How it stands, in its own words.
    pub standing: Option<Standing>,
}

/// One look at the database and around.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Sighting {
    /// The lease; none if nobody ever had it.
    pub lease: Option<LeaseView>,
    /// The twin; none if it was never there.
    pub twin: Option<TwinView>,
    /// Why this node could not serve; nothing if it could.
    pub unfit: Option<String>,
    /// Whether an operator forbade automatic moves.
    pub is_paused: bool,
    /// Whether an operator sent this node into idleness.
    pub is_idle: bool,
    /// Automatic moves lately, of both nodes, since an operator last said recover.
    pub moves_lately: u32,
    /// Orders nobody has taken, oldest first.
    pub orders: Vec<Order>,
}

/// How the stream is attached.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Level {
    /// L0: a bare server that takes any number of components.
    Bare,
    /// L1: a bare server that lets the newcomer replace.
    Replacing,
    /// L2: the relay.
    Relay,
}

/// What a reign found to do at its beginning.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Opening {
    /// Messages said again.
    pub repeated: u64,
    /// Stanzas that had waited and were handled.
    pub replayed: u64,
    /// Stanzas that had waited too long and were answered with an error.
    pub bounced: u64,
}

/// What happens.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// Time passes.
    Tick,
    /// A look at the database.
    Saw(Sighting),
    /// The look failed.
    Blind(String),
    /// The session lock is ours: the session that had it is gone. The lease as it is now comes along.
    LockHad(Option<LeaseView>),
    /// The session lock, or the wait for it, ended with its connection.
    LockGone,
    /// The lease is ours in this epoch.
    LeaseHad(i64),
    /// The lease is another's.
    LeaseHeld,
    /// The database did not say; nothing is known.
    LeaseUnanswered(String),
    /// The lease was prolonged.
    Renewed,
    /// It was not: it is another's now.
    LeaseLost,
    /// Nothing was heard of the renewal in time: words have stopped by this node's own clock.
    LeaseOverdue(String),
    /// The fence belongs to that epoch.
    Fenced(i64),
    /// The stream is open.
    Attached(Level),
    /// It is not.
    Detached(String),
    /// The relay, or the server, knows a higher epoch than ours.
    Outdated(i64),
    /// The reign speaks: what was unheard is said, what waited is handled.
    Opened(Opening),
    /// Trouble with commits, or the end of it.
    Commits(Option<String>),
    /// A frozen reign has said everything, and all of it was handed on.
    Frozen,
    /// That did not come about.
    NotFrozen(String),
    /// The lease is the other's, in this epoch.
    HandedOver(i64),
    /// The lease could not be handed over, and is ours still.
    NotHandedOver(String),
    /// What was read and not handled is with the other node.
    PassedOn,
    /// The reign ended in good order, as asked.
    Ended,
    /// An operator says so to this very node.
    Stop,
}
