//! nodeprep, nameprep and resourceprep (RFC 6122 appendices), over the Unicode tables of today and
//! without the check for unassigned code points: an emoji is a fine nick. ASCII takes a short cut.

use std::borrow::Cow;

use stringprep::tables;
use unicode_normalization::UnicodeNormalization;

/// The longest a part of a JID may be, in bytes (RFC 6122 §2).
pub const PART_BYTES_MAX: usize = 1023;

/// Why a part of a JID cannot be prepared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PrepError {
    /// Nothing is left of it.
    Empty,
    /// It is over [`PART_BYTES_MAX`].
    TooLong,
    /// It has a character that its profile forbids.
    Prohibited,
}

/// Prepares a local part: folded to lower case, none of `"&'/:<>@` and no space.
pub fn node(text: &str) -> Result<Cow<'_, str>, PrepError> {
    if is_plain_ascii(text, |b| b.is_ascii_graphic() && !b.is_ascii_uppercase() && !is_node_forbidden(char::from(b))) {
        return bounded(Cow::Borrowed(text));
    }
    let folded = fold(text);
    if folded.chars().any(|c| c == ' ' || is_node_forbidden(c) || is_prohibited(c)) {
        return Err(PrepError::Prohibited);
    }
    bounded(Cow::Owned(folded))
}

/// Prepares a domain: folded to lower case, a trailing dot cut off.
pub fn domain(text: &str) -> Result<Cow<'_, str>, PrepError> {
    let text = text.strip_suffix('.').unwrap_or(text);
    let is_host =
        |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'_' | b'[' | b']' | b':');
    if is_plain_ascii(text, is_host) {
        return bounded(Cow::Borrowed(text));
    }
    let folded = fold(text);
    if folded.chars().any(|c| c == ' ' || is_node_forbidden(c) && c != ':' || is_prohibited(c)) {
        return Err(PrepError::Prohibited);
    }
    bounded(Cow::Owned(folded))
}

/// Prepares a resource: normalised, case kept, no control characters.
pub fn resource(text: &str) -> Result<Cow<'_, str>, PrepError> {
    if is_plain_ascii(text, |b| (b' '..=b'~').contains(&b)) {
        return bounded(Cow::Borrowed(text));
    }
    let normal: String = text
        .chars()
        .filter(|&c| !tables::commonly_mapped_to_nothing(c))
        .map(|c| if tables::non_ascii_space_character(c) { ' ' } else { c })
        .nfkc()
        .collect();
    if normal.chars().any(is_prohibited) {
        return Err(PrepError::Prohibited);
    }
    bounded(Cow::Owned(normal))
}

/// Folds case after normalisation: two nicks that fold alike look alike.
pub fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let mapped: String =
        text.chars().filter(|&c| !tables::commonly_mapped_to_nothing(c)).flat_map(char::to_lowercase).nfkc().collect();
    mapped.chars().flat_map(char::to_lowercase).nfkc().collect()
}

fn is_plain_ascii(text: &str, is_allowed: impl Fn(u8) -> bool) -> bool {
    text.bytes().all(is_allowed)
}

fn is_node_forbidden(c: char) -> bool {
    matches!(c, '"' | '&' | '\'' | '/' | ':' | '<' | '>' | '@')
}

fn is_prohibited(c: char) -> bool {
    tables::ascii_control_character(c)
        || tables::non_ascii_control_character(c)
        || tables::private_use(c)
        || tables::non_character_code_point(c)
        || tables::inappropriate_for_plain_text(c)
        || tables::inappropriate_for_canonical_representation(c)
        || tables::change_display_properties_or_deprecated(c)
        || tables::tagging_character(c)
}

fn bounded(text: Cow<'_, str>) -> Result<Cow<'_, str>, PrepError> {
    match text.len() {
        0 => Err(PrepError::Empty),
        n if n > PART_BYTES_MAX => Err(PrepError::TooLong),
        _ => Ok(text),
    }
}
