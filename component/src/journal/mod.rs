//! The journal: facts first, then words.
//!
//! Shards hand in [`Entry`]s: what has happened, and the words that wait for it. One task per service domain
//! gathers what waits, appends it to the store behind the fence in one commit, and only then releases the words,
//! in the order they were handed in. Nobody else has the stream's end: forgetting to wait does not compile.

mod echo;
mod entry;
mod pulse;
mod task;

use std::sync::Arc;
use std::time::Duration;

use tandem_muc_core::name::BareJid;
use tandem_muc_core::record::{Record, RoomId};
use tandem_muc_core::stanza::{Condition, Inbound, Outbound, StanzaError};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use crate::store::{Epoch, SqlStore};
use crate::stream::{StreamHandle, Ticket};

pub use pulse::Pulse;

/// What a shard hands in.
#[derive(Debug)]
pub enum Entry {
    /// Something happened, or was only said.
    Said {
        /// The life of the room it comes from.
        life: Life,
        /// Durable before …
        records: Vec<Record>,
        /// … these are spoken.
        words: Vec<Outbound>,
        /// What it answers: told `internal-server-error` should its records prove unwritable.
        asked: Option<Arc<Inbound>>,
        /// To be given back once all of it is durable and said.
        ticket: Option<Ticket>,
    },
    /// Tell the shard when everything before this is durable.
    Settle {
        /// The room it asks for.
        life: Life,
        /// What the shard wants to hear again: its count of what the room has done.
        turn: u64,
    },
    /// Words of the service itself, in their turn.
    Lobby {
        /// The answer, if there is one.
        word: Option<Outbound>,
        /// To be given back once it is said.
        ticket: Option<Ticket>,
    },
    /// All that a predecessor may have left unheard has been handed in: marks mean something from here on.
    Repeated,
    /// Tell once everything before this is durable and said: the last group with something to hear.
    Flush(oneshot::Sender<Flushed>),
}

/// Where the journal stands after a flush.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Flushed {
    /// The last group with something to hear.
    pub spoken: i64,
    /// Whether marks mean something: false while what a predecessor left unheard is not said again.
    pub has_marks: bool,
}

/// One stay of a room in memory, from load to unload.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Life {
    /// The room's key in the store.
    pub room: RoomId,
    /// Its JID.
    pub jid: BareJid,
    /// Unlike that of any other stay of this process.
    pub nth: u64,
    /// Which shard it lives in.
    pub shard: usize,
}

/// What the journal tells a shard.
#[derive(Debug)]
pub enum Notice {
    /// Everything a room did up to `turn` is durable.
    Settled {
        /// Which life.
        life: Life,
        /// As handed in.
        turn: u64,
    },
    /// Records of this life cannot be written: forget it, the store has the truth.
    Damaged {
        /// Which life.
        life: Life,
    },
}

/// How the journal fares.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Health {
    /// Commits go through.
    Fine,
    /// The store does not answer just now; words are held, and so is what comes in.
    Late,
    /// The store has not answered for a while; words are held, and who sends something new is told to wait.
    Away,
    /// Another node holds the lease: nothing is written or spoken any more.
    Over {
        /// In which epoch.
        by: Epoch,
    },
}

/// What a journal works with.
#[derive(Debug)]
pub struct Setup {
    /// The service domain.
    pub domain: String,
    /// Where records become durable.
    pub store: SqlStore,
    /// Where words go.
    pub stream: StreamHandle,
    /// The epoch this node may write in.
    pub epoch: Epoch,
    /// The number of the last group appended before.
    pub seq: i64,
    /// The last group known to be handed on by then.
    pub mark: i64,
    /// Whether something after that mark is to be said again: until [`Entry::Repeated`] no later mark is stored.
    pub has_tail: bool,
    /// The most records in one commit.
    pub group_max: usize,
    /// The most entries that wait.
    pub queue_max: usize,
    /// How long a group may wait for the store before new stanzas are told to wait.
    pub held: Duration,
    /// The shards' ends, by number.
    pub notices: Vec<mpsc::UnboundedSender<Notice>>,
}

/// The way in.
#[derive(Clone, Debug)]
pub struct Journal {
    entries: mpsc::Sender<Entry>,
    health: watch::Receiver<Health>,
    pulse: Pulse,
    queue_max: usize,
}

impl Journal {
    /// Starts the journal's task, which ends when every `Journal` is gone and all is durable and spoken, when it is
    /// fenced, or when `stop` turns true while the store is away.
    pub fn start(setup: Setup, stop: watch::Receiver<bool>) -> (Journal, JoinHandle<()>) {
        let (entries, queue) = mpsc::channel(setup.queue_max);
        let (told, health) = watch::channel(Health::Fine);
        let (queue_max, pulse) = (setup.queue_max, Pulse::start());
        let running = tokio::spawn(task::Task::new(setup, queue, told, pulse.clone(), stop).run());
        (Journal { entries, health, pulse, queue_max }, running)
    }

    /// Hands in `entry`, waiting for room in the queue. An entry handed in after the journal ended is dropped:
    /// this node no longer speaks.
    pub async fn submit(&self, entry: Entry) {
        let _ = self.entries.send(entry).await;
    }

    /// Waits until everything handed in before is durable and given to the stream; nothing if the journal ended first.
    pub async fn flush(&self) -> Option<Flushed> {
        let (told, flushed) = oneshot::channel();
        self.submit(Entry::Flush(told)).await;
        flushed.await.ok()
    }

    /// How it fares now.
    pub fn health(&self) -> Health {
        *self.health.borrow()
    }

    /// How it fares, to be watched.
    pub fn watch(&self) -> watch::Receiver<Health> {
        self.health.clone()
    }

    /// Whether its loop still turns.
    pub fn pulse(&self) -> Pulse {
        self.pulse.clone()
    }

    /// Entries that wait.
    pub fn held(&self) -> usize {
        self.queue_max - self.entries.capacity()
    }
}

/// What is answered while the store does not (RFC 6120 §8.3.3.18): nothing was done, trying again is right.
pub fn please_wait() -> StanzaError {
    let sentence = "The rooms' database does not answer; please try again in a moment.";
    StanzaError::new(Condition::ResourceConstraint, sentence)
}
