//! `history`: what happened to the pair and what it cost.

use serde::Serialize;
use tandem_muc_core::time::Utc;

use super::text::{self, Span, Text, Tone, lasting, plain, span};
use super::{Desk, EVENTS, EVENTS_MAX, Refusal, Request};
use crate::store::EventSeen;

/// Events, the newest last.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct History {
    /// Each of them.
    pub events: Vec<EventView>,
}

/// One change of a node's state.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct EventView {
    /// Unlike any other's; later ones are greater.
    pub id: String,
    /// When, as XEP-0082 has it, by the database's clock.
    pub at: String,
    /// The same in milliseconds since 1970.
    pub at_ms: i64,
    /// Whose state.
    pub node: String,
    /// For which service domain.
    pub domain: String,
    /// The state before; empty for none.
    pub from: String,
    /// The state after.
    pub to: String,
    /// Why, in fixed words.
    pub reason: String,
    /// Why, in a sentence.
    pub why: String,
    /// The reign it began or ended.
    pub epoch: i64,
    /// How long it took to notice.
    pub detect_ms: Option<u64>,
    /// How long nobody served.
    pub gap_ms: Option<u64>,
    /// Messages said again, ids unchanged.
    pub repeated: Option<u64>,
    /// Stanzas that had waited and were handled.
    pub replayed: Option<u64>,
    /// Stanzas that had waited too long and were answered with an error.
    pub bounced: Option<u64>,
    /// Who ordered it.
    pub operator: Option<String>,
}

impl Desk {
    pub(super) async fn history(&self, request: &Request) -> Result<History, Refusal> {
        let max = request.max.unwrap_or(EVENTS);
        if max == 0 || max > EVENTS_MAX {
            return Err(Refusal::Senseless(format!("max is {max}; it may be 1 to {EVENTS_MAX}")));
        }
        let domain = match &request.domain {
            Some(domain) => self.terms.wanted(Some(domain))?.first().copied(),
            None => None,
        };
        let mut seen = self.store.events(domain, max).await?;
        seen.reverse();
        Ok(History { events: seen.into_iter().map(view).collect() })
    }
}

fn view(seen: EventSeen) -> EventView {
    let EventSeen { at_ms, event } = seen;
    EventView {
        id: event.id,
        at: Utc(at_ms).to_string(),
        at_ms,
        node: event.node,
        domain: event.service,
        from: event.from,
        to: event.to,
        reason: event.reason,
        why: event.why,
        epoch: event.epoch.0,
        detect_ms: event.detect_ms,
        gap_ms: event.gap_ms,
        repeated: event.repeated,
        replayed: event.replayed,
        bounced: event.bounced,
        operator: event.operator,
    }
}

impl History {
    pub(super) fn text(&self) -> Text {
        let mut text = Text::default();
        if self.events.is_empty() {
            text.line(vec![plain("nothing has happened yet")]);
            return text;
        }
        let rows = self.events.iter().map(row).collect();
        text.table(0, &["at", "domain", "node", "state", "reason", "epoch", "cost", "why"], rows);
        text
    }
}

fn row(event: &EventView) -> Vec<Span> {
    let why = match &event.operator {
        Some(operator) if !event.why.contains(operator.as_str()) => format!("{} ({operator})", event.why),
        Some(_) | None => event.why.clone(),
    };
    vec![
        plain(text::at(event.at_ms)),
        plain(event.domain.as_str()),
        plain(event.node.as_str()),
        super::status_text::state(&event.to),
        plain(event.reason.as_str()),
        plain(event.epoch.to_string()),
        cost(event),
        plain(why),
    ]
}

/// `gap 43 ms (noticed in 4 ms), 2 repeated, 7 replayed, 1 bounced`.
fn cost(event: &EventView) -> Span {
    let mut parts = Vec::new();
    if let Some(gap) = event.gap_ms {
        let noticed = event.detect_ms.map(|detect| format!(" (noticed in {})", lasting(detect))).unwrap_or_default();
        parts.push(format!("gap {}{noticed}", lasting(gap)));
    }
    let counts = [(event.repeated, "repeated"), (event.replayed, "replayed"), (event.bounced, "bounced")];
    for (count, word) in counts {
        if let Some(count) = count.filter(|count| *count > 0) {
            parts.push(format!("{count} {word}"));
        }
    }
    let is_costly = event.bounced.is_some_and(|bounced| bounced > 0);
    span(parts.join(", "), if is_costly { Tone::Warn } else { Tone::Plain })
}
