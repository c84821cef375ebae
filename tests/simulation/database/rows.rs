//! The rows: lease, fence, rooms, messages, what was passed on; and the log that a database which forgets goes back in.

use std::collections::BTreeMap;
use std::sync::Arc;

use tandem_muc_core::name::BareJid;
use tandem_muc_core::record::{Message, Record, RoomId, RoomImage};
use tandem_muc_core::relay::Numbers;
use tandem_muc_core::room::Room;
use tandem_muc_core::stanza::Inbound;

use crate::stanzas::{ROOMS, room, rules};

/// What a node has handled of one boot of the relay.
pub(crate) type Handled = Option<(String, Numbers)>;

#[derive(Clone, Debug, Default)]
pub(crate) struct Lease {
    pub(crate) owner: Option<usize>,
    pub(crate) epoch: i64,
    pub(crate) expires_ms: i64,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Fence {
    pub(crate) epoch: i64,
    pub(crate) seq: i64,
    pub(crate) mark: i64,
    pub(crate) inbound: Handled,
}

/// What the old holder read and did not handle.
#[derive(Clone, Debug)]
pub(crate) enum Passed {
    Awaited,
    Whole(Vec<Arc<Inbound>>),
}

/// One change of one row, or of the rows of rooms by what happened in them.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    Lease(Lease),
    Fence(Fence),
    Facts(Vec<(BareJid, Record)>),
    Passed(i64, Passed),
}

#[derive(Debug)]
pub(crate) struct Rows {
    pub(crate) lease: Lease,
    pub(crate) fence: Fence,
    rooms: BTreeMap<BareJid, Room>,
    /// With the group they were written in.
    pub(crate) messages: BTreeMap<BareJid, Vec<(i64, Arc<Message>)>>,
    pub(crate) passed: BTreeMap<i64, Passed>,
    log: Vec<(u64, Change)>,
    keeps_log: bool,
}

impl Rows {
    pub(crate) fn new(keeps_log: bool) -> Rows {
        Rows {
            lease: Lease::default(),
            fence: Fence::default(),
            rooms: BTreeMap::new(),
            messages: BTreeMap::new(),
            passed: BTreeMap::new(),
            log: Vec::new(),
            keeps_log,
        }
    }

    /// One transaction at `now`.
    pub(crate) fn commit(&mut self, now: u64, changes: Vec<Change>) {
        for change in changes {
            self.apply(&change);
            if self.keeps_log {
                self.log.push((now, change));
            }
        }
    }

    fn apply(&mut self, change: &Change) {
        match change {
            Change::Lease(lease) => self.lease = lease.clone(),
            Change::Fence(fence) => self.fence = fence.clone(),
            Change::Passed(epoch, passed) => {
                self.passed.insert(*epoch, passed.clone());
            }
            Change::Facts(facts) => {
                for (jid, record) in facts {
                    if let Record::Spoken(message) = record {
                        self.messages.entry(jid.clone()).or_default().push((self.fence.seq, message.clone()));
                    }
                    let vacant = || Room::vacant(room_id(jid), jid.clone(), rules());
                    self.rooms.entry(jid.clone()).or_insert_with(vacant).apply(record);
                }
            }
        }
    }

    /// Undoes whatever was done after `moment`.
    pub(crate) fn forget_since(&mut self, moment: u64) {
        let log = std::mem::take(&mut self.log);
        *self = Rows::new(true);
        for (at, change) in log.into_iter().filter(|(at, _)| *at <= moment) {
            self.commit(at, vec![change]);
        }
    }

    /// The rooms at rest.
    pub(crate) fn images(&self) -> Vec<(BareJid, RoomImage)> {
        let there = self.rooms.iter().filter(|(_, room)| !room.is_vacant());
        there.map(|(jid, room)| (jid.clone(), room.image())).collect()
    }

    /// Messages written after this group, in the order of groups.
    pub(crate) fn tail(&self, mark: i64) -> Vec<(i64, BareJid, Arc<Message>)> {
        let mut tail: Vec<_> = Vec::new();
        for (jid, messages) in &self.messages {
            let after = messages.iter().filter(|(group, _)| *group > mark);
            tail.extend(after.map(|(group, message)| (*group, jid.clone(), message.clone())));
        }
        tail.sort_by_key(|(group, jid, message)| (*group, jid.clone(), message.seq));
        tail
    }
}

/// The key of a room: every node would make the same.
pub(crate) fn room_id(jid: &BareJid) -> RoomId {
    let place = ROOMS.iter().position(|name| *name == jid.as_str()).unwrap_or_default();
    debug_assert_eq!(room(place), *jid, "a room of the domain");
    RoomId(i64::try_from(place).unwrap_or_default() + 1)
}
