//! From stanza to use case: the table of contents of the room.

use super::privilege::Actor;
use super::refusal::Refusal;
use super::{Input, Outcome, Room, Turn};
use crate::muc::Affiliation;
use crate::name::Nick;
use crate::ns;
use crate::protocol::form::Submitted;
use crate::record::Record;
use crate::stanza::element::el;
use crate::stanza::{Condition, Inbound, Kind, Type};
use crate::time::{Moment, Now};

/// Where in the room a stanza goes.
enum Place {
    Room,
    Occupant(Nick),
    /// A resource that can be nobody's nick.
    Nobody(Refusal),
}

impl Room {
    /// Takes one input, changes the room and says into `out` what has happened and who hears what.
    pub fn handle(&mut self, now: Now, input: Input<'_>, out: &mut Outcome) {
        let mut turn = Turn { now, out, ids: 0 };
        self.bury(&mut turn);
        self.screen(&mut turn);
        let refused = match input {
            Input::Tick => {
                self.give_up_locked(&mut turn);
                None
            }
            Input::Again(ask) => {
                self.welcome_again(ask, &mut turn);
                None
            }
            Input::Stanza(inbound) => self.route(inbound, &mut turn).err().map(|refusal| (inbound, refusal)),
            Input::Expire(upto) => {
                self.expire(upto, &mut turn);
                None
            }
            Input::Found { asked, lookup, found } => {
                self.take_found(asked, lookup, found, &mut turn).err().map(|refusal| (asked, refusal))
            }
        };
        if let Some((asked, refusal)) = refused
            && let Some(error) = asked.error(&refusal.to_error())
        {
            turn.answer(error);
        }
        out.wake = self.next_wake(now);
    }

    /// When the room wants its next tick: a locked room gives up in time, a tombstone is cleared away.
    pub fn next_wake(&self, now: Now) -> Option<Moment> {
        let at = match &self.tombstone {
            Some(tombstone) => tombstone.until.0,
            None if self.is_locked => self.lock_ends_at(),
            None => return None,
        };
        let left_ms = u64::try_from(at.saturating_sub(now.utc.0)).unwrap_or(0);
        Some(Moment(now.moment.0.saturating_add(left_ms)))
    }

    /// A tombstone's time is over: the name is free again.
    fn bury(&mut self, turn: &mut Turn<'_>) {
        if self.tombstone.as_ref().is_some_and(|tombstone| tombstone.until <= turn.now.utc) {
            self.commit(Record::Vanished, turn);
        }
    }

    fn route(&mut self, inbound: &Inbound, turn: &mut Turn<'_>) -> Result<(), Refusal> {
        let place = match inbound.to.resource() {
            None => Place::Room,
            Some(resource) => match Nick::parse(resource) {
                Ok(nick) => Place::Occupant(nick),
                Err(_) => Place::Nobody(Refusal::NickUnusable),
            },
        };
        match inbound.stanza.kind {
            Kind::Presence => self.route_presence(inbound, place, turn),
            Kind::Message => self.route_message(inbound, place, turn),
            Kind::Iq => self.route_iq(inbound, place, turn),
        }
    }

    fn route_presence(&mut self, ask: &Inbound, place: Place, turn: &mut Turn<'_>) -> Result<(), Refusal> {
        match (&ask.stanza.type_, place) {
            (Type::Unavailable, _) => self.exit(ask, turn),
            (Type::Error, _) => self.notice_error(ask, turn),
            (Type::Probe, Place::Occupant(nick)) => self.probe(ask, &nick, turn),
            (Type::None, Place::Room) => return Err(Refusal::NickMissing),
            (Type::None, Place::Nobody(refusal)) => return Err(refusal),
            (Type::None, Place::Occupant(nick)) => return self.arrive(ask, nick, turn),
            _ => {}
        }
        Ok(())
    }

