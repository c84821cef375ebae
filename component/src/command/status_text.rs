//! How `status` looks to a person: a paragraph and a table for each domain, one table of the nodes, one last sentence.

use tandem_muc_core::pair::State;

use super::status::{DomainView, DutyView, NodeView, PairStatus, Verdict};
use super::text::{Span, Text, Tone, at, lasting, plain, span};

impl PairStatus {
    pub(super) fn text(&self) -> Text {
        let mut text = Text::default();
        for domain in &self.domains {
            domain.write(&mut text);
            text.line(Vec::new());
        }
        let head = ["node", "version", "schema", "up since", "last beat", "http", ""];
        text.table(0, &head, self.nodes.iter().map(|node| node_row(node, &self.node)).collect());
        text.line(Vec::new());
        let tone = match self.verdict {
            Verdict::Good => Tone::Good,
            Verdict::Troubled => Tone::Warn,
            Verdict::Unserved => Tone::Bad,
        };
        text.line(vec![span(self.sentence.as_str(), tone)]);
        text
    }

    /// What does not change from beat to beat, a line for each domain: whoever watches is told when it changes.
    pub fn gist(&self) -> Vec<String> {
        self.domains.iter().map(DomainView::gist).collect()
    }
}

impl DomainView {
    fn write(&self, text: &mut Text) {
        let tone = if self.is_served { Tone::Good } else { Tone::Bad };
        text.line(vec![span(self.domain.as_str(), Tone::Strong), plain("  "), span(self.headline(), tone)]);
        for trouble in &self.troubles {
            text.line(vec![plain("  "), span(trouble.as_str(), if self.is_served { Tone::Warn } else { Tone::Bad })]);
        }
        for suspect in &self.suspected {
            text.line(vec![plain("  "), span(format!("node {suspect} is late with its beat"), Tone::Warn)]);
        }
        for order in &self.orders {
            text.line(vec![plain("  "), plain(format!("order of {}: {}", order.by, order.sentence()))]);
        }
        text.line(vec![plain("  "), span("on failover: ", Tone::Faint), plain(self.on_failover.as_str())]);
        let head = ["node", "state", "reason", "since", "fit", "last beat", "why"];
        text.table(2, &head, self.nodes.iter().map(|duty| self.duty_row(duty)).collect());
    }

    /// `served by a (home), epoch 7, for 42 min, L2 (relay), last gap 43 ms`.
    fn headline(&self) -> String {
        let Some(holder) = &self.holder else { return format!("not served; its home is {}", self.home) };
        let place = if *holder == self.home { "home".to_owned() } else { format!("its home is {}", self.home) };
        let mut parts = Vec::new();
        parts.push(if self.is_served {
            format!("served by {holder} ({place})")
        } else {
            format!("not served; the lease is {holder}'s ({place})")
        });
        parts.push(format!("epoch {}", self.epoch));
        parts.extend(self.lasting_ms.map(|lasting_ms| format!("for {}", lasting(lasting_ms))));
        parts.extend(self.level.map(|level| level_words(level).to_owned()));
        parts.extend(self.gap_ms.map(|gap| format!("last gap {}", lasting(gap))));
        parts.join(", ")
    }

    fn duty_row(&self, duty: &DutyView) -> Vec<Span> {
        let is_holder = self.holder.as_ref() == Some(&duty.node);
        let fit = if duty.is_fit { span("yes", Tone::Good) } else { span("no", Tone::Bad) };
        vec![
            plain(if is_holder { format!("{}*", duty.node) } else { duty.node.clone() }),
            state(&duty.state),
            plain(duty.reason.as_str()),
            plain(duty.since_ms.map_or_else(String::new, at)),
            fit,
            plain(duty.silent_ms.map_or_else(|| "never".to_owned(), lasting)),
            plain(duty.why.as_str()),
        ]
    }

    fn gist(&self) -> String {
        let standings = self.nodes.iter().map(|duty| {
            let fit = if duty.is_fit { "fit" } else { "not fit" };
            format!("{} {} ({}), {fit}", duty.node, duty.state, duty.reason)
        });
        let head = match (&self.holder, self.is_served) {
            (Some(holder), true) => format!("served by {holder} in epoch {}", self.epoch),
            (Some(holder), false) => format!("not served, the lease is {holder}'s in epoch {}", self.epoch),
            (None, _) => "not served".to_owned(),
        };
        let paused = if self.is_paused { "; paused" } else { "" };
        format!("{}: {head}; {}{paused}", self.domain, standings.collect::<Vec<_>>().join("; "))
    }
}

fn level_words(level: u8) -> &'static str {
    match level {
        0 => "L0 (bare server, not named Prosody)",
        1 => "L1 (server lets us replace: it names itself Prosody)",
        _ => "L2 (relay)",
    }
}

/// A state in its tone.
pub(super) fn state(words: &str) -> Span {
    let tone = match words.parse::<State>() {
        Ok(State::Normal) => Tone::Good,
        Ok(
            State::Initializing
            | State::Idle
            | State::RunningInBackupMode
            | State::TakingOver
            | State::FailingOver
            | State::FailedOver
            | State::TakingBack
            | State::FallingBack,
        ) => Tone::Warn,
        Ok(State::FailedOverUnfit | State::RunningInFailedMode | State::Unknown) | Err(_) => Tone::Bad,
    };
    span(words, tone)
}

fn node_row(node: &NodeView, asked: &str) -> Vec<Span> {
    let beat = node.silent_ms.map_or_else(|| "never".to_owned(), lasting);
    let remark = if node.node == asked { "asked" } else { "" };
    vec![
        plain(node.node.as_str()),
        plain(node.version.clone().unwrap_or_default()),
        plain(node.schema.map(|schema| schema.to_string()).unwrap_or_default()),
        plain(node.started_ms.map(at).unwrap_or_default()),
        span(beat, if node.is_alive { Tone::Plain } else { Tone::Bad }),
        plain(node.http.clone().unwrap_or_default()),
        span(remark, Tone::Faint),
    ]
}
