//! Speaking to everyone (XEP-0045 §7.4), with the ids of XEP-0359 and XEP-0421; recorded before reflected.

use std::sync::Arc;

use minidom::Element;

use super::super::refusal::Refusal;
use super::super::view::{honest, occupant_id, stanza_id};
use super::super::{Room, Turn};
use crate::muc::Role;
use crate::ns;
use crate::record::{Message, MessageKind, Record, Seq};
use crate::stanza::{Audience, Inbound, Kind, Stanza, Type};
use crate::time::Utc;

impl Room {
    /// Reflects the sender's message to everyone inside, itself too.
    pub(in super::super) fn speak(&mut self, ask: &Inbound, turn: &mut Turn<'_>) -> Result<(), Refusal> {
        let Some(speaker) = self.roster.of(&ask.stanza.from) else { return Err(Refusal::NotInside) };
        let subject = subject_of(&ask.stanza);
        let body = ask.stanza.child("body", ns::CLIENT).map(Element::text);
        let text = subject.as_ref().or(body.as_ref());
        match &subject {
            Some(_) => self.may_change_subject(speaker.role)?,
            None if speaker.role < Role::Participant => return Err(Refusal::NoVoice),
            None => {}
        }
        if text.is_some_and(|text| text.len() > self.rules.body_bytes_max) {
            return Err(Refusal::TextTooLong(self.rules.body_bytes_max));
        }
        let is_text = subject.is_none() && body.is_some();
        if is_text {
            self.must_be_unhurried(speaker, turn.now.utc)?;
        }
        let mut said = Stanza::new(Kind::Message, Type::Groupchat, speaker.jid.clone());
        said.id.clone_from(&ask.stanza.id);
        said.lang.clone_from(&ask.stanza.lang);
        said.payload.reserve_exact(ask.stanza.payload.len() + 2);
        said.payload.extend(honest(&ask.stanza, &self.jid).cloned());
        said.payload.push(occupant_id(&speaker.stable_id));
        let nick = speaker.nick.clone();
        let mut kept = None;
        if subject.is_some() || is_kept(&ask.stanza) {
            let at = self.stamp(turn.now.utc);
            let archive_id = turn.id_of(at);
            said.payload.push(stanza_id(&archive_id, self.jid.as_str()));
            let message = Message {
                seq: Seq(self.last_seq.0.saturating_add(1)),
                archive_id,
                at,
                kind: if subject.is_some() { MessageKind::Subject } else { MessageKind::Speech },
                sender: ask.stanza.from.clone(),
                nick: Some(nick),
                origin_id: origin_id(&ask.stanza),
                body: subject.or(body),
                stanza_xml: said.to_xml().into(),
                is_archived: self.config.is_archived && !ask.stanza.payload.iter().any(forbids_archive),
            };
            let retractions = self.own_retractions(&ask.stanza, &message, turn.now.utc);
            let message = Arc::new(message);
            self.commit(Record::Spoken(message.clone()), turn);
            kept = Some(message);
            for retraction in retractions {
                self.commit(Record::Retracted(Arc::new(retraction)), turn);
            }
        }
        if is_text {
            self.note_words(&ask.stanza.from.to_bare(), turn.now.utc);
        }
        if let Some(message) = kept {
            self.tell_those_away(&said, &message, turn);
        }
        turn.say(said, Audience::Many(self.roster.everyone()));
        Ok(())
    }

    /// When something said now was said: never before what was said earlier, for the archive is read by time and by
    /// place, and the clocks of two nodes differ.
    pub(in super::super) fn stamp(&self, now: Utc) -> Utc {
        let subject_at = self.subject.as_ref().map(|message| message.at);
        self.history.last_at().max(subject_at).map_or(now, |last| now.max(last))
    }
}

/// The subject that a message sets: it has one, and neither body nor thread (§8.1).
fn subject_of(stanza: &Stanza) -> Option<String> {
    let subject = stanza.child("subject", ns::CLIENT)?;
    let is_speech = stanza.child("body", ns::CLIENT).is_some() || stanza.child("thread", ns::CLIENT).is_some();
    (!is_speech).then(|| subject.text())
}

/// Whether a message is more than a passing sign: typing notifications are not kept, nor what its sender asks
/// not to store (XEP-0334).
fn is_kept(stanza: &Stanza) -> bool {
    let is_passing = |child: &Element| {
        let ns = child.ns();
        matches!(ns.as_str(), ns::CHATSTATES | ns::HINTS)
            || child.is("origin-id", ns::SID)
            || child.is("thread", ns::CLIENT)
    };
    !stanza.payload.iter().any(|child| child.is("no-store", ns::HINTS)) && !stanza.payload.iter().all(is_passing)
}

fn forbids_archive(child: &Element) -> bool {
    child.is("no-permanent-store", ns::HINTS)
}

fn origin_id(stanza: &Stanza) -> Option<String> {
    let origin = stanza.child("origin-id", ns::SID).and_then(|origin| origin.attr("id"));
    origin.map(str::to_owned).or_else(|| stanza.id.clone())
}
