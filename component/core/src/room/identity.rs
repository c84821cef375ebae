//! How a service and its rooms show themselves beside what they do: name, vCard, and the bounds of what rooms may show.

use std::sync::Arc;

/// What the operator decided about looks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Identity {
    /// The name of the service in service discovery.
    pub name: Arc<str>,
    /// The vCard of the service as XML, if it has one.
    pub vcard_xml: Option<Arc<str>>,
    /// The longest vCard of a room, in bytes of XML.
    pub vcard_bytes_max: usize,
    /// The most hats one room may have.
    pub hats_max: u32,
}

impl Default for Identity {
    fn default() -> Identity {
        Identity { name: "Chat Rooms".into(), vcard_xml: None, vcard_bytes_max: 98_304, hats_max: 50 }
    }
}
