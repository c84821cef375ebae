//! Single visits, checked to the byte where the order of what is heard matters.

use super::*;
use crate::muc::Whois;
use crate::record::Record;

const OLGA: &str = "olga@example.org/1";
const NILS: &str = "nils@example.org/1";
const MIA: &str = "mia@example.org/1";

fn enter(room: &mut Room, who: &str, nick: &str) -> Outcome {
    say(room, 1, who, &format!("<presence to='hall/{nick}'><x xmlns='#muc'/></presence>"))
}

fn semi_anonymous() -> RoomConfig {
    RoomConfig { whois: Whois::Moderators, is_archived: false, ..RoomConfig::default() }
}

fn with_three(config: RoomConfig) -> Room {
    let mut room = vacant(rules(config));
    for (who, nick) in [(OLGA, "Olga"), (NILS, "Nils"), (MIA, "Mia")] {
        enter(&mut room, who, nick);
    }
    room
}

/// The line without its occupant id, which is a hash.
fn bare(line: &str) -> String {
    let Some((head, tail)) = line.split_once("<occupant-id") else { return line.to_owned() };
    let (_, tail) = tail.split_once("/>").expect("an empty element");
    format!("{head}{tail}")
}

fn lines(out: &Outcome) -> Vec<String> {
    let plain = |line: String| {
        bare(&line)
            .replace("@muc.example.org", "")
            .replace("@example.org", "")
            .replace("http://jabber.org/protocol/muc", "")
    };
    heard(out).into_iter().map(plain).collect()
}

#[test]
fn a_newcomer_hears_the_others_itself_and_the_subject_in_this_order() {
    let mut room = vacant(rules(semi_anonymous()));
    assert_eq!(
        lines(&enter(&mut room, OLGA, "Olga")),
        [
            "olga/1: <presence from='hall/Olga'><x xmlns='#user'><item affiliation='owner' jid='olga/1' role='moderator'/><status code='110'/><status code='201'/></x></presence>",
            "olga/1: <message from='hall' type='groupchat'><subject/></message>",
        ]
    );
    assert_eq!(
        lines(&enter(&mut room, NILS, "Nils")),
        [
            "olga/1: <presence from='hall/Nils'><x xmlns='#user'><item affiliation='none' jid='nils/1' role='participant'/></x></presence>",
            "nils/1: <presence from='hall/Olga'><x xmlns='#user'><item affiliation='owner' role='moderator'/></x></presence>",
            "nils/1: <presence from='hall/Nils'><x xmlns='#user'><item affiliation='none' role='participant'/><status code='110'/></x></presence>",
            "nils/1: <message from='hall' type='groupchat'><subject/></message>",
        ]
    );
}

#[test]
fn a_moderator_kicks_an_occupant() {
    let mut room = with_three(semi_anonymous());
    let out = say(
        &mut room,
        9,
        OLGA,
        "<iq type='set' id='k1' to='hall'><query xmlns='#admin'><item nick='nils' role='none'/></query></iq>",
    );
    assert_eq!(
        lines(&out),
        [
            "olga/1: <iq from='hall' id='k1' type='result'/>",
            "nils/1: <presence from='hall/Nils' type='unavailable'><x xmlns='#user'><item affiliation='none' role='none'><actor nick='Olga'/></item><status code='110'/><status code='307'/></x></presence>",
            "olga/1: <presence from='hall/Nils' type='unavailable'><x xmlns='#user'><item affiliation='none' jid='nils/1' role='none'><actor nick='Olga'/></item><status code='307'/></x></presence>",
            "mia/1: <presence from='hall/Nils' type='unavailable'><x xmlns='#user'><item affiliation='none' role='none'><actor nick='Olga'/></item><status code='307'/></x></presence>",
        ]
    );
}

#[test]
fn what_only_the_room_may_say_is_stripped_from_messages() {
    let mut room = with_three(semi_anonymous());
    let out = say(
        &mut room,
        9,
        NILS,
        "<message type='groupchat' id='m1' to='hall'><body>hi</body><stanza-id xmlns='urn:xmpp:sid:0' id='x' by='hall@muc.example.org'/>\
         <stanza-id xmlns='urn:xmpp:sid:0' id='y' by='else@where'/><x xmlns='#user'/><occupant-id xmlns='urn:xmpp:occupant-id:0' id='z'/>\
         <delay xmlns='urn:xmpp:delay' from='hall@muc.example.org' stamp='x'/><mine xmlns='urn:x'/></message>",
    );
    let [Record::Spoken(message)] = out.records.as_slice() else { panic!("one record: {:?}", out.records) };
    let line = &lines(&out)[0];
    assert!(
        line.contains("<body>hi</body><stanza-id xmlns='urn:xmpp:sid:0' by='else@where' id='y'/><mine xmlns='urn:x'/>")
    );
    assert!(line.contains(&format!("by='hall' id='{}'/></message>", message.archive_id)), "{line}");
    assert_eq!(heard(&out).len(), 3);
}

