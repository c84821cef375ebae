//! The walk: from the start, near things first, every event that can come in every state that can be reached; in each of
//! them also the events that cannot come; and from each of them the way out.

use std::collections::{BTreeSet, VecDeque};
use std::fmt::Write;

use super::super::{
    Duty, Event, LeaseView, Level, Opening, Order, OrderKind, Pair, Reason, Sighting, Standing, State, TwinView,
};
use super::health::{Health, Twin};
use super::ledger::Ledger;
use super::{Node, order, terms};
use crate::time::Moment;

/// States looked at from each of the two nodes. The walk is as wide as this, the wandering goes deeper.
const STATES: usize = 4_000;
/// A wait longer than every patience in the engine.
const LONG_MS: u64 = 12_500;

#[derive(Clone)]
struct Place {
    node: Node,
    ledger: Ledger,
}

/// Times as the engine tells them apart: by its patiences, the far ones alike.
fn near(now: Moment, at: Moment) -> usize {
    const STEPS: [i64; 9] = [-9_000, -6_000, -3_000, -2_500, -2_000, -1_000, 0, 250, 2_000];
    let away = at.0.cast_signed() - now.0.cast_signed();
    STEPS.iter().filter(|step| away > **step).count()
}

/// What tells states apart.
fn key(node: &Node) -> String {
    let (pair, now) = (&node.pair, node.now);
    let at = |moment: Option<Moment>| moment.map(|moment| near(now, moment));
    let seen = &pair.seen;
    let mut key = match &pair.duty {
        Duty::Taking(taking) => format!("taking {} {}", taking.is_move, near(now, taking.since)),
        Duty::Opening { unopened, .. } => format!("opening {}", unopened.is_move),
        Duty::Handing { is_frozen, until, unopened, .. } => {
            format!("handing {is_frozen} {} {}", near(now, *until), unopened.is_some())
        }
        Duty::Passing { until } => format!("passing {}", near(now, *until)),
        Duty::Serving { .. } => "serving".to_owned(),
        Duty::Ending { .. } => "ending".to_owned(),
        Duty::Starting | Duty::Waiting | Duty::Ended => format!("{:?}", pair.duty),
    };
    let lease = seen.lease.as_ref().map(|lease| (&lease.owner, lease.is_over, pair.epoch_max - lease.epoch));
    let twin = seen.twin.as_ref().map(|twin| (twin.silent_ms > 3_000, twin.unfit.is_some(), twin.standing.is_some()));
    let orders: Vec<_> = seen.orders.iter().map(|order| (order.kind, order.age_ms > 3_000)).collect();
    let _ = write!(
        key,
        "{lease:?}{twin:?}{orders:?}{:?}{:?}{:?}{:?}{:?}{:?}",
        (seen.unfit.is_some(), seen.is_paused, seen.is_idle, seen.moves_lately),
        (at(pair.lease_still_since), at(pair.sees_since), pair.blind.is_some(), at(pair.home_fit_since)),
        (pair.has_lock, pair.is_seeking, near(now, pair.seek_from).max(6), near(now, pair.ask_from).max(6)),
        (pair.detached.as_ref().map(|(since, _)| near(now, *since)), pair.commits.is_some(), pair.overdue.is_some()),
        (pair.order.as_ref().map(|order| order.kind), pair.cause.as_ref().map(|(reason, _)| *reason)),
        (pair.is_stopping, pair.told.state, pair.told.reason),
    );
    key
}

