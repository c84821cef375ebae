//! The relay's rules, one by one, and what holds for any sequence of events.

mod any;

use super::*;

/// A relay under test, its clock, and what it last wanted done. A stanza is its own number.
struct Bench {
    relay: Relay<u64>,
    now: Moment,
    said: u64,
}

fn node(name: &str, epoch: u64) -> Attach {
    Attach { epoch, node: name.to_owned(), database: "db".to_owned(), handled: None, has_others: false }
}

fn numbers(text: &str) -> Numbers {
    text.parse().expect("numbers")
}

impl Bench {
    /// With its server up and the links 1 to 3.
    fn new(bounds: Bounds) -> Bench {
        let mut bench = Bench { relay: Relay::new("boot", bounds), now: Moment(1_000), said: 0 };
        for link in 1..=3 {
            bench.on(Event::Opened(Link(link)));
        }
        bench
    }

    fn attached(bounds: Bounds) -> Bench {
        let mut bench = Bench::new(bounds);
        bench.on(Event::Attach(Link(1), node("a", 5)));
        bench.on(Event::ServerUp);
        bench
    }

    fn on(&mut self, event: Event<u64>) -> Vec<Action<u64>> {
        let mut out = Vec::new();
        self.relay.handle(self.now, event, &mut out);
        out
    }

    fn stanzas(&mut self, count: u64) -> Vec<Action<u64>> {
        let mut out = Vec::new();
        for _ in 0..count {
            self.said += 1;
            let event = Event::Stanza { stanza: self.said, bytes: 10, is_answerable: !self.said.is_multiple_of(10) };
            self.relay.handle(self.now, event, &mut out);
        }
        out
    }

    /// What the holder gets: number where told, and stanza.
    fn forwarded(&mut self) -> Vec<(Option<u64>, u64)> {
        std::iter::from_fn(|| self.relay.forward()).map(|forward| (forward.at, forward.stanza)).collect()
    }

    fn after(&mut self, ms: u64) -> Vec<Action<u64>> {
        self.now.0 += ms;
        self.on(Event::Tick)
    }
}

fn welcomes(actions: &[Action<u64>]) -> Vec<&Welcome> {
    actions
        .iter()
        .filter_map(|action| if let Action::Welcome(_, welcome) = action { Some(welcome) } else { None })
        .collect()
}

fn refusals(actions: &[Action<u64>]) -> Vec<Reason> {
    actions
        .iter()
        .filter_map(|action| if let Action::Refuse(_, refusal) = action { Some(refusal.reason) } else { None })
        .collect()
}

fn bounced(actions: &[Action<u64>]) -> Vec<u64> {
    actions.iter().filter_map(|action| if let Action::Bounce(stanza) = action { Some(*stanza) } else { None }).collect()
}

#[test]
fn the_server_is_not_reached_for_before_a_node_attaches() {
    let mut bench = Bench::new(Bounds::default());
    assert_eq!(bench.after(100_000), []);
    assert_eq!(bench.on(Event::Attach(Link(1), node("a", 5))), [Action::Reach]);
    assert_eq!(bench.on(Event::Attach(Link(2), node("b", 6))), [], "one attempt is under way");
    let done = bench.on(Event::ServerUp);
    // The first one's epoch was over before the server came.
    assert_eq!(refusals(&done), [Reason::Epoch]);
    assert_eq!(welcomes(&done)[0].node, "b");
    assert!(bench.relay.speaks(Link(2)) && !bench.relay.speaks(Link(1)));
}

#[test]
fn who_waited_in_vain_for_the_server_is_told_so_and_it_is_not_tried_without_need() {
    let mut bench = Bench::new(Bounds::default());
    bench.on(Event::Attach(Link(1), node("a", 5)));
    assert_eq!(refusals(&bench.on(Event::ServerDown("closed".to_owned()))), [Reason::Server]);
    assert_eq!(bench.relay.wake(), None);
    assert_eq!(bench.on(Event::Attach(Link(1), node("a", 5))), [Action::Reach]);
}

#[test]
fn after_a_first_holder_the_server_is_tried_again_with_growing_pauses() {
    let mut bench = Bench::attached(Bounds::default());
    let done = bench.on(Event::ServerDown("gone".to_owned()));
    assert!(matches!(done[0], Action::Holding { epoch: 5, .. }));
    assert_eq!(done.len(), 4, "every link is closed");
    for pause in [200, 400, 800, 1_600, 3_200, 5_000, 5_000] {
        assert_eq!(bench.relay.wake(), Some(Moment(bench.now.0 + pause)));
        assert_eq!(bench.after(pause - 1), []);
        assert_eq!(bench.after(1), [Action::Reach]);
        assert_eq!(bench.on(Event::ServerDown("still".to_owned())), []);
    }
    bench.after(5_000);
    bench.on(Event::ServerUp);
    bench.after(10_000);
    bench.on(Event::ServerDown("gone".to_owned()));
    assert_eq!(bench.relay.wake(), Some(Moment(bench.now.0 + 200)), "one that lasted starts anew");
}

