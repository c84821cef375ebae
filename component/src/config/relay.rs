//! The relay's configuration file: the domains it stands for, and how much it keeps.
//!
//! Every key is in `conf/relay.toml` with default, unit and reason; the rules are those of the node's file.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use secrecy::SecretString;
use serde::Deserialize;

use super::value::{any, list, maybe};
use super::{BareDomain, ConfigError, Hidden, Log, default_servers, secret_of};

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RelayConfig {
    /// `[[domain]]`
    #[serde(default, rename = "domain")]
    pub domains: Vec<Domain>,
    /// `[limits]`
    #[serde(default)]
    pub limits: Limits,
    /// `[http]`
    #[serde(default)]
    pub http: Http,
    /// `[log]`
    #[serde(default)]
    pub log: Log,
}

/// `[[domain]]`: one domain the relay attaches to the server and offers to the nodes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Domain {
    /// The domain, `conference.example.org`.
    #[serde(deserialize_with = "any")]
    pub domain: BareDomain,
    #[serde(default, deserialize_with = "maybe")]
    secret: Option<Hidden>,
    #[serde(default, deserialize_with = "maybe")]
    secret_file: Option<PathBuf>,
    /// Component listeners of the XMPP server, tried in order.
    #[serde(default = "default_servers", deserialize_with = "list")]
    pub server: Vec<String>,
    /// Where nodes attach.
    #[serde(default = "default_listen", deserialize_with = "any")]
    pub listen: SocketAddr,
}

/// `[limits]`: how much is kept for each domain.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Stanzas kept until a node has handled them.
    #[serde(deserialize_with = "any")]
    pub held_stanzas: usize,
    /// Bytes of these.
    #[serde(deserialize_with = "any")]
    pub held_bytes: usize,
    /// Seconds a stanza waits while no node is attached.
    #[serde(deserialize_with = "any")]
    pub held_seconds: u64,
    /// Bytes of one stanza.
    #[serde(deserialize_with = "any")]
    pub stanza_bytes: usize,
}

/// `[http]`: health, status and metrics.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Http {
    /// Where to listen; nowhere if the key is missing.
    #[serde(deserialize_with = "maybe")]
    pub listen: Option<SocketAddr>,
}

fn default_listen() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 5348))
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { held_stanzas: 50_000, held_bytes: 64 * 1024 * 1024, held_seconds: 30, stanza_bytes: 524_288 }
    }
}

impl RelayConfig {
    /// Reads and checks the file at `path`.
    pub fn read(path: &Path) -> Result<RelayConfig, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::unreadable(path, &source))?;
        RelayConfig::parse(path, &text)
    }

    /// Checks `text`, which stands at `path`.
    pub fn parse(path: &Path, text: &str) -> Result<RelayConfig, ConfigError> {
        let config: RelayConfig = toml::from_str(text).map_err(|source| ConfigError::from_toml(path, text, &source))?;
        config.check().map_err(|(key, why)| ConfigError::in_key(path, text, key, &why))?;
        Ok(config)
    }

    fn check(&self) -> Result<(), (&'static str, String)> {
        if self.domains.is_empty() {
            return Err(("", "no [[domain]]: name at least one domain to stand for".to_owned()));
        }
        for (nth, Domain { domain, server, listen, .. }) in self.domains.iter().enumerate() {
            if self.domains[..nth].iter().any(|other| other.domain == *domain) {
                return Err(("domain", format!("domain = \"{}\" stands in two [[domain]] tables", domain.0)));
            }
            if server.is_empty() {
                return Err(("server", format!("{}: server is empty: name a host:port to attach to", domain.0)));
            }
            for address in server {
                if address.rsplit_once(':').is_none_or(|(host, port)| host.is_empty() || port.parse::<u16>().is_err()) {
                    return Err(("server", format!("server \"{address}\" is not of the form host:port")));
                }
                if *address == listen.to_string() {
                    return Err(("server", format!("server \"{address}\" is the relay's own listen address")));
                }
            }
        }
        let limits = &self.limits;
        let at_least = |key: &'static str, value: u64, least: u64| {
            if value < least { Err((key, format!("{key} = {value} is less than {least}"))) } else { Ok(()) }
        };
        at_least("held_stanzas", limits.held_stanzas as u64, 100)?;
        at_least("stanza_bytes", limits.stanza_bytes as u64, 10_000)?;
        at_least("held_bytes", limits.held_bytes as u64, 2 * limits.stanza_bytes as u64)?;
        at_least("held_seconds", limits.held_seconds, 1)
    }
}

impl Domain {
    /// The secret shared with the XMPP server and the nodes.
    pub fn secret(&self) -> Result<SecretString, ConfigError> {
        secret_of(&self.domain, self.secret.as_ref(), self.secret_file.as_deref(), "domain.secret_file")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: &str = "[[domain]]\ndomain = \"conference.example.org\"\nsecret = \"s\"\n";

    fn refusal(text: &str) -> String {
        RelayConfig::parse(Path::new("/etc/relay.toml"), text).expect_err("refused").to_string()
    }

    #[test]
    fn the_least_file_is_enough() {
        let config = RelayConfig::parse(Path::new("relay.toml"), LEAST).expect("a configuration");
        let domain = &config.domains[0];
        assert_eq!((domain.server.as_slice(), domain.listen.port()), (["127.0.0.1:5347".to_owned()].as_slice(), 5348));
        assert_eq!(config.limits.held_seconds, 30);
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_its_line() {
        let told = refusal(&format!("{LEAST}listn = \"x\"\n"));
        assert_eq!(told, "config: unknown key \"listn\"; the nearest known one here is \"listen\" (relay.toml:4)");
        let told = refusal(&format!("{LEAST}listen = \"127.0.0.1:5347\"\n"));
        assert!(told.contains("the relay's own listen address"), "{told}");
        let told = refusal(&format!("{LEAST}[limits]\nheld_bytes = 1000\n"));
        assert_eq!(told, "config: held_bytes = 1000 is less than 1048576 (relay.toml:5)");
        assert!(refusal(&format!("{LEAST}{LEAST}")).contains("stands in two"));
        assert!(refusal("").contains("no [[domain]]"));
    }

    #[test]
    fn the_sample_is_a_configuration() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../conf/relay.toml");
        RelayConfig::read(&path).expect("a configuration");
    }
}
