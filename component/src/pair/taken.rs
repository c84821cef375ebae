//! The orders this node has taken from the database: each is carried out or answered once, whatever answer of the
//! database was lost on its way, and none long after it was given.

use std::collections::BTreeSet;
use std::time::Instant;

use tandem_muc_core::pair::Order;

/// What is remembered of orders between two looks.
#[derive(Debug, Default)]
pub(super) struct Orders {
    /// Taken and not answered.
    taken: Vec<Taken>,
    /// Asked for: where the database's answer was lost, they are this node's all the same.
    asked: BTreeSet<String>,
    /// Answered; the database may not have it yet.
    answered: BTreeSet<String>,
}

#[derive(Debug)]
struct Taken {
    order: Order,
    /// When it was as old as it says.
    at: Instant,
    /// As whoever serves the domain: for whoever serves it next it is not meant.
    is_holders: bool,
}

/// What an order that the database shows as this node's is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Ours {
    /// Under way, or answered.
    Known,
    /// Taken without our hearing of it.
    Unheard,
    /// Taken by an earlier life of this node.
    Inherited,
}

impl Orders {
    /// About to be taken.
    pub(super) fn ask(&mut self, id: &str) {
        self.asked.insert(id.to_owned());
    }

    /// What is known of an order that is this node's.
    pub(super) fn ours(&self, id: &str) -> Ours {
        if self.answered.contains(id) || self.is_taken(id) {
            Ours::Known
        } else if self.asked.contains(id) {
            Ours::Unheard
        } else {
            Ours::Inherited
        }
    }

    /// It is this node's.
    pub(super) fn take(&mut self, order: Order, is_holders: bool, now: Instant) {
        if self.ours(&order.id) != Ours::Known {
            self.taken.push(Taken { order, at: now, is_holders });
        }
    }

    /// It was answered; it is not given to the engine again.
    pub(super) fn answered(&mut self, id: &str) {
        self.answered.insert(id.to_owned());
        self.taken.retain(|taken| taken.order.id != id);
    }

    pub(super) fn is_taken(&self, id: &str) -> bool {
        self.taken.iter().any(|taken| taken.order.id == id)
    }

    /// Those that wait, as old as they are now; and those taken by a holder that is none any more.
    pub(super) fn waiting(&self, is_held_by_another: bool, now: Instant) -> (Vec<Order>, Vec<Order>) {
        let (late, waiting): (Vec<_>, Vec<_>) =
            self.taken.iter().partition(|taken| taken.is_holders && is_held_by_another);
        let as_of_now = |taken: Vec<&Taken>| taken.into_iter().map(|taken| taken.as_of(now)).collect();
        (as_of_now(waiting), as_of_now(late))
    }

    /// What the database does not show as open any more need not be remembered.
    pub(super) fn forget_ended<'a>(&mut self, open: impl Iterator<Item = &'a str>) {
        let open: BTreeSet<&str> = open.collect();
        self.asked.retain(|id| open.contains(id.as_str()));
        self.answered.retain(|id| open.contains(id.as_str()));
    }
}

impl Taken {
    fn as_of(&self, now: Instant) -> Order {
        let since_ms = u64::try_from(now.saturating_duration_since(self.at).as_millis()).unwrap_or(u64::MAX);
        Order { age_ms: self.order.age_ms.saturating_add(since_ms), ..self.order.clone() }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tandem_muc_core::pair::OrderKind;

    use super::*;

    fn order(id: &str) -> Order {
        Order { id: id.into(), kind: OrderKind::Failover, by: "olga".into(), age_ms: 100 }
    }

    fn ids(orders: &[Order]) -> Vec<&str> {
        orders.iter().map(|order| order.id.as_str()).collect()
    }

    #[test]
    fn an_order_grows_old_while_it_waits() {
        let (mut orders, now) = (Orders::default(), Instant::now());
        orders.take(order("1"), true, now);
        let (waiting, _) = orders.waiting(false, now + Duration::from_secs(60));
        assert_eq!(waiting[0].age_ms, 60_100);
    }

    #[test]
    fn what_was_asked_of_a_holder_is_not_done_after_it_gave_the_domain_away() {
        let (mut orders, now) = (Orders::default(), Instant::now());
        orders.take(order("of the holder"), true, now);
        orders.take(order("left lying"), false, now);
        let (waiting, late) = orders.waiting(true, now);
        assert_eq!((ids(&waiting), ids(&late)), (vec!["left lying"], vec!["of the holder"]));
        orders.answered("of the holder");
        let (waiting, late) = orders.waiting(false, now);
        assert_eq!((ids(&waiting), late.len()), (vec!["left lying"], 0));
    }

    #[test]
    fn an_order_whose_taking_was_not_heard_of_is_taken_once() {
        let (mut orders, now) = (Orders::default(), Instant::now());
        orders.ask("1");
        assert_eq!((orders.ours("1"), orders.ours("2")), (Ours::Unheard, Ours::Inherited));
        orders.take(order("1"), true, now);
        orders.take(order("1"), true, now);
        assert_eq!((orders.ours("1"), orders.waiting(false, now).0.len()), (Ours::Known, 1));
        orders.answered("1");
        orders.take(order("1"), true, now);
        assert_eq!((orders.ours("1"), orders.waiting(false, now).0.len()), (Ours::Known, 0));
        orders.forget_ended(["1"].into_iter());
        assert_eq!(orders.ours("1"), Ours::Known);
        orders.forget_ended([].into_iter());
        assert_eq!(orders.ours("1"), Ours::Inherited);
    }
}
