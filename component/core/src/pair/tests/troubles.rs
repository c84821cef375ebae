//! Trouble of a node's own, before it speaks and after.

use super::super::{Action, Event, LeaseView, Level, Reason, Right, State, TwinView};
use super::stories::{ask, twin_of};
use super::{Node, PATIENCE_MS, lease};

/// A node that has taken over from its silent twin and reaches no server.
fn unheard(name: &str) -> Node {
    let mut node = Node::standing_by(name);
    let over = LeaseView { is_over: true, ..lease(Some(twin_of(name)), 7, 2_000) };
    let done = node.later(2_300).sees(over);
    assert!(done.contains(&ask(Right::Free, 7, Some(twin_of(name)))), "{done:?}");
    node.hears(&Event::LeaseHad(8));
    node.hears(&Event::Detached("stream: no route to host".into()));
    node
}

#[test]
fn who_took_over_and_reaches_no_server_says_so_after_its_patience() {
    let mut b = unheard("b");
    assert_eq!(b.stands(), (State::TakingOver, Reason::LeaseExpired));
    b.later(PATIENCE_MS).hears(&Event::Tick);
    assert_eq!(b.stands(), (State::RunningInFailedMode, Reason::XmppServerUnreachable));
    assert!(b.pair.standing().why.contains("no route to host"), "{:?}", b.pair.standing());
    b.hears(&Event::Attached(Level::Relay));
    assert_eq!(b.stands(), (State::TakingOver, Reason::LeaseExpired), "it goes on where it stood");
}

#[test]
fn who_took_over_and_reaches_no_server_gives_back_to_a_twin_that_is_whole_again() {
    let mut b = unheard("b");
    b.later(PATIENCE_MS);
    let lost = TwinView { silent_ms: 2 * PATIENCE_MS, unfit: None, standing: None };
    let done = b.sees_also(lease(Some("b"), 8, 9_000), |seen| seen.twin = Some(lost));
    assert!(!done.contains(&Action::Freeze), "its twin is not there: {done:?}");
    let done = b.later(500).sees(lease(Some("b"), 8, 9_500));
    assert!(done.contains(&Action::Freeze), "{done:?}");
    assert_eq!(b.stands(), (State::FallingBack, Reason::XmppServerUnreachable));
}

#[test]
fn a_holder_in_trouble_that_may_not_move_says_what_forbids_it() {
    let mut a = Node::serving("a");
    a.hears(&Event::Detached("stream: no route to host".into()));
    a.later(PATIENCE_MS);
    let done = a.sees_also(lease(Some("a"), 7, 9_000), |seen| seen.moves_lately = 3);
    assert!(!done.contains(&Action::Freeze), "{done:?}");
    assert_eq!(a.stands(), (State::RunningInFailedMode, Reason::FailoverLimit));
    let why = &a.pair.standing().why;
    assert!(why.contains("3 automatic moves") && why.contains("no route to host"), "{why}");
    a.later(500).sees_also(lease(Some("a"), 7, 9_500), |seen| seen.is_paused = true);
    assert_eq!(a.stands(), (State::RunningInFailedMode, Reason::OnAdminRequest));
    let done = a.later(500).sees(lease(Some("a"), 7, 9_999));
    assert!(done.contains(&Action::Freeze), "allowed again: {done:?}");
}

#[test]
fn a_stream_that_is_lost_again_and_again_is_told_even_while_it_is_open() {
    let mut a = Node::serving("a");
    for nth in 1..=4 {
        a.later(1_000).hears(&Event::Detached("stream: muc.example.org is taken (conflict)".into()));
        a.later(1_000).hears(&Event::Attached(Level::Bare));
        let is_told = a.stands() == (State::RunningInFailedMode, Reason::XmppServerUnreachable);
        assert_eq!(is_told, nth == 4, "after {nth}: {:?}", a.pair.standing());
    }
    assert!(a.pair.standing().why.contains("conflict"), "{:?}", a.pair.standing());
    a.later(30_000).hears(&Event::Tick);
    assert_eq!(a.stands(), (State::Normal, Reason::Initialization), "it has calmed down");
}
