//! The node's side of what it speaks with a relay, beyond XEP-0114: attach, attached or refused, at, said, ack.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::time::Duration;

use tandem_muc_core::relay::Numbers;
use tandem_muc_core::stanza::escape_attr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::connect::Attached;
use super::framer::{Frame, Raw};
use super::read::decode;
use super::trouble::Cause;

/// The namespace of these elements.
pub(super) const NS: &str = "urn:tandem-muc:relay:0";

/// What a relay says of itself before the handshake is answered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Greeting {
    /// Unlike that of any other run of any relay.
    pub(super) boot: String,
}

/// Who asks to be attached.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Claim {
    /// The epoch of its lease.
    pub epoch: u64,
    /// The node.
    pub node: String,
    /// The identity of its database.
    pub database: String,
    /// How many relays the domain has; a relay that is one of several does not wait for ever for a node to come back.
    pub relays: usize,
}

/// What a relay says to a node it attaches.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Welcome {
    /// The number of the first stanza that follows.
    pub(super) next: u64,
    /// The last group known to have been said in full, by whichever node.
    pub mark: Option<i64>,
    /// The epoch it was said in.
    pub said_in: Option<u64>,
    /// Stanzas that waited and follow now.
    pub held: u64,
    /// Stanzas that waited too long and were answered with an error.
    pub bounced: u64,
}

impl Welcome {
    /// What two relays said. How far words came counts as this one knows it, for only what goes its way can be proven.
    pub(super) fn with(self, other: Welcome) -> Welcome {
        let (held, bounced) = (self.held + other.held, self.bounced + other.bounced);
        Welcome { held, bounced, ..self }
    }
}

/// A boot is stored among others, so it is a plain word.
fn is_word(boot: &str) -> bool {
    (1..=64).contains(&boot.len()) && boot.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

impl Greeting {
    /// Of an element that is a relay's greeting.
    pub(super) fn of(raw: &Raw<'_>) -> Option<Greeting> {
        if raw.name() != b"relay" || attribute(raw, b"xmlns")? != NS {
            return None;
        }
        Some(Greeting { boot: attribute(raw, b"boot").filter(|boot| is_word(boot))?.into_owned() })
    }
}

/// What a relay says of its own among the stanzas.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Own {
    /// The number of the next stanza, where some are left out.
    At(u64),
    /// A sign of life, or what a later version may say: nothing to act upon.
    Other,
}

/// Whether an element is the relay's own.
pub(super) fn own(raw: &Raw<'_>) -> Option<Own> {
    let is_stanza = matches!(raw.name(), b"message" | b"presence" | b"iq");
    let is_ours = !is_stanza && attribute(raw, b"xmlns").is_some_and(|ns| ns == NS);
    is_ours.then(|| match raw.name() {
        b"at" => number(raw, b"n").map_or(Own::Other, Own::At),
        _ => Own::Other,
    })
}

/// Asks to be attached on a stream that has shaken hands.
///
/// # Errors
/// Why the relay does not: an epoch that is over, another database, or a server that is away.
pub(super) async fn attach(
    attached: &mut Attached,
    claim: &Claim,
    boot: &str,
    handled: &Numbers,
    patience: Duration,
) -> Result<Welcome, Cause> {
    let mut text = String::new();
    let _ = write!(text, "<attach xmlns='{NS}' epoch='{}' node='", claim.epoch);
    escape_attr(&claim.node, &mut text);
    text.push_str("' database='");
    escape_attr(&claim.database, &mut text);
    let _ = write!(text, "' relays='{}'><handled boot='", claim.relays);
    escape_attr(boot, &mut text);
    let _ = write!(text, "' numbers='{handled}'/></attach>");
    let answer = async {
        attached.socket.write_all(text.as_bytes()).await.map_err(|why| Cause::Closed(why.to_string()))?;
        answer(attached).await
    };
    timeout(patience, answer).await.unwrap_or(Err(Cause::Silence(patience)))
}

async fn answer(attached: &mut Attached) -> Result<Welcome, Cause> {
    loop {
        match attached.framer.frame().map_err(|why| Cause::Closed(why.to_string()))? {
            Some(Frame::Stanza(raw)) if raw.name() == b"attached" => {
                return Ok(Welcome {
                    next: number(&raw, b"next").unwrap_or(1),
                    mark: number(&raw, b"mark").and_then(|mark| i64::try_from(mark).ok()),
                    said_in: number(&raw, b"said-in"),
                    held: number(&raw, b"held").unwrap_or(0),
                    bounced: number(&raw, b"bounced").unwrap_or(0),
                });
            }
            Some(Frame::Stanza(raw)) if raw.name() == b"refused" => return Err(refusal(&raw)),
            Some(Frame::Stanza(_) | Frame::Skipped(..)) => {}
            Some(Frame::End) => return Err(Cause::Closed("it said goodbye instead of attaching us".to_owned())),
            None => {
                let read = attached.socket.read_buf(attached.framer.space()).await;
                if read.map_err(|why| Cause::Closed(why.to_string()))? == 0 {
                    return Err(Cause::Closed("it hung up instead of attaching us".to_owned()));
                }
            }
        }
    }
}

fn refusal(raw: &Raw<'_>) -> Cause {
    let text = || {
        let text = raw.bytes().split(|byte| *byte == b'>').nth(1).unwrap_or_default();
        String::from_utf8_lossy(text.split(|byte| *byte == b'<').next().unwrap_or_default()).into_owned()
    };
    match attribute(raw, b"reason").as_deref() {
        Some("epoch") => Cause::Outdated(number(raw, b"highest").unwrap_or(0)),
        Some("database") => Cause::OtherDatabase,
        _ => Cause::Unreachable(format!("the relay is there and its server is not: {}", text())),
    }
}

/// All words up to this group stand before this.
pub(super) fn write_said(seq: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(format!("<said xmlns='{NS}' seq='{seq}'/>").as_bytes());
}

/// The relay may forget these.
pub(super) fn write_ack(numbers: &Numbers, out: &mut Vec<u8>) {
    out.extend_from_slice(format!("<ack xmlns='{NS}' numbers='{numbers}'/>").as_bytes());
}

/// A sign of life.
pub(super) fn write_alive(out: &mut Vec<u8>) {
    out.extend_from_slice(format!("<alive xmlns='{NS}'/>").as_bytes());
}

fn attribute<'a>(raw: &Raw<'a>, name: &[u8]) -> Option<Cow<'a, str>> {
    let (_, value) = raw.attributes().find(|(key, _)| *key == name)?;
    decode(value).ok()
}

fn number(raw: &Raw<'_>, name: &[u8]) -> Option<u64> {
    attribute(raw, name)?.parse().ok()
}
