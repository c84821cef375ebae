//! What is asked of the database, and what it says.

use std::sync::Arc;

use tandem_muc_core::name::BareJid;
use tandem_muc_core::pair::{LeaseView, OrderKind, Right, Sighting, Standing};
use tandem_muc_core::record::{Message, Record, RoomImage};
use tandem_muc_core::stanza::Inbound;

use super::rows::{Handled, Passed};

/// Asked by a node: one statement or one transaction each.
#[derive(Clone, Debug)]
pub(crate) enum Ask {
    /// A beat: the node's own row is written, everything else read.
    Look {
        standing: Standing,
    },
    Renew {
        epoch: i64,
    },
    Acquire {
        right: Right,
        above: i64,
        ends: Option<usize>,
    },
    /// What a reign begins with: the rooms, and what may be unheard.
    Open {
        mark: i64,
    },
    Append(Box<Append>),
    HandOver {
        epoch: i64,
        mark: i64,
        inbound: Handled,
        passes_on: bool,
    },
    PassOn {
        epoch: i64,
        stanzas: Vec<Arc<Inbound>>,
    },
    PassedOn {
        epoch: i64,
    },
    Release {
        epoch: i64,
    },
    /// Waits as long as it takes.
    Lock,
    /// Lets go of the lock, or of the wait for it, that was asked for as this.
    Unlock {
        asked: u64,
    },
    EndOrder {
        id: String,
        kind: OrderKind,
        is_done: bool,
    },
    /// One automatic move more.
    Moved,
}

/// A group of facts behind the fence.
#[derive(Clone, Debug)]
pub(crate) struct Append {
    pub(crate) epoch: i64,
    pub(crate) after: i64,
    pub(crate) next: i64,
    pub(crate) facts: Vec<(BareJid, Record)>,
    pub(crate) mark: Option<i64>,
    pub(crate) inbound: Handled,
}

/// What comes back.
#[derive(Clone, Debug)]
pub(crate) enum Said {
    /// Nothing is known: no connection, or it ended.
    Failed(String),
    /// A look, and the last group written.
    Seen(Box<Sighting>, i64),
    Renewed(bool),
    /// With the epoch before, as this database knows it.
    Lease {
        epoch: i64,
        before: i64,
        seq: i64,
        mark: i64,
        inbound: Handled,
    },
    Held,
    Opened {
        rooms: Vec<(BareJid, RoomImage)>,
        tail: Vec<(i64, BareJid, Arc<Message>)>,
    },
    Appended,
    Fenced(i64),
    /// The new epoch, unless the lease was another's.
    HandedOver(Option<i64>),
    /// None is expected where there is no row.
    PassedOn(Option<Passed>),
    Locked(Option<LeaseView>),
    /// The lock, or the wait for it, ended with its connection.
    Unlocked,
    Done,
}
