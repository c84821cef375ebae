//! From records to rows: what a group of facts changes, in order, said as few times as the outcome allows. The last
//! presence of a session is the only one written; messages are set apart, to be inserted all at once.

use std::collections::{BTreeMap, HashMap};

use tandem_muc_core::muc::Affiliation;
use tandem_muc_core::record::{
    HatChange, Message, MessageKind, RELISTED_MAX, Record, Retraction, RoomId, Seq, Tombstone,
};
use tandem_muc_core::time::Utc;

use super::connection::Value;
use super::error::StoreError;
use super::messages::Unwritten;
use super::session::Statement;
use super::{Fact, affiliations, hats, key, messages, occupants, relisted, rooms, vcards};

/// Facts in one group at most; the order in which sessions came is counted within it.
const GROUP_BITS: u32 = 20;

/// What becomes of a group of facts.
#[derive(Default)]
pub(super) struct Changes<'a> {
    /// In this order.
    pub(super) rows: Vec<Change<'a>>,
    /// After the rows.
    pub(super) messages: Vec<Unwritten<'a>>,
    /// The highest numbers of messages that leave no row.
    pub(super) counts: BTreeMap<RoomId, i64>,
    /// Where in `rows` a session's presence is written.
    presences: HashMap<(RoomId, &'a str, &'a str), usize>,
}

/// One change of rows.
pub(super) enum Change<'a> {
    /// Whatever rows there are.
    Any(Statement, Vec<Value<'a>>),
    /// The row of this room, which must be there.
    Room(RoomId, Statement, Vec<Value<'a>>),
    /// The row if it is there, else a new one; that takes the values and those that follow.
    UpdateOrInsert { update: Statement, insert: Statement, values: Vec<Value<'a>>, for_new: Option<Value<'a>> },
}

/// Sorts the facts of the group `number` into changes.
pub(super) fn of(facts: &[Fact], number: i64) -> Result<Changes<'_>, StoreError> {
    let mut changes = Changes::default();
    for (nth, fact) in facts.iter().enumerate() {
        let place = (number << GROUP_BITS) + i64::try_from(nth).unwrap_or(i64::MAX);
        changes.add(fact, place)?;
    }
    Ok(changes)
}

impl<'a> Changes<'a> {
    fn add(&mut self, fact: &'a Fact, place: i64) -> Result<(), StoreError> {
        let room = fact.room;
        match &fact.record {
            Record::Created(creation) => {
                let config = config_text(&creation.config)?;
                self.counts.remove(&room);
                self.any(rooms::CLEAR_NAME, vec![key::of_bare(&fact.jid).into()]);
                self.any(rooms::CREATE, rooms::created(room, &fact.jid, creation, config));
            }
            Record::Configured(config) => {
                self.room(room, rooms::CONFIGURE, rooms::configured(room, config, config_text(config)?));
            }
            Record::Unlocked => self.room(room, rooms::UNLOCK, vec![room.0.into()]),
            Record::Affiliated(entry) if entry.affiliation == Affiliation::None && entry.nick.is_none() => {
                self.any(affiliations::REMOVE, vec![room.0.into(), key::of_bare(&entry.who).into()]);
            }
            Record::Affiliated(entry) => self.rows.push(Change::UpdateOrInsert {
                update: affiliations::UPDATE,
                insert: affiliations::INSERT,
                values: affiliations::values(room, entry),
                for_new: None,
            }),
            Record::Entered(entry) => {
                self.people_change(room);
                self.rows.push(Change::UpdateOrInsert {
                    update: occupants::UPDATE,
                    insert: occupants::INSERT,
                    values: occupants::values(room, entry),
                    for_new: Some(place.into()),
                });
            }
            Record::Present { who, nick, presence_xml } => {
                let values =
                    vec![(&**presence_xml).into(), room.0.into(), key::of_nick(nick).into(), key::of_jid(who).into()];
                self.present((room, who.as_str(), nick.key()), values);
            }
            Record::Renamed { from, to } => {
                self.people_change(room);
                let values =
                    vec![to.as_str().into(), key::of_nick(to).into(), room.0.into(), key::of_nick(from).into()];
                self.any(occupants::RENAME, values);
            }
            Record::RoleSet { nick, role } => {
                self.any(occupants::SET_ROLE, vec![role.as_str().into(), room.0.into(), key::of_nick(nick).into()]);
            }
            Record::Left { who, nick, why: _ } => {
                self.people_change(room);
                self.any(occupants::REMOVE, vec![room.0.into(), key::of_nick(nick).into(), key::of_jid(who).into()]);
            }
            Record::Spoken(message) => self.spoken(room, message),
            Record::Retracted(retraction) => self.retracted(room, retraction),
            Record::Expired { upto, before } => self.expired(room, *upto, *before),
            Record::VcardSet(Some(card)) => self.rows.push(Change::UpdateOrInsert {
                update: vcards::UPDATE,
                insert: vcards::INSERT,
                values: vcards::values(room, card),
                for_new: None,
            }),
            Record::VcardSet(None) => self.any(vcards::CLEAR, vec![room.0.into()]),
            Record::Hat(change) => self.hat(room, change),
            Record::Seen { who, upto } => {
                self.any(affiliations::SEE, vec![upto.0.into(), room.0.into(), key::of_bare(who).into()]);
            }
            Record::Relisted { who, version } => {
                self.any(relisted::INSERT, vec![room.0.into(), (*version).into(), who.as_str().into()]);
                self.any(relisted::FORGET, vec![room.0.into(), (version - RELISTED_MAX).into()]);
            }
            Record::Destroyed(tombstone) => self.destroyed(room, tombstone),
            Record::Vanished => {
                self.empty(room);
                self.counts.remove(&room);
                self.any(rooms::VANISH, vec![room.0.into()]);
            }
        }
        Ok(())
    }

