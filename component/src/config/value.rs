//! Values as the file writes them: native TOML, or a string with `${NAME}` in it, taken from the environment.

use std::convert::Infallible;
use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use secrecy::SecretString;
use serde::de::{self, Deserializer, SeqAccess, Visitor};
use tandem_muc_core::name::BareJid;
use tandem_muc_core::room::Creators;

use super::{BareDomain, BareJidValue, Creation, Hidden, LogFormat};

/// Reads any value that its text form can be parsed into.
pub(super) fn any<'de, D, T>(from: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr,
    T::Err: fmt::Display,
{
    from.deserialize_any(Text(PhantomData))
}

/// The same for a key that may be missing.
pub(super) fn maybe<'de, D, T>(from: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr,
    T::Err: fmt::Display,
{
    any(from).map(Some)
}

/// The same for a list; one plain value is a list of one.
pub(super) fn list<'de, D, T>(from: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr,
    T::Err: fmt::Display,
{
    from.deserialize_any(List(PhantomData))
}

struct Text<T>(PhantomData<T>);

impl<T> Visitor<'_> for Text<T>
where
    T: FromStr,
    T::Err: fmt::Display,
{
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a single value")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        let text = expand(text, |name| std::env::var(name).ok()).map_err(E::custom)?;
        text.parse().map_err(|why| E::custom(format!("\"{text}\": {why}")))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<T, E> {
        value.to_string().parse().map_err(|why| E::custom(format!("{value}: {why}")))
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<T, E> {
        value.to_string().parse().map_err(|why| E::custom(format!("{value}: {why}")))
    }
}

struct List<T>(PhantomData<T>);

impl<'de, T> Visitor<'de> for List<T>
where
    T: FromStr,
    T::Err: fmt::Display,
{
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of strings")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Vec<T>, E> {
        Text(PhantomData).visit_str(text).map(|one| vec![one])
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<T>, A::Error> {
        let mut all = Vec::new();
        while let Some(text) = seq.next_element::<String>()? {
            all.push(Text(PhantomData).visit_str(&text)?);
        }
        Ok(all)
    }
}

/// Replaces each `${NAME}` by what `lookup` says; `$$` is a dollar sign.
pub(super) fn expand(text: &str, lookup: impl Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some(inside) = rest.strip_prefix('{') {
            let (name, after) = inside.split_once('}').ok_or_else(|| format!("\"{text}\": ${{ without }}"))?;
            out.push_str(&lookup(name).ok_or_else(|| format!("environment variable {name} is not set"))?);
            rest = after;
        } else {
            out.push('$');
        }
    }
    out.push_str(rest);
    Ok(out)
}

impl FromStr for Hidden {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Hidden, Infallible> {
        Ok(Hidden(SecretString::from(text)))
    }
}

impl FromStr for BareDomain {
    type Err = String;

    fn from_str(text: &str) -> Result<BareDomain, String> {
        let jid = BareJid::parse(text).map_err(|why| format!("not a domain: {why}"))?;
        match jid.local() {
            Some(_) => Err("not a domain: there is an @ in it".to_owned()),
            None => Ok(BareDomain(jid)),
        }
    }
}

impl FromStr for BareJidValue {
    type Err = String;

    fn from_str(text: &str) -> Result<BareJidValue, String> {
        BareJid::parse(text).map(BareJidValue).map_err(|why| format!("not a bare JID: {why}"))
    }
}

impl FromStr for Creation {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Creation, &'static str> {
        match text {
            "anyone" => Ok(Creation(Creators::Anyone)),
            "local" => Ok(Creation(Creators::Local)),
            "admins" => Ok(Creation(Creators::Admins)),
            _ => Err("allowed are anyone, local, admins"),
        }
    }
}

impl FromStr for LogFormat {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<LogFormat, &'static str> {
        match text {
            "text" => Ok(LogFormat::Text),
            "json" => Ok(LogFormat::Json),
            _ => Err("allowed are text, json"),
        }
    }
}
