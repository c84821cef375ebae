//! The server's side of XEP-0114 on a loopback port: a peer for tests and benches of the stream.
//!
//! Accepts one component at a time, shakes hands, gives marks back, injects what it is told to, and either keeps what
//! it hears or only counts it. It reads as fast as a socket can be drained: no parsing, only a search for marks.

use std::fmt::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use memchr::memmem;
use sha1::{Digest, Sha1};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// How the next connections are treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manners {
    /// Shake hands, give marks back.
    Kind,
    /// Shake hands, swallow marks.
    Markless,
    /// Shake hands, then neither read nor write.
    Frozen,
    /// Answer nothing at all.
    Mute,
    /// Answer the handshake with this stream error.
    Refusing(&'static str),
    /// Send header and this stream error in one piece, before any handshake.
    Unknowing(&'static str),
}

/// What becomes of what the component says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hearing {
    /// Counted and forgotten.
    Drain,
    /// Kept for [`Loopback::heard`].
    Keep,
}

/// A server for one component.
#[derive(Debug)]
pub struct Loopback {
    address: SocketAddr,
    bytes: Arc<AtomicU64>,
    attached: Arc<AtomicU64>,
    heard: mpsc::UnboundedReceiver<Vec<u8>>,
    inject: mpsc::UnboundedSender<Order>,
    manners: watch::Sender<Manners>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
enum Order {
    Say(Vec<u8>),
    Freeze,
    Cut,
}

/// What the accepting task works with.
struct Host {
    domain: String,
    secret: String,
    hearing: Hearing,
    bytes: Arc<AtomicU64>,
    attached: Arc<AtomicU64>,
    heard: mpsc::UnboundedSender<Vec<u8>>,
    orders: mpsc::UnboundedReceiver<Order>,
    manners: watch::Receiver<Manners>,
}

const HEADER: &str = "<?xml version='1.0'?><stream:stream xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams' id='loop' from='loopback'>";

impl Loopback {
    /// Listens on a free port for the component `domain` with `secret`.
    pub async fn start(domain: &str, secret: &str, hearing: Hearing) -> Loopback {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound port");
        let (heard_in, heard) = mpsc::unbounded_channel();
        let (inject, orders) = mpsc::unbounded_channel();
        let (manners, manners_out) = watch::channel(Manners::Kind);
        let (bytes, attached) = (Arc::default(), Arc::default());
        let host = Host {
            domain: domain.to_owned(),
            secret: secret.to_owned(),
            hearing,
            bytes: Arc::clone(&bytes),
            attached: Arc::clone(&attached),
            heard: heard_in,
            orders,
            manners: manners_out,
        };
        let task = tokio::spawn(host.accept(listener));
        Loopback { address, bytes, attached, heard, inject, manners, task }
    }

    /// Where the component port is.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// How connections are treated from now; the open one is not touched.
    pub fn behave(&self, manners: Manners) {
        self.manners.send_replace(manners);
    }

    /// Sends `xml` to the component; before a handshake it waits and goes out in one piece with the answer to it.
    pub fn inject(&self, xml: impl Into<Vec<u8>>) {
        let _ = self.inject.send(Order::Say(xml.into()));
    }

    /// Stops reading and writing on the open connection until it is cut.
    pub fn freeze(&self) {
        let _ = self.inject.send(Order::Freeze);
    }

    /// Cuts the open connection without a word.
    pub fn cut(&self) {
        let _ = self.inject.send(Order::Cut);
    }

    /// Bytes the component said after its handshakes.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Acquire)
    }

    /// Handshakes done.
    pub fn attached(&self) -> u64 {
        self.attached.load(Ordering::Acquire)
    }

    /// The next bytes that were heard; only with [`Hearing::Keep`].
    pub async fn heard(&mut self) -> Vec<u8> {
        self.heard.recv().await.unwrap_or_default()
    }
}

impl Drop for Loopback {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Host {
    async fn accept(mut self, listener: TcpListener) {
        while let Ok((socket, _)) = listener.accept().await {
            let _ = socket.set_nodelay(true);
            // A connection that breaks makes room for the next.
            let _ = self.serve(socket).await;
        }
    }

