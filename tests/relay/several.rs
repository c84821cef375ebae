//! A domain with two relays: both are heard, one is spoken through, and the other takes over when it dies or hangs.

use secrecy::SecretString;
use tandem_muc::stream::{
    Claim, Gate, Limits, Pace as StreamPace, PathState, Received, Reign, Stream, StreamConfig, StreamHandle,
    StreamState,
};
use tandem_muc_core::name::Jid;
use tandem_muc_core::stanza::{Audience, Kind, Outbound, Stanza, Type};
use tokio::sync::mpsc;

use super::again::{attached, read};
use super::*;

/// Node and epoch of a reign over these relays; `handled` is what the store says.
fn reign(relays: &[&str], epoch: u64, handled: Option<String>) -> (StreamHandle, mpsc::Receiver<Received>) {
    let config = StreamConfig {
        domain: DOMAIN.to_owned(),
        relays: relays.iter().map(|&relay| relay.to_owned()).collect(),
        servers: Vec::new(),
        secret: SecretString::from(SECRET),
        limits: Limits::default(),
    };
    let claim = Claim { epoch, node: "a".to_owned(), database: "db-1".to_owned(), relays: relays.len() };
    let reign = Reign { claim, gate: Gate::always_open(), handled, warm: None };
    let pace = StreamPace {
        pause_min: Duration::from_millis(20),
        relay_patience: Duration::from_millis(400),
        beat: Duration::from_millis(100),
        ..StreamPace::default()
    };
    Stream::reign(config, pace, reign)
}

/// Both are attached, the first is spoken through.
async fn over(one: &Stage, two: &Stage) -> (StreamHandle, mpsc::Receiver<Received>) {
    let (stream, inbound) = reign(&[&one.address, &two.address], 3, None);
    attached(&stream).await;
    until_heard(&stream, 2).await;
    (stream, inbound)
}

async fn until_heard(stream: &StreamHandle, count: usize) {
    let mut paths = stream.paths();
    let heard = soon(paths.wait_for(|paths| paths.iter().filter(|path| path.state.is_attached()).count() == count));
    heard.await.expect("it lives");
}

async fn until_spoken_at(stream: &StreamHandle, address: &str) {
    let mut state = stream.state();
    let is_so = |state: &StreamState| matches!(state, StreamState::Attached { server, .. } if server == address);
    soon(state.wait_for(is_so)).await.expect("it lives");
}

async fn say(stream: &StreamHandle, seq: i64) {
    let jid = |text: &str| Jid::parse(text).expect("a JID");
    let stanza = Stanza::new(Kind::Message, Type::Groupchat, jid("hall@muc.example.org/Olga"));
    let word =
        Outbound { stanza: stanza.with_id(Some(format!("w{seq}"))), to: Audience::One(jid("nils@example.org/1")) };
    stream.say(vec![word], seq).await;
    stream.all_said(seq).await;
}

async fn until_marked(stream: &StreamHandle, seq: i64) {
    soon(stream.marks().wait_for(|marked| *marked >= Some(seq))).await.expect("it lives");
}

/// The numbers of the words in what a server heard, marks left out.
fn words(heard: &str) -> Vec<i64> {
    let found = heard.split(" id='w").skip(1);
    found.filter_map(|rest| rest.split_once('\'')?.0.parse().ok()).collect()
}

#[tokio::test]
async fn all_relays_are_heard_and_one_is_spoken_through() {
    let (mut one, mut two) = (Stage::start().await, Stage::start().await);
    let (stream, mut inbound) = over(&one, &two).await;
    one.inject(1..=2);
    two.inject(3..=4);
    let came = read(&mut inbound, 4).await;
    say(&stream, 1).await;
    stream.settle(came.iter().filter_map(|one| one.ticket).collect()).await;
    one.until(|seen| seen.held == 0 && seen.inbound == 2).await;
    two.until(|seen| seen.held == 0 && seen.inbound == 2).await;
    assert_eq!(words(&one.heard("id='w1'").await), [1]);
    soon(stream.close()).await;
    let rest = two.heard("</stream:stream>");
    assert!(timeout(Duration::from_millis(200), rest).await.is_err(), "a relay keeps its place for a while");
    assert!(!two.rest.contains("id='w"), "{}", two.rest);
    for stage in [&one, &two] {
        stage.until(|seen| seen.holder.is_none()).await;
    }
}

#[tokio::test]
async fn what_came_in_over_one_way_is_not_acknowledged_before_its_words_are_known_to_be_out_over_the_other() {
    let (one, two) = (Stage::start().await, Stage::start().await);
    let (stream, mut inbound) = over(&one, &two).await;
    one.server.freeze();
    two.inject(1..=1);
    let came = read(&mut inbound, 1).await;
    say(&stream, 1).await;
    stream.settle(came.iter().filter_map(|one| one.ticket).collect()).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(two.seen().held, 1, "its words may be lost yet");
    // The server that hangs is left, the words go another way and prove themselves there.
    until_spoken_at(&stream, &two.address).await;
    two.until(|seen| seen.held == 0).await;
    until_marked(&stream, 1).await;
}

