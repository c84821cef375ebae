//! `[service.identity]`: how a service shows itself - name, description, website, a picture - as its vCard.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;
use tandem_muc_core::ns;
use tandem_muc_core::protocol::vcard::Vcard;
use tandem_muc_core::room;
use tandem_muc_core::stanza::write_element;

use super::Limits;
use super::value::{list, maybe};

/// `[service.identity]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Identity {
    /// The service's name in service discovery and in its vCard.
    #[serde(deserialize_with = "maybe")]
    pub name: Option<String>,
    /// What it is, for people.
    #[serde(deserialize_with = "maybe")]
    pub description: Option<String>,
    /// Its website.
    #[serde(deserialize_with = "maybe")]
    pub url: Option<String>,
    /// Where its rooms can be entered with a browser.
    #[serde(deserialize_with = "maybe")]
    pub webchat_url: Option<String>,
    /// Its picture, out of the file of that name.
    #[serde(deserialize_with = "maybe")]
    pub avatar: Option<Picture>,
}

/// `[service.contact]`: whom to turn to (XEP-0157), each a list of URIs.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Contact {
    /// About abuse of the service.
    #[serde(deserialize_with = "list")]
    pub abuse: Vec<Uri>,
    /// About anything.
    #[serde(deserialize_with = "list")]
    pub admin: Vec<Uri>,
    /// With praise and blame.
    #[serde(deserialize_with = "list")]
    pub feedback: Vec<Uri>,
    /// About holes.
    #[serde(deserialize_with = "list")]
    pub security: Vec<Uri>,
    /// For help.
    #[serde(deserialize_with = "list")]
    pub support: Vec<Uri>,
}

/// An address as configured.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Uri(String);

impl FromStr for Uri {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Uri, &'static str> {
        let is_uri = text.split_once(':').is_some_and(|(scheme, rest)| !scheme.is_empty() && !rest.is_empty());
        if is_uri {
            Ok(Uri(text.to_owned()))
        } else {
            Err("not a URI: write mailto:somebody@example.org or xmpp:somebody@example.org")
        }
    }
}

impl Contact {
    /// As the service knows it, without what is empty.
    pub(super) fn to_core(&self) -> Vec<(&'static str, Vec<String>)> {
        let fields = [
            ("abuse-addresses", &self.abuse),
            ("admin-addresses", &self.admin),
            ("feedback-addresses", &self.feedback),
            ("security-addresses", &self.security),
            ("support-addresses", &self.support),
        ];
        let told = fields.into_iter().filter(|(_, uris)| !uris.is_empty());
        told.map(|(field, uris)| (field, uris.iter().map(|uri| uri.0.clone()).collect())).collect()
    }
}

/// Whose clients the service is to please.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Profile {
    /// Everybody's.
    #[default]
    Standard,
    /// Cisco Jabber's too.
    Cisco,
}

impl FromStr for Profile {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Profile, &'static str> {
        match text {
            "standard" => Ok(Profile::Standard),
            "cisco" => Ok(Profile::Cisco),
            _ => Err("allowed are standard, cisco"),
        }
    }
}

/// A picture, read when the configuration is.
#[derive(Clone, PartialEq, Eq)]
pub struct Picture(Vec<u8>);

impl fmt::Debug for Picture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Picture({} bytes)", self.0.len())
    }
}

impl FromStr for Picture {
    type Err = String;

    fn from_str(path: &str) -> Result<Picture, String> {
        let picture = std::fs::read(path).map_err(|why| format!("the picture cannot be read: {why}"))?;
        match Vcard::write(&[], Some(&picture)) {
            Some(_) => Ok(Picture(picture)),
            None => Err("neither a PNG, JPEG, GIF, WebP nor SVG image".to_owned()),
        }
    }
}

impl Identity {
    /// As rooms and service know it.
    pub(super) fn to_core(&self, limits: &Limits) -> room::Identity {
        let (vcard_bytes_max, hats_max) = (limits.vcard_bytes, limits.hats);
        let mut identity = room::Identity { vcard_bytes_max, hats_max, ..room::Identity::default() };
        identity.webchat_url.clone_from(&self.webchat_url);
        identity.vcard_xml = self.vcard_xml().map(Into::into);
        if let Some(name) = &self.name {
            identity.name = name.as_str().into();
        }
        identity
    }

    /// The service's vCard, if anything is said for it.
    pub(super) fn vcard_xml(&self) -> Option<String> {
        let texts = [("FN", &self.name), ("DESC", &self.description), ("URL", &self.url)];
        let texts: Vec<_> = texts.iter().filter_map(|(name, text)| Some((*name, text.as_deref()?))).collect();
        let picture = self.avatar.as_ref().map(|picture| picture.0.as_slice());
        if texts.is_empty() && picture.is_none() {
            return None;
        }
        let mut xml = String::new();
        write_element(&Vcard::write(&texts, picture)?, ns::CLIENT, &mut xml);
        Some(xml)
    }
}