    async fn serve(&mut self, mut socket: TcpStream) -> std::io::Result<()> {
        let manners = *self.manners.borrow();
        if manners == Manners::Mute {
            return self.freeze(socket).await;
        }
        read_past(&mut socket, b">", 2).await?;
        if let Manners::Unknowing(condition) = manners {
            return socket.write_all(format!("{HEADER}{}", stream_error(condition)).as_bytes()).await;
        }
        socket.write_all(HEADER.as_bytes()).await?;
        let handshake = read_past(&mut socket, b"</handshake>", 1).await?;
        let expected = hex(&Sha1::digest(format!("loop{}", self.secret)));
        let condition = match manners {
            Manners::Refusing(condition) => Some(condition),
            _ if memmem::find(&handshake, expected.as_bytes()).is_none() => Some("not-authorized"),
            _ => None,
        };
        if let Some(condition) = condition {
            return socket.write_all(stream_error(condition).as_bytes()).await;
        }
        let mut answer = b"<handshake/>".to_vec();
        while let Ok(Order::Say(xml)) = self.orders.try_recv() {
            answer.extend(xml);
        }
        socket.write_all(&answer).await?;
        self.attached.fetch_add(1, Ordering::AcqRel);
        match manners {
            Manners::Frozen => self.freeze(socket).await,
            Manners::Kind | Manners::Markless | Manners::Mute | Manners::Refusing(_) | Manners::Unknowing(_) => {
                self.converse(socket, manners != Manners::Markless).await
            }
        }
    }

    async fn freeze(&mut self, socket: impl Sized) -> std::io::Result<()> {
        while !matches!(self.orders.recv().await, None | Some(Order::Cut)) {}
        drop(socket);
        Ok(())
    }

    async fn converse(&mut self, socket: TcpStream, gives_marks: bool) -> std::io::Result<()> {
        let (mut from, mut to) = socket.into_split();
        let mut marks = Marks::new(&self.domain);
        let mut buffer = vec![0; 256 * 1024];
        loop {
            let read = tokio::select! {
                biased;
                read = from.read(&mut buffer) => read?,
                order = self.orders.recv() => match order {
                    Some(Order::Say(xml)) => {
                        to.write_all(&xml).await?;
                        continue;
                    }
                    Some(Order::Freeze) => return self.freeze((from, to)).await,
                    Some(Order::Cut) | None => return Ok(()),
                },
            };
            if read == 0 {
                return Ok(());
            }
            let said = &buffer[..read];
            self.bytes.fetch_add(read as u64, Ordering::AcqRel);
            if self.hearing == Hearing::Keep {
                let _ = self.heard.send(said.to_vec());
            }
            let back = marks.find(said);
            if gives_marks && !back.is_empty() {
                to.write_all(&back).await?;
            }
            if said.ends_with(b"</stream:stream>") {
                return to.write_all(b"</stream:stream>").await;
            }
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn stream_error(condition: &str) -> String {
    format!("<stream:error><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>")
}

/// Reads until `what` was seen `times` times.
async fn read_past(socket: &mut TcpStream, what: &[u8], times: usize) -> std::io::Result<Vec<u8>> {
    let mut all = Vec::new();
    while memmem::find_iter(&all, what).count() < times {
        if socket.read_buf(&mut all).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(all)
}

/// Finds marks in a stream of bytes, also those cut in two by a read.
struct Marks {
    opening: Vec<u8>,
    carry: Vec<u8>,
}

/// `epoch:seq'/>` is shorter than this.
const MARK_TAIL_BYTES: usize = 48;

impl Marks {
    fn new(domain: &str) -> Marks {
        Marks { opening: format!("<message from='{domain}' to='{domain}/mark' id='").into_bytes(), carry: Vec::new() }
    }

    /// The marks that end in `said`, as they are to go back.
    fn find(&mut self, said: &[u8]) -> Vec<u8> {
        let mut back = Vec::new();
        let edge = said.len().min(self.opening.len() + MARK_TAIL_BYTES);
        // First those over the edge between two reads, then those within.
        let carried = self.carry.len();
        self.carry.extend_from_slice(&said[..edge]);
        collect(&self.opening, &self.carry, |end| end > carried, |at| at < carried, &mut back);
        collect(&self.opening, said, |_| true, |_| true, &mut back);
        let keep = self.opening.len() + MARK_TAIL_BYTES;
        if said.len() >= keep {
            self.carry.clear();
            self.carry.extend_from_slice(&said[said.len() - keep..]);
        } else {
            self.carry.truncate(carried);
            self.carry.extend_from_slice(said);
            let surplus = self.carry.len().saturating_sub(keep);
            self.carry.drain(..surplus);
        }
        back
    }
}

fn collect(
    opening: &[u8],
    text: &[u8],
    ends_well: impl Fn(usize) -> bool,
    begins_well: impl Fn(usize) -> bool,
    back: &mut Vec<u8>,
) {
    for at in memmem::find_iter(text, opening) {
        let tail = at + opening.len();
        let Some(length) = memmem::find(&text[tail..], b"/>") else { continue };
        let end = tail + length + 2;
        if ends_well(end) && begins_well(at) {
            back.extend_from_slice(&text[at..end]);
        }
    }
}
