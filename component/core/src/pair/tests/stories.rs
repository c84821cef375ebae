//! The stories an operator tells, step by step: who hears what, and what the engine does about it.

use super::super::{
    Action, Event, LeaseView, Level, Opening, OrderKind, Pair, Reason, Right, Sighting, State, TwinView,
};
use super::{Node, fit_twin, lease, order, terms};

impl Node {
    /// Hears that the lease stands so.
    pub(super) fn sees(&mut self, lease: LeaseView) -> Vec<Action> {
        self.sees_also(lease, |_| ())
    }

    pub(super) fn sees_also(&mut self, lease: LeaseView, more: impl FnOnce(&mut Sighting)) -> Vec<Action> {
        let mut sighting = Sighting { lease: Some(lease), twin: Some(fit_twin()), ..Sighting::default() };
        more(&mut sighting);
        self.hears(&Event::Saw(sighting))
    }

    /// A node that has the lease in epoch 7 and speaks.
    pub(super) fn serving(name: &str) -> Node {
        let mut node = Node::new(terms(name));
        node.sees(lease(Some(name), 6, 0));
        node.hears(&Event::LockHad(Some(lease(Some(name), 6, 0))));
        node.hears(&Event::LeaseHad(7));
        node.hears(&Event::Attached(Level::Relay));
        node.hears(&Event::Opened(Opening::default()));
        node
    }

    /// A node that stands by while its twin serves in epoch 7, and waits for its lock.
    pub(super) fn standing_by(name: &str) -> Node {
        let mut node = Node::new(terms(name));
        let done = node.sees(lease(Some(twin_of(name)), 7, 2_000));
        assert!(done.contains(&Action::SeekLock), "{done:?}");
        node
    }

    pub(super) fn stands(&self) -> (State, Reason) {
        (self.pair.standing().state, self.pair.standing().reason)
    }
}

pub(super) fn twin_of(name: &str) -> &'static str {
    if name == "a" { "b" } else { "a" }
}

pub(super) fn ask(right: Right, above: i64, ends_sessions_of: Option<&str>) -> Action {
    Action::AskLease { right, above, ends_sessions_of: ends_sessions_of.map(str::to_owned) }
}

pub(super) fn answer(actions: &[Action]) -> Option<(&str, Result<&str, &str>)> {
    actions.iter().find_map(|action| match action {
        Action::Answer(verdict) => {
            let outcome = verdict.outcome.as_ref().map(String::as_str).map_err(String::as_str);
            Some((verdict.order.id.as_str(), outcome))
        }
        _ => None,
    })
}

pub(super) fn refusal(actions: &[Action]) -> &str {
    match answer(actions) {
        Some((_, Err(why))) => why,
        other => panic!("no refusal but {other:?} in {actions:?}"),
    }
}

pub(super) fn gives_order(kind: OrderKind, id: &str) -> impl FnOnce(&mut Sighting) {
    let order = order(kind, id, 20);
    move |sighting| sighting.orders.push(order)
}

#[test]
fn the_twin_of_a_killed_holder_takes_over_by_the_freed_lock() {
    let mut b = Node::standing_by("b");
    b.later(700).sees(lease(Some("a"), 7, 2_700));
    let done = b.later(3).hears(&Event::LockHad(Some(lease(Some("a"), 7, 2_700))));
    assert_eq!(done[0], ask(Right::Dead, 7, None), "{done:?}");
    assert_eq!(b.stands(), (State::TakingOver, Reason::PeerDown));
    assert_eq!(b.later(5).hears(&Event::LeaseHad(8)), [Action::Begin { epoch: 8, handed_in: None }]);
    b.hears(&Event::Attached(Level::Relay));
    let found = Opening { repeated: 3, replayed: 2, bounced: 0 };
    let done = b.later(4).hears(&Event::Opened(found));
    let [Action::Tell(change), Action::Sweep] = &done[..] else { panic!("{done:?}") };
    let cost = change.opened.expect("what it cost");
    assert_eq!((cost.gap_ms, cost.opening), (9, found));
    assert_eq!((change.from, change.to.state, change.epoch), (State::TakingOver, State::RunningInBackupMode, 8));
    assert_eq!(change.to.why, "node a ended: its session lock is free");
}

