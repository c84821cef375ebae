//! Entering (XEP-0045 v1.35 §7.2), for the first time or again.
//!
//! The order of what a newcomer hears is sacred (§7.1): everyone inside, itself, history, subject, then what
//! happens live.

use std::sync::Arc;

use minidom::Element;

use super::super::history::Wanted;
use super::super::refusal::Refusal;
use super::super::view::{Face, News};
use super::super::{Room, Turn};
use crate::muc::{Affiliation, NickLock, Status, Whois};
use crate::name::{BareJid, Nick};
use crate::ns;
use crate::record::{OccupantEntry, Record};
use crate::stanza::{Audience, Inbound, Type};

impl Room {
    /// Lets the sender in under `nick`.
    ///
    /// # Errors
    /// Each names its stanza error in `refusal`: unusable or taken nick, locked, banned, members-only, password, full.
    pub(in super::super) fn enter(
        &mut self,
        ask: &Inbound,
        nick: Nick,
        x: &Element,
        turn: &mut Turn<'_>,
    ) -> Result<(), Refusal> {
        let bare = ask.stanza.from.to_bare();
        let affiliation = self.affiliation(&bare);
        let (nick, extra) = self.nick_for(&bare, nick)?;
        self.may_enter(&bare, affiliation, &nick, x)?;
        self.let_in(ask, nick, x, extra, turn);
        Ok(())
    }

    /// The nick `who` comes under when asking for `nick`: where the room locks nicks, the registered one (§7.2.10).
    fn nick_for(&self, who: &BareJid, nick: Nick) -> Result<(Nick, &'static [Status]), Refusal> {
        match (self.config.nick_lock, self.registered_nick(who)) {
            (NickLock::Assign, Some(own)) if *own != nick => Ok((own.clone(), &[Status::NickAssigned])),
            (NickLock::Refuse, Some(own)) if *own != nick => Err(Refusal::NickLocked),
            (NickLock::Free | NickLock::Assign | NickLock::Refuse, _) => Ok((nick, &[])),
        }
    }

    /// The nick the room keeps for `who`.
    pub(in super::super) fn registered_nick(&self, who: &BareJid) -> Option<&Nick> {
        self.affiliations.get(who).and_then(|entry| entry.nick.as_ref())
    }

    fn may_enter(&self, bare: &BareJid, affiliation: Affiliation, nick: &Nick, x: &Element) -> Result<(), Refusal> {
        self.must_be_fit(nick)?;
        if self.is_locked && affiliation < Affiliation::Owner {
            return Err(Refusal::Locked);
        }
        if affiliation == Affiliation::Outcast {
            return Err(Refusal::Banned);
        }
        if self.config.is_members_only && affiliation < Affiliation::Member {
            return Err(Refusal::MembersOnly);
        }
        self.must_be_free_for(nick, bare)?;
        self.must_know_password(x)?;
        self.must_have_place(nick, affiliation)
    }

    /// A nick that can be used here at all.
    pub(in super::super) fn must_be_fit(&self, nick: &Nick) -> Result<(), Refusal> {
        let max = self.rules.nick_chars_max;
        if nick.as_str().chars().count() > max { Err(Refusal::NickTooLong(max)) } else { Ok(()) }
    }

    pub(in super::super) fn must_be_free_for(&self, nick: &Nick, bare: &BareJid) -> Result<(), Refusal> {
        if self.roster.named(nick).is_some_and(|occupant| occupant.bare != *bare) {
            return Err(Refusal::NickTaken);
        }
        self.must_not_be_reserved(nick, bare)
    }

    pub(in super::super) fn must_not_be_reserved(&self, nick: &Nick, bare: &BareJid) -> Result<(), Refusal> {
        match self.reserved.get(nick.key()) {
            Some(holder) if holder != bare => Err(Refusal::NickReserved),
            Some(_) | None => Ok(()),
        }
    }

    fn must_know_password(&self, x: &Element) -> Result<(), Refusal> {
        let Some(password) = &self.config.password else { return Ok(()) };
        let given = x.get_child("password", ns::MUC).map(Element::text);
        if given.as_ref() == Some(password) { Ok(()) } else { Err(Refusal::WrongPassword) }
    }

    fn must_have_place(&self, nick: &Nick, affiliation: Affiliation) -> Result<(), Refusal> {
        if let Some(occupant) = self.roster.named(nick) {
            let is_full = occupant.sessions.len() >= self.rules.sessions_max as usize;
            return if is_full { Err(Refusal::SessionsFull) } else { Ok(()) };
        }
        let max = self.config.occupants_max.map_or(self.rules.occupants_max, |max| max.min(self.rules.occupants_max));
        let is_full = self.roster.len() >= max as usize;
        if is_full && affiliation < Affiliation::Admin { Err(Refusal::RoomFull) } else { Ok(()) }
    }