    fn any(&mut self, statement: Statement, values: Vec<Value<'a>>) {
        self.rows.push(Change::Any(statement, values));
    }

    fn room(&mut self, room: RoomId, statement: Statement, values: Vec<Value<'a>>) {
        self.rows.push(Change::Room(room, statement, values));
    }

    /// Writes a presence in the place of an earlier one of the same session, if nothing happened between them that
    /// says who is inside.
    fn present(&mut self, session: (RoomId, &'a str, &'a str), values: Vec<Value<'a>>) {
        let change = Change::Any(occupants::PRESENT, values);
        if let Some(&nth) = self.presences.get(&session) {
            self.rows[nth] = change;
        } else {
            self.presences.insert(session, self.rows.len());
            self.rows.push(change);
        }
    }

    /// Presences on both sides of this are different rows' matter.
    fn people_change(&mut self, room: RoomId) {
        self.presences.retain(|(of, ..), _| *of != room);
    }

    fn spoken(&mut self, room: RoomId, message: &'a Message) {
        match message.kind {
            MessageKind::Subject => self.room(room, rooms::SET_SUBJECT, rooms::subject(room, message)),
            MessageKind::Speech if !message.is_archived => self.count(room, message.seq.0),
            MessageKind::Speech => {}
        }
        if message.is_archived {
            self.messages.push(Unwritten { room, message, retraction: None });
        }
    }

    /// What is not written yet is written taken back.
    fn retracted(&mut self, room: RoomId, retraction: &'a Retraction) {
        let is_meant = |of: &&mut Unwritten<'a>| of.room == room && retraction.concerns(of.message);
        match self.messages.iter_mut().find(is_meant) {
            Some(unwritten) if unwritten.retraction.is_some() => {}
            Some(unwritten) => unwritten.retraction = Some(retraction),
            None => self.any(messages::RETRACT, messages::retracted(room, retraction)),
        }
    }

    /// Numbers are noted before their messages go.
    fn expired(&mut self, room: RoomId, upto: Seq, before: Utc) {
        let is_gone = |of: &Unwritten<'_>| of.room == room && of.message.seq <= upto && of.message.at < before;
        if let Some(seq) = self.messages.iter().filter(|of| is_gone(of)).map(|of| of.message.seq.0).max() {
            self.count(room, seq);
        }
        self.messages.retain(|of| !is_gone(of));
        self.any(rooms::COUNT_ALL, vec![room.0.into(), room.0.into()]);
        self.any(messages::EXPIRE, vec![room.0.into(), upto.0.into(), before.0.into()]);
    }

    fn hat(&mut self, room: RoomId, change: &'a HatChange) {
        match change {
            HatChange::Made(hat) => self.rows.push(Change::UpdateOrInsert {
                update: hats::UPDATE,
                insert: hats::INSERT,
                values: hats::values(room, hat),
                for_new: None,
            }),
            HatChange::Destroyed { uri } => {
                self.any(hats::REMOVE, vec![room.0.into(), key::of_text(uri).into()]);
                self.any(hats::REMOVE_WORN, vec![room.0.into(), key::of_text(uri).into()]);
            }
            HatChange::PutOn { who, uri } => self.rows.push(Change::UpdateOrInsert {
                update: hats::UPDATE_WORN,
                insert: hats::INSERT_WORN,
                values: hats::worn_values(room, who, uri),
                for_new: None,
            }),
            HatChange::TakenOff { who, uri } => {
                self.any(hats::TAKE_OFF, vec![room.0.into(), key::of_bare(who).into(), key::of_text(uri).into()]);
            }
        }
    }

    fn count(&mut self, room: RoomId, seq: i64) {
        let highest = self.counts.entry(room).or_insert(seq);
        *highest = seq.max(*highest);
    }

    fn destroyed(&mut self, room: RoomId, tombstone: &'a Tombstone) {
        let unwritten = self.messages.iter().filter(|of| of.room == room).map(|of| of.message.seq.0).max();
        if let Some(seq) = unwritten {
            self.count(room, seq);
        }
        self.any(rooms::COUNT_ALL, vec![room.0.into(), room.0.into()]);
        self.empty(room);
        self.room(room, rooms::DESTROY, rooms::destroyed(room, tombstone));
    }

    /// Nobody and nothing remains in the room.
    fn empty(&mut self, room: RoomId) {
        self.people_change(room);
        self.messages.retain(|of| of.room != room);
        for clear in [
            occupants::CLEAR,
            affiliations::CLEAR,
            relisted::CLEAR,
            messages::CLEAR,
            vcards::CLEAR,
            hats::CLEAR,
            hats::CLEAR_WORN,
        ] {
            self.any(clear, vec![room.0.into()]);
        }
    }
}

fn config_text(config: &tandem_muc_core::muc::RoomConfig) -> Result<String, StoreError> {
    rooms::config_text(config).map_err(|what| StoreError::Damaged { table: rooms::TABLE, what })
}
