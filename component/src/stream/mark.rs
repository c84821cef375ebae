//! Marks: messages from the service to itself that come back through the server and prove, XEP-0114 having no
//! acknowledgement, that everything said before them was handed on.

use std::str::FromStr;

use tandem_muc_core::name::Jid;
use tandem_muc_core::stanza::{Audience, Inbound, Kind, Outbound, Stanza, Type};

/// The resource of our own domain that marks are sent to.
const RESOURCE: &str = "mark";

/// A place in the order of what was said: the reign, and the last fence sequence whose words came before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// The reign it was said in.
    pub epoch: u64,
    /// The highest fence sequence that was said in full.
    pub seq: i64,
}

impl Mark {
    /// The mark that `inbound` is, if it is one. The server vouches for `from`, so nobody else can send one; a mark
    /// that bounces proves as much as one that arrives.
    pub(super) fn of(inbound: &Inbound, domain: &str) -> Option<Self> {
        let is_ours = |jid: &Jid| jid.bare_str() == domain;
        let Inbound { stanza, to } = inbound;
        let is_mark = [&stanza.from, to].iter().any(|jid| jid.resource() == Some(RESOURCE));
        if stanza.kind == Kind::Message && is_mark && is_ours(&stanza.from) && is_ours(to) {
            stanza.id.as_deref()?.parse().ok()
        } else {
            None
        }
    }

    /// The same as a stanza like any other: coming back it is read as a mark, and changes nothing that a mark of the
    /// writer's own does not prove. Nothing where `domain` is no JID.
    pub fn word(self, domain: &str) -> Option<Outbound> {
        let (own, to) = (Jid::parse(domain).ok()?, Jid::parse(&format!("{domain}/{RESOURCE}")).ok()?);
        let Self { epoch, seq } = self;
        let stanza = Stanza::new(Kind::Message, Type::None, own).with_id(Some(format!("{epoch}:{seq}")));
        Some(Outbound { stanza, to: Audience::One(to) })
    }

    /// Appends the mark as it goes over the stream of `domain` (prepared, so free of anything to escape).
    pub(super) fn write_to(self, domain: &str, out: &mut Vec<u8>) {
        let Self { epoch, seq } = self;
        let text = format!("<message from='{domain}' to='{domain}/{RESOURCE}' id='{epoch}:{seq}'/>");
        out.extend_from_slice(text.as_bytes());
    }
}

impl FromStr for Mark {
    type Err = std::num::ParseIntError;

    fn from_str(id: &str) -> Result<Self, Self::Err> {
        let (epoch, seq) = id.split_once(':').unwrap_or((id, ""));
        Ok(Self { epoch: epoch.parse()?, seq: seq.parse()? })
    }
}
