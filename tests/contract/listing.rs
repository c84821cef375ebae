//! Lists of rooms.

use std::sync::Arc;

use tandem_muc::store::{Fact, Marks, Page, RoomPage, SqlStore};
use tandem_muc_core::muc::{Role, RoomConfig};
use tandem_muc_core::name::BareJid;
use tandem_muc_core::record::{OccupantEntry, Record, RoomId, Tombstone};
use tandem_muc_core::room::find::{RoomSearch, jabber};
use tandem_muc_core::stanza::element;
use tandem_muc_core::time::Utc;

use crate::place::{Place, SERVICE, fence, reign};
use crate::records::{bare, created, jid, nick};

fn room(nth: i64, name: &str, config: RoomConfig, is_open: bool) -> Vec<Fact> {
    let jid = bare(&format!("{name}@{SERVICE}"));
    let created = Fact { room: RoomId(nth), jid: jid.clone(), record: created(config) };
    let unlocked = Fact { room: RoomId(nth), jid, record: Record::Unlocked };
    if is_open { vec![created, unlocked] } else { vec![created] }
}

fn titled(title: &str) -> RoomConfig {
    RoomConfig { title: title.into(), ..RoomConfig::default() }
}

async fn page(store: &SqlStore, page: Page<'_>, max: u32) -> (Vec<String>, Option<u64>) {
    let RoomPage { rooms, total, first_index } = store.public_rooms(SERVICE, page, max).await.expect("readable");
    assert_eq!(total, 5);
    (rooms.into_iter().map(|(jid, _)| jid.local().unwrap_or_default().to_owned()).collect(), first_index)
}

pub(crate) async fn public_rooms_come_in_pages(place: Arc<Place>) {
    let store = place.store().await;
    let epoch = reign(&store).await;
    let mut facts = Vec::new();
    // Bytes decide the order, not a language: Ä after z, and upper case does not exist in room names.
    for (nth, name) in (1..).zip(["d", "b", "\u{e4}", "a", "z"]) {
        facts.extend(room(nth, name, titled(&format!("Title {name}")), true));
    }
    facts.extend(room(20, "locked", titled(""), false));
    facts.extend(room(21, "hidden", RoomConfig { is_public: false, ..titled("") }, true));
    facts.extend(room(22, "gone", titled(""), true));
    let tombstone = Tombstone { at: Utc(1), alternate: None, reason: None, until: Utc(2) };
    let gone = bare(&format!("gone@{SERVICE}"));
    facts.push(Fact { room: RoomId(22), jid: gone, record: Record::Destroyed(tombstone) });
    facts.push(Fact { room: RoomId(30), jid: bare("a@other.example.org"), record: created(titled("")) });
    store.append(&fence(epoch, 0), &facts, Marks::default()).await.expect("written");

    let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    assert_eq!(page(&store, Page::First, 10).await, (names(&["a", "b", "d", "z", "\u{e4}"]), Some(0)));
    assert_eq!(page(&store, Page::First, 2).await, (names(&["a", "b"]), Some(0)));
    assert_eq!(page(&store, Page::After("b@conference.example.org"), 2).await, (names(&["d", "z"]), Some(2)));
    assert_eq!(page(&store, Page::After("c@conference.example.org"), 1).await, (names(&["d"]), Some(2)));
    assert_eq!(page(&store, Page::After("\u{e4}@conference.example.org"), 2).await, (names(&[]), None));
    assert_eq!(page(&store, Page::Before("d@conference.example.org"), 1).await, (names(&["b"]), Some(1)));
    assert_eq!(page(&store, Page::Last, 2).await, (names(&["z", "\u{e4}"]), Some(3)));
    assert_eq!(page(&store, Page::First, 0).await, (names(&[]), None));
    let first = store.public_rooms(SERVICE, Page::First, 1).await.expect("readable");
    assert_eq!(first.rooms, [(bare("a@conference.example.org"), "Title a".to_owned())]);
}

pub(crate) async fn occupied_rooms_are_those_with_somebody_inside(place: Arc<Place>) {
    let store = place.store().await;
    let epoch = reign(&store).await;
    let mut facts = Vec::new();
    for (nth, name) in (1..).zip(["empty", "two", "one"]) {
        facts.extend(room(nth, name, RoomConfig { is_public: false, ..titled("") }, true));
    }
    let entered = |who: &str| {
        Record::Entered(Box::new(OccupantEntry {
            who: jid(who),
            nick: nick("Mia"),
            role: Role::Visitor,
            presence_xml: "".into(),
            at: Utc(1),
        }))
    };
    for (nth, name, who) in [(2, "two", "m@e/1"), (2, "two", "m@e/2"), (3, "one", "m@e/1")] {
        facts.push(Fact { room: RoomId(nth), jid: bare(&format!("{name}@{SERVICE}")), record: entered(who) });
    }
    store.append(&fence(epoch, 0), &facts, Marks::default()).await.expect("written");
    let found: Vec<BareJid> = store.occupied_rooms(SERVICE).await.expect("readable");
    assert_eq!(found, [bare("one@conference.example.org"), bare("two@conference.example.org")]);
    assert!(store.occupied_rooms("other.example.org").await.expect("readable").is_empty());
}

