//! What a room is, and `apply`: the only place it changes. Reload, takeover and replay share it, so a room
//! restored from its image goes on exactly as the one that lived.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::absent::Absent;
use super::hats::Hats;
use super::history::History;
use super::occupant::LastWords;
use super::pulse::Pulse;
use super::roster::Roster;
use super::versions::Versions;
use super::{ServiceRules, Turn};
use crate::muc::{Affiliation, RoomConfig};
use crate::name::{BareJid, Jid, Nick};
use crate::record::{
    AffiliationEntry, Creation, Message, MessageKind, OccupantEntry, Record, RoomId, RoomImage, Seq, Tombstone,
};
use crate::time::Utc;

/// A room: decides, records, applies, speaks. Without clock, chance and IO.
#[derive(Debug)]
pub struct Room {
    pub(super) id: RoomId,
    pub(super) jid: BareJid,
    pub(super) rules: Arc<ServiceRules>,
    pub(super) is_created: bool,
    pub(super) created_at: Utc,
    pub(super) config: RoomConfig,
    pub(super) is_locked: bool,
    occupant_id_salt: String,
    pub(super) subject: Option<Arc<Message>>,
    pub(super) last_seq: Seq,
    pub(super) affiliations: BTreeMap<BareJid, AffiliationEntry>,
    /// Entries that speak of a whole domain; mostly none, and then nobody's domain is looked up.
    domain_entries: usize,
    /// Reserved nicks, as compared, and for whom.
    pub(super) reserved: BTreeMap<Arc<str>, BareJid>,
    pub(super) roster: Roster,
    /// Whether nobody is inside whom the service keeps out.
    pub(super) is_screened: bool,
    pub(super) absent: Absent,
    pub(super) versions: Versions,
    pub(super) history: History,
    pub(super) pulse: Pulse,
    pub(super) last_words: LastWords,
    /// Who asked for voice when; kept in memory alone, for it keeps moderators from being asked twice and no more.
    pub(super) voice_requests: LastWords,
    /// The hashes of the picture in its vCard.
    pub(super) avatars: Arc<[String]>,
    pub(super) hats: Hats,
    pub(super) tombstone: Option<Tombstone>,
}

impl Room {
    /// The room as long as there is none: the first to enter creates it, under `id`.
    pub fn vacant(id: RoomId, jid: BareJid, rules: Arc<ServiceRules>) -> Room {
        let config = rules.defaults.clone();
        Room {
            id,
            jid,
            rules,
            is_created: false,
            created_at: Utc::default(),
            config,
            is_locked: false,
            occupant_id_salt: String::new(),
            subject: None,
            last_seq: Seq(0),
            affiliations: BTreeMap::new(),
            domain_entries: 0,
            reserved: BTreeMap::new(),
            roster: Roster::default(),
            is_screened: false,
            absent: Absent::default(),
            versions: Versions::default(),
            history: History::default(),
            pulse: Pulse::default(),
            last_words: LastWords::default(),
            voice_requests: LastWords::default(),
            avatars: Arc::new([]),
            hats: Hats::default(),
            tombstone: None,
        }
    }

    /// Takes new rules over, from the next input on.
    pub fn obey(&mut self, rules: Arc<ServiceRules>) {
        self.rules = rules;
        self.is_screened = false;
    }

    /// The room at `jid` as it was when `image` was taken.
    pub fn restore(jid: BareJid, rules: Arc<ServiceRules>, image: RoomImage) -> Room {
        let mut room = Room::vacant(image.id, jid, rules);
        room.is_created = true;
        room.created_at = image.created_at;
        room.config = image.config;
        room.is_locked = image.is_locked;
        room.occupant_id_salt = image.occupant_id_salt;
        room.subject = image.subject;
        room.last_seq = image.last_seq;
        for entry in image.affiliations {
            room.affiliate(entry);
        }
        for entry in &image.occupants {
            room.enter_roster(entry);
        }
        for message in image.history {
            room.history.push(message, room.config.history_max);
        }
        let is_whole = room.config.is_archived && room.history.len() < room.config.history_max as usize;
        room.pulse = Pulse::restored(room.created_at, &room.history, is_whole);
        room.avatars = image.avatars;
        room.hats = Hats::restored(image.hats, image.hat_wearers);
        room.versions = Versions::restored(image.relisted);
        room.restore_absent(image.seen);
        room.tombstone = image.tombstone;
        room
    }

