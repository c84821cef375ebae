//! What admins do (XEP-0045 §9), and moderators by the same protocol: several items in one request, all checked
//! first, then all applied - all or none.

mod lists;
mod notice;
mod people;

use std::collections::BTreeMap;

use minidom::Element;

use super::privilege::{self, Actor};
use super::refusal::Refusal;
use super::state::is_domain;
use super::{Room, Turn};
use crate::muc::{Affiliation, Role};
use crate::name::{BareJid, Jid, Nick};
use crate::ns;
use crate::record::AffiliationEntry;
use crate::stanza::Inbound;

/// The most items in one request.
const ITEMS_MAX: usize = 1000;

/// One thing to change about somebody.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Change {
    Role { nick: Nick, role: Role, reason: Option<String> },
    Affiliation { who: BareJid, affiliation: Affiliation, nick: Option<Nick>, reason: Option<String> },
}

impl Room {
    /// Changes roles and affiliations as the items say.
    pub(super) fn change_people(&mut self, ask: &Inbound, query: &Element, turn: &mut Turn<'_>) -> Result<(), Refusal> {
        let actor = self.actor(&ask.stanza.from);
        // First of all: whether somebody is inside under a real JID is for those who see real JIDs.
        privilege::must_moderate(&actor)?;
        let items = || query.children().filter(|child| child.is("item", ns::MUC_ADMIN));
        if items().nth(ITEMS_MAX).is_some() {
            return Err(Refusal::Malformed("The request has more items than one request may have."));
        }
        let changes = items().map(|item| self.read_change(item)).collect::<Result<Vec<_>, _>>()?;
        if changes.is_empty() {
            return Err(Refusal::Malformed("The request has no item."));
        }
        for change in &changes {
            self.may_change(&actor, change)?;
        }
        must_reserve_apart(&changes)?;
        self.must_keep_lists_sound(&changes)?;
        turn.answer(ask.result(None));
        self.make_changes(&actor, changes, turn);
        self.vanish_if_empty(turn);
        Ok(())
    }

    fn read_change(&self, item: &Element) -> Result<Change, Refusal> {
        let reason = item.get_child("reason", ns::MUC_ADMIN).map(Element::text).filter(|reason| !reason.is_empty());
        let reason_max = self.rules.body_bytes_max;
        if reason.as_ref().is_some_and(|reason| reason.len() > reason_max) {
            return Err(Refusal::TextTooLong(reason_max));
        }
        let nick = item.attr("nick").map(Nick::parse).transpose();
        let nick = nick.map_err(|_| Refusal::Malformed("An item's nick cannot be one."))?;
        let jid = item.attr("jid").map(Jid::parse).transpose();
        let jid = jid.map_err(|_| Refusal::Malformed("An item's jid is none."))?;
        match (item.attr("affiliation"), item.attr("role")) {
            (Some(word), None) => {
                let affiliation =
                    Affiliation::parse(word).ok_or(Refusal::Malformed("There is no such affiliation."))?;
                let (who, nick) = match (jid, nick) {
                    (Some(jid), nick) => (jid.to_bare(), nick),
                    (None, Some(nick)) => {
                        let occupant = self.roster.named(&nick).ok_or(Refusal::NoSuchOccupant)?;
                        (occupant.bare.clone(), None)
                    }
                    (None, None) => return Err(Refusal::Malformed("An item says whom it is about.")),
                };
                Ok(Change::Affiliation { who, affiliation, nick, reason })
            }
            (None, Some(word)) => {
                let role = Role::parse(word).ok_or(Refusal::Malformed("There is no such role."))?;
                let nick = match (nick, jid) {
                    (Some(nick), _) => nick,
                    (None, Some(jid)) => self.nick_of(&jid).ok_or(Refusal::NoSuchOccupant)?,
                    (None, None) => return Err(Refusal::Malformed("An item says whom it is about.")),
                };
                Ok(Change::Role { nick, role, reason })
            }
            _ => Err(Refusal::Malformed("An item has either an affiliation or a role.")),
        }
    }