#[test]
fn a_holder_that_stands_still_is_overtaken_when_its_lease_is_over_and_its_sessions_are_ended_first() {
    let mut b = Node::standing_by("b");
    for expires_ms in [2_500, 3_000] {
        assert_eq!(b.later(500).sees(lease(Some("a"), 7, expires_ms)), []);
    }
    let stopped = lease(Some("a"), 7, 3_000);
    for _ in 0..3 {
        assert_eq!(b.later(500).sees(stopped.clone()), []);
    }
    let done = b.later(600).sees(LeaseView { is_over: true, ..stopped });
    assert_eq!(done[0], ask(Right::Free, 7, Some("a")), "{done:?}");
    assert_eq!(b.stands(), (State::TakingOver, Reason::LeaseExpired));
}

#[test]
fn a_node_that_starts_again_takes_up_its_own_lease_and_looks_for_ghosts() {
    let mut a = Node::new(terms("a"));
    let done = a.sees(lease(Some("a"), 7, 1_500));
    assert_eq!(done[0], Action::SeekLock, "{done:?}");
    let done = a.later(2).hears(&Event::LockHad(Some(lease(Some("a"), 7, 1_500))));
    assert_eq!(done[0], ask(Right::Dead, 7, None), "{done:?}");
    assert_eq!(a.hears(&Event::LeaseHad(8)), [Action::Begin { epoch: 8, handed_in: Some(7) }]);
    let done = a.hears(&Event::Opened(Opening::default()));
    assert!(done.contains(&Action::Sweep), "whoever left meanwhile told nobody: {done:?}");
    assert_eq!(a.stands(), (State::Normal, Reason::Initialization));
}

#[test]
fn a_lock_that_was_free_at_once_does_not_overtake_a_holder_that_renews_without_it() {
    let mut b = Node::standing_by("b");
    b.later(5).hears(&Event::LockHad(Some(lease(Some("a"), 7, 2_000))));
    assert_eq!(b.later(300).hears(&Event::Tick), [], "the holder may only be without it");
    let mut living = b.clone();
    let done = living.later(200).sees(lease(Some("a"), 7, 2_500));
    assert_eq!(done, [Action::DropLock], "it renews");
    b.later(200).sees(lease(Some("a"), 7, 2_000));
    let done = b.later(500).hears(&Event::Tick);
    assert_eq!(done[0], ask(Right::Dead, 7, None), "it does not: {done:?}");
}

#[test]
fn what_is_handed_over_is_taken_up_at_once_and_nobody_is_looked_for() {
    let mut b = Node::standing_by("b");
    let done = b.later(100).hears(&Event::LockHad(Some(lease(Some("b"), 8, 3_000))));
    assert_eq!(done[0], ask(Right::Dead, 8, None), "{done:?}");
    assert_eq!(b.hears(&Event::LeaseHad(9)), [Action::Begin { epoch: 9, handed_in: Some(8) }]);
    let done = b.hears(&Event::Opened(Opening::default()));
    assert!(!done.contains(&Action::Sweep), "{done:?}");
    assert_eq!(b.pair.standing().why, "node a handed the domain over");
}

#[test]
fn what_is_handed_over_is_taken_up_though_somebody_dead_keeps_the_lock() {
    let mut b = Node::standing_by("b");
    let done = b.later(400).sees(lease(Some("b"), 8, 3_000));
    assert_eq!(done[0], ask(Right::Silent { epoch: 8, expires_ms: 3_000 }, 8, None), "{done:?}");
    assert_eq!(b.hears(&Event::LeaseHad(9)), [Action::Begin { epoch: 9, handed_in: Some(8) }]);
}

