//! Taking back one's own message (XEP-0424 v0.4): the request is a message like any other, reflected and archived;
//! beside that the room takes back what the message said, if it is the sender's.

use super::super::Room;
use super::super::retracted::retracted_xml;
use crate::ns;
use crate::record::{Message, Retraction};
use crate::stanza::Stanza;
use crate::time::Utc;

impl Room {
    /// What `said`, which becomes the message `request`, takes back of its sender's: a message and its versions. Whether
    /// a message out of memory is theirs is found out where it is changed.
    pub(in super::super) fn own_retractions(&self, said: &Stanza, request: &Message, at: Utc) -> Vec<Retraction> {
        let Some(wanted) = wanted(said) else { return Vec::new() };
        let author = request.sender.to_bare();
        let is_theirs = |message: &Message| message.sender.is_same_bare(author.as_jid());
        let known = self
            .history
            .find(|message| message.archive_id == wanted)
            // Clients that know of no room's ids name their own.
            .or_else(|| {
                self.history.find(|message| is_theirs(message) && message.origin_id.as_deref() == Some(wanted))
            });
        let archive_id = match known {
            Some(message) if !is_theirs(message) => return Vec::new(),
            Some(message) => message.archive_id.clone(),
            None => wanted.to_owned(),
        };
        let by_id = said.id.as_deref().unwrap_or(&request.archive_id);
        let retraction = Retraction { archive_id, author, retracted_xml: retracted_xml(by_id, at, None) };
        self.with_versions(retraction, known.map(|message| &**message), wanted)
    }
}

/// The id of the message that is to be taken back, in either generation.
fn wanted(said: &Stanza) -> Option<&str> {
    let current = said.child("retract", ns::RETRACT);
    let older = || said.child("apply-to", ns::FASTEN).filter(|apply| apply.has_child("retract", ns::RETRACT_0));
    current.or_else(older)?.attr("id").filter(|id| !id.is_empty())
}
