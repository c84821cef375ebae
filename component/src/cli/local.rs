//! The running node of a configuration, spoken to by HTTP at its own address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use tokio::net::TcpStream;

use crate::command::http::OrderForm;
use crate::command::{OrderView, Orders};
use crate::config::Config;

/// How long connecting may take on one machine.
const CONNECTING: Duration = Duration::from_secs(2);
/// How long an answer may take; the node's own limit is the database's.
const ANSWERING: Duration = Duration::from_secs(10);
/// The largest answer that is read, in bytes.
const ANSWER_MAX: usize = 4 * 1024 * 1024;

/// Where the node of a configuration answers.
#[derive(Debug)]
pub(super) struct Local {
    address: SocketAddr,
    token: Option<SecretString>,
    /// What to do where nobody answers.
    remedy: String,
}

impl Local {
    /// The node `config` is about.
    pub(super) fn of(config: &Config) -> Result<Local, String> {
        let Some(listen) = config.http.listen else {
            return Err("there is no way to the running node: set [http] listen and token_file, and restart it".into());
        };
        let token = config.http.token().map_err(|why| why.to_string())?;
        let start = format!("start node {} (systemctl start tandem-muc)", config.node.name);
        let remedy = match &config.pair {
            Some(pair) => format!("{start}, or ask on node {}", pair.twin),
            None => start,
        };
        Ok(Local { address: reachable(listen), token, remedy })
    }

    /// Gives an order; what it looks like now, for each domain.
    pub(super) async fn give(&self, form: &OrderForm) -> Result<Orders, String> {
        if self.token.is_none() {
            return Err(
                "orders want a token: set [http] token_file to a file with some random words, and restart the node"
                    .into(),
            );
        }
        let body = serde_json::to_vec(form).map_err(|why| format!("order: {why}"))?;
        self.ask(Method::POST, "/api/pair/orders", body).await
    }

    /// An order as it stands.
    pub(super) async fn order(&self, id: &str) -> Result<OrderView, String> {
        self.ask(Method::GET, &format!("/api/pair/orders/{id}"), Vec::new()).await
    }

    /// What the node says of itself.
    pub(super) async fn ready(&self) -> Result<serde_json::Value, String> {
        let (_, body) = self.exchange(Method::GET, "/ready", Vec::new()).await?;
        serde_json::from_slice(&body).map_err(|_| self.stranger())
    }

    async fn ask<T: DeserializeOwned>(&self, method: Method, path: &str, body: Vec<u8>) -> Result<T, String> {
        let (code, body) = self.exchange(method, path, body).await?;
        if code.is_success() {
            return serde_json::from_slice(&body).map_err(|_| self.stranger());
        }
        let said: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
        let sentence = said["error"].as_str().map_or_else(|| format!("{}: {code}", self.stranger()), str::to_owned);
        Err(if code == StatusCode::UNAUTHORIZED {
            format!("{sentence}; was it changed since the node started?")
        } else {
            sentence
        })
    }

    async fn exchange(&self, method: Method, path: &str, body: Vec<u8>) -> Result<(StatusCode, Bytes), String> {
        let silent = |why: &dyn std::fmt::Display| {
            format!("the node does not answer at {}: {why}; {}", self.address, self.remedy)
        };
        let connected = tokio::time::timeout(CONNECTING, TcpStream::connect(self.address)).await;
        let socket = connected.map_err(|_| silent(&"no connection within 2 s"))?.map_err(|why| silent(&why))?;
        let answered = tokio::time::timeout(ANSWERING, self.over(socket, method, path, body)).await;
        answered.map_err(|_| silent(&"no answer within 10 s"))?.map_err(|why| silent(&why))
    }

    async fn over(
        &self,
        socket: TcpStream,
        method: Method,
        path: &str,
        body: Vec<u8>,
    ) -> Result<(StatusCode, Bytes), Box<dyn std::error::Error + Send + Sync>> {
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(socket)).await?;
        let running = tokio::spawn(connection);
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, self.address.to_string())
            .header(CONTENT_TYPE, "application/json");
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, format!("Bearer {}", token.expose_secret()));
        }
        let answer = sender.send_request(request.body(Full::new(Bytes::from(body)))?).await?;
        let code = answer.status();
        let body = Limited::new(answer.into_body(), ANSWER_MAX).collect().await?.to_bytes();
        running.abort();
        Ok((code, body))
    }

    fn stranger(&self) -> String {
        format!("what answers at {} is not a tandem-muc of this version; see [http] listen", self.address)
    }
}

/// Who listens everywhere is spoken to on the loopback.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}
