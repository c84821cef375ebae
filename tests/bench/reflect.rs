//! The whole program: stanzas in at one end of a socket, durable in the database, reflected out of the other.

use std::time::{Duration, Instant};

use memchr::memmem;
use tandem_muc_tests::loopback::{Hearing, Loopback};
use tandem_muc_tests::postgres::Postgres;

use crate::node::{DOMAIN, Node};
use crate::table::{Table, per_second};

const ROOMS: usize = 200;
/// Occupants of each room: whoever speaks hears the others' words too.
const OCCUPANTS: usize = 2;
/// Messages under way at once while measuring the rate.
const UNDER_WAY: usize = 2_000;
const SPAN: Duration = Duration::from_secs(5);
/// Durable reflected messages a second into PostgreSQL.
const RATE_GOAL: f64 = 20_000.0;
/// The longest that 99 of 100 reflections may take at a tenth of the goal.
const P99_GOAL: Duration = Duration::from_millis(10);

/// 200 rooms speaking into PostgreSQL: the highest rate, and the time of a reflection at a tenth of the goal.
pub(crate) async fn run(table: &mut Table) {
    table.head("durable and reflected (200 rooms of 2 speaking, PostgreSQL, every commit synced)");
    let postgres = match Postgres::start() {
        Ok(Some(postgres)) => postgres,
        Ok(None) => return table.skipped("PostgreSQL", "no PostgreSQL binaries here; install the package postgresql"),
        Err(why) => return table.skipped("PostgreSQL", &why),
    };
    postgres.create_database("reflect").expect("a database");
    let mut node = Node::start(&postgres.socket_url("reflect"), Hearing::Keep).await;
    let mut hearing = Hearer::default();
    for room in 0..ROOMS {
        for nick in 0..OCCUPANTS {
            node.peer.inject(entering(room, nick));
        }
    }
    hearing.until(&mut node.peer, "<subject", ROOMS * OCCUPANTS).await;

    let (messages, took) = at_full_speed(&mut node.peer).await;
    #[expect(clippy::cast_precision_loss, reason = "counts of a bench")]
    let rate = messages as f64 / took.as_secs_f64();
    table.row(
        "highest rate",
        &format!("{} messages/s", per_second(messages as u64, took)),
        &format!("{} deliveries/s", per_second((messages * OCCUPANTS) as u64, took)),
    );
    table.goal(&format!("{rate:.0} durable reflected messages/s (goal {RATE_GOAL})"), rate >= RATE_GOAL);

    let mut waits = paced(&mut node.peer, 2_000).await;
    waits.sort_unstable();
    let at = |share: usize| waits[waits.len() * share / 100];
    table.row(
        "reflection at 2,000 messages/s",
        &format!("p50 {:.1} ms", at(50).as_secs_f64() * 1e3),
        &format!(
            "p99 {:.1} ms, worst {:.1} ms, {} messages",
            at(99).as_secs_f64() * 1e3,
            waits[waits.len() - 1].as_secs_f64() * 1e3,
            waits.len()
        ),
    );
    table
        .goal(&format!("p99 of reflection {:.1} ms (goal under 10 ms)", at(99).as_secs_f64() * 1e3), at(99) < P99_GOAL);
    node.end().await;
}

/// 1,000 people enter one room, one after the other, everything durable on SQLite.
pub(crate) async fn enter(table: &mut Table) {
    table.head("entering (whole program, SQLite, every commit synced)");
    let folder = tempfile::tempdir().expect("a folder");
    let mut node = Node::start(&format!("sqlite:{}", folder.path().join("rooms.db").display()), Hearing::Keep).await;
    let mut hearing = Hearer::default();
    let begun = Instant::now();
    for nick in 0..1_000 {
        node.peer.inject(entering(0, nick));
    }
    hearing.until(&mut node.peer, "<subject", 1_000).await;
    let took = begun.elapsed();
    let megabytes = node.peer.bytes() / 1_000_000;
    table.row(
        "1,000 occupants enter one room",
        &format!("{:.0} ms", took.as_secs_f64() * 1e3),
        &format!("{megabytes} MB of presences, history and subjects"),
    );
    node.end().await;
}

