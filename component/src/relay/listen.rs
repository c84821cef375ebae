//! Nodes come in: the server's side of XEP-0114 (v1.6 §3), for all domains of one address.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use memchr::memmem;
use secrecy::SecretString;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

use super::{node_limits, wire};
use crate::stream::framer::{Frame, Framer};
use crate::stream::{connect, read, socket};

/// Handshakes under way at once, over all domains of an address; more have to wait.
const HANDSHAKES_MAX: usize = 32;
/// A stream header is shorter than this.
const HEADER_BYTES: usize = 4096;

/// A node that has shaken hands, as far as its secret goes.
#[derive(Debug)]
pub(super) struct Newcomer {
    pub(super) socket: TcpStream,
    pub(super) framer: Framer,
    pub(super) peer: SocketAddr,
}

/// Where the nodes of one domain go.
#[derive(Debug)]
pub(super) struct Door {
    pub(super) secret: SecretString,
    pub(super) stanza_bytes: usize,
    pub(super) inside: mpsc::Sender<Newcomer>,
}

/// Lets nodes in for as long as the task lives.
pub(super) async fn accept(listener: TcpListener, doors: Arc<BTreeMap<String, Door>>, patience: Duration) {
    let places = Arc::new(Semaphore::new(HANDSHAKES_MAX));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let (socket, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(why) => {
                warn!(%why, "relay: a node could not be let in");
                sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let doors = Arc::clone(&doors);
        tokio::spawn(async move {
            match timeout(patience, shake_hands(socket, peer, &doors)).await {
                Ok(Ok(())) => {}
                Ok(Err(why)) => debug!(%peer, %why, "relay: no handshake"),
                Err(_) => debug!(%peer, "relay: no handshake in time"),
            }
            drop(place);
        });
    }
}

async fn shake_hands(mut socket: TcpStream, peer: SocketAddr, doors: &BTreeMap<String, Door>) -> io::Result<()> {
    socket::prepare(&socket)?;
    let mut read = BytesMut::with_capacity(1024);
    let Some((to, header_end)) = header(&mut socket, &mut read).await? else {
        return turn_away(socket, "", "bad-format", "this is no stream header").await;
    };
    let id = uuid::Uuid::new_v4().simple().to_string();
    let opening = format!(
        "<?xml version='1.0'?><stream:stream xmlns='{}' xmlns:stream='http://etherx.jabber.org/streams' id='{id}' from='{}'>",
        read::COMPONENT,
        plain(&to)
    );
    let Some(door) = doors.get(&to) else {
        warn!(%peer, domain = to, "relay: refused a node: no such domain here");
        return turn_away(socket, &opening, "host-unknown", "this relay has no such domain").await;
    };
    socket.write_all(opening.as_bytes()).await?;
    let mut framer = Framer::new(node_limits(door.stanza_bytes), &read[header_end..]);
    let expected = connect::handshake(&id, &door.secret);
    loop {
        match framer.frame().map_err(|why| io::Error::new(io::ErrorKind::InvalidData, why))? {
            Some(Frame::Stanza(raw)) if is_same(content(raw.bytes()), content(expected.as_bytes())) => break,
            Some(Frame::Stanza(_) | Frame::Skipped(..)) => {
                warn!(%peer, domain = to, "relay: refused a node: its secret is not this domain's");
                return turn_away(socket, "", "not-authorized", "the secret is not this domain's").await;
            }
            Some(Frame::End) => return Ok(()),
            None => {
                if socket.read_buf(framer.space()).await? == 0 {
                    return Ok(());
                }
            }
        }
    }
    // A domain that is ending takes nobody; the node sees the connection close.
    let _ = door.inside.send(Newcomer { socket, framer, peer }).await;
    Ok(())
}

/// Reads a stream header: the domain it is for, and where it ends.
async fn header(socket: &mut TcpStream, read: &mut BytesMut) -> io::Result<Option<(String, usize)>> {
    loop {
        if let Some(start) = memmem::find(read, b"<stream:stream")
            && let Some(length) = memchr::memchr(b'>', &read[start..])
        {
            let end = start + length + 1;
            // The framer knows how to take a tag apart, if it ends.
            let tag = [&read[start..end - 1], b"/>"].concat();
            let mut framer = Framer::new(node_limits(HEADER_BYTES), &tag);
            let Ok(Some(Frame::Stanza(raw))) = framer.frame() else { return Ok(None) };
            let to = raw.attributes().find(|(name, _)| *name == b"to").and_then(|(_, to)| read::decode(to).ok());
            return Ok(to.map(|to| (to.to_lowercase(), end)));
        }
        if read.len() > HEADER_BYTES {
            return Ok(None);
        }
        if socket.read_buf(read).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

async fn turn_away(mut socket: TcpStream, opening: &str, condition: &str, sentence: &str) -> io::Result<()> {
    let opening = match opening {
        "" if condition == "bad-format" => {
            "<?xml version='1.0'?><stream:stream xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams'>"
        }
        other => other,
    };
    socket.write_all(format!("{opening}{}", wire::stream_error(condition, sentence)).as_bytes()).await?;
    socket.shutdown().await?;
    // What the node still says is thrown away, so that the end does not overtake the reason.
    let mut waste = [0; 1024];
    let _ = timeout(Duration::from_millis(500), async {
        while socket.read(&mut waste).await? > 0 {}
        io::Result::Ok(())
    })
    .await;
    Ok(())
}

/// A stranger's domain as it may stand in an attribute.
fn plain(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']')).take(255).collect()
}

/// What stands between an element's tags.
fn content(element: &[u8]) -> &[u8] {
    let from = memchr::memchr(b'>', element).map_or(0, |at| at + 1);
    let to = memchr::memrchr(b'<', element).filter(|&to| to >= from).unwrap_or(element.len());
    element[from..to].trim_ascii()
}

/// Compares in a time that does not tell where the first difference is.
fn is_same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |differing, (a, b)| differing | (a ^ b)) == 0
}
