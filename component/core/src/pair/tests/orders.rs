//! The stories of what an operator asks for: moves, idleness, refusals.

use super::super::{Action, Event, Opening, OrderKind, Reason, Right, Sighting, State, TwinView};
use super::stories::{answer, ask, gives_order, refusal};
use super::{Node, fit_twin, lease, order, terms};

#[test]
fn a_switch_over_freezes_hands_over_and_passes_on() {
    let mut a = Node::serving("a");
    let done = a.later(500).sees_also(lease(Some("a"), 7, 2_000), gives_order(OrderKind::SwitchOver, "o1"));
    assert_eq!(done[0], Action::Freeze, "{done:?}");
    assert_eq!(a.stands(), (State::FailingOver, Reason::OnAdminRequest));
    assert_eq!(a.later(9).hears(&Event::Frozen), [Action::HandOver { to: "b".into() }]);
    let done = a.later(2).hears(&Event::HandedOver(8));
    assert_eq!(done[..2], [Action::DropLock, Action::PassOn { epoch: 8 }], "the lock goes after the lease: {done:?}");
    assert_eq!(answer(&done), Some(("o1", Ok("handed to node b in epoch 8"))));
    assert_eq!(a.pair.reigns(), None);
    assert_eq!(a.later(3).hears(&Event::PassedOn)[0], Action::Cut);
    a.later(400).sees(lease(Some("b"), 9, 4_000));
    assert_eq!(a.stands(), (State::FailedOver, Reason::OnAdminRequest));
}

#[test]
fn a_fallback_brings_the_domain_home() {
    let mut b = Node::serving("b");
    let done = b.later(500).sees_also(lease(Some("b"), 7, 2_000), gives_order(OrderKind::Fallback, "o1"));
    assert_eq!(done[0], Action::Freeze, "{done:?}");
    assert_eq!(b.stands(), (State::FallingBack, Reason::OnAdminRequest));

    let mut a = Node::standing_by("a");
    a.later(500).sees(lease(Some("b"), 7, 2_500));
    assert_eq!(a.stands().0, State::FailedOver);
    a.later(100).hears(&Event::LockHad(Some(lease(Some("a"), 8, 3_000))));
    assert_eq!(a.stands().0, State::TakingBack);
    a.hears(&Event::LeaseHad(9));
    a.hears(&Event::Opened(Opening::default()));
    assert_eq!(a.stands().0, State::Normal);
}

#[test]
fn a_home_node_that_was_failed_over_stays_idle_until_fallback() {
    let mut a = Node::serving("a");
    a.later(500).sees_also(lease(Some("a"), 7, 2_000), gives_order(OrderKind::Failover, "o1"));
    a.hears(&Event::Frozen);
    a.hears(&Event::HandedOver(8));
    a.hears(&Event::PassedOn);
    assert_eq!(a.stands(), (State::Idle, Reason::OnAdminRequest));
    let idle = |sighting: &mut Sighting| sighting.is_idle = true;
    a.later(5_000).sees_also(lease(Some("b"), 9, 9_000), idle);
    let done = a.hears(&Event::LockHad(Some(lease(Some("b"), 9, 9_000))));
    assert!(done.contains(&Action::DropLock), "not even when its twin is gone: {done:?}");
    // Its twin gave the lease back and nobody serves: fallback is heeded by the home node itself.
    let free = lease(None, 9, 0);
    let done = a.later(3_000).sees_also(free.clone(), |sighting| {
        sighting.is_idle = true;
        sighting.orders.push(order(OrderKind::Fallback, "o2", 30));
    });
    assert_eq!(answer(&done), Some(("o2", Ok("nobody serves the domain: its home node takes it"))));
    assert!(done.contains(&Action::SeekLock), "{done:?}");
    let done = a.hears(&Event::LockHad(Some(free)));
    assert_eq!(done[0], ask(Right::Dead, 9, None), "{done:?}");
}

