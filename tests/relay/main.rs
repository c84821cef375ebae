//! The relay between a peer that plays the server and sockets that play nodes: handshakes, who holds the domain, what is
//! kept and replayed, what bounces, what ends a stream and what does not.

mod again;
mod asking;
mod attaching;
mod bounds;
mod chaos;
mod ends;
mod hostile;
mod keeping;
mod peer;
mod several;

use std::path::Path;
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusBuilder;
use tandem_muc::config::RelayConfig;
use tandem_muc::relay::{self, Pace, Running, Seen};
use tandem_muc_tests::loopback::{Hearing, Loopback};
use tokio::sync::watch;
use tokio::time::timeout;

use peer::Peer;

const DOMAIN: &str = "muc.example.org";
const SECRET: &str = "open sesame";

/// A relay beside its server.
struct Stage {
    server: Loopback,
    running: Running,
    stop: watch::Sender<bool>,
    address: String,
    /// What the server heard and no test looked at yet.
    rest: String,
}

impl Stage {
    async fn start() -> Stage {
        Stage::start_with("", pace()).await
    }

    /// With more lines in the file, at another pace.
    async fn start_with(lines: &str, pace: Pace) -> Stage {
        Stage::start_at("127.0.0.1:0", lines, pace).await
    }

    /// The same where nodes know it to be.
    async fn start_at(listen: &str, lines: &str, pace: Pace) -> Stage {
        let server = Loopback::start(DOMAIN, SECRET, Hearing::Keep).await;
        let text = format!(
            "[[domain]]\ndomain = \"{DOMAIN}\"\nsecret = \"{SECRET}\"\nserver = \"{}\"\nlisten = \"{listen}\"\n{lines}",
            server.address()
        );
        let config = RelayConfig::parse(Path::new("relay.toml"), &text).expect("a configuration");
        let (stop, stops) = watch::channel(false);
        let counted = PrometheusBuilder::new().build_recorder().handle();
        let running = relay::start(&config, pace, &stops, counted).await.expect("it listens");
        let address = running.addresses()[0].to_string();
        Stage { server, running, stop, address, rest: String::new() }
    }

    /// The server sends one message for each id.
    fn inject(&self, ids: impl IntoIterator<Item = u64>) {
        let all: String = ids.into_iter().map(|id| message(&format!("m{id}"))).collect();
        self.server.inject(all);
    }

    /// Waits until the server heard `what`; everything it heard up to and with it.
    async fn heard(&mut self, what: &str) -> String {
        while !self.rest.contains(what) {
            let heard = soon(self.server.heard()).await;
            self.rest.push_str(&String::from_utf8_lossy(&heard));
        }
        let end = self.rest.find(what).expect("it was found") + what.len();
        self.rest.drain(..end).collect()
    }

    fn seen(&self) -> Seen {
        self.running.status().domains().next().expect("a domain").seen()
    }

    /// Waits until the relay stands so.
    async fn until(&self, is_so: impl Fn(&Seen) -> bool) -> Seen {
        soon(async {
            loop {
                let seen = self.seen();
                if is_so(&seen) {
                    return seen;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        })
        .await
    }
}

/// In a hurry.
fn pace() -> Pace {
    Pace { look: Duration::from_millis(20), settle: Duration::from_millis(200), ..Pace::default() }
}

/// The result of `step`, which may take ten seconds on a machine with much else to do.
async fn soon<F: Future>(step: F) -> F::Output {
    timeout(Duration::from_secs(10), step).await.expect("within ten seconds")
}

fn message(id: &str) -> String {
    format!(
        "<message from='olga@example.org/1' to='hall@{DOMAIN}' type='groupchat' id='{id}'><body>hi</body></message>"
    )
}

/// A word of a node.
fn word(id: &str) -> String {
    format!(
        "<message from='hall@{DOMAIN}/Olga' to='nils@example.org/1' type='groupchat' id='{id}'><body>hi</body></message>"
    )
}

fn ids(numbers: impl IntoIterator<Item = u64>) -> Vec<String> {
    numbers.into_iter().map(|n| format!("m{n}")).collect()
}
