//! Beats, duties, orders, events and what is passed on: what two nodes and their operator tell each other.

use std::sync::Arc;
use std::time::Duration;

use tandem_muc::store::{
    Acquired, Duty, Epoch, EventSeen, HaEvent, HandOver, NewOrder, NodeBeat, PassedOn, Right, SqlStore, StoreError,
};

use crate::place::{Place, SERVICE, ask, reign};

const OTHER: &str = "other.example.org";

fn beat(node: &str) -> NodeBeat<'_> {
    NodeBeat { node, incarnation: "first", pid: 4711, version: "0.1.0", http: Some("127.0.0.1:8080"), is_paused: false }
}

pub(crate) async fn beat_of(store: &SqlStore, node: &str, duties: &[Duty]) -> Result<(), StoreError> {
    store.beat(&beat(node), duties).await
}

pub(crate) fn duty_of(service: &str, state: &str) -> Duty {
    Duty {
        service: service.into(),
        home: "a".into(),
        twin: Some("b".into()),
        state: state.into(),
        reason: "Initialization".into(),
        why: "it has just started".into(),
        is_fit: true,
        unfit: None,
        level: Some(2),
        epoch: Epoch(3),
        gap_ms: Some(12),
        secret_tag: "5e884898".into(),
        servers: "127.0.0.1:5348 (relay)".into(),
    }
}

fn pause() -> impl Future<Output = ()> {
    tokio::time::sleep(Duration::from_millis(30))
}

pub(crate) async fn a_node_is_seen_as_it_last_beat(place: Arc<Place>) {
    let (store, twin) = (place.store().await.named("a", SERVICE), place.store().await.named("b", SERVICE));
    assert!(twin.nodes().await.expect("answers").is_empty());
    store.beat(&beat("a"), &[]).await.expect("written");
    pause().await;
    twin.beat(&NodeBeat { http: None, is_paused: true, ..beat("b") }, &[]).await.expect("written");
    let nodes = twin.nodes().await.expect("answers");
    // The database's clock may move between the two columns of one statement.
    let [a, b] = &nodes[..] else { panic!("{nodes:?}") };
    assert_eq!((a.node.as_str(), a.incarnation.as_str(), a.pid, a.version.as_str()), ("a", "first", 4711, "0.1.0"));
    assert_eq!((a.schema, a.http.as_deref(), a.is_paused), (SqlStore::SCHEMA, Some("127.0.0.1:8080"), false));
    assert_eq!((b.node.as_str(), b.http.as_deref(), b.is_paused), ("b", None, true));
    assert!(
        (0..1_000).contains(&(a.beat_ms - a.started_ms)) && a.silent_ms >= 29 && a.silent_ms > b.silent_ms,
        "{nodes:?}"
    );
    assert!(b.silent_ms < 5_000, "{nodes:?}");

    store.beat(&beat("a"), &[]).await.expect("written");
    let again = twin.nodes().await.expect("answers").remove(0);
    assert!(again.started_ms == a.started_ms && again.beat_ms >= a.beat_ms + 29, "{again:?}");
    store.beat(&NodeBeat { incarnation: "second", pid: 4712, ..beat("a") }, &[]).await.expect("written");
    let anew = twin.nodes().await.expect("answers").remove(0);
    assert!(anew.started_ms >= again.beat_ms && anew.incarnation == "second" && anew.pid == 4712, "{anew:?}");
}

pub(crate) async fn duties_are_written_with_the_beat(place: Arc<Place>) {
    let store = place.store().await;
    let unfit = Duty {
        twin: None,
        is_fit: false,
        unfit: Some("the XMPP server refuses the secret".into()),
        level: None,
        gap_ms: None,
        why: String::new(),
        ..duty_of(OTHER, "Failed Over")
    };
    let duties = [duty_of(SERVICE, "Normal"), unfit.clone()];
    store.beat(&beat("a"), &duties).await.expect("written");
    pause().await;
    store.beat(&beat("b"), &[duty_of(SERVICE, "Normal")]).await.expect("written");
    let all = store.duties(None).await.expect("answers");
    let places: Vec<(&str, &str)> = all.iter().map(|seen| (seen.duty.service.as_str(), seen.node.as_str())).collect();
    assert_eq!(places, [(SERVICE, "a"), (SERVICE, "b"), (OTHER, "a")]);
    assert_eq!((&all[0].duty, &all[2].duty), (&duties[0], &unfit));
    assert!(all[0].silent_ms >= 29 && all[1].silent_ms < all[0].silent_ms, "{all:?}");
    assert_eq!(store.duties(Some(OTHER)).await.expect("answers").len(), 1);
    assert!(store.duties(Some("third.example.org")).await.expect("answers").is_empty());

    let before = &all[0];
    store.beat(&beat("a"), &[Duty { epoch: Epoch(4), ..duty_of(SERVICE, "Normal") }]).await.expect("written");
    let same = store.duties(Some(SERVICE)).await.expect("answers").remove(0);
    assert_eq!((same.since_ms, same.duty.epoch), (before.since_ms, Epoch(4)), "the state is the same");
    assert!(same.lasting_ms >= 29 && same.silent_ms < same.lasting_ms, "{same:?}");
    store.beat(&beat("a"), &[duty_of(SERVICE, "Taking Over")]).await.expect("written");
    let other = store.duties(Some(SERVICE)).await.expect("answers").remove(0);
    assert!(other.since_ms >= before.since_ms + 29 && other.duty.state == "Taking Over", "{other:?}");
    let reason = Duty { reason: "Peer Down".into(), ..duty_of(SERVICE, "Taking Over") };
    pause().await;
    store.beat(&beat("a"), &[reason]).await.expect("written");
    assert!(store.duties(Some(SERVICE)).await.expect("answers").remove(0).since_ms > other.since_ms);
}

