//! Logs and metrics: set up once, used from every floor above the engines.
//!
//! A log line is a decision, to stderr, as text or JSON. A metric's name is public API: all names are here.

use std::io::IsTerminal;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;

/// Stanzas that came in, by `domain`.
pub const STANZAS_IN: &str = "tandem_muc_stanzas_received_total";
/// Stanzas refused because their senders are too fast, by `domain`.
pub const STANZAS_REFUSED: &str = "tandem_muc_stanzas_refused_total";
/// Stanzas that went out, each addressee counted, by `domain`.
pub const STANZAS_OUT: &str = "tandem_muc_stanzas_sent_total";
/// Records made durable, by `domain`.
pub const RECORDS: &str = "tandem_muc_records_total";
/// Seconds one commit took, by `domain`.
pub const COMMIT_SECONDS: &str = "tandem_muc_commit_seconds";
/// Records in one commit, by `domain`.
pub const COMMIT_RECORDS: &str = "tandem_muc_commit_records";
/// Commits that failed, by `domain` and `reaction` (`fenced`, `unavailable`, `damaged`).
pub const COMMIT_FAILURES: &str = "tandem_muc_commit_failures_total";
/// Stanzas that wait to become durable, by `domain`.
pub const HELD: &str = "tandem_muc_held_stanzas";
/// Rooms in memory, by `domain`.
pub const ROOMS_LOADED: &str = "tandem_muc_rooms_loaded";
/// Occupants inside loaded rooms, by `domain`.
pub const OCCUPANTS: &str = "tandem_muc_occupants";
/// The epoch this node holds, by `domain`.
pub const EPOCH: &str = "tandem_muc_epoch";
/// 1 while the stream is attached, by `domain`.
pub const ATTACHED: &str = "tandem_muc_stream_attached";

/// Relay: stanzas that came from the server, by `domain`.
pub const RELAY_IN: &str = "tandem_muc_relay_stanzas_received_total";
/// Relay: stanzas that went to the server, by `domain`.
pub const RELAY_OUT: &str = "tandem_muc_relay_stanzas_sent_total";
/// Relay: stanzas sent again to another holder, by `domain`.
pub const RELAY_REPLAYED: &str = "tandem_muc_relay_replayed_total";
/// Relay: stanzas answered with an error because nobody took them in time, by `domain`.
pub const RELAY_BOUNCED: &str = "tandem_muc_relay_bounced_total";
/// Relay: errors and results that nobody took in time, by `domain`.
pub const RELAY_DROPPED: &str = "tandem_muc_relay_dropped_total";
/// Relay: stanzas of nodes that did not hold the domain, by `domain`.
pub const RELAY_STRAY: &str = "tandem_muc_relay_stray_total";
/// Relay: attachments granted to nodes, by `domain`.
pub const RELAY_ATTACHMENTS: &str = "tandem_muc_relay_attachments_total";
/// Relay: stanzas kept until a node has handled them, by `domain`.
pub const RELAY_HELD: &str = "tandem_muc_relay_held_stanzas";
/// Relay: bytes of these, by `domain`.
pub const RELAY_HELD_BYTES: &str = "tandem_muc_relay_held_bytes";
/// Relay: nodes linked that do not hold the domain, by `domain`.
pub const RELAY_STANDBYS: &str = "tandem_muc_relay_standbys";
/// Relay: the epoch of the node that holds the domain, 0 if there is none, by `domain`.
pub const RELAY_EPOCH: &str = "tandem_muc_relay_epoch";
/// Relay: 1 while the stream to the server is open, by `domain`.
pub const RELAY_SERVER: &str = "tandem_muc_relay_server_attached";

/// How log lines look.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LogLines {
    /// For people.
    Text,
    /// For machines.
    Json,
}

/// Starts logging to stderr, as much as `level` says.
pub fn log_to_stderr(level: &str, lines: LogLines) -> Result<(), String> {
    let filter = EnvFilter::try_new(level)
        .map_err(|why| format!("config: log.level = \"{level}\": {why}; try info or debug"))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match lines {
        LogLines::Text => {
            let is_coloured = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            builder.with_ansi(is_coloured).with_target(false).try_init()
        }
        LogLines::Json => builder.json().flatten_event(true).try_init(),
    };
    started.map_err(|why| format!("log: {why}"))
}

/// Starts counting; the handle renders what was counted for Prometheus.
pub fn count() -> Result<PrometheusHandle, String> {
    PrometheusBuilder::new()
        .set_buckets_for_metric(
            Matcher::Full(COMMIT_SECONDS.to_owned()),
            &[0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0, 5.0],
        )
        .and_then(|builder| {
            builder.set_buckets_for_metric(
                Matcher::Full(COMMIT_RECORDS.to_owned()),
                &[1.0, 5.0, 20.0, 50.0, 200.0, 1000.0],
            )
        })
        .and_then(PrometheusBuilder::install_recorder)
        .map_err(|why| format!("metrics: {why}"))
}
