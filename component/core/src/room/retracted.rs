//! What stands in the place of a message that was taken back (XEP-0424 v0.4 §4, XEP-0425 v0.3 §4), in history and
//! archive: who said it and when, not what. It is made of the row, so that taking back is one change of one row.

use std::sync::Arc;

use minidom::Element;

use super::Room;
use super::roster::{children_of, children_xml};
use super::view::{occupant_id, stanza_id};
use crate::name::Nick;
use crate::ns;
use crate::record::Message;
use crate::stanza::element::{Build, el};
use crate::stanza::{Kind, Stanza, Type};
use crate::time::Utc;

/// By which moderator, and why.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moderation<'a> {
    /// The occupant JID; the room's own if the moderator is not inside.
    pub(super) by: &'a str,
    pub(super) occupant_id: &'a str,
    pub(super) reason: Option<&'a str>,
}

impl Room {
    /// The stanza of a message that was taken back.
    pub(super) fn retracted(&self, message: &Message) -> Option<Stanza> {
        let from = self.occupant_jid(message.nick.as_ref()?);
        let mut stanza = Stanza::new(Kind::Message, Type::Groupchat, from).with_id(message.origin_id.clone());
        stanza.payload.extend(children_of(&message.stanza_xml).iter().cloned());
        stanza.payload.push(occupant_id(&self.occupant_id(&message.sender.to_bare())));
        stanza.payload.push(stanza_id(&message.archive_id, self.jid.as_str()));
        Some(stanza)
    }

    /// The address of whom `nick` names, the room's own where it names nobody.
    pub(super) fn address_of(&self, nick: Option<&Nick>) -> String {
        nick.map_or_else(|| self.jid.to_string(), |nick| self.occupant_jid(nick).to_string())
    }
}

/// What is kept in place of what was said, by the message of the id `by_id`.
pub(super) fn retracted_xml(by_id: &str, at: Utc, moderation: Option<&Moderation<'_>>) -> Arc<str> {
    let mut retracted = el("retracted", ns::RETRACT).with_attr("id", by_id).with_attr("stamp", at.to_string());
    let mut older = None;
    if let Some(moderation) = moderation {
        retracted = moderation.told_in(retracted);
        let stamped = el("retracted", ns::RETRACT_0).with_attr("stamp", at.to_string());
        older = Some(moderation.older(stamped));
    }
    children_xml(std::iter::once(&retracted).chain(&older))
}

impl Moderation<'_> {
    /// The element with who moderated and why.
    pub(super) fn told_in(&self, element: Element) -> Element {
        let moderated =
            el("moderated", ns::MODERATE).with_attr("by", self.by).with_child(occupant_id(self.occupant_id));
        let element = element.with_child(moderated);
        match self.reason {
            Some(reason) => element.with_text_child("reason", reason),
            None => element,
        }
    }

    /// The same as XEP-0425 had it up to 0.2, around what was done.
    pub(super) fn older(&self, done: Element) -> Element {
        let moderated = el("moderated", ns::MODERATE_0)
            .with_attr("by", self.by)
            .with_child(occupant_id(self.occupant_id))
            .with_child(done);
        match self.reason {
            Some(reason) => moderated.with_text_child("reason", reason),
            None => moderated,
        }
    }
}
