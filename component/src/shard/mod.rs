//! A shard: one task, many rooms. It owns the rooms whose names hash to it, loads them when first touched,
//! runs their engines one stanza at a time, hands what they answer to the journal, and lets idle ones go.

mod archives;
mod clock;
mod listeners;
mod slot;
mod task;

use std::sync::Arc;
use std::time::Duration;

use tandem_muc_core::name::BareJid;
use tandem_muc_core::record::Seq;
use tandem_muc_core::room::ServiceRules;
use tandem_muc_core::stanza::Inbound;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::journal::{Journal, Notice};
use crate::store::{SqlStore, Unheard};
use crate::stream::Ticket;

pub use archives::Archives;
pub use listeners::{Listeners, Listening};

/// What a shard works with.
#[derive(Debug)]
pub struct Setup {
    /// Its number.
    pub nth: usize,
    /// The service domain.
    pub domain: String,
    /// What its rooms obey.
    pub rules: Arc<ServiceRules>,
    /// Where rooms are loaded from.
    pub store: SqlStore,
    /// Where rooms look things up that are long said.
    pub archives: Archives,
    /// Who is told of activity in rooms without being inside.
    pub listeners: Listeners,
    /// Where outcomes go.
    pub journal: Journal,
    /// The most stanzas that wait in its mailbox, and as many for rooms to load.
    pub mailbox_max: usize,
    /// How long a room without occupants stays in memory.
    pub idle: Duration,
}

/// Told once for each [`Mail::Repeat`] when its words are in the journal's queue.
pub type Repeated = mpsc::UnboundedSender<()>;

/// What a shard hears from the service.
#[derive(Debug)]
pub enum Mail {
    /// A stanza for one of its rooms.
    Stanza(Arc<Inbound>, Option<Ticket>),
    /// What may not have been heard of one of its rooms, oldest first.
    Repeat(BareJid, Arc<[Unheard]>, Repeated),
    /// Messages of one of its rooms up to this place may have been kept long enough.
    Expire(BareJid, Seq),
    /// Finish what was begun, say so, and stand still until thawed; for ever if nobody can thaw any more.
    Freeze(mpsc::UnboundedSender<()>, watch::Receiver<bool>),
    /// New rules: rooms obey them from the next stanza on.
    Rules(Arc<ServiceRules>),
}

/// The way in.
#[derive(Clone, Debug)]
pub struct Shard {
    mail: mpsc::Sender<Mail>,
}

impl Shard {
    /// Starts a shard; it ends when every `Shard` of it is gone and its mailbox is empty.
    pub fn start(setup: Setup, notices: mpsc::UnboundedReceiver<Notice>) -> (Shard, JoinHandle<()>) {
        let (mail, mailbox) = mpsc::channel(setup.mailbox_max);
        let running = tokio::spawn(task::Task::new(setup, mailbox, notices).run());
        (Shard { mail }, running)
    }

    /// Hands in `mail`, waiting for room in the mailbox.
    pub async fn send(&self, mail: Mail) {
        let _ = self.mail.send(mail).await;
    }

    /// Hands in `mail` if there is room in the mailbox; says whether there was.
    pub fn try_send(&self, mail: Mail) -> bool {
        self.mail.try_send(mail).is_ok()
    }
}
