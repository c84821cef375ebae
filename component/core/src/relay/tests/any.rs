//! Any sequence of events: each stanza is delivered once to each reign until handled, or bounced once; older epochs are
//! never heard; numbers are never used again.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Step {
    Open(u64),
    Close(u64),
    Attach { link: u64, name: u8, epoch: u64, database: u8, handled: Vec<u64> },
    Ack(u64, Vec<u64>),
    Said(u64, i64),
    Leave(u64),
    Up,
    Down,
    Stanzas(u64),
    Mark(u64),
    Forward(usize),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let link = || 1u64..6;
    let picks = || prop::collection::vec(1u64..40, 0..6);
    prop_oneof![
        2 => link().prop_map(Step::Open),
        1 => link().prop_map(Step::Close),
        4 => (link(), 0u8..3, 1u64..9, 0u8..8, picks()).prop_map(|(link, name, epoch, database, handled)| Step::Attach {
            link,
            name,
            epoch,
            database,
            handled
        }),
        3 => (link(), picks()).prop_map(|(link, picks)| Step::Ack(link, picks)),
        1 => (link(), 0i64..50).prop_map(|(link, seq)| Step::Said(link, seq)),
        1 => link().prop_map(Step::Leave),
        3 => Just(Step::Up),
        1 => Just(Step::Down),
        5 => (1u64..5).prop_map(Step::Stanzas),
        1 => (1u64..9).prop_map(Step::Mark),
        5 => (1usize..8).prop_map(Step::Forward),
        2 => (1u64..400).prop_map(Step::Wait),
    ]
}

/// What became of a stanza.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Held,
    Handled,
    Bounced,
}

/// A relay, and what the world knows about it.
struct World {
    bench: Bench,
    bounds: Bounds,
    open: BTreeSet<u64>,
    /// Links that were attached, also those that left since.
    served: BTreeSet<u64>,
    /// What each link said last that it has handled.
    claims: BTreeMap<u64, Numbers>,
    fates: BTreeMap<u64, Fate>,
    /// The current reign: its link, its epoch, the number it takes the next stanza to have, and what it got.
    reign: Option<(u64, u64, u64, Vec<u64>)>,
    highest_attached: u64,
    is_opening: bool,
}

/// Marks are told from stanzas by their size.
const MARKS_FROM: u64 = 1_000_000;

impl World {
    fn new(bounds: Bounds) -> World {
        World {
            bench: Bench { relay: Relay::new("boot", bounds), now: Moment(0), said: 0 },
            bounds,
            open: BTreeSet::new(),
            served: BTreeSet::new(),
            claims: BTreeMap::new(),
            fates: BTreeMap::new(),
            reign: None,
            highest_attached: 0,
            is_opening: false,
        }
    }

    fn step(&mut self, step: Step) {
        let is_up = self.bench.relay.is_server_up();
        match step {
            Step::Open(link) => {
                if self.open.insert(link) {
                    self.served.remove(&link);
                    self.on(Event::Opened(Link(link)));
                }
            }
            Step::Close(link) => {
                self.open.remove(&link);
                self.on(Event::Closed(Link(link)));
                self.gone(link);
            }
            Step::Attach { link, name, epoch, database, handled } => {
                let handled = Some(("boot".to_owned(), self.given_out(&handled)));
                let database = if database == 0 { "other" } else { "db" }.to_owned();
                let attach =
                    Attach { epoch, node: format!("n{name}"), database, handled, has_others: epoch.is_multiple_of(2) };
                self.on(Event::Attach(Link(link), attach));
            }
            Step::Ack(link, picks) => {
                let numbers = self.given_out(&picks);
                self.on(Event::Ack(Link(link), numbers.clone()));
                if self.served.contains(&link) && self.open.contains(&link) {
                    self.handled(&numbers);
                }
            }
            Step::Said(link, seq) => self.on(Event::Said(Link(link), seq)),
            Step::Leave(link) => {
                self.on(Event::Left(Link(link)));
                self.gone(link);
            }
            Step::Up if self.is_opening => {
                self.is_opening = false;
                self.on(Event::ServerUp);
            }
            Step::Down if is_up || self.is_opening => {
                self.is_opening = false;
                if is_up {
                    self.reign = None;
                }
                self.on(Event::ServerDown("down".to_owned()));
            }
            Step::Stanzas(count) if is_up => {
                for n in self.bench.said + 1..=self.bench.said + count {
                    self.fates.insert(n, Fate::Held);
                    self.bench.said = n;
                    let event = Event::Stanza { stanza: n, bytes: 10, is_answerable: !n.is_multiple_of(5) };
                    self.on(event);
                }
            }
            Step::Mark(epoch) if is_up => self.on(Event::Mark { epoch, seq: 1, stanza: MARKS_FROM + epoch }),
            Step::Up | Step::Down | Step::Stanzas(_) | Step::Mark(_) => {}
            Step::Forward(count) => (0..count).for_each(|_| self.forward()),
            Step::Wait(ms) => {
                self.bench.now.0 += ms;
                self.on(Event::Tick);
            }
        }
        self.check();
    }

