//! The room engine alone: what a message costs to decide, whoever listens, and what 1,000 people entering cost.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tandem_muc_core::muc::RoomConfig;
use tandem_muc_core::name::{BareJid, Jid};
use tandem_muc_core::ns;
use tandem_muc_core::record::RoomId;
use tandem_muc_core::room::{Creators, Identity, Input, Outcome, Room, ServiceRules};
use tandem_muc_core::stanza::element::{Build, el};
use tandem_muc_core::stanza::{Inbound, Kind, Stanza, Type, render};
use tandem_muc_core::time::{Moment, Now, Utc};

use crate::table::{Table, per_second};

/// Runs it and adds its rows.
pub(crate) fn run(table: &mut Table) {
    table.head("engine only (one thread): a message decided, recorded, rendered once");
    for occupants in [1, 10, 100, 1_000] {
        let mut room = occupied(occupants);
        let (messages, took) = speak_for(&mut room, Duration::from_secs(1));
        let each = took / messages;
        table.row(
            &format!("speak to {occupants} occupants"),
            &format!("{} messages/s", per_second(u64::from(messages), took)),
            &format!("{:.2} µs a message, {:.1} ns an occupant", micros(each), nanos(each) / f64::from(occupants)),
        );
    }
    let begun = Instant::now();
    let room = occupied(1_000);
    let took = begun.elapsed();
    table.row(
        "1,000 occupants enter",
        &format!("{:.1} ms", took.as_secs_f64() * 1e3),
        &format!("{} deliveries decided, {} inside", 1_000 * 1_001 / 2 + 1_000 * 999 / 2, room.occupants()),
    );
}

fn speak_for(room: &mut Room, span: Duration) -> (u32, Duration) {
    let words = speech(0, "The quick brown fox jumps over the lazy dog.");
    let (begun, mut said) = (Instant::now(), 0);
    while begun.elapsed() < span {
        for nth in 0..100 {
            let mut outcome = Outcome::default();
            room.handle(now(u64::from(said + nth)), Input::Stanza(&words), &mut outcome);
            assert_eq!(outcome.records.len(), 1, "a message is one record");
            for outbound in &outcome.outbound {
                black_box(render(&outbound.stanza));
            }
        }
        said += 100;
    }
    (said, begun.elapsed())
}

/// A room without anybody inside, created and left by somebody.
pub(crate) fn room_named(name: &str) -> Room {
    let jid = BareJid::parse(&format!("{name}@muc.example.org")).expect("a JID");
    let mut room = Room::vacant(RoomId(1), jid.clone(), Arc::new(rules()));
    let mut come = entering(0);
    come.to = jid.with_prepared_resource("nick0");
    let mut go = come.clone();
    go.stanza = Stanza::new(Kind::Presence, Type::Unavailable, user(0));
    for inbound in [come, go] {
        room.handle(now(0), Input::Stanza(&inbound), &mut Outcome::default());
    }
    assert_eq!(room.occupants(), 0, "nobody is inside");
    room
}

/// A room with that many people inside.
pub(crate) fn occupied(occupants: u32) -> Room {
    let jid = BareJid::parse("hall@muc.example.org").expect("a JID");
    let mut room = Room::vacant(RoomId(1), jid, Arc::new(rules()));
    for nth in 0..occupants {
        let mut outcome = Outcome::default();
        room.handle(now(u64::from(nth)), Input::Stanza(&entering(nth)), &mut outcome);
        assert!(!outcome.records.is_empty(), "occupant {nth} enters");
        for outbound in &outcome.outbound {
            black_box(render(&outbound.stanza));
        }
    }
    room
}

fn entering(nth: u32) -> Inbound {
    let to = Jid::parse(&format!("hall@muc.example.org/nick{nth}")).expect("a JID");
    Inbound { stanza: Stanza::new(Kind::Presence, Type::None, user(nth)).with(el("x", ns::MUC)), to }
}

fn speech(nth: u32, body: &str) -> Inbound {
    let to = Jid::parse("hall@muc.example.org").expect("a JID");
    let stanza = Stanza::new(Kind::Message, Type::Groupchat, user(nth))
        .with_id(Some("m1".to_owned()))
        .with(el("body", ns::CLIENT).with_text(body));
    Inbound { stanza, to }
}

fn user(nth: u32) -> Jid {
    Jid::parse(&format!("user{nth}@example.org/phone")).expect("a JID")
}

fn now(nth: u64) -> Now {
    Now { utc: Utc(1_700_000_000_000), moment: Moment(nth), chance: u128::from(nth) << 64 | u128::from(nth) }
}

fn rules() -> ServiceRules {
    ServiceRules {
        domain: BareJid::parse("muc.example.org").expect("a JID"),
        admins: Vec::new(),
        blocked: tandem_muc_core::muc::Blocked::default(),
        creation: Creators::Anyone,
        defaults: RoomConfig::default(),
        fixed: Vec::new(),
        locks_new_rooms: false,
        takes_groupchat_1: false,
        voice_request_ms: 60_000,
        occupants_max: 100_000,
        sessions_max: 20,
        history_max: 200,
        archive_days_max: 0,
        slow_mode_max: 86_400,
        mentions_per_hour: 20,
        affiliations_max: 20_000,
        body_bytes_max: 65_536,
        nick_chars_max: 128,
        tombstone_ms: 86_400_000,
        lock_ms: 60_000,
        identity: Identity::default(),
    }
}

fn micros(span: Duration) -> f64 {
    span.as_secs_f64() * 1e6
}

fn nanos(span: Duration) -> f64 {
    span.as_secs_f64() * 1e9
}
