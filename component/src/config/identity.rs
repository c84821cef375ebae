//! `[service.identity]`: how a service shows itself - name, description, website, a picture - as its vCard.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;
use tandem_muc_core::ns;
use tandem_muc_core::protocol::vcard::Vcard;
use tandem_muc_core::room;
use tandem_muc_core::stanza::write_element;

use super::Limits;
use super::value::maybe;

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
    /// Its picture, out of the file of that name.
    #[serde(deserialize_with = "maybe")]
    pub avatar: Option<Picture>,
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
