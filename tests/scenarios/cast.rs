//! Who plays in the scenarios, where they live, and the short names scripts call them by.
//!
//! A person's initial carries the affiliation: Olga owner, Adam admin, Mia member, Nils none, Oskar outcast;
//! Nora is a Nils from another server, Sven an admin of the service. Further people are numbered: `mia2`.

use std::collections::BTreeSet;

use tandem_muc_core::muc::Affiliation;
use tandem_muc_core::name::{BareJid, Jid};

/// The service domain of every scenario.
pub(crate) const SERVICE: &str = "conference.example.org";
/// The room every scenario plays in.
pub(crate) const HALL: &str = "hall@conference.example.org";

const ROOMS: [&str; 3] = ["hall", "attic", "cellar"];
const PEOPLE: [(&str, Affiliation, &str); 7] = [
    ("olga", Affiliation::Owner, "example.org"),
    ("adam", Affiliation::Admin, "example.org"),
    ("mia", Affiliation::Member, "example.org"),
    ("nils", Affiliation::None, "example.org"),
    ("oskar", Affiliation::Outcast, "example.org"),
    ("nora", Affiliation::None, "elsewhere.net"),
    ("sven", Affiliation::None, "example.org"),
];

/// The room every scenario plays in.
pub(crate) fn hall() -> BareJid {
    BareJid::parse(HALL).expect("a constant")
}

/// The admin of the service.
pub(crate) fn sven() -> BareJid {
    BareJid::parse("sven@example.org").expect("a constant")
}

/// The full form of a short address: `nils/1`, `hall/Nils`, `attic`; anything else stays as it is.
pub(crate) fn expand(text: &str) -> String {
    let (head, rest) = text.split_at(text.find('/').unwrap_or(text.len()));
    match home_of(head) {
        Some(domain) => format!("{head}@{domain}{rest}"),
        None => text.to_owned(),
    }
}

/// The short form of an address, for reports a script can be written from.
pub(crate) fn contract(text: &str) -> String {
    let (bare, rest) = text.split_at(text.find('/').unwrap_or(text.len()));
    match bare.split_once('@') {
        Some((head, domain)) if home_of(head) == Some(domain) => format!("{head}{rest}"),
        _ => text.to_owned(),
    }
}

/// The session a script means by `who`: the first one where it names none.
pub(crate) fn session(who: &str) -> Result<Jid, String> {
    let who = if home_of(who).is_some() { format!("{who}/1") } else { who.to_owned() };
    let jid = Jid::parse(&expand(&who)).map_err(|why| format!("`{who}` is nobody: {why}"))?;
    if jid.local().is_none() { Err(format!("`{who}` is not in the cast")) } else { Ok(jid) }
}

/// Everyone a text mentions, with the affiliation their initial gives them; the four with one are always there.
pub(crate) fn affiliations(script: &str) -> Vec<(BareJid, Affiliation)> {
    let mentioned = script
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .flat_map(|line| line.split(|c: char| !c.is_ascii_alphanumeric()))
        .filter(|word| home_of(word).is_some_and(|domain| domain != SERVICE));
    let names: BTreeSet<&str> = ["olga", "adam", "mia", "oskar"].into_iter().chain(mentioned).collect();
    names
        .into_iter()
        .filter_map(|name| {
            let (_, affiliation, domain) = person(name)?;
            let jid = BareJid::parse(&format!("{name}@{domain}")).expect("letters and digits");
            (affiliation != Affiliation::None).then_some((jid, affiliation))
        })
        .collect()
}

fn home_of(name: &str) -> Option<&'static str> {
    if ROOMS.contains(&name) {
        return Some(SERVICE);
    }
    person(name).map(|(_, _, domain)| domain)
}

fn person(name: &str) -> Option<(&'static str, Affiliation, &'static str)> {
    let initial = name.trim_end_matches(|c: char| c.is_ascii_digit());
    PEOPLE.into_iter().find(|(known, _, _)| *known == initial)
}
