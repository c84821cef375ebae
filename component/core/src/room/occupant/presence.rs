//! How an occupant is (XEP-0045 §7.7 availability), told to everyone.

use std::sync::Arc;

use super::super::refusal::Refusal;
use super::super::roster::children_xml;
use super::super::view::{News, honest};
use super::super::{Room, Turn};
use crate::muc::Role;
use crate::name::Nick;
use crate::ns;
use crate::record::{Leaving, OccupantEntry, Record};
use crate::stanza::{Audience, Inbound, Stanza, Type};

impl Room {
    /// The sender's presence changes; the others hear the latest of all its sessions.
    pub(in super::super) fn change_presence(&mut self, ask: &Inbound, turn: &mut Turn<'_>) -> Result<(), Refusal> {
        self.take_presence(&ask.stanza, turn);
        let Some(face) = self.roster.of(&ask.stanza.from).map(|own| self.face(own)) else {
            return Err(Refusal::NotInside);
        };
        self.announce(&face, false, &News::default(), turn);
        Ok(())
    }

    /// Records the presence of the sender's session where it is a new one, and makes it the one that is shown.
    pub(in super::super) fn take_presence(&mut self, stanza: &Stanza, turn: &mut Turn<'_>) -> bool {
        let who = &stanza.from;
        let Some(occupant) = self.roster.of(who) else { return false };
        let presence_xml = self.presence_xml(stanza, occupant.role);
        let is_shown = occupant.shown().who == *who;
        if occupant.session(who).is_some_and(|session| session.presence_xml == presence_xml) {
            return false;
        }
        let (nick, role) = (occupant.nick.clone(), occupant.role);
        if is_shown {
            self.commit(Record::Present { who: who.clone(), nick, presence_xml }, turn);
            return true;
        }
        // Shown is the session that came last: this one comes anew, so that any node restores the same order.
        self.commit(Record::Left { who: who.clone(), nick: nick.clone(), why: Leaving::Exit }, turn);
        let entry = OccupantEntry { who: who.clone(), nick, role, presence_xml, at: turn.now.utc };
        self.commit(Record::Entered(Box::new(entry)), turn);
        true
    }

    /// The presence as it is kept: less what only the room may say, and less what visitors may not.
    pub(in super::super) fn presence_xml(&self, stanza: &Stanza, role: Role) -> Arc<str> {
        let hides_status = role == Role::Visitor && !self.config.may_visitors_set_status;
        children_xml(honest(stanza, &self.jid).filter(|child| !(hides_status && child.is("status", ns::CLIENT))))
    }

    /// Somebody inside asks how an occupant is; others get no answer (§17.3).
    pub(in super::super) fn probe(&self, ask: &Inbound, nick: &Nick, turn: &mut Turn<'_>) {
        let Some(asker) = self.roster.of(&ask.stanza.from) else { return };
        let sees_jids = self.sees_jids(asker.role);
        let Some(face) = self.face_named(nick) else {
            if let Some(stanza) = self.absent_named(nick, sees_jids) {
                turn.say(stanza, Audience::One(ask.stanza.from.clone()));
            }
            return;
        };
        if face.nick == asker.nick {
            let own = std::slice::from_ref(&ask.stanza.from);
            self.tell_session(&face, own, None, &Type::None, &News::default(), turn);
        } else if self.config.broadcasts(face.role) {
            let stanza = face.presence(Type::None, sees_jids, &News::default());
            turn.say(stanza, Audience::One(ask.stanza.from.clone()));
        }
    }
}
