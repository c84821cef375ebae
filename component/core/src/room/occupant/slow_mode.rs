//! Slow mode (XEP-0500 v0.1.1): the time between two messages of one user, whatever client or nick it speaks from. Admins
//! and owners speak as they like.
//!
//! When somebody spoke last is known from the history, so it survives a takeover; what the history does not show - what
//! is not kept, or was pushed out of it - is remembered for as long as the room is in memory.

use std::collections::BTreeMap;

use super::super::Room;
use super::super::refusal::Refusal;
use super::super::roster::Occupant;
use crate::muc::Affiliation;
use crate::name::BareJid;
use crate::record::MessageKind;
use crate::time::Utc;

/// The most users remembered beside the history.
const REMEMBERED_MAX: usize = 10_000;
/// As many are remembered before the first look for those who may go.
const REMEMBERED_MIN: usize = 64;

/// When users spoke last.
#[derive(Debug, Default)]
pub(in super::super) struct LastWords {
    at: BTreeMap<BareJid, Utc>,
    /// With so many it is looked for those who may go.
    look_at: usize,
}

impl LastWords {
    /// `who` spoke; those who spoke before `since` are forgotten now and then.
    pub(super) fn note(&mut self, who: &BareJid, now: Utc, since: Utc) {
        if self.at.len() >= self.look_at.max(REMEMBERED_MIN) {
            self.at.retain(|_, at| *at >= since);
            self.look_at = self.at.len() * 2;
        }
        if self.at.len() < REMEMBERED_MAX || self.at.contains_key(who) {
            self.at.insert(who.clone(), now);
        }
    }

    /// When `who` spoke last, as far as is remembered.
    pub(super) fn of(&self, who: &BareJid) -> Option<Utc> {
        self.at.get(who).copied()
    }
}

impl Room {
    /// Refuses a text that comes too soon after the speaker's last one.
    pub(in super::super) fn must_be_unhurried(&self, speaker: &Occupant, now: Utc) -> Result<(), Refusal> {
        let wait_ms = self.slow_mode_ms();
        if wait_ms == 0 || self.affiliation(&speaker.bare) >= Affiliation::Admin {
            return Ok(());
        }
        let Some(last) = self.last_words_at(&speaker.bare) else { return Ok(()) };
        // The clock of another node may have been ahead of ours.
        let left_ms = last.0.saturating_add(wait_ms).saturating_sub(now.0).min(wait_ms);
        if left_ms <= 0 {
            return Ok(());
        }
        let left_seconds = left_ms.saturating_add(999) / 1_000;
        Err(Refusal::TooSoon { seconds: wait_ms / 1_000, left_seconds })
    }

    /// Remembers that `who` has spoken, where that matters.
    pub(in super::super) fn note_words(&mut self, who: &BareJid, now: Utc) {
        let wait_ms = self.slow_mode_ms();
        if wait_ms > 0 {
            self.last_words.note(who, now, Utc(now.0.saturating_sub(wait_ms)));
        }
    }

    fn slow_mode_ms(&self) -> i64 {
        i64::from(self.rules.bounds().slow_mode_seconds(&self.config)) * 1_000
    }

    fn last_words_at(&self, who: &BareJid) -> Option<Utc> {
        let kept = self.history.find(|message| {
            let is_text = message.body.is_some() || message.is_retracted();
            message.kind == MessageKind::Speech && is_text && message.sender.is_same_bare(who.as_jid())
        });
        kept.map(|message| message.at).max(self.last_words.of(who))
    }
}
