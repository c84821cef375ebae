//! The fence: one reign, one place in the order of groups; everything else writes nothing.

use std::sync::Arc;
use std::time::Duration;

use tandem_muc::store::{Acquired, Echo, Epoch, Fence, Marks, Right, SqlStore, StoreError, Unheard};
use tandem_muc_core::muc::RoomConfig;
use tandem_muc_core::name::Jid;
use tandem_muc_core::record::{Message, MessageKind, Record, Seq};
use tandem_muc_core::stanza::{Audience, Inbound, Kind, Outbound, Stanza, Type};

use crate::place::{Place, SERVICE, ask, fence, marked, reign};
use crate::records::{created, fact, hall, load, spoken};

fn said(seq: i64) -> Record {
    Record::Spoken(Arc::new(spoken(seq, "hello")))
}

pub(crate) async fn a_stale_epoch_and_a_wrong_place_write_nothing(place: Arc<Place>) {
    let store = place.store().await;
    let epoch = reign(&store).await;
    store.append(&fence(epoch, 0), &[fact(created(RoomConfig::default()))], Marks::default()).await.expect("ours");
    let before = load(&store, &hall()).await;
    let unlock = [fact(Record::Unlocked)];
    let speech = [fact(said(1))];
    for facts in [&unlock, &speech] {
        for wrong in [
            fence(Epoch(epoch.0 - 1), 1),
            fence(Epoch(epoch.0 + 1), 1),
            fence(epoch, 2),
            Fence { after: 0, next: 5, ..fence(epoch, 0) },
            Fence { service: "other.example.org".into(), ..fence(epoch, 1) },
        ] {
            let answer = store.append(&wrong, facts, Marks::default()).await;
            assert!(matches!(answer, Err(StoreError::Fenced { .. })), "{wrong:?}: {answer:?}");
        }
    }
    assert_eq!(load(&store, &hall()).await, before);
    store.append(&fence(epoch, 1), &speech, Marks::default()).await.expect("nothing was used up");
}

pub(crate) async fn repeating_an_append_whose_answer_was_lost_is_harmless(place: Arc<Place>) {
    let store = place.store().await;
    let epoch = reign(&store).await;
    let opening = [fact(created(RoomConfig::default())), fact(said(1))];
    let speech = [fact(said(2)), fact(said(3))];
    for _ in 0..3 {
        store.append(&fence(epoch, 0), &opening, Marks::default()).await.expect("once or again");
    }
    for _ in 0..3 {
        store.append(&fence(epoch, 1), &speech, Marks::default()).await.expect("once or again");
    }
    let image = load(&store, &hall()).await.expect("a room");
    let numbers: Vec<Seq> = image.history.iter().map(|message| message.seq).collect();
    assert_eq!(numbers, [Seq(1), Seq(2), Seq(3)]);
    let late = store.append(&fence(epoch, 0), &opening, Marks::default()).await;
    assert!(matches!(late, Err(StoreError::Fenced { .. })), "only the last group can be repeated: {late:?}");
}

pub(crate) async fn the_tail_after_a_mark_is_what_was_written_since(place: Arc<Place>) {
    let store = place.store().await;
    let epoch = reign(&store).await;
    store.append(&fence(epoch, 0), &[fact(created(RoomConfig::default()))], Marks::default()).await.expect("ours");
    for group in 1..5 {
        let subject = Message { kind: MessageKind::Subject, ..spoken(group * 10 + 2, "subject") };
        let facts = [fact(said(group * 10 + 1)), fact(Record::Spoken(Arc::new(subject)))];
        store.append(&fence(epoch, group), &facts, marked(group)).await.expect("ours");
    }
    let tail = store.tail(SERVICE, 3).await.expect("readable");
    let message = |unheard: &Unheard| match unheard {
        Unheard::Message(message) => message.clone(),
        other @ (Unheard::Word(_) | Unheard::Entry(_)) => panic!("{other:?}"),
    };
    let numbers: Vec<i64> = tail.iter().map(|(_, unheard)| message(unheard).seq.0).collect();
    assert_eq!(numbers, [31, 32, 41, 42], "group 4 wrote what came after mark 3");
    assert_eq!((&tail[0].0, message(&tail[0].1)), (&hall(), spoken(31, "hello")));
    assert!(store.tail("other.example.org", 0).await.expect("readable").is_empty());
}

fn echo_of(nick: &str, to: &[&str], after: i64) -> Echo {
    let from = Jid::parse(&format!("{}/{nick}", hall().as_str())).expect("a JID");
    let to: Vec<Jid> = to.iter().map(|jid| Jid::parse(jid).expect("a JID")).collect();
    let word = Outbound { stanza: Stanza::new(Kind::Presence, Type::Unavailable, from), to: Audience::Many(to.into()) };
    Echo::of_word(hall(), Seq(after), &word)
}

