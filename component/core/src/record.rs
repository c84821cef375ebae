//! Records: everything that can happen in a room and must be durable before anyone hears of it; and the
//! [`RoomImage`], what a room looks like at rest.
//!
//! A record says what has happened, not what was asked. The store turns records into rows, the room's `apply`
//! turns them into state, and both must end at the same image: that is tested for any sequence.

use std::sync::Arc;

use crate::muc::{Affiliation, Role, RoomConfig};
use crate::name::{BareJid, Jid, Nick};
use crate::protocol::vcard::Vcard;
use crate::time::Utc;

/// The key of a room in the store: positive, made of time and chance, never given to a room of another name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RoomId(pub i64);

/// The place of a message in its room: 1, 2, 3 … without gaps, assigned by the room.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Seq(pub i64);

impl Seq {
    /// After all there will ever be.
    pub const ALL: Seq = Seq(i64::MAX);
}

/// So many of the last changes of a room's lists are remembered, to be told to who comes back.
pub const RELISTED_MAX: i64 = 200;

/// What has happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Record {
    /// The room came to be. Its creator's ownership is a record of its own.
    Created(Box<Creation>),
    /// The configuration was replaced as a whole, by an owner's form or a command.
    Configured(Box<RoomConfig>),
    /// A room kept locked for its first configuration was opened (XEP-0045 §10.1).
    Unlocked,
    /// Somebody's affiliation was set; `Affiliation::None` without nick means the entry is gone.
    Affiliated(Box<AffiliationEntry>),
    /// A session came in, under the nick of its occupant or a new one. Also a known session that came again:
    /// the same key (nick, real JID) then is replaced.
    Entered(Box<OccupantEntry>),
    /// A session's presence changed. Only the last one counts.
    Present {
        /// The session.
        who: Jid,
        /// Its nick.
        nick: Nick,
        /// The presence's payload as XML, as the client sent it less what only the room may say.
        presence_xml: Arc<str>,
    },
    /// An occupant took another nick, with all its sessions.
    Renamed {
        /// Before.
        from: Nick,
        /// After.
        to: Nick,
    },
    /// An occupant's role changed, for all its sessions.
    RoleSet {
        /// Whose.
        nick: Nick,
        /// To what.
        role: Role,
    },
    /// A session went.
    Left {
        /// The session.
        who: Jid,
        /// The nick it had.
        nick: Nick,
        /// Why, for the operator's eye.
        why: Leaving,
    },
    /// A message was reflected: speech or a subject.
    Spoken(Arc<Message>),
    /// What a message said was taken back, by its author or a moderator; that it was said stays.
    Retracted(Arc<Retraction>),
    /// Archived messages up to this place that were said before this time left the archive.
    Expired {
        /// The last that may have gone.
        upto: Seq,
        /// What was said at this time or later stays.
        before: Utc,
    },
    /// The room's vCard was set, or taken away.
    VcardSet(Option<Arc<Vcard>>),
    /// A hat was made, changed or destroyed, put on or taken off (XEP-0317).
    Hat(HatChange),
    /// What a user with a tie to the room has seen of it: all up to here, as it left; everything, while it is inside.
    Seen {
        /// Who.
        who: BareJid,
        /// Up to where; [`Seq::ALL`] inside.
        upto: Seq,
    },
    /// The lists have a new version, for somebody's affiliation is another one than before (XEP-0463).
    Relisted {
        /// Whose.
        who: BareJid,
        /// The version: 1, 2, 3 … in a room.
        version: i64,
    },
    /// The room was destroyed; its occupants and affiliations go, the JID stays reserved for a time (§10.9).
    Destroyed(Tombstone),
    /// A temporary room's last occupant left: nothing of it remains.
    Vanished,
}

/// A name a room gives to users, seen in their presence (XEP-0317).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hat {
    /// Which it is.
    pub uri: String,
    /// What people see.
    pub title: String,
    /// The colour people see it in, as an angle in degrees, as its maker wrote it.
    pub hue: Option<String>,
    /// The language of the title.
    pub lang: Option<String>,
}

/// What happened to a hat.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum HatChange {
    /// It came to be, or the one of its URI became this one.
    Made(Hat),
    /// It is gone, whoever wore it.
    Destroyed {
        /// Which.
        uri: String,
    },
    /// Somebody wears it.
    PutOn {
        /// Who.
        who: BareJid,
        /// Which.
        uri: String,
    },
    /// Somebody wears it no longer.
    TakenOff {
        /// Who.
        who: BareJid,
        /// Which.
        uri: String,
    },
}

/// How a room came to be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Creation {
    /// By whom.
    pub by: BareJid,
    /// When.
    pub at: Utc,
    /// With which configuration.
    pub config: RoomConfig,
    /// Whether it stays locked until configured (XEP-0045 §10.1.1).
    pub is_locked: bool,
    /// The secret that makes occupant ids (XEP-0421), 32 hex digits; never leaves the room row.
    pub occupant_id_salt: String,
}

