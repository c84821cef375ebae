//! Archives: looking into them, letting go of what is old.

use std::sync::Arc;

use tandem_muc::store::{Fact, Marks, SqlStore};
use tandem_muc_core::muc::RoomConfig;
use tandem_muc_core::record::{Message, Record, RoomId, Seq, Tombstone};
use tandem_muc_core::room::{Found, PageSearch, Search, Sender};
use tandem_muc_core::time::Utc;
use tandem_muc_tests::archive;

use crate::model::Model;
use crate::place::{Place, SERVICE, fence, reign};
use crate::records::{Chance, HALL, bare, created, fact, hall, jid, load, nick, retracted, spoken, subject};

const BODIES: [&str; 4] = ["Thrice the brinded cat", "the HEDGE-PIG whined", "\u{dc}ber \u{1f984} ta\u{df}", ""];
const SENDERS: [(&str, &str); 3] =
    [("olga@example.org/phone", "Olga"), ("mia@example.org/1", "Mia"), ("mia@example.org/2", "mia")];

/// Some message that could follow; several share one moment.
fn some_message(chance: &mut Chance, seq: i64) -> Message {
    let (sender, under) = SENDERS[chance.below(3)];
    let body = BODIES[chance.below(4)];
    let plain = if chance.below(9) == 0 { subject(seq, body, true) } else { spoken(seq, body) };
    Message {
        at: Utc(10_000 + seq / 3),
        sender: jid(sender),
        nick: Some(nick(under)),
        body: (!body.is_empty()).then(|| body.to_owned()),
        is_archived: chance.below(5) > 0,
        ..plain
    }
}

/// Some search with ids that are there, or once were, or never.
fn some_search(chance: &mut Chance, last: i64) -> PageSearch {
    let bound = usize::try_from(last + 2).expect("fits");
    let id = |chance: &mut Chance| format!("archive-{}", chance.below(bound));
    let one_in = |chance: &mut Chance, sides| chance.below(sides) == 0;
    let mut search = PageSearch { max: [0, 1, 3, 40, 100][chance.below(5)], bytes_max: 600, ..PageSearch::default() };
    search.is_last_page = one_in(chance, 2);
    if one_in(chance, 4) {
        search.bytes_max = 1_000_000;
    }
    if one_in(chance, 3) {
        search.after.push(id(chance));
    }
    if one_in(chance, 3) {
        search.before.push(id(chance));
    }
    if one_in(chance, 5) {
        search.ids = (0..=chance.below(3)).map(|_| id(chance)).collect();
    }
    let time = |chance: &mut Chance| Utc(9_990 + i64::try_from(chance.below(bound)).expect("fits"));
    if one_in(chance, 4) {
        search.from = Some(time(chance));
    }
    if one_in(chance, 4) {
        search.until = Some(time(chance));
    }
    if one_in(chance, 3) {
        search.sender = Some(match chance.below(3) {
            0 => Sender::User(bare("mia@example.org")),
            1 => Sender::Session(jid("mia@example.org/2")),
            _ => Sender::Nick(nick("mia")),
        });
    }
    if one_in(chance, 4) {
        search.words = [["the", "cat"], ["hedge", "the"], ["\u{fc}ber", "\u{1f984}"], ["none", "no"]][chance.below(4)]
            .map(str::to_owned)
            .to_vec();
    }
    search
}

async fn look(store: &SqlStore, search: PageSearch) -> Found {
    store.look(HALL, &Search::Page(Box::new(search))).await.expect("readable")
}

pub(crate) async fn a_look_finds_what_a_plain_list_has(place: Arc<Place>) {
    let store = place.store().await;
    let epoch = reign(&store).await;
    let (mut chance, mut model, mut seq) = (Chance(11), Model::default(), 0);
    let mut facts = vec![fact(created(RoomConfig::default()))];
    for after in 0..4 {
        for _ in 0..[3, 40, 1, 260][usize::try_from(after).expect("fits")] {
            seq += 1;
            facts.push(fact(Record::Spoken(Arc::new(some_message(&mut chance, seq)))));
        }
        // Another room's messages are another room's.
        facts.push(Fact {
            room: RoomId(77),
            jid: bare("cellar@conference.example.org"),
            record: Record::Spoken(Arc::new(Message {
                archive_id: format!("archive-{}", seq + 1),
                ..spoken(seq + 1, "the cat")
            })),
        });
        if after == 0 {
            facts.insert(
                1,
                Fact {
                    room: RoomId(77),
                    jid: bare("cellar@conference.example.org"),
                    record: created(RoomConfig::default()),
                },
            );
        }
        store.append(&fence(epoch, after), &facts, Marks::default()).await.expect("written");
        for fact in facts.drain(..) {
            model.apply(fact.room, &fact.jid, &fact.record);
        }
        for _ in 0..150 {
            let search = some_search(&mut chance, seq);
            let wanted = archive::look(model.said(&hall()), &Search::Page(Box::new(search.clone())));
            assert_eq!(look(&store, search.clone()).await, wanted, "{search:#?}");
        }
    }
}

