//! Group commit: how many durable messages a second, and how long a group takes, by its size; on SQLite and on a
//! PostgreSQL of the bench's own, over its Unix socket, every commit synced.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tandem_muc::store::{Acquired, Ask, Echo, Epoch, Fact, Fence, Marks, Right, SqlStore, StoreConfig};
use tandem_muc_core::muc::{Role, RoomConfig};
use tandem_muc_core::name::{BareJid, Jid, Nick};
use tandem_muc_core::record::{Creation, Message, MessageKind, OccupantEntry, Record, RoomId, Seq};
use tandem_muc_core::stanza::{Audience, Outbound, Stanza};
use tandem_muc_core::time::Utc;
use tandem_muc_tests::postgres::Postgres;

use crate::table::{Table, per_second};

const SERVICE: &str = "conference.example.org";
/// Rooms that speak in turn.
const ROOMS: usize = 200;
/// Who hears a presence.
const HEARERS: usize = 30;
/// As the journal's.
const ECHOES_KEPT: usize = 512;
/// How long each size of group is tried.
const SPAN: Duration = Duration::from_secs(3);

/// One size of group on one database.
pub(crate) struct Row {
    pub(crate) database: &'static str,
    /// Messages in each group.
    pub(crate) batch: usize,
    /// Groups committed.
    pub(crate) commits: u64,
    /// In that time.
    pub(crate) took: Duration,
    /// Half of the groups took no longer.
    pub(crate) p50: Duration,
    /// 99 of 100 groups took no longer.
    pub(crate) p99: Duration,
}

/// Runs it and adds its rows.
pub(crate) async fn run(table: &mut Table) {
    table.head("group commit (durable messages, one writer, 200 rooms)");
    let folder = tempfile::TempDir::new().expect("a temporary directory");
    disk(table, folder.path());
    measure(table, "sqlite", format!("sqlite:{}", folder.path().join("rooms.db").display())).await;
    match Postgres::start() {
        Ok(Some(server)) => measure(table, "postgres", server.socket_url("postgres")).await,
        Ok(None) => table.skipped("postgres", "PostgreSQL is not installed"),
        Err(why) => table.skipped("postgres", &why),
    }
}

/// The limit of one commit: how long the disk itself takes to sync 8 KiB appended to a file.
fn disk(table: &mut Table, folder: &Path) {
    let mut file = File::create(folder.join("limit")).expect("a file");
    let mut each: Vec<Duration> = (0..300)
        .map(|_| {
            let begun = Instant::now();
            file.write_all(&[0x5a; 8192]).expect("written");
            file.sync_data().expect("synced");
            begun.elapsed()
        })
        .collect();
    let took: Duration = each.iter().sum();
    each.sort();
    table.row(
        "limit: this disk syncs 8 KiB",
        &format!("{} syncs/s", per_second(each.len() as u64, took)),
        &format!("p50 {:.2?}, p99 {:.2?}", each[each.len() / 2], each[each.len() * 99 / 100]),
    );
}

async fn measure(table: &mut Table, database: &'static str, url: String) {
    let mut writer = Writer::open(url).await;
    for batch in [1, 10, 100, 200, 1_000] {
        let row = writer.commit_for(database, batch, SPAN).await;
        let messages = row.commits * u64::try_from(row.batch).expect("small");
        table.row(
            &format!("{} messages a commit, {}", row.batch, row.database),
            &format!("{} messages/s", per_second(messages, row.took)),
            &format!("{} commits/s, p50 {:.2?}, p99 {:.2?}", per_second(row.commits, row.took), row.p50, row.p99),
        );
    }
    writer.enter().await;
    for batch in [1, 20, 200] {
        let (plain, echoed) = writer.presences_for(batch, SPAN).await;
        table.row(
            &format!("{batch} presences a commit, {database}"),
            &format!("p50 {:.2?}, p99 {:.2?}", median(&plain), late(&plain)),
            &format!("with what {HEARERS} are to hear kept: p50 {:.2?}, p99 {:.2?}", median(&echoed), late(&echoed)),
        );
    }
}

fn median(sorted: &[Duration]) -> Duration {
    sorted[sorted.len() / 2]
}

fn late(sorted: &[Duration]) -> Duration {
    sorted[(sorted.len() * 99 / 100).min(sorted.len() - 1)]
}

/// A journal's writing end, by itself.
struct Writer {
    store: SqlStore,
    epoch: Epoch,
    after: i64,
    said: usize,
}

impl Writer {
    async fn open(url: String) -> Writer {
        let store = SqlStore::open(&StoreConfig { url: url.into(), answer_ms: 10_000 }).await.expect("opens");
        store.migrate().await.expect("migrates");
        let ask = Ask { name: SERVICE, node: "bench", ttl_ms: 600_000, right: Right::Free, above: Epoch(0) };
        let Acquired::Lease(lease) = store.acquire(&ask).await.expect("answers") else {
            panic!("nobody else is here");
        };
        let mut writer = Writer { store, epoch: lease.epoch, after: lease.seq, said: 0 };
        let rooms: Vec<Fact> = (0..ROOMS).map(created).collect();
        writer.append(&rooms).await;
        writer
    }

    async fn append(&mut self, facts: &[Fact]) {
        self.append_with(facts, Marks::default()).await;
    }

    async fn append_with(&mut self, facts: &[Fact], marks: Marks<'_>) {
        let fence = Fence { service: SERVICE.into(), epoch: self.epoch, after: self.after, next: self.after + 1 };
        self.store.append(&fence, facts, marks).await.expect("written");
        self.after += 1;
    }

