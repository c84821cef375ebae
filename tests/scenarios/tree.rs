//! Stanzas as scripts write them: read with the short names of namespaces and people, compared by structure,
//! printed in the same short form.
//!
//! `…` stands for whatever else there is: inside a tag for further attributes, between tags for further
//! children. `*` as an attribute's value or as a text stands for any that is not empty, `*name` for any the first
//! time and for the same one from then on.

use std::collections::BTreeMap;
use std::fmt::Write;

use minidom::rxml::Namespace;
use minidom::{Element, Node};
use tandem_muc_core::ns;

use crate::cast;

const SHORT: [(&str, &str); 37] = [
    ("#user", ns::MUC_USER),
    ("#admin", ns::MUC_ADMIN),
    ("#owner", ns::MUC_OWNER),
    ("#muc", ns::MUC),
    ("#data", ns::DATA),
    ("#info", ns::DISCO_INFO),
    ("#items", ns::DISCO_ITEMS),
    ("#rsm", ns::RSM),
    ("#ping", ns::PING),
    ("#version", ns::VERSION),
    ("#delay", ns::DELAY),
    ("#olddelay", ns::LEGACY_DELAY),
    ("#sid", ns::SID),
    ("#occupant", ns::OCCUPANT_ID),
    ("#conference", ns::CONFERENCE),
    ("#states", ns::CHATSTATES),
    ("#hints", ns::HINTS),
    ("#vcard", ns::VCARD),
    ("#vcardx", ns::VCARD_UPDATE),
    ("#hats", ns::HATS),
    ("#commands", ns::COMMANDS),
    ("#address", ns::ADDRESS),
    ("#client", ns::CLIENT),
    ("#stanzas", ns::STANZAS),
    ("#mam", ns::MAM),
    ("#register", ns::REGISTER),
    ("#retract", ns::RETRACT),
    ("#retract0", ns::RETRACT_0),
    ("#moderate", ns::MODERATE),
    ("#moderate0", ns::MODERATE_0),
    ("#fasten", ns::FASTEN),
    ("#forward", ns::FORWARD),
    ("#validate", ns::VALIDATE),
    ("#rai", ns::RAI),
    ("#mentions", ns::MENTIONS),
    ("#reference", ns::REFERENCE),
    ("#mav", ns::MAV),
];
/// Attributes whose values are addresses, so that short names count there.
const ADDRESSES: [&str; 4] = ["from", "to", "jid", "by"];
/// What `*name` stands for, once somebody heard it.
pub(crate) type Names = BTreeMap<String, String>;

/// How `…` inside a tag is carried through the XML reader.
const MORE: &str = "and-more";

/// An element, plain enough to compare.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Tree {
    pub(crate) name: String,
    pub(crate) ns: String,
    pub(crate) attrs: BTreeMap<String, String>,
    pub(crate) children: Vec<Branch>,
}

/// What an element holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Branch {
    Tree(Tree),
    Text(String),
    /// `…`: whatever there is.
    More,
}

/// Reads a stanza as scripts write it.
pub(crate) fn read(text: &str) -> Result<Tree, String> {
    let mut text = carry_more(text);
    for (short, full) in SHORT {
        text = text.replace(&format!("xmlns='{short}'"), &format!("xmlns='{full}'"));
    }
    let element = Element::from_reader_with_prefixes(text.as_bytes(), Some(ns::CLIENT.to_owned()))
        .map_err(|why| format!("not well-formed: {why}"))?;
    let mut tree = Tree::of(&element);
    tree.expand_addresses();
    for error in tree.subtrees().filter(|child| child.name == "error") {
        error.subtrees().filter(|child| child.ns == ns::CLIENT).for_each(|child| ns::STANZAS.clone_into(&mut child.ns));
    }
    Ok(tree)
}

/// Writes `…` inside tags as an attribute, which is what an XML reader lets through.
fn carry_more(text: &str) -> String {
    let (mut out, mut is_tag, mut quote) = (String::with_capacity(text.len()), false, None);
    for c in text.chars() {
        match (c, quote) {
            ('\'' | '"', None) if is_tag => quote = Some(c),
            (c, Some(open)) if c == open => quote = None,
            ('<', None) => is_tag = true,
            ('>', None) => is_tag = false,
            ('…', None) if is_tag => {
                let _ = write!(out, "{MORE}=''");
                continue;
            }
            _ => {}
        }
        out.push(c);
    }
    out
}