/// Every event there is, as it could come to `place`: after how long, what, and whether it can come at all.
fn events(place: &Place) -> Vec<(u64, Event, bool)> {
    let pair = &place.node.pair;
    let duty = &pair.duty;
    let is_taking = matches!(duty, Duty::Taking(_));
    let is_reigning = pair.reigns().is_some();
    let is_leaving = matches!(duty, Duty::Passing { .. } | Duty::Ending { .. });
    let is_freezing = matches!(duty, Duty::Handing { is_frozen: false, .. });
    let is_frozen = matches!(duty, Duty::Handing { is_frozen: true, .. });
    let is_unopened = matches!(duty, Duty::Opening { .. }) || matches!(duty, Duty::Handing { unopened: Some(_), .. });
    let next = pair.epoch_max() + 1;
    let why = || "the sky is low".to_owned();
    let mut events = vec![
        (250, Event::Tick, true),
        (2_600, Event::Tick, true),
        (LONG_MS, Event::Tick, true),
        (0, Event::Blind(why()), true),
        (0, Event::LockHad(seen(pair)), pair.is_seeking),
        (0, Event::LockGone, pair.is_seeking || pair.has_lock),
        (10, Event::LeaseHad(next), is_taking),
        (10, Event::LeaseHeld, is_taking),
        (10, Event::LeaseUnanswered(why()), is_taking),
        (0, Event::Renewed, is_reigning),
        (0, Event::LeaseLost, is_reigning || is_leaving),
        (0, Event::LeaseOverdue(why()), is_reigning),
        (0, Event::Fenced(next), is_reigning || is_leaving),
        (0, Event::Outdated(next), is_reigning || is_leaving),
        (0, Event::Attached(Level::Relay), is_reigning || *duty == Duty::Waiting),
        (0, Event::Detached(why()), is_reigning || *duty == Duty::Waiting),
        (0, Event::Opened(Opening::default()), is_unopened),
        (0, Event::Commits(Some(why())), is_reigning),
        (0, Event::Commits(None), is_reigning),
        (10, Event::Frozen, is_freezing),
        (10, Event::NotFrozen(why()), is_freezing),
        (10, Event::HandedOver(next), is_frozen),
        (10, Event::NotHandedOver(why()), is_frozen),
        (10, Event::PassedOn, matches!(duty, Duty::Passing { .. })),
        (10, Event::Ended, matches!(duty, Duty::Ending { .. })),
        (0, Event::Stop, true),
    ];
    events.extend(sightings(place).into_iter().map(|sighting| (500, Event::Saw(sighting), true)));
    events
}

fn seen(pair: &Pair) -> Option<LeaseView> {
    pair.seen.lease.clone()
}

fn sightings(place: &Place) -> Vec<Sighting> {
    let pair = &place.node.pair;
    let twin = pair.terms.twin.clone().unwrap_or_default();
    let expires_ms = place.node.now.0.cast_signed() + 2_000;
    let of = |owner: &str, is_over| {
        let epoch = pair.epoch_max().max(1);
        Some(LeaseView { owner: Some(owner.into()), epoch, expires_ms, is_over })
    };
    let free = Some(LeaseView { owner: None, epoch: pair.epoch_max(), expires_ms: 0, is_over: true });
    let still = seen(pair).map(|lease| LeaseView { is_over: true, ..lease });
    let mine = of(&pair.terms.node, false);
    let leases = [None, free.clone(), mine.clone(), of(&twin, false), seen(pair), still.clone(), of("c", false)];
    let well = TwinView { silent_ms: 200, unfit: None, standing: None };
    let handing = Standing { state: State::FailingOver, reason: Reason::OnAdminRequest, why: "so it was asked".into() };
    let twins = [
        None,
        Some(well.clone()),
        Some(TwinView { silent_ms: 4_000, ..well.clone() }),
        Some(TwinView { unfit: Some("no server".into()), ..well.clone() }),
        Some(TwinView { standing: Some(handing), ..well.clone() }),
    ];
    let look = |lease: &Option<LeaseView>, twin: &Option<TwinView>| Sighting {
        lease: lease.clone(),
        twin: twin.clone(),
        ..Sighting::default()
    };
    let mut all: Vec<Sighting> = leases.iter().flat_map(|lease| twins.iter().map(|twin| look(lease, twin))).collect();
    for lease in [&free, &still, &mine] {
        let plain = look(lease, &twins[1]);
        all.push(Sighting { is_paused: true, ..plain.clone() });
        all.push(Sighting { is_idle: true, ..plain.clone() });
        all.push(Sighting { moves_lately: 3, ..plain.clone() });
        all.push(Sighting { unfit: Some("no server".into()), ..plain });
    }
    for lease in [&free, &of(&twin, false), &mine] {
        for kind in OrderKind::ALL {
            for age_ms in [100, 8_000] {
                all.push(Sighting { orders: vec![fresh(place, kind, age_ms)], ..look(lease, &twins[1]) });
            }
        }
    }
    // What was answered may be seen once more before the database knows.
    all.extend(place.ledger.answered.last().map(|id| Sighting {
        orders: vec![order(OrderKind::SwitchOver, id, 9_000)],
        ..look(&of(&twin, false), &twins[1])
    }));
    all
}

/// An order of this kind that was never answered.
fn fresh(place: &Place, kind: OrderKind, age_ms: u64) -> Order {
    let id = format!("{kind}-{:04}", place.ledger.answered.len());
    order(kind, &id, age_ms)
}