    /// Available presence to an occupant JID: to enter, to come again, to take another nick or to say how one is.
    fn arrive(&mut self, ask: &Inbound, nick: Nick, turn: &mut Turn<'_>) -> Result<(), Refusal> {
        self.must_not_be_gone()?;
        let groupchat_1 = self.rules.takes_groupchat_1.then(|| el("x", ns::MUC));
        let is_inside = self.roster.of(&ask.stanza.from).is_some();
        let asks_to_enter = ask.stanza.child("x", ns::MUC).or(groupchat_1.as_ref().filter(|_| !is_inside));
        let current = self.roster.of(&ask.stanza.from).map(|occupant| occupant.nick.clone());
        match (current, asks_to_enter) {
            (None, None) => Err(Refusal::NotEntering),
            (None, Some(x)) if self.is_created => self.enter(ask, nick, x, turn),
            (None, Some(x)) => self.create_by_entering(ask, nick, x, turn),
            (Some(old), None) if old.as_str() == nick.as_str() => self.change_presence(ask, turn),
            (Some(old), None) => self.change_nick(ask, &old, &nick, turn),
            (Some(old), Some(x)) => self.enter_again(ask, &old, nick, x, turn),
        }
    }

    fn route_message(&mut self, ask: &Inbound, place: Place, turn: &mut Turn<'_>) -> Result<(), Refusal> {
        if ask.stanza.type_ == Type::Error {
            self.notice_error(ask, turn);
            return Ok(());
        }
        self.must_be_open_to(ask)?;
        match (&ask.stanza.type_, place) {
            (Type::Groupchat, Place::Room) => self.speak(ask, turn),
            (Type::Groupchat, _) => Err(Refusal::GroupchatToOccupant),
            (Type::None | Type::Normal | Type::Chat, Place::Room) => self.route_note(ask, turn),
            (Type::None | Type::Normal | Type::Chat | Type::Headline, Place::Occupant(nick)) => {
                self.speak_privately(ask, &nick, turn)
            }
            (_, Place::Nobody(_)) => Err(Refusal::NoSuchOccupant),
            _ => Err(Refusal::Malformed("The room does not know messages of this type.")),
        }
    }

    /// A message to the room itself, not to everyone inside.
    fn route_note(&mut self, ask: &Inbound, turn: &mut Turn<'_>) -> Result<(), Refusal> {
        let x = ask.stanza.child("x", ns::MUC_USER);
        if let Some(x) = x.filter(|x| x.has_child("invite", ns::MUC_USER)) {
            return self.invite(ask, x, turn);
        }
        if let Some(decline) = x.and_then(|x| x.get_child("decline", ns::MUC_USER)) {
            return self.decline(ask, decline, turn);
        }
        if let Some(form) = ask.stanza.child("x", ns::DATA) {
            if let Some(request) = Submitted::read(form).filter(|form| form.form_type() == Some(ns::MUC_REGISTER)) {
                return self.answer_registration(ask, &request, turn);
            }
            return self.route_voice_form(ask, form, turn);
        }
        if self.roster.of(&ask.stanza.from).is_none() {
            return Err(Refusal::NotInside);
        }
        Err(Refusal::Malformed("A message to everyone inside is of type groupchat."))
    }

    fn route_iq(&mut self, ask: &Inbound, place: Place, turn: &mut Turn<'_>) -> Result<(), Refusal> {
        match (&ask.stanza.type_, place) {
            (Type::Get | Type::Set, Place::Room) => self.route_room_iq(ask, turn),
            (Type::Get | Type::Set, Place::Occupant(nick)) => self.route_occupant_iq(ask, &nick, turn),
            (Type::Get | Type::Set, Place::Nobody(_)) => Err(Refusal::NoSuchOccupant),
            (Type::Result | Type::Error, Place::Occupant(nick)) => {
                self.relay_answer(ask, &nick, turn);
                Ok(())
            }
            (Type::Result | Type::Error, _) => Ok(()),
            _ => Err(Refusal::Malformed("An iq is of type get, set, result or error.")),
        }
    }

