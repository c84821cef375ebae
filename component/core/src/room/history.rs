//! Discussion history (XEP-0045 §7.2.13): the last messages, kept ready for newcomers, and who gets which.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};

use minidom::Element;

use super::view::{Item, user_x};
use super::{Room, Turn};
use crate::muc::{Role, Whois};
use crate::name::Jid;
use crate::ns;
use crate::record::{Message, Retraction, Seq};
use crate::stanza::element::{Build, el};
use crate::stanza::{Audience, Kind, Stanza, Type};
use crate::time::Utc;

/// The last messages, oldest first.
#[derive(Debug, Default)]
pub(super) struct History {
    kept: VecDeque<Kept>,
}

/// A message, and what a newcomer hears of it: made when the first one asks, then kept.
#[derive(Debug)]
struct Kept {
    message: Arc<Message>,
    delayed: OnceLock<Option<Stanza>>,
}

/// How much a newcomer wants to hear.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Wanted {
    stanzas_max: usize,
    chars_max: Option<usize>,
    since: Option<Utc>,
}

impl History {
    pub(super) fn push(&mut self, message: Arc<Message>, max: u32) {
        self.kept.push_back(Kept { message, delayed: OnceLock::new() });
        self.trim(max);
    }

    pub(super) fn trim(&mut self, max: u32) {
        let surplus = self.kept.len().saturating_sub(max as usize);
        self.kept.drain(..surplus);
    }

    /// Takes back what a message said.
    pub(super) fn retract(&mut self, retraction: &Retraction) {
        for kept in self.kept.iter_mut().filter(|kept| retraction.concerns(&kept.message)) {
            *kept = Kept { message: Arc::new(retraction.applied_to(&kept.message)), delayed: OnceLock::new() };
        }
    }

    /// The newest of them that is meant.
    pub(super) fn find(&self, is_meant: impl Fn(&Message) -> bool) -> Option<&Arc<Message>> {
        self.kept.iter().rev().map(|kept| &kept.message).find(|message| is_meant(message))
    }

    /// Lets go of what was said up to that place before that time.
    pub(super) fn expire(&mut self, upto: Seq, before: Utc) {
        self.kept.retain(|kept| kept.message.seq > upto || kept.message.at >= before);
    }

    /// When the last of them was said.
    pub(super) fn last_at(&self) -> Option<Utc> {
        self.kept.back().map(|kept| kept.message.at)
    }

    pub(super) fn len(&self) -> usize {
        self.kept.len()
    }

    pub(super) fn messages(&self) -> Vec<Arc<Message>> {
        self.kept.iter().map(|kept| kept.message.clone()).collect()
    }

    /// Whether one of the messages was said under this id.
    pub(super) fn has_said(&self, id: &str) -> bool {
        let messages = || self.kept.iter().rev().map(|kept| &*kept.message);
        messages().any(|message| message.origin_id.as_deref() == Some(id))
            || messages().filter_map(as_said).any(|said| said.id.as_deref() == Some(id))
    }

    /// The newest messages that fit what is wanted, oldest first.
    fn select(&self, wanted: &Wanted) -> impl Iterator<Item = &Kept> {
        let mut chars_left = wanted.chars_max.unwrap_or(usize::MAX);
        let fits = |kept: &&Kept| {
            let chars = kept.message.stanza_xml.chars().count();
            let fits = chars <= chars_left && wanted.since.is_none_or(|since| kept.message.at >= since);
            chars_left = chars_left.saturating_sub(chars);
            fits
        };
        let count = self.kept.iter().rev().take(wanted.stanzas_max).take_while(fits_once(fits)).count();
        self.kept.iter().skip(self.kept.len() - count)
    }
}

/// `take_while` borrows its items once more than the predicate above does.
fn fits_once<'a>(mut fits: impl FnMut(&&'a Kept) -> bool) -> impl FnMut(&&'a Kept) -> bool {
    move |kept| fits(kept)
}

