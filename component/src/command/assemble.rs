//! What the rows of the database mean: who speaks, who could, what is wrong, what a failover would do. Pure, so that
//! every situation can be tried.

use tandem_muc_core::pair::{Reason, State, seen_from_afar};

use super::Terms;
use super::order::OrderView;
use super::status::{DomainView, DutyView, NodeView, PairStatus, Verdict};
use super::text::lasting;
use super::troubles::{Case, disagreements};
use crate::store::{Bearings, DutySeen, LeaseSeen, NodeSeen};

/// A domain as the database has it.
#[derive(Clone, Debug)]
pub(super) struct Sighted {
    pub(super) domain: String,
    pub(super) lease: Option<LeaseSeen>,
    pub(super) bearings: Bearings,
    pub(super) duties: Vec<DutySeen>,
    pub(super) orders: Vec<OrderView>,
}

/// Puts what was seen together.
pub(super) fn assemble(terms: &Terms, database: String, nodes: &[NodeSeen], seen: &[Sighted]) -> PairStatus {
    let view = |name: &str| NodeView::of(name, nodes.iter().find(|node| node.node == name), terms.patience_ms);
    let mut names: Vec<&str> = std::iter::once(terms.node.as_str()).chain(terms.twin.as_deref()).collect();
    for node in nodes.iter().filter(|node| node.silent_ms <= terms.patience_ms) {
        if !names.contains(&node.node.as_str()) {
            names.push(&node.node);
        }
    }
    names.sort_unstable();
    let nodes: Vec<NodeView> = names.into_iter().map(view).collect();
    let domains: Vec<DomainView> = seen.iter().map(|seen| domain(terms, &nodes, seen)).collect();
    let verdict = domains.iter().map(verdict_on).max().unwrap_or(Verdict::Good);
    let sentence = sentence(&domains, verdict, terms);
    PairStatus { verdict, sentence, node: terms.node.clone(), twin: terms.twin.clone(), database, domains, nodes }
}

fn verdict_on(domain: &DomainView) -> Verdict {
    match (domain.is_served, domain.troubles.is_empty()) {
        (false, _) => Verdict::Unserved,
        (true, false) => Verdict::Troubled,
        (true, true) => Verdict::Good,
    }
}

fn sentence(domains: &[DomainView], verdict: Verdict, terms: &Terms) -> String {
    let among = |bad: &dyn Fn(&&DomainView) -> bool| {
        domains.iter().filter(bad).map(|domain| domain.domain.as_str()).collect::<Vec<_>>().join(", ")
    };
    match (verdict, &terms.twin) {
        (Verdict::Good, Some(_)) => "every domain is served and has a fit twin".to_owned(),
        (Verdict::Good, None) => "every domain is served; this node has no twin".to_owned(),
        (Verdict::Troubled, _) => format!("served, but look at {}", among(&|domain| !domain.troubles.is_empty())),
        (Verdict::Unserved, _) => format!("not served: {}", among(&|domain| !domain.is_served)),
    }
}

fn domain(terms: &Terms, nodes: &[NodeView], seen: &Sighted) -> DomainView {
    let own_home = terms.domains.iter().find(|(name, _)| *name == seen.domain).map(|(_, home)| home.as_str());
    let home = own_home.or_else(|| seen.duties.first().map(|seen| seen.duty.home.as_str())).unwrap_or(&terms.node);
    let home = home.to_owned();
    let holder = seen.lease.as_ref().and_then(|lease| lease.owner.clone());
    let is_lease_good = seen.lease.as_ref().is_some_and(|lease| lease.owner.is_some() && lease.expires_in_ms > 0);
    let speaks = holder.as_deref().filter(|_| is_lease_good);

    let mut names: Vec<&str> = Vec::new();
    if own_home.is_some() {
        names.extend(std::iter::once(terms.node.as_str()).chain(terms.twin.as_deref()));
    }
    let is_living = |seen: &&DutySeen| seen.silent_ms <= terms.patience_ms || Some(&seen.node) == holder.as_ref();
    for duty in seen.duties.iter().filter(is_living) {
        if !names.contains(&duty.node.as_str()) {
            names.push(&duty.node);
        }
    }
    names.sort_unstable();
    let duty_of = |name: &str| seen.duties.iter().find(|seen| seen.node == name);
    let duties: Vec<DutyView> = names.iter().map(|name| duty(terms, name, duty_of(name), (&home, speaks))).collect();

    let held = holder.as_deref().and_then(duty_of).filter(|_| is_lease_good);
    let is_served = is_lease_good && held.is_none_or(|held| is_speaking(&held.duty.state));
    let other = duties.iter().find(|duty| Some(duty.node.as_str()) != holder.as_deref());
    let has_twin = terms.twin.is_some() || duties.len() > 1;
    let disagreements = disagreements(terms, &seen.duties);
    let hindrance = other.and_then(|other| hindrance(terms, seen.bearings, other));
    let mut view = DomainView {
        domain: seen.domain.clone(),
        is_served,
        is_redundant: holder.is_some()
            && other.is_some_and(|other| other.is_fit)
            && disagreements.is_empty()
            && hindrance.is_none(),
        epoch: seen.lease.as_ref().map_or(0, |lease| lease.epoch.0),
        lease_ms: seen.lease.as_ref().filter(|lease| lease.owner.is_some()).map(|lease| lease.expires_in_ms),
        since_ms: held.map(|held| held.since_ms),
        lasting_ms: held.map(|held| held.lasting_ms),
        level: held.and_then(|held| held.duty.level),
        attachments: held.map_or_else(Vec::new, |held| held.duty.servers.lines().map(str::to_owned).collect()),
        gap_ms: held.and_then(|held| held.duty.gap_ms),
        is_paused: seen.bearings.is_paused,
        moves: seen.bearings.moves,
        moves_max: terms.twin.as_ref().map(|_| terms.moves_max),
        suspected: suspected(terms, &duties),
        on_failover: on_failover(
            holder.as_deref().filter(|_| is_served),
            other.filter(|_| has_twin),
            disagreements.first(),
            hindrance.as_deref(),
        ),
        troubles: Vec::new(),
        nodes: duties,
        orders: seen.orders.clone(),
        home,
        holder,
    };
    let case = Case { terms, nodes, seen, view: &view, is_ours: own_home.is_some(), has_twin };
    view.troubles = case.troubles(disagreements);
    view
}

