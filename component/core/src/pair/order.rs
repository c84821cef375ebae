//! Orders: what an operator asks of the pair, and what is answered.

use std::fmt;
use std::str::FromStr;

use super::Pair;

/// What can be asked for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum OrderKind {
    /// The domain goes to the other node, by force where the holder does not move, and its home node stays idle.
    Failover,
    /// The domain returns to its home node.
    Fallback,
    /// The domain goes to the other node; whoever gave it up may take it again.
    SwitchOver,
    /// No automatic moves until resumed.
    Pause,
    /// Automatic moves again.
    Resume,
    /// What stopped by itself tries again: the count of moves starts anew.
    Recover,
    /// Occupants who are gone are looked for.
    Sweep,
}

impl OrderKind {
    /// All of them, as the command line has them.
    pub const ALL: [OrderKind; 7] = [
        OrderKind::Failover,
        OrderKind::Fallback,
        OrderKind::SwitchOver,
        OrderKind::Pause,
        OrderKind::Resume,
        OrderKind::Recover,
        OrderKind::Sweep,
    ];

    /// Its name at every door.
    pub fn as_str(self) -> &'static str {
        match self {
            OrderKind::Failover => "failover",
            OrderKind::Fallback => "fallback",
            OrderKind::SwitchOver => "switch-over",
            OrderKind::Pause => "pause",
            OrderKind::Resume => "resume",
            OrderKind::Recover => "recover",
            OrderKind::Sweep => "sweep",
        }
    }
}

impl fmt::Display for OrderKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for OrderKind {
    type Err = String;

    fn from_str(text: &str) -> Result<OrderKind, String> {
        let found = OrderKind::ALL.into_iter().find(|kind| kind.as_str() == text);
        found.ok_or_else(|| {
            let known: Vec<_> = OrderKind::ALL.iter().map(|kind| kind.as_str()).collect();
            format!("there is no order {text:?}; there are {}", known.join(", "))
        })
    }
}

/// An order as it waits in the database.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Order {
    /// Its key.
    pub id: String,
    /// What is asked.
    pub kind: OrderKind,
    /// By whom.
    pub by: String,
    /// How long ago, by the database's clock.
    pub age_ms: u64,
}

/// What became of an order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Verdict {
    /// Which.
    pub order: Order,
    /// `Ok`: done; else why not.
    pub outcome: Result<String, String>,
}

/// Orders remembered after they were heeded: far more than the database can show once more.
const HEEDED_MAX: usize = 64;

impl Pair {
    /// The oldest order that waits, has waited for longer than `left_alone_ms`, and was not heeded before.
    pub(super) fn next_order(&mut self, left_alone_ms: u64) -> Option<Order> {
        let heeded = &self.heeded;
        self.seen.orders.retain(|order| !heeded.contains(&order.id));
        self.seen.orders.first().filter(|order| left_alone_ms == 0 || order.age_ms > left_alone_ms)?;
        let order = self.seen.orders.remove(0);
        self.heeded.truncate(HEEDED_MAX - 1);
        self.heeded.push_front(order.id.clone());
        Some(order)
    }
}

impl Order {
    pub(super) fn done(self, how: impl Into<String>) -> Verdict {
        Verdict { order: self, outcome: Ok(how.into()) }
    }

    pub(super) fn refused(self, why: impl Into<String>) -> Verdict {
        Verdict { order: self, outcome: Err(why.into()) }
    }
}
