//! What relay and nodes say to each other beyond XEP-0114: elements of one namespace between the stanzas.

use std::fmt::Write;
use std::str::FromStr;

use tandem_muc_core::relay::{Attach, Closing, Numbers, Refusal, Welcome};
use tandem_muc_core::stanza::escape_attr;

use crate::stream::framer::Raw;
use crate::stream::read::decode;

/// The namespace of the elements.
pub const NS: &str = "urn:tandem-muc:relay:0";

/// What a node says to the relay itself.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Order {
    Attach(Attach),
    Ack(Numbers),
    Said(i64),
    Leave,
    /// A sign of life.
    Alive,
}

/// Reads an element of ours; `None` where it is none, or not as it should be.
pub(super) fn order(raw: &Raw<'_>) -> Option<Order> {
    let attributes = Attributes(raw);
    if attributes.text("xmlns")? != NS {
        return None;
    }
    match raw.name() {
        b"attach" => attach(raw, &attributes).map(Order::Attach),
        b"ack" => attributes.value("numbers").map(Order::Ack),
        b"said" => attributes.value("seq").map(Order::Said),
        b"leave" => Some(Order::Leave),
        b"alive" => Some(Order::Alive),
        _ => None,
    }
}

fn attach(raw: &Raw<'_>, attributes: &Attributes<'_, '_>) -> Option<Attach> {
    // At most one `<handled/>`, an empty element or one with an end tag.
    let handled = match raw.children().next() {
        Some(child) => Some(handled(child)?),
        None => None,
    };
    Some(Attach {
        epoch: attributes.value("epoch")?,
        node: attributes.text("node").filter(|name| is_word(name))?,
        database: attributes.text("database").filter(|id| is_word(id))?,
        handled,
        has_others: attributes.value("relays").is_some_and(|relays: u32| relays > 1),
    })
}

/// Names are short: they are kept, told to others and logged.
fn is_word(text: &str) -> bool {
    !text.is_empty() && text.len() <= 128
}

fn handled(child: &[u8]) -> Option<(String, Numbers)> {
    let mut framer = crate::stream::framer::Framer::new(super::node_limits(child.len()), child);
    match framer.frame() {
        Ok(Some(crate::stream::framer::Frame::Stanza(raw))) if raw.name() == b"handled" => {
            let attributes = Attributes(&raw);
            Some((attributes.text("boot")?, attributes.value("numbers")?))
        }
        _ => None,
    }
}

struct Attributes<'a, 'b>(&'a Raw<'b>);

impl Attributes<'_, '_> {
    fn text(&self, name: &str) -> Option<String> {
        let (_, value) = self.0.attributes().find(|(found, _)| *found == name.as_bytes())?;
        decode(value).ok().map(std::borrow::Cow::into_owned)
    }

    fn value<V: FromStr>(&self, name: &str) -> Option<V> {
        self.text(name)?.parse().ok()
    }
}

/// Tells a node that this is a relay, in one piece with the handshake's end.
pub(super) fn greeting(boot: &str, highest: u64) -> String {
    format!("<relay xmlns='{NS}' boot='{boot}' highest='{highest}'/><handshake/>")
}

pub(super) fn attached(welcome: &Welcome) -> String {
    let Welcome { boot, next, held, bounced, waited_ms, mark, said_in, .. } = welcome;
    let said = mark.zip(*said_in).map(|(mark, epoch)| format!(" mark='{mark}' said-in='{epoch}'"));
    let mark = said.unwrap_or_default();
    format!(
        "<attached xmlns='{NS}' boot='{boot}' next='{next}'{mark} held='{held}' bounced='{bounced}' waited='{waited_ms}'/>"
    )
}

pub(super) fn refused(refusal: &Refusal) -> String {
    let Refusal { reason, highest, sentence } = refusal;
    let mut text = format!("<refused xmlns='{NS}' reason='{}' highest='{highest}'>", reason.as_str());
    escape_attr(sentence, &mut text);
    text.push_str("</refused>");
    text
}

/// The stanza that follows has this number.
pub(super) fn at(number: u64, out: &mut Vec<u8>) {
    let mut text = String::new();
    let _ = write!(text, "<at xmlns='{NS}' n='{number}'/>");
    out.extend_from_slice(text.as_bytes());
}

/// A sign of life.
pub(super) fn alive() -> String {
    format!("<alive xmlns='{NS}'/>")
}

/// A stream's end with the reason (RFC 6120 §4.9).
pub(super) fn stream_error(condition: &str, sentence: &str) -> String {
    const STREAMS: &str = "urn:ietf:params:xml:ns:xmpp-streams";
    let mut text = format!("<stream:error><{condition} xmlns='{STREAMS}'/><text xmlns='{STREAMS}'>");
    escape_attr(sentence, &mut text);
    text.push_str("</text></stream:error></stream:stream>");
    text
}

/// The same for what the relay closes by itself.
pub(super) fn closing(why: &Closing) -> String {
    match why {
        Closing::Replaced { by, epoch } => stream_error("conflict", &format!("node {by} attached with epoch {epoch}")),
        Closing::ServerGone(why) => stream_error("remote-connection-failed", why),
        Closing::Stopping => stream_error("system-shutdown", "the relay is stopping"),
    }
}
