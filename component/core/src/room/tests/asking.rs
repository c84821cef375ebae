//! What is asked too often or is too long for one answer.

use std::sync::Arc;

use super::{Room, heard, rules, say, vacant};
use crate::muc::{Affiliation, RoomConfig};
use crate::name::BareJid;
use crate::record::{AffiliationEntry, Record};
use crate::room::ServiceRules;
use crate::time::Utc;

const ASK: &str = "<message id='v' to='hall'><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'>\
    <value>http://jabber.org/protocol/muc#request</value></field></x></message>";

fn room(voice_request_ms: i64) -> Room {
    let config = RoomConfig { is_moderated: true, ..RoomConfig::default() };
    let mut room = vacant(Arc::new(ServiceRules { voice_request_ms, ..(*rules(config)).clone() }));
    say(&mut room, 0, "olga@example.org/1", "<presence to='hall/Olga'><x xmlns='#muc'/></presence>");
    say(&mut room, 1, "nils@example.org/1", "<presence to='hall/Nils'><x xmlns='#muc'/></presence>");
    room
}

#[test]
fn voice_is_not_asked_for_all_the_time_from_whatever_client() {
    let mut room = room(60_000);
    assert!(heard(&say(&mut room, 1_000, "nils@example.org/1", ASK))[0].starts_with("olga@example.org/1: "));
    say(&mut room, 2_000, "nils@example.org/2", "<presence to='hall/Nils'><x xmlns='#muc'/></presence>");
    let refused = heard(&say(&mut room, 31_500, "nils@example.org/2", ASK));
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert!(refused[0].starts_with("nils@example.org/2: ") && refused[0].contains("policy-violation"), "{refused:?}");
    assert!(refused[0].contains("type='wait'") && refused[0].contains("again in 30 seconds"), "{refused:?}");
    assert!(heard(&say(&mut room, 61_000, "nils@example.org/2", ASK))[0].starts_with("olga@example.org/1: "));
}

#[test]
fn an_operator_may_let_people_ask_as_they_like() {
    let mut room = room(0);
    for at in 1_000..1_003 {
        assert!(heard(&say(&mut room, at, "nils@example.org/1", ASK))[0].starts_with("olga@example.org/1: "));
    }
}

#[test]
fn a_list_too_long_for_one_answer_is_read_page_by_page() {
    let mut room = room(0);
    let by = BareJid::parse("olga@example.org").expect("a JID");
    let reason = Some("because ".repeat(20));
    for nth in 0..3_000 {
        let who = BareJid::parse(&format!("user{nth:04}@example.org")).expect("a JID");
        let (affiliation, reason) = (Affiliation::Outcast, reason.clone());
        let entry = AffiliationEntry { who, affiliation, nick: None, reason, by: by.clone(), at: Utc(0) };
        room.apply(&Record::Affiliated(Box::new(entry)));
    }
    let ask = |room: &mut Room, set: &str| {
        let query = format!("<query xmlns='#admin'><item affiliation='outcast'/>{set}</query>");
        heard(&say(room, 9, "olga@example.org/1", &format!("<iq type='get' id='l' to='hall'>{query}</iq>"))).remove(0)
    };
    let refused = ask(&mut room, "");
    assert!(refused.contains("resource-constraint") && refused.contains("page by page"), "{refused}");
    let rsm = |inner: &str| format!("<set xmlns='http://jabber.org/protocol/rsm'>{inner}</set>");
    let (mut seen, mut after) = (0, String::new());
    loop {
        let page = ask(&mut room, &rsm(&after));
        assert!(page.len() < 262_144, "{} bytes", page.len());
        let on_page = page.matches("<item ").count();
        if on_page == 0 {
            break;
        }
        seen += on_page;
        let last = page.split("<last>").nth(1).and_then(|rest| rest.split('<').next()).expect("a last one");
        assert_eq!(last, format!("user{:04}@example.org", seen - 1));
        after = format!("<after>{last}</after>");
    }
    assert_eq!(seen, 3_000);
    let last_page = ask(&mut room, &rsm("<max>2</max><before/>"));
    assert!(last_page.contains("user2998") && last_page.contains("user2999"), "{last_page}");
}
