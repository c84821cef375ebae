//! Who is inside: occupants by nick, each with its sessions, in the order they came.
//!
//! Looked up by hash (fixed seed), walked only in the order of coming: no hash order ever gets out.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::OnceLock;

use foldhash::fast::FixedState;
use minidom::Element;

use crate::muc::Role;
use crate::name::{BareJid, Jid, Nick};
use crate::ns;
use crate::record::OccupantEntry;
use crate::stanza::element::parse;
use crate::stanza::write_element;
use crate::time::Utc;

/// One nick inside, with one or more sessions of one user.
#[derive(Clone, Debug)]
pub(super) struct Occupant {
    pub(super) nick: Nick,
    /// The occupant JID.
    pub(super) jid: Jid,
    /// Whose it is.
    pub(super) bare: BareJid,
    pub(super) role: Role,
    /// XEP-0421.
    pub(super) stable_id: Arc<str>,
    /// Never empty; in the order they came. The last one's presence is shown.
    pub(super) sessions: Vec<Session>,
}

/// One client inside.
#[derive(Clone, Debug)]
pub(super) struct Session {
    pub(super) who: Jid,
    at: Utc,
    place: u64,
    pub(super) presence_xml: Arc<str>,
    pub(super) presence: Arc<[Element]>,
}

impl Occupant {
    /// The session whose presence is shown.
    pub(super) fn shown(&self) -> &Session {
        self.sessions.last().expect("an occupant leaves with its last session")
    }

    pub(super) fn session(&self, who: &Jid) -> Option<&Session> {
        self.sessions.iter().find(|session| session.who == *who)
    }

    pub(super) fn session_jids(&self) -> Vec<Jid> {
        self.sessions.iter().map(|session| session.who.clone()).collect()
    }
}

/// Everyone inside.
#[derive(Debug)]
pub(super) struct Roster {
    /// By the place of their first session.
    occupants: BTreeMap<u64, Occupant>,
    by_nick: HashMap<Arc<str>, u64, FixedState>,
    by_session: HashMap<Jid, u64, FixedState>,
    next_place: u64,
    everyone: OnceLock<Arc<[Jid]>>,
}

impl Default for Roster {
    fn default() -> Roster {
        let seeded = FixedState::with_seed(0x0045);
        Roster {
            occupants: BTreeMap::new(),
            by_nick: HashMap::with_hasher(seeded.clone()),
            by_session: HashMap::with_hasher(seeded),
            next_place: 0,
            everyone: OnceLock::new(),
        }
    }
}

impl Roster {
    pub(super) fn len(&self) -> usize {
        self.occupants.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.occupants.is_empty()
    }