/// As many as go through with a bounded number under way.
async fn at_full_speed(peer: &mut Loopback) -> (usize, Duration) {
    let mut hearing = Hearer::default();
    let (begun, mut sent) = (Instant::now(), 0);
    while begun.elapsed() < SPAN {
        let heard = hearing.count / OCCUPANTS;
        let burst = (UNDER_WAY - (sent - heard)).min(500);
        let mut bytes = Vec::with_capacity(burst * 200);
        for nth in sent..sent + burst {
            bytes.extend_from_slice(speech(nth).as_bytes());
        }
        sent += burst;
        if !bytes.is_empty() {
            peer.inject(bytes);
        }
        hearing.more(peer, "</message>").await;
    }
    while hearing.count < sent * OCCUPANTS {
        hearing.more(peer, "</message>").await;
    }
    (sent, begun.elapsed())
}

/// So many a second for some seconds; how long each took to come back first.
async fn paced(peer: &mut Loopback, per_second: usize) -> Vec<Duration> {
    let total = per_second * 5;
    let (mut sent_at, mut waits) = (Vec::with_capacity(total), vec![None; total]);
    let begun = Instant::now();
    let mut tail = Vec::new();
    while waits.iter().any(Option::is_none) && begun.elapsed() < Duration::from_secs(30) {
        let due = (begun.elapsed().as_millis() as usize * per_second / 1_000).min(total);
        while sent_at.len() < due {
            sent_at.push(Instant::now());
            peer.inject(speech(sent_at.len() - 1));
        }
        let Ok(chunk) = tokio::time::timeout(Duration::from_millis(1), peer.heard()).await else { continue };
        let now = Instant::now();
        tail.extend_from_slice(&chunk);
        let mut seen = 0;
        for at in memmem::find_iter(&tail, "id='m") {
            let digits = &tail[at + 5..];
            let Some(end) = memchr::memchr(b'\'', digits) else { break };
            seen = at + 5 + end;
            let nth = std::str::from_utf8(&digits[..end]).ok().and_then(|text| text.parse::<usize>().ok());
            if let Some(nth) = nth.filter(|&nth| nth < sent_at.len() && waits[nth].is_none()) {
                waits[nth] = Some(now - sent_at[nth]);
            }
        }
        tail.drain(..seen);
    }
    waits.into_iter().map(|wait| wait.expect("every message comes back")).collect()
}

/// Counts a word in what a peer hears, over the seams of chunks.
#[derive(Default)]
struct Hearer {
    count: usize,
    tail: Vec<u8>,
}

impl Hearer {
    async fn more(&mut self, peer: &mut Loopback, word: &str) {
        let chunk = peer.heard().await;
        self.tail.extend_from_slice(&chunk);
        let mut last = 0;
        for at in memmem::find_iter(&self.tail, word) {
            self.count += 1;
            last = at + word.len();
        }
        let keep = last.max(self.tail.len().saturating_sub(word.len() - 1));
        self.tail.drain(..keep);
    }

    async fn until(&mut self, peer: &mut Loopback, word: &str, count: usize) {
        while self.count < count {
            self.more(peer, word).await;
        }
    }
}

fn entering(room: usize, nick: usize) -> String {
    format!(
        "<presence from='user{nick}@example.org/phone' to='room{room}@{DOMAIN}/nick{nick}'><x xmlns='http://jabber.org/protocol/muc'/></presence>"
    )
}

fn speech(nth: usize) -> String {
    let (room, nick) = (nth % ROOMS, nth / ROOMS % OCCUPANTS);
    format!(
        "<message from='user{nick}@example.org/phone' to='room{room}@{DOMAIN}' type='groupchat' id='m{nth}'><body>The quick brown fox jumps over the lazy dog, message {nth}.</body></message>"
    )
}