    fn route_room_iq(&mut self, ask: &Inbound, turn: &mut Turn<'_>) -> Result<(), Refusal> {
        self.must_be_open_to(ask)?;
        let [query] = ask.stanza.payload.as_slice() else {
            return Err(Refusal::Malformed("An iq asks for one thing."));
        };
        let is_get = ask.stanza.type_ == Type::Get;
        match (query.name(), query.ns().as_str(), is_get) {
            ("query", ns::DISCO_INFO, true) => self.tell_info(ask, query, turn),
            ("query", ns::DISCO_ITEMS, true) => self.tell_items(ask, query, turn),
            ("ping", ns::PING, true) => {
                turn.answer(ask.result(None));
                Ok(())
            }
            ("query", ns::VERSION, true) => {
                Self::tell_version(ask, turn);
                Ok(())
            }
            ("query", ns::MAM, true) => self.tell_query_form(ask, turn),
            ("query", ns::MAM, false) => self.query_archive(ask, query, turn),
            ("metadata", ns::MAM, true) => self.ask_for_ends(ask, turn),
            ("moderate", ns::MODERATE, false) | ("apply-to", ns::FASTEN, false) => self.moderate(ask, query, turn),
            ("command", ns::COMMANDS, false) => self.run_command(ask, query, turn),
            ("vCard", ns::VCARD, true) => self.ask_for_vcard(ask, turn),
            ("vCard", ns::VCARD, false) => self.set_vcard(ask, query, turn),
            ("query", ns::SEARCH, _) if self.rules.identity.is_cisco => {
                Err(Refusal::NotOffered("A room is searched by its archive (urn:xmpp:mam:2).".into()))
            }
            ("query", ns::REGISTER, true) => self.tell_registration(ask, turn),
            ("query", ns::REGISTER, false) => self.register(ask, query, turn),
            ("query", ns::MUC_ADMIN, true) => self.tell_list(ask, query, turn),
            ("query", ns::MUC_ADMIN, false) => self.change_people(ask, query, turn),
            ("query", ns::MUC_OWNER, true) => self.tell_form(ask, turn),
            ("query", ns::MUC_OWNER, false) => self.change_room(ask, query, turn),
            _ => Err(Refusal::Unknown),
        }
    }

    fn route_occupant_iq(&mut self, ask: &Inbound, nick: &Nick, turn: &mut Turn<'_>) -> Result<(), Refusal> {
        self.must_not_be_gone()?;
        let [query] = ask.stanza.payload.as_slice() else {
            return Err(Refusal::Malformed("An iq asks for one thing."));
        };
        let asker = self.roster.of(&ask.stanza.from);
        let is_disco = query.has_ns(ns::DISCO_INFO) || query.has_ns(ns::DISCO_ITEMS);
        match asker {
            None if is_disco => Err(Refusal::OccupantDisco),
            None => Err(Refusal::NotInside),
            Some(own) if own.nick == *nick && query.is("ping", ns::PING) => {
                Self::answer_self_ping(ask, turn);
                Ok(())
            }
            Some(own) => {
                let own = self.face(own);
                self.relay_request(ask, &own, nick, turn)
            }
        }
    }

    /// An error came back from a session: if it means that nobody is there any more, the session is gone
    /// (§17.4); errors of mere policy are no reason. `service-unavailable` is both: what a server says of a session
    /// that ended when something said to all comes for it, and of one that blocks who wrote to it privately.
    fn notice_error(&mut self, ask: &Inbound, turn: &mut Turn<'_>) {
        let is_gone = match ask.stanza.error_condition() {
            Some(
                Condition::Gone
                | Condition::ItemNotFound
                | Condition::JidMalformed
                | Condition::RecipientUnavailable
                | Condition::Redirect
                | Condition::RemoteServerNotFound
                | Condition::RemoteServerTimeout,
            ) => true,
            Some(Condition::ServiceUnavailable) => self.was_said_to_all(ask),
            Some(_) | None => false,
        };
        if is_gone {
            self.drop_unreachable(&ask.stanza.from, turn);
        }
    }

    /// Whether the error answers what everyone heard, as far as its id tells: of private words nothing is kept.
    fn was_said_to_all(&self, error: &Inbound) -> bool {
        match (error.stanza.kind, error.to.resource(), &error.stanza.id) {
            (Kind::Message, Some(_), Some(id)) => self.config.history_max == 0 || self.history.has_said(id),
            (Kind::Message | Kind::Presence | Kind::Iq, _, _) => true,
        }
    }

    pub(super) fn must_not_be_gone(&self) -> Result<(), Refusal> {
        match &self.tombstone {
            Some(tombstone) => Err(Refusal::Gone(tombstone.alternate.clone())),
            None => Ok(()),
        }
    }

    /// There is a room, it was not destroyed, and it is unlocked or the sender's own.
    pub(super) fn must_be_open_to(&self, ask: &Inbound) -> Result<Actor, Refusal> {
        self.must_not_be_gone()?;
        if !self.is_created {
            return Err(Refusal::NoSuchRoom);
        }
        let actor = self.actor(&ask.stanza.from);
        if self.is_locked && actor.affiliation < Affiliation::Owner {
            return Err(Refusal::Locked);
        }
        Ok(actor)
    }
}
