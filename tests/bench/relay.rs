//! What the relay costs: processor time for each stanza, and time added on the way, beside a connection without it.

use std::path::Path;
use std::time::{Duration, Instant};

use memchr::memmem;
use metrics_exporter_prometheus::PrometheusBuilder;
use sha1::{Digest, Sha1};
use tandem_muc::config::RelayConfig;
use tandem_muc::relay::{self, Pace};
use tandem_muc_tests::loopback::{Hearing, Loopback};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::table::{Table, per_second};

const DOMAIN: &str = "muc.example.org";
const SECRET: &str = "bench";
/// Stanzas each way.
const MANY: u32 = 300_000;
/// There and back, one after the other.
const TURNS: u32 = 5_000;
/// Acknowledged and marked in one go, as a node's commits do under load.
const GROUP: u32 = 100;
/// Processor time of one stanza.
const CPU_GOAL_US: f64 = 3.0;
/// Added to one way.
const LATENCY_GOAL_US: f64 = 200.0;

/// Both figures, with and without a relay.
pub(crate) async fn run(table: &mut Table) {
    table.head("relay (loopback, 300-byte stanzas; a relay of its own thread)");
    let mut peer = Loopback::start(DOMAIN, SECRET, Hearing::Keep).await;
    let mut node = shake_hands(&peer.address()).await;
    let direct_rate = flow(&peer, &mut node, false).await;
    let direct = turns(&mut peer, &mut node).await;
    drop(node);

    let peer = Loopback::start(DOMAIN, SECRET, Hearing::Drain).await;
    let relay = RelayThread::start(&peer.address());
    let mut node = attach(&relay.address).await;
    let before = relay.processor_time();
    let relayed_rate = flow(&peer, &mut node, true).await;
    let used = relay.processor_time().saturating_sub(before);
    let per_stanza = micros(used) / f64::from(2 * MANY);
    table.row(
        "stanzas through, both ways at once",
        &format!("{}/s", per_second(u64::from(2 * MANY), relayed_rate)),
        &format!("direct {}/s", per_second(u64::from(2 * MANY), direct_rate)),
    );
    table.row(
        "processor time of a stanza",
        &format!("{per_stanza:.2} us"),
        &format!("{} stanzas/s at most from one core", per_second(u64::from(2 * MANY), used)),
    );
    table.goal(
        &format!("relay: {per_stanza:.2} us of processor time for a stanza (goal {CPU_GOAL_US})"),
        per_stanza < CPU_GOAL_US,
    );
    drop((node, relay, peer));

    let mut peer = Loopback::start(DOMAIN, SECRET, Hearing::Keep).await;
    let relay = RelayThread::start(&peer.address());
    let mut node = attach(&relay.address).await;
    let before = relay.processor_time();
    let relayed = turns(&mut peer, &mut node).await;
    let alone = micros(relay.processor_time().saturating_sub(before)) / f64::from(2 * TURNS);
    let added = micros(relayed.0.saturating_sub(direct.0)) / 2.0;
    table.row(
        "there and back, one at a time",
        &format!("p50 {:.0} us", micros(relayed.0)),
        &format!(
            "direct {:.0} us; p99 {:.0} us, direct {:.0} us",
            micros(direct.0),
            micros(relayed.1),
            micros(direct.1)
        ),
    );
    table.row("processor time of a stanza on its own", &format!("{alone:.1} us"), "a read, a write and a wake-up each");
    table.goal(&format!("relay: {added:.0} us added to one way (goal {LATENCY_GOAL_US})"), added < LATENCY_GOAL_US);
}

fn micros(span: Duration) -> f64 {
    span.as_secs_f64() * 1e6
}

/// Many stanzas both ways at once; how long they take.
async fn flow(peer: &Loopback, node: &mut TcpStream, is_relay: bool) -> Duration {
    let begun = Instant::now();
    let heard_before = peer.bytes();
    let word = word(0);
    let inbound: Vec<u8> = (0..GROUP).flat_map(|nth| stanza(nth).into_bytes()).collect();
    for _ in 0..MANY / GROUP {
        peer.inject(inbound.clone());
    }
    let (mut reading, mut writing) = node.split();
    let bytes_in = inbound.len() as u64 * u64::from(MANY / GROUP);
    let read = async {
        let mut buffer = vec![0; 256 * 1024];
        let mut left = bytes_in;
        while left > 0 {
            left -= reading.read(&mut buffer).await.expect("it is open") as u64;
        }
    };
    let write = async {
        let words = word.repeat(GROUP as usize);
        for nth in 1..=MANY / GROUP {
            writing.write_all(words.as_bytes()).await.expect("it is open");
            if is_relay {
                // One group committed and said: what a node tells the relay.
                let news =
                    format!("<ack xmlns='{0}' numbers='{1}'/><said xmlns='{0}' seq='{nth}'/>", relay::NS, nth * GROUP);
                writing.write_all(news.as_bytes()).await.expect("it is open");
            }
        }
    };
    tokio::join!(read, write);
    while peer.bytes() - heard_before < u64::from(MANY) * word.len() as u64 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    begun.elapsed()
}

