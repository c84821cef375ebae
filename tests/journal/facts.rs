//! The journal alone: what it does before it speaks, and about each failure of the store.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusBuilder;
use tandem_muc::config::RelayConfig;
use tandem_muc::journal::{Entry, Health, Journal, Life, Notice, Setup};
use tandem_muc::relay;
use tandem_muc::store::{Acquired, Ask, Epoch, HistoryWanted, Lease, Right, SqlStore};
use tandem_muc::stream::{Claim, Limits, Pace, Received, Reign, Stream, StreamConfig, StreamHandle};
use tandem_muc_core::muc::RoomConfig;
use tandem_muc_core::record::{Creation, Record, RoomId};
use tandem_muc_core::stanza::{Audience, Inbound, Kind, Outbound, Stanza, Type};
use tandem_muc_core::time::Utc;
use tandem_muc_tests::loopback::{Hearing, Loopback};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::{DOMAIN, Ear, Place, SECRET, bare, jid, let_go, message};

/// A journal at work.
struct Desk {
    place: Place,
    store: SqlStore,
    peer: Loopback,
    ear: Ear,
    journal: Journal,
    running: JoinHandle<()>,
    notices: mpsc::UnboundedReceiver<Notice>,
    stream: StreamHandle,
    _stop: watch::Sender<bool>,
    _inbound: mpsc::Receiver<Received>,
    relay: Option<(relay::Running, watch::Sender<bool>)>,
}

impl Desk {
    async fn open(has_tail: bool) -> Desk {
        Desk::open_through(None, has_tail).await
    }

    /// With a relay between it and the server.
    async fn open_relayed(has_tail: bool) -> Desk {
        let peer = Loopback::start(DOMAIN, SECRET, Hearing::Keep).await;
        let text = format!(
            "[[domain]]\ndomain = \"{DOMAIN}\"\nsecret = \"{SECRET}\"\nserver = \"{}\"\nlisten = \"127.0.0.1:0\"\n",
            peer.address()
        );
        let config = RelayConfig::parse(Path::new("relay.toml"), &text).expect("a configuration");
        let (stop, stops) = watch::channel(false);
        let counted = PrometheusBuilder::new().build_recorder().handle();
        let running = relay::start(&config, relay::Pace::default(), &stops, counted).await.expect("it listens");
        Desk::open_through(Some((peer, running, stop)), has_tail).await
    }

    async fn open_through(relay: Option<(Loopback, relay::Running, watch::Sender<bool>)>, has_tail: bool) -> Desk {
        let place = Place::new();
        let store = place.store().await;
        let lease = take_lease(&store).await;
        let (peer, relay) = match relay {
            Some((peer, running, stop)) => (peer, Some((running, stop))),
            None => (Loopback::start(DOMAIN, SECRET, Hearing::Keep).await, None),
        };
        let relays = relay.iter().map(|(running, _)| running.addresses()[0].to_string()).collect();
        let config = StreamConfig {
            domain: DOMAIN.to_owned(),
            relays,
            servers: vec![peer.address()],
            secret: SECRET.into(),
            limits: Limits::default(),
        };
        let epoch = lease.epoch.0.unsigned_abs();
        let claim = Claim { epoch, node: "a".to_owned(), database: "db-1".to_owned(), relays: 1 };
        let (stream, inbound) = Stream::reign(config, Pace::default(), Reign { claim, ..Reign::of_epoch(epoch) });
        let (notice, notices) = mpsc::unbounded_channel();
        let (stop, stops) = watch::channel(false);
        let setup = Setup {
            domain: DOMAIN.to_owned(),
            store: store.clone(),
            stream: stream.clone(),
            epoch: lease.epoch,
            seq: lease.seq,
            mark: lease.mark,
            has_tail,
            group_max: 100,
            queue_max: 1_000,
            held: Duration::from_secs(10),
            notices: vec![notice],
        };
        let (journal, running) = Journal::start(setup, stops);
        let ear = Ear::default();
        Desk { place, store, peer, ear, journal, running, notices, stream, _stop: stop, _inbound: inbound, relay }
    }