    /// Those of `picks` that are numbers of stanzas a node can have heard of.
    fn given_out(&self, picks: &[u64]) -> Numbers {
        picks.iter().copied().filter(|pick| *pick <= self.bench.said).collect()
    }

    fn handled(&mut self, numbers: &Numbers) {
        for (n, fate) in &mut self.fates {
            if *fate == Fate::Held && numbers.contains(*n) {
                *fate = Fate::Handled;
            }
        }
    }

    fn gone(&mut self, link: u64) {
        if self.reign.as_ref().is_some_and(|reign| reign.0 == link) {
            self.reign = None;
        }
    }

    fn on(&mut self, event: Event<u64>) {
        let mut earlier = None;
        if let Event::Attach(link, Attach { handled: Some((_, numbers)), .. }) = &event {
            earlier = self.claims.insert(link.0, numbers.clone());
        }
        let mut handled = Numbers::default();
        let before = self.bench.relay.counts();
        let is_up = self.bench.relay.is_server_up();
        for action in self.bench.on(event) {
            match action {
                Action::Reach => {
                    assert!(!self.is_opening && !self.bench.relay.is_server_up(), "reached for twice");
                    self.is_opening = true;
                }
                Action::Welcome(Link(link), welcome) => {
                    assert!(self.open.contains(&link), "a link that is gone is attached");
                    assert!(welcome.epoch >= self.highest_attached, "an older epoch is attached");
                    self.highest_attached = welcome.epoch;
                    self.served.insert(link);
                    handled.union(&self.claims[&link]);
                    self.reign = Some((link, welcome.epoch, welcome.next, Vec::new()));
                }
                Action::Close(Link(link), _) => {
                    assert!(self.open.remove(&link), "a link is closed twice");
                }
                Action::Bounce(n) => {
                    assert_eq!(self.fates.insert(n, Fate::Bounced), Some(Fate::Held), "{n} was not held any more");
                    assert!(!n.is_multiple_of(5), "{n} must not be answered");
                }
                Action::Refuse(Link(link), _) => {
                    assert!(self.open.contains(&link));
                    // One that was granted a place in the queue before keeps it.
                    if let Some(earlier) = earlier.take() {
                        self.claims.insert(link, earlier);
                    }
                }
                Action::Holding { .. } => {}
                Action::Detach => {
                    assert!(is_up && self.reign.is_none() && !self.is_opening, "it is needed, or not there");
                    assert_eq!(self.bench.relay.held(), (0, 0), "what is kept could not be answered any more");
                }
            }
        }
        // Whatever is dropped is the oldest that may not be answered, so what is held tells which.
        let dropped = self.bench.relay.counts().dropped - before.dropped;
        if dropped > 0 || handled != Numbers::default() {
            self.learn(dropped, &handled);
        }
    }

