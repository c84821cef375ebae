//! A room's end (XEP-0045 §10.9): everyone is shown out and where to go instead; the JID stays reserved for a
//! time. A locked room that its creator gives up (§10.1.3) leaves nothing behind.

use std::sync::Arc;

use minidom::Element;

use super::super::refusal::Refusal;
use super::super::view::{Face, News};
use super::super::{Room, Turn};
use crate::muc::{Affiliation, Status};
use crate::name::BareJid;
use crate::ns;
use crate::record::{Leaving, Record, Tombstone};
use crate::stanza::element::{Build, el};
use crate::stanza::{Inbound, Type};

impl Room {
    pub(super) fn destroy(&mut self, ask: &Inbound, asked: &Element, turn: &mut Turn<'_>) -> Result<(), Refusal> {
        let alternate = match asked.attr("jid").filter(|jid| !jid.is_empty()) {
            Some(jid) => {
                Some(BareJid::parse(jid).map_err(|_| Refusal::Malformed("The alternate room's jid is none."))?)
            }
            None => None,
        };
        let text = |name| asked.get_child(name, ns::MUC_OWNER).map(Element::text).filter(|text| !text.is_empty());
        let (reason, password) = (text("reason"), text("password"));
        let farewell = farewell(alternate.as_ref(), password.as_deref(), reason.as_deref());
        let inside = self.faces();
        let tombstone = Tombstone {
            at: turn.now.utc,
            alternate,
            reason,
            until: crate::time::Utc(turn.now.utc.0.saturating_add(self.rules.tombstone_ms)),
        };
        self.commit(Record::Destroyed(tombstone), turn);
        turn.answer(ask.result(None));
        Self::show_out(&inside, &farewell, turn);
        Ok(())
    }

    /// A room that was never configured is given up: nothing of it remains.
    pub(in super::super) fn give_up(&mut self, turn: &mut Turn<'_>) {
        let inside = self.faces();
        for face in &inside {
            for who in &face.sessions {
                let (who, nick) = (who.clone(), face.nick.clone());
                self.commit(Record::Left { who, nick, why: Leaving::Exit }, turn);
            }
        }
        Self::show_out(&inside, &farewell(None, None, None), turn);
        self.commit(Record::Vanished, turn);
    }

    /// A locked room does not wait for ever.
    pub(in super::super) fn give_up_locked(&mut self, turn: &mut Turn<'_>) {
        if self.is_locked && self.tombstone.is_none() && turn.now.utc.0 >= self.lock_ends_at() {
            self.give_up(turn);
        }
    }

    /// When a locked room is given up, in calendar milliseconds.
    pub(in super::super) fn lock_ends_at(&self) -> i64 {
        self.created_at.0.saturating_add_unsigned(self.rules.lock_ms)
    }

    fn faces(&self) -> Vec<Face> {
        self.roster.iter().map(|occupant| self.face(occupant)).collect()
    }

    /// Everyone hears of the own leaving only.
    fn show_out(inside: &[Face], farewell: &Element, turn: &mut Turn<'_>) {
        for face in inside {
            let mut face = face.outside();
            face.affiliation = Affiliation::None;
            face.payload = Arc::new([]);
            let news = News { statuses: &[Status::SelfPresence], destroy: Some(farewell), ..News::default() };
            let stanza = face.presence(Type::Unavailable, false, &news);
            turn.say(stanza, super::super::occupant::audience(&face.sessions));
        }
    }
}

fn farewell(alternate: Option<&BareJid>, password: Option<&str>, reason: Option<&str>) -> Element {
    let mut destroy = el("destroy", ns::MUC_USER).with_attr_opt("jid", alternate.map(BareJid::as_str));
    if let Some(password) = password {
        destroy = destroy.with_text_child("password", password);
    }
    match reason {
        Some(reason) => destroy.with_text_child("reason", reason),
        None => destroy,
    }
}