    /// Hands in that room `nth` was created, and a word about it.
    async fn create(&self, nth: i64) {
        self.submit(nth, vec![created()]).await;
    }

    async fn submit(&self, nth: i64, records: Vec<Record>) {
        let asked = Some(Arc::new(asked(nth)));
        self.journal
            .submit(Entry::Said { life: life(nth), records, words: vec![word(nth)], asked, ticket: None })
            .await;
    }

    /// The last group that the relay takes for said in full.
    fn told(&self) -> Option<i64> {
        self.relay.as_ref()?.0.status().domains().next()?.seen().mark
    }

    async fn has_room(&self, nth: i64) -> bool {
        let image = self.store.load_room(DOMAIN, &life(nth).jid, HistoryWanted::Nothing).await;
        image.expect("an answer").is_some()
    }

    async fn heard(&mut self, what: &str, times: usize) {
        self.ear.until(&mut self.peer, what, times).await;
    }
}

/// The lease, if need be by stealing it.
async fn take_lease(store: &SqlStore) -> Lease {
    let lock = store.session_lock(DOMAIN).await.expect("an answer").expect("free");
    let acquired = store
        .acquire(&Ask { name: DOMAIN, node: "a", ttl_ms: 60_000, right: Right::Dead(&lock), above: Epoch(0) })
        .await
        .expect("an answer");
    let Acquired::Lease(lease) = acquired else { panic!("{acquired:?}") };
    lease
}

fn life(nth: i64) -> Life {
    let jid = bare(&format!("room{nth}@{DOMAIN}"));
    Life { room: RoomId(nth), jid, nth: nth.unsigned_abs(), shard: 0 }
}

fn created() -> Record {
    Record::Created(Box::new(Creation {
        by: bare("olga@example.org"),
        at: Utc(1_700_000_000_000),
        config: RoomConfig::default(),
        is_locked: false,
        occupant_id_salt: "00".repeat(16),
    }))
}

fn word(nth: i64) -> Outbound {
    let stanza = Stanza::new(Kind::Message, Type::Groupchat, jid(&format!("room{nth}@{DOMAIN}")));
    Outbound { stanza: stanza.with_id(Some(format!("w{nth}"))), to: Audience::One(jid("olga@example.org/1")) }
}

fn asked(nth: i64) -> Inbound {
    let stanza = Stanza::new(Kind::Iq, Type::Set, jid("olga@example.org/1")).with_id(Some(format!("q{nth}")));
    Inbound { stanza, to: jid(&format!("room{nth}@{DOMAIN}")) }
}

#[tokio::test]
async fn words_wait_for_their_facts_and_keep_their_order() {
    let mut desk = Desk::open(false).await;
    desk.create(1).await;
    desk.heard("id='w1'", 1).await;
    assert!(desk.has_room(1).await, "what is heard is durable");
    let holder = desk.place.hold().await;
    for nth in 2..50 {
        desk.create(nth).await;
    }
    desk.ear.during(&mut desk.peer, Duration::from_secs(1)).await;
    assert_eq!(desk.ear.numbers("id='w"), [1], "nothing is said that is not durable");
    assert_eq!(desk.journal.health(), Health::Late);
    let_go(holder).await;
    desk.heard("id='w49'", 1).await;
    assert_eq!(desk.ear.numbers("id='w"), (1..50).collect::<Vec<_>>());
    assert_eq!(desk.journal.health(), Health::Fine);
    assert!(desk.has_room(49).await);
}

