//! Nicks: the resource of an occupant JID (XEP-0045 §5.1), as spoken and as compared.

use std::fmt;
use std::sync::Arc;

use unicode_normalization::UnicodeNormalization;

use super::prep::{self, PrepError};

/// Why a text is no nick.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NickError {
    /// Nothing to see in it: empty, or only white space and invisible characters.
    Blank,
    /// Longer than a resource may be.
    TooLong,
    /// It has characters a resource must not have.
    Prohibited,
}

/// A nick. Two nicks are the same if they look the same: compared after normalisation and case folding.
#[derive(Clone)]
pub struct Nick {
    text: Arc<str>,
    key: Arc<str>,
}

impl Nick {
    /// Prepares `text` as a resource and refuses what nobody could see.
    pub fn parse(text: &str) -> Result<Nick, NickError> {
        let prepared = prep::resource(text).map_err(|why| match why {
            PrepError::Empty => NickError::Blank,
            PrepError::TooLong => NickError::TooLong,
            PrepError::Prohibited => NickError::Prohibited,
        })?;
        if prepared.chars().all(is_invisible) {
            return Err(NickError::Blank);
        }
        let text: Arc<str> = prepared.into();
        let folded = prep::fold(&text);
        let key = if *folded == *text { text.clone() } else { folded.nfkc().collect::<String>().into() };
        Ok(Nick { text, key })
    }

    /// As it is shown.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// As it is compared and indexed.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// As it is compared and indexed, shared.
    pub fn shared_key(&self) -> Arc<str> {
        self.key.clone()
    }
}

fn is_invisible(c: char) -> bool {
    c.is_whitespace()
        || c.is_control()
        || matches!(c, '\u{ad}' | '\u{115f}' | '\u{1160}' | '\u{2800}' | '\u{3164}' | '\u{ffa0}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}')
}

impl PartialEq for Nick {
    fn eq(&self, other: &Nick) -> bool {
        self.key == other.key
    }
}

impl Eq for Nick {}

impl PartialOrd for Nick {
    fn partial_cmp(&self, other: &Nick) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Nick {
    fn cmp(&self, other: &Nick) -> std::cmp::Ordering {
        self.key.cmp(&other.key)
    }
}

impl fmt::Display for Nick {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Nick {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nicks_that_look_alike_are_one() {
        assert_eq!(Nick::parse("Olga"), Nick::parse("oLGA"));
        assert_eq!(Nick::parse("Ｏlga"), Nick::parse("olga"));
        assert_ne!(Nick::parse("Olga"), Nick::parse("Olga2"));
    }

    #[test]
    fn nobody_can_be_invisible() {
        for text in ["", " ", "\u{3000}", "\u{200b}", "\u{2800}"] {
            assert_eq!(Nick::parse(text), Err(NickError::Blank), "{text:?}");
        }
    }
}
