//! A server that reads slowly, and meanwhile a relay that does not attach us, or a lease that ends.

use tandem_muc::stream::{Claim, Gatekeeper, Reign};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep};

use super::*;

const HEADER: &str = "<?xml version='1.0'?><stream:stream xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams' id='slow' from='muc.example.org'>";
/// Far more than two sockets hold.
const WORDS: usize = 150_000;
/// Of the mark behind them.
const MARKED: &str = "/mark' id=";

/// Takes a component in, whatever its secret.
async fn taken_in(listener: &TcpListener, answer: &str) -> TcpStream {
    let (mut socket, _) = listener.accept().await.expect("a component");
    heard_past(&mut socket, "streams'").await;
    socket.write_all(HEADER.as_bytes()).await.expect("written");
    heard_past(&mut socket, "</handshake>").await;
    socket.write_all(answer.as_bytes()).await.expect("written");
    socket
}

async fn heard_past(socket: &mut TcpStream, what: &str) -> String {
    let mut heard = Vec::with_capacity(64 * 1024);
    let mut looked_at = 0;
    while memchr::memmem::find(&heard[looked_at..], what.as_bytes()).is_none() {
        looked_at = heard.len().saturating_sub(what.len());
        assert!(socket.read_buf(&mut heard).await.expect("a component") > 0, "it hung up");
    }
    String::from_utf8(heard).expect("text")
}

/// One message to very many: half of it is in the sockets when they are full.
fn fan_out() -> Vec<Outbound> {
    let to = (0..WORDS).map(|nth| jid(&format!("nils-{nth:06}@example.org/1"))).collect::<Vec<_>>();
    vec![Outbound { to: Audience::Many(to.into()), ..word("a") }]
}

/// Each addressee once and in order, nothing between the stanzas.
fn assert_whole(heard: &str) {
    let stanzas: Vec<&str> = heard.split_inclusive("/>").filter(|stanza| stanza.contains("nils-")).collect();
    assert_eq!(stanzas.len(), WORDS);
    for (nth, stanza) in stanzas.iter().enumerate() {
        assert!(stanza.starts_with("<message ") && stanza.matches('<').count() == 1, "{stanza}");
        assert!(stanza.contains(&format!("nils-{nth:06}@example.org/1")), "{nth}: {stanza}");
    }
}

#[tokio::test]
async fn a_relay_that_does_not_attach_us_breaks_no_word_in_two() {
    let (server, relay) = (TcpListener::bind("127.0.0.1:0").await, TcpListener::bind("127.0.0.1:0").await);
    let (server, relay) = (server.expect("a port"), relay.expect("a port"));
    let address = |listener: &TcpListener| listener.local_addr().expect("bound").to_string();
    let config = StreamConfig { relays: vec![address(&relay)], ..config(&address(&server)) };
    let (refused, mut refusals) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        loop {
            let greeting = "<relay xmlns='urn:tandem-muc:relay:0' boot='boot' highest='0'/><handshake/>";
            let mut node = taken_in(&relay, greeting).await;
            heard_past(&mut node, "</attach>").await;
            let no = "<refused xmlns='urn:tandem-muc:relay:0' reason='server' highest='0'>no server</refused>";
            node.write_all(no.as_bytes()).await.expect("written");
            let _ = refused.send(());
        }
    });
    let (stream, _inbound) = Stream::start_at(config, pace(), EPOCH);
    let mut socket = soon(taken_in(&server, "<handshake/>")).await;
    soon(refusals.recv()).await.expect("refused at first");
    stream.say(fan_out(), 1).await;
    soon(refusals.recv()).await.expect("refused in the middle of it");
    sleep(Duration::from_millis(50)).await;
    assert_whole(&soon(heard_past(&mut socket, MARKED)).await);
}

#[tokio::test]
async fn what_a_full_socket_held_up_does_not_leave_after_the_lease() {
    let server = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let until = Instant::now() + Duration::from_millis(700);
    let (keeper, gate) = Gatekeeper::open_until(until);
    let reign = Reign { claim: Claim { epoch: EPOCH, ..Claim::default() }, gate, handled: None, warm: None };
    let address = server.local_addr().expect("bound").to_string();
    let (stream, _inbound) = Stream::reign(config(&address), pace(), reign);
    let mut socket = soon(taken_in(&server, "<handshake/>")).await;
    stream.say(fan_out(), 1).await;
    tokio::time::sleep_until(until + Duration::from_millis(50)).await;
    // What the sockets hold is beyond recall; nothing follows it.
    let (mut heard, mut bytes) = (Vec::new(), 0);
    while let Ok(read) = timeout(Duration::from_millis(300), socket.read_buf(&mut heard)).await {
        assert!(read.expect("open") > 0, "it hung up");
        bytes = heard.len();
    }
    let whole = 40 * WORDS;
    assert!(bytes < 4 * whole && !String::from_utf8_lossy(&heard).contains(&format!("nils-{:06}", WORDS - 1)));
    keeper.renew(Instant::now() + Duration::from_secs(60));
    let mut heard = String::from_utf8_lossy(&heard).into_owned();
    heard.push_str(&soon(heard_past(&mut socket, MARKED)).await);
    assert_whole(&heard);
}

#[tokio::test]
async fn who_takes_our_words_is_not_silent_however_late_its_answers_are() {
    let server = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = server.local_addr().expect("bound").to_string();
    let pace = Pace { keepalive: Duration::from_millis(200), mark_patience: Duration::from_millis(600), ..pace() };
    let (stream, _inbound) = Stream::start_at(config(&address), pace, EPOCH);
    let mut socket = soon(taken_in(&server, "<handshake/>")).await;
    for seq in 1..=8 {
        stream.say(fan_out(), seq).await;
    }
    let (began, mut taken) = (Instant::now(), vec![0; 1024 * 1024]);
    while began.elapsed() < Duration::from_millis(2_500) {
        soon(socket.read_exact(&mut taken)).await.expect("it goes on");
        sleep(Duration::from_millis(60)).await;
    }
    assert!(matches!(*stream.state().borrow(), StreamState::Attached { .. }), "left while it read");
    // One that takes no more is left.
    until(&stream, |state| matches!(state, StreamState::Connecting { .. })).await;
}
