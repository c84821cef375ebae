//! Marks and window: what is proven, what waits, what is repeated.

use tandem_muc_tests::loopback::Manners;

use super::*;

#[tokio::test]
async fn a_reconnect_repeats_what_has_no_mark_in_order_before_anything_new() {
    let server = Loopback::start(DOMAIN, SECRET, Hearing::Keep).await;
    server.behave(Manners::Markless);
    let (stream, _inbound) = Stream::start_at(config(&server.address()), pace(), EPOCH);
    let mut server = server;
    stream.say(vec![word("a"), word("b")], 1).await;
    stream.say(vec![word("c")], 2).await;
    assert_eq!(ids(&mut server, 3).await, ["a", "b", "c"]);
    assert_eq!(stream.marked(), None);
    server.behave(Manners::Kind);
    server.cut();
    until(&stream, |state| matches!(state, StreamState::Connecting { .. })).await;
    stream.say(vec![word("d")], 3).await;
    stream.all_said(3).await;
    assert_eq!(ids(&mut server, 4).await, ["a", "b", "c", "d"]);
    soon(stream.marks().wait_for(|marked| *marked == Some(3))).await.expect("a mark");
    server.cut();
    until(&stream, |state| matches!(state, StreamState::Connecting { .. })).await;
    stream.say(vec![word("e")], 4).await;
    assert_eq!(ids(&mut server, 1).await, ["e"]);
}

#[tokio::test]
async fn writing_waits_at_the_window_and_goes_on_without_one_where_marks_stay_out() {
    let server = Loopback::start(DOMAIN, SECRET, Hearing::Keep).await;
    server.behave(Manners::Markless);
    let pace = Pace { window: 10, mark_patience: Duration::from_millis(700), ..pace() };
    let (stream, _inbound) = Stream::start_at(config(&server.address()), pace, EPOCH);
    let mut server = server;
    for nth in 1..=30 {
        stream.say(vec![word(&nth.to_string())], nth).await;
    }
    stream.all_said(30).await;
    assert_eq!(ids(&mut server, 10).await.last().map(String::as_str), Some("10"));
    assert!(timeout(Duration::from_millis(300), ids(&mut server, 1)).await.is_err(), "more than the window was said");
    assert_eq!(ids(&mut server, 20).await.last().map(String::as_str), Some("30"));
    soon(stream.marks().wait_for(|marked| *marked == Some(30))).await.expect("written is marked");
    server.cut();
    until(&stream, |state| matches!(state, StreamState::Connecting { .. })).await;
    stream.say(vec![word("31")], 31).await;
    assert_eq!(ids(&mut server, 1).await, ["31"]);
}

#[tokio::test]
async fn the_window_yields_while_nobody_takes_what_is_read() {
    let pace = Pace { window: 10, inbound_max: 4, mark_patience: Duration::from_secs(60), ..pace() };
    let (mut server, stream, mut inbound) = attached(pace).await;
    server.inject("<message from='a@b' to='hall@muc.example.org'/>".repeat(50));
    for nth in 1..=100 {
        stream.say(vec![word(&nth.to_string())], nth).await;
    }
    assert_eq!(ids(&mut server, 100).await.len(), 100);
    for _ in 0..50 {
        soon(inbound.recv()).await.expect("a stanza");
    }
    stream.all_said(100).await;
    soon(stream.marks().wait_for(|marked| *marked == Some(100))).await.expect("a mark");
}

#[tokio::test]
async fn a_mark_that_bounces_is_a_mark() {
    let server = Loopback::start(DOMAIN, SECRET, Hearing::Keep).await;
    server.behave(Manners::Markless);
    let (stream, _inbound) = Stream::start_at(config(&server.address()), pace(), EPOCH);
    let mut server = server;
    stream.say(vec![word("a")], 1).await;
    stream.all_said(1).await;
    ids(&mut server, 1).await;
    let mark = soon(server.heard()).await;
    assert!(mark.ends_with(b"id='7:1'/>"), "{}", String::from_utf8_lossy(&mark));
    server.inject("<message type='error' from='muc.example.org/mark' to='muc.example.org' id='7:1'><error/></message>");
    soon(stream.marks().wait_for(|marked| *marked == Some(1))).await.expect("a mark");
}

#[tokio::test]
async fn a_refusal_goes_past_a_full_queue_of_groups() {
    let (mut server, stream, _inbound) = attached(pace()).await;
    stream.refuse(Some(word("no")), None).await;
    assert_eq!(ids(&mut server, 1).await, ["no"]);
}

#[tokio::test]
async fn a_word_from_another_domain_is_not_sent() {
    let (mut server, stream, _inbound) = attached(pace()).await;
    let mut stray = word("stray");
    stray.stanza.from = jid("hall@elsewhere.example.org/Olga");
    stream.say(vec![stray, word("ours")], 1).await;
    assert_eq!(ids(&mut server, 1).await, ["ours"]);
}
