//! What is kept for its time and no longer.

use std::sync::Arc;

use super::{Outcome, Room, hall, heard, now, rules, say, vacant};
use crate::muc::RoomConfig;
use crate::record::{Record, Seq};
use crate::room::{Input, ServiceRules};

const DAY: u64 = 86_400_000;

fn spoken_in(rules: Arc<ServiceRules>) -> Room {
    let mut room = vacant(rules);
    say(&mut room, 0, "olga@example.org/1", "<presence to='hall/Olga'><x xmlns='#muc'/></presence>");
    for day in 0..3 {
        let xml = format!("<message type='groupchat' id='m{day}' to='hall'><body>day {day}</body></message>");
        say(&mut room, day * DAY, "olga@example.org/1", &xml);
    }
    room
}

fn expire(room: &mut Room, at: u64, upto: i64) -> Outcome {
    let mut out = Outcome::default();
    room.handle(now(at), Input::Expire(Seq(upto)), &mut out);
    out
}

#[test]
fn a_room_lets_go_of_what_is_too_old_and_says_nothing() {
    let mut room = spoken_in(rules(RoomConfig { archive_days: 1, ..RoomConfig::default() }));
    let out = expire(&mut room, 2 * DAY + 1, 9);
    assert!(matches!(&out.records[..], [Record::Expired { upto: Seq(9), .. }]), "{:?}", out.records);
    assert!(heard(&out).is_empty());
    let kept: Vec<_> = room.image().history.iter().map(|message| message.body.clone()).collect();
    assert_eq!(kept, [Some("day 2".to_owned())]);
    assert_eq!(room.image().last_seq, Seq(3));
}

#[test]
fn only_as_far_as_was_looked() {
    let mut room = spoken_in(rules(RoomConfig { archive_days: 1, ..RoomConfig::default() }));
    expire(&mut room, 9 * DAY, 2);
    assert_eq!(room.image().history.len(), 1);
}

#[test]
fn a_room_that_keeps_for_ever_lets_go_of_nothing() {
    let mut room = spoken_in(rules(RoomConfig::default()));
    assert!(expire(&mut room, 9_999 * DAY, 9).records.is_empty());
    let mut nobody = Room::vacant(room.id(), hall(), rules(RoomConfig::default()));
    assert!(expire(&mut nobody, 9_999 * DAY, 9).records.is_empty());
}

#[test]
fn the_operators_limit_goes_before_the_rooms_wish() {
    let limited = |archive_days_max| ServiceRules { archive_days_max, ..(*rules(RoomConfig::default())).clone() };
    let days =
        |max: u32, archive_days| limited(max).archive_days(&RoomConfig { archive_days, ..RoomConfig::default() });
    assert_eq!(
        (days(0, 0), days(0, 9), days(7, 0), days(7, 9), days(7, 3)),
        (None, Some(9), Some(7), Some(7), Some(3))
    );
}