/// One stanza there, one word back, one after the other: median and the time of 99 of 100.
async fn turns(peer: &mut Loopback, node: &mut TcpStream) -> (Duration, Duration) {
    let mut waits = Vec::with_capacity(TURNS as usize);
    let mut buffer = vec![0; 64 * 1024];
    for nth in 0..TURNS {
        let begun = Instant::now();
        peer.inject(stanza(nth));
        until_end(async |buffer: &mut [u8]| node.read(buffer).await.expect("it is open"), &mut buffer).await;
        node.write_all(word(nth).as_bytes()).await.expect("it is open");
        let mut heard = Vec::new();
        while memmem::find(&heard, b"</message>").is_none() {
            heard.extend(peer.heard().await);
        }
        waits.push(begun.elapsed());
    }
    waits.sort_unstable();
    (waits[waits.len() / 2], waits[waits.len() * 99 / 100])
}

async fn until_end(mut read: impl AsyncFnMut(&mut [u8]) -> usize, buffer: &mut [u8]) {
    let mut filled = 0;
    while memmem::find(&buffer[..filled], b"</message>").is_none() {
        filled += read(&mut buffer[filled..]).await;
    }
}

/// A relay that runs on a thread of its own, so that its processor time can be told from ours.
struct RelayThread {
    address: String,
    thread: i32,
    stop: watch::Sender<bool>,
    running: Option<std::thread::JoinHandle<()>>,
}

impl RelayThread {
    fn start(server: &str) -> RelayThread {
        let text = format!(
            "[[domain]]\ndomain = \"{DOMAIN}\"\nsecret = \"{SECRET}\"\nserver = \"{server}\"\nlisten = \"127.0.0.1:0\"\n[limits]\nheld_stanzas = 1000000\nheld_bytes = 1000000000\n"
        );
        let (stop, stops) = watch::channel(false);
        let (ready, is_ready) = std::sync::mpsc::channel();
        let running = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let config = RelayConfig::parse(Path::new("relay.toml"), &text).expect("a configuration");
                let counted = PrometheusBuilder::new().build_recorder().handle();
                let running = relay::start(&config, Pace::default(), &stops, counted).await.expect("it listens");
                let thread = std::fs::read_link("/proc/thread-self").expect("Linux");
                let thread = thread.file_name().and_then(|name| name.to_str()?.parse().ok()).expect("a number");
                ready.send((running.addresses()[0].to_string(), thread)).expect("somebody waits");
                running.ended().await;
            });
        });
        let (address, thread) = is_ready.recv().expect("it starts");
        RelayThread { address, thread, stop, running: Some(running) }
    }

    fn processor_time(&self) -> Duration {
        let text = std::fs::read_to_string(format!("/proc/self/task/{}/schedstat", self.thread)).unwrap_or_default();
        let nanos = text.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or_default();
        Duration::from_nanos(nanos)
    }
}

impl Drop for RelayThread {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        if let Some(running) = self.running.take() {
            let _ = running.join();
        }
    }
}

/// A component's stream, whoever is at the other end.
async fn shake_hands(address: &str) -> TcpStream {
    let mut socket = TcpStream::connect(address).await.expect("it listens");
    socket.set_nodelay(true).expect("a socket");
    let header = format!(
        "<?xml version='1.0'?><stream:stream xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams' to='{DOMAIN}'>"
    );
    socket.write_all(header.as_bytes()).await.expect("written");
    let head = read_to(&mut socket, "'>").await;
    let (_, id) = head.split_once(" id='").expect("an id");
    let (id, _) = id.split_once('\'').expect("an id");
    let digest: String = Sha1::digest(format!("{id}{SECRET}")).iter().map(|byte| format!("{byte:02x}")).collect();
    socket.write_all(format!("<handshake>{digest}</handshake>").as_bytes()).await.expect("written");
    read_to(&mut socket, "<handshake/>").await;
    socket
}

/// A node that holds the domain.
async fn attach(address: &str) -> TcpStream {
    let mut socket = shake_hands(address).await;
    let attach = format!("<attach xmlns='{}' epoch='1' node='a' database='x'/>", relay::NS);
    socket.write_all(attach.as_bytes()).await.expect("written");
    read_to(&mut socket, "waited='0'/>").await;
    socket
}

async fn read_to(socket: &mut TcpStream, end: &str) -> String {
    let mut read = Vec::new();
    while !read.ends_with(end.as_bytes()) {
        assert!(socket.read_buf(&mut read).await.expect("it is open") > 0, "{}", String::from_utf8_lossy(&read));
    }
    String::from_utf8(read).expect("text")
}

fn stanza(nth: u32) -> String {
    format!(
        "<message from='user{nth}@example.org/phone' to='room@{DOMAIN}' type='groupchat' id='m{nth:012}'><body>The quick brown fox jumps over the lazy dog, again and again.</body><origin-id xmlns='urn:xmpp:sid:0' id='m{nth:012}'/><x xmlns='urn:example'>some more of what clients send along</x></message>"
    )
}

fn word(nth: u32) -> String {
    format!(
        "<message from='room@{DOMAIN}/user' to='user@example.org/phone' type='groupchat' id='m{nth:012}'><body>The quick brown fox jumps over the lazy dog, again and again.</body><stanza-id xmlns='urn:xmpp:sid:0' by='room@{DOMAIN}' id='m{nth:012}'/><x xmlns='urn:example'>some more of what clients send along</x></message>"
    )
}
