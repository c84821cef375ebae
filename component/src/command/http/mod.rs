//! HTTP as a door to the commands: `/api/pair`, its history and its orders, and `/api/speaker/DOMAIN` for whoever
//! routes by it. What is refused is refused with a sentence: `{"error": "…"}`. Who may ask is in [`guard`].

mod guard;

use std::net::SocketAddr;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{ConnectInfo, DefaultBodyLimit, Path, Query, Request as HttpRequest, State};
use axum::http::header::WWW_AUTHENTICATE;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use tandem_muc_core::pair::OrderKind;

use super::{Command, Desk, Refusal, Request, Terms};
use crate::config::{BareDomain, Config, ConfigError};
use crate::service::{DomainStatus, Status};
use crate::store::StoreError;
use guard::Guard;

/// The longest order, in bytes: one is some dozens.
const BODY_MAX: usize = 16 * 1024;
/// The longest an answer may take, a slow asker included; the store's own limit is shorter.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Clone)]
struct Door {
    terms: Terms,
    status: Status,
    guard: Guard,
}

/// A no: its code, and the sentence that goes with it.
#[derive(Debug)]
struct Refused(StatusCode, String);

/// What an order looks like on its way in.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrderForm {
    /// `failover`, `fallback` and so on.
    pub kind: String,
    /// The service domain; all where it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// Only the domains this node serves now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Who orders; the asker's address where it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// What a reader may say behind the question mark.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    domain: Option<String>,
    max: Option<u32>,
}

/// The routes of this door, for a node with this configuration.
pub fn routes(config: &Config, status: &Status) -> Result<Router, ConfigError> {
    let guard = Guard::new(config.http.token()?);
    let door = Door { terms: Terms::new(config), status: status.clone(), guard };
    Ok(Router::new()
        .route("/api/pair", get(pair))
        .route("/api/pair/history", get(history))
        .route("/api/pair/orders", post(orders))
        .route("/api/pair/orders/{id}", get(order))
        .route("/api/speaker/{domain}", get(speaker))
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .layer(from_fn(in_time))
        .with_state(door))
}

async fn in_time(request: HttpRequest, next: Next) -> Response {
    let answered = tokio::time::timeout(PATIENCE, next.run(request)).await;
    let too_slow = |_| Refused(StatusCode::REQUEST_TIMEOUT, "that took too long".to_owned()).into_response();
    answered.unwrap_or_else(too_slow)
}

type Reading = Result<Query<Asked>, QueryRejection>;

async fn pair(
    State(door): State<Door>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    asked: Reading,
) -> Result<Response, Refused> {
    door.read("status", from, &headers, asked).await
}

async fn history(
    State(door): State<Door>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    asked: Reading,
) -> Result<Response, Refused> {
    door.read("history", from, &headers, asked).await
}

async fn orders(
    State(door): State<Door>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Refused> {
    door.guard.admit_order(&headers).await?;
    let body = body
        .map_err(|why| Refused(why.status(), format!("{}; an order has at most {BODY_MAX} bytes", why.body_text())))?;
    let (command, request) = order_of(&body, from).map_err(|why| Refused(StatusCode::BAD_REQUEST, why))?;
    let answer = door.desk()?.run(command, &request).await?;
    // Where it is this node's to carry out, that need not wait for a beat.
    door.status.domains().for_each(DomainStatus::nudge);
    Ok((StatusCode::ACCEPTED, Json(answer)).into_response())
}

/// The command a body gives.
fn order_of(body: &[u8], from: SocketAddr) -> Result<(&'static Command, Request), String> {
    let form: OrderForm = serde_json::from_slice(body).map_err(|why| {
        format!(
            "not an order: {why}; one looks like {{\"kind\": \"fallback\", \"domain\": \"conference.example.org\"}}"
        )
    })?;
    let kind: OrderKind = form.kind.parse()?;
    let command = Command::of(kind).ok_or_else(|| format!("{kind} is not given here"))?;
    let by = form.by.unwrap_or_else(|| format!("{} via http", from.ip()));
    Ok((command, Request { domain: form.domain, from: form.from, max: None, by }))
}

async fn order(
    State(door): State<Door>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Response, Refused> {
    door.guard.admit_reader(&headers, from.ip()).await?;
    Ok(Json(door.desk()?.order(&id).await?).into_response())
}

/// 200 while this node speaks for the domain, else 503 with the reason.
async fn speaker(State(door): State<Door>, Path(domain): Path<String>) -> Result<Response, Refused> {
    let prepared = domain.parse::<BareDomain>().map_or_else(|_| domain.clone(), |known| known.0.as_str().to_owned());
    let Some(status) = door.status.domains().find(|status| status.domain() == prepared) else {
        return Err(Refused(StatusCode::NOT_FOUND, format!("this node has no domain {domain:?}")));
    };
    let (Ok(state) | Err(state)) = status.verdict();
    let speaks = status.speaks();
    let code = if speaks { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let answer = serde_json::json!({
        "node": door.status.node(), "domain": prepared, "speaks": speaks, "state": state,
    });
    Ok((code, Json(answer)).into_response())
}

impl Door {
    async fn read(
        &self,
        name: &str,
        from: SocketAddr,
        headers: &HeaderMap,
        asked: Reading,
    ) -> Result<Response, Refused> {
        self.guard.admit_reader(headers, from.ip()).await?;
        let Query(asked) = asked.map_err(|why| {
            Refused(StatusCode::BAD_REQUEST, format!("{}; allowed are domain=DOMAIN and max=NUMBER", why.body_text()))
        })?;
        let unknown = || Refused(StatusCode::NOT_FOUND, format!("there is no command {name}"));
        let command = Command::named(name).ok_or_else(unknown)?;
        let request = Request { domain: asked.domain, max: asked.max, ..Request::default() };
        Ok(Json(self.desk()?.run(command, &request).await?).into_response())
    }

    fn desk(&self) -> Result<Desk, Refusal> {
        self.status.store().map(|store| Desk::new(self.terms.clone(), store)).ok_or(Refusal::NotOpen)
    }
}

impl From<Refusal> for Refused {
    fn from(why: Refusal) -> Refused {
        let code = match why {
            Refusal::Senseless(_) => StatusCode::BAD_REQUEST,
            Refusal::NoSuchOrder(_) => StatusCode::NOT_FOUND,
            Refusal::NotOpen | Refusal::Store(StoreError::Unavailable(_)) => StatusCode::SERVICE_UNAVAILABLE,
            Refusal::Store(StoreError::Damaged { .. } | StoreError::Fenced { .. }) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Refused(code, why.to_string())
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let Refused(code, sentence) = self;
        let mut response = (code, Json(serde_json::json!({ "error": sentence }))).into_response();
        if code == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