    /// The nick inside of a real JID: of the very session, or of the user (§9.8).
    fn nick_of(&self, jid: &Jid) -> Option<Nick> {
        let bare = jid.to_bare();
        let occupant = self.roster.of(jid).or_else(|| self.roster.of_user(&bare).next());
        occupant.map(|occupant| occupant.nick.clone())
    }

    fn may_change(&self, actor: &Actor, change: &Change) -> Result<(), Refusal> {
        match change {
            Change::Role { nick, role, .. } => {
                let target = self.face_named(nick).ok_or(Refusal::NoSuchOccupant)?;
                match role {
                    Role::None => privilege::may_kick(actor, &target),
                    Role::Visitor | Role::Participant | Role::Moderator => {
                        privilege::may_set_role(actor, &target, *role)
                    }
                }
            }
            Change::Affiliation { who, affiliation, nick, .. } => {
                privilege::may_affiliate(actor, who, self.affiliation(who), *affiliation)?;
                if is_domain(who) && *affiliation >= Affiliation::Admin {
                    return Err(Refusal::DomainRank);
                }
                match nick {
                    Some(nick) => self.must_not_be_reserved(nick, who),
                    None => Ok(()),
                }
            }
        }
    }

    /// There is place for one more entry, or `who` has one.
    pub(super) fn must_have_entry(&self, who: &BareJid) -> Result<(), Refusal> {
        let max = self.rules.affiliations_max;
        let is_full = !self.affiliations.contains_key(who) && self.affiliations.len() >= max as usize;
        if is_full { Err(Refusal::ListFull(max)) } else { Ok(()) }
    }

    /// After all changes the room still has an owner, and no list is too long.
    pub(super) fn must_keep_lists_sound(&self, changes: &[Change]) -> Result<(), Refusal> {
        let mut owners: Vec<&BareJid> =
            self.affiliations.values().filter(|e| e.affiliation == Affiliation::Owner).map(|e| &e.who).collect();
        let had_owners = !owners.is_empty();
        let mut entries = self.affiliations.len();
        for change in changes {
            let Change::Affiliation { who, affiliation, .. } = change else { continue };
            owners.retain(|owner| *owner != who);
            if *affiliation == Affiliation::Owner {
                owners.push(who);
            }
            entries += usize::from(*affiliation != Affiliation::None && !self.affiliations.contains_key(who));
        }
        if had_owners && owners.is_empty() {
            return Err(Refusal::LastOwner);
        }
        let max = self.rules.affiliations_max;
        let is_longer = entries > self.affiliations.len();
        if is_longer && entries > max as usize { Err(Refusal::ListFull(max)) } else { Ok(()) }
    }

    /// Makes changes that were checked.
    pub(super) fn make_changes(&mut self, by: &Actor, changes: Vec<Change>, turn: &mut Turn<'_>) {
        for change in changes {
            match change {
                Change::Role { nick, role, reason } => self.set_role(by, &nick, role, reason.as_deref(), turn),
                Change::Affiliation { who, affiliation, nick, reason } => {
                    let nick = nick.or_else(|| self.affiliations.get(&who).and_then(|entry| entry.nick.clone()));
                    let nick = nick.filter(|_| affiliation >= Affiliation::Member);
                    let (by_jid, at) = (by.bare.clone(), turn.now.utc);
                    let was = self.away(&who);
                    let told = reason.clone();
                    let entry = AffiliationEntry { who: who.clone(), affiliation, nick, reason, by: by_jid, at };
                    self.set_affiliation(by, entry, turn);
                    self.tell_away(by, &who, was, told.as_deref(), turn);
                }
            }
        }
    }
}

/// One request may not reserve one nick for two people: the second would take it from the first.
fn must_reserve_apart(changes: &[Change]) -> Result<(), Refusal> {
    let mut holders: BTreeMap<&str, &BareJid> = BTreeMap::new();
    for change in changes {
        let Change::Affiliation { who, nick: Some(nick), .. } = change else { continue };
        if holders.insert(nick.key(), who).is_some_and(|other| other != who) {
            return Err(Refusal::NickReserved);
        }
    }
    Ok(())
}
