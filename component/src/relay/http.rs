//! `/health`, `/status` and `/metrics` on a local address.

use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::get;
use metrics_exporter_prometheus::PrometheusHandle;
use serde::Serialize;
use tokio::net::TcpListener;

use super::status::{Seen, Status};
use crate::telemetry;

#[derive(Clone)]
struct Shared {
    status: Status,
    counted: PrometheusHandle,
}

#[derive(Serialize)]
struct Answer {
    version: &'static str,
    is_moving: bool,
    domains: Vec<DomainAnswer>,
}

#[derive(Serialize)]
struct DomainAnswer {
    domain: String,
    #[serde(flatten)]
    seen: Seen,
}

/// Answers for as long as the task lives.
pub(super) async fn serve(listener: TcpListener, status: Status, counted: PrometheusHandle) {
    let routes = Router::new()
        .route("/health", get(health))
        .route("/status", get(whole))
        .route("/metrics", get(metrics))
        .with_state(Shared { status, counted });
    if let Err(why) = axum::serve(listener, routes).await {
        tracing::error!(%why, "relay: http ended");
    }
}

/// 200 as long as every domain's task moves, else 503: only a restart helps.
async fn health(State(shared): State<Shared>) -> impl IntoResponse {
    let code = if shared.status.is_moving() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, shared.status.words())
}

/// Everything about every domain.
async fn whole(State(shared): State<Shared>) -> impl IntoResponse {
    let domains = shared.status.domains();
    let domains = domains.map(|one| DomainAnswer { domain: one.domain().to_owned(), seen: one.seen() }).collect();
    Json(Answer { version: env!("CARGO_PKG_VERSION"), is_moving: shared.status.is_moving(), domains })
}

/// The counters, in the text format of Prometheus.
async fn metrics(State(shared): State<Shared>) -> impl IntoResponse {
    for domain in shared.status.domains() {
        note(domain.domain(), &domain.seen());
    }
    ([("content-type", "text/plain; version=0.0.4")], shared.counted.render())
}

fn note(domain: &str, seen: &Seen) {
    let labels = [("domain", domain.to_owned())];
    let counters = [
        (telemetry::RELAY_IN, seen.inbound),
        (telemetry::RELAY_OUT, seen.outbound),
        (telemetry::RELAY_REPLAYED, seen.replayed),
        (telemetry::RELAY_BOUNCED, seen.bounced),
        (telemetry::RELAY_DROPPED, seen.dropped),
        (telemetry::RELAY_STRAY, seen.stray),
        (telemetry::RELAY_ATTACHMENTS, seen.attachments),
    ];
    for (name, count) in counters {
        metrics::counter!(name, &labels).absolute(count);
    }
    #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
    let gauges = [
        (telemetry::RELAY_HELD, seen.held as f64),
        (telemetry::RELAY_HELD_BYTES, seen.held_bytes as f64),
        (telemetry::RELAY_STANDBYS, seen.standbys as f64),
        (telemetry::RELAY_EPOCH, seen.epoch.unwrap_or_default() as f64),
        (telemetry::RELAY_SERVER, f64::from(u8::from(seen.server.is_some()))),
    ];
    for (name, value) in gauges {
        metrics::gauge!(name, &labels).set(value);
    }
}
