//! How much is said in the room (XEP-0502 v0.1.0 MUC Activity Indicator): messages an hour, counted by the hour over the
//! last day as they are said. A room that was loaded knows of as much as its history reaches back.

use std::collections::VecDeque;

use super::Room;
use super::history::History;
use crate::ns;
use crate::record::{Message, MessageKind};
use crate::time::Utc;

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// What was said by the hour.
#[derive(Debug, Default)]
pub(super) struct Pulse {
    /// The number of the hour, and how much was said in it; 25 hours at most.
    hours: VecDeque<(i64, u32)>,
    /// Everything said from here on is counted.
    since: Option<Utc>,
}

impl Pulse {
    /// Of a room that begins at this time.
    pub(super) fn from(since: Utc) -> Pulse {
        Pulse { hours: VecDeque::new(), since: Some(since) }
    }

    /// Of a room that was created at this time and remembers this; `is_whole` where nothing older is left out.
    pub(super) fn restored(created_at: Utc, history: &History, is_whole: bool) -> Pulse {
        let kept = history.messages();
        let since = if is_whole { Some(created_at) } else { kept.first().map(|message| message.at) };
        let mut pulse = Pulse { hours: VecDeque::new(), since };
        for message in &kept {
            pulse.beat(message);
        }
        pulse
    }

    /// Counts a message with a text that is no correction of another.
    pub(super) fn beat(&mut self, message: &Message) {
        let is_text = message.kind == MessageKind::Speech && (message.body.is_some() || message.is_retracted());
        if !is_text || message.stanza_xml.contains(ns::CORRECT) {
            return;
        }
        self.since.get_or_insert(message.at);
        let hour = message.at.0.div_euclid(HOUR_MS);
        match self.hours.back_mut() {
            Some((last, count)) if *last >= hour => *count = count.saturating_add(1),
            Some(_) | None => self.hours.push_back((hour, 1)),
        }
        while self.hours.front().is_some_and(|(first, _)| *first < hour - 24) {
            self.hours.pop_front();
        }
    }

    /// Messages an hour in hundredths, over the last day or as much of it as is known, an hour at least.
    fn hundredths_an_hour(&self, now: Utc) -> Option<i64> {
        let from = self.since?.0.max(now.0.saturating_sub(DAY_MS));
        let span_ms = now.0.saturating_sub(from).clamp(HOUR_MS, DAY_MS);
        let recent = self.hours.iter().filter(|(hour, _)| (hour + 1).saturating_mul(HOUR_MS) > from);
        let said: i64 = recent.map(|(_, count)| i64::from(*count)).sum();
        Some(said.saturating_mul(100 * HOUR_MS) / span_ms)
    }
}

impl Room {
    /// Messages an hour, for everyone who may walk in: of other rooms nobody is told (§8 of the XEP).
    pub(super) fn told_activity(&self, now: Utc) -> Option<String> {
        let config = &self.config;
        let is_open = config.is_persistent && config.is_public && !config.is_members_only && config.password.is_none();
        let hundredths = self.pulse.hundredths_an_hour(now).filter(|_| is_open)?;
        Some(format!("{}.{:02}", hundredths / 100, hundredths % 100))
    }
}
