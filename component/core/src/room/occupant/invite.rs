//! Mediated invitations and their declining (XEP-0045 §7.8.2).

use minidom::Element;

use super::super::privilege::Actor;
use super::super::refusal::Refusal;
use super::super::{Room, Turn};
use crate::muc::{Affiliation, Whois};
use crate::name::{BareJid, Jid};
use crate::ns;
use crate::record::AffiliationEntry;
use crate::stanza::element::{Build, el};
use crate::stanza::{Audience, Inbound, Kind, Stanza, Type};

/// The most people one message may invite.
const INVITES_MAX: usize = 20;

impl Room {
    /// Invites people on behalf of the sender; into a members-only room as members. All or none.
    pub(in super::super) fn invite(&mut self, ask: &Inbound, x: &Element, turn: &mut Turn<'_>) -> Result<(), Refusal> {
        let actor = self.actor(&ask.stanza.from);
        self.may_invite(&actor)?;
        let mut invites = Vec::new();
        let asked = || x.children().filter(|child| child.is("invite", ns::MUC_USER));
        if asked().nth(INVITES_MAX).is_some() {
            return Err(Refusal::Malformed("The message invites more people than one message may."));
        }
        for invite in asked() {
            let to = invite.attr("to").and_then(|to| Jid::parse(to).ok());
            let to = to.ok_or(Refusal::Malformed("An invitation says whom it is to."))?;
            if self.affiliation(&to.to_bare()) == Affiliation::Outcast {
                return Err(Refusal::InviteeBanned);
            }
            invites.push((to, invite));
        }
        self.must_have_list_room(invites.iter().map(|(to, _)| to.to_bare()))?;
        for (to, invite) in invites {
            self.make_member(&actor, to.to_bare(), turn);
            self.pass_invite(ask, &to, invite, turn);
        }
        Ok(())
    }

    fn may_invite(&self, actor: &Actor) -> Result<(), Refusal> {
        if actor.nick.is_none() {
            return Err(Refusal::NotInside);
        }
        if self.config.may_occupants_invite || actor.affiliation >= Affiliation::Admin {
            Ok(())
        } else {
            Err(Refusal::InviteForbidden)
        }
    }

    fn must_have_list_room(&self, invitees: impl Iterator<Item = BareJid>) -> Result<(), Refusal> {
        let new = invitees.filter(|who| !self.affiliations.contains_key(who)).count();
        let max = self.rules.affiliations_max;
        if self.config.is_members_only && self.affiliations.len() + new > max as usize {
            return Err(Refusal::ListFull(max));
        }
        Ok(())
    }

    fn make_member(&mut self, by: &Actor, who: BareJid, turn: &mut Turn<'_>) {
        if !self.config.is_members_only || self.affiliation(&who) != Affiliation::None {
            return;
        }
        let nick = self.affiliations.get(&who).and_then(|entry| entry.nick.clone());
        let (by_jid, at) = (by.bare.clone(), turn.now.utc);
        let entry = AffiliationEntry { who, affiliation: Affiliation::Member, nick, reason: None, by: by_jid, at };
        self.set_affiliation(by, entry, turn);
    }

    fn pass_invite(&self, ask: &Inbound, to: &Jid, asked: &Element, turn: &mut Turn<'_>) {
        let reason = asked.get_child("reason", ns::MUC_USER).map(Element::text);
        let going_on = asked.get_child("continue", ns::MUC_USER);
        let stanza = self.invitation(&self.name_for_outside(&ask.stanza.from), reason.as_deref(), going_on);
        turn.say(stanza.with_id(ask.stanza.id.clone()), Audience::One(to.clone()));
    }

    /// An invitation by the room on behalf of `from`, with a direct one (XEP-0249) beside it for clients that know no other.
    pub(in super::super) fn invitation(&self, from: &str, reason: Option<&str>, going_on: Option<&Element>) -> Stanza {
        let mut invite = el("invite", ns::MUC_USER).with_attr("from", from);
        if let Some(reason) = reason {
            invite = invite.with_text_child("reason", reason);
        }
        if let Some(going_on) = going_on {
            invite.append_child(going_on.clone());
        }
        let mut x = el("x", ns::MUC_USER).with_child(invite);
        let mut direct = el("x", ns::CONFERENCE)
            .with_attr("jid", self.jid.as_str())
            .with_attr_opt("reason", reason.filter(|reason| !reason.is_empty()));
        if let Some(going_on) = going_on {
            direct = direct.with_attr("continue", "true").with_attr_opt("thread", going_on.attr("thread"));
        }
        if let Some(password) = &self.config.password {
            x = x.with_text_child("password", password);
            direct = direct.with_attr("password", password.as_str());
        }
        let direct = direct.with_text(reason.unwrap_or_default());
        Stanza::new(Kind::Message, Type::None, self.jid.as_jid().clone()).with(x).with(direct)
    }

    /// Who somebody is to people who may not know: the occupant JID where real JIDs are not for everyone, also
    /// for a session outside of somebody inside.
    fn name_for_outside(&self, who: &Jid) -> String {
        let bare = who.to_bare();
        let inside = self.roster.of(who).or_else(|| self.roster.of_user(&bare).next());
        match inside {
            Some(own) if self.config.whois != Whois::Anyone => own.jid.as_str().to_owned(),
            Some(_) | None => bare.as_str().to_owned(),
        }
    }

    /// Passes the sender's "no" on to the one who invited, if still inside. Whether that is so the sender is not told:
    /// else anyone could find out who is inside of a semi-anonymous room.
    pub(in super::super) fn decline(&self, ask: &Inbound, asked: &Element, turn: &mut Turn<'_>) -> Result<(), Refusal> {
        let to = asked.attr("to").and_then(|to| Jid::parse(to).ok());
        let to = to.ok_or(Refusal::Malformed("A decline says whom it is to."))?;
        if self.affiliation(&ask.stanza.from.to_bare()) == Affiliation::Outcast {
            return Err(Refusal::Banned);
        }
        let sessions = self.sessions_of(&to);
        let mut decline = el("decline", ns::MUC_USER).with_attr("from", self.name_for_outside(&ask.stanza.from));
        if let Some(reason) = asked.get_child("reason", ns::MUC_USER) {
            decline = decline.with_text_child("reason", &reason.text());
        }
        let stanza = Stanza::new(Kind::Message, Type::None, self.jid.as_jid().clone())
            .with_id(ask.stanza.id.clone())
            .with(el("x", ns::MUC_USER).with_child(decline));
        turn.say(stanza, super::audience(&sessions));
        Ok(())
    }

    /// The sessions inside that an occupant JID or a real one means.
    fn sessions_of(&self, to: &Jid) -> Vec<Jid> {
        if to.is_same_bare(self.jid.as_jid()) {
            let nick = to.resource().and_then(|nick| crate::name::Nick::parse(nick).ok());
            let occupant = nick.and_then(|nick| self.roster.named(&nick));
            return occupant.map(super::super::roster::Occupant::session_jids).unwrap_or_default();
        }
        let bare = to.to_bare();
        self.roster.of_user(&bare).flat_map(super::super::roster::Occupant::session_jids).collect()
    }
}
