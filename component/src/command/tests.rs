//! What the rows of the database mean, tried situation by situation; and what is promised of the words.

use super::assemble::{Sighted, assemble};
use super::status::{PairStatus, Verdict};
use super::*;
use crate::store::{Bearings, Duty, DutySeen, Epoch, LeaseSeen, NodeSeen};

const DOMAIN: &str = "conference.example.org";

fn terms() -> Terms {
    Terms {
        node: "a".to_owned(),
        twin: Some("b".to_owned()),
        domains: vec![(DOMAIN.to_owned(), "a".to_owned())],
        patience_ms: 3_000,
        beat_ms: 500,
        moves_max: 3,
        moves_within_ms: 600_000,
    }
}

fn node(name: &str, silent_ms: u64) -> NodeSeen {
    NodeSeen {
        node: name.to_owned(),
        incarnation: "i".to_owned(),
        pid: 42,
        version: "0.1.0".to_owned(),
        schema: SqlStore::SCHEMA,
        http: None,
        is_paused: false,
        started_ms: 0,
        beat_ms: 0,
        silent_ms,
    }
}

fn duty(name: &str, state: &str, silent_ms: u64) -> DutySeen {
    let twin = if name == "a" { "b" } else { "a" };
    let duty = Duty {
        service: DOMAIN.to_owned(),
        home: "a".to_owned(),
        twin: Some(twin.to_owned()),
        state: state.to_owned(),
        reason: "Initialization".to_owned(),
        why: "a sentence".to_owned(),
        is_fit: true,
        unfit: None,
        level: Some(2),
        epoch: Epoch(7),
        gap_ms: Some(43),
        secret_tag: "00000000".to_owned(),
        servers: String::new(),
    };
    DutySeen { node: name.to_owned(), duty, since_ms: 0, lasting_ms: 61_000, silent_ms }
}

fn lease(owner: Option<&str>, expires_in_ms: i64) -> LeaseSeen {
    LeaseSeen {
        owner: owner.map(str::to_owned),
        epoch: Epoch(7),
        expires_ms: 0,
        expires_in_ms,
        fence_epoch: Epoch(7),
        seq: 0,
        mark: 0,
        inbound: None,
    }
}

fn sighted(lease: Option<LeaseSeen>, duties: Vec<DutySeen>) -> Sighted {
    Sighted { domain: DOMAIN.to_owned(), lease, bearings: Bearings::default(), duties, orders: Vec::new() }
}

fn well() -> Sighted {
    sighted(Some(lease(Some("a"), 1_500)), vec![duty("a", "Normal", 100), duty("b", "Normal", 120)])
}

fn status(seen: Sighted) -> PairStatus {
    let nodes: Vec<_> = seen.duties.iter().map(|duty| node(&duty.node, duty.silent_ms)).collect();
    assemble(&terms(), "the database".to_owned(), &nodes, &[seen])
}

/// The one sentence about the one domain.
fn trouble(status: &PairStatus) -> &str {
    assert_eq!(status.domains[0].troubles.len(), 1, "{:?}", status.domains[0].troubles);
    &status.domains[0].troubles[0]
}

#[test]
fn a_pair_that_is_well_has_no_troubles() {
    let status = status(well());
    assert_eq!((status.verdict, &status.domains[0].troubles), (Verdict::Good, &Vec::new()));
    assert_eq!(status.domains[0].on_failover, "node b would serve it: it is fit, last heard 120 ms ago");
    let text = status.text().to_string();
    assert!(
        text.starts_with(
            "conference.example.org  served by a (home), epoch 7, for 61 s, L2 (relay), last gap 43 ms\n  on failover: "
        ),
        "{text}"
    );
    assert!(text.contains("  a*    Normal  Initialization"), "{text}");
    assert!(text.ends_with("every domain is served and has a fit twin\n"), "{text}");
}

