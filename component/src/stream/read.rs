//! From frames to typed stanzas: envelope from the root's attributes, each child parsed for itself.
//!
//! A child that does not parse is left out alone, a stanza over a limit is refused alone: nothing a stranger can send
//! ends the stream. On the wire the default namespace is `jabber:component:accept`, inside `jabber:client` (XEP-0114 v1.6).

use std::borrow::Cow;
use std::collections::BTreeMap;

use minidom::Element;
use tandem_muc_core::name::Jid;
use tandem_muc_core::ns;
use tandem_muc_core::stanza::{Condition, Inbound, Kind, Outbound, Stanza, StanzaError, Type};

use super::StreamCondition;
use super::framer::{Excess, Frame, Raw};
use super::mark::Mark;

/// The default namespace of a component's stream.
pub(crate) const COMPONENT: &str = "jabber:component:accept";

/// What a frame means to us.
#[derive(Debug)]
pub enum Heard {
    /// A stanza for the service.
    Stanza(Box<Inbound>),
    /// One of our own marks came back.
    Mark(Mark),
    /// A stanza nobody should see; this answers it.
    Refuse(Box<Outbound>),
    /// Nothing to act upon, and why.
    Ignored(&'static str),
    /// The server closes the stream in good order.
    End,
    /// The server closes the stream and says why.
    Error(StreamCondition),
}

/// Reads one frame on the stream of `domain` (prepared).
pub fn hear(frame: Frame<'_>, domain: &str) -> Heard {
    let heard = match frame {
        Frame::End => Ok(Heard::End),
        Frame::Stanza(raw) if is_stream_error(&raw) => Ok(Heard::Error(condition_of(&raw))),
        Frame::Stanza(raw) => stanza(&raw, domain),
        Frame::Skipped(raw, excess) => skipped(&raw, excess, domain),
    };
    heard.unwrap_or_else(Heard::Ignored)
}

fn stanza(raw: &Raw<'_>, domain: &str) -> Result<Heard, &'static str> {
    let envelope = Envelope::read(raw)?;
    let inbound = match envelope.address(domain)? {
        Ok(inbound) => inbound,
        Err(refusal) => return Ok(refusal),
    };
    if let Some(mark) = Mark::of(&inbound, domain) {
        return Ok(Heard::Mark(mark));
    }
    Ok(Heard::Stanza(Box::new(with_payload(inbound, &envelope.prefixes, raw))))
}

/// A stanza over a limit is refused, unless it says that somebody is gone: that is heard without its content.
fn skipped(raw: &Raw<'_>, excess: Excess, domain: &str) -> Result<Heard, &'static str> {
    let envelope = Envelope::read(raw)?;
    let inbound = match envelope.address(domain)? {
        Ok(inbound) => inbound,
        Err(refusal) => return Ok(refusal),
    };
    match inbound.stanza.type_ {
        Type::Error | Type::Unavailable => Ok(Heard::Stanza(Box::new(inbound))),
        _ => refuse(&inbound, Condition::PolicyViolation, &excess.to_string()),
    }
}

fn refuse(inbound: &Inbound, condition: Condition, text: &str) -> Result<Heard, &'static str> {
    let text = format!("Not accepted: {text}.");
    let answer = inbound.error(&StanzaError::new(condition, text));
    answer.map(|answer| Heard::Refuse(Box::new(answer))).ok_or("an answer that cannot be accepted")
}

/// The root's attributes, decoded.
struct Envelope<'a> {
    kind: Kind,
    type_: Option<Cow<'a, str>>,
    from: Option<Cow<'a, str>>,
    to: Option<Cow<'a, str>>,
    id: Option<Cow<'a, str>>,
    lang: Option<Cow<'a, str>>,
    /// What prefixes mean to the children; `None` is the default namespace.
    prefixes: BTreeMap<Option<String>, String>,
}

impl<'a> Envelope<'a> {
    fn read(raw: &Raw<'a>) -> Result<Self, &'static str> {
        let kind = match raw.name() {
            b"message" => Kind::Message,
            b"presence" => Kind::Presence,
            b"iq" => Kind::Iq,
            _ => return Err("no stanza"),
        };
        let prefixes = BTreeMap::from([(None, ns::CLIENT.to_owned())]);
        let mut envelope = Self { kind, type_: None, from: None, to: None, id: None, lang: None, prefixes };
        for (name, value) in raw.attributes() {
            envelope.note(name, value)?;
        }
        Ok(envelope)
    }

    fn note(&mut self, name: &'a [u8], value: &'a [u8]) -> Result<(), &'static str> {
        let place = match name {
            b"type" => &mut self.type_,
            b"from" => &mut self.from,
            b"to" => &mut self.to,
            b"id" => &mut self.id,
            b"xml:lang" => &mut self.lang,
            b"xmlns" if [COMPONENT, ns::CLIENT].iter().any(|ns| ns.as_bytes() == value) => return Ok(()),
            b"xmlns" => return Err("no stanza"),
            _ => {
                if let Some(prefix) = name.strip_prefix(b"xmlns:") {
                    self.note_prefix(prefix, value)?;
                }
                return Ok(());
            }
        };
        *place = Some(decode(value)?);
        Ok(())
    }

