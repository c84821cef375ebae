//! Whether relays and servers take this node. Where somebody is attached already a bare server is only called, not
//! shaken hands with: it would put out whoever speaks.

use std::time::Duration;

use tokio::net::TcpStream;

use super::Sight;
use super::findings::{Finding, Findings};
use crate::config::{Config, Service};
use crate::service;
use crate::stream::{self, StreamConfig};

/// How long a call may take.
const CALLING: Duration = Duration::from_secs(5);

/// Why a bare server is not shaken hands with.
enum Taken {
    /// Nobody is attached.
    No,
    /// Somebody is, or may be.
    Yes(String),
}

/// Tries every relay and server of every domain.
pub(super) async fn check(config: &Config, sight: &Sight, findings: &mut Findings) {
    for service in &config.services {
        let stream = match service::stream_config(service) {
            Ok(stream) => stream,
            Err(why) => {
                findings.add(Finding::bad("secret", why.to_string(), ""));
                continue;
            }
        };
        findings.add(Finding::good("secret", format!("{}: there is one", stream.domain)));
        let has_relay = check_relays(&stream, findings).await;
        if config.pair.is_some() && service.relay.is_empty() {
            let sentence = format!(
                "{}: none; when a node dies, what is on its way to it is bounced. With a relay nothing is",
                stream.domain
            );
            findings.add(Finding::doubtful("relay", sentence, "relay = [\"127.0.0.1:5348\"]"));
        }
        let taken = taken(service, sight, has_relay).await;
        check_servers(&stream, &taken, findings).await;
    }
}

/// Whether a relay let us in.
async fn check_relays(stream: &StreamConfig, findings: &mut Findings) -> bool {
    let mut boots: Vec<(String, String)> = Vec::new();
    for relay in &stream.relays {
        let only = StreamConfig { relays: vec![relay.clone()], ..stream.clone() };
        match stream::probe_relay(&only).await {
            Ok((relay, boot)) => {
                findings.add(match boots.iter().find(|(_, other)| *other == boot) {
                    None => Finding::good("relay", format!("{relay} takes us as {}", stream.domain)),
                    Some((other, _)) => {
                        let sentence = format!("{relay} and {other} are one relay of {}", stream.domain);
                        Finding::bad("relay", sentence, format!("relay = [\"{other}\"]"))
                    }
                });
                boots.push((relay, boot));
            }
            Err(why) => findings.add(Finding::bad("relay", why.to_string(), "")),
        }
    }
    !boots.is_empty()
}

/// Whether somebody is, or may be, attached to the bare server.
async fn taken(service: &Service, sight: &Sight, has_relay: bool) -> Taken {
    if has_relay {
        return Taken::Yes("the relay attaches to it".to_owned());
    }
    let store = match sight {
        Sight::Clear(store) => store,
        Sight::Empty => return Taken::No,
        Sight::None => return Taken::Yes("whether a node serves is not known without the database".to_owned()),
    };
    match store.see_lease(service.domain.0.as_str()).await {
        Ok(Some(lease)) if lease.expires_in_ms > 0 => match lease.owner {
            Some(owner) => Taken::Yes(format!("node {owner} serves")),
            None => Taken::No,
        },
        Ok(_) => Taken::No,
        Err(why) => Taken::Yes(format!("whether a node serves is not known ({why})")),
    }
}

async fn check_servers(stream: &StreamConfig, taken: &Taken, findings: &mut Findings) {
    match taken {
        Taken::No => findings.add(match stream::probe(stream).await {
            Ok(server) => Finding::good("stream", format!("{server} takes us as {}", stream.domain)),
            Err(why) => Finding::bad("stream", why.to_string(), ""),
        }),
        Taken::Yes(by) => {
            for server in &stream.servers {
                findings.add(call(server, &stream.domain, by).await);
            }
        }
    }
}

async fn call(server: &str, domain: &str, by: &str) -> Finding {
    let why = match tokio::time::timeout(CALLING, TcpStream::connect(server)).await {
        Ok(Ok(_)) => {
            let sentence = format!(
                "{server} answers; whether it takes us as {domain} was not tried: {by}, and a handshake could put it out"
            );
            return Finding::skipped("stream", sentence, "");
        }
        Ok(Err(why)) => why.to_string(),
        Err(_) => format!("no answer within {} s", CALLING.as_secs()),
    };
    Finding::bad(
        "stream",
        format!("{server} cannot be reached for {domain} ({why})"),
        "see that the server runs and its component port is open",
    )
}