#[test]
fn several_items_apply_all_or_none() {
    let mut room = with_three(RoomConfig::default());
    let before = room.image();
    let out = say(
        &mut room,
        9,
        OLGA,
        "<iq type='set' id='a' to='hall'><query xmlns='#admin'><item jid='mia@example.org' affiliation='member'/><item jid='olga@example.org' affiliation='outcast'/></query></iq>",
    );
    assert_eq!(out.records, []);
    assert!(lines(&out)[0].contains("<conflict"));
    assert_eq!(room.image(), before);
}

#[test]
fn the_last_owner_stays() {
    let mut room = with_three(RoomConfig::default());
    let ask = "<iq type='set' id='a' to='hall'><query xmlns='#admin'><item jid='olga@example.org' affiliation='member'/></query></iq>";
    assert!(lines(&say(&mut room, 9, OLGA, ask))[0].contains("<conflict"));
}

#[test]
fn a_room_turned_members_only_keeps_members_only() {
    let mut room = with_three(RoomConfig::default());
    let out = say(
        &mut room,
        9,
        OLGA,
        "<iq type='set' id='c' to='hall'><query xmlns='#owner'><x xmlns='jabber:x:data' type='submit'><field var='muc#roomconfig_membersonly'><value>1</value></field></x></query></iq>",
    );
    let lines = lines(&out);
    assert_eq!(lines.iter().filter(|line| line.contains("code='322'")).count(), 5);
    assert!(lines.last().is_some_and(|line| line.starts_with("olga/1: <message") && line.contains("code='104'")));
    assert_eq!(room.occupants(), 1);
}

#[test]
fn a_bad_value_refuses_the_whole_form() {
    let mut room = with_three(RoomConfig::default());
    let before = room.image();
    let out = say(
        &mut room,
        9,
        OLGA,
        "<iq type='set' id='c' to='hall'><query xmlns='#owner'><x xmlns='jabber:x:data' type='submit'><field var='muc#roomconfig_roomname'><value>x</value></field>\
         <field var='muc#roomconfig_whois'><value>cats</value></field></x></query></iq>",
    );
    assert!(lines(&out)[0].contains("muc#roomconfig_whois takes one of moderators, anyone."));
    assert_eq!(room.image(), before);
}

#[test]
fn a_destroyed_room_tells_where_to_go_until_its_time_is_over() {
    let mut room = with_three(RoomConfig::default());
    say(
        &mut room,
        9,
        OLGA,
        "<iq type='set' id='d' to='hall'><query xmlns='#owner'><destroy jid='den@muc.example.org'/></query></iq>",
    );
    assert!(lines(&enter(&mut room, NILS, "Nils"))[0].contains(">xmpp:den?join</gone>"));
    let out = say(&mut room, 70_000, NILS, "<presence to='hall/Nils'><x xmlns='#muc'/></presence>");
    assert!(matches!(
        out.records.as_slice(),
        [Record::Vanished, Record::Created(_), Record::Affiliated(_), Record::Entered(_), Record::Seen { .. }]
    ));
}

#[test]
fn entering_again_tells_the_others_nothing() {
    let mut room = with_three(RoomConfig::default());
    let out = enter(&mut room, NILS, "Nils");
    assert_eq!(out.records, []);
    assert!(lines(&out).iter().all(|line| line.starts_with("nils/1: ")));
    assert_eq!(lines(&out).len(), 4);
}

#[test]
fn sessions_share_a_nick_that_leaves_with_the_last() {
    let mut room = with_three(RoomConfig::default());
    enter(&mut room, "nils@example.org/2", "nils");
    assert_eq!(room.occupants(), 3);
    let first = say(&mut room, 9, NILS, "<presence type='unavailable' to='hall/Nils'/>");
    assert_eq!(lines(&first).len(), 1);
    let last = say(&mut room, 9, "nils@example.org/2", "<presence type='unavailable' to='hall/Nils'/>");
    assert_eq!(lines(&last).len(), 3);
    assert_eq!(room.occupants(), 2);
}

#[test]
fn a_self_ping_is_answered_by_the_room() {
    let mut room = with_three(RoomConfig::default());
    let ping = "<iq type='get' id='p' to='hall/Nils'><ping xmlns='urn:xmpp:ping'/></iq>";
    assert_eq!(lines(&say(&mut room, 9, NILS, ping)), ["nils/1: <iq from='hall/Nils' id='p' type='result'/>"]);
    assert!(lines(&say(&mut room, 9, "oskar@example.org/1", ping))[0].contains("<not-acceptable"));
}

#[test]
fn a_relayed_request_comes_back_to_the_session_that_asked() {
    let mut room = with_three(semi_anonymous());
    let out = say(&mut room, 9, NILS, "<iq type='get' id='v' to='hall/Mia'><query xmlns='jabber:iq:version'/></iq>");
    let id = out.outbound[0].stanza.id.clone().expect("an id");
    assert!(lines(&out)[0].starts_with("mia/1: <iq from='hall/Nils'"));
    let back = say(&mut room, 9, MIA, &format!("<iq type='result' id='{id}' to='hall/Nils'/>"));
    assert_eq!(lines(&back), ["nils/1: <iq from='hall/Mia' id='v' type='result'/>"]);
}

