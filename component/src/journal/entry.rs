//! What the journal asks of an entry: how much it has to write, whose it is, what to tell who asked.

use tandem_muc_core::record::Record;
use tandem_muc_core::stanza::{Condition, Outbound, StanzaError};

use super::{Entry, Life};
use crate::store::Fact;
use crate::stream::Ticket;

impl Entry {
    pub(super) fn records(&self) -> usize {
        match self {
            Entry::Said { records, .. } => records.len(),
            Entry::Settle { .. } | Entry::Lobby { .. } | Entry::Repeated | Entry::Flush(_) => 0,
        }
    }

    pub(super) fn life(&self) -> Option<&Life> {
        match self {
            Entry::Said { life, .. } | Entry::Settle { life, .. } => Some(life),
            Entry::Lobby { .. } | Entry::Repeated | Entry::Flush(_) => None,
        }
    }

    /// What a relay may forget once this is done.
    pub(super) fn ticket(&self) -> Option<Ticket> {
        match self {
            Entry::Said { ticket, .. } | Entry::Lobby { ticket, .. } => *ticket,
            Entry::Settle { .. } | Entry::Repeated | Entry::Flush(_) => None,
        }
    }

    /// What is handled once its records are durable, whether or not its words were heard: of messages, for those a
    /// successor repeats from the archive. Anything else a relay brings to the successor again - entering is a resync
    /// then, a presence is told once more - for nobody else could repeat what was to be heard of it.
    pub(super) fn stored_ticket(&self) -> Option<Ticket> {
        let Entry::Said { records, ticket, .. } = self else { return None };
        let is_spoken = |record: &Record| matches!(record, Record::Spoken(message) if message.is_archived);
        // Nobody hears of a retraction but by the message that asked for it.
        let is_repeated = |record: &Record| is_spoken(record) || matches!(record, Record::Retracted(_));
        ticket.filter(|_| !records.is_empty() && records.iter().all(is_repeated))
    }

    /// The answer to who asked, where its records prove unwritable.
    pub(super) fn apology(&self) -> Option<Outbound> {
        let Entry::Said { asked: Some(asked), .. } = self else { return None };
        asked.error(&StanzaError::new(
            Condition::InternalServerError,
            "The room could not store this; its operator has been told.",
        ))
    }

    pub(super) fn take_facts(&mut self) -> Vec<Fact> {
        match self {
            Entry::Said { life, records, .. } => std::mem::take(records)
                .into_iter()
                .map(|record| Fact { room: life.room, jid: life.jid.clone(), record })
                .collect(),
            Entry::Settle { .. } | Entry::Lobby { .. } | Entry::Repeated | Entry::Flush(_) => Vec::new(),
        }
    }
}