#[test]
fn orders_that_cannot_be_carried_out_are_refused_with_the_reason() {
    let mut a = Node::serving("a");
    let silent = |id: &'static str| {
        move |sighting: &mut Sighting| {
            sighting.twin = Some(TwinView { silent_ms: 4_000, ..fit_twin() });
            sighting.orders.push(order(OrderKind::SwitchOver, id, 20));
        }
    };
    let done = a.later(500).sees_also(lease(Some("a"), 7, 2_000), silent("o1"));
    assert_eq!(refusal(&done), "node b has been silent for 4000 ms");
    let done = a.later(500).sees_also(lease(Some("a"), 7, 2_500), silent("o1"));
    assert_eq!(answer(&done), None, "the same order is answered once");
    let done = a.later(500).sees_also(lease(Some("a"), 7, 3_000), |sighting| {
        sighting.orders.push(order(OrderKind::Failover, "o2", 5_000));
    });
    assert!(refusal(&done).starts_with("given before node a began to serve in epoch 7"), "{done:?}");

    let alone = super::super::Terms { twin: None, ..terms("a") };
    let mut single = Node::serving("a");
    single.pair.terms = alone;
    let done = single.later(500).sees_also(lease(Some("a"), 7, 2_000), gives_order(OrderKind::SwitchOver, "o3"));
    assert_eq!(refusal(&done), "there is no twin: no [pair] is configured");
}

#[test]
fn a_twin_that_looks_unfit_for_a_moment_is_looked_at_again_before_a_move_is_refused() {
    let unfit = |why: Option<&'static str>, age_ms: u64| {
        move |sighting: &mut Sighting| {
            sighting.twin = Some(TwinView { unfit: why.map(str::to_owned), ..fit_twin() });
            sighting.orders = vec![order(OrderKind::Fallback, "o1", age_ms)];
        }
    };
    let replaced = Some("stream: conflict");
    let mut b = Node::serving("b");
    b.later(2_000);
    let done = b.sees_also(lease(Some("b"), 7, 3_000), unfit(replaced, 20));
    assert_eq!(answer(&done), None, "its twin gave the domain away just now: {done:?}");
    let done = b.clone().later(500).sees_also(lease(Some("b"), 7, 3_500), unfit(None, 520));
    assert_eq!(done[0], Action::Freeze, "{done:?}");
    let done = b.later(1_500).sees_also(lease(Some("b"), 7, 4_500), unfit(replaced, 1_520));
    assert_eq!(refusal(&done), "node a could not serve: stream: conflict");
}

#[test]
fn a_holder_that_heeds_no_orders_is_failed_over_by_force() {
    let mut b = Node::standing_by("b");
    let old = |sighting: &mut Sighting| sighting.orders.push(order(OrderKind::Failover, "o1", 5_100));
    let done = b.later(500).sees_also(lease(Some("a"), 7, 2_500), old);
    assert_eq!(done[0], ask(Right::Silent { epoch: 7, expires_ms: 2_500 }, 7, Some("a")), "{done:?}");
    b.hears(&Event::LeaseHad(8));
    let done = b.hears(&Event::Opened(Opening::default()));
    assert_eq!(answer(&done), Some(("o1", Ok("node b serves in epoch 8"))));
}

#[test]
fn a_stopped_holder_hands_over_or_ends_in_good_order() {
    let mut a = Node::serving("a");
    a.later(500).sees(lease(Some("a"), 7, 2_000));
    assert_eq!(a.hears(&Event::Stop)[0], Action::Freeze);
    a.hears(&Event::Frozen);
    a.hears(&Event::HandedOver(8));
    assert!(a.hears(&Event::PassedOn).contains(&Action::Finish));

    let mut alone = Node::serving("a");
    alone.later(500).sees_also(lease(Some("a"), 7, 2_000), |sighting| sighting.twin = None);
    assert_eq!(alone.hears(&Event::Stop)[0], Action::End);
    assert!(alone.hears(&Event::Ended).contains(&Action::Finish));
}

#[test]
fn a_reign_that_cannot_open_is_moved_by_an_order_also_while_automatic_moves_are_paused() {
    let mut b = Node::standing_by("b");
    b.later(300).hears(&Event::LockHad(Some(lease(Some("a"), 7, 2_000))));
    b.hears(&Event::LeaseHad(8));
    b.hears(&Event::Detached("no server".into()));
    for _ in 0..8 {
        let done = b.later(500).sees_also(lease(Some("b"), 8, 0), |sighting| sighting.is_paused = true);
        assert!(!done.contains(&Action::Freeze), "{done:?}");
    }
    let done = b.sees_also(lease(Some("b"), 8, 0), |sighting| {
        sighting.is_paused = true;
        sighting.orders = vec![order(OrderKind::SwitchOver, "1", 100)];
    });
    assert!(done.contains(&Action::Freeze), "{done:?}");
}
