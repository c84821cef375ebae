//! Opens the stream of a component: TCP, stream header (by tokio-xmpp), handshake (XEP-0114 v1.6 §3).
//!
//! Every step has a limit in time, and what goes wrong is one of a few [`Trouble`]s that name domain, server and remedy.
//! The framer takes over with whatever was read beyond the header.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use sha1::{Digest, Sha1};
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_xmpp::xmlstream::{StreamHeader, Timeouts, XmppStreamElement, initiate_stream};

use super::framer::{Frame, Framer};
use super::read::{COMPONENT, condition_of, is_stream_error};
use super::relayed::Greeting;
use super::trouble::{Cause, Trouble};
use super::{StreamCondition, StreamConfig, socket};

/// An open stream: everything before the handshake is done, everything after it is still to be read.
#[derive(Debug)]
pub(crate) struct Attached {
    pub(crate) socket: TcpStream,
    pub(crate) framer: Framer,
    pub(crate) server: String,
    /// What the relay said of itself, if it is one.
    pub(super) relay: Option<Greeting>,
}

/// Attaches to the first server of the list that accepts us; relays are none of them.
///
/// # Errors
/// What the last server said, or rather what the first said that could be reached at all: a refusal tells more than
/// a closed port.
pub(crate) async fn attach(config: &StreamConfig, patience: Duration) -> Result<Attached, Trouble> {
    first_of(config, &config.servers, patience).await
}

/// Shakes hands with the first relay of the list that lets us; it attaches us when asked.
///
/// # Errors
/// As [`attach`]; a server that is no relay is an error too.
pub(super) async fn shake_hands_with_relay(config: &StreamConfig, patience: Duration) -> Result<Attached, Trouble> {
    relay(config, first_of(config, &config.relays, patience).await?)
}

/// The same with this relay alone.
pub(super) async fn shake_hands_with(
    config: &StreamConfig,
    address: &String,
    patience: Duration,
) -> Result<Attached, Trouble> {
    relay(config, first_of(config, std::slice::from_ref(address), patience).await?)
}

fn relay(config: &StreamConfig, attached: Attached) -> Result<Attached, Trouble> {
    if attached.relay.is_none() {
        return Err(Trouble { domain: config.domain.clone(), server: attached.server, cause: Cause::NoRelay });
    }
    Ok(attached)
}

async fn first_of(config: &StreamConfig, addresses: &[String], patience: Duration) -> Result<Attached, Trouble> {
    let mut refusal: Option<Trouble> = None;
    let mut unreachable: Option<Trouble> = None;
    for server in addresses {
        let cause = match attach_to(config, server, patience).await {
            Ok(attached) => return Ok(attached),
            Err(cause) => cause,
        };
        let kept = if matches!(cause, Cause::Unreachable(_)) { &mut unreachable } else { &mut refusal };
        kept.get_or_insert(Trouble { domain: config.domain.clone(), server: server.clone(), cause });
    }
    Err(refusal.or(unreachable).unwrap_or_else(|| Trouble {
        domain: config.domain.clone(),
        server: "nowhere".to_owned(),
        cause: Cause::Unreachable("the list of servers is empty".to_owned()),
    }))
}

async fn attach_to(config: &StreamConfig, server: &str, patience: Duration) -> Result<Attached, Cause> {
    let socket = within(patience, TcpStream::connect(server))
        .await
        .unwrap_or_else(|| Err(io::ErrorKind::TimedOut.into()))
        .map_err(|why| Cause::Unreachable(why.to_string()))?;
    socket::prepare(&socket).map_err(|why| Cause::Unreachable(why.to_string()))?;
    let opened = within(patience, open(config, socket)).await.ok_or(Cause::Silence(patience))?;
    let (mut socket, mut framer, id) = opened.map_err(|why| closed(&why))?;
    if let Some(id) = id {
        // A server that refuses us closes its end at once; what it said is still to be read, so a failed write is not
        // the news here.
        let _ = within(patience, socket.write_all(handshake(&id, &config.secret).as_bytes())).await;
    }
    let relay = within(patience, answer(&mut socket, &mut framer)).await.ok_or(Cause::Silence(patience))??;
    Ok(Attached { socket, framer, server: server.to_owned(), relay })
}

async fn within<F: Future>(patience: Duration, step: F) -> Option<F::Output> {
    timeout(patience, step).await.ok()
}

fn closed(why: &io::Error) -> Cause {
    Cause::Closed(why.to_string())
}

/// Exchanges stream headers; the server's tells the id the handshake is made from.
async fn open(config: &StreamConfig, socket: TcpStream) -> io::Result<(TcpStream, Framer, Option<String>)> {
    let header = StreamHeader { to: Some(Cow::Borrowed(&config.domain)), ..StreamHeader::default() };
    let mut pending = initiate_stream(BufReader::new(socket), COMPONENT, header, Timeouts::default()).await?;
    let id = pending.take_header().id.map(Cow::into_owned);
    let buffered = pending.skip_features::<XmppStreamElement>().into_inner();
    let framer = Framer::new(config.limits, buffered.buffer());
    Ok((buffered.into_inner(), framer, id))
}

pub(crate) fn handshake(id: &str, secret: &SecretString) -> String {
    let digest = Sha1::new().chain_update(id).chain_update(secret.expose_secret()).finalize();
    let mut text = String::from("<handshake>");
    for byte in digest {
        let _ = write!(text, "{byte:02x}");
    }
    text.push_str("</handshake>");
    text
}

/// Waits for `<handshake/>` or for what comes instead of it; a relay greets before it.
async fn answer(socket: &mut TcpStream, framer: &mut Framer) -> Result<Option<Greeting>, Cause> {
    let mut relay = None;
    loop {
        match framer.frame().map_err(|why| Cause::Closed(why.to_string()))? {
            Some(Frame::Stanza(raw)) if is_stream_error(&raw) => return Err(refused(&condition_of(&raw))),
            Some(Frame::Stanza(raw)) if raw.name() == b"handshake" => return Ok(relay),
            Some(Frame::Stanza(raw)) => relay = Greeting::of(&raw).or(relay),
            Some(Frame::Skipped(..)) => {}
            Some(Frame::End) => return Err(Cause::Closed("it said goodbye before the handshake".to_owned())),
            None => {
                if socket.read_buf(framer.space()).await.map_err(|why| closed(&why))? == 0 {
                    return Err(Cause::Closed("it hung up before the handshake".to_owned()));
                }
            }
        }
    }
}

/// What a stream error means to us (RFC 6120 §4.9.3).
pub(crate) fn refused(condition: &StreamCondition) -> Cause {
    match condition.name.as_str() {
        "conflict" => Cause::Conflict,
        "not-authorized" => Cause::NotAuthorized,
        "host-unknown" | "host-gone" => Cause::HostUnknown,
        _ => Cause::Closed(condition.to_string()),
    }
}
