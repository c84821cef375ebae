//! Mentions of somebody who is not inside (XEP-0452 v0.2.2): the message is forwarded to the account, as everyone heard it.
//!
//! Mentioned is who a reference points to (XEP-0372), by real JID or by the occupant JID of a kept nick, and whose kept
//! nick the text begins with. Only those on the room's lists are told, so often in an hour and so many of one message.

use std::collections::BTreeMap;

use super::super::{Room, Turn};
use crate::muc::Affiliation;
use crate::name::{BareJid, Jid, Nick};
use crate::ns;
use crate::record::{Message, MessageKind};
use crate::stanza::element::{Build, el};
use crate::stanza::{Audience, Kind, Stanza, Type};
use crate::time::Utc;

/// Users told of one message at most.
const MENTIONED_MAX: usize = 10;
/// References of one message that are looked at.
const REFERENCES_MAX: usize = 50;
const HOUR_MS: i64 = 3_600_000;

/// How often users were told in this hour.
#[derive(Debug, Default)]
pub(super) struct Mentions {
    hour: i64,
    told: BTreeMap<BareJid, u32>,
}

impl Mentions {
    /// Whether `who` may be told once more.
    fn admit(&mut self, who: &BareJid, now: Utc, max: u32) -> bool {
        let hour = now.0.div_euclid(HOUR_MS);
        if hour != self.hour {
            *self = Mentions { hour, told: BTreeMap::new() };
        }
        let told = self.told.entry(who.clone()).or_default();
        *told = told.saturating_add(1);
        *told <= max
    }
}

impl Room {
    /// Forwards `said` to those it mentions who are not inside.
    pub(super) fn forward_to_mentioned(&mut self, said: &Stanza, message: &Message, turn: &mut Turn<'_>) {
        for who in self.mentioned(said, message) {
            if self.absent.mentions.admit(&who, turn.now.utc, self.rules.mentions_per_hour) {
                self.forward(&who, said, message, turn);
            }
        }
    }

    pub(super) fn forward(&self, who: &BareJid, said: &Stanza, message: &Message, turn: &mut Turn<'_>) {
        let delay = el("delay", ns::DELAY).with_attr("stamp", message.at.to_string());
        let forwarded = el("forwarded", ns::FORWARD).with_child(delay).with_child(self.as_heard(said));
        let stanza = Stanza::new(Kind::Message, Type::None, self.jid.as_jid().clone())
            .with_id(Some(turn.id()))
            .with(el("mentions", ns::MENTIONS).with_child(forwarded))
            .with(el("store", ns::HINTS));
        turn.say(stanza, Audience::One(who.as_jid().clone()));
    }

    /// The message as an element, addressed to the room.
    fn as_heard(&self, said: &Stanza) -> minidom::Element {
        let mut element = el("message", ns::CLIENT)
            .with_attr("type", "groupchat")
            .with_attr("from", said.from.as_str())
            .with_attr("to", self.jid.as_str())
            .with_attr_opt("id", said.id.as_deref());
        if let Some(lang) = &said.lang {
            element = element.with_lang(lang.clone());
        }
        said.payload.iter().fold(element, |element, child| element.with_child(child.clone()))
    }

    /// Those on the lists whom `said` mentions and who are not inside.
    pub(super) fn mentioned(&self, said: &Stanza, message: &Message) -> Vec<BareJid> {
        if !self.config.forwards_mentions || message.kind != MessageKind::Speech {
            return Vec::new();
        }
        let named = message.body.as_deref().map(|body| self.named_at_start(body)).unwrap_or_default();
        let references = said.payload.iter().filter(|child| child.is("reference", ns::REFERENCE));
        let mentions = references.filter(|reference| reference.attr("type") == Some("mention")).take(REFERENCES_MAX);
        let referred = mentions.filter_map(|reference| self.referred(reference.attr("uri")?));
        let mut found: Vec<BareJid> = Vec::new();
        for who in named.into_iter().chain(referred) {
            let is_told = !message.sender.is_same_bare(who.as_jid()) && self.is_away(&who) && self.may_know_of(&who);
            if is_told && !found.contains(&who) && found.len() < MENTIONED_MAX {
                found.push(who);
            }
        }
        found
    }

    /// Whose kept nick the text begins with: up to a colon or comma, or as its first word, with or without an at sign.
    fn named_at_start(&self, body: &str) -> Option<BareJid> {
        let body = body.strip_prefix('@').unwrap_or(body);
        let start: String = body.chars().take(self.rules.nick_chars_max.saturating_add(1)).collect();
        let ends = [
            start.find([':', ',']),
            start.find(char::is_whitespace),
            (start.len() == body.len()).then_some(start.len()),
        ];
        ends.into_iter().flatten().find_map(|end| {
            let nick = Nick::parse(&start[..end]).ok()?;
            self.reserved.get(nick.key()).cloned()
        })
    }

    /// Whom on the lists a URI means: a user, or the keeper of a nick.
    fn referred(&self, uri: &str) -> Option<BareJid> {
        let address = uri.strip_prefix("xmpp:")?.split(['?', '#']).next()?;
        let jid = Jid::parse(&decoded(address)?).ok()?;
        if jid.is_same_bare(self.jid.as_jid()) {
            return self.reserved.get(Nick::parse(jid.resource()?).ok()?.key()).cloned();
        }
        let entry = self.affiliations.get(&jid.to_bare())?;
        let is_user = entry.who.local().is_some() && entry.affiliation != Affiliation::Outcast;
        is_user.then(|| entry.who.clone())
    }
}

/// The text of a part of a URI (RFC 3986 §2.1).
fn decoded(part: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
            let (high, low) = (digit(rest.next())?, digit(rest.next())?);
            bytes.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}