#[test]
fn a_node_that_attaches_need_not_wait_for_the_pause() {
    let mut bench = Bench::attached(Bounds::default());
    bench.on(Event::ServerDown("gone".to_owned()));
    bench.on(Event::Opened(Link(9)));
    assert_eq!(bench.on(Event::Attach(Link(9), node("a", 5))), [Action::Reach]);
    assert_eq!(bench.relay.wake(), None, "and then there is none");
}

#[test]
fn one_of_several_relays_gives_up_its_place_when_nobody_comes_back_and_takes_it_again_when_somebody_does() {
    let mut bench = Bench::new(Bounds::default());
    bench.on(Event::Attach(Link(1), Attach { has_others: true, ..node("a", 5) }));
    bench.on(Event::ServerUp);
    assert!(!bench.after(100_000).contains(&Action::Detach), "somebody is there");
    bench.on(Event::Closed(Link(1)));
    bench.after(29_000);
    bench.stanzas(1);
    assert_eq!(bench.relay.wake(), Some(Moment(bench.now.0 + 1_000)));
    assert_eq!(bench.after(1_000), [Action::Bounce(1), Action::Detach], "answered while it can be");
    assert_eq!((bench.relay.is_server_up(), bench.relay.wake()), (false, None));
    bench.on(Event::Opened(Link(9)));
    assert_eq!(bench.on(Event::Attach(Link(9), node("b", 6))), [Action::Reach]);
    assert_eq!(welcomes(&bench.on(Event::ServerUp))[0].bounced, 1);
}

#[test]
fn the_only_relay_keeps_its_place() {
    let mut bench = Bench::attached(Bounds::default());
    bench.on(Event::Closed(Link(1)));
    assert_eq!((bench.after(100_000), bench.relay.wake()), (Vec::new(), None));
    assert!(bench.relay.is_server_up());
}

#[test]
fn numbers_are_told_only_where_counting_does_not_do() {
    let mut bench = Bench::attached(Bounds::default());
    bench.stanzas(6);
    assert_eq!(bench.forwarded(), [(None, 1), (None, 2), (None, 3), (None, 4), (None, 5), (None, 6)]);
    bench.on(Event::Ack(Link(1), numbers("1+3,5")));
    let done = bench.on(Event::Attach(Link(2), node("b", 6)));
    assert_eq!((welcomes(&done)[0].next, welcomes(&done)[0].held), (2, 3));
    assert_eq!(welcomes(&done)[0].replaced, Some(("a".to_owned(), 5)));
    assert!(done.contains(&Action::Close(Link(1), Closing::Replaced { by: "b".to_owned(), epoch: 6 })));
    bench.stanzas(1);
    assert_eq!(bench.forwarded(), [(None, 2), (Some(4), 4), (Some(6), 6), (None, 7)]);
    let counts = bench.relay.counts();
    assert_eq!((counts.forwarded, counts.replayed), (10, 3));
}

#[test]
fn acknowledged_in_the_middle_of_a_replay_is_not_sent() {
    let mut bench = Bench::attached(Bounds::default());
    bench.stanzas(5);
    bench.on(Event::Left(Link(1)));
    let handled = Some(("boot".to_owned(), numbers("1")));
    let done = bench.on(Event::Attach(Link(2), Attach { handled, ..node("b", 6) }));
    assert_eq!(welcomes(&done)[0].next, 2);
    assert_eq!(bench.relay.forward().map(|forward| forward.stanza), Some(2));
    // The old holder's last news.
    bench.on(Event::Ack(Link(1), numbers("4")));
    assert_eq!(bench.forwarded(), [(Some(5), 5)]);
    assert_eq!(bench.relay.holder().expect("held").unacknowledged, 1);
}

#[test]
fn a_mark_keeps_its_place_between_the_stanzas() {
    let mut bench = Bench::attached(Bounds::default());
    bench.stanzas(1);
    bench.on(Event::Mark { epoch: 5, seq: 1, stanza: 501 });
    bench.on(Event::Mark { epoch: 4, seq: 1, stanza: 401 });
    bench.stanzas(1);
    bench.on(Event::Mark { epoch: 5, seq: 2, stanza: 502 });
    assert_eq!(bench.forwarded(), [(None, 1), (None, 501), (None, 2), (None, 502)]);
    bench.stanzas(1);
    bench.on(Event::Mark { epoch: 5, seq: 3, stanza: 503 });
    bench.on(Event::Attach(Link(2), node("b", 6)));
    assert_eq!(bench.forwarded().len(), 3, "marks of an older reign mean nothing");
}

#[test]
fn marks_nobody_reads_do_not_pile_up() {
    let mut bench = Bench::attached(Bounds::default());
    for seq in 0..5_000 {
        bench.on(Event::Mark { epoch: 5, seq, stanza: 0 });
    }
    assert_eq!(bench.forwarded().len(), MARKS_MAX);
}