impl Tree {
    /// The same as a plain tree; blank text between elements is layout and left out.
    pub(crate) fn of(element: &Element) -> Tree {
        let attrs = element.attrs().iter().map(|((attr_ns, name), value)| {
            let name = if *attr_ns == Namespace::NONE {
                name.to_string()
            } else if attr_ns.as_str() == ns::XML {
                format!("xml:{name}")
            } else {
                format!("{{{}}}{name}", attr_ns.as_str())
            };
            (name, value.clone())
        });
        let has_elements = element.children().next().is_some();
        let children = element.nodes().filter_map(|node| match node {
            Node::Element(child) => Some(Branch::Tree(Tree::of(child))),
            Node::Text(text) if text.trim() == "…" => Some(Branch::More),
            Node::Text(text) if has_elements && text.trim().is_empty() => None,
            Node::Text(text) => Some(Branch::Text(text.clone())),
        });
        Tree { name: element.name().to_owned(), ns: element.ns(), attrs: attrs.collect(), children: children.collect() }
    }

    /// An attribute's value.
    pub(crate) fn attr(&self, name: &str) -> Option<&str> {
        self.attrs.get(name).map(String::as_str)
    }

    /// The child elements.
    pub(crate) fn trees(&self) -> impl Iterator<Item = &Tree> {
        self.children.iter().filter_map(|child| match child {
            Branch::Tree(tree) => Some(tree),
            Branch::Text(_) | Branch::More => None,
        })
    }

    /// The child elements, to change them.
    pub(crate) fn subtrees(&mut self) -> impl Iterator<Item = &mut Tree> {
        self.children.iter_mut().filter_map(|child| match child {
            Branch::Tree(tree) => Some(tree),
            Branch::Text(_) | Branch::More => None,
        })
    }

    /// Whether it has a child element of this name and namespace.
    pub(crate) fn has(&self, name: &str, ns: &str) -> bool {
        self.trees().any(|child| child.name == name && child.ns == ns)
    }

    /// Takes out the child elements of this name and namespace.
    pub(crate) fn without(&mut self, name: &str, ns: &str) {
        self.children.retain(|child| !matches!(child, Branch::Tree(tree) if tree.name == name && tree.ns == ns));
    }

    /// Whether `heard` is what this expectation says.
    pub(crate) fn is_met_by(&self, heard: &Tree) -> bool {
        self.met_by(heard, Names::new()).is_some()
    }

    /// The names known after `heard` turned out to be what this expectation says; `None` where it is not.
    pub(crate) fn met_by(&self, heard: &Tree, mut names: Names) -> Option<Names> {
        let is_open = self.attrs.contains_key(MORE);
        let is_same = self.name == heard.name && self.ns == heard.ns;
        if !is_same || !(is_open || self.attrs.len() == heard.attrs.len()) {
            return None;
        }
        for (name, wanted) in self.attrs.iter().filter(|(name, _)| *name != MORE) {
            names = value_met(wanted, heard.attr(name)?, names)?;
        }
        all_met(&self.children, &heard.children, names)
    }

    /// The same with the values that names stand for.
    pub(crate) fn with_names(&self, names: &Names) -> Result<Tree, String> {
        let mut tree = self.clone();
        for value in tree.attrs.values_mut().filter(|value| value.starts_with('*')) {
            *value = names.get(value.as_str()).cloned().ok_or_else(|| format!("nobody heard `{value}` yet"))?;
        }
        for child in &mut tree.children {
            match child {
                Branch::Tree(child) => *child = child.with_names(names)?,
                Branch::Text(text) => {
                    if let Some(known) = names.get(text.as_str()) {
                        known.clone_into(text);
                    }
                }
                Branch::More => {}
            }
        }
        Ok(tree)
    }

    /// As XML a reader can take, namespaces declared where they change.
    pub(crate) fn to_xml(&self) -> String {
        let mut out = String::new();
        self.write(ns::CLIENT, false, &mut out);
        out
    }

    /// As a script would write it inside an element of the namespace `around`.
    pub(crate) fn to_script(&self, around: &str) -> String {
        let mut out = String::new();
        self.write(around, true, &mut out);
        out
    }