    /// The room at rest: what the store gives back after all records so far.
    pub fn image(&self) -> RoomImage {
        RoomImage {
            id: self.id,
            created_at: self.created_at,
            config: self.config.clone(),
            is_locked: self.is_locked,
            occupant_id_salt: self.occupant_id_salt.clone(),
            subject: self.subject.clone(),
            last_seq: self.last_seq,
            affiliations: self.affiliations.values().cloned().collect(),
            seen: self.absent.seen(),
            relisted: self.versions.entries(),
            occupants: self.roster.entries(),
            history: self.history.messages(),
            avatars: self.avatars.clone(),
            hats: self.hats.made().cloned().collect(),
            hat_wearers: self.hats.wearers().map(|(who, uri)| (who.clone(), uri.to_owned())).collect(),
            tombstone: self.tombstone.clone(),
        }
    }

    /// Changes the room as `record` says.
    pub fn apply(&mut self, record: &Record) {
        match record {
            Record::Created(creation) => self.create(creation),
            Record::Configured(config) => {
                self.config = (**config).clone();
                self.history.trim(self.config.history_max);
            }
            Record::Unlocked => self.is_locked = false,
            Record::Affiliated(entry) => self.affiliate((**entry).clone()),
            Record::Entered(entry) => self.enter_roster(entry),
            Record::Present { who, nick: _, presence_xml } => self.roster.present(who, presence_xml),
            Record::Renamed { from, to } => {
                self.roster.rename(from, to, self.jid.with_prepared_resource(to.as_str()));
            }
            Record::RoleSet { nick, role } => self.roster.set_role(nick, *role),
            Record::Left { who, nick: _, why: _ } => self.roster.leave(who),
            Record::Spoken(message) => self.hear(message),
            Record::Retracted(retraction) => self.history.retract(retraction),
            Record::Expired { upto, before } => self.history.expire(*upto, *before),
            Record::VcardSet(card) => {
                self.avatars = card.as_ref().map_or_else(|| Arc::new([]) as Arc<[String]>, |card| card.avatars.clone());
            }
            Record::Hat(change) => self.hats.apply(change),
            Record::Seen { who, upto } => self.see(who, *upto),
            Record::Relisted { who, version } => self.versions.push(*version, who.clone()),
            Record::Destroyed(tombstone) => {
                self.hats = Hats::default();
                self.roster = Roster::default();
                self.avatars = Arc::new([]);
                self.absent = Absent::default();
                self.versions = Versions::default();
                self.affiliations.clear();
                self.reserved.clear();
                self.domain_entries = 0;
                self.tombstone = Some(tombstone.clone());
            }
            Record::Vanished => *self = Room::vacant(self.id, self.jid.clone(), self.rules.clone()),
        }
    }

    /// Records what has happened and applies it.
    pub(super) fn commit(&mut self, record: Record, turn: &mut Turn<'_>) {
        self.apply(&record);
        turn.out.records.push(record);
    }

    /// Whether there is nothing to keep: never created, or vanished.
    pub fn is_vacant(&self) -> bool {
        !self.is_created
    }

    /// Whether nobody is inside and nothing is waited for: it may be unloaded.
    pub fn is_quiet(&self) -> bool {
        self.roster.is_empty() && (!self.is_locked || self.tombstone.is_some())
    }

    /// Its address.
    pub fn jid(&self) -> &BareJid {
        &self.jid
    }

    /// Its key in the store.
    pub fn id(&self) -> RoomId {
        self.id
    }

