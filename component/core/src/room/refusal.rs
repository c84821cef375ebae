//! Every way a room says no: the condition XEP-0045 names, the type, one plain sentence without any real JID.

use std::fmt::Write;

use crate::muc::option::Objection;
use crate::name::BareJid;
use crate::protocol::command::Fault;
use crate::stanza::{Condition, ErrorType, StanzaError};

/// A way a room says no.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Refusal {
    /// No nick in the address (§7.2.1).
    NickMissing,
    /// A nick nobody could see or write.
    NickUnusable,
    /// A nick over the service's limit, in characters.
    NickTooLong(usize),
    /// Somebody else has the nick (§7.2.8).
    NickTaken,
    /// The nick is kept for somebody else.
    NickReserved,
    /// Whoever registered a nick has that one here (§7.2.10, §7.6).
    NickLocked,
    /// Visitors may not change their nick here.
    NickChangeForbidden,
    /// Presence from outside without the word that asks to enter (§7.2.1).
    NotEntering,
    /// On the list of the banned (§7.2.7).
    Banned,
    /// Not on the list of members (§7.2.6).
    MembersOnly,
    /// Wrong or no password (§7.2.5).
    WrongPassword,
    /// As many inside as may be (§7.2.9).
    RoomFull,
    /// As many sessions under the nick as may be.
    SessionsFull,
    /// The room waits for its first configuration (§7.2.10).
    Locked,
    /// There is no such room.
    NoSuchRoom,
    /// The room was destroyed (§10.9).
    Gone(Option<BareJid>),
    /// Not among those who may create rooms (§10.1.1).
    CreationForbidden,
    /// From outside (§7.4).
    NotInside,
    /// No voice (§7.4).
    NoVoice,
    /// Sooner after the last message than the room has people wait (XEP-0500 §6).
    TooSoon {
        /// How long everyone waits.
        seconds: i64,
        /// How long it is still.
        left_seconds: i64,
    },
    /// A text over the service's limit, in bytes.
    TextTooLong(usize),
    /// A vCard over the service's limit, in bytes.
    VcardTooLong(usize),
    /// May not change the subject (§8.1).
    SubjectForbidden,
    /// A message to everyone sent to one occupant (§7.5).
    GroupchatToOccupant,
    /// Nobody of that nick is inside.
    NoSuchOccupant,
    /// Private messages are not for this role.
    PrivateForbidden,
    /// May not invite (§7.8.2).
    InviteForbidden,
    /// The one invited is banned.
    InviteeBanned,
    /// Asked for voice a moment ago; again in so many seconds.
    VoiceRequestTooSoon(i64),
    /// Voice requests are off, or there is nothing to ask for.
    VoiceRequestForbidden,
    /// What was sent makes no sense; the sentence says which part.
    Malformed(&'static str),
    /// No privilege for that at all.
    Forbidden(&'static str),
    /// The one it is about ranks too high (§8.2, §8.4, §9.1).
    Outranked,
    /// Nobody bans themselves (§9.1).
    SelfBan,
    /// A room keeps an owner (§10.4).
    LastOwner,
    /// The list does not fit into one answer.
    ListTooLong,
    /// The list has as many entries as it may have.
    ListFull(u32),
    /// A whole domain cannot be that.
    DomainRank,
    /// A value in a form that cannot be; the sentence names field and allowed values.
    BadField(String),
    /// The operator keeps this field of the form to the service.
    FixedField(&'static str),
    /// disco to an occupant from outside (§6.5).
    OccupantDisco,
    /// No such disco node.
    NoSuchNode,
    /// No item of the id a page was to start from (XEP-0059 §2.7).
    NoSuchPage,
    /// May not enter now, so may not read what was said either (XEP-0313 §5.1.2).
    ArchiveForbidden,
    /// A way to ask that is not offered; the sentence says which.
    NotOffered(String),
    /// More than may be asked for at once.
    TooMuch(&'static str),
    /// Nothing was found as far as one request may look.
    NothingNear,
    /// May not register with the room (§7.10).
    RegistrationForbidden,
    /// A request to a command that cannot be followed (XEP-0050 §3.4).
    Command(Fault),
    /// The hat is not worn by that user.
    HatNotWorn,
    /// A request the room does not know.
    Unknown,
}

impl From<Objection> for Refusal {
    fn from(objection: Objection) -> Refusal {
        match objection {
            Objection::Takes { field, allowed } => Refusal::BadField(format!("{field} takes {allowed}.")),
            Objection::Fixed { field } => Refusal::FixedField(field),
        }
    }
}

impl Refusal {
    /// The stanza error that says it.
    pub(crate) fn to_error(&self) -> StanzaError {
        if let Refusal::Command(fault) = self {
            return fault.to_error();
        }
        let mut error = StanzaError::new(self.condition(), self.sentence());
        if let Some(type_) = self.odd_type() {
            error = error.with_type(type_);
        }
        if let Refusal::Gone(Some(alternate)) = self {
            error.gone_to = Some(xmpp_uri(alternate));
        }
        error
    }

    fn condition(&self) -> Condition {
        use Refusal as R;
        match self {
            R::NickMissing => Condition::JidMalformed,
            R::NickUnusable
            | R::NickTooLong(_)
            | R::NickChangeForbidden
            | R::NickLocked
            | R::NotEntering
            | R::NotInside
            | R::BadField(_)
            | R::DomainRank => Condition::NotAcceptable,
            R::NickTaken | R::NickReserved | R::SelfBan | R::LastOwner => Condition::Conflict,
            R::CreationForbidden | R::Outranked | R::RegistrationForbidden | R::FixedField(_) => Condition::NotAllowed,
            R::Banned
            | R::NoVoice
            | R::SubjectForbidden
            | R::PrivateForbidden
            | R::InviteForbidden
            | R::InviteeBanned
            | R::VoiceRequestForbidden
            | R::ArchiveForbidden
            | R::Forbidden(_) => Condition::Forbidden,
            R::MembersOnly => Condition::RegistrationRequired,
            R::WrongPassword => Condition::NotAuthorized,
            R::RoomFull | R::Unknown => Condition::ServiceUnavailable,
            R::SessionsFull | R::ListTooLong | R::ListFull(_) | R::NothingNear => Condition::ResourceConstraint,
            R::Locked | R::NoSuchRoom | R::NoSuchOccupant | R::NoSuchNode | R::NoSuchPage | R::HatNotWorn => {
                Condition::ItemNotFound
            }
            R::Gone(_) => Condition::Gone,
            R::TextTooLong(_) | R::VcardTooLong(_) | R::TooMuch(_) | R::TooSoon { .. } | R::VoiceRequestTooSoon(_) => {
                Condition::PolicyViolation
            }
            R::NotOffered(_) => Condition::FeatureNotImplemented,
            R::GroupchatToOccupant | R::Malformed(_) | R::OccupantDisco | R::Command(_) => Condition::BadRequest,
        }
    }

    fn odd_type(&self) -> Option<ErrorType> {
        use Refusal as R;
        if matches!(self, R::RoomFull | R::TooSoon { .. } | R::VoiceRequestTooSoon(_)) {
            return Some(ErrorType::Wait);
        }
        if *self == R::ListTooLong {
            return Some(ErrorType::Modify);
        }
        let is_final = matches!(self, R::NickChangeForbidden | R::NotInside | R::NotEntering | R::DomainRank);
        is_final.then_some(ErrorType::Cancel)
    }

    fn sentence(&self) -> String {
        use Refusal as R;
        match self {
            R::NickMissing => "The address has no nick: enter with room@service/nick.".into(),
            R::NickUnusable => "The nick is empty, invisible or has characters that are not allowed.".into(),
            R::NickTooLong(max) => format!("The nick is longer than {max} characters."),
            R::NickTaken => "The nick is taken.".into(),
            R::NickReserved => "The nick is reserved for somebody else.".into(),
            R::NickLocked => "You registered another nick with this room, and it takes no other.".into(),
            R::NickChangeForbidden => "Visitors may not change their nick in this room.".into(),
            R::NotEntering => "You are not in this room; entering it takes presence with the muc extension.".into(),
            R::Banned => "You are banned from this room.".into(),
            R::MembersOnly => "Only members may enter this room.".into(),
            R::WrongPassword => "This room needs its password.".into(),
            R::RoomFull => "The room is full.".into(),
            R::SessionsFull => "Too many of your clients are in this room under this nick.".into(),
            R::Locked => "The room is not open yet: its owner has to configure it first.".into(),
            R::NoSuchRoom => "There is no such room.".into(),
            R::Gone(Some(_)) => "The room was destroyed; people meet elsewhere now.".into(),
            R::Gone(None) => "The room was destroyed.".into(),
            R::CreationForbidden => "You may not create rooms here.".into(),
            R::NotInside => "You are not in this room.".into(),
            R::NoVoice => "You have no voice in this room.".into(),
            R::TooSoon { seconds, left_seconds } => format!(
                "This room is in slow mode: you may send one message every {seconds} seconds. Please try again in {left_seconds} seconds."
            ),
            R::TextTooLong(max) => format!("The text is longer than {max} bytes."),
            R::VcardTooLong(max) => format!("The vCard is longer than {max} bytes; a smaller picture may do."),
            R::SubjectForbidden => "You may not change the subject of this room.".into(),
            R::GroupchatToOccupant => "A groupchat message goes to the room, not to one occupant.".into(),
            R::NoSuchOccupant => "Nobody of that nick is in this room.".into(),
            R::PrivateForbidden => "You may not send private messages in this room.".into(),
            R::InviteForbidden => "You may not invite people to this room.".into(),
            R::InviteeBanned => "The one invited is banned from this room.".into(),
            R::VoiceRequestTooSoon(seconds) => {
                format!("The moderators have your request; you may ask again in {seconds} seconds.")
            }
            R::VoiceRequestForbidden => "Nobody may ask for voice in this room.".into(),
            R::Malformed(what) | R::Forbidden(what) | R::TooMuch(what) => (*what).into(),
            R::NotOffered(what) | R::BadField(what) => what.clone(),
            R::FixedField(field) => format!("{field} is set by the service; owners cannot change it."),
            R::ArchiveForbidden => "You may not read what is said in this room.".into(),
            R::NothingNear => {
                "Nothing was found as far as one request may look; ask for a shorter time with start and end.".into()
            }
            R::Outranked => "The one this is about ranks too high for you.".into(),
            R::SelfBan => "You cannot ban yourself.".into(),
            R::LastOwner => "A room keeps at least one owner.".into(),
            R::ListTooLong => {
                "The list is too long for one answer; ask for it page by page (result set management, XEP-0059).".into()
            }
            R::ListFull(max) => format!("The room's lists may have {max} entries at most."),
            R::DomainRank => "A whole domain can only be member, outcast or none.".into(),
            R::OccupantDisco => "Only people inside may ask occupants.".into(),
            R::NoSuchNode => "There is no such node.".into(),
            R::NoSuchPage => "There is no item of that id to start from.".into(),
            R::RegistrationForbidden => "You may not register with this room.".into(),
            R::Command(_) => "The command cannot be followed.".into(),
            R::HatNotWorn => "The user does not wear that hat.".into(),
            R::Unknown => "The room does not know that request.".into(),
        }
    }
}

/// The URI under which `room` can be entered (XEP-0045 §17.2, RFC 5122).
pub(super) fn xmpp_uri(room: &BareJid) -> String {
    let mut uri = String::from("xmpp:");
    for byte in room.as_str().bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'@' => uri.push(char::from(byte)),
            other => {
                let _ = write!(uri, "%{other:02X}");
            }
        }
    }
    uri.push_str("?join");
    uri
}