#[test]
fn every_attachment_is_shown_and_one_that_is_lost_is_a_trouble() {
    let mut seen = well();
    seen.duties[0].duty.servers =
        "L2 relay 10.0.0.1:5348: heard, spoken through\nL2 relay 10.0.0.2:5348: heard".to_owned();
    let told = status(seen.clone());
    assert_eq!((told.verdict, told.domains[0].attachments.len()), (Verdict::Good, 2));
    assert!(told.text().to_string().contains("\n  attached: L2 relay 10.0.0.2:5348: heard\n"), "{}", told.text());
    seen.duties[0].duty.servers =
        "L2 relay 10.0.0.1:5348: heard, spoken through\nrelay 10.0.0.2:5348: away: why".to_owned();
    let told = status(seen);
    assert_eq!((told.verdict, trouble(&told)), (Verdict::Troubled, "relay 10.0.0.2:5348: away: why"));
}

#[test]
fn a_silent_twin_is_told_by_the_other_and_is_not_fit() {
    let status = status(sighted(
        Some(lease(Some("b"), 1_500)),
        vec![duty("a", "Normal", 40_000), duty("b", "Running in Backup Mode", 100)],
    ));
    assert_eq!(status.verdict, Verdict::Troubled);
    let domain = &status.domains[0];
    assert!(domain.is_served && !domain.is_redundant);
    assert_eq!(domain.nodes[0].state, "Failed Over with Critical Services Not Running");
    assert_eq!(domain.nodes[0].reason, "Peer Down");
    assert_eq!(trouble(&status), "node a could not take it over: no sign of it for 40 s");
    assert_eq!(domain.on_failover, "it would be refused: node a could not serve: no sign of it for 40 s");
}

#[test]
fn both_dead_is_not_served_and_nobody_seems_to_live() {
    let status =
        status(sighted(Some(lease(Some("a"), -9_000)), vec![duty("a", "Normal", 9_500), duty("b", "Normal", 9_400)]));
    assert_eq!(status.verdict, Verdict::Unserved);
    assert!(status.nodes.iter().all(|node| !node.is_alive));
    assert_eq!(status.domains[0].troubles[0], "the lease of node a has run out and nobody took it");
    assert_eq!(status.domains[0].nodes[1].state, "Unknown");
}

#[test]
fn whoever_stopped_in_good_order_keeps_its_own_words() {
    let mut stopped = duty("a", "Unknown", 60_000);
    stopped.duty.reason = "On Admin Request".to_owned();
    stopped.duty.why = "stopped in good order".to_owned();
    let status =
        status(sighted(Some(lease(Some("b"), 1_500)), vec![stopped, duty("b", "Running in Backup Mode", 100)]));
    assert_eq!(status.domains[0].nodes[0].reason, "On Admin Request");
    assert_eq!(status.domains[0].nodes[0].why, "stopped in good order; no sign of it for 60 s");
}

#[test]
fn a_holder_that_does_not_speak_is_not_served_by() {
    let status = status(sighted(
        Some(lease(Some("a"), 1_500)),
        vec![duty("a", "Running in Failed Mode", 100), duty("b", "Normal", 100)],
    ));
    assert_eq!(status.verdict, Verdict::Unserved);
    let what = "node a holds the lease and does not speak: Running in Failed Mode (Initialization): a sentence";
    assert_eq!(trouble(&status), what);
}

#[test]
fn a_late_beat_is_a_suspicion_and_no_trouble() {
    let status =
        status(sighted(Some(lease(Some("a"), 1_500)), vec![duty("a", "Normal", 100), duty("b", "Normal", 1_600)]));
    assert_eq!((status.verdict, &status.domains[0].suspected), (Verdict::Good, &vec!["b".to_owned()]));
}

#[test]
fn what_the_two_files_disagree_on_is_named() {
    for (change, named) in [
        ((|duty: &mut Duty| duty.home = "b".to_owned()) as fn(&mut Duty), "disagree on its home (a has a, b has b)"),
        (|duty| duty.secret_tag = "ffffffff".to_owned(), "different secrets"),
        (|duty| duty.twin = Some("c".to_owned()), "node b has c as its twin, not a"),
    ] {
        let mut seen = well();
        change(&mut seen.duties[1].duty);
        let status = status(seen);
        assert!(trouble(&status).contains(named), "{:?}", status.domains[0].troubles);
        assert!(!status.domains[0].is_redundant);
        assert!(status.domains[0].on_failover.starts_with("it would be refused: "));
    }
}

