//! JIDs, prepared once and cheap to clone: one shared text with the places of `@` and `/` in it.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use super::prep::{self, PrepError};

/// Why a text is no JID.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum JidError {
    /// The local part (before `@`) cannot be prepared.
    Local(PrepError),
    /// The domain cannot be prepared.
    Domain(PrepError),
    /// The resource (after the first `/`) cannot be prepared.
    Resource(PrepError),
}

impl fmt::Display for JidError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (part, why) = match self {
            JidError::Local(why) => ("local part", why),
            JidError::Domain(why) => ("domain", why),
            JidError::Resource(why) => ("resource", why),
        };
        match why {
            PrepError::Empty => write!(f, "its {part} is empty"),
            PrepError::TooLong => write!(f, "its {part} is longer than {} bytes", prep::PART_BYTES_MAX),
            PrepError::Prohibited => write!(f, "its {part} has a character that is not allowed there"),
        }
    }
}

impl std::error::Error for JidError {}

/// A JID with or without local part and resource, prepared (RFC 6122); equality is that of the prepared text.
#[derive(Clone)]
pub struct Jid {
    text: Arc<str>,
    /// Bytes before `@`; 0 where there is no local part.
    at: u16,
    /// Bytes before the first `/` of the resource; 0 where there is none.
    slash: u16,
    is_attr_plain: bool,
}

/// A JID without a resource: a user, a room or a service.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BareJid(Jid);

impl Jid {
    /// Prepares `text`. The resource begins at the first `/`, so a resource may contain more of them;
    /// `@` counts only before it.
    pub fn parse(text: &str) -> Result<Jid, JidError> {
        let (bare, resource) = match text.split_once('/') {
            Some((bare, resource)) => (bare, Some(resource)),
            None => (text, None),
        };
        let (local, domain) = match bare.split_once('@') {
            Some((local, domain)) => (Some(local), domain),
            None => (None, bare),
        };
        let local = local.map(prep::node).transpose().map_err(JidError::Local)?;
        let domain = prep::domain(domain).map_err(JidError::Domain)?;
        let resource = resource.map(prep::resource).transpose().map_err(JidError::Resource)?;
        Ok(Jid::join(local.as_deref(), &domain, resource.as_deref()))
    }

    fn join(local: Option<&str>, domain: &str, resource: Option<&str>) -> Jid {
        let mut text = String::with_capacity(
            local.map_or(0, |l| l.len() + 1) + domain.len() + resource.map_or(0, |r| r.len() + 1),
        );
        let mut at = 0;
        if let Some(local) = local {
            text.push_str(local);
            at = short(text.len());
            text.push('@');
        }
        text.push_str(domain);
        let mut slash = 0;
        if let Some(resource) = resource {
            slash = short(text.len());
            text.push('/');
            text.push_str(resource);
        }
        let is_attr_plain = !text.bytes().any(|b| matches!(b, b'&' | b'<' | b'>' | b'\'' | b'"'));
        Jid { text: text.into(), at, slash, is_attr_plain }
    }

    /// The whole prepared text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The part before `@`.
    pub fn local(&self) -> Option<&str> {
        (self.at > 0).then(|| &self.text[..usize::from(self.at)])
    }

    /// The domain.
    pub fn domain(&self) -> &str {
        let from = if self.at > 0 { usize::from(self.at) + 1 } else { 0 };
        let to = if self.slash > 0 { usize::from(self.slash) } else { self.text.len() };
        &self.text[from..to]
    }

    /// The part after the first `/`.
    pub fn resource(&self) -> Option<&str> {
        (self.slash > 0).then(|| &self.text[usize::from(self.slash) + 1..])
    }

    /// Local part and domain only, as text.
    pub fn bare_str(&self) -> &str {
        if self.slash > 0 { &self.text[..usize::from(self.slash)] } else { &self.text }
    }

    /// Local part and domain only.
    pub fn to_bare(&self) -> BareJid {
        if self.slash == 0 {
            return BareJid(self.clone());
        }
        BareJid(Jid::join(self.local(), self.domain(), None))
    }

    /// Whether `other` is the same user, room or service, resources aside.
    pub fn is_same_bare(&self, other: &Jid) -> bool {
        self.bare_str() == other.bare_str()
    }

    /// Whether it may stand in an XML attribute as it is, without escaping.
    pub fn is_attr_plain(&self) -> bool {
        self.is_attr_plain
    }
}

impl BareJid {
    /// Prepares `text`, which must have no resource.
    pub fn parse(text: &str) -> Result<BareJid, JidError> {
        let jid = Jid::parse(text)?;
        match jid.resource() {
            Some(_) => Err(JidError::Resource(PrepError::Prohibited)),
            None => Ok(BareJid(jid)),
        }
    }

    /// This JID with `resource`, which is prepared already (a [`super::Nick`] or a resource taken from a [`Jid`]).
    pub fn with_prepared_resource(&self, resource: &str) -> Jid {
        Jid::join(self.local(), self.domain(), Some(resource))
    }

    /// The JID it is.
    pub fn as_jid(&self) -> &Jid {
        &self.0
    }

    /// The whole prepared text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The part before `@`.
    pub fn local(&self) -> Option<&str> {
        self.0.local()
    }

    /// The domain.
    pub fn domain(&self) -> &str {
        self.0.domain()
    }
}

/// A length inside a JID; three parts of at most 1,023 bytes keep it far below 65,536.
fn short(len: usize) -> u16 {
    u16::try_from(len).expect("three parts of at most 1,023 bytes each")
}

impl From<BareJid> for Jid {
    fn from(bare: BareJid) -> Jid {
        bare.0
    }
}

impl PartialEq for Jid {
    fn eq(&self, other: &Jid) -> bool {
        self.text == other.text
    }
}

impl Eq for Jid {}

impl PartialOrd for Jid {
    fn partial_cmp(&self, other: &Jid) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Jid {
    fn cmp(&self, other: &Jid) -> Ordering {
        self.text.cmp(&other.text)
    }
}

impl Hash for Jid {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl fmt::Display for Jid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Jid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Display for BareJid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for BareJid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jid_splits_at_the_first_slash_and_at_the_at_before_it() {
        let jid = Jid::parse("Hall@Conference.example.org/a@b./c").expect("a JID");
        assert_eq!(
            (jid.local(), jid.domain(), jid.resource()),
            (Some("hall"), "conference.example.org", Some("a@b./c"))
        );
        assert_eq!(jid.to_bare().as_str(), "hall@conference.example.org");
    }

    #[test]
    fn emoji_resources_are_fine_and_control_characters_are_not() {
        assert_eq!(Jid::parse("a@b/\u{1f984}").expect("a JID").resource(), Some("\u{1f984}"));
        assert_eq!(Jid::parse("a@b/x\u{7}"), Err(JidError::Resource(PrepError::Prohibited)));
        assert_eq!(Jid::parse("@b"), Err(JidError::Local(PrepError::Empty)));
        assert_eq!(Jid::parse("a b@c"), Err(JidError::Local(PrepError::Prohibited)));
    }

    #[test]
    fn parts_over_the_limit_are_refused() {
        assert_eq!(Jid::parse(&format!("a@b/{}", "x".repeat(1024))), Err(JidError::Resource(PrepError::TooLong)));
    }
}
