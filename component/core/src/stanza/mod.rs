//! Stanzas (RFC 6120 §8): the envelope typed, the payload kept as it came.
//!
//! [`Stanza`] is what is said; [`Inbound`] adds to whom one was sent, [`Outbound`] to whom one goes:
//! rendered once, addressed many times.

pub mod element;
mod error;
mod render;
mod reply;
mod stored;

use std::sync::Arc;

use minidom::Element;

pub use error::{Condition, ErrorType, StanzaError};
pub use render::{Rendered, escape_attr, render, write_address, write_element};

use crate::name::Jid;

/// The three kinds of stanza.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Kind {
    /// `<message/>`
    Message,
    /// `<presence/>`
    Presence,
    /// `<iq/>`
    Iq,
}

impl Kind {
    /// The element's name.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Message => "message",
            Kind::Presence => "presence",
            Kind::Iq => "iq",
        }
    }
}

/// The `type` attribute, over all kinds; what a stranger makes up is kept as [`Type::Other`].
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Type {
    /// No attribute: available presence, normal message.
    #[default]
    None,
    /// `normal` message
    Normal,
    /// `chat` message
    Chat,
    /// `groupchat` message
    Groupchat,
    /// `headline` message
    Headline,
    /// `error`
    Error,
    /// `get` iq
    Get,
    /// `set` iq
    Set,
    /// `result` iq
    Result,
    /// `unavailable` presence
    Unavailable,
    /// `probe` presence
    Probe,
    /// Anything else, `subscribe` and its like too: nothing a room acts upon.
    Other(Box<str>),
}

impl Type {
    /// The type an attribute's value means.
    pub fn parse(value: Option<&str>) -> Type {
        match value {
            None => Type::None,
            Some("normal") => Type::Normal,
            Some("chat") => Type::Chat,
            Some("groupchat") => Type::Groupchat,
            Some("headline") => Type::Headline,
            Some("error") => Type::Error,
            Some("get") => Type::Get,
            Some("set") => Type::Set,
            Some("result") => Type::Result,
            Some("unavailable") => Type::Unavailable,
            Some("probe") => Type::Probe,
            Some(other) => Type::Other(other.into()),
        }
    }

    /// The attribute's value; `None` where the attribute is absent.
    pub fn as_str(&self) -> Option<&str> {
        Some(match self {
            Type::None => return None,
            Type::Normal => "normal",
            Type::Chat => "chat",
            Type::Groupchat => "groupchat",
            Type::Headline => "headline",
            Type::Error => "error",
            Type::Get => "get",
            Type::Set => "set",
            Type::Result => "result",
            Type::Unavailable => "unavailable",
            Type::Probe => "probe",
            Type::Other(other) => other,
        })
    }
}

/// What is said, whoever hears it: the sender, the envelope, the payload.
#[derive(Clone, Debug)]
pub struct Stanza {
    /// Message, presence or iq.
    pub kind: Kind,
    /// The `type` attribute.
    pub type_: Type,
    /// Who says it.
    pub from: Jid,
    /// The `id` attribute.
    pub id: Option<String>,
    /// The `xml:lang` attribute.
    pub lang: Option<String>,
    /// The children, default namespace `jabber:client`.
    pub payload: Vec<Element>,
}

/// A stanza that came in.
#[derive(Clone, Debug)]
pub struct Inbound {
    /// What was said.
    pub stanza: Stanza,
    /// To whom: inside our service domain.
    pub to: Jid,
}

/// A stanza that goes out: rendered once, addressed many times.
#[derive(Clone, Debug)]
pub struct Outbound {
    /// What is said.
    pub stanza: Stanza,
    /// Who hears it.
    pub to: Audience,
}

/// Who hears a stanza.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Audience {
    /// One JID.
    One(Jid),
    /// Several, in this order; shared, so that a fan-out costs no copy.
    Many(Arc<[Jid]>),
}

impl Audience {
    /// The addressees in order.
    pub fn as_slice(&self) -> &[Jid] {
        match self {
            Audience::One(jid) => std::slice::from_ref(jid),
            Audience::Many(jids) => jids,
        }
    }
}

impl Stanza {
    /// A stanza of `kind` and `type_` from `from`, empty as yet.
    pub fn new(kind: Kind, type_: Type, from: Jid) -> Stanza {
        Stanza { kind, type_, from, id: None, lang: None, payload: Vec::new() }
    }

    /// The same with `id`.
    #[must_use]
    pub fn with_id(mut self, id: Option<String>) -> Stanza {
        self.id = id;
        self
    }

    /// The same with one more child.
    #[must_use]
    pub fn with(mut self, child: Element) -> Stanza {
        self.payload.push(child);
        self
    }

    /// The first child of this name and namespace.
    pub fn child(&self, name: &str, ns: &str) -> Option<&Element> {
        self.payload.iter().find(|child| child.is(name, ns))
    }

    /// Whether it is an available presence.
    pub fn is_available(&self) -> bool {
        self.kind == Kind::Presence && self.type_ == Type::None
    }
}
