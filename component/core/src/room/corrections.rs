//! Versions of a message (XEP-0308): taking one back takes back all that its author said of it and the room remembers,
//! for what a message became says as much as what it was. Corrections themselves are messages like any other.

use std::sync::Arc;

use super::Room;
use super::history::as_said;
use crate::ns;
use crate::record::{Message, MessageKind, Retraction};

impl Room {
    /// The retraction of one message with those of its other versions; `one` is that message where it is at hand,
    /// `named` the id it was named by.
    pub(super) fn with_versions(&self, of_one: Retraction, one: Option<&Message>, named: &str) -> Vec<Retraction> {
        let original = one.and_then(corrected);
        let ids = match (&original, one) {
            (Some(id), _) => vec![id.clone()],
            (None, Some(one)) => own_ids(one),
            (None, None) => vec![named.to_owned()],
        };
        let is_another_of_theirs = |message: &Arc<Message>| {
            message.kind == MessageKind::Speech
                && message.sender.is_same_bare(of_one.author.as_jid())
                && message.archive_id != of_one.archive_id
                && !message.is_retracted()
        };
        let theirs: Vec<Arc<Message>> = self.history.messages().into_iter().filter(is_another_of_theirs).collect();
        // An id that was used more than once means the last message before its correction.
        let is_before = |message: &Message| one.is_some_and(|one| message.seq < one.seq);
        let is_original = |message: &Message| original.as_ref().is_some_and(|id| own_ids(message).contains(id));
        let first = theirs.iter().rev().find(|message| is_before(message) && is_original(message));
        let is_later = |message: &Message| corrected(message).is_some_and(|id| ids.contains(&id));
        let later = theirs.iter().filter(|message| is_later(message));
        let others: Vec<Retraction> = first
            .into_iter()
            .chain(later)
            .map(|message| Retraction { archive_id: message.archive_id.clone(), ..of_one.clone() })
            .collect();
        std::iter::once(of_one).chain(others).collect()
    }
}

/// The id of the message that this one corrects.
fn corrected(message: &Message) -> Option<String> {
    if !message.stanza_xml.contains(ns::CORRECT) {
        return None;
    }
    as_said(message)?.child("replace", ns::CORRECT)?.attr("id").map(str::to_owned)
}

/// The ids its sender gave it.
fn own_ids(message: &Message) -> Vec<String> {
    message.origin_id.clone().into_iter().chain(as_said(message).and_then(|said| said.id)).collect()
}