    /// Somebody is in each room.
    async fn enter(&mut self) {
        let facts: Vec<Fact> = (0..ROOMS).map(entered).collect();
        self.append(&facts).await;
    }

    /// Groups of presences by turns without and with their echoes, and how long each took; what was heard is let go as
    /// the journal does.
    async fn presences_for(&mut self, batch: usize, span: Duration) -> (Vec<Duration>, Vec<Duration>) {
        let (mut plain, mut echoed, mut kept) = (Vec::new(), Vec::new(), 0);
        let begun = Instant::now();
        while begun.elapsed() < span {
            let (facts, echoes): (Vec<Fact>, Vec<Echo>) = (0..batch).map(present).unzip();
            let sent = Instant::now();
            self.append(&facts).await;
            plain.push(sent.elapsed());
            let echoes: Vec<&Echo> = echoes.iter().collect();
            kept += batch;
            let heard = (kept >= ECHOES_KEPT).then_some(self.after);
            kept = if heard.is_some() { 0 } else { kept };
            let sent = Instant::now();
            self.append_with(&facts, Marks { echoes: &echoes, heard, ..Marks::default() }).await;
            echoed.push(sent.elapsed());
        }
        plain.sort();
        echoed.sort();
        (plain, echoed)
    }

    async fn commit_for(&mut self, database: &'static str, batch: usize, span: Duration) -> Row {
        let mut each = Vec::new();
        let begun = Instant::now();
        let mut preparing = Duration::ZERO;
        while begun.elapsed() < span {
            let prepared = Instant::now();
            let facts: Vec<Fact> = (0..batch).map(|nth| spoken(self.said + nth)).collect();
            self.said += batch;
            preparing += prepared.elapsed();
            let sent = Instant::now();
            self.append(&facts).await;
            each.push(sent.elapsed());
        }
        let took = begun.elapsed().saturating_sub(preparing);
        each.sort();
        let at = |percent: usize| each[(each.len() * percent / 100).min(each.len() - 1)];
        Row { database, batch, commits: u64::try_from(each.len()).expect("small"), took, p50: at(50), p99: at(99) }
    }
}

fn room(nth: usize) -> (RoomId, BareJid) {
    let id = i64::try_from(nth % ROOMS).expect("small") + 1;
    (RoomId(id), BareJid::parse(&format!("room{id}@{SERVICE}")).expect("a JID"))
}

fn created(nth: usize) -> Fact {
    let (room, jid) = room(nth);
    let creation = Creation {
        by: BareJid::parse("olga@example.org").expect("a JID"),
        at: Utc(1_700_000_000_000),
        config: RoomConfig::default(),
        is_locked: false,
        occupant_id_salt: "00112233445566778899aabbccddeeff".into(),
    };
    Fact { room, jid, record: Record::Created(Box::new(creation)) }
}

fn somebody() -> (Jid, Nick) {
    (Jid::parse("olga@example.org/Gajim.1234").expect("a JID"), Nick::parse("Olga").expect("a nick"))
}

fn entered(nth: usize) -> Fact {
    let ((room, jid), (who, nick)) = (room(nth), somebody());
    let (role, at) = (Role::Moderator, Utc(1_700_000_000_000));
    let entry = OccupantEntry { who, nick, role, presence_xml: "".into(), at };
    Fact { room, jid, record: Record::Entered(Box::new(entry)) }
}

/// A changed presence, and what those inside are to hear of it.
fn present(nth: usize) -> (Fact, Echo) {
    let ((room, jid), (who, nick)) = (room(nth), somebody());
    let presence_xml = "<show>away</show><status>at lunch, back in a while</status><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='https://gajim.org' ver='h1IEkYFpGRWXJpAOYgvsa0LGXb0='/>";
    let from = jid.as_jid().as_str();
    let stanza = format!(
        "<presence from='{from}/Olga'>{presence_xml}<occupant-id xmlns='urn:xmpp:occupant-id:0' id='00112233445566778899aabbccddeeff'/><x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='owner' role='moderator'/></x></presence>"
    );
    let to: Vec<Jid> =
        (0..HEARERS).map(|nth| Jid::parse(&format!("nils{nth}@example.org/Gajim.{nth}")).expect("a JID")).collect();
    let word = Outbound { stanza: Stanza::from_xml(&stanza).expect("a stanza"), to: Audience::Many(to.into()) };
    let echo = Echo::of_word(jid.clone(), Seq(0), &word);
    (Fact { room, jid, record: Record::Present { who, nick, presence_xml: presence_xml.into() } }, echo)
}

/// The nth message of all, as a client would send it.
fn spoken(nth: usize) -> Fact {
    let (room, jid) = room(nth);
    let number = i64::try_from(nth / ROOMS).expect("small") + 1;
    let body = "The quick brown fox jumps over the lazy dog, and the dog does not mind at all.";
    let message = Message {
        seq: Seq(number),
        archive_id: format!("0199e6b2-7c00-7000-8000-{nth:012x}"),
        at: Utc(1_700_000_000_000 + number),
        kind: MessageKind::Speech,
        sender: Jid::parse("olga@example.org/Gajim.1234").expect("a JID"),
        nick: Some(Nick::parse("Olga").expect("a nick")),
        origin_id: Some(format!("origin-{nth}")),
        body: Some(body.into()),
        stanza_xml: format!("<message type='groupchat' id='origin-{nth}' from='{jid}/Olga'><body>{body}</body><origin-id xmlns='urn:xmpp:sid:0' id='origin-{nth}'/></message>").into(),
        is_archived: true,
    };
    Fact { room, jid, record: Record::Spoken(Arc::new(message)) }
}
