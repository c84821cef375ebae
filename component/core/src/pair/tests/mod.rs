//! The walk: every duty meets every event; and the stories of takeovers and moves, step by step.

mod health;
mod ledger;
mod orders;
mod stories;
mod troubles;
mod walk;

use super::{Action, Event, LeaseView, Order, OrderKind, Pair, Terms, TwinView};
use crate::time::Moment;

const LEASE_MS: u64 = 2_000;
const PATIENCE_MS: u64 = 3_000;

/// Terms of `node` in a pair of `a` and `b`, where the domain belongs to `a`.
fn terms(node: &str) -> Terms {
    Terms {
        node: node.into(),
        twin: Some(if node == "a" { "b" } else { "a" }.into()),
        home: "a".into(),
        lease_ms: LEASE_MS,
        patience_ms: PATIENCE_MS,
        move_ms: 2_000,
        fallback_after_ms: Some(6_000),
        moves_max: 3,
    }
}

fn lease(owner: Option<&str>, epoch: i64, expires_ms: i64) -> LeaseView {
    LeaseView { owner: owner.map(str::to_owned), epoch, expires_ms, is_over: false }
}

fn fit_twin() -> TwinView {
    TwinView { silent_ms: 100, unfit: None, standing: None }
}

fn order(kind: OrderKind, id: &str, age_ms: u64) -> Order {
    Order { id: id.into(), kind, by: "olga".into(), age_ms }
}

/// A pair engine and the clock of its node.
#[derive(Clone)]
struct Node {
    pair: Pair,
    now: Moment,
}

impl Node {
    fn new(terms: Terms) -> Node {
        let now = Moment(1_000_000);
        Node { pair: Pair::new(terms, now), now }
    }

    fn hears(&mut self, event: &Event) -> Vec<Action> {
        let mut out = Vec::new();
        self.pair.handle(self.now, event, &mut out);
        out
    }

    fn later(&mut self, wait_ms: u64) -> &mut Node {
        self.now = Moment(self.now.0 + wait_ms);
        self
    }
}
