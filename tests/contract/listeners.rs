//! Who listens for activity in rooms, and what there is to tell them.

use std::sync::Arc;

use tandem_muc::store::{Epoch, Fact, Marks};
use tandem_muc_core::muc::{Affiliation, RoomConfig};
use tandem_muc_core::record::{AffiliationEntry, Message, Record, RoomId, Seq};
use tandem_muc_core::time::Utc;

use crate::place::{Place, SERVICE, fence, reign};
use crate::records::{bare, created, jid, nick, spoken, subject};

pub(crate) async fn who_listens_is_known_to_the_next_holder(place: Arc<Place>) {
    let store = place.store().await;
    let epoch = reign(&store).await;
    for session in ["mia@example.org/1", "nils@example.org/1", "mia@example.org/1", "mia@example.org/2"] {
        store.add_listener(SERVICE, epoch, &jid(session)).await.expect("written");
    }
    store.add_listener(SERVICE, Epoch(epoch.0 - 1), &jid("late@example.org/1")).await.expect("of no effect");
    store.remove_listener(SERVICE, &jid("nils@example.org/1")).await.expect("written");
    store.remove_listener("other.example.org", &jid("mia@example.org/2")).await.expect("written");
    let mut sessions = store.listeners(SERVICE, 10).await.expect("readable");
    sessions.sort();
    assert_eq!(sessions, [jid("mia@example.org/1"), jid("mia@example.org/2")]);
    assert_eq!(store.listeners(SERVICE, 1).await.expect("readable").len(), 1);
    assert_eq!(store.listeners("other.example.org", 10).await.expect("readable"), []);
}

pub(crate) async fn rooms_with_something_unseen_are_found(place: Arc<Place>) {
    let store = place.store().await;
    let epoch = reign(&store).await;
    let said = |message: Message| Record::Spoken(Arc::new(message));
    let tied = |affiliation, reserved: Option<&str>| {
        Record::Affiliated(Box::new(AffiliationEntry {
            who: bare("mia@example.org"),
            affiliation,
            nick: reserved.map(nick),
            reason: None,
            by: bare("olga@example.org"),
            at: Utc(1),
        }))
    };
    let seen = |upto| Record::Seen { who: bare("mia@example.org"), upto: Seq(upto) };
    let member = || tied(Affiliation::Member, None);
    let keeper = || tied(Affiliation::None, Some("Mia"));
    let mute = Message { body: None, ..spoken(2, "") };
    let closed = RoomConfig { is_members_only: true, ..RoomConfig::default() };
    let secret = RoomConfig { password: Some("x".into()), ..RoomConfig::default() };
    let open = RoomConfig::default;
    let ban = Record::Affiliated(Box::new(AffiliationEntry {
        who: bare("example.com"),
        affiliation: Affiliation::Outcast,
        nick: None,
        reason: None,
        by: bare("olga@example.org"),
        at: Utc(1),
    }));
    let rooms: Vec<(&str, RoomConfig, Vec<Record>, bool)> = vec![
        ("archived", open(), vec![member(), seen(1), said(spoken(1, "old")), said(spoken(2, "new"))], true),
        ("unarchived", open(), vec![member(), seen(0), said(Message { is_archived: false, ..spoken(1, "x") })], true),
        ("subject", open(), vec![member(), seen(0), said(subject(1, "tea", true))], true),
        ("keeper", open(), vec![keeper(), seen(0), said(spoken(1, "x"))], true),
        ("members", closed.clone(), vec![member(), seen(0), said(spoken(1, "x"))], true),
        ("all-seen", open(), vec![member(), said(spoken(1, "old")), seen(1)], false),
        ("nothing-to-read", open(), vec![member(), said(spoken(1, "old")), seen(1), said(mute)], false),
        ("inside", open(), vec![member(), seen(Seq::ALL.0), said(spoken(1, "x"))], false),
        ("never-inside", open(), vec![member(), said(spoken(1, "x"))], false),
        ("banned", open(), vec![tied(Affiliation::Outcast, None), seen(0), said(spoken(1, "x"))], false),
        ("closed", closed, vec![keeper(), seen(0), said(spoken(1, "x"))], false),
        ("secret", secret, vec![keeper(), seen(0), said(spoken(1, "x"))], false),
        ("domain-banned", open(), vec![keeper(), ban, seen(0), said(spoken(1, "x"))], false),
        ("locked", open(), vec![member(), seen(0), said(spoken(1, "x"))], false),
    ];
    let mut wanted = Vec::new();
    for (nth, (name, config, records, is_found)) in (0_i64..).zip(rooms) {
        let (room, name_jid) = (RoomId(200 + nth), bare(&format!("{name}@{SERVICE}")));
        let opened = (name != "locked").then_some(Record::Unlocked);
        let records = [created(config)].into_iter().chain(opened).chain(records);
        let facts: Vec<Fact> = records.map(|record| Fact { room, jid: name_jid.clone(), record }).collect();
        store.append(&fence(epoch, nth), &facts, Marks::default()).await.expect("written");
        wanted.extend(is_found.then_some(name_jid));
    }
    wanted.sort();
    let found = store.active_rooms(SERVICE, &bare("mia@example.org"), 100).await.expect("readable");
    assert_eq!(found, wanted);
    // What is found and could not be entered counts among those that are looked at.
    assert_eq!(store.active_rooms(SERVICE, &bare("mia@example.org"), 2).await.expect("readable"), wanted[..1]);
    assert_eq!(store.active_rooms(SERVICE, &bare("nils@example.org"), 9).await.expect("readable"), []);
    assert_eq!(store.active_rooms("other.example.org", &bare("mia@example.org"), 9).await.expect("readable"), []);
}