impl Wanted {
    /// Reads `<history/>` in what the newcomer sent; what makes no sense there is as if it were not.
    pub(super) fn read(x: &Element, now: Utc, default_max: u32) -> Wanted {
        let history = x.get_child("history", ns::MUC);
        let number = |name: &str| history.and_then(|h| h.attr(name)).and_then(|text| text.trim().parse::<u32>().ok());
        let seconds = number("seconds").map(|seconds| Utc(now.0.saturating_sub(i64::from(seconds) * 1000)));
        let since = history.and_then(|h| h.attr("since")).and_then(|text| text.trim().parse::<Utc>().ok());
        let chars_max = number("maxchars").map(|chars| chars as usize);
        let is_unbounded = seconds.is_some() || since.is_some() || chars_max.is_some();
        let stanzas_max =
            number("maxstanzas").map_or(if is_unbounded { usize::MAX } else { default_max as usize }, |n| n as usize);
        Wanted { stanzas_max, chars_max, since: seconds.max(since) }
    }
}

impl Room {
    /// Tells the session `who` the history it wants, then the subject: exactly one, an empty one where none was
    /// ever set (§7.2.15).
    pub(super) fn tell_past(&self, who: &Jid, wanted: &Wanted, turn: &mut Turn<'_>) {
        let to = Audience::One(who.clone());
        for kept in self.history.select(wanted) {
            if let Some(stanza) = kept.delayed.get_or_init(|| self.delayed(&kept.message)) {
                turn.say(self.for_cisco(stanza.clone(), &kept.message), to.clone());
            }
        }
        let subject = self.subject.as_ref().and_then(|message| self.delayed(message));
        let none_yet =
            || Stanza::new(Kind::Message, Type::Groupchat, self.jid.as_jid().clone()).with(el("subject", ns::CLIENT));
        turn.say(subject.unwrap_or_else(none_yet), to);
    }

    /// The message as it is told later: with a stamp by the room (XEP-0203).
    fn delayed(&self, message: &Message) -> Option<Stanza> {
        let stamp = message.at.to_string();
        let delay = el("delay", ns::DELAY).with_attr("from", self.jid.as_str()).with_attr("stamp", stamp);
        Some(self.said(message)?.with(delay))
    }

    /// COMPAT(Cisco Jabber, 2026): what its own service puts on messages of the past: a mark, the older delay (XEP-0091),
    /// and who it was, where everybody may know.
    fn for_cisco(&self, stanza: Stanza, message: &Message) -> Stanza {
        if !self.rules.identity.is_cisco {
            return stanza;
        }
        let stamp: String = message.at.to_string().chars().take_while(|c| !matches!(c, '.' | 'Z')).collect();
        let delay =
            el("x", ns::LEGACY_DELAY).with_attr("from", self.jid.as_str()).with_attr("stamp", stamp.replace('-', ""));
        let stanza = stanza.with(delay).with(el("x", ns::CISCO_HISTORY));
        if self.config.whois != Whois::Anyone || message.nick.is_none() {
            return stanza;
        }
        let bare = message.sender.to_bare();
        let role = self.roster.of_user(&bare).map(|occupant| occupant.role).max().unwrap_or(Role::None);
        let jid = Some(message.sender.as_str());
        let item = Item { affiliation: self.affiliation(&bare), role, jid, ..Item::default() };
        stanza.with(user_x([item.to_element(ns::MUC_USER)], &[]))
    }

    /// The message as it was said, or what stands in its place.
    pub(super) fn said(&self, message: &Message) -> Option<Stanza> {
        if message.is_retracted() { self.retracted(message) } else { as_said(message) }
    }
}

/// The message as it was said; nothing of one taken back.
pub(super) fn as_said(message: &Message) -> Option<Stanza> {
    Stanza::from_xml(&message.stanza_xml).filter(|said| said.kind == Kind::Message)
}
