//! Records become rows, rows become the image of the room.

use std::sync::Arc;

use tandem_muc::store::{Fact, HistoryWanted, Marks, SqlStore};
use tandem_muc_core::muc::{Affiliation, Role, RoomConfig};
use tandem_muc_core::name::{BareJid, Jid, Nick};
use tandem_muc_core::protocol::vcard::Vcard;
use tandem_muc_core::record::{
    AffiliationEntry, Creation, Hat, HatChange, Leaving, Message, MessageKind, OccupantEntry, Record, Retraction,
    RoomId, RoomImage, Seq, Tombstone,
};
use tandem_muc_core::room::{Found, Search};
use tandem_muc_core::time::Utc;

use crate::model::Model;
use crate::place::{Place, SERVICE, fence, reign};

pub(crate) const HALL: RoomId = RoomId(41);

pub(crate) fn hall() -> BareJid {
    bare("hall@conference.example.org")
}

pub(crate) fn bare(text: &str) -> BareJid {
    BareJid::parse(text).expect("a JID")
}

pub(crate) fn jid(text: &str) -> Jid {
    Jid::parse(text).expect("a JID")
}

pub(crate) fn nick(text: &str) -> Nick {
    Nick::parse(text).expect("a nick")
}

pub(crate) fn fact(record: Record) -> Fact {
    Fact { room: HALL, jid: hall(), record }
}

pub(crate) fn created(config: RoomConfig) -> Record {
    Record::Created(Box::new(Creation {
        by: bare("olga@example.org"),
        at: Utc(1_000),
        config,
        is_locked: true,
        occupant_id_salt: "00112233445566778899aabbccddeeff".into(),
    }))
}

pub(crate) fn spoken(seq: i64, body: &str) -> Message {
    Message {
        seq: Seq(seq),
        archive_id: format!("archive-{seq}"),
        at: Utc(10_000 + seq),
        kind: MessageKind::Speech,
        sender: jid("olga@example.org/phone"),
        nick: Some(nick("Olga")),
        origin_id: Some(format!("m{seq}")),
        body: Some(body.to_owned()),
        stanza_xml: format!("<message type='groupchat'><body>{body}</body></message>").into(),
        is_archived: true,
    }
}

pub(crate) fn subject(seq: i64, text: &str, is_archived: bool) -> Message {
    Message { kind: MessageKind::Subject, is_archived, origin_id: None, ..spoken(seq, text) }
}

fn entered(who: &str, under: &str, at: i64) -> Record {
    Record::Entered(Box::new(OccupantEntry {
        who: jid(who),
        nick: nick(under),
        role: Role::Participant,
        presence_xml: format!("<show>away</show><status>{at}</status>").into(),
        at: Utc(at),
    }))
}

fn affiliated(who: &str, affiliation: Affiliation, reserved: Option<&str>) -> Record {
    Record::Affiliated(Box::new(AffiliationEntry {
        who: bare(who),
        affiliation,
        nick: reserved.map(nick),
        reason: reserved.map(|_| "because".to_owned()),
        by: bare("olga@example.org"),
        at: Utc(77),
    }))
}

pub(crate) fn retracted(seq: i64, author: &str) -> Record {
    Record::Retracted(Arc::new(Retraction {
        archive_id: format!("archive-{seq}"),
        author: bare(author),
        retracted_xml: format!("<retracted id='{author}'/>").into(),
    }))
}

/// A vCard with this inside, and the hashes of its pictures; or none any more.
fn card(inside: Option<(&str, &[&str])>) -> Record {
    Record::VcardSet(inside.map(|(inside, avatars)| {
        Arc::new(Vcard {
            xml: format!("<vCard xmlns='vcard-temp'>{inside}</vCard>").into(),
            avatars: avatars.iter().map(|&hash| hash.to_owned()).collect(),
        })
    }))
}

fn made(uri: &str, title: &str, hue: Option<&str>) -> Record {
    let lang = hue.map(|_| "en".to_owned());
    Record::Hat(HatChange::Made(Hat { uri: uri.into(), title: title.into(), hue: hue.map(str::to_owned), lang }))
}

