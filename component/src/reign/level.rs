//! How safe a bare server is to be attached to: asked of the server itself, by its name (XEP-0092).
//!
//! Prosody keeps one stream for each component and can let a newcomer replace it (L1); a server that takes any number of
//! components (ejabberd), or says nothing of itself, is L0. A relay is known by its greeting.

use tandem_muc_core::name::Jid;
use tandem_muc_core::ns;
use tandem_muc_core::pair::Level;
use tandem_muc_core::stanza::element::el;
use tandem_muc_core::stanza::{Audience, Inbound, Kind, Outbound, Stanza, Type};

/// The id of our question; its answer is nobody else's.
const ID: &str = "tandem-muc-level";

/// The question, for the host `domain` is a subdomain of; nothing where it is none.
pub(super) fn question(domain: &str) -> Option<Outbound> {
    let (_, host) = domain.split_once('.')?;
    let stanza = Stanza::new(Kind::Iq, Type::Get, Jid::parse(domain).ok()?).with_id(Some(ID.to_owned()));
    Some(Outbound { stanza: stanza.with(el("query", ns::VERSION)), to: Audience::One(Jid::parse(host).ok()?) })
}

/// What the answer means; nothing if it is no answer to our question.
pub(super) fn read(inbound: &Inbound) -> Option<Level> {
    let stanza = &inbound.stanza;
    let is_answer = stanza.kind == Kind::Iq && stanza.id.as_deref() == Some(ID) && stanza.from.local().is_none();
    let is_ours =
        is_answer && inbound.to.domain().split_once('.').is_some_and(|(_, host)| host == stanza.from.domain());
    if !is_ours {
        return None;
    }
    let query = stanza.child("query", ns::VERSION)?;
    let name = query.get_child("name", ns::VERSION).map(minidom::Element::text).unwrap_or_default();
    Some(if name.eq_ignore_ascii_case("prosody") { Level::Replacing } else { Level::Bare })
}