pub(crate) async fn the_ends_of_an_archive_are_told(place: Arc<Place>) {
    let store = place.store().await;
    let epoch = reign(&store).await;
    let ends = async |store: &SqlStore| store.look(HALL, &Search::Ends).await.expect("readable");
    assert_eq!(ends(&store).await, Found::Messages { messages: vec![], is_complete: true });
    let facts: Vec<Fact> = std::iter::once(created(RoomConfig::default()))
        .chain((1..=3).map(|seq| Record::Spoken(Arc::new(spoken(seq, "a")))))
        .map(fact)
        .collect();
    store.append(&fence(epoch, 0), &facts, Marks::default()).await.expect("written");
    assert_eq!(
        ends(&store).await,
        Found::Messages { messages: vec![spoken(1, "a"), spoken(3, "a")], is_complete: true }
    );
}

pub(crate) async fn a_search_ends_where_it_went_far_enough(place: Arc<Place>) {
    let store = place.store().await;
    let epoch = reign(&store).await;
    store.append(&fence(epoch, 0), &[fact(created(RoomConfig::default()))], Marks::default()).await.expect("written");
    // The operator's way: a hundred thousand appends would take long.
    place.sql(
        "INSERT INTO muc_message (room_id, seq, archive_id, sent_ms, kind_txt, sender_hash, sender_txt, nick_txt,
         body_txt, stanza_xml, grp_seq)
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100002)
         SELECT 41, i, 'archive-' || i, i, 'speech', 'x', 'olga@example.org/1', 'Olga',
         CASE WHEN i = 100002 THEN 'needle' ELSE 'hay' END, '<message/>', 1 FROM n"
            .replace("'x'", if place.is_postgres() { "'\\x00'::bytea" } else { "x'00'" })
            .as_str(),
    );
    let needle = PageSearch { words: vec!["needle".into()], max: 5, bytes_max: 1_000, ..PageSearch::default() };
    assert_eq!(look(&store, needle.clone()).await, Found::NothingNear);
    for search in [
        PageSearch { is_last_page: true, ..needle.clone() },
        PageSearch { from: Some(Utc(50_000)), ..needle.clone() },
        PageSearch { after: vec!["archive-99000".into()], ..needle.clone() },
    ] {
        let Found::Messages { messages, .. } = look(&store, search).await else { panic!("it is there") };
        assert_eq!(messages.iter().map(|message| message.seq).collect::<Vec<_>>(), [Seq(100_002)]);
    }
    let hay = PageSearch { words: vec!["hay".into()], max: 2, bytes_max: 1_000, ..PageSearch::default() };
    assert!(matches!(look(&store, hay).await, Found::Messages { messages, is_complete: false } if messages.len() == 2));
}