#[test]
fn a_domain_goes_home_by_itself_when_its_home_node_was_fit_for_long_enough() {
    let mut b = Node::serving("b");
    let mine = || lease(Some("b"), 7, 2_000);
    // The home node was just lost: its last beat is young, and it looks fit.
    assert!(!b.later(400).sees(mine()).contains(&Action::Freeze));
    b.later(3_000).sees_also(mine(), |sighting| {
        sighting.twin = Some(TwinView { silent_ms: 3_400, ..fit_twin() });
    });
    for _ in 0..12 {
        assert!(!b.later(500).sees(mine()).contains(&Action::Freeze), "too soon");
    }
    let done = b.later(500).sees(mine());
    assert_eq!(done[0], Action::Freeze, "{done:?}");
    assert_eq!(b.stands(), (State::FallingBack, Reason::AutomaticFallback));
}

#[test]
fn a_move_whose_last_words_are_stuck_is_called_off_and_not_tried_again_at_once() {
    let mut a = Node::serving("a");
    a.later(500).sees_also(lease(Some("a"), 7, 2_000), gives_order(OrderKind::SwitchOver, "o1"));
    let done = a.later(2_000).hears(&Event::Tick);
    assert!(done.contains(&Action::Thaw), "{done:?}");
    assert!(refusal(&done).starts_with("the move was called off, nothing changed"), "{done:?}");
    assert_eq!(a.pair.reigns(), Some(7));
    a.hears(&Event::Detached("connection refused".into()));
    a.later(2_900).sees(lease(Some("a"), 7, 4_000));
    assert!(!a.later(200).hears(&Event::Tick).contains(&Action::Freeze), "each attempt halts the words");
}

#[test]
fn a_holder_whose_stream_is_gone_hands_over_to_a_fit_twin_only() {
    for (unfit, is_handed) in [(None, true), (Some("cannot reach the server either".to_owned()), false)] {
        let mut a = Node::serving("a");
        a.hears(&Event::Detached("connection refused".into()));
        a.later(2_500).sees_also(lease(Some("a"), 7, 4_000), |sighting| {
            sighting.twin = Some(TwinView { unfit, ..fit_twin() });
        });
        let done = a.later(500).hears(&Event::Tick);
        assert_eq!(done.contains(&Action::Freeze), is_handed, "{done:?}");
        let state = if is_handed { State::FailingOver } else { State::RunningInFailedMode };
        assert_eq!(a.stands(), (state, Reason::XmppServerUnreachable));
    }
}

#[test]
fn after_three_moves_an_operator_decides() {
    let mut b = Node::standing_by("b");
    let moved = |sighting: &mut Sighting| sighting.moves_lately = 3;
    b.later(500).sees_also(lease(Some("a"), 7, 2_500), moved);
    let done = b.hears(&Event::LockHad(Some(lease(Some("a"), 7, 2_500))));
    assert_eq!(done[0], Action::DropLock, "a holder that starts again can have it: {done:?}");
    assert_eq!(b.stands(), (State::Normal, Reason::FailoverLimit));
    for step in 1..12_u64 {
        let over = LeaseView { is_over: step > 3, ..lease(Some("a"), 7, 2_500) };
        let done = b.later(500).sees_also(over, moved);
        assert!(!done.iter().any(|action| matches!(action, Action::AskLease { .. })), "{done:?}");
    }
    let over = LeaseView { is_over: true, ..lease(Some("a"), 7, 2_500) };
    let done = b.later(500).sees_also(over, |sighting| {
        sighting.moves_lately = 3;
        sighting.orders.push(order(OrderKind::Recover, "o1", 5_500));
    });
    assert_eq!(answer(&done), Some(("o1", Ok("tries again now"))));
    assert!(done.contains(&ask(Right::Free, 7, Some("a"))), "{done:?}");
}