#[tokio::test]
async fn words_go_on_through_the_other_relay_in_order_when_one_dies() {
    let (mut one, mut two) = (Stage::start().await, Stage::start().await);
    let (stream, mut inbound) = over(&one, &two).await;
    for seq in 1..=300 {
        say(&stream, seq).await;
    }
    until_marked(&stream, 200).await;
    let proven = stream.marked().expect("a mark");
    let first = one.heard(&format!("id='w{proven}'")).await;
    let address = one.address.clone();
    drop(one);
    for seq in 301..=600 {
        say(&stream, seq).await;
    }
    until_marked(&stream, 600).await;
    until_spoken_at(&stream, &two.address).await;
    let (first, second) = (words(&first), words(&two.heard("id='w600'").await));
    assert_eq!(first, (1..=proven).collect::<Vec<_>>());
    assert!(second[0] <= proven + 1 && second.windows(2).all(|two| two[1] == two[0] + 1), "{second:?}");
    two.inject(7..=7);
    assert_eq!(read(&mut inbound, 1).await[0].inbound.stanza.id.as_deref(), Some("m7"));
    let lost = stream.paths().borrow()[0].clone();
    assert_eq!(lost.relay, address);
    assert!(matches!(lost.state, PathState::Away { .. }), "{lost:?}");
}

#[tokio::test]
async fn a_relay_that_is_back_is_heard_again_and_the_words_stay_where_they_are() {
    let two = Stage::start().await;
    let one = Stage::start().await;
    let (stream, mut inbound) = over(&one, &two).await;
    let address = one.address.clone();
    drop(one);
    until_spoken_at(&stream, &two.address).await;
    let mut one = Stage::start_at(&address, "", pace()).await;
    until_heard(&stream, 2).await;
    one.inject(1..=2);
    two.inject(3..=3);
    assert_eq!(read(&mut inbound, 3).await.len(), 3);
    say(&stream, 1).await;
    until_marked(&stream, 1).await;
    until_spoken_at(&stream, &two.address).await;
    let word = timeout(Duration::from_millis(100), one.heard("id='w1'")).await;
    assert!(word.is_err(), "signs of life alone go there: {word:?}");
}

#[tokio::test]
async fn a_relay_that_is_only_heard_and_hangs_is_left_and_found_again() {
    let (one, two) = (Stage::start().await, Stage::start().await);
    let (stream, mut inbound) = over(&one, &two).await;
    two.server.freeze();
    until_heard(&stream, 1).await;
    until_spoken_at(&stream, &one.address).await;
    two.server.cut();
    until_heard(&stream, 2).await;
    two.inject(5..=5);
    assert_eq!(read(&mut inbound, 1).await[0].inbound.stanza.id.as_deref(), Some("m5"));
}

#[tokio::test]
async fn what_was_handled_of_each_relay_is_known_after_a_reign_that_met_only_one() {
    let (one, two) = (Stage::start().await, Stage::start().await);
    let (stream, mut inbound) = over(&one, &two).await;
    two.inject(1..=4);
    let tickets: Vec<_> = read(&mut inbound, 4).await.iter().filter_map(|one| one.ticket).collect();
    stream.note_stored(&tickets[1..3]);
    let handled = stream.handled_with(&[]);
    stream.cut();
    two.until(|seen| seen.holder.is_none()).await;
    let nowhere = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("bound");
    let (between, mut met) = reign(&[&one.address, &nowhere.to_string()], 4, handled);
    attached(&between).await;
    one.inject(8..=8);
    let ticket = read(&mut met, 1).await[0].ticket;
    between.note_stored(ticket.as_slice());
    let handled = between.handled_with(&[]);
    between.cut();
    let (last, mut inbound) = reign(&[&one.address, &two.address], 5, handled);
    attached(&last).await;
    let ids: Vec<_> = read(&mut inbound, 2).await.into_iter().filter_map(|one| one.inbound.stanza.id).collect();
    assert_eq!(ids, ["m1", "m4"], "2 and 3 were handled two reigns ago");
    one.until(|seen| seen.held == 0).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(inbound.try_recv().is_err(), "m8 was handled by the reign between");
}

#[tokio::test]
async fn a_relay_that_serves_a_higher_epoch_ends_the_stream_though_another_does_not() {
    let (one, two) = (Stage::start().await, Stage::start().await);
    let (stream, _inbound) = over(&one, &two).await;
    let (_successor, _) = Peer::holder(&two.address, "b", 4).await;
    let mut state = stream.state();
    let state = soon(state.wait_for(|state| matches!(state, StreamState::Outdated { .. }))).await.expect("it lives");
    assert!(matches!(*state, StreamState::Outdated { highest: 4 }), "{}", *state);
}

#[tokio::test]
async fn one_relay_listed_under_two_names_is_attached_once() {
    let stage = Stage::start().await;
    let alias = stage.address.replace("127.0.0.1", "localhost");
    let (stream, _inbound) = reign(&[&stage.address, &alias], 3, None);
    attached(&stream).await;
    let mut paths = stream.paths();
    let told = |paths: &Vec<tandem_muc::stream::Path>| {
        paths.iter().any(|path| matches!(&path.state, PathState::Away { trouble } if trouble.to_string().contains("list each relay once")))
    };
    soon(paths.wait_for(told)).await.expect("it lives");
    assert_eq!(stage.seen().attachments, 1);
}