    /// Brings the fates of what left without an action up to date: handled at an attachment, or dropped.
    fn learn(&mut self, dropped: u64, handled: &Numbers) {
        let held: BTreeSet<u64> = self.bench.relay.held.numbers().collect();
        let mut silent = 0;
        for (n, fate) in self.fates.iter_mut().filter(|(n, fate)| **fate == Fate::Held && !held.contains(n)) {
            if handled.contains(*n) {
                *fate = Fate::Handled;
            } else {
                assert!(n.is_multiple_of(5), "{n} vanished");
                *fate = Fate::Bounced;
                silent += 1;
            }
        }
        assert_eq!(silent, dropped);
    }

    fn forward(&mut self) {
        let Some(Forward { link, at, stanza }) = self.bench.relay.forward() else { return };
        let (holder, epoch, expected, got) = self.reign.as_mut().expect("nothing is forwarded without a holder");
        assert_eq!(link.0, *holder);
        if let Some(mark) = stanza.checked_sub(MARKS_FROM) {
            assert_eq!(mark, *epoch, "a mark of another epoch");
            assert_eq!(at, None);
            return;
        }
        let number = at.unwrap_or(*expected);
        assert_eq!(number, stanza, "the node counts otherwise");
        assert!(got.last().is_none_or(|last| *last < number), "not in order, or twice");
        assert_eq!(self.fates[&stanza], Fate::Held, "done with and delivered");
        got.push(number);
        *expected = number + 1;
    }

    fn check(&self) {
        let relay = &self.bench.relay;
        let held = self.fates.iter().filter(|(_, fate)| **fate == Fate::Held).map(|(n, _)| *n);
        assert_eq!(relay.held.numbers().collect::<Vec<_>>(), held.collect::<Vec<_>>());
        let (count, bytes) = relay.held();
        assert!(count <= self.bounds.stanzas_max && bytes == 10 * count && bytes <= self.bounds.bytes_max);
        let speakers: Vec<u64> = (1..6).filter(|&link| relay.speaks(Link(link))).collect();
        let holder: Vec<u64> = self.reign.iter().map(|reign| reign.0).collect();
        assert_eq!(speakers, holder, "exactly the holder speaks");
        if let Some((_, epoch, _, got)) = &self.reign {
            assert_eq!(*epoch, self.highest_attached);
            let unacknowledged = got.iter().filter(|n| self.fates[n] == Fate::Held).count();
            assert_eq!(relay.holder().map(|holder| holder.unacknowledged), Some(unacknowledged));
        }
        assert!(relay.highest() >= self.highest_attached);
        if let Some(wake) = relay.wake() {
            assert!(self.reign.is_none() || wake > self.bench.now);
        }
    }

    /// Whatever is held reaches the holder, or is answered at the end.
    fn end(mut self) {
        if self.reign.is_some() {
            (0..10_000).for_each(|_| self.forward());
            let got: BTreeSet<u64> = self.reign.iter().flat_map(|reign| reign.3.iter().copied()).collect();
            for (n, _) in self.fates.iter().filter(|(_, fate)| **fate == Fate::Held) {
                assert!(got.contains(n), "{n} is held back");
            }
        }
        self.on(Event::Stopping);
        self.on(Event::Stopped);
        assert!(self.fates.values().all(|fate| *fate != Fate::Held));
        assert!(self.open.is_empty());
        let counts = self.bench.relay.counts();
        let bounced = self.fates.values().filter(|fate| **fate == Fate::Bounced).count();
        assert_eq!((counts.numbered, counts.bounced + counts.dropped), (self.bench.said, bounced as u64));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn each_stanza_is_delivered_until_handled_or_bounced_once(
        steps in prop::collection::vec(step(), 0..120),
        stanzas_max in 2usize..40,
        bytes_max in 20usize..400,
    ) {
        let bounds = Bounds { stanzas_max, bytes_max, wait_ms: 500 };
        let mut world = World::new(bounds);
        for step in steps {
            world.step(step);
        }
        world.end();
    }
}
