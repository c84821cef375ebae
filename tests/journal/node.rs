//! The whole node: rooms loaded as they are needed, the end in time whatever is away, the tail after a crash.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use metrics_exporter_prometheus::PrometheusBuilder;
use tandem_muc::config::Config;
use tandem_muc::service::{self, ServiceError, Status};
use tandem_muc::store::{Acquired, Ask, Epoch, Fact, Fence, Marks, Right};
use tandem_muc_core::muc::{Role, RoomConfig};
use tandem_muc_core::name::Nick;
use tandem_muc_core::record::{Creation, OccupantEntry, Record, RoomId};
use tandem_muc_core::time::Utc;
use tandem_muc_tests::loopback::{Hearing, Loopback, Manners};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::{DOMAIN, Ear, Place, SECRET, bare, jid, let_go, message};

/// A running node and its peer.
struct Node {
    peer: Loopback,
    ear: Ear,
    status: Status,
    stop: watch::Sender<bool>,
    serving: JoinHandle<Result<(), ServiceError>>,
}

impl Node {
    async fn start(place: &Place, more: &str) -> Node {
        let peer = Loopback::start(DOMAIN, SECRET, Hearing::Keep).await;
        let text = format!(
            "[store]\nurl = \"{}\"\nanswer_ms = 1000\n[[service]]\ndomain = \"{DOMAIN}\"\nserver = [\"{}\"]\nsecret = \"{SECRET}\"\nlock_new_rooms = false\n{more}",
            place.url(),
            peer.address()
        );
        let config = Config::parse(Path::new("test.toml"), &text).expect("a configuration");
        let status = Status::new(&config);
        let (stop, stops) = watch::channel(false);
        let (_, reloads) = watch::channel(None);
        let counted = PrometheusBuilder::new().build_recorder().handle();
        let serving = tokio::spawn(service::serve(config, status.clone(), stops, reloads, counted));
        while peer.attached() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Node { peer, ear: Ear::default(), status, stop, serving }
    }

    async fn heard(&mut self, what: &str, times: usize) {
        self.ear.until(&mut self.peer, what, times).await;
    }

    /// Waits until it says that it is ready, or that it is not.
    async fn says_ready(&self, is_ready: bool) {
        let waiting = async {
            while self.status.domains().any(|domain| domain.verdict().is_ok() != is_ready) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), waiting).await.expect("it says so");
    }

    /// Tells it to stop; how long it took, and what it says.
    async fn end(self) -> (Duration, Result<(), ServiceError>) {
        let begun = Instant::now();
        self.stop.send_replace(true);
        let ended = tokio::time::timeout(Duration::from_secs(20), self.serving).await;
        (begun.elapsed(), ended.expect("it ends at all").expect("no panic"))
    }
}

fn entering(room: usize) -> String {
    format!(
        "<presence from='olga@example.org/1' to='room{room}@{DOMAIN}/Olga'><x xmlns='http://jabber.org/protocol/muc'/></presence>"
    )
}

fn speech(room: usize, nth: usize) -> String {
    format!(
        "<message from='olga@example.org/1' to='room{room}@{DOMAIN}' type='groupchat' id='m{nth}'><body>hello</body></message>"
    )
}

#[tokio::test]
async fn ten_thousand_stanzas_pass_while_their_rooms_load() {
    const ROOMS: usize = 500;
    let place = Place::new();
    let mut node = Node::start(&place, "").await;
    node.peer.inject((0..ROOMS).map(entering).collect::<String>());
    node.heard("<subject", ROOMS).await;
    let (_, ended) = node.end().await;
    ended.expect("a good end");

    let mut node = Node::start(&place, "").await;
    let words = (0..10_000).map(|nth| speech(nth % ROOMS, nth));
    node.peer.inject(words.collect::<String>());
    node.heard("</message>", 10_000).await;
    for room in 0..ROOMS {
        let heard = node.ear.text();
        let said: Vec<usize> = heard
            .split("<message ")
            .filter(|word| word.contains(&format!("'room{room}@{DOMAIN}/Olga'")))
            .filter_map(|word| word.split("id='m").nth(1)?.split('\'').next()?.parse().ok())
            .collect();
        assert_eq!(said, (0..20).map(|turn| turn * ROOMS + room).collect::<Vec<_>>(), "room {room}");
        if room == 20 {
            // Each look reads all that was heard; some rooms speak for all.
            break;
        }
    }
    let (_, ended) = node.end().await;
    ended.expect("a good end");
}

