//! Making a hat, changing it, and destroying it (XEP-0317 v0.3 §3.2, §3.3).

use super::super::refusal::Refusal;
use super::super::{Room, Turn};
use super::{HUE, TITLE, URI};
use crate::protocol::command::{Done, Values};
use crate::record::{Hat, HatChange, Record};
use crate::stanza::Inbound;

/// The longest title, in characters: it stands beside a nick.
const TITLE_CHARS_MAX: usize = 64;
/// The longest URI, in bytes.
const URI_BYTES_MAX: usize = 512;

/// Makes a hat, or gives the one of that URI another title or hue.
pub(super) fn make(room: &mut Room, ask: &Inbound, values: &Values, turn: &mut Turn<'_>) -> Result<Done, Refusal> {
    let hat = read(values, ask.stanza.lang.clone())?;
    let max = room.rules.identity.hats_max;
    let known = room.hats.named(&hat.uri);
    if known.is_none() && room.hats.count() >= max as usize {
        return Err(Refusal::ListFull(max));
    }
    if known == Some(&hat) {
        return Ok(Done::default());
    }
    let wearers = room.hats.wearers_of(&hat.uri);
    room.commit(Record::Hat(HatChange::Made(hat)), turn);
    for who in &wearers {
        room.tell_hats(who, turn);
    }
    Ok(Done::default())
}

/// Destroys a hat: nobody wears it any more.
pub(super) fn destroy(room: &mut Room, values: &Values, turn: &mut Turn<'_>) -> Done {
    let uri = values.get(URI).cloned().unwrap_or_default();
    let wearers = room.hats.wearers_of(&uri);
    room.commit(Record::Hat(HatChange::Destroyed { uri }), turn);
    for who in &wearers {
        room.tell_hats(who, turn);
    }
    Done::default()
}

fn read(values: &Values, lang: Option<String>) -> Result<Hat, Refusal> {
    let bad = |what: &str| Refusal::BadField(what.to_owned());
    let text = |var| values.get(var).cloned().unwrap_or_default();
    let (title, uri) = (text(TITLE), text(URI));
    if title.chars().count() > TITLE_CHARS_MAX || title.chars().any(char::is_control) {
        return Err(bad("A hat's title has 64 characters at most, on one line."));
    }
    if uri.len() > URI_BYTES_MAX || !is_uri(&uri) {
        return Err(bad("A hat's URI has 512 bytes at most and begins with a scheme, as urn:example:hats:host does."));
    }
    let hue = values.get(HUE).cloned();
    let is_angle = |hue: &String| hue.len() <= 16 && hue.parse::<f64>().is_ok_and(|hue| (0.0..=360.0).contains(&hue));
    if hue.as_ref().is_some_and(|hue| !is_angle(hue)) {
        return Err(bad("A hat's hue is an angle from 0 to 360."));
    }
    let lang = lang.filter(|lang| lang.len() <= 35 && lang.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'));
    Ok(Hat { uri, title, hue, lang })
}

/// A scheme, a colon and something after it, without blanks (RFC 3986 §3).
fn is_uri(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
        && !rest.is_empty()
        && !text.chars().any(|c| c.is_whitespace() || c.is_control())
}