#[test]
fn nobody_takes_over_while_automatic_moves_are_paused() {
    let mut b = Node::standing_by("b");
    b.later(500).sees_also(lease(Some("a"), 7, 2_500), |sighting| sighting.is_paused = true);
    let done = b.hears(&Event::LockHad(Some(lease(Some("a"), 7, 2_500))));
    assert_eq!(done[0], Action::DropLock, "{done:?}");
    assert_eq!(b.stands(), (State::Normal, Reason::OnAdminRequest));
    let over = LeaseView { is_over: true, ..lease(Some("a"), 7, 2_500) };
    let done = b.later(3_000).sees(over);
    assert!(done.contains(&ask(Right::Free, 7, Some("a"))), "resumed, it goes on: {done:?}");
}

#[test]
fn a_strangers_domain_is_left_alone_and_named() {
    let mut a = Node::new(terms("a"));
    a.sees(lease(Some("x"), 4, 2_000));
    for expires_ms in (2_500..9_000).step_by(500) {
        let done = a.later(500).sees(lease(Some("x"), 4, expires_ms));
        assert!(!done.iter().any(|action| matches!(action, Action::AskLease { .. })), "{done:?}");
    }
    assert_eq!(a.stands(), (State::RunningInFailedMode, Reason::TakeOverFailed));
    assert!(a.pair.standing().why.starts_with("node x serves the domain"), "{}", a.pair.standing().why);
}

#[test]
fn when_the_database_is_back_the_holder_goes_on_and_the_standby_lets_it() {
    let away = || Event::Blind("no answer within 2000 ms".into());
    let mut a = Node::serving("a");
    let mut b = Node::standing_by("b");
    b.later(500).sees(lease(Some("a"), 7, 2_500));
    assert_eq!(a.hears(&Event::LockGone), [Action::SeekLock], "the holder seeks the lock again at once");
    b.hears(&Event::LockGone);
    for node in [&mut a, &mut b] {
        node.hears(&away());
    }
    a.hears(&Event::LeaseOverdue("no renewal for 1600 ms".into()));
    assert_eq!(a.stands(), (State::RunningInFailedMode, Reason::DatabaseFailure));
    assert_eq!(b.stands(), (State::RunningInFailedMode, Reason::DatabaseFailure));
    let over = LeaseView { is_over: true, ..lease(Some("a"), 7, 2_500) };
    let done = b.later(20_000).sees(over);
    assert!(
        !done.iter().any(|action| matches!(action, Action::AskLease { .. })),
        "it lets the holder go first: {done:?}"
    );
    a.later(20_000).hears(&Event::Renewed);
    assert_eq!((a.stands().0, a.pair.reigns()), (State::Normal, Some(7)));
    for expires_ms in (22_500..30_000).step_by(500) {
        let done = b.later(500).sees(lease(Some("a"), 7, expires_ms));
        assert!(!done.iter().any(|action| matches!(action, Action::AskLease { .. })), "{done:?}");
    }
}

#[test]
fn a_lock_lost_at_any_time_is_sought_again_by_who_reigns() {
    let mut a = Node::new(terms("a"));
    a.sees(lease(Some("a"), 6, 0));
    a.hears(&Event::LockHad(Some(lease(Some("a"), 6, 0))));
    a.hears(&Event::LeaseHad(7));
    assert!(a.hears(&Event::LockGone).contains(&Action::SeekLock), "while it opens");
    assert!(
        !a.later(1).hears(&Event::LockGone).contains(&Action::SeekLock),
        "a wait that fails is not begun without pause"
    );
    a.hears(&Event::Opened(Opening::default()));
    assert!(a.later(250).hears(&Event::Tick).contains(&Action::SeekLock), "while it serves");
}

