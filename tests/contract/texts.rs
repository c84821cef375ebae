//! Texts: whatever people write comes back as it was; what no stanza can carry is replaced.

use std::sync::Arc;

use tandem_muc::store::{Fact, Marks};
use tandem_muc_core::muc::{Affiliation, Role, RoomConfig};
use tandem_muc_core::name::BareJid;
use tandem_muc_core::record::{AffiliationEntry, Message, OccupantEntry, Record, RoomId};
use tandem_muc_core::time::Utc;

use crate::place::{Place, fence, reign};
use crate::records::{bare, created, fact, hall, jid, load, nick, spoken};

pub(crate) async fn texts_come_back_as_they_went_in(place: Arc<Place>) {
    let store = place.store().await;
    let epoch = reign(&store).await;
    let long = "x\u{1f984}".repeat(210_000);
    let texts = [
        "",
        " ",
        "trailing   ",
        "O'Brien \"quoted\" \\ back\\\\slash; DROP TABLE muc_room; --",
        "$1 ? :a %s {now_ms}",
        "\u{1f984}\u{1f468}\u{200d}\u{1f680} \u{202e}right to left",
        "line\nline\r\ttab",
        &long,
    ];
    let config = RoomConfig { title: texts[3].into(), description: texts[5].into(), ..RoomConfig::default() };
    store.append(&fence(epoch, 0), &[fact(created(config.clone()))], Marks::default()).await.expect("ours");
    let messages: Vec<Message> = texts
        .iter()
        .zip(1..)
        .map(|(text, seq)| Message { stanza_xml: (*text).into(), origin_id: Some((*text).into()), ..spoken(seq, text) })
        .collect();
    // Once as a group of messages alone, once among other records: the two ways messages take.
    let (some, others) = messages.split_at(4);
    let facts: Vec<Fact> = some.iter().map(|m| fact(Record::Spoken(Arc::new(m.clone())))).collect();
    store.append(&fence(epoch, 1), &facts, Marks::default()).await.expect("written");
    let mut facts: Vec<Fact> = others.iter().map(|m| fact(Record::Spoken(Arc::new(m.clone())))).collect();
    facts.push(fact(Record::Unlocked));
    store.append(&fence(epoch, 2), &facts, Marks::default()).await.expect("written");
    let image = load(&store, &hall()).await.expect("a room");
    assert_eq!(image.config, config);
    assert!(image.history.iter().map(|message| &**message).eq(&messages), "some text came back changed");
}

pub(crate) async fn jids_that_differ_in_case_of_the_resource_or_in_blanks_are_different(place: Arc<Place>) {
    let store = place.store().await;
    let epoch = reign(&store).await;
    let sessions = ["mia@example.org/Phone", "mia@example.org/phone", "mia@example.org/phone ", "mia@example.org"];
    let entered = |who: &str| {
        Record::Entered(Box::new(OccupantEntry {
            who: jid(who),
            nick: nick("Mia "),
            role: Role::Visitor,
            presence_xml: "".into(),
            at: Utc(1),
        }))
    };
    let mut facts = vec![fact(created(RoomConfig::default()))];
    facts.extend(sessions.iter().map(|who| fact(entered(who))));
    let long = "l".repeat(1_023);
    let users: Vec<BareJid> =
        ["stra\u{df}e@example.org", "strase@example.org", &format!("{long}@{long}")].map(bare).into();
    facts.extend(users.iter().map(|who| {
        fact(Record::Affiliated(Box::new(AffiliationEntry {
            who: who.clone(),
            affiliation: Affiliation::Member,
            nick: None,
            reason: Some(String::new()),
            by: hall(),
            at: Utc(2),
        })))
    }));
    store.append(&fence(epoch, 0), &facts, Marks::default()).await.expect("written");
    let image = load(&store, &hall()).await.expect("a room");
    let inside: Vec<&str> = image.occupants.iter().map(|entry| entry.who.as_str()).collect();
    assert_eq!(inside, sessions);
    assert_eq!(image.affiliations.len(), users.len());

    // A room name as long as a JID allows is listed and found like any other.
    let name = bare(&format!("{long}@{long}"));
    let room = Fact { room: RoomId(77), jid: name.clone(), record: created(RoomConfig::default()) };
    store.append(&fence(epoch, 1), &[room], Marks::default()).await.expect("written");
    let found = store.load_room(name.domain(), &name, tandem_muc::store::HistoryWanted::Nothing).await;
    assert_eq!(found.expect("readable").expect("a room").id, RoomId(77));
}

pub(crate) async fn what_xml_cannot_carry_is_replaced(place: Arc<Place>) {
    let store = place.store().await;
    let epoch = reign(&store).await;
    let message = Message { stanza_xml: "a\0b\u{1}c\u{ffff}d\te".into(), ..spoken(1, "\0") };
    let facts = [fact(created(RoomConfig::default()))];
    store.append(&fence(epoch, 0), &facts, Marks::default()).await.expect("written");
    store
        .append(&fence(epoch, 1), &[fact(Record::Spoken(Arc::new(message)))], Marks::default())
        .await
        .expect("written");
    let image = load(&store, &hall()).await.expect("a room");
    assert_eq!(&*image.history[0].stanza_xml, "a\u{fffd}b\u{fffd}c\u{fffd}d\te");
    assert_eq!(image.history[0].body.as_deref(), Some("\u{fffd}"));
}
