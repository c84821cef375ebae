//! Registration with the room (XEP-0045 §7.10) and its approval (§9.9): a nick is kept for a user. Whoever may be here
//! keeps a nick without being asked; in a members-only room somebody who is no member asks, and becomes one when an
//! admin agrees.

use minidom::Element;

use super::super::refusal::Refusal;
use super::super::{Room, Turn};
use crate::muc::Affiliation;
use crate::name::{BareJid, Jid, Nick};
use crate::ns;
use crate::protocol::form::{Form, FormType, Submitted, boolean};
use crate::record::AffiliationEntry;
use crate::stanza::element::{Build, el};
use crate::stanza::{Audience, Inbound, Kind, Stanza, Type};

impl Room {
    /// Tells the nick that is kept for the one who asks, or which form keeps one.
    pub(in super::super) fn tell_registration(&self, ask: &Inbound, turn: &mut Turn<'_>) -> Result<(), Refusal> {
        let bare = ask.stanza.from.to_bare();
        let query = el("query", ns::REGISTER);
        if let Some(nick) = self.affiliations.get(&bare).and_then(|entry| entry.nick.as_ref()) {
            let query = query.with_child(el("registered", ns::REGISTER)).with_text_child("username", nick.as_str());
            turn.answer(ask.result(Some(query)));
            return Ok(());
        }
        self.must_be_eligible(ask)?;
        let form = Form::new(FormType::Form, ns::MUC_REGISTER).titled("Registration with the room").required(
            "text-single",
            "muc#register_roomnick",
            "Nickname to be kept for you",
        );
        let query = query.with_text_child("instructions", "The room keeps the nickname for you.");
        turn.answer(ask.result(Some(query.with_child(form.into_element()))));
        Ok(())
    }

    /// Keeps a nick for the sender, asks the admins to, or lets the one it keeps go.
    pub(in super::super) fn register(
        &mut self,
        ask: &Inbound,
        query: &Element,
        turn: &mut Turn<'_>,
    ) -> Result<(), Refusal> {
        let bare = ask.stanza.from.to_bare();
        if query.has_child("remove", ns::REGISTER) {
            turn.answer(ask.result(None));
            self.keep_nick(&ask.stanza.from, &bare, self.own_affiliation(&bare), None, turn);
            return Ok(());
        }
        self.must_be_eligible(ask)?;
        let form = query.get_child("x", ns::DATA).and_then(Submitted::read);
        let form = form.ok_or(Refusal::Malformed("The request has no form."))?;
        match (form.type_, form.form_type()) {
            (FormType::Cancel, _) => {
                turn.answer(ask.result(None));
                return Ok(());
            }
            (FormType::Submit, Some(ns::MUC_REGISTER)) => {}
            _ => return Err(Refusal::Malformed("The room does not know this form.")),
        }
        let nick = read_nick(&form)?;
        self.must_be_fit(&nick)?;
        self.must_be_free_for(&nick, &bare)?;
        self.must_have_entry(&bare)?;
        if self.config.is_members_only && self.affiliation(&bare) < Affiliation::Member {
            return self.ask_to_approve(ask, &bare, &nick, turn);
        }
        turn.answer(ask.result(None));
        self.keep_nick(&ask.stanza.from, &bare, self.own_affiliation(&bare), Some(nick), turn);
        Ok(())
    }

    /// Outcasts may not; strangers may ask to become members, but not fill an open room's list from outside.
    fn must_be_eligible(&self, ask: &Inbound) -> Result<(), Refusal> {
        let bare = ask.stanza.from.to_bare();
        let is_inside = self.roster.of_user(&bare).next().is_some();
        match self.affiliation(&bare) {
            Affiliation::Outcast => Err(Refusal::RegistrationForbidden),
            Affiliation::None if !is_inside && !self.config.is_members_only => Err(Refusal::RegistrationForbidden),
            Affiliation::None | Affiliation::Member | Affiliation::Admin | Affiliation::Owner => Ok(()),
        }
    }

    /// The affiliation of the user's own entry: what comes with a domain or the service stays where it is.
    fn own_affiliation(&self, who: &BareJid) -> Affiliation {
        self.affiliations.get(who).map_or(Affiliation::None, |entry| entry.affiliation)
    }

    fn keep_nick(
        &mut self,
        by: &Jid,
        who: &BareJid,
        affiliation: Affiliation,
        nick: Option<Nick>,
        turn: &mut Turn<'_>,
    ) {
        let reason = self.affiliations.get(who).and_then(|entry| entry.reason.clone());
        let actor = self.actor(by);
        let by = actor.bare.clone();
        let entry = AffiliationEntry { who: who.clone(), affiliation, nick, reason, by, at: turn.now.utc };
        self.set_affiliation(&actor, entry, turn);
    }

    /// The admins inside get the request as a form (§9.9).
    fn ask_to_approve(&self, ask: &Inbound, who: &BareJid, nick: &Nick, turn: &mut Turn<'_>) -> Result<(), Refusal> {
        let admins = self.roster.sessions_where(|occupant| self.affiliation(&occupant.bare) >= Affiliation::Admin);
        if admins.is_empty() {
            return Err(Refusal::RegistrationForbidden);
        }
        turn.answer(ask.result(None));
        let form = Form::new(FormType::Form, ns::MUC_REGISTER)
            .titled("Registration request")
            .field("jid-single", "muc#register_jid", "User ID", &[who.as_str()])
            .field("text-single", "muc#register_roomnick", "Desired nickname", &[nick.as_str()])
            .boolean("muc#register_allow", "Allow this person to register with the room?", false);
        let stanza = Stanza::new(Kind::Message, Type::None, self.jid.as_jid().clone()).with(form.into_element());
        turn.say(stanza, Audience::Many(admins));
        Ok(())
    }

    /// An admin's answer to such a request: whoever it names becomes a member, with the nick.
    pub(in super::super) fn answer_registration(
        &mut self,
        ask: &Inbound,
        form: &Submitted,
        turn: &mut Turn<'_>,
    ) -> Result<(), Refusal> {
        if self.actor(&ask.stanza.from).affiliation < Affiliation::Admin {
            return Err(Refusal::Forbidden("Only admins and owners approve registrations."));
        }
        let is_allowed = form.first("muc#register_allow").and_then(boolean) == Some(true);
        if form.type_ != FormType::Submit || !is_allowed {
            return Ok(());
        }
        let jid =
            form.first("muc#register_jid").and_then(|jid| Jid::parse(jid).ok()).filter(|jid| jid.local().is_some());
        let who = jid.ok_or(Refusal::Malformed("The form does not say who it is about."))?.to_bare();
        let nick = read_nick(form)?;
        if self.affiliation(&who) == Affiliation::Outcast {
            return Err(Refusal::RegistrationForbidden);
        }
        self.must_be_fit(&nick)?;
        self.must_be_free_for(&nick, &who)?;
        self.must_have_entry(&who)?;
        let was = self.away(&who);
        let affiliation = self.own_affiliation(&who).max(Affiliation::Member);
        self.keep_nick(&ask.stanza.from, &who, affiliation, Some(nick), turn);
        self.tell_away(&self.actor(&ask.stanza.from), &who, was, None, turn);
        Ok(())
    }
}

fn read_nick(form: &Submitted) -> Result<Nick, Refusal> {
    let nick = form.first("muc#register_roomnick").filter(|nick| !nick.is_empty());
    let nick = nick.ok_or(Refusal::Malformed("The form names no nick."))?;
    Nick::parse(nick).map_err(|_| Refusal::NickUnusable)
}
