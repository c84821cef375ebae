//! A node as the relay sees it: a plain socket that says what a test wants, and hears element by element.

use std::time::Duration;

use sha1::{Digest, Sha1};
use tandem_muc::stream::Limits;
use tandem_muc::stream::framer::{Frame, Framer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{DOMAIN, SECRET, soon};

/// A node's end of a stream.
pub(super) struct Peer {
    pub(super) socket: TcpStream,
    framer: Framer,
    /// The stream id the relay gave.
    pub(super) id: String,
    /// This relay's boot, as the greeting says.
    pub(super) boot: String,
}

impl Peer {
    /// Opens a stream for `domain` as far as the relay's header.
    pub(super) async fn open(address: &str, domain: &str) -> Peer {
        let mut socket = TcpStream::connect(address).await.expect("the relay listens");
        socket.set_nodelay(true).expect("a socket");
        let header = format!(
            "<?xml version='1.0'?><stream:stream xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams' to='{domain}'>"
        );
        socket.write_all(header.as_bytes()).await.expect("written");
        let mut head = Vec::new();
        while memchr::memchr_iter(b'>', &head).count() < 2 {
            let mut byte = [0];
            soon(socket.read_exact(&mut byte)).await.expect("a header");
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).expect("text");
        let id = attribute(&head, "id").unwrap_or_default();
        Peer { socket, framer: Framer::new(Limits::default(), b""), id, boot: String::new() }
    }

    /// A node that has shaken hands.
    pub(super) async fn standby(address: &str) -> Peer {
        let mut peer = Peer::open(address, DOMAIN).await;
        let digest = hex(&Sha1::digest(format!("{}{SECRET}", peer.id)));
        peer.say(&format!("<handshake>{digest}</handshake>")).await;
        let greeting = peer.hear().await;
        assert!(greeting.starts_with("<relay xmlns='urn:tandem-muc:relay:0' "), "{greeting}");
        peer.boot = attribute(&greeting, "boot").expect("a boot");
        assert_eq!(peer.hear().await, "<handshake/>");
        peer
    }

    /// A node that holds the domain, and what it was told.
    pub(super) async fn holder(address: &str, node: &str, epoch: u64) -> (Peer, String) {
        let mut peer = Peer::standby(address).await;
        let attached = peer.attach(node, epoch, "").await;
        assert!(attached.starts_with("<attached "), "{attached}");
        (peer, attached)
    }

    /// Wants to hold the domain, `handled` being the element inside; the answer.
    pub(super) async fn attach(&mut self, node: &str, epoch: u64, handled: &str) -> String {
        self.attach_from("db-1", node, epoch, handled).await
    }

    /// The same with another database.
    pub(super) async fn attach_from(&mut self, database: &str, node: &str, epoch: u64, handled: &str) -> String {
        self.say(&format!(
            "<attach xmlns='urn:tandem-muc:relay:0' epoch='{epoch}' node='{node}' database='{database}'>{handled}</attach>"
        ))
        .await;
        self.hear().await
    }

    /// The same with so many relays for the domain.
    pub(super) async fn attach_to_one_of(&mut self, relays: usize, node: &str, epoch: u64) -> String {
        self.say(&format!(
            "<attach xmlns='urn:tandem-muc:relay:0' epoch='{epoch}' node='{node}' database='db-1' relays='{relays}'/>"
        ))
        .await;
        self.hear().await
    }

    pub(super) async fn ack(&mut self, numbers: &str) {
        self.say(&format!("<ack xmlns='urn:tandem-muc:relay:0' numbers='{numbers}'/>")).await;
    }

    pub(super) async fn say(&mut self, xml: &str) {
        self.socket.write_all(xml.as_bytes()).await.expect("written");
    }

    /// Says what may find nobody who listens.
    pub(super) async fn try_say(&mut self, xml: &str) {
        let _ = self.socket.write_all(xml.as_bytes()).await;
    }

    /// The next element; `</>` is the end of the stream or of the connection.
    pub(super) async fn hear(&mut self) -> String {
        soon(self.next()).await
    }

    async fn next(&mut self) -> String {
        loop {
            match self.framer.frame().expect("well-formed") {
                Some(Frame::Stanza(raw)) => return String::from_utf8(raw.bytes().to_vec()).expect("text"),
                Some(Frame::Skipped(raw, excess)) => panic!("{excess}: {}", String::from_utf8_lossy(raw.bytes())),
                Some(Frame::End) => return "</>".to_owned(),
                None => {
                    if self.socket.read_buf(self.framer.space()).await.unwrap_or(0) == 0 {
                        return "</>".to_owned();
                    }
                }
            }
        }
    }

    /// Nothing comes for a while.
    pub(super) async fn silence(&mut self) {
        if let Ok(heard) = timeout(Duration::from_millis(150), self.next()).await {
            panic!("heard {heard}");
        }
    }

    /// The ids of the next `count` stanzas, those with a number as `n:id`.
    pub(super) async fn ids(&mut self, count: usize) -> Vec<String> {
        let (mut ids, mut at) = (Vec::new(), None);
        while ids.len() < count {
            let heard = self.hear().await;
            if heard.starts_with("<at ") {
                at = attribute(&heard, "n");
                continue;
            }
            let id = attribute(&heard, "id").unwrap_or(heard);
            ids.push(at.take().map_or(id.clone(), |n| format!("{n}:{id}")));
        }
        ids
    }
}

/// The value of an attribute in single quotes.
pub(super) fn attribute(xml: &str, name: &str) -> Option<String> {
    let (_, rest) = xml.split_once(&format!(" {name}='"))?;
    Some(rest.split_once('\'')?.0.to_owned())
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
