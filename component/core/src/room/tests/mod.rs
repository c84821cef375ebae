//! Tests of the engine as a whole: a small cast speaks XML to a room and hears what it says back.

mod asking;
mod replay;
mod retention;
mod visits;

use std::sync::Arc;

use super::{Creators, Identity, Input, Outcome, Room, ServiceRules};
use crate::muc::RoomConfig;
use crate::name::{BareJid, Jid};
use crate::record::RoomId;
use crate::stanza::element::parse;
use crate::stanza::{Inbound, Kind, Stanza, Type, render};
use crate::time::{Moment, Now, Utc};

/// Who hears what, one rendered stanza a line: `to: xml`.
fn heard(out: &Outcome) -> Vec<String> {
    let mut lines = Vec::new();
    for outbound in &out.outbound {
        let rendered = render(&outbound.stanza);
        for to in outbound.to.as_slice() {
            let head = rendered.head.strip_suffix(" to='").expect("the head ends at the address");
            lines.push(format!("{to}: {head}{}", rendered.tail.strip_prefix('\'').expect("a quote")));
        }
    }
    lines
}

fn rules(defaults: RoomConfig) -> Arc<ServiceRules> {
    Arc::new(ServiceRules {
        domain: BareJid::parse("muc.example.org").expect("a JID"),
        admins: vec![BareJid::parse("root@example.org").expect("a JID")],
        blocked: crate::muc::Blocked::default(),
        creation: Creators::Anyone,
        defaults,
        fixed: Vec::new(),
        locks_new_rooms: false,
        takes_groupchat_1: false,
        // Remembered in memory alone: a room restored from its image would let people ask again.
        voice_request_ms: 0,
        occupants_max: 100,
        sessions_max: 3,
        history_max: 50,
        archive_days_max: 0,
        slow_mode_max: 86_400,
        mentions_per_hour: 20,
        affiliations_max: 20,
        body_bytes_max: 1000,
        nick_chars_max: 20,
        tombstone_ms: 60_000,
        lock_ms: 60_000,
        identity: Identity::default(),
    })
}

fn hall() -> BareJid {
    BareJid::parse("hall@muc.example.org").expect("a JID")
}

fn vacant(rules: Arc<ServiceRules>) -> Room {
    Room::vacant(RoomId(1), hall(), rules)
}

fn now(at: u64) -> Now {
    Now { utc: Utc(1_700_000_000_000 + at.cast_signed()), moment: Moment(at), chance: u128::from(at) << 7 }
}

/// Reads `xml`, whose `to` is `hall` or `hall/nick`, as sent by `from`.
fn stanza(from: &str, xml: &str) -> Inbound {
    let xml = xml
        .replace("'#user'", "'http://jabber.org/protocol/muc#user'")
        .replace("'#admin'", "'http://jabber.org/protocol/muc#admin'")
        .replace("'#owner'", "'http://jabber.org/protocol/muc#owner'")
        .replace("'#muc'", "'http://jabber.org/protocol/muc'");
    let said = parse(&xml.replacen(' ', " xmlns='jabber:client' ", 1)).expect("well-formed");
    let kind = match said.name() {
        "message" => Kind::Message,
        "presence" => Kind::Presence,
        _ => Kind::Iq,
    };
    let mut stanza = Stanza::new(kind, Type::parse(said.attr("type")), Jid::parse(from).expect("a JID"));
    stanza.id = said.attr("id").map(str::to_owned);
    stanza.payload = said.children().cloned().collect();
    let to = said.attr("to").expect("an address").replacen("hall", "hall@muc.example.org", 1);
    Inbound { stanza, to: Jid::parse(&to).expect("a JID") }
}

fn say(room: &mut Room, at: u64, from: &str, xml: &str) -> Outcome {
    let mut out = Outcome::default();
    room.handle(now(at), Input::Stanza(&stanza(from, xml)), &mut out);
    out
}
