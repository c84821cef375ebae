//! Whom a service keeps out of all its rooms: users, whole domains, patterns.

use std::collections::BTreeSet;

use crate::name::{BareJid, Jid};

/// The most entries.
const ENTRIES_MAX: usize = 10_000;
/// The most patterns: each is held against everybody who comes.
const PATTERNS_MAX: usize = 100;
/// Stands for any text in a pattern.
const ANY: char = '*';

/// A list of those who are kept out.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Blocked {
    users: BTreeSet<BareJid>,
    domains: BTreeSet<String>,
    patterns: Vec<String>,
}

impl Blocked {
    /// Reads entries: `user@domain`, `domain` with all below it, or either with `*` for any text.
    ///
    /// # Errors
    /// The sentence that says what is wrong with which entry.
    pub fn parse<'a>(entries: impl IntoIterator<Item = &'a str>) -> Result<Blocked, String> {
        let mut blocked = Blocked::default();
        for entry in entries.into_iter().map(str::trim) {
            if entry.contains(ANY) {
                if entry.chars().all(|c| matches!(c, ANY | '@' | '.')) {
                    return Err(format!("{entry:?} would keep everybody out"));
                }
                blocked.patterns.push(entry.to_lowercase());
            } else {
                let jid = Jid::parse(entry).map_err(|why| format!("{entry:?} is no JID: {why}"))?;
                if jid.local().is_none() {
                    blocked.domains.insert(jid.domain().to_owned());
                } else {
                    blocked.users.insert(jid.to_bare());
                }
            }
        }
        if blocked.patterns.len() > PATTERNS_MAX {
            return Err(format!("{} patterns; {PATTERNS_MAX} are the most", blocked.patterns.len()));
        }
        let entries = blocked.users.len() + blocked.domains.len();
        if entries > ENTRIES_MAX {
            return Err(format!("{entries} entries; {ENTRIES_MAX} are the most"));
        }
        Ok(blocked)
    }

    /// Whether nobody is kept out.
    pub fn is_empty(&self) -> bool {
        self.users.is_empty() && self.domains.is_empty() && self.patterns.is_empty()
    }

    /// Whether `who` is kept out.
    pub fn has(&self, who: &BareJid) -> bool {
        if self.is_empty() {
            return false;
        }
        self.users.contains(who)
            || self.has_domain(who.domain())
            || self.patterns.iter().any(|pattern| {
                let text = if pattern.contains('@') { who.as_str() } else { who.domain() };
                fits(pattern, text)
            })
    }

    fn has_domain(&self, domain: &str) -> bool {
        let mut rest = Some(domain);
        while let Some(domain) = rest {
            if self.domains.contains(domain) {
                return true;
            }
            rest = domain.split_once('.').map(|(_, parent)| parent);
        }
        false
    }
}

/// Whether `text` is what `pattern` says; in time proportional to both, whatever they are.
fn fits(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split(ANY);
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, between)) = parts.split_last() else { return rest.is_empty() };
    for part in between {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has(entries: &[&str], who: &str) -> bool {
        Blocked::parse(entries.iter().copied()).expect("a list").has(&BareJid::parse(who).expect("a JID"))
    }

    #[test]
    fn users_domains_and_what_lies_below_them() {
        let list = ["Spammer@good.example", "evil.example"];
        assert!(has(&list, "spammer@good.example") && !has(&list, "friend@good.example"));
        assert!(has(&list, "x@evil.example") && has(&list, "x@deep.below.evil.example"));
        assert!(!has(&list, "x@notevil.example") && !has(&list, "x@example"));
        assert!(!has(&[], "x@evil.example"));
    }

    #[test]
    fn patterns_hold_against_user_or_domain() {
        assert!(has(&["bot*@good.example"], "bot17@good.example"));
        assert!(!has(&["bot*@good.example"], "robot@good.example"));
        assert!(has(&["*.spam.example"], "x@a.b.spam.example") && !has(&["*.spam.example"], "x@spam.example"));
        assert!(has(&["a*b*c@d"], "aXbYc@d") && !has(&["a*b*c@d"], "aXc@d"));
        assert!(!has(&["ab*ba@d"], "aba@d"), "what stands for one thing stands not for another");
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        assert!(Blocked::parse(["*"]).is_err() && Blocked::parse(["*@*.*"]).is_err());
        assert!(Blocked::parse(["@"]).is_err());
        let many: Vec<String> = (0..=PATTERNS_MAX).map(|nth| format!("x{nth}*@d")).collect();
        assert!(Blocked::parse(many.iter().map(String::as_str)).is_err());
    }
}