#[test]
fn a_database_clock_that_jumps_ends_no_lease_of_a_holder_that_renews() {
    let mut b = Node::standing_by("b");
    for step in 1..10_i64 {
        // An hour ahead: for one look the lease seems to be over, then the holder renews by the new clock.
        let is_over = step == 6;
        let expires_ms = 2_000 + 500 * step + if step > 6 { 3_600_000 } else { 0 };
        let done = b.later(500).sees(LeaseView { is_over, ..lease(Some("a"), 7, expires_ms) });
        assert!(!done.iter().any(|action| matches!(action, Action::AskLease { .. })), "{done:?}");
    }
    // An hour back: the lease ends in an hour by that clock, but its row stands still.
    for _ in 0..5 {
        b.later(500).sees(lease(Some("a"), 7, 3_606_500));
    }
    let done = b.later(500).sees(lease(Some("a"), 7, 3_606_500));
    assert_eq!(done[0], ask(Right::Silent { epoch: 7, expires_ms: 3_606_500 }, 7, Some("a")), "{done:?}");
}

#[test]
fn a_standby_that_was_stopped_itself_looks_before_it_disturbs_anybody() {
    let mut b = Node::standing_by("b");
    b.later(500).sees(lease(Some("a"), 7, 2_500));
    assert_eq!(b.later(60_000).hears(&Event::Tick), [], "what it knows is a minute old");
    let done = b.sees(lease(Some("a"), 7, 62_500));
    assert!(!done.iter().any(|action| matches!(action, Action::AskLease { .. })), "{done:?}");
}

#[test]
fn a_lease_whose_answer_was_lost_is_asked_for_again_and_counts_as_a_takeover() {
    let mut b = Node::standing_by("b");
    b.later(300).hears(&Event::LockHad(Some(lease(Some("a"), 7, 2_000))));
    b.hears(&Event::LeaseUnanswered("connection reset".into()));
    let done = b.later(300).sees(lease(Some("b"), 8, 4_000));
    assert_eq!(done[0], ask(Right::Dead, 8, None), "{done:?}");
    b.hears(&Event::LeaseHad(9));
    let done = b.hears(&Event::Opened(Opening::default()));
    assert!(done.contains(&Action::Sweep), "{done:?}");
    assert_eq!(b.stands(), (State::RunningInBackupMode, Reason::PeerDown));
}

/// A node that asked for the lease of its twin, and heard neither of that nor of its lock any more.
fn without_an_answer(name: &str) -> Node {
    let mut node = Node::standing_by(name);
    node.later(300).hears(&Event::LockHad(Some(lease(Some(twin_of(name)), 7, 2_000))));
    node.hears(&Event::LeaseUnanswered("connection reset".into()));
    node.hears(&Event::LockGone);
    node
}

#[test]
fn a_lost_answer_that_came_to_nothing_hides_no_later_move() {
    let mut b = without_an_answer("b");
    for expires_ms in (2_500..5_500).step_by(500) {
        let done = b.later(500).sees(lease(Some("a"), 7, expires_ms));
        assert!(!done.iter().any(|action| matches!(action, Action::AskLease { .. })), "{done:?}");
    }
    let done = b.later(500).sees(lease(Some("b"), 8, 5_500));
    let asked = ask(Right::Silent { epoch: 8, expires_ms: 5_500 }, 8, None);
    assert!(done.contains(&asked), "whoever has the lock: {done:?}");
    assert_eq!(b.stands(), (State::TakingOver, Reason::OnAdminRequest));
    b.hears(&Event::LeaseHad(9));
    let done = b.hears(&Event::Opened(Opening::default()));
    assert!(!done.contains(&Action::Sweep), "{done:?}");
    assert_eq!(b.pair.standing().why, "node a handed the domain over");
}

#[test]
fn a_look_as_old_as_a_lost_answer_makes_no_move_of_a_takeover() {
    let mut b = without_an_answer("b");
    b.later(300).sees(lease(Some("a"), 7, 2_500));
    b.later(500).sees(lease(Some("b"), 8, 4_000));
    let done = b.later(1_600).hears(&Event::LockHad(Some(lease(Some("b"), 8, 4_000))));
    assert_eq!(done[0], ask(Right::Dead, 8, None), "{done:?}");
    b.hears(&Event::LeaseHad(9));
    let done = b.hears(&Event::Opened(Opening::default()));
    assert!(done.contains(&Action::Sweep), "{done:?}");
    assert_eq!(b.stands(), (State::RunningInBackupMode, Reason::PeerDown));
}

