//! Asking for voice (XEP-0045 §7.13) and the moderators' answer (§8.6).

use minidom::Element;

use super::super::refusal::Refusal;
use super::super::{Room, Turn};
use crate::muc::Role;
use crate::name::{BareJid, Jid, Nick};
use crate::ns;
use crate::protocol::form::{Form, FormType, Submitted, boolean};
use crate::stanza::{Audience, Inbound, Kind, Stanza, Type};
use crate::time::Utc;

impl Room {
    /// A form about voice: an answer if it says whether to allow it, else a request.
    pub(in super::super) fn route_voice_form(
        &mut self,
        ask: &Inbound,
        x: &Element,
        turn: &mut Turn<'_>,
    ) -> Result<(), Refusal> {
        let form = Submitted::read(x).filter(|form| form.form_type() == Some(ns::MUC_REQUEST));
        let form = form.ok_or(Refusal::Malformed("The room does not know this form."))?;
        if form.type_ != FormType::Submit {
            return Ok(());
        }
        match form.first("muc#request_allow") {
            Some(allow) => self.answer_voice_request(ask, &form, boolean(allow) == Some(true), turn),
            None => self.request_voice(ask, turn),
        }
    }

    fn request_voice(&mut self, ask: &Inbound, turn: &mut Turn<'_>) -> Result<(), Refusal> {
        let asker = self.roster.of(&ask.stanza.from).ok_or(Refusal::NotInside)?;
        if !self.config.may_visitors_request_voice || asker.role != Role::Visitor {
            return Err(Refusal::VoiceRequestForbidden);
        }
        self.must_not_ask_again(&asker.bare, turn.now.utc)?;
        let who = asker.bare.clone();
        let form = Form::new(FormType::Form, ns::MUC_REQUEST)
            .titled("Voice request")
            .list("list-single", "muc#role", "Requested role", &[("participant", "Participant")], &["participant"])
            .field("jid-single", "muc#jid", "User ID", &[asker.shown().who.as_str()])
            .field("text-single", "muc#roomnick", "Room nickname", &[asker.nick.as_str()])
            .boolean("muc#request_allow", "Grant voice to this person?", false);
        let stanza = Stanza::new(Kind::Message, Type::None, self.jid.as_jid().clone()).with(form.into_element());
        let moderators = self.roster.sessions_where(|occupant| occupant.role == Role::Moderator);
        turn.say(stanza, Audience::Many(moderators));
        let since = Utc(turn.now.utc.0.saturating_sub(self.rules.voice_request_ms));
        self.voice_requests.note(&who, turn.now.utc, since);
        Ok(())
    }

    /// Moderators are not asked by the same person all the time.
    fn must_not_ask_again(&self, who: &BareJid, now: Utc) -> Result<(), Refusal> {
        let Some(last) = self.voice_requests.of(who) else { return Ok(()) };
        let wait_ms = self.rules.voice_request_ms;
        let left_ms = last.0.saturating_add(wait_ms).saturating_sub(now.0).min(wait_ms);
        if left_ms <= 0 { Ok(()) } else { Err(Refusal::VoiceRequestTooSoon(left_ms.saturating_add(999) / 1_000)) }
    }

    fn answer_voice_request(
        &mut self,
        ask: &Inbound,
        form: &Submitted,
        is_allowed: bool,
        turn: &mut Turn<'_>,
    ) -> Result<(), Refusal> {
        let actor = self.actor(&ask.stanza.from);
        if actor.role != Role::Moderator {
            return Err(Refusal::Forbidden("Only moderators give voice."));
        }
        let by_jid = form.first("muc#jid").and_then(|jid| Jid::parse(jid).ok());
        let by_nick = form.first("muc#roomnick").and_then(|nick| Nick::parse(nick).ok());
        let asker = by_jid
            .and_then(|jid| self.roster.of(&jid))
            .or_else(|| by_nick.and_then(|nick| self.roster.named(&nick)))
            .ok_or(Refusal::NoSuchOccupant)?;
        if !is_allowed || asker.role != Role::Visitor {
            return Ok(());
        }
        let nick = asker.nick.clone();
        self.set_role(&actor, &nick, Role::Participant, None, turn);
        Ok(())
    }
}
