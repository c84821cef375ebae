//! How large a stanza may be, and which limit one went over.

use thiserror::Error;

/// How large a stanza may be before it is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one stanza, from `<` to `>`. Prosody itself stops at 512 KiB.
    pub stanza_bytes: usize,
    /// Elements inside each other; the stanza itself is the first.
    pub depth: u32,
    /// Elements in one stanza, the stanza included.
    pub elements: u32,
    /// Bytes of one attribute value as written, entities not decoded.
    pub attribute_bytes: usize,
    /// Attributes of one element, namespace declarations included.
    pub attributes: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { stanza_bytes: 512 * 1024, depth: 64, elements: 16_384, attribute_bytes: 8 * 1024, attributes: 64 }
    }
}

/// Which limit a skipped stanza went over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Excess {
    /// [`Limits::stanza_bytes`]
    #[error("the stanza is too long")]
    Bytes,
    /// [`Limits::depth`]
    #[error("the stanza is nested too deeply")]
    Depth,
    /// [`Limits::elements`]
    #[error("the stanza has too many elements")]
    Elements,
    /// [`Limits::attribute_bytes`]
    #[error("an attribute is too long")]
    AttributeBytes,
    /// [`Limits::attributes`]
    #[error("an element has too many attributes")]
    Attributes,
}