fn walk(node: &str) -> Vec<Place> {
    let start = Place { node: Node::new(terms(node)), ledger: Ledger::default() };
    let mut known = BTreeSet::from([key(&start.node)]);
    let mut ahead = VecDeque::from([start]);
    let mut seen = Vec::new();
    while let Some(place) = ahead.pop_front()
        && seen.len() < STATES
    {
        for (wait_ms, event, can_come) in events(&place) {
            let mut next = place.clone();
            next.node.later(wait_ms);
            next.ledger.step(&mut next.node, &event);
            if can_come && known.insert(key(&next.node)) {
                // What was asked for comes before what merely may come: so the ends of long ways are reached.
                if is_good_answer(&event) { ahead.push_front(next) } else { ahead.push_back(next) }
            }
        }
        seen.push(place);
    }
    seen
}

fn is_good_answer(event: &Event) -> bool {
    matches!(
        event,
        Event::LockHad(_)
            | Event::LeaseHad(_)
            | Event::Opened(_)
            | Event::Frozen
            | Event::HandedOver(_)
            | Event::PassedOn
            | Event::Ended
    )
}

/// From every state, in a world in order, somebody serves in the end, or it is said why nobody does.
fn find_the_way_out(place: &Place) {
    let twins = [Twin::Gone, Twin::Stuck, Twin::Well];
    for (twin, is_free) in twins.into_iter().flat_map(|twin| [(twin, true), (twin, false)]) {
        let Place { mut node, mut ledger } = place.clone();
        let mut world = Health::around(&node.pair, twin, is_free);
        // A lease, the slack, and twice the patience that a backup has for a home node which does not come.
        world.go_on(&mut node, &mut ledger, 12_000);
        let pair = &node.pair;
        let from = || format!("from {:#?}\nto {pair:#?}", place.node.pair);
        assert!(pair.order.is_none(), "an order is never answered {}", from());
        let reason = pair.standing().reason;
        let is_held_back = !is_free
            && *pair.standing() != Standing::initial()
            && matches!(reason, Reason::OnAdminRequest | Reason::FailoverLimit);
        assert!(
            world.is_served(&node) || pair.is_over() || is_held_back,
            "no way out with the twin {twin:?} {}",
            from()
        );
    }
}

fn duty_name(duty: &Duty) -> &'static str {
    match duty {
        Duty::Starting => "starting",
        Duty::Waiting => "waiting",
        Duty::Taking(_) => "taking",
        Duty::Opening { .. } => "opening",
        Duty::Serving { .. } => "serving",
        Duty::Handing { .. } => "handing",
        Duty::Passing { .. } => "passing",
        Duty::Ending { .. } => "ending",
        Duty::Ended => "ended",
    }
}

#[test]
fn every_duty_meets_every_event_and_every_state_has_a_way_out() {
    let mut standings = BTreeSet::new();
    for node in ["a", "b"] {
        let seen = walk(node);
        let met: BTreeSet<_> = seen.iter().map(|place| duty_name(&place.node.pair.duty)).collect();
        assert_eq!(met.len(), 9, "duties never reached: {met:?}");
        standings.extend(seen.iter().map(|place| place.node.pair.standing().state));
        for place in &seen {
            find_the_way_out(place);
        }
    }
    assert_eq!(standings.len(), State::ALL.len(), "standings never reached, only: {standings:?}");
}

/// A generator of one's own, so that a walk found once is found again.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % bound as u64).unwrap_or_default()
    }
}

#[test]
fn a_long_wandering_ends_where_somebody_serves() {
    for seed in 0..150 {
        let mut chance = Chance(seed);
        let name = if seed % 2 == 0 { "a" } else { "b" };
        let mut place = Place { node: Node::new(terms(name)), ledger: Ledger::default() };
        for _ in 0..60 {
            let mut possible = events(&place);
            possible.retain(|(_, event, can_come)| *can_come && (*event != Event::Stop || seed % 5 == 0));
            // Answers and plain looks as often as all the odd ones together.
            let answers = possible.iter().filter(|(_, event, _)| !matches!(event, Event::Saw(_))).count();
            let at = if chance.below(2) == 0 { chance.below(answers) } else { chance.below(possible.len()) };
            let (wait_ms, event, _) = possible.swap_remove(at);
            place.node.later(wait_ms);
            place.ledger.step(&mut place.node, &event);
        }
        find_the_way_out(&place);
    }
}
