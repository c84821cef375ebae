//! How a service and its rooms show themselves beside what they do: name, vCard, and the bounds of what rooms may show.

use std::fmt::Write;
use std::sync::Arc;

use minidom::Element;

use crate::ns;
use crate::protocol::form::{Form, FormType};

/// What the operator decided about looks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Identity {
    /// The name of the service in service discovery.
    pub name: Arc<str>,
    /// The vCard of the service as XML, if it has one.
    pub vcard_xml: Option<Arc<str>>,
    /// Whom to turn to about the service: fields of XEP-0157 with URIs.
    pub contacts: Vec<(&'static str, Vec<String>)>,
    /// Where rooms can be entered with a browser; `{room}` stands for the room's name.
    pub webchat_url: Option<String>,
    /// Whether rooms speak to Cisco Jabber in its own words.
    pub is_cisco: bool,
    /// The longest vCard of a room, in bytes of XML.
    pub vcard_bytes_max: usize,
    /// The most hats one room may have.
    pub hats_max: u32,
}

impl Default for Identity {
    fn default() -> Identity {
        Identity {
            name: "Chat Rooms".into(),
            vcard_xml: None,
            contacts: Vec::new(),
            webchat_url: None,
            is_cisco: false,
            vcard_bytes_max: 98_304,
            hats_max: 50,
        }
    }
}

impl Identity {
    /// Where the room of that name can be entered with a browser.
    pub(super) fn webchat_of(&self, room: &str) -> Option<String> {
        let mut name = String::new();
        for byte in room.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => name.push(char::from(byte)),
                other => {
                    let _ = write!(name, "%{other:02X}");
                }
            }
        }
        self.webchat_url.as_ref().map(|url| url.replace("{room}", &name))
    }

    /// Whom to turn to, as discovery tells it (XEP-0157 v1.1).
    pub fn contact_form(&self) -> Option<Element> {
        if self.contacts.is_empty() {
            return None;
        }
        let form = Form::new(FormType::Result, ns::SERVERINFO);
        let form = self.contacts.iter().fold(form, |form, (var, uris)| {
            let uris: Vec<&str> = uris.iter().map(String::as_str).collect();
            form.asking("list-multi", var, "Contact", &[], &uris, false)
        });
        Some(form.into_element())
    }
}
