//! Affiliations set (XEP-0045 §9.1 ban, §9.3 member, §10.3-§10.7 owner and admin): what becomes of those
//! inside, and who hears of those who are not.

use minidom::Element;

use super::super::privilege::Actor;
use super::super::state::is_domain;
use super::super::view::{Face, Item, News, user_x};
use super::super::{Room, Turn};
use crate::muc::{Affiliation, Role, Status, Whois};
use crate::name::BareJid;
use crate::ns;
use crate::record::{AffiliationEntry, Leaving, Record};
use crate::stanza::{Audience, Kind, Stanza, Type};

impl Room {
    /// Puts `entry` on the room's lists; that `by` may is checked before. Those inside whom it concerns get
    /// role and place that go with it.
    pub(in super::super) fn set_affiliation(&mut self, by: &Actor, entry: AffiliationEntry, turn: &mut Turn<'_>) {
        let who = entry.who.clone();
        let old = self.affiliations.get(&who);
        let is_known = match old {
            Some(old) => (old.affiliation, &old.nick, &old.reason) == (entry.affiliation, &entry.nick, &entry.reason),
            None => entry.affiliation == Affiliation::None && entry.nick.is_none(),
        };
        if is_known {
            return;
        }
        let was = self.affiliation(&who);
        let before: Vec<Face> = self
            .roster
            .iter()
            .filter(|occupant| concerns(&who, &occupant.bare))
            .map(|occupant| self.face(occupant))
            .collect();
        let is_relisted = old.map_or(Affiliation::None, |old| old.affiliation) != entry.affiliation;
        let is_new = old.is_none();
        let (affiliation, reason) = (entry.affiliation, entry.reason.clone());
        self.commit(Record::Affiliated(Box::new(entry)), turn);
        let mav = is_relisted.then(|| self.relist(&who, turn));
        if is_new && !is_domain(&who) {
            self.note_seen(&who, turn);
        }
        let news = News { actor: by.nick.as_ref(), reason: reason.as_deref(), ..News::default() };
        let with_versions = News { mav: mav.as_ref(), ..news };
        for (nth, face) in before.iter().enumerate() {
            // Of several nicks of a user one tells of the lists; none of those whom an entry for a domain concerns.
            let tells = nth == 0 && !is_domain(&who);
            self.adapt(face, if tells { &with_versions } else { &news }, turn);
        }
        let is_for_all = is_relisted && is_domain(&who);
        if before.is_empty() && was != affiliation || is_for_all {
            self.tell_absent(&who, affiliation, &with_versions, turn);
        }
    }

    /// Gives the lists a new version, for the affiliation of `who` is another one; tells which and from which.
    fn relist(&mut self, who: &BareJid, turn: &mut Turn<'_>) -> Element {
        let version = self.versions.current() + 1;
        self.commit(Record::Relisted { who: who.clone(), version }, turn);
        self.step_to(version)
    }

    /// Somebody inside has another affiliation than before.
    fn adapt(&mut self, before: &Face, news: &News<'_>, turn: &mut Turn<'_>) {
        let affiliation = self.affiliation(&before.bare);
        if affiliation == before.affiliation {
            return;
        }
        if affiliation == Affiliation::Outcast {
            let news = News { statuses: &[Status::Banned], ..*news };
            self.put_out(&before.nick, Leaving::Banned, &news, turn);
            return;
        }
        if self.config.is_members_only && affiliation < Affiliation::Member {
            let news = News { statuses: &[Status::AffiliationLost], ..*news };
            self.put_out(&before.nick, Leaving::AffiliationLost, &news, turn);
            return;
        }
        let role = self.adapted_role(before, affiliation);
        if role != before.role {
            self.commit(Record::RoleSet { nick: before.nick.clone(), role }, turn);
        }
        if let Some(face) = self.face_named(&before.nick) {
            self.announce(&face, self.config.broadcasts(before.role), news, turn);
        }
    }

    fn adapted_role(&self, before: &Face, affiliation: Affiliation) -> Role {
        let was_admin = before.affiliation >= Affiliation::Admin;
        if affiliation >= Affiliation::Admin || was_admin {
            return self.initial_role(affiliation);
        }
        if affiliation == Affiliation::Member { before.role.max(Role::Participant) } else { before.role }
    }

    /// Somebody who is not inside has another affiliation: those who may see the JID are told (§9.1, §9.3).
    fn tell_absent(&self, who: &BareJid, affiliation: Affiliation, news: &News<'_>, turn: &mut Turn<'_>) {
        let to = if self.config.whois == Whois::Anyone {
            self.roster.everyone()
        } else {
            self.roster.sessions_where(|occupant| occupant.role == Role::Moderator)
        };
        if to.is_empty() {
            return;
        }
        let item = Item {
            affiliation,
            role: Role::None,
            jid: Some(who.as_str()),
            actor: news.actor,
            reason: news.reason,
            ..Item::default()
        };
        let id = turn.id();
        let stanza = Stanza::new(Kind::Message, Type::None, self.jid.as_jid().clone())
            .with_id(Some(id))
            .with(user_x(news.mav.cloned().into_iter().chain([item.to_element(ns::MUC_USER)]), &[]));
        turn.say(stanza, Audience::Many(to));
    }
}

/// Whether an entry about `entry` concerns the user `user`.
fn concerns(entry: &BareJid, user: &BareJid) -> bool {
    let is_within =
        |domain: &str| user.domain().strip_suffix(domain).is_some_and(|front| front.is_empty() || front.ends_with('.'));
    entry == user || is_domain(entry) && is_within(entry.as_str())
}