#[test]
fn a_takeover_that_cannot_open_is_handed_back_and_taken_on_where_that_fails() {
    let mut b = Node::standing_by("b");
    b.later(300).hears(&Event::LockHad(Some(lease(Some("a"), 7, 2_000))));
    b.hears(&Event::LeaseHad(8));
    b.hears(&Event::Detached("connection refused".into()));
    b.later(2_900).sees(lease(Some("b"), 8, 4_000));
    assert_eq!(b.later(100).hears(&Event::Tick)[0], Action::Freeze);
    b.hears(&Event::Opened(Opening { repeated: 5, ..Opening::default() }));
    let done = b.hears(&Event::NotFrozen("the stream is away".into()));
    let opened = done.iter().any(|action| matches!(action, Action::Tell(change) if change.opened.is_some()));
    assert!(opened && done.contains(&Action::Sweep), "it opened after all: {done:?}");
    assert_eq!(b.pair.reigns(), Some(8));
}

#[test]
fn a_relay_that_knows_a_higher_epoch_makes_the_next_one_exceed_it() {
    let mut a = Node::serving("a");
    let done = a.later(500).hears(&Event::Outdated(40));
    assert_eq!(done[0], Action::Cut);
    let pair: &Pair = &a.pair;
    assert_eq!((pair.epoch_max(), pair.reigns()), (40, None));
    a.later(2_100).sees(lease(Some("a"), 7, 2_000));
    let done = a.hears(&Event::LockHad(Some(lease(Some("a"), 7, 2_000))));
    assert_eq!(done[0], ask(Right::Dead, 40, None), "{done:?}");
}

#[test]
fn a_lock_that_comes_without_a_look_waits_for_one() {
    let mut b = Node::standing_by("b");
    let blind = "the database is starting up";
    b.hears(&Event::Blind(blind.into()));
    assert_eq!(b.later(10).hears(&Event::LockHad(None)), []);
    assert_eq!(b.pair.holder(), Some("a"), "a look that failed tells nothing of the lease");
    assert_eq!(b.later(50).hears(&Event::Tick), []);
    // It was handed over, not left: what was passed on in that epoch is to be asked for.
    let done = b.later(200).sees(lease(Some("b"), 8, 2_000));
    assert!(done.contains(&ask(Right::Dead, 8, None)), "{done:?}");
    let done = b.hears(&Event::LeaseHad(9));
    assert!(done.contains(&Action::Begin { epoch: 9, handed_in: Some(8) }), "{done:?}");
}

#[test]
fn a_home_node_that_is_paused_takes_nothing_by_a_lock_it_cannot_judge() {
    let mut a = Node::standing_by("a");
    a.later(500).sees_also(lease(Some("b"), 7, 2_500), |sighting| sighting.is_paused = true);
    a.hears(&Event::Blind("no answer".into()));
    let done = a.hears(&Event::LockHad(None));
    assert!(!done.iter().any(|action| matches!(action, Action::AskLease { .. })), "{done:?}");
}

#[test]
fn a_node_that_is_to_stop_does_not_wait_for_ever_to_hear_whose_the_lease_is() {
    let mut a = Node::serving("a");
    a.later(500).sees(lease(Some("a"), 7, 2_500));
    assert!(a.hears(&Event::Stop).contains(&Action::Freeze));
    assert!(a.later(10).hears(&Event::Frozen).contains(&Action::HandOver { to: "b".into() }));
    a.later(2_000).hears(&Event::Blind("the database is away".into()));
    assert!(!a.hears(&Event::Tick).contains(&Action::Finish), "its lease may still be good");
    let done = a.later(2_000).hears(&Event::Tick);
    assert!(done.contains(&Action::Cut) && done.contains(&Action::Finish), "{done:?}");
}