    /// How many nicks are inside.
    pub fn occupants(&self) -> usize {
        self.roster.len()
    }

    /// The affiliation of `who` here: service admins own every room, whom the service keeps out is an outcast, a user's own entry goes before that of
    /// its domain.
    pub(super) fn affiliation(&self, who: &BareJid) -> Affiliation {
        if self.rules.admins.contains(who) {
            return Affiliation::Owner;
        }
        if self.rules.blocked.has(who) {
            return Affiliation::Outcast;
        }
        match self.affiliations.get(who) {
            Some(entry) if entry.affiliation != Affiliation::None => entry.affiliation,
            _ => self.domain_affiliation(who),
        }
    }

    fn domain_affiliation(&self, who: &BareJid) -> Affiliation {
        if self.domain_entries == 0 {
            return Affiliation::None;
        }
        let of = |domain: &str| {
            let entry = BareJid::parse(domain).ok().and_then(|domain| self.affiliations.get(&domain));
            entry.map_or(Affiliation::None, |entry| entry.affiliation)
        };
        let own = of(who.domain());
        let mut above = who.domain();
        while let Some((_, parent)) = above.split_once('.') {
            if own != Affiliation::None {
                break;
            }
            // A ban reaches down to subdomains (§9.2), trust does not.
            if of(parent) == Affiliation::Outcast {
                return Affiliation::Outcast;
            }
            above = parent;
        }
        own
    }

    /// The occupant id of `who` here (XEP-0421): the same for all its visits, telling nothing of the JID.
    pub(super) fn occupant_id(&self, who: &BareJid) -> Arc<str> {
        self.keyed_text(who.as_str()).into()
    }

    /// A text that only this room can make of `text`.
    pub(super) fn keyed_text(&self, text: &str) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.occupant_id_salt.as_bytes()).expect("any key length is fine");
        mac.update(text.as_bytes());
        STANDARD.encode(mac.finalize().into_bytes())
    }

    /// The occupant JID that `nick` is or would be.
    pub(super) fn occupant_jid(&self, nick: &Nick) -> Jid {
        self.jid.with_prepared_resource(nick.as_str())
    }

    fn create(&mut self, creation: &Creation) {
        *self = Room::vacant(self.id, self.jid.clone(), self.rules.clone());
        self.is_created = true;
        self.created_at = creation.at;
        self.pulse = Pulse::from(creation.at);
        self.config = creation.config.clone();
        self.is_locked = creation.is_locked;
        self.occupant_id_salt.clone_from(&creation.occupant_id_salt);
    }

    fn affiliate(&mut self, entry: AffiliationEntry) {
        if let Some(old) = self.affiliations.remove(&entry.who) {
            self.domain_entries -= usize::from(is_domain(&old.who));
            if let Some(nick) = &old.nick {
                self.reserved.remove(nick.key());
            }
        }
        self.absent.tie(&entry);
        if entry.affiliation == Affiliation::None && entry.nick.is_none() {
            return;
        }
        self.domain_entries += usize::from(is_domain(&entry.who));
        if let Some(nick) = &entry.nick {
            self.reserved.insert(nick.shared_key(), entry.who.clone());
        }
        self.affiliations.insert(entry.who.clone(), entry);
    }

    fn enter_roster(&mut self, entry: &OccupantEntry) {
        let jid = self.occupant_jid(&entry.nick);
        let occupant_id = self.occupant_id(&entry.who.to_bare());
        self.roster.enter(entry, jid, occupant_id);
    }

    fn hear(&mut self, message: &Arc<Message>) {
        self.last_seq = self.last_seq.max(message.seq);
        self.pulse.beat(message);
        self.absent.hear(message);
        match message.kind {
            MessageKind::Speech => self.history.push(message.clone(), self.config.history_max),
            MessageKind::Subject => self.subject = Some(message.clone()),
        }
    }
}

/// Whether an entry of the lists speaks of a whole domain.
pub(super) fn is_domain(who: &BareJid) -> bool {
    who.local().is_none()
}
