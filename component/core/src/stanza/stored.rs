//! Stanzas out of the store: what was written as text is a stanza again, with its address where it had one.

use super::element::parse;
use super::{Inbound, Kind, Stanza, Type, escape_attr};
use crate::name::Jid;
use crate::ns;

impl Stanza {
    /// The stanza that [`Stanza::to_xml`] wrote; nothing of what is none.
    pub fn from_xml(xml: &str) -> Option<Stanza> {
        let element = parse(xml)?;
        let kind = match element.name() {
            "message" => Kind::Message,
            "presence" => Kind::Presence,
            "iq" => Kind::Iq,
            _ => return None,
        };
        let mut stanza = Stanza::new(kind, Type::parse(element.attr("type")), Jid::parse(element.attr("from")?).ok()?);
        stanza.id = element.attr("id").map(str::to_owned);
        stanza.lang = element.attr_ns(ns::XML, "lang").map(str::to_owned);
        stanza.payload = element.children().cloned().collect();
        Some(stanza)
    }
}

impl Inbound {
    /// The stanza with its address, as text.
    pub fn to_xml(&self) -> String {
        let (stanza, mut to) = (self.stanza.to_xml(), String::new());
        escape_attr(self.to.as_str(), &mut to);
        let name = self.stanza.kind.name();
        let rest = stanza.strip_prefix('<').and_then(|rest| rest.strip_prefix(name)).unwrap_or_default();
        format!("<{name} to='{to}'{rest}")
    }

    /// The stanza that [`Inbound::to_xml`] wrote; nothing of what is none.
    pub fn from_xml(xml: &str) -> Option<Inbound> {
        let to = Jid::parse(parse(xml)?.attr("to")?).ok()?;
        Some(Inbound { stanza: Stanza::from_xml(xml)?, to })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stanza_comes_back_from_text_as_it_was() {
        let text = "<presence to='hall@muc/O&apos;Neil' from='nils@example.org/&lt;1' id='a&amp;b' type='unavailable' xml:lang='de'><status>weg &lt;</status><x xmlns='urn:x'><y/></x></presence>";
        let inbound = Inbound::from_xml(text).expect("a stanza");
        assert_eq!(inbound.to_xml(), text);
        assert_eq!((inbound.to.resource(), inbound.stanza.payload.len()), (Some("O'Neil"), 2));
        assert!(Stanza::from_xml("<stream/>").is_none() && Inbound::from_xml("<iq from='a'/>").is_none());
    }
}
