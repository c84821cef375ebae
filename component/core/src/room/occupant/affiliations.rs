//! Versions of the affiliation lists for who enters (XEP-0463 v0.2.0): a client that names the version it knows hears what
//! changed since, one that names none or an unknown one the lists as a whole - before any presence, so that it knows
//! everyone it is about to see. Whoever may not read the lists of members, admins and owners is told so.
//!
//! A version's text is made with the room's secret: nobody asks for changes of a time they did not hear of. Changes made
//! while somebody is inside carry both versions (`admin/people.rs`).

use minidom::Element;

use super::super::privilege::Actor;
use super::super::view::user_x;
use super::super::{Room, Turn};
use crate::muc::Affiliation;
use crate::name::BareJid;
use crate::ns;
use crate::stanza::element::{Build, el};
use crate::stanza::{Audience, Condition, Inbound, Kind, Stanza, StanzaError, Type};

/// Items of one message at most, and about so many bytes.
const ITEMS_MAX: usize = 200;
const BYTES_MAX: usize = 60_000;
/// Characters of the part of a version's text that only the room can make.
const SEAL_CHARS: usize = 12;

impl Room {
    /// Tells a session that enters what it asks for of the lists; what its own presence says of their version.
    pub(super) fn tell_affiliations(&self, ask: &Inbound, x: &Element, turn: &mut Turn<'_>) -> Option<Element> {
        let asked = x.get_child("mav", ns::MAV)?;
        let who = &ask.stanza.from;
        let actor = self.actor(who);
        let lists = [Affiliation::Member, Affiliation::Admin, Affiliation::Owner];
        if lists.iter().any(|list| self.may_read_list(&actor, *list).is_err()) {
            let error = StanzaError::new(Condition::Forbidden, "You may not read the lists of this room.");
            let stanza = Stanza::new(Kind::Message, Type::Error, self.jid.as_jid().clone());
            turn.say(
                stanza.with_id(ask.stanza.id.clone()).with(error.to_element(self.jid.as_str())),
                Audience::One(who.clone()),
            );
            return None;
        }
        let since = asked.attr("since").and_then(|text| self.version_of(text));
        match since.and_then(|version| Some((version, self.versions.since(version)?))) {
            Some((version, changed)) => {
                let changed: Vec<_> = changed.into_iter().map(|who| self.listed(who, &actor)).collect();
                self.tell_items_of_lists(ask, Some(self.version_text(version)), &changed, turn);
            }
            None => {
                let all = self.affiliations.keys().map(|who| self.listed(who, &actor));
                let all: Vec<_> = all.filter(|(_, affiliation)| *affiliation != Affiliation::None).collect();
                self.tell_items_of_lists(ask, None, &all, turn);
            }
        }
        Some(mav(None, &self.version_text(self.versions.current())))
    }

    /// What changes the lists from one version to the next.
    pub(in super::super) fn step_to(&self, version: i64) -> Element {
        mav(Some(self.version_text(version - 1)), &self.version_text(version))
    }

    /// Who is banned is for those who may read it; to others they have no affiliation.
    fn listed<'a>(&self, who: &'a BareJid, actor: &Actor) -> (&'a BareJid, Affiliation) {
        let affiliation = self.affiliations.get(who).map_or(Affiliation::None, |entry| entry.affiliation);
        let is_hidden = affiliation == Affiliation::Outcast && self.may_read_list(actor, Affiliation::Outcast).is_err();
        (who, if is_hidden { Affiliation::None } else { affiliation })
    }

    /// One message or several, each going on from the version the one before led to. No change is no message, but no
    /// entry at all is one.
    fn tell_items_of_lists(
        &self,
        ask: &Inbound,
        mut since: Option<String>,
        items: &[(&BareJid, Affiliation)],
        turn: &mut Turn<'_>,
    ) {
        let until = self.version_text(self.versions.current());
        let mut rest = items;
        let mut is_first = since.is_none();
        while is_first || !rest.is_empty() {
            is_first = false;
            let (some, later) = rest.split_at(fitting(rest));
            rest = later;
            // What is between two versions is none that anybody could ask for.
            let reached = if rest.is_empty() { until.clone() } else { format!("{until}-{}", rest.len()) };
            let mut x = user_x([mav(since.replace(reached.clone()), &reached)], &[]);
            for (who, affiliation) in some {
                let item = el("item", ns::MUC_USER).with_attr("jid", who.as_str());
                x.append_child(item.with_attr("affiliation", affiliation.as_str()));
            }
            let stanza = Stanza::new(Kind::Message, Type::None, self.jid.as_jid().clone()).with_id(Some(turn.id()));
            turn.say(stanza.with(x), Audience::One(ask.stanza.from.clone()));
        }
    }

    fn version_text(&self, version: i64) -> String {
        let seal: String = self.keyed_text(&format!("affiliations {version}")).chars().take(SEAL_CHARS).collect();
        format!("{version}.{seal}")
    }

    fn version_of(&self, text: &str) -> Option<i64> {
        let version = text.split_once('.')?.0.parse().ok()?;
        (self.version_text(version) == text).then_some(version)
    }
}

/// How many of them make one message.
fn fitting(items: &[(&BareJid, Affiliation)]) -> usize {
    let mut bytes = 0;
    let fits = items.iter().take(ITEMS_MAX).take_while(|(who, _)| {
        let has_place = bytes < BYTES_MAX;
        bytes += who.as_str().len() + 40;
        has_place
    });
    fits.count()
}

fn mav(since: Option<String>, until: &str) -> Element {
    el("mav", ns::MAV).with_attr_opt("since", since).with_attr("until", until)
}