    fn write(&self, around: &str, is_short: bool, out: &mut String) {
        let _ = write!(out, "<{}", self.name);
        if self.ns != around && !(is_short && self.ns == ns::STANZAS) {
            let short = SHORT.iter().find(|(_, full)| is_short && *full == self.ns).map_or(self.ns.as_str(), |s| s.0);
            let _ = write!(out, " xmlns='{}'", escaped(short));
        }
        for (name, value) in &self.attrs {
            match name.as_str() {
                MORE => out.push_str(" …"),
                name if is_short && ADDRESSES.contains(&name) => {
                    let _ = write!(out, " {name}='{}'", escaped(&cast::contract(value)));
                }
                name => {
                    let _ = write!(out, " {name}='{}'", escaped(value));
                }
            }
        }
        if self.children.is_empty() {
            out.push_str("/>");
            return;
        }
        out.push('>');
        for child in &self.children {
            match child {
                Branch::Tree(tree) => tree.write(&self.ns, is_short, out),
                Branch::Text(text) => out.push_str(&escaped(text)),
                Branch::More => out.push('…'),
            }
        }
        let _ = write!(out, "</{}>", self.name);
    }

    fn expand_addresses(&mut self) {
        for name in ADDRESSES {
            if let Some(value) = self.attrs.get_mut(name) {
                *value = cast::expand(value);
            }
        }
        self.subtrees().for_each(Tree::expand_addresses);
    }
}

fn all_met(expected: &[Branch], heard: &[Branch], names: Names) -> Option<Names> {
    match (expected.split_first(), heard.split_first()) {
        (None, None) => Some(names),
        (Some((Branch::More, rest)), _) => {
            (0..=heard.len()).find_map(|skipped| all_met(rest, &heard[skipped..], names.clone()))
        }
        (Some((wanted, rest)), Some((said, others))) => all_met(rest, others, branch_met(wanted, said, names)?),
        (None, Some(_)) | (Some(_), None) => None,
    }
}

fn branch_met(wanted: &Branch, said: &Branch, names: Names) -> Option<Names> {
    match (wanted, said) {
        (Branch::Tree(wanted), Branch::Tree(said)) => wanted.met_by(said, names),
        (Branch::Text(wanted), Branch::Text(said)) => value_met(wanted, said, names),
        (Branch::Tree(_) | Branch::Text(_) | Branch::More, _) => None,
    }
}

fn value_met(wanted: &str, said: &str, mut names: Names) -> Option<Names> {
    let is_named = wanted.starts_with('*') && !said.is_empty();
    if is_named && wanted.len() > 1 {
        let known = names.entry(wanted.to_owned()).or_insert_with(|| said.to_owned());
        return (known == said).then_some(names);
    }
    (wanted == said || is_named).then_some(names)
}

/// The text as it can stand in XML, between quotes too.
pub(crate) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('\'', "&apos;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_met(expected: &str, heard: &str) -> bool {
        read(expected).expect("well-formed").is_met_by(&read(heard).expect("well-formed"))
    }

    #[test]
    fn attributes_have_no_order_and_children_have() {
        assert!(is_met("<a x='1' y='2'/>", "<a y='2' x='1'/>"));
        assert!(!is_met("<a><b/><c/></a>", "<a><c/><b/></a>"));
        assert!(!is_met("<a/>", "<a x='1'/>"));
        assert!(!is_met("<a/>", "<a><b/></a>"));
        assert!(!is_met("<a xmlns='#user'/>", "<a xmlns='#admin'/>"));
    }

    #[test]
    fn wild_cards_stand_for_what_is_opaque() {
        assert!(is_met("<a id='*'/>", "<a id='7'/>"));
        assert!(!is_met("<a id='*'/>", "<a id=''/>"));
        assert!(is_met("<a id='7' …/>", "<a id='7' by='hall'/>"));
        assert!(is_met("<a>…<c/>…</a>", "<a><b/><c/>text</a>"));
        assert!(!is_met("<a>…<c/></a>", "<a><c/><b/></a>"));
        assert!(is_met("<a>*</a>", "<a>x</a>"));
        assert!(is_met("<a id='*x'>…<b id='*x'/></a>", "<a id='1'><b id='2'/><b id='1'/></a>"));
        assert!(!is_met("<a id='*x'><b id='*x'/></a>", "<a id='1'><b id='2'/></a>"));
    }

    #[test]
    fn short_names_mean_the_long_ones_and_are_printed_short() {
        let tree =
            read("<iq to='hall'><query xmlns='#admin'><item jid='nils/1' nick='nils'/></query></iq>").expect("ok");
        assert!(tree.to_xml().contains("jid='nils@example.org/1' nick='nils'"));
        assert_eq!(
            tree.to_script(ns::CLIENT),
            "<iq to='hall'><query xmlns='#admin'><item jid='nils/1' nick='nils'/></query></iq>"
        );
    }
}
