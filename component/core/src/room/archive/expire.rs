//! What was kept for as long as the room or its operator wants leaves the archive, some messages at a time.

use super::super::{Room, Turn};
use crate::record::{Record, Seq};

impl Room {
    /// Lets go of messages up to that place that are older than the room keeps them by now.
    pub(in super::super) fn expire(&mut self, upto: Seq, turn: &mut Turn<'_>) {
        let is_over = self.is_vacant() || self.tombstone.is_some();
        let Some(before) = self.rules.archived_from(&self.config, turn.now.utc).filter(|_| !is_over) else { return };
        self.commit(Record::Expired { upto, before }, turn);
    }
}