pub(crate) async fn first_beats_of_one_node_do_not_hinder_each_other(place: Arc<Place>) {
    let store = place.store().await;
    let beats: Vec<_> = (0..6)
        .map(|nth| {
            let store = store.named("a", &format!("d{nth}.example.org"));
            tokio::spawn(
                async move { beat_of(&store, "a", &[duty_of(&format!("d{nth}.example.org"), "Normal")]).await },
            )
        })
        .collect();
    for beat in beats {
        beat.await.expect("no panic").expect("written");
    }
    assert_eq!(store.duties(None).await.expect("answers").len(), 6);
    assert_eq!(store.nodes().await.expect("answers").len(), 1);
}

pub(crate) async fn an_order_is_taken_once_and_ended_once(place: Arc<Place>) {
    let (store, twin) = (place.store().await, place.store().await);
    let order = NewOrder { service: SERVICE, kind: "fallback", by: "olga at the command line" };
    let id = store.give_order(&order).await.expect("given");
    let other = store.give_order(&NewOrder { service: OTHER, ..order }).await.expect("given");
    let later = store.give_order(&NewOrder { kind: "pause", ..order }).await.expect("given");
    let open = twin.open_orders(SERVICE).await.expect("answers");
    let ids: Vec<&str> = open.iter().map(|order| order.id.as_str()).collect();
    assert_eq!(ids, [id.as_str(), later.as_str()], "oldest first, of this service");
    assert_eq!((open[0].service.as_str(), open[0].kind.as_str(), open[0].by.as_str()), (SERVICE, "fallback", order.by));
    assert_eq!((&open[0].node, open[0].taken_ms, open[0].ended_ms), (&None, None, None));

    let takers: Vec<_> = (0..8)
        .map(|nth| {
            let (place, id) = (place.clone(), id.clone());
            tokio::spawn(async move {
                let store = SqlStore::open(&place.config()).await.expect("opens");
                let node = format!("node{nth}");
                store.take_order(&id, &node).await.expect("answers").then_some(node)
            })
        })
        .collect();
    let mut taken = Vec::new();
    for taker in takers {
        taken.extend(taker.await.expect("no panic"));
    }
    let [taker] = &taken[..] else { panic!("{taken:?}") };
    let seen = twin.order(&id).await.expect("answers").expect("is there");
    assert_eq!(seen.node.as_ref(), Some(taker));
    assert!(seen.taken_ms.is_some_and(|taken| taken >= seen.given_ms) && seen.ended_ms.is_none(), "{seen:?}");
    assert_eq!(twin.open_orders(SERVICE).await.expect("answers").len(), 2, "taken is not ended");

    assert!(store.end_order(&id, "done", "conference is home again").await.expect("answers"));
    assert!(!twin.end_order(&id, "failed", "too late").await.expect("answers"), "it had ended");
    let seen = twin.order(&id).await.expect("answers").expect("stays");
    assert_eq!((seen.outcome.as_deref(), seen.why.as_deref()), (Some("done"), Some("conference is home again")));
    assert!(seen.ended_ms >= seen.taken_ms);
    assert!(store.end_order(&other, "refused", "nobody took it").await.expect("answers"));
    assert!(!store.take_order(&other, "a").await.expect("answers"), "what has ended is not begun");
    assert!(!store.take_order("no such order", "a").await.expect("answers"));
    assert_eq!(store.order("no such order").await.expect("answers"), None);
}

