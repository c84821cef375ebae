//! Leaving (XEP-0045 §7.14): by oneself, by being put out, by being unreachable. The nick leaves with its
//! last session, a temporary room with its last nick.

use std::sync::Arc;

use minidom::Element;

use super::super::view::{Face, News, honest};
use super::super::{Room, Turn};
use crate::muc::Status;
use crate::name::{Jid, Nick};
use crate::record::{Leaving, Record};
use crate::stanza::{Inbound, Type};

impl Room {
    /// The sender's session leaves; whoever is not inside has nothing to leave.
    pub(in super::super) fn exit(&mut self, ask: &Inbound, turn: &mut Turn<'_>) {
        let farewell: Arc<[Element]> = honest(&ask.stanza, &self.jid).cloned().collect();
        self.leave(&ask.stanza.from, Leaving::Exit, farewell, &[], turn);
    }

    /// A session cannot be reached any more (§17.4): 333 says that it was the connection, not a person.
    pub(in super::super) fn drop_unreachable(&mut self, who: &Jid, turn: &mut Turn<'_>) {
        self.leave(who, Leaving::Unreachable, Arc::new([]), &[Status::ConnectionLost], turn);
    }

    fn leave(&mut self, who: &Jid, why: Leaving, farewell: Arc<[Element]>, statuses: &[Status], turn: &mut Turn<'_>) {
        let Some(occupant) = self.roster.of(who) else { return };
        if self.is_locked && self.roster.len() == 1 && occupant.sessions.len() == 1 {
            // Nobody is left who could configure the room (§10.1.3).
            self.give_up(turn);
            return;
        }
        let mut gone = self.face(occupant);
        let was_shown = occupant.shown().who == *who;
        self.commit(Record::Left { who: who.clone(), nick: gone.nick.clone(), why }, turn);
        self.note_seen(&gone.bare, turn);
        let news = News { statuses, ..News::default() };
        gone.payload = farewell;
        self.tell_leaver(&gone, std::slice::from_ref(who), &news, turn);
        if let Some(rest) = self.face_named(&gone.nick) {
            if was_shown {
                self.announce(&rest, false, &News::default(), turn);
            }
            return;
        }
        self.tell_others_left(&gone, &news, turn);
        self.vanish_if_empty(turn);
    }

    /// The leaving sessions hear it; they see what the role they had lets them see.
    fn tell_leaver(&self, gone: &Face, sessions: &[Jid], news: &News<'_>, turn: &mut Turn<'_>) {
        let mut statuses = news.statuses.to_vec();
        statuses.push(Status::SelfPresence);
        let news = News { statuses: &statuses, ..*news };
        let sees_jids = self.sees_jids(gone.role);
        turn.say(gone.outside().presence(Type::Unavailable, sees_jids, &news), super::audience(sessions));
    }

    /// The others hear it, if they heard of the occupant at all.
    fn tell_others_left(&self, gone: &Face, news: &News<'_>, turn: &mut Turn<'_>) {
        if self.config.broadcasts(gone.role) {
            self.tell_others(&gone.outside(), &Type::Unavailable, news, turn);
        }
    }

    /// Puts an occupant out with all its sessions: itself hears it first, then the others.
    pub(in super::super) fn put_out(&mut self, nick: &Nick, why: Leaving, news: &News<'_>, turn: &mut Turn<'_>) {
        let Some(mut gone) = self.face_named(nick) else { return };
        for who in &gone.sessions {
            self.commit(Record::Left { who: who.clone(), nick: gone.nick.clone(), why }, turn);
        }
        self.note_seen(&gone.bare, turn);
        gone.payload = Arc::new([]);
        gone.affiliation = self.affiliation(&gone.bare);
        self.tell_leaver(&gone, &gone.sessions, news, turn);
        self.tell_others_left(&gone, news, turn);
    }

    /// A temporary room goes with its last occupant (§10.1).
    pub(in super::super) fn vanish_if_empty(&mut self, turn: &mut Turn<'_>) {
        if self.is_created && self.tombstone.is_none() && self.roster.is_empty() && !self.config.is_persistent {
            self.commit(Record::Vanished, turn);
        }
    }
}