pub(crate) async fn what_was_taken_back_says_nothing_any_more(place: Arc<Place>) {
    let store = place.store().await;
    let epoch = reign(&store).await;
    let mut model = Model::default();
    let said = |seq| Record::Spoken(Arc::new(spoken(seq, "secret")));
    let groups: [Vec<Record>; 6] = [
        vec![created(RoomConfig::default()), said(1), said(2), retracted(2, "olga@example.org"), said(3)],
        vec![retracted(1, "mia@example.org"), retracted(9, "olga@example.org")],
        vec![retracted(1, "olga@example.org")],
        // Once is once.
        vec![
            said(4),
            retracted(4, "olga@example.org"),
            retracted(4, "mia@example.org"),
            retracted(1, "olga@example.org"),
        ],
        vec![Record::Spoken(Arc::new(subject(5, "secret", true))), retracted(5, "olga@example.org")],
        vec![retracted(5, "olga@example.org")],
    ];
    for (after, group) in (0..).zip(groups) {
        let facts: Vec<Fact> = group.into_iter().map(fact).collect();
        store.append(&fence(epoch, after), &facts, Marks::default()).await.expect("written");
        for fact in &facts {
            model.apply(HALL, &hall(), &fact.record);
        }
        assert_eq!(load(&store, &hall()).await, model.image(&hall()), "after {facts:#?}");
    }
    let left =
        place.sql("SELECT seq FROM muc_message WHERE body_txt = 'secret' OR stanza_xml LIKE '%secret%' ORDER BY seq");
    assert_eq!(left.split_whitespace().collect::<Vec<_>>(), ["3", "5"]);
    let search = PageSearch { max: 9, bytes_max: 9_999, ..PageSearch::default() };
    let wanted = archive::look(model.said(&hall()), &Search::Page(Box::new(search.clone())));
    assert_eq!(look(&store, search).await, wanted);
}

pub(crate) async fn what_expired_is_gone_and_its_number_stays_taken(place: Arc<Place>) {
    let store = place.store().await;
    let epoch = reign(&store).await;
    let mut model = Model::default();
    let said = |seq| Record::Spoken(Arc::new(spoken(seq, "a")));
    let groups: [Vec<Record>; 5] = [
        std::iter::once(created(RoomConfig::default())).chain((1..=9).map(said)).collect(),
        vec![Record::Expired { upto: Seq(4), before: Utc(10_100) }],
        vec![Record::Expired { upto: Seq(9), before: Utc(10_007) }],
        vec![said(10), Record::Expired { upto: Seq(10), before: Utc(10_100) }, said(11)],
        vec![Record::Expired { upto: Seq(11), before: Utc(10_100) }],
    ];
    assert_eq!(store.oldest_before(HALL, Utc(99_999), 5).await.expect("readable"), None);
    for (after, group) in (0..).zip(groups) {
        let facts: Vec<Fact> = group.into_iter().map(fact).collect();
        store.append(&fence(epoch, after), &facts, Marks::default()).await.expect("written");
        for fact in &facts {
            model.apply(HALL, &hall(), &fact.record);
        }
        assert_eq!(load(&store, &hall()).await, model.image(&hall()), "after {facts:#?}");
        if after == 0 {
            assert_eq!(store.oldest_before(HALL, Utc(99_999), 5).await.expect("readable"), Some(Seq(5)));
            assert_eq!(store.oldest_before(HALL, Utc(10_004), 5).await.expect("readable"), Some(Seq(3)));
        }
    }
    let image = load(&store, &hall()).await.expect("a room");
    assert_eq!((image.last_seq, image.history.len()), (Seq(11), 0));
}

pub(crate) async fn rooms_come_with_their_configurations(place: Arc<Place>) {
    let store = place.store().await;
    let epoch = reign(&store).await;
    let mut facts = Vec::new();
    for nth in 1..=5_u32 {
        let (room, jid) = (RoomId(i64::from(nth)), bare(&format!("room{nth}@{SERVICE}")));
        let config = RoomConfig { archive_days: nth, ..RoomConfig::default() };
        facts.extend([created(config), Record::Unlocked].map(|record| Fact { room, jid: jid.clone(), record }));
    }
    let tombstone = Tombstone { at: Utc(1), alternate: None, reason: None, until: Utc(2) };
    let jid = bare(&format!("room5@{SERVICE}"));
    facts.push(Fact { room: RoomId(5), jid, record: Record::Destroyed(tombstone) });
    store.append(&fence(epoch, 0), &facts, Marks::default()).await.expect("written");
    place.sql("UPDATE muc_room SET config_txt = 'broken' WHERE room_id = 2");
    let mut seen = Vec::new();
    let mut after = RoomId(0);
    loop {
        let page = store.configured_rooms(SERVICE, after, 2).await.expect("readable");
        let Some((last, ..)) = page.last() else { break };
        after = *last;
        seen.extend(page.into_iter().map(|(room, _, config)| (room.0, config.map(|config| config.archive_days))));
    }
    assert_eq!(seen, [(1, Some(1)), (2, None), (3, Some(3)), (4, Some(4))]);
}
