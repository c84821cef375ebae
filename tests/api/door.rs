//! A node's HTTP side over a database of its own, with made-up duties and events; and a client that speaks plain text.

use std::net::SocketAddr;
use std::path::Path;

use serde_json::Value;
use tandem_muc::command::http::routes;
use tandem_muc::config::Config;
use tandem_muc::service::{Doors, Status, open_doors};
use tandem_muc::store::{Acquired, Ask, Duty, Epoch, HaEvent, NodeBeat, Right, SqlStore, StoreConfig};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;

pub(crate) const DOMAIN: &str = "conference.example.org";
pub(crate) const TOKEN: &str = "swordfish-swordfish";

/// A node as far as HTTP goes.
pub(crate) struct Node {
    pub(crate) store: SqlStore,
    pub(crate) address: SocketAddr,
    _folder: TempDir,
    _ends: watch::Sender<bool>,
}

/// What was answered.
pub(crate) struct Answer {
    pub(crate) code: u16,
    pub(crate) head: String,
    pub(crate) body: Value,
}

impl Node {
    /// With a token or without one.
    pub(crate) async fn start(has_token: bool) -> Node {
        let folder = tempfile::tempdir().expect("a folder");
        let token = folder.path().join("token");
        std::fs::write(&token, format!("{TOKEN}\n")).expect("written");
        let url = format!("sqlite:{}", folder.path().join("rooms.db").display());
        let store = SqlStore::open(&StoreConfig { url: url.clone().into(), answer_ms: 5_000 }).await.expect("opens");
        store.migrate().await.expect("migrates");
        let address = free();
        let token = if has_token { format!("token_file = \"{}\"\n", token.display()) } else { String::new() };
        let file = format!(
            "[node]\nname = \"a\"\n[store]\nurl = \"{url}\"\n[pair]\ntwin = \"b\"\n[http]\nlisten = \"{address}\"\n{token}\
             [[service]]\ndomain = \"{DOMAIN}\"\nsecret = \"s\"\n[[service]]\ndomain = \"two.example.org\"\nsecret = \"s\"\n"
        );
        let config = Config::parse(Path::new("component.toml"), &file).expect("a configuration");
        let status = Status::new(&config);
        status.note_open(store.clone());
        let counted = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder().handle();
        let more = routes(&config, &status).expect("routes");
        let (ends, ended) = watch::channel(false);
        open_doors(config.http.listen, status, Doors { counted, more }, ended).await.expect("it listens");
        Node { store, address, _folder: folder, _ends: ends }
    }

    /// Has `node` hold the domain, and both beat.
    pub(crate) async fn serve_with(&self, domain: &str, node: &str) {
        let ask = Ask { name: domain, node, ttl_ms: 60_000, right: Right::Free, above: Epoch(0) };
        let had = self.store.acquire(&ask).await.expect("answers");
        assert!(matches!(had, Acquired::Lease(_)), "{had:?}");
        for name in ["a", "b"] {
            let beat = NodeBeat {
                node: name,
                incarnation: "i",
                pid: 42,
                version: "0.1.0",
                http: Some("127.0.0.1:5380"),
                is_paused: false,
            };
            let state = if name == node && name == "b" { "Running in Backup Mode" } else { "Normal" };
            self.store.beat(&beat, &[duty(domain, name, state)]).await.expect("beats");
        }
    }

    pub(crate) async fn note(&self, domain: &str, nth: u64) {
        let event = HaEvent {
            id: HaEvent::new_id(),
            node: "b".into(),
            service: domain.into(),
            from: "Taking Over".into(),
            to: "Running in Backup Mode".into(),
            reason: "Peer Down".into(),
            why: format!("takeover {nth}"),
            epoch: Epoch(i64::try_from(nth).expect("small")),
            detect_ms: Some(4),
            gap_ms: Some(43),
            repeated: Some(2),
            replayed: Some(7),
            bounced: Some(0),
            operator: None,
        };
        self.store.note_event(&event, 10_000 - nth).await.expect("noted");
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, Some(TOKEN), "").await
    }

    pub(crate) async fn order(&self, body: &str) -> Answer {
        self.ask("POST", "/api/pair/orders", Some(TOKEN), body).await
    }

    pub(crate) async fn ask(&self, method: &str, path: &str, token: Option<&str>, body: &str) -> Answer {
        let token = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{token}Content-Length: {length}\r\n\r\n"
        );
        let mut socket = TcpStream::connect(self.address).await.expect("it answers");
        // Whoever refuses a large body does not read it all.
        let _ = socket.write_all(format!("{head}{body}").as_bytes()).await;
        let mut answer = String::new();
        let _ = socket.read_to_string(&mut answer).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer:?}"));
        let code = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a code");
        Answer { code, head: head.to_lowercase(), body: serde_json::from_str(body).unwrap_or_default() }
    }
}

impl Answer {
    /// The sentence of a refusal.
    pub(crate) fn sentence(&self) -> &str {
        self.body["error"].as_str().unwrap_or_default()
    }
}

fn duty(domain: &str, node: &str, state: &str) -> Duty {
    Duty {
        service: domain.into(),
        home: "a".into(),
        twin: Some(if node == "a" { "b" } else { "a" }.into()),
        state: state.into(),
        reason: "Initialization".into(),
        why: "a sentence".into(),
        is_fit: true,
        unfit: None,
        level: Some(2),
        epoch: Epoch(1),
        gap_ms: Some(43),
        secret_tag: "00000000".into(),
        servers: String::new(),
    }
}

fn free() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port")
}
