//! What is not as it should be with a domain: a sentence each, with what to do where that is not plain.

use tandem_muc_core::pair::State;

use super::Terms;
use super::assemble::Sighted;
use super::status::{DomainView, DutyView, NodeView};
use crate::store::{DutySeen, SqlStore};

/// A domain under the eyes of an operator.
#[derive(Clone, Copy)]
pub(super) struct Case<'a> {
    pub(super) terms: &'a Terms,
    pub(super) nodes: &'a [NodeView],
    pub(super) seen: &'a Sighted,
    pub(super) view: &'a DomainView,
    /// Whether our configuration has the domain.
    pub(super) is_ours: bool,
    /// Whether there should be another node for it.
    pub(super) has_twin: bool,
}

impl Case<'_> {
    /// All of it, the worst first.
    pub(super) fn troubles(&self, disagreements: Vec<String>) -> Vec<String> {
        let mut troubles = Vec::new();
        troubles.extend(self.silence());
        troubles.extend(disagreements);
        troubles.extend(self.detached());
        troubles.extend(self.lonely());
        troubles.extend(self.operators());
        troubles.extend(self.strangers());
        troubles.extend(self.schemas());
        troubles
    }

    /// Why nobody speaks.
    fn silence(&self) -> Option<String> {
        let view = self.view;
        if view.is_served {
            return None;
        }
        let Some(holder) = &view.holder else { return Some("nobody holds the lease".to_owned()) };
        if view.lease_ms.is_some_and(|left_ms| left_ms <= 0) {
            return Some(format!("the lease of node {holder} has run out and nobody took it"));
        }
        let standing = view.nodes.iter().find(|duty| duty.node == *holder);
        let words = standing.map(|duty| format!("{} ({}): {}", duty.state, duty.reason, duty.why));
        Some(format!("node {holder} holds the lease and does not speak: {}", words.unwrap_or_default()))
    }

    /// Relays that are away while another serves.
    fn detached(&self) -> Vec<String> {
        let away = self.view.attachments.iter().filter(|attachment| attachment.contains(": away: "));
        away.cloned().collect()
    }

    /// Why there is nobody to take over.
    fn lonely(&self) -> Vec<String> {
        let others = self.view.nodes.iter().filter(|duty| Some(&duty.node) != self.view.holder.as_ref());
        let unfit = others.filter(|duty| self.has_twin && self.view.holder.is_some() && !duty.is_fit);
        unfit
            .map(|duty| {
                let why = duty.unfit.as_deref().unwrap_or("it does not say why");
                format!("node {} could not take it over: {why}", duty.node)
            })
            .collect()
    }

    /// What waits for an operator.
    fn operators(&self) -> Vec<String> {
        let mut found = Vec::new();
        if self.view.is_paused {
            found.push("automatic moves are paused; resume allows them again".to_owned());
        }
        let is_idle = |duty: &&DutyView| duty.state == State::Idle.as_str() && duty.is_fit;
        found.extend(self.view.nodes.iter().filter(is_idle).map(|duty| {
            format!("node {} is idle: an operator moved the domain away; fallback brings it back", duty.node)
        }));
        if self.view.moves_max.is_some_and(|most| self.view.moves >= most) {
            let minutes = self.terms.moves_within_ms / 60_000;
            let moves = self.view.moves;
            found.push(format!(
                "{moves} automatic moves within {minutes} min are enough: no more by itself until recover"
            ));
        }
        found
    }

    /// Who should not be here, or is missing in our configuration.
    fn strangers(&self) -> Vec<String> {
        let terms = self.terms;
        if !self.is_ours {
            return vec![format!(
                "the configuration of node {} does not have this domain; add it there as a [[service]]",
                terms.node
            )];
        }
        let is_strange = |seen: &&DutySeen| seen.node != terms.node && Some(&seen.node) != terms.twin.as_ref();
        living(terms, &self.seen.duties)
            .filter(is_strange)
            .map(|seen| format!("node {} claims it too, and is neither node {} nor its twin", seen.node, terms.node))
            .collect()
    }

    /// Who has another version's schema.
    fn schemas(&self) -> Vec<String> {
        let is_concerned =
            |node: &&NodeView| node.is_alive && self.view.nodes.iter().any(|duty| duty.node == node.node);
        let wanted = SqlStore::SCHEMA;
        let other = |node: &NodeView| node.schema.filter(|schema| *schema != wanted);
        self.nodes
            .iter()
            .filter(is_concerned)
            .filter_map(|node| {
                let schema = other(node)?;
                Some(format!("node {} knows schema {schema}, this program {wanted}; finish the upgrade", node.node))
            })
            .collect()
    }
}

fn living<'a>(terms: &'a Terms, seen: &'a [DutySeen]) -> impl Iterator<Item = &'a DutySeen> {
    seen.iter().filter(|seen| seen.silent_ms <= terms.patience_ms)
}

/// What the two configurations have to agree on and do not: while that is so, no node gives the other the domain.
pub(super) fn disagreements(terms: &Terms, seen: &[DutySeen]) -> Vec<String> {
    let is_ours = |seen: &&DutySeen| seen.node == terms.node || Some(&seen.node) == terms.twin.as_ref();
    let both: Vec<&DutySeen> = living(terms, seen).filter(is_ours).collect();
    let [one, other] = both[..] else { return Vec::new() };
    let mut found = Vec::new();
    if one.duty.home != other.duty.home {
        let homes = format!("{} has {}, {} has {}", one.node, one.duty.home, other.node, other.duty.home);
        found.push(format!("the nodes disagree on its home ({homes}); make home the same in both files"));
    }
    if one.duty.secret_tag != other.duty.secret_tag {
        found.push("the nodes have different secrets for it; make secret the same in both files".to_owned());
    }
    for (this, that) in [(one, other), (other, one)] {
        if this.duty.twin.as_ref() != Some(&that.node) {
            let named = this.duty.twin.as_deref().unwrap_or("nobody");
            let (this, that) = (&this.node, &that.node);
            found.push(format!("node {this} has {named} as its twin, not {that}; correct [pair] twin in its file"));
        }
    }
    found
}