fn put_on(who: &str, uri: &str) -> Record {
    Record::Hat(HatChange::PutOn { who: bare(who), uri: uri.into() })
}

pub(crate) async fn load(store: &SqlStore, room: &BareJid) -> Option<RoomImage> {
    store.load_room(SERVICE, room, HistoryWanted::UpTo(u32::MAX)).await.expect("readable")
}

pub(crate) async fn every_record_comes_back_in_the_image(place: Arc<Place>) {
    let store = place.store().await;
    let epoch = reign(&store).await;
    assert_eq!(load(&store, &hall()).await, None);
    let config = RoomConfig { title: "The Hall".into(), password: Some("sésame".into()), ..RoomConfig::default() };
    let said = |message: Message| Record::Spoken(Arc::new(message));
    let story = vec![
        created(RoomConfig::default()),
        affiliated("olga@example.org", Affiliation::Owner, None),
        entered("olga@example.org/phone", "Olga", 5),
        Record::Configured(Box::new(config)),
        Record::Unlocked,
        affiliated("nils@example.org", Affiliation::None, Some("Nils")),
        affiliated("mia@example.org", Affiliation::Member, Some("Mia")),
        affiliated("example.com", Affiliation::Outcast, None),
        affiliated("example.com", Affiliation::None, None),
        Record::Relisted { who: bare("mia@example.org"), version: 1 },
        Record::Seen { who: bare("mia@example.org"), upto: Seq(0) },
        Record::Seen { who: bare("nobody@example.org"), upto: Seq(7) },
        entered("mia@example.org/1", "Mia", 6),
        Record::Seen { who: bare("mia@example.org"), upto: Seq::ALL },
        affiliated("mia@example.org", Affiliation::Admin, Some("Mia")),
        Record::Relisted { who: bare("mia@example.org"), version: 2 },
        affiliated("nils@example.org", Affiliation::None, None),
        entered("mia@example.org/2", "mia", 7),
        entered("olga@example.org/phone", "olga", 8),
        Record::Present { who: jid("mia@example.org/1"), nick: nick("Mia"), presence_xml: "".into() },
        Record::Present { who: jid("mia@example.org/1"), nick: nick("Mia"), presence_xml: "<show>dnd</show>".into() },
        Record::Renamed { from: nick("Mia"), to: nick("Mia\u{1f984}") },
        Record::RoleSet { nick: nick("Olga"), role: Role::Moderator },
        said(spoken(1, "one")),
        said(subject(2, "a subject", true)),
        said(spoken(3, "three")),
        said(Message { is_archived: false, ..spoken(4, "not kept") }),
        said(subject(5, "a subject that is not archived", false)),
        said(Message { nick: None, origin_id: None, body: None, sender: hall().into(), ..spoken(6, "") }),
        Record::Left { who: jid("mia@example.org/2"), nick: nick("Mia\u{1f984}"), why: Leaving::Kicked },
        said(Message { is_archived: false, ..spoken(7, "not kept") }),
        card(Some(("<FN>Hall</FN>", &[]))),
        card(Some(("<FN>The Hall</FN>", &["a1b2", "c3d4"]))),
        card(None),
        card(Some(("<FN>Hall\u{1f984}</FN>", &["e5"]))),
        made("urn:x:host", "Host", Some("327.25")),
        made("urn:x:Host", "x", None),
        put_on("mia@example.org", "urn:x:host"),
        put_on("mia@example.org", "urn:x:host"),
        put_on("olga@example.org", "urn:x:host"),
        put_on("olga@example.org", "urn:x:Host"),
        made("urn:x:host", "H\u{f6}st", None),
        Record::Hat(HatChange::TakenOff { who: bare("mia@example.org"), uri: "urn:x:host".into() }),
        Record::Hat(HatChange::Destroyed { uri: "urn:x:Host".into() }),
        Record::Destroyed(Tombstone {
            at: Utc(900),
            alternate: Some(bare("new@conference.example.org")),
            reason: Some("moved".into()),
            until: Utc(1_900),
        }),
        Record::Vanished,
    ];
    let mut model = Model::default();
    for (nth, record) in story.into_iter().enumerate() {
        let after = i64::try_from(nth).expect("fits");
        store.append(&fence(epoch, after), &[fact(record.clone())], Marks::default()).await.expect("written");
        model.apply(HALL, &hall(), &record);
        assert_eq!(load(&store, &hall()).await, model.image(&hall()), "after {record:?}");
    }
}

