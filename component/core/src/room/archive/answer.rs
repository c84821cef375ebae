//! What was found, told (XEP-0313 v0.8 §4.2-§4.3, §5): each message forwarded as everyone heard it, then the end of
//! the page. Real JIDs are told to those who may know them now, whatever the room was like when it was said.

use minidom::Element;

use super::super::refusal::Refusal;
use super::super::view::{Item, user_x};
use super::super::{Room, Turn};
use super::{Found, Lookup};
use crate::muc::Role;
use crate::ns;
use crate::record::Message;
use crate::stanza::element::{Build, el};
use crate::stanza::{Audience, Inbound, Kind, Stanza, Type};

/// What the room does with what is found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in super::super) enum Purpose {
    /// Tells it as a page of a query.
    Page {
        /// The asker's own name for the query.
        query_id: Option<String>,
        /// Whether the newest is told first.
        is_flipped: bool,
    },
    /// Tells id and time of the ends.
    Ends,
    /// Takes back what the message said, for a moderator.
    Moderate {
        /// Why, as the moderator says.
        reason: Option<String>,
    },
    /// Tells the room's vCard.
    Vcard,
}

impl Room {
    /// Goes on with a request once the archive was looked into. Who asked must still have the right to.
    pub(in super::super) fn take_found(
        &mut self,
        asked: &Inbound,
        lookup: &Lookup,
        found: &Found,
        turn: &mut Turn<'_>,
    ) -> Result<(), Refusal> {
        let (messages, is_complete) = match found {
            Found::Messages { messages, is_complete } if lookup.room == self.id => (messages, *is_complete),
            Found::Messages { .. } | Found::UnknownId => return Err(Refusal::NoSuchPage),
            Found::NothingNear => return Err(Refusal::NothingNear),
            Found::Vcard(card) if lookup.room == self.id => return self.tell_vcard(asked, card.as_deref(), turn),
            Found::Vcard(_) => return Err(Refusal::NoSuchRoom),
        };
        match &lookup.purpose {
            Purpose::Page { query_id, is_flipped } => {
                self.must_read(asked)?;
                let mut told: Vec<&Message> = messages.iter().collect();
                if *is_flipped {
                    told.reverse();
                }
                self.tell_messages(asked, &told, query_id.as_deref(), turn);
                turn.answer(asked.result(Some(end_of_page(messages, is_complete))));
            }
            Purpose::Ends => {
                self.must_read(asked)?;
                turn.answer(asked.result(Some(ends(messages))));
            }
            Purpose::Moderate { reason } => {
                let message = messages.first().ok_or(Refusal::NoSuchPage)?;
                self.take_back(asked, message, reason.as_deref(), turn)?;
            }
            // Was told above; messages are no vCard.
            Purpose::Vcard => return Err(Refusal::Unknown),
        }
        Ok(())
    }

    fn tell_messages(&self, asked: &Inbound, messages: &[&Message], query_id: Option<&str>, turn: &mut Turn<'_>) {
        let tells_jids = self.may_know_senders(asked);
        for message in messages {
            let Some(forwarded) = self.forwarded(message, tells_jids) else { continue };
            let result = el("result", ns::MAM)
                .with_attr_opt("queryid", query_id)
                .with_attr("id", message.archive_id.as_str())
                .with_child(forwarded);
            let stanza = Stanza::new(Kind::Message, Type::None, self.jid.as_jid().clone());
            let stanza = stanza.with_id(Some(turn.id())).with(result);
            turn.say(stanza, Audience::One(asked.stanza.from.clone()));
        }
    }

    fn forwarded(&self, message: &Message, tells_jids: bool) -> Option<Element> {
        let said = self.said(message)?;
        let mut element = el("message", ns::CLIENT)
            .with_attr("from", said.from.as_str())
            .with_attr_opt("id", said.id.as_deref())
            .with_attr_opt("type", said.type_.as_str());
        if let Some(lang) = said.lang {
            element = element.with_lang(lang);
        }
        // What came into the archive from elsewhere may say what only the room may say now.
        for child in said.payload.into_iter().filter(|child| !child.is("x", ns::MUC_USER)) {
            element.append_child(child);
        }
        if tells_jids && message.nick.is_some() {
            let bare = message.sender.to_bare();
            let role = self.roster.of_user(&bare).map(|occupant| occupant.role).max().unwrap_or(Role::None);
            let jid = Some(message.sender.as_str());
            let item = Item { affiliation: self.affiliation(&bare), role, jid, ..Item::default() };
            element.append_child(user_x([item.to_element(ns::MUC_USER)], &[]));
        }
        let delay = el("delay", ns::DELAY).with_attr("stamp", message.at.to_string());
        Some(el("forwarded", ns::FORWARD).with_child(delay).with_child(element))
    }
}

/// Where the page begins and ends, and whether that is all.
fn end_of_page(messages: &[Message], is_complete: bool) -> Element {
    let mut set = el("set", ns::RSM);
    if let (Some(first), Some(last)) = (messages.first(), messages.last()) {
        set = set.with_text_child("first", &first.archive_id).with_text_child("last", &last.archive_id);
    }
    el("fin", ns::MAM).with_attr_opt("complete", is_complete.then_some("true")).with_child(set)
}

fn ends(messages: &[Message]) -> Element {
    let mut metadata = el("metadata", ns::MAM);
    for (name, message) in [("start", messages.first()), ("end", messages.last())] {
        let Some(message) = message else { continue };
        let end = el(name, ns::MAM).with_attr("id", message.archive_id.as_str());
        metadata.append_child(end.with_attr("timestamp", message.at.to_string()));
    }
    metadata
}