#[test]
fn what_was_said_is_known_as_far_as_the_server_got_it() {
    let mut bench = Bench::attached(Bounds::default());
    bench.on(Event::Said(Link(2), 99));
    assert_eq!(bench.relay.mark(), None, "a standby says nothing");
    bench.on(Event::Said(Link(1), 6));
    bench.on(Event::Said(Link(1), 7));
    bench.on(Event::Mark { epoch: 5, seq: 4, stanza: 0 });
    let done = bench.on(Event::Attach(Link(2), node("b", 6)));
    assert_eq!(welcomes(&done)[0].mark, Some(7));
    bench.on(Event::ServerDown("gone".to_owned()));
    assert_eq!(bench.relay.mark(), Some(4));
}

#[test]
fn groups_of_a_time_that_the_database_forgot_do_not_count_as_said() {
    let mut bench = Bench::attached(Bounds::default());
    bench.on(Event::Said(Link(1), 57));
    bench.on(Event::Mark { epoch: 5, seq: 57, stanza: 0 });
    bench.on(Event::Attach(Link(2), node("b", 6)));
    bench.on(Event::Said(Link(2), 55));
    assert_eq!(bench.relay.mark(), Some(55), "the new groups 56 and 57 were not said by anybody");
    bench.on(Event::ServerDown("gone".to_owned()));
    assert_eq!(bench.relay.mark(), Some(55));
}

#[test]
fn time_runs_from_the_moment_nobody_is_there() {
    let mut bench = Bench::attached(Bounds { wait_ms: 1_000, ..Bounds::default() });
    bench.stanzas(2);
    assert_eq!(bench.after(60_000), [], "a slow holder is no reason");
    bench.on(Event::Closed(Link(1)));
    bench.after(600);
    bench.stanzas(1);
    assert_eq!(bench.relay.wake(), Some(Moment(bench.now.0 + 400)));
    assert_eq!(bounced(&bench.after(400)), [1, 2]);
    assert_eq!(bounced(&bench.after(600)), [3]);
    let done = bench.on(Event::Attach(Link(2), node("b", 6)));
    assert_eq!((welcomes(&done)[0].bounced, welcomes(&done)[0].waited_ms, welcomes(&done)[0].next), (3, 1_600, 4));
    bench.on(Event::Left(Link(2)));
    let done = bench.on(Event::Attach(Link(2), node("b", 6)));
    assert_eq!((welcomes(&done)[0].bounced, welcomes(&done)[0].waited_ms), (0, 0));
}

#[test]
fn time_stands_still_without_the_server() {
    let mut bench = Bench::attached(Bounds { wait_ms: 1_000, ..Bounds::default() });
    bench.stanzas(1);
    bench.on(Event::ServerDown("gone".to_owned()));
    assert_eq!(bounced(&bench.after(5_000)), []);
    bench.on(Event::ServerUp);
    assert_eq!(bounced(&bench.after(999)), []);
    assert_eq!(bounced(&bench.after(1)), [1]);
}

#[test]
fn too_much_pushes_out_the_oldest_that_the_holder_has_not_got() {
    let mut bench = Bench::attached(Bounds { stanzas_max: 4, bytes_max: 1_000, wait_ms: 1_000 });
    bench.stanzas(2);
    assert_eq!(bench.forwarded().len(), 2);
    assert_eq!(bounced(&bench.stanzas(4)), [3, 4]);
    assert_eq!(bench.forwarded(), [(Some(5), 5), (None, 6)]);
    // It has them all and acknowledges none: then the oldest of these.
    assert_eq!(bounced(&bench.stanzas(1)), [7]);
    bench.forwarded();
    bench.on(Event::Closed(Link(1)));
    assert_eq!(bounced(&bench.stanzas(1)), [1]);
    let mut bench = Bench::attached(Bounds { stanzas_max: 100, bytes_max: 35, wait_ms: 1_000 });
    assert_eq!(bounced(&bench.stanzas(5)), [1, 2]);
    assert_eq!(bench.relay.held(), (3, 30));
}

#[test]
fn a_stopping_relay_hands_nothing_on_and_answers_the_rest() {
    let mut bench = Bench::attached(Bounds::default());
    bench.stanzas(9);
    bench.relay.forward();
    assert_eq!(bench.on(Event::Stopping), []);
    assert!(!bench.relay.is_settled());
    assert_eq!(bench.forwarded(), []);
    assert_eq!(refusals(&bench.on(Event::Attach(Link(2), node("b", 6)))), [Reason::Server]);
    bench.on(Event::Ack(Link(1), numbers("1")));
    assert!(bench.relay.is_settled() && bench.relay.speaks(Link(1)));
    bench.stanzas(1);
    let done = bench.on(Event::Stopped);
    assert_eq!(bounced(&done), [2, 3, 4, 5, 6, 7, 8, 9]);
    assert_eq!(done.len(), 8 + 3);
    assert_eq!((bench.relay.counts().dropped, bench.relay.held()), (1, (0, 0)));
    assert!(!bench.relay.speaks(Link(1)));
}