/// A generator of numbers (Knuth's MMIX constants), so that every run tells the same stories.
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from((self.0 >> 33) % u64::try_from(bound).expect("fits")).expect("fits")
    }
}

/// Some record that could follow in a living room.
fn some_record(chance: &mut Chance, seq: &mut i64, version: &mut i64) -> Record {
    const NICKS: [&str; 4] = ["Olga", "OLGA", "Mia", "Nils\u{1f984} "];
    const USERS: [&str; 3] = ["olga@example.org", "mia@example.org", "example.com"];
    const HATS: [&str; 2] = ["urn:x:host", "urn:x:HOST"];
    const SESSIONS: [&str; 3] = ["olga@example.org/Phone", "olga@example.org/phone", "mia@example.org/x y"];
    let at = i64::try_from(chance.below(1_000)).expect("fits");
    let a_nick = NICKS[chance.below(4)];
    let session = SESSIONS[chance.below(3)];
    match chance.below(20) {
        0 => Record::Configured(Box::new(RoomConfig {
            history_max: u32::try_from(chance.below(5)).expect("fits"),
            is_public: chance.below(2) == 0,
            ..RoomConfig::default()
        })),
        1 => Record::Unlocked,
        2 => affiliated(USERS[chance.below(3)], Affiliation::Member, Some(a_nick)),
        3 => affiliated(USERS[chance.below(3)], Affiliation::None, None),
        4 => entered(session, a_nick, at),
        5 => Record::Left { who: jid(session), nick: nick(a_nick), why: Leaving::Exit },
        6 | 7 => Record::Present {
            who: jid(session),
            nick: nick(a_nick),
            presence_xml: format!("<status>{at}</status>").into(),
        },
        8 => Record::RoleSet { nick: nick(a_nick), role: Role::Visitor },
        9 => retracted(i64::try_from(chance.below(12)).expect("fits"), USERS[chance.below(2)]),
        13 => card((at % 3 > 0).then_some(("<FN>Hall</FN>", &[a_nick.trim()]))),
        14 => made(HATS[chance.below(2)], a_nick, None),
        15 => put_on(USERS[chance.below(2)], HATS[chance.below(2)]),
        16 => Record::Hat(HatChange::TakenOff { who: bare(USERS[chance.below(2)]), uri: HATS[chance.below(2)].into() }),
        17 => Record::Hat(HatChange::Destroyed { uri: HATS[chance.below(2)].into() }),
        18 => Record::Seen { who: bare(USERS[chance.below(3)]), upto: Seq(at) },
        19 => {
            *version += [1, 1, 1, 90][chance.below(4)];
            Record::Relisted { who: bare(USERS[chance.below(3)]), version: *version }
        }
        kind => {
            *seq += 1;
            let message = if kind == 12 { subject(*seq, "s", at % 2 == 0) } else { spoken(*seq, "b") };
            Record::Spoken(Arc::new(Message { is_archived: at % 3 > 0, ..message }))
        }
    }
}

pub(crate) async fn any_sequence_of_records_ends_at_the_image_of_the_model(place: Arc<Place>) {
    let store = place.store().await;
    let epoch = reign(&store).await;
    let mut chance = Chance(7);
    let mut after = 0;
    for story in 0..12 {
        let (room, name) = (RoomId(100 + story), bare(&format!("room{story}@conference.example.org")));
        let mut model = Model::default();
        let (mut seq, mut version) = (0, 0);
        let mut group = vec![created(RoomConfig::default())];
        for nth in 0..8 {
            for _ in 0..chance.below(14) {
                group.push(some_record(&mut chance, &mut seq, &mut version));
            }
            if nth == 5 && story % 3 == 0 {
                group.push(Record::Destroyed(Tombstone { at: Utc(5), alternate: None, reason: None, until: Utc(6) }));
            }
            if nth == 5 && story % 4 == 1 {
                group.extend([Record::Vanished, created(RoomConfig::default())]);
                (seq, version) = (0, 0);
            }
            let facts: Vec<Fact> = group.drain(..).map(|record| Fact { room, jid: name.clone(), record }).collect();
            store.append(&fence(epoch, after), &facts, Marks::default()).await.expect("written");
            after += 1;
            for fact in &facts {
                model.apply(room, &name, &fact.record);
            }
            assert_eq!(load(&store, &name).await, model.image(&name), "story {story}, after {facts:#?}");
            if nth == 5 && story % 3 == 0 {
                break;
            }
        }
    }
}

