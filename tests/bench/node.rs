//! The whole program inside the bench: every floor as it is, attached to a loopback peer that counts.

use std::path::Path;

use metrics_exporter_prometheus::PrometheusBuilder;
use tandem_muc::config::Config;
use tandem_muc::service::{self, Status};
use tandem_muc_tests::loopback::{Hearing, Loopback};
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub(crate) const DOMAIN: &str = "muc.example.org";
const SECRET: &str = "bench";

/// A running node and its peer.
pub(crate) struct Node {
    pub(crate) peer: Loopback,
    stop: watch::Sender<bool>,
    serving: JoinHandle<()>,
}

impl Node {
    /// Serves `DOMAIN` from the database at `url`.
    pub(crate) async fn start(url: &str, hearing: Hearing) -> Node {
        let peer = Loopback::start(DOMAIN, SECRET, hearing).await;
        let text = format!(
            "[store]\nurl = \"{url}\"\n[[service]]\ndomain = \"{DOMAIN}\"\nserver = [\"{}\"]\nsecret = \"{SECRET}\"\nlock_new_rooms = false\n",
            peer.address()
        );
        let config = Config::parse(Path::new("bench.toml"), &text).expect("a configuration");
        let status = Status::new(&config);
        let (stop, stops) = watch::channel(false);
        let (_, reloads) = watch::channel(None);
        let counted = PrometheusBuilder::new().build_recorder().handle();
        let serving = tokio::spawn(async move {
            service::serve(config, status, stops, reloads, counted).await.expect("it serves");
        });
        while peer.attached() == 0 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        Node { peer, stop, serving }
    }

    /// Ends it, everything durable.
    pub(crate) async fn end(self) {
        self.stop.send_replace(true);
        self.serving.await.expect("it ends");
    }
}
