//! Taking back what somebody else said (XEP-0425 v0.3, and as it was up to 0.2): a moderator asks, the room does it and
//! tells everyone, in both generations at once.

use std::sync::Arc;

use minidom::Element;

use super::super::archive::Purpose;
use super::super::privilege::{self, Actor};
use super::super::refusal::Refusal;
use super::super::retracted::{Moderation, retracted_xml};
use super::super::view::stanza_id;
use super::super::{Lookup, PageSearch, Room, Search, Turn};
use crate::ns;
use crate::record::{Message, MessageKind, Record, Retraction, Seq};
use crate::stanza::element::{Build, el};
use crate::stanza::{Audience, Inbound, Kind, Stanza, Type};

impl Room {
    /// Takes back what the message of that stanza-id said: at once if it is in memory, else when it is found.
    pub(in super::super) fn moderate(
        &mut self,
        ask: &Inbound,
        request: &Element,
        turn: &mut Turn<'_>,
    ) -> Result<(), Refusal> {
        let (id, moderate) = read(request)?;
        let reason = moderate.children().find(|child| child.name() == "reason").map(Element::text);
        let reason = reason.filter(|reason| !reason.is_empty());
        if reason.as_ref().is_some_and(|reason| reason.len() > self.rules.body_bytes_max) {
            return Err(Refusal::TextTooLong(self.rules.body_bytes_max));
        }
        privilege::must_moderate(&self.actor(&ask.stanza.from))?;
        if let Some(message) = self.history.find(|message| message.archive_id == id).cloned() {
            return self.take_back(ask, &message, reason.as_deref(), turn);
        }
        let search = PageSearch { ids: vec![id.to_owned()], max: 1, ..PageSearch::default() };
        let purpose = Purpose::Moderate { reason };
        turn.out.lookup = Some(Lookup { room: self.id, search: Search::Page(Box::new(search)), purpose });
        Ok(())
    }

    /// Takes back what `message` said, for the moderator who asked.
    pub(in super::super) fn take_back(
        &mut self,
        ask: &Inbound,
        message: &Message,
        reason: Option<&str>,
        turn: &mut Turn<'_>,
    ) -> Result<(), Refusal> {
        self.must_be_open_to(ask)?;
        let actor = self.actor(&ask.stanza.from);
        privilege::must_moderate(&actor)?;
        if message.kind != MessageKind::Speech || message.nick.is_none() {
            return Err(Refusal::NoSuchPage);
        }
        let author = message.sender.to_bare();
        if author != actor.bare && self.affiliation(&author) > actor.affiliation {
            return Err(Refusal::Outranked);
        }
        turn.answer(ask.result(None));
        if !message.is_retracted() {
            self.tell_moderation(&actor, message, reason, turn);
        }
        Ok(())
    }

    fn tell_moderation(&mut self, actor: &Actor, message: &Message, reason: Option<&str>, turn: &mut Turn<'_>) {
        let (by, moderator_id) = (self.address_of(actor.nick.as_ref()), self.occupant_id(&actor.bare));
        let moderation = Moderation { by: &by, occupant_id: &moderator_id, reason };
        let at = self.stamp(turn.now.utc);
        let (notice_id, archive_id) = (turn.id(), turn.id_of(at));
        let retraction = Retraction {
            archive_id: message.archive_id.clone(),
            author: message.sender.to_bare(),
            retracted_xml: retracted_xml(&notice_id, turn.now.utc, Some(&moderation)),
        };
        let notice = self.notice(&moderation, message, &notice_id).with(stanza_id(&archive_id, self.jid.as_str()));
        let record = Message {
            seq: Seq(self.last_seq.0.saturating_add(1)),
            archive_id,
            at,
            kind: MessageKind::Speech,
            sender: self.jid.as_jid().clone(),
            nick: None,
            origin_id: Some(notice_id),
            body: None,
            stanza_xml: notice.to_xml().into(),
            is_archived: self.config.is_archived,
        };
        for retraction in self.with_versions(retraction, Some(message), &message.archive_id) {
            self.commit(Record::Retracted(Arc::new(retraction)), turn);
        }
        self.commit(Record::Spoken(Arc::new(record)), turn);
        turn.say(notice, Audience::Many(self.roster.everyone()));
    }

    /// What everyone hears of it.
    fn notice(&self, moderation: &Moderation<'_>, message: &Message, id: &str) -> Stanza {
        let retract = moderation.told_in(el("retract", ns::RETRACT).with_attr("id", message.archive_id.as_str()));
        let older = el("apply-to", ns::FASTEN)
            .with_attr("id", message.archive_id.as_str())
            .with_child(moderation.older(el("retract", ns::RETRACT_0)));
        Stanza::new(Kind::Message, Type::Groupchat, self.jid.as_jid().clone())
            .with_id(Some(id.to_owned()))
            .with(retract)
            .with(older)
    }
}

/// The stanza-id of the message that is meant and what is to be done to it, in either generation.
fn read(request: &Element) -> Result<(&str, &Element), Refusal> {
    let (moderate, retracts) = if request.is("moderate", ns::MODERATE) {
        (Some(request), request.has_child("retract", ns::RETRACT))
    } else {
        let moderate = request.get_child("moderate", ns::MODERATE_0);
        (moderate, moderate.is_some_and(|moderate| moderate.has_child("retract", ns::RETRACT_0)))
    };
    let moderate = moderate.ok_or(Refusal::Unknown)?;
    if !retracts {
        return Err(Refusal::NotOffered("Moderators can retract messages, nothing else.".to_owned()));
    }
    let id = request.attr("id").filter(|id| !id.is_empty());
    Ok((id.ok_or(Refusal::Malformed("The request names no message."))?, moderate))
}
