//! Fan-out end to end at a socket: one message to many, through the stream's writer, to a peer that drains; beside
//! the limit: the same bytes, already joined, written to the same drain in 64 KiB writes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sha1::{Digest, Sha1};
use tandem_muc::stream::{Stream, StreamConfig, StreamState};
use tandem_muc_core::name::Jid;
use tandem_muc_core::ns;
use tandem_muc_core::stanza::element::{Build, el};
use tandem_muc_core::stanza::{Audience, Kind, Outbound, Stanza, Type, render};
use tandem_muc_tests::loopback::{Hearing, Loopback};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::table::{Table, per_second};

const DOMAIN: &str = "muc.example.org";
const SECRET: &str = "bench";
/// Deliveries of one measurement: enough that it takes a good part of a second.
const DELIVERIES: usize = 2_000_000;
/// Measurements of each kind, in turn: the median counts, for a machine is never alone.
const ROUNDS: usize = 7;
/// Words said together, as the journal does with those of a group.
const GROUP: usize = 16;
/// The share of the limit that a fan-out to 1,000 is to reach.
const GOAL: f64 = 0.6;

/// Runs it and adds its rows.
pub(crate) async fn run(table: &mut Table) {
    table.head("fan-out at a socket (deliveries/s), beside the same bytes already joined");
    for occupants in [1, 10, 100, 1_000] {
        // Small audiences are bounded by their words, not by bytes.
        let deliveries = DELIVERIES.min(occupants * 200_000);
        let (mut ours, mut limit) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            ours.push(spoken(occupants, deliveries).await);
            limit.push(joined(occupants, deliveries).await);
        }
        let (ours, limit) = (median(ours), median(limit));
        let share = limit.as_secs_f64() / ours.as_secs_f64();
        let beside = format!("limit {}/s, {:.0} % of it", per_second(deliveries as u64, limit), share * 100.0);
        table.row(&format!("to {occupants} occupants"), &format!("{}/s", per_second(deliveries as u64, ours)), &beside);
        if occupants == 1_000 {
            table.goal(&format!("fan-out to 1,000 at {:.0} % of the limit (goal 60 %)", share * 100.0), share >= GOAL);
        }
    }
}

fn median(mut spans: Vec<Duration>) -> Duration {
    spans.sort_unstable();
    spans[spans.len() / 2]
}

async fn spoken(occupants: usize, deliveries: usize) -> Duration {
    let peer = Loopback::start(DOMAIN, SECRET, Hearing::Drain).await;
    let config = StreamConfig {
        domain: DOMAIN.to_owned(),
        relays: Vec::new(),
        servers: vec![peer.address()],
        secret: SECRET.into(),
        limits: tandem_muc::stream::Limits::default(),
    };
    let (stream, _inbound) = Stream::start(config, 1);
    let mut state = stream.state();
    state.wait_for(|state| matches!(state, StreamState::Attached { .. })).await.expect("attached");
    let outbound = message(occupants);
    let expected = (bytes_of(&outbound).len() * (deliveries / occupants)) as u64;
    let begun = Instant::now();
    let before = peer.bytes();
    let mut said = 0;
    while said < deliveries / occupants {
        let words = vec![outbound.clone(); GROUP.min(deliveries / occupants - said)];
        said += words.len();
        stream.say(words, i64::try_from(said).expect("a small number")).await;
    }
    while peer.bytes() - before < expected {
        tokio::time::sleep(Duration::from_micros(200)).await;
    }
    let took = begun.elapsed();
    stream.close().await;
    took
}

async fn joined(occupants: usize, deliveries: usize) -> Duration {
    let peer = Loopback::start(DOMAIN, SECRET, Hearing::Drain).await;
    let mut socket = shake_hands(&peer).await;
    let once = bytes_of(&message(occupants));
    let total = once.len() * (deliveries / occupants);
    let copies = (65_536 / once.len()).max(1);
    let chunk = once.repeat(copies);
    let before = peer.bytes();
    let begun = Instant::now();
    let mut written = 0;
    while written < total {
        let share = chunk.len().min(total - written);
        for piece in chunk[..share].chunks(65_536) {
            socket.write_all(piece).await.expect("written");
        }
        written += share;
    }
    while peer.bytes() - before < total as u64 {
        tokio::time::sleep(Duration::from_micros(200)).await;
    }
    begun.elapsed()
}

async fn shake_hands(peer: &Loopback) -> TcpStream {
    let mut socket = TcpStream::connect(peer.address()).await.expect("connected");
    socket.set_nodelay(true).expect("no delay");
    let header = format!(
        "<?xml version='1.0'?><stream:stream xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams' to='{DOMAIN}'>"
    );
    socket.write_all(header.as_bytes()).await.expect("written");
    let mut buffer = [0; 4096];
    let read = socket.read(&mut buffer).await.expect("a header");
    let answer = String::from_utf8_lossy(&buffer[..read]).into_owned();
    let id = answer.split("id='").nth(1).and_then(|rest| rest.split('\'').next()).expect("a stream id").to_owned();
    let digest = Sha1::digest(format!("{id}{SECRET}"));
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    socket.write_all(format!("<handshake>{hex}</handshake>").as_bytes()).await.expect("written");
    let read = socket.read(&mut buffer).await.expect("an answer");
    assert!(buffer[..read].starts_with(b"<handshake"), "the peer takes us");
    socket
}

fn bytes_of(outbound: &Outbound) -> Vec<u8> {
    let rendered = render(&outbound.stanza);
    let mut out = Vec::new();
    for to in outbound.to.as_slice() {
        rendered.write_to(to, &mut out);
    }
    out
}

fn message(occupants: usize) -> Outbound {
    let from = Jid::parse("hall@muc.example.org/Olga").expect("a JID");
    let stanza = Stanza::new(Kind::Message, Type::Groupchat, from)
        .with_id(Some("b9f6a2c4".to_owned()))
        .with(el("body", ns::CLIENT).with_text("The quick brown fox jumps over the lazy dog."))
        .with(
            el("stanza-id", ns::SID)
                .with_attr("id", "018bcfe5-6800-7abc-8def-0123456789ab")
                .with_attr("by", "hall@muc.example.org"),
        )
        .with(el("occupant-id", ns::OCCUPANT_ID).with_attr("id", "dd72603deec90a38ba552f7c68cbcc61bca202cd"));
    let to: Vec<Jid> = (0..occupants)
        .map(|nth| Jid::parse(&format!("user{nth}@example.org/phone-{nth:04}")).expect("a JID"))
        .collect();
    Outbound { stanza, to: Audience::Many(Arc::from(to)) }
}
