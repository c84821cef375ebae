//! `/health`, `/ready` and `/metrics` on a local address: what monitors and load balancers ask.

use std::net::SocketAddr;

use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::get;
use metrics_exporter_prometheus::PrometheusHandle;
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::{DomainStatus, ServiceError, Status, turned};
use crate::telemetry;

/// What is answered at `[http] listen`.
#[derive(Debug)]
pub struct Doors {
    /// The counters behind `/metrics`.
    pub counted: PrometheusHandle,
    /// Routes beside health, readiness and metrics.
    pub more: Router,
}

impl From<PrometheusHandle> for Doors {
    fn from(counted: PrometheusHandle) -> Doors {
        Doors { counted, more: Router::new() }
    }
}

#[derive(Clone)]
struct Shared {
    status: Status,
    counted: PrometheusHandle,
}

#[derive(Serialize)]
struct Answer<'a> {
    node: &'a str,
    version: &'static str,
    ready: bool,
    domains: Vec<DomainAnswer<'a>>,
}

#[derive(Serialize)]
struct DomainAnswer<'a> {
    domain: &'a str,
    ready: bool,
    state: String,
}

/// Answers on `address`, where there is one, until `ends` turns true.
pub async fn open_doors(
    address: Option<SocketAddr>,
    status: Status,
    doors: Doors,
    mut ends: watch::Receiver<bool>,
) -> Result<Option<JoinHandle<()>>, ServiceError> {
    let Some(address) = address else { return Ok(None) };
    let listener = TcpListener::bind(address).await.map_err(|source| ServiceError::Http { address, source })?;
    let routes = Router::new()
        .route("/health", get(health))
        .route("/ready", get(ready))
        .route("/metrics", get(metrics))
        .with_state(Shared { status, counted: doors.counted })
        .merge(doors.more)
        .into_make_service_with_connect_info::<SocketAddr>();
    Ok(Some(tokio::spawn(async move {
        let stopped = async move { turned(&mut ends).await };
        if let Err(why) = axum::serve(listener, routes).with_graceful_shutdown(stopped).await {
            tracing::error!(%address, %why, "http: ended");
        }
    })))
}

/// 200 as long as every part moves, else 503: only a restart helps.
async fn health(State(shared): State<Shared>) -> impl IntoResponse {
    let is_moving = shared.status.domains().all(DomainStatus::is_moving);
    answer(&shared.status, if is_moving { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE })
}

/// 200 if every domain is served, else 503 with the reasons.
async fn ready(State(shared): State<Shared>) -> impl IntoResponse {
    let is_ready = shared.status.domains().all(|domain| domain.verdict().is_ok());
    answer(&shared.status, if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE })
}

/// The counters, in the text format of Prometheus.
async fn metrics(State(shared): State<Shared>) -> impl IntoResponse {
    for domain in shared.status.domains() {
        let labels = [("domain", domain.domain().to_owned())];
        metrics::gauge!(telemetry::ATTACHED, &labels).set(if domain.is_attached() { 1.0 } else { 0.0 });
    }
    ([("content-type", "text/plain; version=0.0.4")], shared.counted.render())
}

fn answer(status: &Status, code: StatusCode) -> axum::response::Response {
    let domains: Vec<DomainAnswer<'_>> = status
        .domains()
        .map(|domain| {
            let verdict = domain.verdict();
            DomainAnswer { domain: domain.domain(), ready: verdict.is_ok(), state: verdict.unwrap_or_else(|why| why) }
        })
        .collect();
    let ready = domains.iter().all(|domain| domain.ready);
    (code, Json(Answer { node: status.node(), version: env!("CARGO_PKG_VERSION"), ready, domains })).into_response()
}
