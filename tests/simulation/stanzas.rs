//! What clients say, and what is read of what they hear.

use std::sync::Arc;

use tandem_muc_core::muc::RoomConfig;
use tandem_muc_core::name::{BareJid, Jid};
use tandem_muc_core::ns;
use tandem_muc_core::room::{Creators, Identity, ServiceRules};
use tandem_muc_core::stanza::element::{Build, el};
use tandem_muc_core::stanza::{Condition, Inbound, Kind, Stanza, StanzaError, Type};

/// The rooms of the domain.
pub(crate) const ROOMS: [&str; 2] = ["hall@muc.example.org", "bar@muc.example.org"];

pub(crate) fn room(nth: usize) -> BareJid {
    BareJid::parse(ROOMS[nth]).expect("a JID")
}

pub(crate) fn user(nth: usize) -> Jid {
    Jid::parse(&format!("user{nth}@example.org/phone")).expect("a JID")
}

/// Which client it is, by its JID.
pub(crate) fn number_of(jid: &Jid) -> Option<usize> {
    jid.local()?.strip_prefix("user")?.parse().ok()
}

/// Which client it is, by its nick.
pub(crate) fn number_of_nick(jid: &Jid) -> Option<usize> {
    jid.resource()?.strip_prefix("nick")?.parse().ok()
}

/// Everybody may come, and the whole history is told, so that a client can see gaps.
pub(crate) fn rules() -> Arc<ServiceRules> {
    let defaults = RoomConfig { history_max: 5_000, history_default: 5_000, ..RoomConfig::default() };
    Arc::new(ServiceRules {
        domain: BareJid::parse("muc.example.org").expect("a JID"),
        admins: Vec::new(),
        blocked: tandem_muc_core::muc::Blocked::default(),
        creation: Creators::Anyone,
        defaults,
        fixed: Vec::new(),
        locks_new_rooms: false,
        takes_groupchat_1: false,
        voice_request_ms: 60_000,
        occupants_max: 100,
        sessions_max: 3,
        history_max: 5_000,
        archive_days_max: 0,
        slow_mode_max: 86_400,
        mentions_per_hour: 20,
        affiliations_max: 100,
        body_bytes_max: 1_000,
        nick_chars_max: 20,
        tombstone_ms: 60_000,
        lock_ms: 60_000,
        identity: Identity::default(),
    })
}

pub(crate) fn enter(who: usize, place: usize) -> Inbound {
    presence(who, place, Type::None)
}

pub(crate) fn leave(who: usize, place: usize) -> Inbound {
    presence(who, place, Type::Unavailable)
}

fn presence(who: usize, place: usize, type_: Type) -> Inbound {
    let mut stanza = Stanza::new(Kind::Presence, type_, user(who));
    if stanza.is_available() {
        stanza = stanza.with(el("x", ns::MUC));
    }
    Inbound { stanza, to: room(place).with_prepared_resource(&format!("nick{who}")) }
}

pub(crate) fn speech(who: usize, place: usize, id: &str) -> Inbound {
    let stanza = Stanza::new(Kind::Message, Type::Groupchat, user(who))
        .with_id(Some(id.to_owned()))
        .with(el("body", ns::CLIENT).with_text(id));
    Inbound { stanza, to: room(place).as_jid().clone() }
}

pub(crate) fn self_ping(who: usize, place: usize, id: &str) -> Inbound {
    let stanza = Stanza::new(Kind::Iq, Type::Get, user(who)).with_id(Some(id.to_owned())).with(el("ping", ns::PING));
    Inbound { stanza, to: room(place).with_prepared_resource(&format!("nick{who}")) }
}

/// Whether an error may answer it.
pub(crate) fn is_answerable(inbound: &Inbound) -> bool {
    !matches!(inbound.stanza.type_, Type::Error | Type::Result)
}

/// The error a server gives where it cannot hand on.
pub(crate) fn bounce(inbound: &Inbound, condition: Condition) -> Option<Stanza> {
    inbound.error(&StanzaError::new(condition, "Nobody is there to take it.")).map(|error| error.stanza)
}

/// Which room a stanza comes from.
pub(crate) fn place_of(from: &Jid) -> Option<usize> {
    ROOMS.iter().position(|room| *room == from.bare_str())
}

/// The archive id of a message as it was reflected.
pub(crate) fn archive_id(stanza: &Stanza) -> Option<&str> {
    stanza.child("stanza-id", ns::SID)?.attr("id")
}

/// Whether it is the last stanza of an entrance: the subject.
pub(crate) fn is_subject(stanza: &Stanza) -> bool {
    stanza.child("subject", ns::CLIENT).is_some() && stanza.child("body", ns::CLIENT).is_none()
}

/// Whether it is told later, as history.
pub(crate) fn is_history(stanza: &Stanza) -> bool {
    stanza.child("delay", ns::DELAY).is_some()
}

/// Whether a presence is about who hears it.
pub(crate) fn is_own(stanza: &Stanza) -> bool {
    let statuses = stanza.child("x", ns::MUC_USER).into_iter().flat_map(minidom::Element::children);
    statuses.filter(|child| child.name() == "status").any(|status| status.attr("code") == Some("110"))
}