    /// All occupants, in the order they came.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Occupant> {
        self.occupants.values()
    }

    pub(super) fn named(&self, nick: &Nick) -> Option<&Occupant> {
        self.by_nick.get(nick.key()).and_then(|place| self.occupants.get(place))
    }

    /// The occupant whose session `who` is.
    pub(super) fn of(&self, who: &Jid) -> Option<&Occupant> {
        self.by_session.get(who).and_then(|place| self.occupants.get(place))
    }

    /// All occupants of one user: there may be several, each under its nick.
    pub(super) fn of_user<'a>(&'a self, bare: &'a BareJid) -> impl Iterator<Item = &'a Occupant> {
        self.iter().filter(move |occupant| occupant.bare == *bare)
    }

    /// Every session, in order; made once, shared until the roster changes.
    pub(super) fn everyone(&self) -> Arc<[Jid]> {
        self.everyone.get_or_init(|| self.sessions_where(|_| true)).clone()
    }

    /// The sessions of those occupants, in order.
    pub(super) fn sessions_where(&self, is_meant: impl Fn(&Occupant) -> bool) -> Arc<[Jid]> {
        let mut jids = Vec::with_capacity(self.by_session.len());
        for occupant in self.iter().filter(|occupant| is_meant(occupant)) {
            jids.extend(occupant.sessions.iter().map(|session| session.who.clone()));
        }
        jids.into()
    }

    /// A session comes in, or comes again. `jid` and `stable_id` are its occupant's.
    pub(super) fn enter(&mut self, entry: &OccupantEntry, jid: Jid, stable_id: Arc<str>) {
        self.everyone.take();
        let mut session = Session {
            who: entry.who.clone(),
            at: entry.at,
            place: self.next_place,
            presence_xml: entry.presence_xml.clone(),
            presence: children_of(&entry.presence_xml),
        };
        if let Some(known) = self.of(&entry.who) {
            if known.nick == entry.nick {
                self.replace(entry, session);
                return;
            }
            self.leave(&entry.who);
        }
        session.place = self.next_place;
        self.next_place += 1;
        let place = *self.by_nick.entry(entry.nick.shared_key()).or_insert(session.place);
        self.by_session.insert(entry.who.clone(), place);
        let occupant = self.occupants.entry(place).or_insert_with(|| Occupant {
            nick: entry.nick.clone(),
            jid,
            bare: entry.who.to_bare(),
            role: entry.role,
            stable_id,
            sessions: Vec::with_capacity(1),
        });
        occupant.role = entry.role;
        occupant.sessions.push(session);
    }

    fn replace(&mut self, entry: &OccupantEntry, fresh: Session) {
        let Some(occupant) = self.occupant_mut(&entry.nick) else { return };
        occupant.role = entry.role;
        if let Some(session) = occupant.sessions.iter_mut().find(|session| session.who == entry.who) {
            *session = Session { place: session.place, ..fresh };
        }
    }

    /// A session's presence changes.
    pub(super) fn present(&mut self, who: &Jid, presence_xml: &Arc<str>) {
        let place = self.by_session.get(who).copied();
        let occupant = place.and_then(|place| self.occupants.get_mut(&place));
        let session = occupant.and_then(|occupant| occupant.sessions.iter_mut().find(|session| session.who == *who));
        if let Some(session) = session {
            session.presence_xml = presence_xml.clone();
            session.presence = children_of(presence_xml);
        }
    }

    /// An occupant takes another nick; `jid` is its new occupant JID.
    pub(super) fn rename(&mut self, from: &Nick, to: &Nick, jid: Jid) {
        let Some(place) = self.by_nick.remove(from.key()) else { return };
        self.by_nick.insert(to.shared_key(), place);
        if let Some(occupant) = self.occupants.get_mut(&place) {
            occupant.nick = to.clone();
            occupant.jid = jid;
        }
    }

    pub(super) fn set_role(&mut self, nick: &Nick, role: Role) {
        if let Some(occupant) = self.occupant_mut(nick) {
            occupant.role = role;
        }
    }

    /// A session goes, and with its last session the occupant.
    pub(super) fn leave(&mut self, who: &Jid) {
        let Some(place) = self.by_session.remove(who) else { return };
        self.everyone.take();
        let Some(mut occupant) = self.occupants.remove(&place) else { return };
        occupant.sessions.retain(|session| session.who != *who);
        let Some(first) = occupant.sessions.first() else {
            self.by_nick.remove(occupant.nick.key());
            return;
        };
        let place = first.place;
        self.by_nick.insert(occupant.nick.shared_key(), place);
        for session in &occupant.sessions {
            self.by_session.insert(session.who.clone(), place);
        }
        self.occupants.insert(place, occupant);
    }

    /// The roster at rest: its sessions in the order they came.
    pub(super) fn entries(&self) -> Vec<OccupantEntry> {
        let mut placed: Vec<(u64, OccupantEntry)> = Vec::with_capacity(self.by_session.len());
        for occupant in self.iter() {
            placed.extend(occupant.sessions.iter().map(|session| {
                let entry = OccupantEntry {
                    who: session.who.clone(),
                    nick: occupant.nick.clone(),
                    role: occupant.role,
                    presence_xml: session.presence_xml.clone(),
                    at: session.at,
                };
                (session.place, entry)
            }));
        }
        placed.sort_by_key(|(place, _)| *place);
        placed.into_iter().map(|(_, entry)| entry).collect()
    }

    fn occupant_mut(&mut self, nick: &Nick) -> Option<&mut Occupant> {
        self.by_nick.get(nick.key()).and_then(|place| self.occupants.get_mut(place))
    }
}

/// Children as text, one after the other.
pub(super) fn children_xml<'a>(children: impl IntoIterator<Item = &'a Element>) -> Arc<str> {
    let mut xml = String::new();
    for child in children {
        write_element(child, ns::CLIENT, &mut xml);
    }
    xml.into()
}

/// Elements written by [`children_xml`].
pub(super) fn children_of(xml: &str) -> Arc<[Element]> {
    if xml.is_empty() {
        return Arc::new([]);
    }
    parse(&format!("<presence xmlns='jabber:client'>{xml}</presence>"))
        .map(|presence| presence.children().cloned().collect())
        .unwrap_or_default()
}
