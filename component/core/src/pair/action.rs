//! What the engine wants done, and how it tells of a change.

use super::{Opening, Right, Standing, State, Verdict};

/// What is to be done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Action {
    /// Wait for the session lock.
    SeekLock,
    /// Let the session lock go, or stop waiting for it.
    DropLock,
    /// Ask for the lease.
    AskLease {
        /// By what right.
        right: Right,
        /// The new epoch exceeds this one.
        above: i64,
        /// Whose database sessions are ended first, so that an open transaction does not block the fence.
        ends_sessions_of: Option<String>,
    },
    /// Begin to serve: attach, repeat, replay, answer.
    Begin {
        /// In this epoch.
        epoch: i64,
        /// The epoch the domain was handed over in, if it was: what was passed on in it comes first.
        handed_in: Option<i64>,
    },
    /// Take nothing new, finish what was begun, see it handed on.
    Freeze,
    /// Go on: the move is called off.
    Thaw,
    /// Give the lease to the other node, in one transaction with mark and numbers.
    HandOver {
        /// Who gets it.
        to: String,
    },
    /// Read the stream to its end and pass on what was not handled.
    PassOn {
        /// In the epoch it was handed over in.
        epoch: i64,
    },
    /// Stop at once: nothing more is said.
    Cut,
    /// Stop in good order: what was begun is finished, the lease is given back.
    End,
    /// Look for occupants who are gone.
    Sweep,
    /// The standing changed: a row of history, a line in the log.
    Tell(Change),
    /// An order was carried out or not.
    Answer(Verdict),
    /// The node's duty for this domain is over.
    Finish,
}

/// One change of standing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    /// Before.
    pub from: State,
    /// After, with the reason.
    pub to: Standing,
    /// The epoch it happened in, as far as known.
    pub epoch: i64,
    /// What a takeover or move cost; none if this change ended none.
    pub opened: Option<Cost>,
    /// Who asked for it.
    pub operator: Option<String>,
}

/// What a takeover or a planned move cost.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cost {
    /// From the end of the former reign, as far as it can be seen from here, to the request for the lease.
    pub detect_ms: u64,
    /// From there to the first words.
    pub gap_ms: u64,
    /// What was found to do.
    pub opening: Opening,
}
