//! Rendering: a stanza becomes bytes once, split where the address goes, so that a fan-out only splices.
//!
//! Every byte is one that XML can carry: characters it cannot (a control character out of a database, say) are
//! replaced by U+FFFD, for one of them would cost the stream.

use std::fmt::Write;

use minidom::rxml::Namespace;
use minidom::{Element, Node};

use super::Stanza;
use crate::name::Jid;
use crate::ns;

/// A stanza as text in two halves: the value of `to` goes between them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rendered {
    /// Up to and with `to='`.
    pub head: String,
    /// From the quote that ends `to`.
    pub tail: String,
}

impl Rendered {
    /// Appends the stanza addressed to `to`.
    pub fn write_to(&self, to: &Jid, out: &mut Vec<u8>) {
        out.extend_from_slice(self.head.as_bytes());
        write_address(to, out);
        out.extend_from_slice(self.tail.as_bytes());
    }

    /// What stands between two addresses when the stanza goes to one after the other: one copy instead of two.
    pub fn seam(&self) -> String {
        let mut seam = String::with_capacity(self.tail.len() + self.head.len());
        seam.push_str(&self.tail);
        seam.push_str(&self.head);
        seam
    }
}

/// Appends `to` as it stands between quotes.
pub fn write_address(to: &Jid, out: &mut Vec<u8>) {
    if to.is_attr_plain() {
        out.extend_from_slice(to.as_str().as_bytes());
    } else {
        let mut escaped = String::with_capacity(to.as_str().len() + 16);
        escape_attr(to.as_str(), &mut escaped);
        out.extend_from_slice(escaped.as_bytes());
    }
}

/// Renders `stanza` without a default namespace of its own: the stream, or whoever stores it, supplies one.
pub fn render(stanza: &Stanza) -> Rendered {
    let mut head = open(stanza);
    head.push_str(" to='");
    let mut tail = String::with_capacity(256);
    tail.push('\'');
    close(stanza, &mut tail);
    Rendered { head, tail }
}

impl Stanza {
    /// The stanza as text without an address, as the archive keeps it.
    pub fn to_xml(&self) -> String {
        let mut out = open(self);
        close(self, &mut out);
        out
    }
}

fn open(stanza: &Stanza) -> String {
    let mut out = String::with_capacity(192);
    out.push('<');
    out.push_str(stanza.kind.name());
    write_attr("from", stanza.from.as_str(), &mut out);
    if let Some(id) = &stanza.id {
        write_attr("id", id, &mut out);
    }
    if let Some(type_) = stanza.type_.as_str() {
        write_attr("type", type_, &mut out);
    }
    if let Some(lang) = &stanza.lang {
        write_attr("xml:lang", lang, &mut out);
    }
    out
}

fn close(stanza: &Stanza, out: &mut String) {
    if stanza.payload.is_empty() {
        out.push_str("/>");
        return;
    }
    out.push('>');
    for child in &stanza.payload {
        write_element(child, ns::CLIENT, out);
    }
    out.push_str("</");
    out.push_str(stanza.kind.name());
    out.push('>');
}

/// Appends `element`, declaring its namespace where it differs from `around`.
pub fn write_element(element: &Element, around: &str, out: &mut String) {
    let own_ns = element.ns();
    out.push('<');
    out.push_str(element.name());
    if own_ns != around {
        write_attr("xmlns", &own_ns, out);
    }
    let mut foreign = 0;
    for ((attr_ns, name), value) in element.attrs() {
        if *attr_ns == Namespace::NONE {
            write_attr(name, value, out);
        } else if attr_ns.as_str() == ns::XML {
            write_attr(&format!("xml:{name}"), value, out);
        } else {
            foreign += 1;
            write_attr(&format!("xmlns:ns{foreign}"), attr_ns.as_str(), out);
            write_attr(&format!("ns{foreign}:{name}"), value, out);
        }
    }
    let mut nodes = element.nodes().peekable();
    if nodes.peek().is_none() {
        out.push_str("/>");
        return;
    }
    out.push('>');
    for node in nodes {
        match node {
            Node::Element(child) => write_element(child, &own_ns, out),
            Node::Text(text) => escape_text(text, out),
        }
    }
    let _ = write!(out, "</{}>", element.name());
}

fn write_attr(name: &str, value: &str, out: &mut String) {
    out.push(' ');
    out.push_str(name);
    out.push_str("='");
    escape_attr(value, out);
    out.push('\'');
}

/// Appends `value` so that it can stand between single quotes.
pub fn escape_attr(value: &str, out: &mut String) {
    escape(value, out, |c| match c {
        '\'' => Some("&apos;"),
        '\t' => Some("&#9;"),
        '\n' => Some("&#10;"),
        '\r' => Some("&#13;"),
        other => escaped(other),
    });
}

fn escape_text(text: &str, out: &mut String) {
    escape(text, out, |c| if c == '\r' { Some("&#13;") } else { escaped(c) });
}

fn escaped(c: char) -> Option<&'static str> {
    match c {
        '&' => Some("&amp;"),
        '<' => Some("&lt;"),
        '>' => Some("&gt;"),
        '\t' | '\n' => None,
        '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => Some("\u{fffd}"),
        _ => None,
    }
}

fn escape(text: &str, out: &mut String, replacement: impl Fn(char) -> Option<&'static str>) {
    let mut from = 0;
    for (at, c) in text.char_indices() {
        if let Some(instead) = replacement(c) {
            out.push_str(&text[from..at]);
            out.push_str(instead);
            from = at + c.len_utf8();
        }
    }
    out.push_str(&text[from..]);
}

#[cfg(test)]
mod tests {
    use super::super::element::{Build, el, parse};
    use super::super::{Kind, Type};
    use super::*;

    fn said(body: &str) -> Stanza {
        let from = Jid::parse("hall@muc/Ol'ga").expect("a JID");
        Stanza::new(Kind::Message, Type::Groupchat, from)
            .with_id(Some("m<1>".into()))
            .with(el("body", ns::CLIENT).with_text(body))
    }

    #[test]
    fn a_stanza_is_split_where_the_address_goes() {
        let mut out = Vec::new();
        render(&said("1 < 2 & 3")).write_to(&Jid::parse("a@b/'").expect("a JID"), &mut out);
        assert_eq!(
            String::from_utf8(out).expect("text"),
            "<message from='hall@muc/Ol&apos;ga' id='m&lt;1&gt;' type='groupchat' to='a@b/&apos;'><body>1 &lt; 2 &amp; 3</body></message>"
        );
    }

    #[test]
    fn what_xml_cannot_carry_is_replaced() {
        assert!(said("a\u{1}b").to_xml().contains("<body>a\u{fffd}b</body>"));
    }

    #[test]
    fn foreign_children_keep_namespaces_attributes_and_order() {
        let xml = "<x xmlns='urn:x' a='1' xml:lang='de'>t<y/>u<z xmlns='urn:z' xmlns:p='urn:p' p:b='2'/></x>";
        let element = parse(xml).expect("an element");
        let mut out = String::new();
        write_element(&element, ns::CLIENT, &mut out);
        assert_eq!(parse(&out), Some(element));
    }
}