    fn note_prefix(&mut self, prefix: &[u8], value: &[u8]) -> Result<(), &'static str> {
        let prefix = decode(prefix)?.into_owned();
        let ns = match decode(value)? {
            ns if ns == COMPONENT => ns::CLIENT.to_owned(),
            ns => ns.into_owned(),
        };
        self.prefixes.insert(Some(prefix), ns);
        Ok(())
    }

    /// The stanza without payload, or the refusal where only the addressee is no JID.
    fn address(&self, domain: &str) -> Result<Result<Inbound, Heard>, &'static str> {
        let from = self.from.as_deref().ok_or("a stanza from nobody")?;
        let from = Jid::parse(from).map_err(|_| "a stanza whose sender is no JID")?;
        let to = self.to.as_deref().ok_or("a stanza to nobody")?;
        let stanza = Stanza {
            kind: self.kind,
            type_: Type::parse(self.type_.as_deref()),
            from,
            id: self.id.as_deref().map(str::to_owned),
            lang: self.lang.as_deref().map(str::to_owned),
            payload: Vec::new(),
        };
        let (to, malformed) = match Jid::parse(to) {
            Ok(to) => (to, None),
            Err(why) => (nearest(to, domain)?, Some(why)),
        };
        if to.domain() != domain {
            return Err("a stanza for another domain");
        }
        let inbound = Inbound { stanza, to };
        match malformed {
            None => Ok(Ok(inbound)),
            Some(why) => refuse(&inbound, Condition::JidMalformed, &format!("the address is no JID, {why}")).map(Err),
        }
    }
}

/// Who answers for an address that cannot be prepared: the room where only the resource is bad, else the service.
fn nearest(to: &str, domain: &str) -> Result<Jid, &'static str> {
    let bare = to.split('/').next().unwrap_or_default();
    Jid::parse(bare).or_else(|_| Jid::parse(domain)).map_err(|_| "a stanza to no JID")
}

fn with_payload(mut inbound: Inbound, prefixes: &BTreeMap<Option<String>, String>, raw: &Raw<'_>) -> Inbound {
    let children = raw.children();
    inbound.stanza.payload.reserve_exact(children.len());
    inbound.stanza.payload.extend(children.filter_map(|child| parse(child, prefixes)));
    inbound
}

fn parse(child: &[u8], prefixes: &BTreeMap<Option<String>, String>) -> Option<Element> {
    Element::from_reader_with_prefixes(child, prefixes.clone()).ok()
}

/// A stream error is the only top-level element with this local name, whatever its prefix.
pub(crate) fn is_stream_error(raw: &Raw<'_>) -> bool {
    raw.name().ends_with(b":error")
}

/// Condition and text of a stream error (RFC 6120 §4.9).
pub(crate) fn condition_of(raw: &Raw<'_>) -> StreamCondition {
    let prefixes = BTreeMap::from([(None, COMPONENT.to_owned())]);
    let mut found = StreamCondition { name: "undefined-condition".to_owned(), text: None };
    let mut is_named = false;
    for child in raw.children().filter_map(|child| parse(child, &prefixes)) {
        if child.name() == "text" {
            found.text = Some(child.text());
        } else if !is_named {
            child.name().clone_into(&mut found.name);
            is_named = true;
        }
    }
    found
}

/// An attribute's value as text: references resolved, white space made blanks (XML 1.0 §3.3.3).
pub(crate) fn decode(value: &[u8]) -> Result<Cow<'_, str>, &'static str> {
    const BROKEN: &str = "a stanza with a broken attribute";
    let text = std::str::from_utf8(value).map_err(|_| BROKEN)?;
    if !text.bytes().any(|byte| byte == b'&' || byte < b' ') && !text.contains(['\u{fffe}', '\u{ffff}']) {
        return Ok(Cow::Borrowed(text));
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let (c, length) = match c {
            '&' => reference(rest).ok_or(BROKEN)?,
            '\t' | '\n' | '\r' => (' ', 1),
            c if is_xml(c) => (c, c.len_utf8()),
            _ => return Err(BROKEN),
        };
        out.push(c);
        rest = &rest[length..];
    }
    Ok(Cow::Owned(out))
}

/// The character a reference at the start of `text` stands for, and the reference's length.
fn reference(text: &str) -> Option<(char, usize)> {
    let end = text.bytes().take(12).position(|byte| byte == b';')?;
    let name = &text[1..end];
    let c = match name {
        "lt" => '<',
        "gt" => '>',
        "amp" => '&',
        "apos" => '\'',
        "quot" => '"',
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix('x') {
                Some(digits) => u32::from_str_radix(digits, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code).filter(|&c| is_xml(c))?
        }
    };
    Some((c, end + 1))
}

/// Whether XML 1.0 can carry `c` (§2.2).
fn is_xml(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..)
}

#[cfg(test)]
mod tests;
