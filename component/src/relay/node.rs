//! A node's stream: what it may say, and how it ends.

use std::pin::Pin;
use std::task::Context;
use std::time::Duration;

use tandem_muc_core::relay::Link;
use tokio::io::AsyncWrite;
use tokio::time::Instant;

use super::inbound::is_stanza;
use super::listen::Newcomer;
use super::outlet::{Outlet, read};
use super::wire;
use crate::stream::framer::{Frame, Framer, Raw};
use crate::stream::read::{COMPONENT, is_stream_error};
use crate::stream::socket;

/// A stream that is closed may take this long for its last bytes.
const LINGER: Duration = Duration::from_secs(1);

/// So much may wait for the holder in our own buffer; the rest waits in the engine, where it is counted.
const FOR_HOLDER_MAX: usize = 128 * 1024;

/// One node.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) link: Link,
    pub(super) peer: String,
    socket: tokio::net::TcpStream,
    framer: Framer,
    pub(super) out: Outlet,
    pub(super) heard_at: Instant,
    pub(super) spoke_at: Instant,
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Open,
    /// Its last bytes go out; what it says is not looked at any more.
    Leaving {
        until: Instant,
        is_shut: bool,
    },
    Gone,
}

/// What a node says.
pub(super) enum Said<'a> {
    /// A stanza for the server.
    Word(&'a str),
    Order(wire::Order),
    /// It closes its stream.
    End,
    /// What no node says: the condition and the sentence its stream ends with.
    Nonsense(&'static str, String),
}

impl Node {
    pub(super) fn new(link: Link, newcomer: Newcomer, now: Instant) -> Node {
        let Newcomer { socket, framer, peer } = newcomer;
        let peer = peer.to_string();
        Node { link, peer, socket, framer, out: Outlet::default(), heard_at: now, spoke_at: now, stage: Stage::Open }
    }

    pub(super) fn is_open(&self) -> bool {
        self.stage == Stage::Open
    }

    pub(super) fn is_gone(&self) -> bool {
        self.stage == Stage::Gone
    }

    /// Reads once; whether there was anything, and that the stream ended as an error.
    pub(super) fn read(&mut self, now: Instant, cx: &mut Context<'_>) -> std::io::Result<bool> {
        match read(&self.socket, self.framer.space(), cx)? {
            None => Ok(false),
            Some(0) => Err(std::io::ErrorKind::UnexpectedEof.into()),
            Some(_) => {
                self.heard_at = now;
                socket::acknowledge_at_once(&self.socket);
                Ok(true)
            }
        }
    }

    /// The next thing that was read.
    pub(super) fn next<'a>(&'a mut self, domain: &str) -> Option<Said<'a>> {
        match self.framer.frame() {
            Ok(frame) => frame.map(|frame| said(frame, domain)),
            Err(why) => Some(Said::Nonsense("restricted-xml", why.to_string())),
        }
    }

    pub(super) fn write(&mut self, now: Instant, cx: &mut Context<'_>) {
        if self.out.write(&self.socket, cx) {
            self.spoke_at = now;
        }
    }

    /// How much more of what comes from the server it may be given.
    pub(super) fn room(&self) -> usize {
        if self.out.is_closed() { 0 } else { FOR_HOLDER_MAX.saturating_sub(self.out.waiting()) }
    }

    /// From now on only `last_words` go out.
    pub(super) fn leave(&mut self, last_words: &str, now: Instant) {
        if self.is_open() {
            self.out.put(last_words);
            self.stage = Stage::Leaving { until: now + LINGER, is_shut: false };
        }
    }

    /// There is no connection any more.
    pub(super) fn lose(&mut self) {
        self.stage = Stage::Gone;
    }

    /// Sees a leaving node out: last bytes, then what it still sends is thrown away, so that the end of the connection
    /// does not overtake them.
    pub(super) fn see_out(&mut self, now: Instant, cx: &mut Context<'_>) {
        let Stage::Leaving { until, is_shut } = &mut self.stage else { return };
        let until = *until;
        self.out.write(&self.socket, cx);
        let mut is_over = now >= until || self.out.is_closed();
        if !is_over && self.out.waiting() == 0 {
            if !*is_shut {
                *is_shut = Pin::new(&mut self.socket).poll_shutdown(cx).is_ready();
            }
            let mut waste = bytes::BytesMut::with_capacity(16 * 1024);
            loop {
                waste.clear();
                match read(&self.socket, &mut waste, cx) {
                    Ok(None) => break,
                    Ok(Some(1..)) => {}
                    Ok(Some(0)) | Err(_) => {
                        is_over = true;
                        break;
                    }
                }
            }
        }
        if is_over {
            self.stage = Stage::Gone;
        }
    }
}

fn said<'a>(frame: Frame<'a>, domain: &str) -> Said<'a> {
    match frame {
        Frame::End => Said::End,
        Frame::Stanza(raw) if is_stanza(&raw) => word(&raw, domain),
        Frame::Stanza(raw) if is_stream_error(&raw) => Said::End,
        Frame::Stanza(raw) => match wire::order(&raw) {
            Some(order) => Said::Order(order),
            None => {
                Said::Nonsense("unsupported-stanza-type", format!("<{}/> is nothing a node says here", named(&raw)))
            }
        },
        Frame::Skipped(_, excess) => Said::Nonsense("policy-violation", excess.to_string()),
    }
}

fn named(raw: &Raw<'_>) -> String {
    String::from_utf8_lossy(raw.name()).chars().filter(char::is_ascii_graphic).take(40).collect()
}

/// A stanza the server would end everybody's stream for goes no further than here.
fn word<'a>(raw: &Raw<'a>, domain: &str) -> Said<'a> {
    let Ok(text) = std::str::from_utf8(raw.bytes()) else {
        return Said::Nonsense("bad-format", "a stanza is not UTF-8".to_owned());
    };
    if text.bytes().any(|byte| byte < b' ' && !matches!(byte, b'\t' | b'\n' | b'\r')) {
        return Said::Nonsense("bad-format", "a stanza has a character that XML cannot carry".to_owned());
    }
    let (mut from, mut ns) = (None, COMPONENT.as_bytes());
    for (name, value) in raw.attributes() {
        match name {
            b"from" => from = Some(value),
            b"xmlns" => ns = value,
            _ => {}
        }
    }
    if ns != COMPONENT.as_bytes() {
        return Said::Nonsense("invalid-namespace", "a stanza of another namespace".to_owned());
    }
    if from.is_none_or(|from| domain_of(from) != domain.as_bytes()) {
        return Said::Nonsense("invalid-from", format!("a stanza that is not from {domain}"));
    }
    Said::Word(text)
}

fn domain_of(jid: &[u8]) -> &[u8] {
    let bare = jid.split(|&byte| byte == b'/').next().unwrap_or_default();
    bare.rsplit(|&byte| byte == b'@').next().unwrap_or_default()
}
