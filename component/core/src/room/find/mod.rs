//! Finding rooms: what somebody looks for, whether a room is that, and the two ways to ask - channel search
//! (XEP-0433 v0.1) and Jabber search (XEP-0055 v1.3). Only public rooms are ever found; where they lie is the store's
//! matter.

pub mod channel;
pub mod jabber;

use crate::muc::RoomConfig;
use crate::name::BareJid;

/// The most words looked for at once.
const WORDS_MAX: usize = 8;

/// What somebody looks for: a room that has all of it. Nothing is every room.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RoomSearch {
    words: Vec<Word>,
    /// A language tag, in small letters.
    language: Option<String>,
}

/// A word in small letters, and where it may stand.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Word {
    text: String,
    is_in_address: bool,
    is_in_name: bool,
    is_in_description: bool,
}

/// A room that was found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FoundRoom {
    /// Its address.
    pub jid: BareJid,
    /// Its configuration.
    pub config: RoomConfig,
    /// How many nicks are inside.
    pub occupants: u64,
}

impl RoomSearch {
    fn look_for(&mut self, text: &str, is_in_address: bool, is_in_name: bool, is_in_description: bool) {
        for word in text.split_whitespace().take(WORDS_MAX) {
            let text = word.to_lowercase();
            self.words.push(Word { text, is_in_address, is_in_name, is_in_description });
        }
    }

    /// Whether a public room of that name and configuration is one that is looked for.
    pub fn fits(&self, name: &str, config: &RoomConfig) -> bool {
        let (name, title) = (name.to_lowercase(), config.title.to_lowercase());
        let (description, lang) = (config.description.to_lowercase(), config.lang.to_lowercase());
        let has = |word: &Word| {
            word.is_in_address && name.contains(&word.text)
                || word.is_in_name && title.contains(&word.text)
                || word.is_in_description && description.contains(&word.text)
        };
        let speaks = |wanted: &String| {
            lang.strip_prefix(wanted.as_str()).is_some_and(|rest| !rest.starts_with(char::is_alphanumeric))
        };
        self.words.iter().all(has) && self.language.as_ref().is_none_or(speaks)
    }
}

impl FoundRoom {
    /// What people call it.
    fn name(&self) -> &str {
        if self.config.title.is_empty() { self.jid.local().unwrap_or_default() } else { &self.config.title }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_words_have_to_stand_where_they_may() {
        let config = RoomConfig {
            title: "Über Tea".into(),
            description: "Leaves and more".into(),
            lang: "en-GB".into(),
            ..RoomConfig::default()
        };
        let fits = |text: &str, address, name, description| {
            let mut search = RoomSearch::default();
            search.look_for(text, address, name, description);
            search.fits("garden", &config)
        };
        assert!(fits("ÜBER leaves gard", true, true, true) && fits("", true, true, true));
        assert!(!fits("über leaves coffee", true, true, true));
        assert!(!fits("leaves", true, true, false) && !fits("garden", false, true, true));
        let speaks =
            |lang: &str| RoomSearch { language: Some(lang.into()), ..RoomSearch::default() }.fits("x", &config);
        assert!(speaks("en") && speaks("en-gb") && !speaks("e") && !speaks("de"));
    }
}