pub(crate) async fn a_destroyed_room_makes_way_for_a_new_one(place: Arc<Place>) {
    let store = place.store().await;
    let epoch = reign(&store).await;
    let tombstone = Tombstone { at: Utc(5), alternate: None, reason: None, until: Utc(6) };
    let gone = [created(RoomConfig::default()), Record::Spoken(Arc::new(spoken(1, "a"))), Record::Destroyed(tombstone)];
    store.append(&fence(epoch, 0), &gone.map(fact), Marks::default()).await.expect("written");
    assert_eq!(load(&store, &hall()).await.expect("a tombstone").last_seq, Seq(1));
    let anew = Fact { room: RoomId(42), jid: hall(), record: created(RoomConfig::default()) };
    store.append(&fence(epoch, 1), std::slice::from_ref(&anew), Marks::default()).await.expect("written");
    let image = load(&store, &hall()).await.expect("a room");
    assert_eq!((image.id, image.tombstone, image.last_seq), (RoomId(42), None, Seq(0)));
    let again = Fact { room: RoomId(43), ..anew };
    let twice = store.append(&fence(epoch, 2), &[again], Marks::default()).await;
    assert!(matches!(twice, Err(tandem_muc::store::StoreError::Damaged { .. })), "{twice:?}");
}

pub(crate) async fn a_vcard_is_read_apart_from_its_room(place: Arc<Place>) {
    let store = place.store().await;
    let epoch = reign(&store).await;
    let look = async || store.look(HALL, &Search::Vcard).await.expect("readable");
    let big = format!("<DESC>{}</DESC>", "é".repeat(50_000));
    let story = [
        (vec![created(RoomConfig::default())], None),
        (vec![card(Some(("<FN>A</FN>", &["a1"]))), card(Some((&big, &["b2"])))], Some(big.as_str())),
        (vec![card(None)], None),
        (vec![card(Some(("<FN>C</FN>", &[])))], Some("<FN>C</FN>")),
        (vec![Record::Destroyed(Tombstone { at: Utc(5), alternate: None, reason: None, until: Utc(6) })], None),
    ];
    for (after, (records, wanted)) in (0..).zip(story) {
        let facts: Vec<Fact> = records.into_iter().map(fact).collect();
        store.append(&fence(epoch, after), &facts, Marks::default()).await.expect("written");
        let wanted = wanted.map(|inside| format!("<vCard xmlns='vcard-temp'>{inside}</vCard>"));
        assert_eq!(look().await, Found::Vcard(wanted), "after group {after}");
    }
}

pub(crate) async fn a_large_group_comes_back_whole_and_in_order(place: Arc<Place>) {
    let store = place.store().await;
    let epoch = reign(&store).await;
    let config = RoomConfig { history_max: 1_000, ..RoomConfig::default() };
    store.append(&fence(epoch, 0), &[fact(created(config))], Marks::default()).await.expect("written");
    let said: Vec<Message> = (1..=487).map(|seq| spoken(seq, &format!("number {seq}"))).collect();
    let facts: Vec<Fact> = said.iter().map(|message| fact(Record::Spoken(Arc::new(message.clone())))).collect();
    store.append(&fence(epoch, 1), &facts, Marks::default()).await.expect("written");
    let image = load(&store, &hall()).await.expect("a room");
    assert!(image.history.iter().map(|message| &**message).eq(&said));
}
