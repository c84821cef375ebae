//! Members who are not inside, shown to those who enter (`muc#roomconfig_show_absent`; status codes 102 and 103 of XEP-0045
//! §15.6.2): an unavailable presence for each nick the room keeps for a member, before the newcomer's own. Clients that
//! know of it list the member as away, others pass over somebody leaving whom they never saw.

use super::super::view::{Item, occupant_id, user_x};
use super::super::{Room, Turn};
use crate::muc::{Affiliation, Role};
use crate::name::{Jid, Nick};
use crate::ns;
use crate::record::AffiliationEntry;
use crate::stanza::{Audience, Kind, Stanza, Type};

/// Members shown to one newcomer at most.
const SHOWN_MAX: usize = 1_000;

impl Room {
    /// Shows a session that enters who else belongs here.
    pub(in super::super) fn show_absent(&self, to: &Jid, sees_jids: bool, turn: &mut Turn<'_>) {
        if !self.config.shows_absent {
            return;
        }
        let members = self.reserved.values().filter_map(|who| self.affiliations.get(who));
        let shown = members.filter_map(|entry| self.absent_presence(entry, sees_jids));
        for stanza in shown.take(SHOWN_MAX) {
            turn.say(stanza, Audience::One(to.clone()));
        }
    }

    /// How somebody is whose nick is kept and who is not inside.
    pub(in super::super) fn absent_named(&self, nick: &Nick, sees_jids: bool) -> Option<Stanza> {
        let entry = self.reserved.get(nick.key()).and_then(|who| self.affiliations.get(who))?;
        self.absent_presence(entry, sees_jids).filter(|_| self.config.shows_absent)
    }

    fn absent_presence(&self, entry: &AffiliationEntry, sees_jids: bool) -> Option<Stanza> {
        let nick = entry.nick.as_ref().filter(|nick| self.roster.named(nick).is_none())?;
        if entry.affiliation < Affiliation::Member || !self.is_away(&entry.who) {
            return None;
        }
        let item = Item {
            affiliation: self.affiliation(&entry.who),
            role: Role::None,
            jid: sees_jids.then(|| entry.who.as_str()),
            ..Item::default()
        };
        let stanza = Stanza::new(Kind::Presence, Type::Unavailable, self.occupant_jid(nick))
            .with(occupant_id(&self.occupant_id(&entry.who)))
            .with(user_x([item.to_element(ns::MUC_USER)], &[]));
        Some(stanza)
    }
}
