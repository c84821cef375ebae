//! What somebody who is not inside hears of a change of the own affiliation: an invitation, where the room is for members
//! only (XEP-0045 §9.5), else a notice with 101 (§17.1). Strangers hear nothing of a ban.

use super::super::privilege::Actor;
use super::super::state::is_domain;
use super::super::view::{Item, user_x};
use super::super::{Room, Turn};
use crate::muc::{Affiliation, Role, Status, Whois};
use crate::name::BareJid;
use crate::ns;
use crate::stanza::{Audience, Kind, Stanza, Type};

impl Room {
    /// What `who` is if not inside, to be told what becomes of it by [`Room::tell_away`].
    pub(in super::super) fn away(&self, who: &BareJid) -> Option<Affiliation> {
        let is_inside = self.roster.of_user(who).next().is_some();
        (!is_inside && !is_domain(who)).then(|| self.affiliation(who))
    }

    /// Tells `who`, not inside, what `by` made of it; `was` is what it was before.
    pub(in super::super) fn tell_away(
        &self,
        by: &Actor,
        who: &BareJid,
        was: Option<Affiliation>,
        reason: Option<&str>,
        turn: &mut Turn<'_>,
    ) {
        let Some(was) = was else { return };
        let affiliation = self.affiliation(who);
        let concerns_member = was.max(affiliation) >= Affiliation::Member;
        if affiliation == was || !concerns_member || *who == by.bare {
            return;
        }
        let stanza = if self.config.is_members_only && was < Affiliation::Member {
            self.invitation(&self.name_of(by), reason, None)
        } else {
            let item = Item { affiliation, role: Role::None, reason, ..Item::default() };
            let x = user_x([item.to_element(ns::MUC_USER)], &[Status::AffiliationChangedAbsent]);
            Stanza::new(Kind::Message, Type::None, self.jid.as_jid().clone()).with(x)
        };
        let stanza = stanza.with_id(Some(turn.id()));
        turn.say(stanza, Audience::One(who.as_jid().clone()));
    }

    /// Who `by` is to people who may not know: where real JIDs are not for everyone the occupant JID, or the room.
    fn name_of(&self, by: &Actor) -> String {
        match (&by.nick, self.config.whois) {
            (_, Whois::Anyone) => by.bare.as_str().to_owned(),
            (Some(nick), Whois::Moderators) => self.occupant_jid(nick).as_str().to_owned(),
            (None, Whois::Moderators) => self.jid.as_str().to_owned(),
        }
    }
}