    /// Records the new session and tells everyone, in order; `extra` codes are for the newcomer alone.
    pub(in super::super) fn let_in(
        &mut self,
        ask: &Inbound,
        nick: Nick,
        x: &Element,
        extra: &[Status],
        turn: &mut Turn<'_>,
    ) {
        let affiliation = self.affiliation(&ask.stanza.from.to_bare());
        // A further session comes under the nick as it is already shown, with the role the occupant has.
        let mut extra = extra.to_vec();
        let (nick, role) = match self.roster.named(&nick) {
            Some(occupant) => {
                if occupant.nick.as_str() != nick.as_str() && !extra.contains(&Status::NickAssigned) {
                    extra.push(Status::NickAssigned);
                }
                (occupant.nick.clone(), occupant.role)
            }
            None => (nick, self.initial_role(affiliation)),
        };
        let entry = OccupantEntry {
            who: ask.stanza.from.clone(),
            presence_xml: self.presence_xml(&ask.stanza, role),
            nick: nick.clone(),
            role,
            at: turn.now.utc,
        };
        self.commit(Record::Entered(Box::new(entry)), turn);
        self.note_seen(&ask.stanza.from.to_bare(), turn);
        let Some(face) = self.face_named(&nick) else { return };
        self.tell_arrival(&face, ask, turn);
        self.tell_room(&face, ask, x, &extra, turn);
    }

    /// The others hear who came; the occupant's other sessions, that it has a new presence.
    fn tell_arrival(&self, face: &Face, ask: &Inbound, turn: &mut Turn<'_>) {
        let own: Arc<[_]> = face.sessions.iter().filter(|who| **who != ask.stanza.from).cloned().collect();
        if !own.is_empty() {
            self.tell_session(face, &own, None, &Type::None, &News::default(), turn);
        }
        if self.config.broadcasts(face.role) {
            self.tell_others(face, &Type::None, &News::default(), turn);
        }
    }

    /// Tells the sender's session all there is to know: who is inside, itself, what was said, the subject.
    fn tell_room(&self, own: &Face, ask: &Inbound, x: &Element, extra: &[Status], turn: &mut Turn<'_>) {
        let sees_jids = self.sees_jids(own.role);
        let mav = self.tell_affiliations(ask, x, turn);
        for other in self.roster.iter().filter(|other| other.nick != own.nick) {
            if self.config.broadcasts(other.role) {
                let stanza = self.face(other).presence(Type::None, sees_jids, &News::default());
                turn.say(stanza, Audience::One(ask.stanza.from.clone()));
            }
        }
        self.show_absent(&ask.stanza.from, sees_jids, turn);
        let mut statuses = extra.to_vec();
        if self.config.whois == Whois::Anyone {
            statuses.push(Status::NonAnonymousNotice);
        }
        if self.config.is_archived {
            statuses.push(Status::LoggingOn);
        }
        let news = News { statuses: &statuses, mav: mav.as_ref(), ..News::default() };
        let asker = std::slice::from_ref(&ask.stanza.from);
        self.tell_avatar(&ask.stanza.from, turn);
        self.tell_session(own, asker, ask.stanza.id.as_deref(), &Type::None, &news, turn);
        let wanted = Wanted::read(x, turn.now.utc, self.config.history_default);
        self.tell_past(&ask.stanza.from, &wanted, turn);
    }

    /// Tells a session that is still inside all it was to hear when it entered by `ask`; nothing else changes.
    pub(in super::super) fn welcome_again(&self, ask: &Inbound, turn: &mut Turn<'_>) {
        let Some(face) = self.roster.of(&ask.stanza.from).map(|own| self.face(own)) else { return };
        if let Some(x) = ask.stanza.child("x", ns::MUC) {
            self.tell_room(&face, ask, x, &[], turn);
        }
    }

    /// A session inside enters again, for it lost track: it hears everything anew, the others nothing - unless
    /// nick or presence are different now.
    pub(in super::super) fn enter_again(
        &mut self,
        ask: &Inbound,
        old: &Nick,
        nick: Nick,
        x: &Element,
        turn: &mut Turn<'_>,
    ) -> Result<(), Refusal> {
        let (nick, extra) = self.nick_for(&ask.stanza.from.to_bare(), nick)?;
        if old.as_str() != nick.as_str() {
            self.change_nick(ask, old, &nick, turn)?;
        } else if self.take_presence(&ask.stanza, turn)
            && let Some(face) = self.roster.of(&ask.stanza.from).map(|own| self.face(own))
        {
            self.tell_arrival(&face, ask, turn);
        }
        if let Some(face) = self.roster.of(&ask.stanza.from).map(|own| self.face(own)) {
            self.tell_room(&face, ask, x, extra, turn);
        }
        Ok(())
    }
}
