//! Repeating what was durable but may not have been heard when a node died: the same words, the same ids.

use std::sync::Arc;

use super::Room;
use crate::record::Message;
use crate::stanza::{Audience, Outbound};

impl Room {
    /// The message once more, to everyone inside, unchanged: whoever heard it knows it by its stanza-id (XEP-0359).
    /// Nothing if nobody is inside.
    pub fn repeat(&self, message: &Message) -> Option<Outbound> {
        let everyone: Arc<_> = self.roster.everyone();
        if everyone.is_empty() {
            return None;
        }
        Some(Outbound { stanza: self.said(message)?, to: Audience::Many(everyone) })
    }
}
