//! What the journal asks of an entry: how much it has to write, whose it is, what to tell who asked.

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