#[test]
fn a_locked_room_is_given_up_in_time() {
    let mut rules = Arc::unwrap_or_clone(rules(RoomConfig::default()));
    rules.locks_new_rooms = true;
    let mut room = vacant(Arc::new(rules));
    let created = enter(&mut room, OLGA, "Olga");
    assert_eq!(created.wake, Some(Moment(60_001)));
    assert!(lines(&enter(&mut room, NILS, "Nils"))[0].contains("<item-not-found"));
    let mut early = Outcome::default();
    room.handle(now(60_000), Input::Tick, &mut early);
    assert_eq!((early.records.len(), early.wake), (0, Some(Moment(60_001))));
    let mut late = Outcome::default();
    room.handle(now(60_001), Input::Tick, &mut late);
    assert!(matches!(late.records.as_slice(), [Record::Left { .. }, Record::Vanished]));
    assert!(lines(&late)[0].contains("<destroy/><status code='110'/>"));
    assert!(room.is_vacant() && room.is_quiet());
}

#[test]
fn a_banned_domain_takes_its_subdomains_along_but_nobody_on_the_lists() {
    let mut room = with_three(RoomConfig::default());
    enter(&mut room, "nora@there.example/1", "Nora");
    enter(&mut room, "nina@sub.there.example/1", "Nina");
    say(
        &mut room,
        9,
        OLGA,
        "<iq type='set' id='a' to='hall'><query xmlns='#admin'><item jid='nora@there.example' affiliation='member'/><item jid='there.example' affiliation='outcast'/></query></iq>",
    );
    assert_eq!(room.occupants(), 4);
    assert!(lines(&enter(&mut room, "nina@sub.there.example/1", "Nina"))[0].contains("<forbidden"));
    assert_eq!(enter(&mut room, "nobody@nowhere.example/1", "Nobody").records.len(), 1);
}

#[test]
fn a_nick_kept_for_somebody_is_for_nobody_else() {
    let mut room = with_three(RoomConfig::default());
    let reserve = "<iq type='set' id='a' to='hall'><query xmlns='#admin'><item jid='adam@example.org' affiliation='member' nick='Adam'/></query></iq>";
    say(&mut room, 9, OLGA, reserve);
    assert!(lines(&say(&mut room, 9, NILS, "<presence to='hall/adam'/>"))[0].contains("<conflict"));
    assert!(lines(&enter(&mut room, "nora@example.org/1", "ADAM"))[0].contains("<conflict"));
    let entered = enter(&mut room, "adam@example.org/1", "Adam").records;
    assert!(matches!(&entered[..], [Record::Entered(_), Record::Seen { .. }]), "{entered:?}");
}

#[test]
fn history_is_as_much_as_was_asked_for() {
    let mut room = with_three(RoomConfig::default());
    for n in 0..5 {
        let at = 10_000 * (n + 1);
        say(&mut room, at, NILS, &format!("<message type='groupchat' id='m{n}' to='hall'><body>{n}</body></message>"));
    }
    let mut past = |history: &str| {
        let xml = format!("<presence to='hall/Mia'><x xmlns='#muc'><history {history}/></x></presence>");
        let out = say(&mut room, 50_000, MIA, &xml);
        heard(&out).iter().filter(|line| line.contains("<delay")).count()
    };
    assert_eq!(past(""), 5);
    assert_eq!(past("maxstanzas='2'"), 2);
    assert_eq!(past("maxchars='0'"), 0);
    assert_eq!(past("maxchars='700'"), 2);
    assert_eq!(past("seconds='20'"), 3);
    assert_eq!(past("seconds='20' maxstanzas='1'"), 1);
    assert_eq!(past("since='2023-11-14T22:13:50Z'"), 3);
}

#[test]
fn a_request_of_too_many_items_changes_nothing() {
    let mut room = with_three(semi_anonymous());
    let items = "<item affiliation='member' jid='mia@example.org'/>".repeat(1001);
    let out =
        say(&mut room, 2, OLGA, &format!("<iq type='set' id='a' to='hall'><query xmlns='#admin'>{items}</query></iq>"));
    assert!(out.records.is_empty());
    let lines = lines(&out);
    assert!(lines.len() == 1 && lines[0].contains("<bad-request "), "{lines:?}");
}

#[test]
fn one_request_does_not_reserve_a_nick_twice() {
    let mut room = with_three(semi_anonymous());
    let item = |who: &str, nick: &str| format!("<item affiliation='member' jid='{who}@example.org' nick='{nick}'/>");
    let mut ask = |items: String| {
        say(&mut room, 2, OLGA, &format!("<iq type='set' id='a' to='hall'><query xmlns='#admin'>{items}</query></iq>"))
    };
    let twice = ask(item("mia", "Star") + &item("nora", "star"));
    assert!(twice.records.is_empty(), "{:?}", twice.records);
    assert!(lines(&twice)[0].contains("<conflict "), "{:?}", lines(&twice));
    let for_one = ask(item("mia", "Star") + &item("mia", "star")).records;
    let entries = for_one.iter().filter(|record| matches!(record, Record::Affiliated(_))).count();
    assert_eq!(entries, 1, "for one it may be said twice: {for_one:?}");
}