/// What the tail has to say, in order.
async fn tail_of(store: &SqlStore, mark: i64) -> Vec<String> {
    let tail = store.tail(SERVICE, mark).await.expect("readable").into_iter();
    tail.map(|(room, unheard)| {
        assert_eq!(room, hall());
        match unheard {
            Unheard::Message(message) => message.seq.0.to_string(),
            Unheard::Word(word) => {
                let to: Vec<&str> = word.to.as_slice().iter().map(Jid::as_str).collect();
                format!("{} to {}", word.stanza.from.resource().unwrap_or_default(), to.join(" "))
            }
            Unheard::Entry(ask) => format!("{} as {}", ask.stanza.from, ask.to.resource().unwrap_or_default()),
        }
    })
    .collect()
}

pub(crate) async fn what_was_not_heard_comes_back_in_its_order_until_it_is_let_go(place: Arc<Place>) {
    let store = place.store().await;
    let epoch = reign(&store).await;
    let asked = "<presence from='nils@example.org/1' to='hall@conference.example.org/Nils'/>";
    let asked = Inbound::from_xml(asked).expect("a stanza");
    let odd = "mia@example.org/a b's <&>\u{1f984}";
    let first = [echo_of("Olga", &["mia@example.org/1", odd], 0), Echo::of_entry(hall(), Seq(2), &asked)];
    let first: Vec<&Echo> = first.iter().collect();
    let facts = [fact(created(RoomConfig::default())), fact(said(1)), fact(said(2))];
    let marks = Marks { echoes: &first, ..Marks::default() };
    for _ in 0..2 {
        // An answer that is lost doubles nothing.
        store.append(&fence(epoch, 0), &facts, marks).await.expect("written");
    }
    let second = [echo_of("Adam", &["mia@example.org/1"], 0), echo_of("Mia", &["adam@example.org/1"], 0)];
    let second: Vec<&Echo> = second.iter().collect();
    let marks = Marks { echoes: &second, ..Marks::default() };
    store.append(&fence(epoch, 1), &[fact(said(3))], marks).await.expect("written");
    let olga = format!("Olga to mia@example.org/1 {odd}");
    let expected = ["Adam to mia@example.org/1", "Mia to adam@example.org/1", "3"];
    assert_eq!(
        tail_of(&store, 0).await,
        [&[olga.as_str(), "1", "2", "nils@example.org/1 as Nils"], &expected[..]].concat()
    );
    assert_eq!(tail_of(&store, 1).await, expected);
    assert!(store.tail("other.example.org", 0).await.expect("readable").is_empty());

    let stale = Marks { echoes: &second, heard: Some(2), ..Marks::default() };
    let answer = store.append(&fence(Epoch(epoch.0 - 1), 2), &[], stale).await;
    assert!(matches!(answer, Err(StoreError::Fenced { .. })), "{answer:?}");
    assert_eq!(tail_of(&store, 1).await, expected, "who may not write lets nothing go");
    store.append(&fence(epoch, 2), &[], Marks { heard: Some(1), ..marked(1) }).await.expect("written");
    assert_eq!(tail_of(&store, 0).await, [&["1", "2"], &expected[..]].concat());
    assert_eq!(place.sql("SELECT COUNT(*) FROM muc_echo"), "2");
    store.append(&fence(epoch, 3), &[fact(said(4))], Marks { heard: Some(3), ..marked(3) }).await.expect("written");
    assert_eq!(place.sql("SELECT COUNT(*) FROM muc_echo"), "0");
    assert_eq!(tail_of(&store, 3).await, ["4"]);
}

pub(crate) async fn an_old_holder_cannot_write_while_a_new_one_takes_over(place: Arc<Place>) {
    let store = place.store().await;
    let epoch = reign(&store).await;
    store.append(&fence(epoch, 0), &[fact(created(RoomConfig::default()))], Marks::default()).await.expect("ours");
    let writer = {
        let store = store.clone();
        tokio::spawn(async move {
            let mut after = 1;
            loop {
                match store.append(&fence(epoch, after), &[fact(said(after))], Marks::default()).await {
                    Ok(()) => after += 1,
                    Err(StoreError::Fenced { by }) => return (after, by),
                    Err(error) => panic!("{error}"),
                }
            }
        })
    };
    tokio::time::sleep(Duration::from_millis(100)).await;
    let twin = SqlStore::open(&place.config()).await.expect("opens");
    let lock = twin.session_lock(SERVICE).await.expect("answers").expect("free");
    let Acquired::Lease(lease) = twin.acquire(&ask("b", 60_000, Right::Dead(&lock))).await.expect("answers") else {
        panic!("the session lock is in hand");
    };
    let (written, by) = writer.await.expect("no panic");
    assert_eq!((lease.seq, lease.epoch), (written, by), "what the new holder saw last is what the old one wrote last");
    let image = load(&store, &hall()).await.expect("a room");
    assert_eq!(image.last_seq, Seq(written - 1));
}
