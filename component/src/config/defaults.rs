//! `[service.defaults]`: what a new room starts with, and which of it its owner leaves as it is.
//!
//! The keys are those of the room's options (`muc::option`); a value is checked as if an owner had written it into the
//! configuration form.

use std::fmt;
use std::sync::LazyLock;

use serde::de::{self, Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use tandem_muc_core::muc::RoomConfig;
use tandem_muc_core::muc::option::{self, Bounds, Objection, RoomOption};
use tandem_muc_core::protocol::form::Submitted;
use toml::Spanned;

use super::error::with_nearest;
use super::value::expand;

/// `[service.defaults]`
#[derive(Debug, Default)]
pub struct Defaults {
    /// What a new room starts with.
    pub room: RoomConfig,
    /// Keys of the options that owners leave as they are.
    pub fixed: Vec<&'static str>,
    given: Vec<Given>,
}

/// A key as the file sets it.
#[derive(Debug)]
struct Given {
    key: String,
    values: Vec<String>,
    /// The byte of the file it stands at.
    at: usize,
}

static KEYS: LazyLock<Vec<&'static str>> =
    LazyLock::new(|| option::ALL.iter().map(|option| option.key).chain(["fixed"]).collect());

impl Defaults {
    /// Makes `room` and `fixed` of what the file says; the error is where it stands in the file, and the sentence.
    pub(super) fn settle(&mut self, bounds: &Bounds) -> Result<(), (usize, String)> {
        for given in &self.given {
            let taken = match given.key.as_str() {
                "fixed" => keys_of(&given.values).map(|keys| self.fixed = keys),
                key => self.room_with(key, &given.values, bounds).map(|room| self.room = room),
            };
            taken.map_err(|sentence| (given.at, sentence))?;
        }
        Ok(())
    }

    fn room_with(&self, key: &str, values: &[String], bounds: &Bounds) -> Result<RoomConfig, String> {
        let option = option_of(key)?;
        let form = Submitted::filled(vec![(option.field.to_owned(), values.to_vec())]);
        option::read(&form, &self.room, bounds, &[]).map_err(|objection| match objection {
            Objection::Takes { allowed, .. } => format!("service.defaults.{key} takes {allowed}"),
            Objection::Fixed { .. } => format!("service.defaults.{key} is fixed"),
        })
    }
}

fn keys_of(values: &[String]) -> Result<Vec<&'static str>, String> {
    values.iter().map(|key| option_of(key).map(|option| option.key)).collect()
}

fn option_of(key: &str) -> Result<&'static RoomOption, String> {
    option::of_key(key).ok_or_else(|| with_nearest(&de::value::Error::unknown_field(key, &KEYS).to_string()))
}

impl<'de> Deserialize<'de> for Defaults {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Defaults, D::Error> {
        from.deserialize_map(Table)
    }
}

struct Table;

impl<'de> Visitor<'de> for Table {
    type Value = Defaults;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table of room options")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Defaults, A::Error> {
        let mut defaults = Defaults::default();
        while let Some(key) = map.next_key::<Spanned<String>>()? {
            let Values(values) = map.next_value()?;
            defaults.given.push(Given { at: key.span().start, key: key.into_inner(), values });
        }
        Ok(defaults)
    }
}

/// The values of one key: a plain one is a list of one.
struct Values(Vec<String>);

impl<'de> Deserialize<'de> for Values {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Values, D::Error> {
        from.deserialize_any(Plain).map(Values)
    }
}

struct Plain;

impl<'de> Visitor<'de> for Plain {
    type Value = Vec<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, a number, true, false, or a list of texts")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Vec<String>, E> {
        Ok(vec![expand(text, |name| std::env::var(name).ok()).map_err(E::custom)?])
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Vec<String>, E> {
        Ok(vec![value.to_string()])
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Vec<String>, E> {
        Ok(vec![value.to_string()])
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<String>, A::Error> {
        let mut all = Vec::new();
        while let Some(text) = seq.next_element::<String>()? {
            all.extend(Plain.visit_str(&text)?);
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use tandem_muc_core::muc::{RoleName, Whois};

    use super::*;
    use crate::config::Config;

    const LEAST: &str = "[[service]]\ndomain = \"conference.example.org\"\nsecret = \"s\"\n";

    #[test]
    fn a_new_room_starts_with_the_defaults() {
        let text = format!(
            "{LEAST}[service.defaults]\nmembers_only = true\nwhois = \"moderators\"\nhistory = 7\n\
             presence_of = [\"moderator\"]\nmember_list_for = []\noccupants = \"none\"\nfixed = [\"whois\", \"archive\"]\n"
        );
        let config = Config::parse(Path::new("x.toml"), &text).expect("a configuration");
        let rules = config.services[0].rules();
        let wanted = RoomConfig {
            is_members_only: true,
            whois: Whois::Moderators,
            history_default: 7,
            presence_of: vec![RoleName::Moderator],
            member_list_for: Vec::new(),
            ..RoomConfig::default()
        };
        assert_eq!((rules.defaults, rules.fixed), (wanted, vec!["whois", "archive"]));
    }

    #[test]
    fn a_default_that_cannot_be_is_refused_with_its_line() {
        let with = |line: &str| {
            let text = format!("{LEAST}[service.limits]\nhistory = 5\n[service.defaults]\n{line}\n");
            Config::parse(Path::new("/etc/component.toml"), &text).expect_err("refused").to_string()
        };
        let told = with("history = 6");
        assert_eq!(told, "config: service.defaults.history takes a number from 0 to 5 (component.toml:7)");
        let told = with("whois = \"all\"");
        assert_eq!(told, "config: service.defaults.whois takes one of moderators, anyone (component.toml:7)");
        let told = with("member_only = true");
        assert!(told.contains("nearest known one here is \"members_only\" (component.toml:7)"), "{told}");
        let told = with("fixed = [\"pubic\"]");
        assert!(told.contains("nearest known one here is \"public\" (component.toml:7)"), "{told}");
    }

    #[test]
    fn the_sample_tells_the_defaults_as_they_are() {
        let sample = include_str!("../../../conf/component.toml");
        let (_, rest) = sample.split_once("[service.defaults]\n").expect("the table");
        let (table, _) = rest.split_once("\n[").expect("another table after it");
        let lines = table.lines().filter_map(|line| line.strip_prefix('#').filter(|line| !line.starts_with(' ')));
        let lines: Vec<&str> = lines.collect();
        let text = format!("{LEAST}[service.defaults]\n{}\n", lines.join("\n"));
        let config = Config::parse(Path::new("x.toml"), &text).expect("a configuration");
        assert_eq!(config.services[0].rules().defaults, RoomConfig::default());
        assert!(config.services[0].rules().fixed.is_empty());
        for option in option::ALL {
            assert!(lines.iter().any(|line| line.starts_with(&format!("{} = ", option.key))), "no {}", option.key);
        }
    }
}