#[test]
fn operators_are_reminded_and_strangers_named() {
    let mut paused = well();
    paused.bearings.is_paused = true;
    let seen = status(paused);
    assert!(trouble(&seen).contains("paused") && !seen.domains[0].is_redundant);
    assert_eq!(seen.domains[0].on_failover, "only an order would move it to node b: automatic moves are paused");
    let idle = status(sighted(
        Some(lease(Some("b"), 1_500)),
        vec![duty("a", "Idle", 100), duty("b", "Running in Backup Mode", 100)],
    ));
    assert!(trouble(&idle).contains("node a is idle") && idle.verdict == Verdict::Troubled);
    assert_eq!(idle.domains[0].on_failover, "only an order would move it to node a: node a is idle until fallback");
    let mut limited = well();
    limited.bearings.moves = 3;
    assert!(trouble(&status(limited)).contains("3 automatic moves within 10 min are enough"));
    let mut claimed = well();
    claimed.duties.push(duty("c", "Normal", 100));
    assert_eq!(trouble(&status(claimed)), "node c claims it too, and is neither node a nor its twin");
    let mut strange = well();
    strange.domain = "other.example.org".to_owned();
    assert!(trouble(&status(strange)).contains("does not have this domain"));
}

#[test]
fn a_node_without_a_twin_is_well_alone() {
    let terms = Terms { twin: None, ..terms() };
    let mut alone = duty("a", "Normal", 100);
    alone.duty.twin = None;
    let seen = sighted(Some(lease(Some("a"), 1_500)), vec![alone]);
    let status = assemble(&terms, String::new(), &[node("a", 100)], &[seen]);
    assert_eq!((status.verdict, status.domains[0].is_redundant), (Verdict::Good, false));
    assert_eq!(status.sentence, "every domain is served; this node has no twin");
    assert_eq!(status.domains[0].on_failover, "nothing could be moved: there is no twin");
}

#[test]
fn a_twin_that_was_never_there_is_said_so() {
    let status = status(sighted(Some(lease(Some("a"), 1_500)), vec![duty("a", "Normal", 100)]));
    assert_eq!(status.verdict, Verdict::Troubled);
    assert_eq!(status.domains[0].nodes[1].state, "Unknown");
    assert_eq!(trouble(&status), "node b could not take it over: it was never here");
    let status = self::status(sighted(None, Vec::new()));
    assert_eq!((status.verdict, status.domains[0].troubles[0].as_str()), (Verdict::Unserved, "nobody holds the lease"));
}

/// Scripts read these names: a change here is a change for them.
#[test]
fn the_names_in_json_stay() {
    let value = serde_json::to_value(status(well())).expect("JSON");
    let names = |value: &serde_json::Value| value.as_object().expect("an object").keys().cloned().collect::<Vec<_>>();
    let sorted = |mut names: Vec<String>| {
        names.sort();
        names.join(" ")
    };
    assert_eq!(sorted(names(&value)), "database domains node nodes sentence twin verdict");
    assert_eq!(value["verdict"], "good");
    assert_eq!(
        sorted(names(&value["domains"][0])),
        "attachments domain epoch gap_ms holder home is_paused is_redundant is_served lasting_ms lease_ms level moves moves_max \
         nodes on_failover orders since_ms suspected troubles"
    );
    assert_eq!(
        sorted(names(&value["domains"][0]["nodes"][0])),
        "is_fit level node reason silent_ms since_ms state unfit why"
    );
    assert_eq!(sorted(names(&value["nodes"][0])), "http is_alive node pid schema silent_ms started_ms version");
}

#[test]
fn every_command_has_its_own_name_and_every_order_a_command() {
    for (nth, command) in ALL.iter().enumerate() {
        assert!(ALL[..nth].iter().all(|other| other.name != command.name), "{} twice", command.name);
        assert!(command.about.ends_with('.') && command.more.ends_with('.'), "{}", command.name);
    }
    for kind in OrderKind::ALL {
        assert_eq!(Command::of(kind).map(|command| command.name), Some(kind.as_str()));
    }
}