pub(crate) async fn sessions_of_one_server_come_in_pages(place: Arc<Place>) {
    let store = place.store().await;
    let epoch = reign(&store).await;
    let entered = |who: &str| {
        Record::Entered(Box::new(OccupantEntry {
            who: jid(who),
            nick: nick(&who.replace(['@', '/'], "-")),
            role: Role::Participant,
            presence_xml: "".into(),
            at: Utc(1),
        }))
    };
    let local = ["mia@example.org/1", "mia@example.org/2", "nils@example.org/desk/@left", "example.org/bot"];
    let others =
        ["adam@sub.example.org/1", "eve@example.net/x@example.org/y", "bob@xexample.org/1", "carl@example.orgs/1"];
    let mut facts = Vec::new();
    for (nth, name) in (1..).zip(["one", "two", "three"]) {
        facts.extend(room(nth, name, titled(""), true));
        let jid = bare(&format!("{name}@{SERVICE}"));
        let all = local.iter().chain(&others);
        facts.extend(all.map(|who| Fact { room: RoomId(nth), jid: jid.clone(), record: entered(who) }));
    }
    let elsewhere = bare("four@other.example.org");
    facts.push(Fact { room: RoomId(9), jid: elsewhere.clone(), record: created(titled("")) });
    facts.push(Fact { room: RoomId(9), jid: elsewhere, record: entered(local[0]) });
    store.append(&fence(epoch, 0), &facts, Marks::default()).await.expect("written");

    let mut expected: Vec<(String, String)> = Vec::new();
    for name in ["one", "two", "three"] {
        expected.extend(local.iter().map(|who| (format!("{name}@{SERVICE}"), (*who).to_owned())));
    }
    expected.sort();
    for max in [1, 2, 5, 100] {
        let (mut found, mut after, mut pages) = (Vec::new(), None, 0);
        loop {
            let page = store.local_occupants(SERVICE, "example.org", after, max).await.expect("readable");
            assert!(page.occupants.len() <= 100.min(max as usize));
            found.extend(page.occupants.iter().map(|(room, who)| (room.to_string(), who.as_str().to_owned())));
            pages += 1;
            assert!(pages < 100, "it ends");
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        found.sort();
        assert_eq!(found, expected, "in pages of {max}");
    }
    assert!(store.local_occupants(SERVICE, "example.com", None, 9).await.expect("readable").occupants.is_empty());
}

pub(crate) async fn public_rooms_are_found_by_what_they_say(place: Arc<Place>) {
    let store = place.store().await;
    let epoch = reign(&store).await;
    let rooms = [
        ("attic", "Über the roof", "Tea & more", true),
        ("cellar", "", "100%_wine", true),
        ("garden", "Tea Garden", "", true),
        ("secret", "Secret tea", "", false),
    ];
    let mut facts = Vec::new();
    for (nth, (name, title, description, is_public)) in (1..).zip(rooms) {
        let (room, jid) = (RoomId(nth), bare(&format!("{name}@conference.example.org")));
        let config =
            RoomConfig { title: title.into(), description: description.into(), is_public, ..RoomConfig::default() };
        facts.extend([created(config), Record::Unlocked].map(|record| Fact { room, jid: jid.clone(), record }));
    }
    store.append(&fence(epoch, 0), &facts, Marks::default()).await.expect("written");
    let form = |name: &str, description: &str| {
        let field = |var: &str, value: &str| format!("<field var='{var}'><value>{value}</value></field>");
        let xml = format!(
            "<query xmlns='jabber:iq:search'><x xmlns='jabber:x:data' type='submit'>{}{}{}</x></query>",
            field("FORM_TYPE", "jabber:iq:search"),
            field("name", name),
            field("description", description)
        );
        jabber::read(&element::parse(&xml).expect("an element")).expect("a search")
    };
    let find = async |search: RoomSearch, after: Option<&str>, max| {
        let found = store.search_rooms(SERVICE, &search, after, max).await.expect("readable");
        found.iter().map(|room| room.jid.local().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(find(form("", ""), None, 9).await, ["attic", "cellar", "garden"]);
    assert_eq!(find(form("", ""), None, 2).await, ["attic", "cellar"]);
    assert_eq!(find(form("", ""), Some("cellar@conference.example.org"), 9).await, ["garden"]);
    assert_eq!(find(form("TEA", ""), None, 9).await, ["garden"]);
    assert_eq!(find(form("über ATT", "tea"), None, 9).await, ["attic"]);
    assert_eq!(find(form("", "%_"), None, 9).await, ["cellar"]);
    assert!(find(form("secret", ""), None, 9).await.is_empty());
}