/// Why a session went.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Leaving {
    /// By itself.
    Exit,
    /// Kicked (307).
    Kicked,
    /// Banned (301).
    Banned,
    /// Lost the affiliation the room asks for (321).
    AffiliationLost,
    /// The room became members-only (322).
    MembersOnly,
    /// Unreachable: an error came back (333).
    Unreachable,
}

/// One row of a room's affiliation list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AffiliationEntry {
    /// Who: a user, or a domain.
    pub who: BareJid,
    /// Which.
    pub affiliation: Affiliation,
    /// The nick reserved for them.
    pub nick: Option<Nick>,
    /// Why, as the one who set it said.
    pub reason: Option<String>,
    /// Who set it.
    pub by: BareJid,
    /// When.
    pub at: Utc,
}

/// One session inside a room.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OccupantEntry {
    /// The session's full JID.
    pub who: Jid,
    /// The occupant's nick.
    pub nick: Nick,
    /// The occupant's role.
    pub role: Role,
    /// The last presence's payload as XML, less what only the room may say.
    pub presence_xml: Arc<str>,
    /// When it came in.
    pub at: Utc,
}

/// A message as the archive keeps it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    /// Its place in the room.
    pub seq: Seq,
    /// Its opaque id: the stanza-id everyone heard (XEP-0359), the archive id (XEP-0313).
    pub archive_id: String,
    /// When.
    pub at: Utc,
    /// Speech or subject.
    pub kind: MessageKind,
    /// The sender's real JID; the room's own for what the room says.
    pub sender: Jid,
    /// The sender's nick; none for what the room itself says.
    pub nick: Option<Nick>,
    /// The sender's own id (`origin-id`, else the `id` attribute).
    pub origin_id: Option<String>,
    /// The text, for people and searches; none where there is no body.
    pub body: Option<String>,
    /// The whole reflected stanza as XML, without an address; default namespace `jabber:client`. Of one taken back,
    /// see [`Retraction::retracted_xml`].
    pub stanza_xml: Arc<str>,
    /// Whether it is kept in the archive; a subject is kept in the room row at any rate.
    pub is_archived: bool,
}

/// What was taken back, and what stands in its place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Retraction {
    /// The message's archive id.
    pub archive_id: String,
    /// Its author: a message of that id by somebody else is left as it is, and so is one taken back before.
    pub author: BareJid,
    /// What stands in place of what it said, as XML; begins with `<retracted`, as no message does.
    pub retracted_xml: Arc<str>,
}

impl Retraction {
    /// Whether it is this message that is taken back.
    pub fn concerns(&self, message: &Message) -> bool {
        message.kind == MessageKind::Speech
            && message.archive_id == self.archive_id
            && message.sender.is_same_bare(self.author.as_jid())
            && !message.is_retracted()
    }

    /// The message as it is kept from now on.
    pub fn applied_to(&self, message: &Message) -> Message {
        Message { body: None, stanza_xml: self.retracted_xml.clone(), ..message.clone() }
    }
}

impl Message {
    /// Whether what it said was taken back; its `stanza_xml` then is what stands in its place.
    pub fn is_retracted(&self) -> bool {
        self.stanza_xml.starts_with("<retracted")
    }
}

/// What a message is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MessageKind {
    /// A message to everyone inside.
    Speech,
    /// A new subject (XEP-0045 §8.1).
    Subject,
}

/// What remains of a destroyed room.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tombstone {
    /// When.
    pub at: Utc,
    /// Where people may go instead.
    pub alternate: Option<BareJid>,
    /// Why.
    pub reason: Option<String>,
    /// Until when the JID stays reserved.
    pub until: Utc,
}

/// A room at rest: what the store gives back and a room can be restored from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RoomImage {
    /// Its key.
    pub id: RoomId,
    /// When it was created.
    pub created_at: Utc,
    /// Its configuration.
    pub config: RoomConfig,
    /// Whether it waits for its first configuration.
    pub is_locked: bool,
    /// The secret that makes occupant ids.
    pub occupant_id_salt: String,
    /// The last subject, if one was ever set.
    pub subject: Option<Arc<Message>>,
    /// The highest message number given out.
    pub last_seq: Seq,
    /// Its affiliations, by JID.
    pub affiliations: Vec<AffiliationEntry>,
    /// What those on its lists have seen, by JID; nothing where that is not known.
    pub seen: Vec<(BareJid, Seq)>,
    /// The last changes of its lists, oldest first: version and whose affiliation changed, [`RELISTED_MAX`] at most.
    pub relisted: Vec<(i64, BareJid)>,
    /// The sessions inside, in the order they came.
    pub occupants: Vec<OccupantEntry>,
    /// The last messages of kind speech, oldest first, as many as `config.history_max`.
    pub history: Vec<Arc<Message>>,
    /// The hashes of the picture in its vCard; the card itself is looked up when it is asked for.
    pub avatars: Arc<[String]>,
    /// Its hats, by URI.
    pub hats: Vec<Hat>,
    /// Who wears which hat, by user and URI.
    pub hat_wearers: Vec<(BareJid, String)>,
    /// What remains, if it was destroyed.
    pub tombstone: Option<Tombstone>,
}
