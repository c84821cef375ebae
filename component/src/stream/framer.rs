//! Finds stanza boundaries in the bytes of an XMPP stream whose header was already read.
//!
//! The framer counts depth and remembers where the root's attributes and direct children lie; it parses nothing else,
//! so a strange payload can spoil only itself. A stanza over a limit is skipped in constant memory and reported with its
//! root attributes, so that its sender can be answered. Only what XMPP forbids altogether (comments, processing
//! instructions, document types; RFC 6120 §11.1) ends the stream.

mod limits;
mod raw;

use std::ops::Range;

use bytes::{Buf, BytesMut};
use memchr::{memchr, memchr3, memmem};
use thiserror::Error;

pub use limits::{Excess, Limits};
pub use raw::Raw;
use raw::{Attribute, dissect};

/// What no XMPP stream may contain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Malformed {
    /// `<!--`
    #[error("the server sent a comment")]
    Comment,
    /// `<?`
    #[error("the server sent a processing instruction")]
    Instruction,
    /// `<!` followed by anything else
    #[error("the server sent a document type or a declaration")]
    Declaration,
}

/// One thing found on the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame<'a> {
    /// A whole top-level element: a stanza, `<handshake/>` or `<stream:error/>`.
    Stanza(Raw<'a>),
    /// A top-level element over a limit: name and attributes are there, content is not.
    Skipped(Raw<'a>, Excess),
    /// `</stream:stream>`
    End,
}

/// Where in the grammar the next byte to look at lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Content,
    Cdata,
    Tag(Tag),
    Quoted { tag: Tag, from: usize, quote: u8 },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Tag {
    at: usize,
    is_closing: bool,
}

/// Cuts bytes into [`Frame`]s: fill [`Framer::space`], then call [`Framer::frame`] until it gives nothing more.
///
/// Holds at most one stanza of the allowed length and one read beyond it. The result does not depend on how the bytes
/// were divided into reads.
#[derive(Debug)]
pub struct Framer {
    limits: Limits,
    buffer: BytesMut,
    /// Bytes at the front that belong to the frame handed out last.
    spent: usize,
    /// Everything before this position was looked at.
    seen: usize,
    place: Place,
    depth: u32,
    elements: u32,
    /// Attributes of the tag being read.
    quotes: u32,
    name: Range<usize>,
    attributes: Vec<Attribute>,
    children: Vec<Range<usize>>,
    child_at: usize,
    skipping: Option<Excess>,
    /// Where the root's start tag ends, once it was taken apart.
    head_end: Option<usize>,
    /// The root's start tag, when its stanza is skipped and left the buffer.
    head: Option<Vec<u8>>,
}

/// One read asks for this much room: what the writers of both servers send at most in one go.
const READ_BYTES: usize = 64 * 1024;

/// The opening of a CDATA section, all of which has to be there before it can be told from a comment.
const CDATA: &[u8] = b"<![CDATA[";

impl Framer {
    /// Starts behind a stream header with the bytes that were read beyond it.
    pub fn new(limits: Limits, leftover: &[u8]) -> Self {
        Self {
            limits,
            buffer: BytesMut::from(leftover),
            spent: 0,
            seen: 0,
            place: Place::Content,
            depth: 0,
            elements: 0,
            quotes: 0,
            name: 0..0,
            attributes: Vec::new(),
            children: Vec::new(),
            child_at: 0,
            skipping: None,
            head_end: None,
            head: None,
        }
    }

    /// Where the next read goes.
    pub fn space(&mut self) -> &mut BytesMut {
        self.forget_spent();
        self.buffer.reserve(READ_BYTES);
        &mut self.buffer
    }

    /// The next frame of what was read, or `None` when more bytes are needed.
    ///
    /// # Errors
    /// What XMPP forbids; nothing sensible can be read after it.
    pub fn frame(&mut self) -> Result<Option<Frame<'_>>, Malformed> {
        self.forget_spent();
        loop {
            let step = match self.place {
                Place::Content => self.content()?,
                Place::Cdata => self.cdata(),
                Place::Tag(tag) => self.tag(tag),
                Place::Quoted { tag, from, quote } => self.quoted(tag, from, quote),
            };
            match step {
                Step::On => {}
                Step::Starved => {
                    self.shed();
                    return Ok(None);
                }
                Step::Whole { end } => return Ok(Some(self.hand_out(end))),
                Step::End => return Ok(Some(Frame::End)),
            }
        }
    }

    /// Looks for the next tag in text.
    fn content(&mut self) -> Result<Step, Malformed> {
        let Some(ahead) = memchr(b'<', &self.buffer[self.seen..]) else {
            self.seen = self.buffer.len();
            return Ok(Step::Starved);
        };
        self.seen += ahead;
        if self.depth == 0 {
            self.buffer.advance(self.seen);
            self.seen = 0;
        }
        let rest = &self.buffer[self.seen..];
        match rest.get(1) {
            None => Ok(Step::Starved),
            Some(b'?') => Err(Malformed::Instruction),
            Some(b'!') => self.section(),
            Some(&second) => {
                self.place = Place::Tag(Tag { at: self.seen, is_closing: second == b'/' });
                self.quotes = 0;
                self.seen += 1;
                Ok(Step::On)
            }
        }
    }

    fn section(&mut self) -> Result<Step, Malformed> {
        let rest = &self.buffer[self.seen..];
        if rest.starts_with(CDATA) {
            self.place = Place::Cdata;
            self.seen += CDATA.len();
            Ok(Step::On)
        } else if CDATA.starts_with(rest) {
            Ok(Step::Starved)
        } else if rest.starts_with(b"<!-") {
            Err(Malformed::Comment)
        } else {
            Err(Malformed::Declaration)
        }
    }

    fn cdata(&mut self) -> Step {
        let rest = &self.buffer[self.seen..];
        if let Some(ahead) = memmem::find(rest, b"]]>") {
            self.seen += ahead + 3;
            self.place = Place::Content;
            return Step::On;
        }
        self.seen += rest.len().saturating_sub(2);
        Step::Starved
    }

    /// Looks for the end of a tag or the next attribute value in it.
    fn tag(&mut self, tag: Tag) -> Step {
        let Some(ahead) = memchr3(b'>', b'\'', b'"', &self.buffer[self.seen..]) else {
            self.seen = self.buffer.len();
            return Step::Starved;
        };
        let here = self.seen + ahead;
        self.seen = here + 1;
        match self.buffer[here] {
            b'>' => {
                self.place = Place::Content;
                self.tag_ended(tag)
            }
            quote => {
                self.place = Place::Quoted { tag, from: self.seen, quote };
                Step::On
            }
        }
    }

    fn quoted(&mut self, tag: Tag, from: usize, quote: u8) -> Step {
        let Some(ahead) = memchr(quote, &self.buffer[self.seen..]) else {
            self.seen = self.buffer.len();
            return Step::Starved;
        };
        let end = self.seen + ahead;
        self.seen = end + 1;
        self.place = Place::Tag(tag);
        self.quotes = self.quotes.saturating_add(1);
        if end.saturating_sub(from) > self.limits.attribute_bytes {
            self.skip(Excess::AttributeBytes);
        }
        if self.quotes > self.limits.attributes {
            self.skip(Excess::Attributes);
        }
        Step::On
    }

    /// Takes note of the tag that was just seen to its end.
    fn tag_ended(&mut self, tag: Tag) -> Step {
        let end = self.seen;
        if tag.is_closing {
            return self.closed(end);
        }
        let is_empty = self.buffer[end - 2] == b'/';
        match self.depth {
            0 => self.keep_head(end),
            1 => self.child_at = tag.at,
            _ => {}
        }
        self.depth = self.depth.saturating_add(1);
        self.elements = self.elements.saturating_add(1);
        if self.depth > self.limits.depth {
            self.skip(Excess::Depth);
        }
        if self.elements > self.limits.elements {
            self.skip(Excess::Elements);
        }
        if is_empty { self.closed(end) } else { Step::On }
    }

    fn closed(&mut self, end: usize) -> Step {
        match self.depth {
            0 => return Step::End,
            1 => {
                self.depth = 0;
                if end > self.limits.stanza_bytes {
                    self.skip(Excess::Bytes);
                }
                return Step::Whole { end };
            }
            2 if self.skipping.is_none() => self.children.push(self.child_at..end),
            _ => {}
        }
        self.depth -= 1;
        Step::On
    }

    /// Takes the root's start tag apart, or as much of it as may be kept.
    fn keep_head(&mut self, end: usize) {
        if self.head_end.is_none() {
            let end = end.min(self.limits.stanza_bytes);
            dissect(&self.buffer[..end], &mut self.name, &mut self.attributes);
            self.head_end = Some(end);
        }
    }

    /// The first excess counts; beyond the allowed length every other one is an excess of length, so that it does not
    /// depend on the division into reads which of the two is noticed first.
    fn skip(&mut self, excess: Excess) {
        let excess = if self.seen > self.limits.stanza_bytes { Excess::Bytes } else { excess };
        self.skipping.get_or_insert(excess);
    }

    /// Lets go of bytes nobody will ask for: text between stanzas and what is skipped.
    fn shed(&mut self) {
        let is_inside = self.depth > 0 || !matches!(self.place, Place::Content | Place::Cdata);
        if !is_inside {
            self.buffer.advance(self.seen);
            self.seen = 0;
            return;
        }
        if self.seen > self.limits.stanza_bytes && self.head.is_none() {
            self.skip(Excess::Bytes);
            self.keep_head(self.seen);
        }
        let (Some(_), Some(head_end)) = (self.skipping, self.head_end) else {
            return;
        };
        if self.head.is_none() {
            self.head = Some(self.buffer[..head_end].to_vec());
        }
        // One byte stays: whether it is a slash tells an empty element.
        self.buffer.advance(self.seen.saturating_sub(1));
        self.seen = self.seen.min(1);
    }

    fn hand_out(&mut self, end: usize) -> Frame<'_> {
        self.spent = end;
        let raw = |bytes, children| Raw { bytes, name: &self.name, attributes: &self.attributes, children };
        match (self.skipping, &self.head, self.head_end) {
            (None, _, _) => Frame::Stanza(raw(&self.buffer[..end], &self.children)),
            (Some(excess), Some(head), _) => Frame::Skipped(raw(head, &[]), excess),
            (Some(excess), None, head_end) => {
                let head = &self.buffer[..head_end.unwrap_or(end)];
                Frame::Skipped(raw(head, &[]), excess)
            }
        }
    }

    fn forget_spent(&mut self) {
        if self.spent == 0 {
            return;
        }
        self.buffer.advance(self.spent);
        self.spent = 0;
        self.seen = 0;
        self.elements = 0;
        self.children.clear();
        self.skipping = None;
        self.head_end = None;
        self.head = None;
    }
}

/// What looking at some bytes led to.
enum Step {
    On,
    Starved,
    Whole { end: usize },
    End,
}

#[cfg(test)]
mod tests;