#[tokio::test]
async fn it_ends_in_time_whatever_is_away() {
    for (server_is_away, store_is_away) in [(false, false), (true, false), (false, true), (true, true)] {
        let place = Place::new();
        let mut node = Node::start(&place, "").await;
        node.peer.inject(entering(1));
        node.heard("<subject", 1).await;
        let _held = if store_is_away { Some(place.hold().await) } else { None };
        node.peer.inject((0..5_000).map(|nth| speech(1, nth)).collect::<String>());
        tokio::time::sleep(Duration::from_millis(50)).await;
        if server_is_away {
            node.peer.behave(Manners::Mute);
            node.peer.cut();
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        let (took, ended) = node.end().await;
        let case = format!("server away: {server_is_away}, store away: {store_is_away}, {took:?}");
        assert!(ended.is_ok(), "told to stop is no loss of the lease; {case}: {ended:?}");
        assert!(took < Duration::from_secs(5), "{case}");
    }
}

#[tokio::test]
async fn strangers_with_made_up_names_are_answered_one_by_one() {
    let place = Place::new();
    let mut node = Node::start(&place, "").await;
    let ask = |nth: usize, to: &str, ns: &str| {
        format!(
            "<iq type='get' id='i{nth}' from='x{nth}@example.org/1' to='{to}'><query xmlns='http://jabber.org/protocol/{ns}'/></iq>"
        )
    };
    let rooms = (0..3_000).map(|nth| ask(nth, &format!("none{nth}@{DOMAIN}"), "disco#info"));
    let lists = (0..1_000).map(|nth| ask(nth, DOMAIN, "disco#items"));
    node.peer.inject(rooms.chain(lists).collect::<String>());
    node.heard("</iq>", 3_000).await;
    node.ear.during(&mut node.peer, Duration::from_secs(2)).await;
    assert_eq!(node.ear.count(" id='i"), 4_000, "each is answered, with a list or with being told to wait");
    assert_eq!(node.ear.count("<item-not-found"), 3_000);
    node.end().await.1.expect("a good end");
}

#[tokio::test]
async fn it_is_ready_only_while_the_store_answers() {
    let place = Place::new();
    let node = Node::start(&place, "").await;
    node.says_ready(true).await;
    let held = place.hold().await;
    node.says_ready(false).await;
    let_go(held).await;
    node.says_ready(true).await;
    node.end().await.1.expect("a good end");
}

/// A room with Olga inside and so many messages nobody is known to have heard, as a crash leaves it.
async fn crashed(place: &Place, messages: i64) {
    crowded(place, 0, messages).await;
}

/// The same with so many others inside.
async fn crowded(place: &Place, others: usize, messages: i64) {
    let store = place.store().await;
    let lock = store.session_lock(DOMAIN).await.expect("an answer").expect("free");
    let Acquired::Lease(lease) = store
        .acquire(&Ask { name: DOMAIN, node: "a", ttl_ms: 500, right: Right::Dead(&lock), above: Epoch(0) })
        .await
        .expect("an answer")
    else {
        panic!("the lease is free")
    };
    let (room, olga) = (bare(&format!("room1@{DOMAIN}")), jid("olga@example.org/1"));
    let creation = Creation {
        by: olga.to_bare(),
        at: Utc(1_700_000_000_000),
        config: RoomConfig::default(),
        is_locked: false,
        occupant_id_salt: "00".repeat(16),
    };
    let entry = OccupantEntry {
        who: olga,
        nick: Nick::parse("Olga").expect("a nick"),
        role: Role::Moderator,
        presence_xml: "".into(),
        at: Utc(1_700_000_000_000),
    };
    let mut records = vec![Record::Created(Box::new(creation))];
    records.extend((0..others).map(|nth| {
        let (who, nick) = (jid(&format!("nils{nth}@example.org/1")), format!("Nils {nth}"));
        let nick = Nick::parse(&nick).expect("a nick");
        Record::Entered(Box::new(OccupantEntry { who, nick, ..entry.clone() }))
    }));
    records.push(Record::Entered(Box::new(entry)));
    records.extend((1..=messages).map(|nth| Record::Spoken(Arc::new(message(&room, nth)))));
    let facts: Vec<Fact> =
        records.into_iter().map(|record| Fact { room: RoomId(1), jid: room.clone(), record }).collect();
    // Few enough at a time for a machine with much else to do.
    for (after, facts) in (lease.seq..).zip(facts.chunks(if others == 0 { facts.len() } else { 200 })) {
        let fence = Fence { service: DOMAIN.to_owned(), epoch: lease.epoch, after, next: after + 1 };
        store.append(&fence, facts, Marks::default()).await.expect("written");
    }
}

#[tokio::test]
async fn a_long_tail_is_said_again_whole_before_anything_new() {
    let place = Place::new();
    crashed(&place, 2_500).await;
    let mut node = Node::start(&place, "").await;
    node.peer.inject(speech(1, 9_999));
    node.heard("id='m9999'", 1).await;
    let expected: Vec<usize> = (1..=2_500).chain([9_999]).collect();
    assert_eq!(node.ear.numbers("id='m"), expected);
    let (_, ended) = node.end().await;
    ended.expect("a good end");

    let mut node = Node::start(&place, "").await;
    node.ear.during(&mut node.peer, Duration::from_millis(500)).await;
    assert_eq!(node.ear.count("id='m"), 0, "what was heard is not said a third time");
    node.end().await.1.expect("a good end");
}

#[tokio::test]
async fn an_idle_room_leaves_memory_and_comes_back_the_same() {
    let place = Place::new();
    let mut node = Node::start(&place, "[service.limits]\nidle_seconds = 1\n").await;
    node.peer.inject(entering(1));
    node.heard("<subject", 1).await;
    node.peer.inject(speech(1, 1));
    node.heard("</message>", 2).await;
    let leave = format!("<presence from='olga@example.org/1' to='room1@{DOMAIN}/Olga' type='unavailable'/>");
    node.peer.inject(leave);
    node.heard("unavailable", 1).await;
    // Rooms are looked through every five seconds.
    tokio::time::sleep(Duration::from_secs(7)).await;
    node.peer.inject(entering(1));
    node.heard("urn:xmpp:delay", 1).await;
    node.heard("<subject", 2).await;
    assert_eq!(node.ear.count("code='201'"), 1, "it is the room it was: {}", node.ear.text());
    node.end().await.1.expect("a good end");
}

#[tokio::test]
async fn the_look_for_ghosts_holds_no_end_up() {
    let place = Place::new();
    crowded(&place, 8_000, 0).await;
    let mut node = Node::start(&place, "").await;
    node.heard("to='nils", 1).await;
    let (took, ended) = node.end().await;
    ended.expect("a good end");
    assert!(took < Duration::from_secs(2), "{took:?}");
}
