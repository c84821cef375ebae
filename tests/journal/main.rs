//! Facts first, then words: journal and whole node on a real SQLite file and a real stream to a peer on the loopback.

mod facts;
mod node;

use std::path::PathBuf;
use std::time::Duration;

use memchr::memmem;
use secrecy::SecretString;
use sqlx::{Connection, Executor, SqliteConnection};
use tandem_muc::store::{SqlStore, StoreConfig};
use tandem_muc_core::name::{BareJid, Jid, Nick};
use tandem_muc_core::record::{Message, MessageKind, Seq};
use tandem_muc_core::time::Utc;
use tandem_muc_tests::loopback::Loopback;
use tempfile::TempDir;

const DOMAIN: &str = "muc.example.org";
const SECRET: &str = "open sesame";

/// A database of its own.
struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Place {
        Place { folder: tempfile::tempdir().expect("a folder") }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("rooms.db")
    }

    fn url(&self) -> String {
        format!("sqlite:{}", self.file().display())
    }

    /// The store, its tables made; it gives up on an answer soon.
    async fn store(&self) -> SqlStore {
        let config = StoreConfig { url: SecretString::from(self.url()), answer_ms: 300 };
        let store = SqlStore::open(&config).await.expect("opens");
        store.migrate().await.expect("migrates");
        store
    }

    /// Keeps everyone else from writing until dropped.
    async fn hold(&self) -> SqliteConnection {
        let mut holder = SqliteConnection::connect(&self.url()).await.expect("a file");
        holder.execute("PRAGMA busy_timeout = 5000").await.expect("set");
        holder.execute("BEGIN IMMEDIATE").await.expect("the lock");
        holder
    }
}

/// Lets others write again.
async fn let_go(mut holder: SqliteConnection) {
    holder.execute("COMMIT").await.expect("ends");
}

/// What the peer hears.
#[derive(Default)]
struct Ear {
    heard: Vec<u8>,
}

impl Ear {
    /// Listens until `what` was heard `times` times.
    async fn until(&mut self, peer: &mut Loopback, what: &str, times: usize) {
        let listening = async {
            while self.count(what) < times {
                self.heard.extend(peer.heard().await);
            }
        };
        let is_in_time = tokio::time::timeout(Duration::from_secs(20), listening).await.is_ok();
        assert!(is_in_time, "{} of {times} × {what} in {}", self.count(what), self.text());
    }

    /// Listens for `span`.
    async fn during(&mut self, peer: &mut Loopback, span: Duration) {
        let _ = tokio::time::timeout(span, async {
            loop {
                self.heard.extend(peer.heard().await);
            }
        })
        .await;
    }

    fn count(&self, what: &str) -> usize {
        memmem::find_iter(&self.heard, what).count()
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.heard).into_owned()
    }

    /// The numbers behind `what`, in the order heard.
    fn numbers(&self, what: &str) -> Vec<usize> {
        let text = self.text();
        text.split(what)
            .skip(1)
            .filter_map(|rest| rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok())
            .collect()
    }
}

fn jid(text: &str) -> Jid {
    Jid::parse(text).expect("a JID")
}

fn bare(text: &str) -> BareJid {
    BareJid::parse(text).expect("a JID")
}

/// Message `nth` of a room, said by Olga.
fn message(room: &BareJid, nth: i64) -> Message {
    Message {
        seq: Seq(nth),
        archive_id: format!("a{nth}"),
        at: Utc(1_700_000_000_000),
        kind: MessageKind::Speech,
        sender: jid("olga@example.org/1"),
        nick: Some(Nick::parse("Olga").expect("a nick")),
        origin_id: None,
        body: Some("hello".to_owned()),
        stanza_xml: format!(
            "<message xmlns='jabber:client' type='groupchat' from='{room}/Olga' id='m{nth}'><body>hello</body></message>"
        )
        .into(),
        is_archived: true,
    }
}
