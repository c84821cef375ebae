//! What must hold for any engine at any step: kept beside it along the way, checked with every event.

use std::collections::BTreeSet;

use super::super::{Action, Duty, Event};
use super::Node;

/// What an engine did so far, as far as its promises depend on it.
#[derive(Clone, Default)]
pub(super) struct Ledger {
    /// A reign was begun, and neither cut nor ended nor passed on.
    is_begun: bool,
    /// Orders that were answered.
    pub(super) answered: BTreeSet<String>,
    finished: u32,
}

impl Ledger {
    /// Gives `event` to `node` and checks everything it does about it.
    pub(super) fn step(&mut self, node: &mut Node, event: &Event) -> Vec<Action> {
        let before = node.pair.duty.clone();
        let (had_lock, was_seeking) = (node.pair.has_lock, node.pair.is_seeking);
        let actions = node.hears(event);
        let what = || format!("{before:?}\n  heard {event:?}\n  did {actions:?}\n  now {:?}", node.pair.duty);
        for (nth, action) in actions.iter().enumerate() {
            match action {
                Action::Begin { epoch, .. } => {
                    assert_eq!(*event, Event::LeaseHad(*epoch), "begins without a lease: {}", what());
                    assert!(!self.is_begun, "begins twice: {}", what());
                    self.is_begun = true;
                }
                Action::Cut => {
                    assert!(
                        self.is_begun || matches!(before, Duty::Passing { .. } | Duty::Ending { .. }),
                        "cuts nothing: {}",
                        what()
                    );
                    self.is_begun = false;
                    let rest = &actions[nth + 1..];
                    let is_rest = |action: &Action| {
                        matches!(action, Action::DropLock | Action::Finish | Action::Answer(_) | Action::Tell(_))
                    };
                    assert!(rest.iter().all(is_rest), "does more than wait after a cut: {}", what());
                    assert!(matches!(node.pair.duty, Duty::Waiting | Duty::Ended), "no waiting after: {}", what());
                }
                Action::End | Action::PassOn { .. } => {
                    assert!(self.is_begun, "ends nothing: {}", what());
                    self.is_begun = false;
                }
                Action::HandOver { to } => {
                    assert_eq!(*event, Event::Frozen, "hands over what is not frozen: {}", what());
                    assert_eq!(node.pair.terms.twin.as_ref(), Some(to), "hands over to nobody: {}", what());
                }
                Action::Freeze => {
                    assert!(matches!(before, Duty::Serving { .. } | Duty::Opening { .. }), "freezes: {}", what());
                }
                Action::Thaw => assert!(matches!(before, Duty::Handing { .. }), "thaws: {}", what()),
                Action::Answer(verdict) => {
                    let (Ok(why) | Err(why)) = &verdict.outcome;
                    assert!(why.split_whitespace().count() > 0, "an answer without a sentence: {}", what());
                    assert!(self.answered.insert(verdict.order.id.clone()), "answers twice: {}", what());
                }
                Action::Tell(change) => {
                    assert!(change.to.why.len() > 3, "a change without a sentence: {}", what());
                }
                Action::AskLease { .. } => {
                    assert!(matches!(node.pair.duty, Duty::Taking(_)), "asks and does not take: {}", what());
                    assert_eq!(node.pair.reigns(), None, "asks while it reigns: {}", what());
                }
                Action::SeekLock => {
                    assert!(!was_seeking || *event == Event::LockGone, "seeks twice: {}", what());
                    assert!(!had_lock || *event == Event::LockGone, "seeks what it has: {}", what());
                }
                Action::Finish => self.finished += 1,
                Action::DropLock | Action::Sweep => {}
            }
        }
        if matches!(event, Event::LeaseLost | Event::Fenced(_) | Event::Outdated(_)) {
            assert_eq!(node.pair.reigns(), None, "reigns without a lease: {}", what());
        }
        if matches!((event, &before), (Event::HandedOver(_), Duty::Handing { is_frozen: true, .. })) {
            assert_eq!(node.pair.reigns(), None, "reigns after handing over: {}", what());
        }
        if node.pair.reigns().is_some() {
            assert!(self.is_begun, "reigns without having begun: {}", what());
        }
        assert!(self.finished <= 1, "finishes twice: {}", what());
        assert_eq!(self.finished == 1, node.pair.is_over(), "over without finishing: {}", what());
        let open = node.pair.order.as_ref();
        assert!(!open.is_some_and(|order| self.answered.contains(&order.id)), "goes on with an order: {}", what());
        let may_have_order = matches!(node.pair.duty, Duty::Taking(_) | Duty::Opening { .. } | Duty::Handing { .. });
        assert!(open.is_none() || may_have_order, "an order is left over: {}", what());
        actions
    }
}