pub(crate) async fn events_come_back_newest_first(place: Arc<Place>) {
    let store = place.store().await;
    let event = |node: &str, service: &str, to: &str| HaEvent {
        id: HaEvent::new_id(),
        node: node.into(),
        service: service.into(),
        from: String::new(),
        to: to.into(),
        reason: "Peer Down".into(),
        why: "the session lock of node a is free".into(),
        epoch: Epoch(8),
        detect_ms: None,
        gap_ms: None,
        repeated: None,
        replayed: None,
        bounced: None,
        operator: None,
    };
    let full = HaEvent {
        from: "Taking Over".into(),
        detect_ms: Some(3),
        gap_ms: Some(41),
        repeated: Some(2),
        replayed: Some(137),
        bounced: Some(0),
        operator: Some("olga".into()),
        ..event("b", SERVICE, "Running in Backup Mode")
    };
    let first = event("b", SERVICE, "Taking Over");
    let elsewhere = event("a", OTHER, "Normal");
    store.note_event(&first, 0).await.expect("noted");
    pause().await;
    store.note_event(&full, 0).await.expect("noted");
    store.note_event(&full, 0).await.expect("once, for the answer was lost");
    pause().await;
    store.note_event(&elsewhere, 0).await.expect("noted");
    let earliest = event("a", SERVICE, "Unknown");
    store.note_event(&earliest, 10_000).await.expect("noted, later than it was");

    let noted = |seen: Vec<EventSeen>| seen.into_iter().map(|seen| seen.event).collect::<Vec<_>>();
    let all = store.events(None, 10).await.expect("answers");
    assert!(all.is_sorted_by(|one, next| one.at_ms >= next.at_ms), "{all:?}");
    let span = all[0].at_ms - all[3].at_ms;
    assert!((5_000..=10_000).contains(&span), "{span}");
    assert_eq!(noted(all), [elsewhere, full.clone(), first.clone(), earliest.clone()]);
    assert_eq!(noted(store.events(Some(SERVICE), 10).await.expect("answers")), [full.clone(), first, earliest]);
    assert_eq!(noted(store.events(Some(SERVICE), 1).await.expect("answers")), [full]);
    assert!(store.events(Some("third.example.org"), 10).await.expect("answers").is_empty());
}

pub(crate) async fn what_is_passed_on_arrives_whole_or_not_yet(place: Arc<Place>) {
    let (store, twin) = (place.store().await, place.store().await);
    let mut epoch = reign(&store).await;
    assert_eq!(twin.passed_on(SERVICE, epoch).await.expect("answers"), PassedOn::Nothing, "nobody was here before");
    assert!(!store.pass_on(SERVICE, epoch, &["<presence/>".into()]).await.expect("answers"), "nobody waits");
    let stanzas: Vec<String> = (0..150).map(|nth| format!("<message id='{nth}'/>")).collect();
    for stanzas in [&stanzas[..], &[], &stanzas[..1]] {
        let move_to = |node, to, epoch| HandOver {
            name: SERVICE,
            node,
            epoch,
            to,
            ttl_ms: 60_000,
            mark: None,
            inbound: None,
            passes_on: true,
        };
        let next = store.hand_over(&move_to("a", "b", epoch)).await.expect("answers").expect("ours");
        assert_eq!(store.hand_over(&move_to("a", "b", epoch)).await.expect("answers"), Some(next), "or again");
        assert_eq!(twin.passed_on(SERVICE, next).await.expect("answers"), PassedOn::Awaited);
        for _ in 0..2 {
            assert!(store.pass_on(SERVICE, next, stanzas).await.expect("once or again"));
        }
        assert_eq!(twin.passed_on(SERVICE, next).await.expect("answers"), PassedOn::Whole(stanzas.to_vec()));
        twin.forget_passed_on(SERVICE, next).await.expect("answers");
        assert_eq!(twin.passed_on(SERVICE, next).await.expect("answers"), PassedOn::Nothing);
        assert!(!store.pass_on(SERVICE, next, stanzas).await.expect("answers"), "handled once is enough");
        assert_eq!(twin.passed_on(SERVICE, next).await.expect("answers"), PassedOn::Nothing);
        epoch = Epoch(next.0 + 1);
        let back = HandOver { passes_on: false, ..move_to("b", "a", next) };
        assert_eq!(twin.hand_over(&back).await.expect("answers"), Some(epoch));
        assert_eq!(store.passed_on(SERVICE, epoch).await.expect("answers"), PassedOn::Nothing, "none is expected");
    }
    let lock = store.session_lock(SERVICE).await.expect("answers").expect("free");
    let taken = store.acquire(&ask("a", 60_000, Right::Dead(&lock))).await.expect("answers");
    assert!(matches!(taken, Acquired::Lease(_)), "{taken:?}");
}
