//! What comes from the server: as much of the envelope as numbering, marks and answers need, read from the raw bytes.

use std::fmt::Write;

use tandem_muc_core::stanza::{Condition, StanzaError};

use crate::stream::Mark;
use crate::stream::framer::{Excess, Frame, Raw};
use crate::stream::read::{condition_of, is_stream_error};
use crate::stream::{Cause, connect};

/// What a frame of the server's stream means to the relay.
pub(super) enum Heard<'a> {
    Stanza {
        bytes: &'a [u8],
        is_answerable: bool,
    },
    /// Too long to be passed on; this answers it.
    Refuse(Vec<u8>),
    /// Too long, but its envelope is all that counts.
    Emptied(Vec<u8>),
    Mark {
        mark: Mark,
        bytes: &'a [u8],
    },
    Ignored,
    End(Cause),
}

pub(super) fn hear<'a>(frame: Frame<'a>, domain: &str) -> Heard<'a> {
    match frame {
        Frame::End => Heard::End(Cause::Closed("it said goodbye".to_owned())),
        Frame::Stanza(raw) if is_stream_error(&raw) => Heard::End(connect::refused(&condition_of(&raw))),
        Frame::Stanza(raw) if !is_stanza(&raw) => Heard::Ignored,
        Frame::Stanza(raw) => match (mark(&raw, domain), type_of(&raw)) {
            (Some(mark), _) => Heard::Mark { mark, bytes: raw.bytes() },
            (None, type_) => Heard::Stanza { bytes: raw.bytes(), is_answerable: is_answerable(type_) },
        },
        Frame::Skipped(raw, excess) => skipped(&raw, excess, domain),
    }
}

/// What the relay numbers and the nodes count: these three, whatever is in them.
pub(super) fn is_stanza(raw: &Raw<'_>) -> bool {
    matches!(raw.name(), b"message" | b"presence" | b"iq")
}

fn value<'a>(raw: &Raw<'a>, name: &[u8]) -> Option<&'a [u8]> {
    raw.attributes().find_map(|(found, value)| (found == name).then_some(value))
}

fn type_of<'a>(raw: &Raw<'a>) -> Option<&'a [u8]> {
    value(raw, b"type")
}

/// Errors and results are never answered (RFC 6120 §8.3.1); who is gone does not want to know.
fn is_answerable(type_: Option<&[u8]>) -> bool {
    !matches!(type_, Some(b"error" | b"result" | b"unavailable"))
}

/// Marks come back as written by a node, or as an error with the addresses changed over; the server vouches for `from`.
fn mark(raw: &Raw<'_>, domain: &str) -> Option<Mark> {
    if raw.name() != b"message" {
        return None;
    }
    let [from, to] = [value(raw, b"from")?, value(raw, b"to")?];
    let is_place = |jid: &[u8]| jid.strip_suffix(b"/mark") == Some(domain.as_bytes());
    let is_mark = from == domain.as_bytes() && is_place(to) || is_place(from) && to == domain.as_bytes();
    let id = std::str::from_utf8(value(raw, b"id")?).ok().filter(|_| is_mark)?;
    id.parse().ok()
}

fn skipped<'a>(raw: &Raw<'_>, excess: Excess, domain: &str) -> Heard<'a> {
    if !is_stanza(raw) {
        return Heard::Ignored;
    }
    if is_answerable(type_of(raw)) {
        let why = StanzaError::new(Condition::PolicyViolation, format!("Not accepted: {excess}."));
        return answer(raw, &why, domain).map_or(Heard::Ignored, Heard::Refuse);
    }
    // Of an envelope that is itself too long there is nothing left to pass on.
    let Some(head) = raw.bytes().strip_suffix(b">") else { return Heard::Ignored };
    let mut emptied = head.strip_suffix(b"/").unwrap_or(head).to_vec();
    emptied.extend_from_slice(b"/>");
    Heard::Emptied(emptied)
}

/// The answer to a stanza that nobody takes: an error which lets a self-ping's client stay (XEP-0410 §3.2).
pub(super) fn bounce(stanza: &[u8], domain: &str) -> Option<Vec<u8>> {
    let why = StanzaError::new(
        Condition::RemoteServerTimeout,
        "The service is not there at the moment; please try again soon.",
    );
    let mut framer = crate::stream::framer::Framer::new(super::node_limits(stanza.len()), stanza);
    match framer.frame() {
        Ok(Some(Frame::Stanza(raw) | Frame::Skipped(raw, _))) => answer(&raw, &why, domain),
        Ok(Some(Frame::End) | None) | Err(_) => None,
    }
}

/// An error stanza with the addresses changed over. Values go back as they came: they are escaped already.
fn answer(raw: &Raw<'_>, why: &StanzaError, domain: &str) -> Option<Vec<u8>> {
    let text = |name: &[u8]| value(raw, name).and_then(|value| std::str::from_utf8(value).ok());
    let (from, to) = (text(b"from")?, text(b"to")?);
    let name = std::str::from_utf8(raw.name()).ok()?;
    let mut out = format!("<{name} type='error' from='{}' to='{}'", quoted(to), quoted(from));
    if let Some(id) = text(b"id") {
        let _ = write!(out, " id='{}'", quoted(id));
    }
    let condition = why.condition.as_str();
    let sentence = why.text.as_deref().unwrap_or_default();
    let _ = write!(
        out,
        "><error type='{}' by='{domain}'><{condition} xmlns='{STANZAS}'/><text xmlns='{STANZAS}'>{sentence}</text></error></{name}>",
        why.type_.as_str()
    );
    Some(out.into_bytes())
}

use tandem_muc_core::ns::STANZAS;

/// A value as it came, fit for single quotes.
fn quoted(value: &str) -> String {
    value.replace('\'', "&apos;").replace('>', "&gt;")
}
