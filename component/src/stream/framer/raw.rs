//! A top-level element as its bytes came, and what its start tag says: name and attributes, even of one that is cut off.

use std::ops::Range;

use memchr::memchr;

/// A top-level element as it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Raw<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) name: &'a Range<usize>,
    pub(super) attributes: &'a [Attribute],
    pub(super) children: &'a [Range<usize>],
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Attribute {
    name: Range<usize>,
    value: Range<usize>,
}

impl<'a> Raw<'a> {
    /// The element from `<` to `>`; of a skipped one only its start tag.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The name as written, with its prefix if there is one.
    pub fn name(&self) -> &'a [u8] {
        &self.bytes[self.name.clone()]
    }

    /// Names and values of the attributes as written: quotes taken off, entities not decoded.
    pub fn attributes(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        let bytes = self.bytes;
        self.attributes.iter().map(move |attribute| (&bytes[attribute.name.clone()], &bytes[attribute.value.clone()]))
    }

    /// The direct child elements, each from `<` to `>`.
    pub fn children(&self) -> impl ExactSizeIterator<Item = &'a [u8]> {
        let bytes = self.bytes;
        self.children.iter().map(move |span| &bytes[span.clone()])
    }
}

/// Finds name and attributes in a start tag that may be cut off anywhere.
pub(super) fn dissect(tag: &[u8], name: &mut Range<usize>, attributes: &mut Vec<Attribute>) {
    attributes.clear();
    let name_end = word_end(tag, 1);
    *name = 1.min(tag.len())..name_end;
    let mut at = name_end;
    while let Some((attribute, next)) = attribute(tag, at) {
        attributes.push(attribute);
        at = next;
    }
}

fn attribute(tag: &[u8], at: usize) -> Option<(Attribute, usize)> {
    let start = blank_end(tag, at);
    let name_end = word_end(tag, start);
    let equals = blank_end(tag, name_end);
    if tag.get(equals) != Some(&b'=') {
        return None;
    }
    let open = blank_end(tag, equals + 1);
    let quote = *tag.get(open).filter(|byte| matches!(byte, b'\'' | b'"'))?;
    let length = memchr(quote, &tag[open + 1..])?;
    let value = open + 1..open + 1 + length;
    let next = value.end + 1;
    Some((Attribute { name: start..name_end, value }, next))
}

fn word_end(tag: &[u8], from: usize) -> usize {
    end_of(tag, from, |byte| !matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b'=' | b'/' | b'>'))
}

fn blank_end(tag: &[u8], from: usize) -> usize {
    end_of(tag, from, |byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n'))
}

fn end_of(tag: &[u8], from: usize, is_within: impl Fn(u8) -> bool) -> usize {
    let from = from.min(tag.len());
    tag[from..].iter().position(|&byte| !is_within(byte)).map_or(tag.len(), |length| from + length)
}
