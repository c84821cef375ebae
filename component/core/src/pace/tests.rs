//! Who sends too fast, and what becomes of it.

use super::*;
use crate::stanza::Stanza;
use crate::stanza::element::el;

const STEADY: Rate = Rate { per_minute: 60, at_once: 2 };

fn pace() -> Pace<Inbound> {
    let admins = vec![BareJid::parse("root@a").expect("a JID")];
    Pace::new(Terms { messages: STEADY, presences: STEADY, requests: STEADY, admins })
}

fn sent(kind: Kind, type_: Type, from: &str, to: &str) -> Inbound {
    let stanza = Stanza::new(kind, type_, Jid::parse(from).expect("a JID"));
    Inbound { stanza, to: Jid::parse(to).expect("a JID") }
}

/// `pass`, `held`, `drop` or the condition; and the id of what was overtaken.
fn weigh(pace: &mut Pace<Inbound>, at: u64, item: Inbound) -> (String, Option<String>) {
    let (verdict, overtaken) = pace.weigh(Moment(at), item);
    let word = match verdict {
        Verdict::Pass(_) => "pass".to_owned(),
        Verdict::Held => "held".to_owned(),
        Verdict::Drop(_) => "drop".to_owned(),
        Verdict::Refuse(_, why) => why.condition.as_str().to_owned(),
    };
    (word, overtaken.and_then(|item| item.stanza.id))
}

fn word(pace: &mut Pace<Inbound>, at: u64, item: Inbound) -> String {
    weigh(pace, at, item).0
}

fn being(from: &str, id: &str) -> Inbound {
    let mut item = sent(Kind::Presence, Type::None, from, "hall@muc/N");
    item.stanza.id = Some(id.to_owned());
    item
}

#[test]
fn messages_are_counted_by_user_and_room() {
    let mut pace = pace();
    let say = |from, to| sent(Kind::Message, Type::Groupchat, from, to);
    assert_eq!(word(&mut pace, 0, say("nils@a/1", "hall@muc")), "pass");
    assert_eq!(word(&mut pace, 0, say("nils@a/2", "hall@muc")), "pass");
    assert_eq!(word(&mut pace, 0, say("nils@a/1", "hall@muc/Mia")), "policy-violation");
    assert_eq!(word(&mut pace, 0, say("nils@a/1", "attic@muc")), "pass");
    assert_eq!(word(&mut pace, 0, say("mia@a/1", "hall@muc")), "pass");
    assert_eq!(word(&mut pace, 1_000, say("nils@a/1", "hall@muc")), "pass");
    let error = sent(Kind::Message, Type::Error, "nils@a/1", "hall@muc");
    assert_eq!(word(&mut pace, 1_000, error), "pass");
}

#[test]
fn admins_of_the_service_are_not_counted() {
    let mut pace = pace();
    for _ in 0..9 {
        assert_eq!(word(&mut pace, 0, sent(Kind::Message, Type::Chat, "root@a/1", "hall@muc/N")), "pass");
    }
}

#[test]
fn requests_are_counted_by_user_and_a_ping_is_left_open() {
    let mut pace = pace();
    let ask = |to| sent(Kind::Iq, Type::Get, "nils@a/1", to);
    assert_eq!(word(&mut pace, 0, ask("muc")), "pass");
    assert_eq!(word(&mut pace, 0, ask("hall@muc")), "pass");
    assert_eq!(word(&mut pace, 0, ask("attic@muc/N")), "resource-constraint");
    let mut ping = ask("hall@muc/N");
    ping.stanza.payload.push(el("ping", ns::PING));
    assert_eq!(word(&mut pace, 0, ping), "remote-server-timeout");
    assert_eq!(word(&mut pace, 0, sent(Kind::Iq, Type::Result, "nils@a/1", "hall@muc/N")), "pass");
}

#[test]
fn of_presences_the_last_one_is_told_when_it_may_be() {
    let mut pace = pace();
    assert_eq!(word(&mut pace, 0, being("nils@a/1", "1")), "pass");
    assert_eq!(word(&mut pace, 0, being("nils@a/1", "2")), "pass");
    assert_eq!(word(&mut pace, 100, being("nils@a/1", "3")), "held");
    assert_eq!(weigh(&mut pace, 200, being("nils@a/1", "4")), ("held".to_owned(), Some("3".to_owned())));
    assert_eq!(pace.next(), Some(Moment(1_000)));
    assert!(pace.release(Moment(999)).is_none());
    assert_eq!(pace.release(Moment(1_000)).and_then(|item| item.stanza.id), Some("4".to_owned()));
    assert!(pace.release(Moment(9_000)).is_none());
    assert_eq!(pace.next(), None);
}

#[test]
fn two_sessions_of_a_user_share_a_pace() {
    let mut pace = pace();
    for id in ["1", "2"] {
        assert_eq!(word(&mut pace, 0, being("nils@a/1", id)), "pass");
    }
    assert_eq!(word(&mut pace, 0, being("nils@a/1", "3")), "held");
    assert_eq!(word(&mut pace, 0, being("nils@a/2", "4")), "held");
    assert_eq!(pace.release(Moment(1_000)).and_then(|item| item.stanza.id), Some("3".to_owned()));
    assert!(pace.release(Moment(1_000)).is_none());
    assert_eq!(pace.release(Moment(2_000)).and_then(|item| item.stanza.id), Some("4".to_owned()));
}

#[test]
fn who_leaves_leaves_at_once_and_says_nothing_afterwards() {
    let mut pace = pace();
    for id in ["1", "2", "3"] {
        weigh(&mut pace, 0, being("nils@a/1", id));
    }
    let leave = sent(Kind::Presence, Type::Unavailable, "nils@a/1", "hall@muc/N");
    assert_eq!(weigh(&mut pace, 1, leave), ("pass".to_owned(), Some("3".to_owned())));
    assert!(pace.release(Moment(9_000)).is_none());
}

#[test]
fn entering_too_often_is_refused() {
    let mut pace = pace();
    let enter = || {
        let mut item = being("nils@a/1", "e");
        item.stanza.payload.push(el("x", ns::MUC));
        item
    };
    assert_eq!(word(&mut pace, 0, enter()), "pass");
    assert_eq!(word(&mut pace, 0, enter()), "pass");
    assert_eq!(word(&mut pace, 0, enter()), "policy-violation");
    assert_eq!(word(&mut pace, 1_000, enter()), "pass");
}

#[test]
fn what_is_held_is_not_lost_when_the_service_moves() {
    let mut pace = pace();
    for (from, id) in [("b@a/1", "1"), ("b@a/1", "2"), ("b@a/1", "3"), ("a@a/1", "4")] {
        weigh(&mut pace, 0, being(from, id));
    }
    assert_eq!(pace.release_all().len(), 1);
    assert_eq!(pace.next(), None);
}

#[test]
fn those_at_rest_are_forgotten() {
    let mut pace = pace();
    for nth in 0..2_000_u64 {
        let item = sent(Kind::Message, Type::Groupchat, &format!("n{nth}@a/1"), "hall@muc");
        assert_eq!(word(&mut pace, nth * 100, item), "pass");
    }
    assert!(pace.used.len() <= LOOK_AT, "{} are remembered", pace.used.len());
}
