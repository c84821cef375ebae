//! Small helpers over minidom's element: building with plain names, reading text.

use minidom::Element;
use minidom::rxml::{Namespace, NcName};

use crate::ns;

/// An element of ours: `name` in `ns`. Our names are constants, valid by inspection.
pub fn el(name: &str, ns: &str) -> Element {
    Element::bare(name, ns)
}

/// Building an element in one expression.
pub trait Build: Sized {
    /// The same with an attribute; characters XML cannot carry are replaced when it is rendered.
    #[must_use]
    fn with_attr(self, name: &'static str, value: impl Into<String>) -> Self;
    /// The same with an attribute, where there is a value.
    #[must_use]
    fn with_attr_opt(self, name: &'static str, value: Option<impl Into<String>>) -> Self;
    /// The same with `xml:lang`.
    #[must_use]
    fn with_lang(self, lang: String) -> Self;
    /// The same with a child.
    #[must_use]
    fn with_child(self, child: Element) -> Self;
    /// The same with a text.
    #[must_use]
    fn with_text(self, text: &str) -> Self;
    /// The same with a child that has only a text, in the element's own namespace.
    #[must_use]
    fn with_text_child(self, name: &str, text: &str) -> Self;
}

impl Build for Element {
    fn with_attr(mut self, name: &'static str, value: impl Into<String>) -> Element {
        let name = NcName::try_from(name).expect("attribute names are constants of ours");
        self.attrs_mut().insert(Namespace::NONE, name, value.into());
        self
    }

    fn with_attr_opt(self, name: &'static str, value: Option<impl Into<String>>) -> Element {
        match value {
            Some(value) => self.with_attr(name, value),
            None => self,
        }
    }

    fn with_lang(mut self, lang: String) -> Element {
        let name = NcName::try_from("lang").expect("a constant");
        self.attrs_mut().insert(Namespace::XML, name, lang);
        self
    }

    fn with_child(mut self, child: Element) -> Element {
        self.append_child(child);
        self
    }

    fn with_text(mut self, text: &str) -> Element {
        self.append_text(text);
        self
    }

    fn with_text_child(self, name: &str, text: &str) -> Element {
        let child = el(name, &self.ns()).with_text(text);
        self.with_child(child)
    }
}

/// Parses one element out of trusted or stored text; its default namespace is `jabber:client`.
pub fn parse(xml: &str) -> Option<Element> {
    Element::from_reader_with_prefixes(xml.as_bytes(), Some(ns::CLIENT.to_owned())).ok()
}
