//! Service discovery (XEP-0030): identities, features and extended information (XEP-0128) written.

use minidom::Element;

use crate::ns;
use crate::stanza::element::{Build, el};

/// An answer to disco#info, grown piece by piece.
#[derive(Clone, Debug)]
pub struct Info {
    query: Element,
}

impl Info {
    /// An empty answer that echoes `node`.
    pub fn new(node: Option<&str>) -> Info {
        Info { query: el("query", ns::DISCO_INFO).with_attr_opt("node", node) }
    }

    /// The same with an identity.
    #[must_use]
    pub fn identity(mut self, category: &str, type_: &str, name: &str) -> Info {
        let identity = el("identity", ns::DISCO_INFO)
            .with_attr("category", category)
            .with_attr("type", type_)
            .with_attr_opt("name", (!name.is_empty()).then_some(name));
        self.query.append_child(identity);
        self
    }

    /// The same with a feature.
    #[must_use]
    pub fn feature(mut self, var: &str) -> Info {
        self.query.append_child(el("feature", ns::DISCO_INFO).with_attr("var", var));
        self
    }

    /// The same with a form (XEP-0128).
    #[must_use]
    pub fn extended(mut self, form: Element) -> Info {
        self.query.append_child(form);
        self
    }

    /// The element it is.
    pub fn into_element(self) -> Element {
        self.query
    }
}

/// An item of disco#items.
pub fn item(jid: &str, name: Option<&str>) -> Element {
    el("item", ns::DISCO_ITEMS).with_attr("jid", jid).with_attr_opt("name", name)
}
