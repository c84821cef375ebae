//! The lists (XEP-0045 §8.5, §9.2, §9.5, §9.8, §10.5, §10.8): who has which affiliation, who which role.

use minidom::Element;

use super::super::refusal::Refusal;
use super::super::view::Item;
use super::super::{Room, Turn};
use crate::muc::{Affiliation, Role};
use crate::ns;
use crate::stanza::Inbound;
use crate::stanza::element::{Build, el};

impl Room {
    /// Answers with the list that the one item names, by affiliation or by role.
    pub(in super::super) fn tell_list(
        &self,
        ask: &Inbound,
        query: &Element,
        turn: &mut Turn<'_>,
    ) -> Result<(), Refusal> {
        let item = query.get_child("item", ns::MUC_ADMIN);
        let item = item.ok_or(Refusal::Malformed("The request has no item."))?;
        let actor = self.actor(&ask.stanza.from);
        let mut answer = el("query", ns::MUC_ADMIN);
        match (item.attr("affiliation"), item.attr("role")) {
            (Some(word), _) => {
                let affiliation =
                    Affiliation::parse(word).ok_or(Refusal::Malformed("There is no such affiliation."))?;
                self.may_read_list(&actor, affiliation)?;
                for item in self.affiliated(affiliation) {
                    answer.append_child(item);
                }
            }
            (None, Some(word)) => {
                let role = Role::parse(word).ok_or(Refusal::Malformed("There is no such role."))?;
                if actor.role != Role::Moderator && actor.affiliation < Affiliation::Admin {
                    return Err(Refusal::Forbidden("Only moderators may read this list."));
                }
                for item in self.in_role(role) {
                    answer.append_child(item);
                }
            }
            (None, None) => return Err(Refusal::Malformed("The item names no list.")),
        }
        turn.answer(ask.result(Some(answer)));
        Ok(())
    }

    fn affiliated(&self, affiliation: Affiliation) -> impl Iterator<Item = Element> {
        let listed = affiliation != Affiliation::None;
        self.affiliations.values().filter(move |entry| listed && entry.affiliation == affiliation).map(|entry| {
            let mut item = el("item", ns::MUC_ADMIN)
                .with_attr("affiliation", entry.affiliation.as_str())
                .with_attr("jid", entry.who.as_str())
                .with_attr_opt("nick", entry.nick.as_ref().map(crate::name::Nick::as_str));
            if let Some(reason) = &entry.reason {
                item = item.with_text_child("reason", reason);
            }
            item
        })
    }

    fn in_role(&self, role: Role) -> impl Iterator<Item = Element> {
        self.roster.iter().filter(move |occupant| occupant.role == role).map(move |occupant| {
            let item = Item {
                affiliation: self.affiliation(&occupant.bare),
                role,
                jid: Some(occupant.shown().who.as_str()),
                nick: Some(&occupant.nick),
                ..Item::default()
            };
            item.to_element(ns::MUC_ADMIN)
        })
    }
}
