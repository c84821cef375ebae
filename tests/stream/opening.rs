//! Opening a stream, and each way a server says no.

use std::time::Instant;

use tandem_muc::stream::{self, Cause};
use tandem_muc_tests::loopback::Manners;

use super::*;

async fn trouble(manners: Manners, secret: &str) -> stream::Trouble {
    let server = Loopback::start(DOMAIN, secret, Hearing::Drain).await;
    server.behave(manners);
    let (stream, _inbound) = Stream::start_at(config(&server.address()), pace(), EPOCH);
    let failed = |state: &StreamState| matches!(state, StreamState::Connecting { last_trouble: Some(_) });
    match until(&stream, failed).await {
        StreamState::Connecting { last_trouble: Some(trouble) } => trouble,
        other => panic!("no trouble: {other}"),
    }
}

#[tokio::test]
async fn each_refusal_has_its_own_sentence() {
    let conflict = trouble(Manners::Refusing("conflict"), SECRET).await;
    assert_eq!(conflict.cause, Cause::Conflict);
    assert!(conflict.to_string().starts_with("stream: muc.example.org is taken at 127.0.0.1:"), "{conflict}");
    let wrong = trouble(Manners::Kind, "another").await;
    assert_eq!(wrong.cause, Cause::NotAuthorized);
    assert!(wrong.to_string().contains("secret"), "{wrong}");
    let unknown = trouble(Manners::Unknowing("host-unknown"), SECRET).await;
    assert_eq!(unknown.cause, Cause::HostUnknown);
    assert!(unknown.to_string().contains("no component muc.example.org"), "{unknown}");
    let other = trouble(Manners::Refusing("system-shutdown"), SECRET).await;
    assert_eq!(other.cause, Cause::Closed("system-shutdown".to_owned()));
    let mute = trouble(Manners::Mute, SECRET).await;
    assert_eq!(mute.cause, Cause::Silence(pace().step_patience));
}

#[tokio::test]
async fn a_closed_port_is_unreachable_and_the_next_server_is_tried() {
    let server = Loopback::start(DOMAIN, SECRET, Hearing::Drain).await;
    let closed = {
        let gone = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        gone.local_addr().expect("a bound port").to_string()
    };
    let mut config = config(&closed);
    let why = stream::probe(&config).await.expect_err("nobody listens");
    assert!(matches!(why.cause, Cause::Unreachable(_)), "{why}");
    config.servers.push(server.address());
    assert_eq!(stream::probe(&config).await.ok(), Some(server.address()));
}

#[tokio::test]
async fn a_probe_leaves_the_place_free() {
    let server = Loopback::start(DOMAIN, SECRET, Hearing::Drain).await;
    for _ in 0..3 {
        soon(stream::probe(&config(&server.address()))).await.expect("it is taken");
    }
    assert_eq!(server.attached(), 3);
}

#[tokio::test]
async fn what_comes_in_one_piece_with_the_handshake_is_heard() {
    let server = Loopback::start(DOMAIN, SECRET, Hearing::Drain).await;
    server.inject("<message from='a@b' to='hall@muc.example.org' id='first'/><presence from='a@b' ");
    let (_stream, mut inbound) = Stream::start_at(config(&server.address()), pace(), EPOCH);
    let first = soon(inbound.recv()).await.expect("a stanza");
    assert_eq!(first.inbound.stanza.id.as_deref(), Some("first"));
    server.inject("to='hall@muc.example.org/a'/>");
    let second = soon(inbound.recv()).await.expect("a stanza");
    assert_eq!(second.inbound.to.resource(), Some("a"));
}

#[tokio::test]
async fn a_silent_server_is_left_and_tried_again() {
    let pace = Pace { keepalive: Duration::from_millis(200), mark_patience: Duration::from_millis(400), ..pace() };
    let (server, stream, _inbound) = attached(pace).await;
    stream.say(vec![word("a")], 1).await;
    stream.all_said(1).await;
    soon(stream.marks().wait_for(|marked| *marked == Some(1))).await.expect("a mark");
    server.freeze();
    let began = Instant::now();
    let left = until(&stream, |state| matches!(state, StreamState::Connecting { .. })).await;
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    assert!(left.to_string().contains("said nothing to muc.example.org"), "{left}");
    server.cut();
    until(&stream, |state| matches!(state, StreamState::Attached { .. })).await;
    assert_eq!(server.attached(), 2);
}

#[tokio::test]
async fn closing_says_everything_sees_it_handed_on_and_says_goodbye() {
    let (mut server, stream, _inbound) = attached(pace()).await;
    for seq in 1..=100 {
        stream.say(vec![word(&seq.to_string())], seq).await;
    }
    stream.all_said(100).await;
    soon(stream.close()).await;
    assert_eq!(stream.marked(), Some(100));
    assert!(matches!(*stream.state().borrow(), StreamState::Closed));
    let mut all = Vec::new();
    while !all.ends_with(b"</stream:stream>") {
        all.extend(soon(server.heard()).await);
    }
}

#[tokio::test]
async fn last_words_are_said_after_nobody_listens_any_more() {
    let (mut server, stream, mut inbound) = attached(pace()).await;
    inbound.close();
    server.inject("<iq type='get' id='late' from='a@b/1' to='hall@muc.example.org'/>");
    let mut said = String::new();
    while !said.contains("</iq>") {
        said.push_str(&String::from_utf8_lossy(&soon(server.heard()).await));
    }
    assert!(said.contains("id='late' type='error'") && said.contains("<remote-server-timeout "), "{said}");
    stream.say(vec![word("last")], 1).await;
    stream.all_said(1).await;
    soon(stream.close()).await;
    assert_eq!(stream.marked(), Some(1));
    assert_eq!(server.attached(), 1);
}

#[tokio::test]
async fn closing_without_a_connection_is_quick() {
    let server = Loopback::start(DOMAIN, SECRET, Hearing::Drain).await;
    server.behave(Manners::Mute);
    let (stream, _inbound) = Stream::start_at(config(&server.address()), Pace::default(), EPOCH);
    stream.say(vec![word("a")], 1).await;
    let began = Instant::now();
    stream.close().await;
    assert!(began.elapsed() < Duration::from_secs(1));
}