/// Whether a node in this state is heard.
fn is_speaking(state: &str) -> bool {
    match state.parse::<State>() {
        Ok(State::Normal | State::RunningInBackupMode | State::FailingOver | State::FallingBack) => true,
        Ok(
            State::Initializing
            | State::Idle
            | State::TakingOver
            | State::FailedOver
            | State::FailedOverUnfit
            | State::TakingBack
            | State::RunningInFailedMode
            | State::Unknown,
        )
        | Err(_) => false,
    }
}

/// How a node stands, in its own words while it lives.
fn duty(terms: &Terms, name: &str, seen: Option<&DutySeen>, (home, speaks): (&str, Option<&str>)) -> DutyView {
    let is_served_by_other = speaks.is_some_and(|speaks| speaks != name);
    let Some(seen) = seen else {
        let state = seen_from_afar(State::Unknown, name == home, is_served_by_other);
        let why = "it has never told this database anything of this domain".to_owned();
        let (reason, unfit) = (Reason::PeerDownDuringInitialization, Some("it was never here".to_owned()));
        return DutyView {
            node: name.to_owned(),
            state: state.to_string(),
            reason: reason.to_string(),
            why,
            since_ms: None,
            is_fit: false,
            unfit,
            level: None,
            silent_ms: None,
        };
    };
    let duty = &seen.duty;
    let said = DutyView {
        node: name.to_owned(),
        state: duty.state.clone(),
        reason: duty.reason.clone(),
        why: duty.why.clone(),
        since_ms: Some(seen.since_ms),
        is_fit: duty.is_fit,
        unfit: duty.unfit.clone(),
        level: duty.level,
        silent_ms: Some(seen.silent_ms),
    };
    if seen.silent_ms <= terms.patience_ms {
        return said;
    }
    let silence = format!("no sign of it for {}", lasting(seen.silent_ms));
    let was = duty.state.parse().unwrap_or(State::Unknown);
    // Whoever stopped in good order has said so; of others the last words are told.
    let (reason, why) = match was {
        State::Unknown => (duty.reason.clone(), format!("{}; {silence}", duty.why)),
        State::Initializing
        | State::Idle
        | State::Normal
        | State::RunningInBackupMode
        | State::TakingOver
        | State::FailingOver
        | State::FailedOver
        | State::FailedOverUnfit
        | State::TakingBack
        | State::FallingBack
        | State::RunningInFailedMode => {
            (Reason::PeerDown.to_string(), format!("{silence}; it was last {}: {}", duty.state, duty.why))
        }
    };
    DutyView {
        state: seen_from_afar(was, name == home, is_served_by_other).to_string(),
        reason,
        why,
        is_fit: false,
        unfit: Some(silence),
        ..said
    }
}

/// Whose beat is late: more than two beats, not yet the patience.
fn suspected(terms: &Terms, duties: &[DutyView]) -> Vec<String> {
    let is_late = |duty: &&DutyView| {
        duty.silent_ms.is_some_and(|silent| silent > 2 * terms.beat_ms && silent <= terms.patience_ms)
    };
    duties.iter().filter(is_late).map(|duty| duty.node.clone()).collect()
}

/// Why the other node would not take over by itself, fit as it is.
fn hindrance(terms: &Terms, bearings: Bearings, other: &DutyView) -> Option<String> {
    if bearings.is_paused {
        return Some("automatic moves are paused".to_owned());
    }
    if other.state == State::Idle.as_str() {
        return Some(format!("node {} is idle until fallback", other.node));
    }
    let is_enough = terms.twin.is_some() && bearings.moves >= terms.moves_max;
    is_enough.then(|| "automatic moves have reached their limit".to_owned())
}

fn on_failover(
    speaks: Option<&str>,
    other: Option<&DutyView>,
    disagreement: Option<&String>,
    hindrance: Option<&str>,
) -> String {
    let Some(other) = other else { return "nothing could be moved: there is no twin".to_owned() };
    let name = &other.node;
    if let Some(why) = disagreement {
        return format!("it would be refused: {why}");
    }
    if !other.is_fit {
        let why = other.unfit.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        return format!("it would be refused: node {name} could not serve{why}");
    }
    match (hindrance, speaks) {
        (Some(why), _) => format!("only an order would move it to node {name}: {why}"),
        (None, Some(_)) => format!("node {name} would serve it: it is fit, last heard {} ago", silence(other)),
        (None, None) => {
            format!("node {name} takes it as soon as the lease is free: it is fit, last heard {} ago", silence(other))
        }
    }
}

fn silence(duty: &DutyView) -> String {
    duty.silent_ms.map_or_else(|| "never".to_owned(), lasting)
}
