//! The room engine (XEP-0045): stanzas in, records and words out; `apply` is the only place a room changes.
//!
//! The seam: [`Room`], [`Input`], [`Outcome`]. The folders beside this file mirror the chapters of the XEP.
//! No clock, no chance, no IO: the shell brings [`Now`] in, makes `records` durable, then speaks `outbound`.

mod absent;
mod admin;
mod archive;
mod command;
mod corrections;
mod disco;
pub mod find;
mod hats;
mod history;
mod identity;
mod moderator;
mod occupant;
mod owner;
mod privilege;
mod pulse;
mod refusal;
mod repeat;
mod retracted;
mod roster;
mod route;
mod state;
#[cfg(test)]
mod tests;
mod versions;
mod view;

pub use archive::{Found, Lookup, PageSearch, Search, Sender};
pub use identity::Identity;
pub use state::Room;

use crate::muc::option::Bounds;
use crate::muc::{Blocked, RoomConfig};
use crate::name::BareJid;
use crate::record::{Record, Seq};
use crate::stanza::{Audience, Inbound, Outbound, Stanza};
use crate::time::{Moment, Now, Utc};

/// What a room is given.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// A stanza to the room or to one of its occupants.
    Stanza(&'a Inbound),
    /// A stanza by which a session entered: it may not have heard what it was told then.
    Again(&'a Inbound),
    /// The moment it asked to be woken at has come.
    Tick,
    /// Messages up to this place may have been kept for as long as they are to be.
    Expire(Seq),
    /// What its archive has to say to [`Outcome::lookup`].
    Found {
        /// Who asked, with the id of the request; the payload is not needed any more.
        asked: &'a Inbound,
        /// What was wanted.
        lookup: &'a Lookup,
        /// What there is.
        found: &'a Found,
    },
}

/// What a room answers: facts, then words.
#[derive(Debug, Default)]
pub struct Outcome {
    /// What has happened: durable before …
    pub records: Vec<Record>,
    /// … the world hears of it, in this order.
    pub outbound: Vec<Outbound>,
    /// Users with a tie to the room who are not inside and to whom something said now is the first since they were:
    /// those who asked the service for it are told (XEP-0437).
    pub activity: Vec<BareJid>,
    /// What is to be looked up in the archive, for the answer is not known yet: it comes as [`Input::Found`].
    pub lookup: Option<Lookup>,
    /// When the room wants its next [`Input::Tick`].
    pub wake: Option<Moment>,
}

/// What the operator decided for all rooms of a service domain.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ServiceRules {
    /// The service domain.
    pub domain: BareJid,
    /// Users who own every room, whatever its lists say.
    pub admins: Vec<BareJid>,
    /// Who is kept out of all rooms, whatever their lists say.
    pub blocked: Blocked,
    /// Who may create rooms.
    pub creation: Creators,
    /// What a new room starts with.
    pub defaults: RoomConfig,
    /// Keys of options that owners leave as they are (`muc::option`).
    pub fixed: Vec<&'static str>,
    /// Whether a new room stays locked until its owner configures it, as XEP-0045 §10.1 has it.
    pub locks_new_rooms: bool,
    /// Whether presence without the muc extension enters too, as groupchat 1.0 had it (XEP-0045 §7.2.1).
    pub takes_groupchat_1: bool,
    /// How long one who asked for voice waits before asking again, in milliseconds.
    pub voice_request_ms: i64,
    /// The most occupants any room may hold.
    pub occupants_max: u32,
    /// The most sessions one occupant may have.
    pub sessions_max: u32,
    /// The most messages of history any room may keep ready.
    pub history_max: u32,
    /// The most days any room may keep messages in its archive; 0: for ever.
    pub archive_days_max: u32,
    /// The most seconds a room may have people wait between two messages (XEP-0500).
    pub slow_mode_max: u32,
    /// The most mentions that one user who is not inside is told of in an hour (XEP-0452).
    pub mentions_per_hour: u32,
    /// The most entries a room's affiliation list may hold.
    pub affiliations_max: u32,
    /// The longest body or subject, in bytes.
    pub body_bytes_max: usize,
    /// The longest nick, in characters.
    pub nick_chars_max: usize,
    /// How long a destroyed room's JID stays reserved, in milliseconds.
    pub tombstone_ms: i64,
    /// How long a locked room waits for its configuration, in milliseconds.
    pub lock_ms: u64,
    /// How the service and its rooms show themselves.
    pub identity: Identity,
}

impl ServiceRules {
    /// The range options of a room stay in.
    pub fn bounds(&self) -> Bounds {
        Bounds {
            text_bytes_max: self.body_bytes_max,
            occupants_max: self.occupants_max,
            history_max: self.history_max,
            archive_days_max: self.archive_days_max,
            slow_mode_max: self.slow_mode_max,
        }
    }

    /// Days for which a room of that configuration keeps messages; for ever where there is no number.
    pub fn archive_days(&self, config: &RoomConfig) -> Option<u32> {
        self.bounds().archive_days(config)
    }

    /// What was said before this time is kept no longer in a room of that configuration.
    pub fn archived_from(&self, config: &RoomConfig, now: Utc) -> Option<Utc> {
        self.archive_days(config).map(|days| Utc(now.0.saturating_sub(i64::from(days) * 86_400_000)))
    }
}

/// Who may create rooms.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Creators {
    /// Everyone.
    Anyone,
    /// Users of the service's parent domain (`example.org` for `conference.example.org`).
    Local,
    /// The service's admins.
    Admins,
}

/// One call of [`Room::handle`]: what the world brought, and what is answered.
struct Turn<'a> {
    now: Now,
    out: &'a mut Outcome,
    ids: u64,
}

impl Turn<'_> {
    /// A fresh opaque id.
    fn id(&mut self) -> String {
        self.id_of(self.now.utc)
    }

    /// The same for something of that time: in the archive ids are in the order of times.
    fn id_of(&mut self, utc: Utc) -> String {
        self.ids += 1;
        Now { utc, ..self.now }.id(self.ids)
    }

    fn say(&mut self, stanza: Stanza, to: Audience) {
        if !to.as_slice().is_empty() {
            self.out.outbound.push(Outbound { stanza, to });
        }
    }

    fn answer(&mut self, answer: Outbound) {
        self.out.outbound.push(answer);
    }
}