#[tokio::test]
async fn whoever_is_fenced_neither_writes_nor_speaks() {
    let mut desk = Desk::open(false).await;
    let other = take_lease(&desk.store).await;
    desk.create(1).await;
    tokio::time::timeout(Duration::from_secs(5), &mut desk.running).await.expect("it ends").expect("no panic");
    assert_eq!(desk.journal.health(), Health::Over { by: other.epoch });
    desk.create(2).await;
    desk.ear.during(&mut desk.peer, Duration::from_millis(300)).await;
    assert_eq!(desk.ear.count("id='w"), 0);
    assert!(!desk.has_room(1).await);
}

#[tokio::test]
async fn damage_is_its_own_rooms_matter() {
    let mut desk = Desk::open(false).await;
    let holder = desk.place.hold().await;
    // The first commit is under way alone; what follows is one group.
    desk.create(1).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    desk.create(2).await;
    desk.submit(3, vec![Record::Configured(Box::default())]).await;
    desk.submit(3, vec![Record::Unlocked]).await;
    desk.create(4).await;
    let_go(holder).await;
    desk.heard("id='w4'", 1).await;
    assert_eq!(desk.ear.numbers("id='w"), [1, 2, 4], "the room without a row says nothing");
    assert_eq!(desk.ear.count("id='q3'"), 2, "each who asked it is told");
    assert_eq!(desk.ear.count("internal-server-error"), 2);
    let notice = desk.notices.recv().await;
    assert!(matches!(&notice, Some(Notice::Damaged { life: it }) if *it == life(3)), "{notice:?}");
    for (nth, is_there) in [(1, true), (2, true), (3, false), (4, true)] {
        assert_eq!(desk.has_room(nth).await, is_there, "room {nth}");
    }
}

#[tokio::test]
async fn all_that_was_handed_in_is_durable_and_said_at_the_end() {
    let mut desk = Desk::open(false).await;
    for nth in 1..=500 {
        desk.create(nth).await;
    }
    let Desk { journal, running, .. } = desk;
    drop(journal);
    running.await.expect("no panic");
    desk.stream.close().await;
    desk.ear.until(&mut desk.peer, "id='w500'", 1).await;
    assert_eq!(desk.ear.numbers("id='w"), (1..=500).collect::<Vec<_>>());
    let lease = take_lease(&desk.store).await;
    assert_eq!(lease.mark, lease.seq - 1, "the last append is the one that stored the mark of all others");
}

#[tokio::test]
async fn no_mark_covers_what_a_predecessor_left_unheard() {
    let mut desk = Desk::open(true).await;
    desk.create(1).await;
    desk.heard("id='w1'", 1).await;
    let mut marks = desk.stream.marks();
    let marked = marks.wait_for(Option::is_some);
    tokio::time::timeout(Duration::from_secs(5), marked).await.expect("in time").expect("the stream lives");
    desk.create(2).await;
    desk.heard("id='w2'", 1).await;
    assert_eq!(take_lease(&desk.store).await.mark, 0, "w1 is known to be heard, but not what came before it");

    let mut desk = Desk::open(true).await;
    let room = life(1);
    let messages = [Record::Spoken(Arc::new(message(&room.jid, 1)))];
    desk.submit(1, [vec![created()], messages.to_vec()].concat()).await;
    desk.journal.submit(Entry::Repeated).await;
    desk.heard("id='w1'", 1).await;
    tokio::time::sleep(Duration::from_millis(800)).await;
    let lease = take_lease(&desk.store).await;
    assert!(lease.mark >= 2, "after all was said again marks are stored: {lease:?}");
}

#[tokio::test]
async fn a_relay_takes_nothing_for_said_before_what_was_unheard_is_said_again() {
    let mut desk = Desk::open_relayed(true).await;
    desk.create(1).await;
    desk.heard("id='w1'", 1).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(desk.told(), None, "w1 is said, but not what came before it; whoever came next would leave it out");
    desk.journal.submit(Entry::Repeated).await;
    let told = async {
        while desk.told() != Some(2) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), told).await.expect("in time");
}
