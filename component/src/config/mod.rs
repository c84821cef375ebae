//! The configuration file: TOML, checked as a whole before anything starts.
//!
//! Every key is in `conf/component.toml` with default, unit and reason. An unknown key is refused with line
//! and nearest known key; every value may come from the environment as `"${NAME}"`, secrets from a file.

mod check;
mod defaults;
mod error;
mod identity;
mod limits;
mod rates;
pub mod relay;
mod value;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use secrecy::SecretString;
use serde::Deserialize;
use tandem_muc_core::muc::Blocked;
use tandem_muc_core::name::BareJid;
use tandem_muc_core::room::{Creators, ServiceRules};

pub use defaults::Defaults;
pub use error::ConfigError;
pub use identity::{Contact, Identity, Profile};
pub use limits::Limits;
pub use rates::Rates;
pub use relay::RelayConfig;
use value::{any, list, maybe};

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// `[node]`
    #[serde(default)]
    pub node: Node,
    /// `[store]`
    #[serde(default)]
    pub store: Store,
    /// `[pair]`; without it the node stands alone
    #[serde(default)]
    pub pair: Option<Pair>,
    /// `[[service]]`
    #[serde(default, rename = "service")]
    pub services: Vec<Service>,
    /// `[http]`
    #[serde(default)]
    pub http: Http,
    /// `[log]`
    #[serde(default)]
    pub log: Log,
}

/// `[node]`: who this process is.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Node {
    /// Its name, unlike its twin's.
    #[serde(deserialize_with = "any")]
    pub name: String,
    /// Tasks that run rooms, each some of them.
    #[serde(deserialize_with = "any")]
    pub shards: usize,
}

/// `[store]`: the shared database.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Store {
    /// `sqlite:/path` or `postgres://user@host/database`.
    #[serde(deserialize_with = "maybe")]
    url: Option<Hidden>,
    /// A file that holds the URL, for one with a password in it.
    #[serde(deserialize_with = "maybe")]
    url_file: Option<PathBuf>,
    /// The longest the database may take for one answer, in milliseconds.
    #[serde(deserialize_with = "any")]
    pub answer_ms: u64,
    /// The most records in one commit.
    #[serde(deserialize_with = "any")]
    pub group_max: usize,
    /// The most stanzas that wait for the database, each domain.
    #[serde(deserialize_with = "any")]
    pub queue_max: usize,
    /// How long words wait for a database that is away before new stanzas are told to wait, in seconds.
    #[serde(deserialize_with = "any")]
    pub held_seconds: u64,
    /// How long a lease holds without renewal, in milliseconds.
    #[serde(deserialize_with = "any")]
    pub lease_ms: u64,
}

/// `[pair]`: the twin, and how patient the two are with each other.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pair {
    /// The other node's name.
    #[serde(deserialize_with = "any")]
    pub twin: String,
    /// How often this node writes into the database that it lives, in milliseconds.
    #[serde(default = "beat_ms", deserialize_with = "any")]
    pub beat_ms: u64,
    /// How long before its lease ends this node falls silent by its own clock, in milliseconds.
    #[serde(default = "margin_ms", deserialize_with = "any")]
    pub margin_ms: u64,
    /// How long a twin may be silent, or a trouble may last, before it counts, in milliseconds.
    #[serde(default = "patience_ms", deserialize_with = "any")]
    pub patience_ms: u64,
    /// Minutes the home node must have been fit before its domain returns by itself; 0: only by command.
    #[serde(default, deserialize_with = "any")]
    pub fallback_after_min: u64,
    /// So many automatic moves within `moves_within_min` are enough.
    #[serde(default = "moves_max", deserialize_with = "any")]
    pub moves_max: u32,
    /// The time automatic moves are counted over, in minutes.
    #[serde(default = "moves_within_min", deserialize_with = "any")]
    pub moves_within_min: u64,
}

/// `[[service]]`: one service domain.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// The domain, `conference.example.org`.
    #[serde(deserialize_with = "any")]
    pub domain: BareDomain,
    /// The node it belongs to; this one where the key is missing.
    #[serde(default, deserialize_with = "maybe")]
    pub home: Option<String>,
    /// Relays (`tandem-muc relay`), before any server: all are attached, the first that is there is spoken through.
    #[serde(default, deserialize_with = "list")]
    pub relay: Vec<String>,
    /// Component listeners of the XMPP server, tried in order.
    #[serde(default = "default_servers", deserialize_with = "list")]
    pub server: Vec<String>,
    #[serde(default, deserialize_with = "maybe")]
    secret: Option<Hidden>,
    #[serde(default, deserialize_with = "maybe")]
    secret_file: Option<PathBuf>,
    /// Users who own every room.
    #[serde(default, deserialize_with = "list")]
    pub admins: Vec<BareJidValue>,
    /// Users, domains and patterns kept out of all rooms.
    #[serde(default, deserialize_with = "list")]
    pub blocked: Vec<String>,
    /// Who may create rooms: `anyone`, `local` or `admins`.
    #[serde(default = "Creation::anyone", deserialize_with = "any")]
    pub creation: Creation,
    /// Whether a new room waits locked for its owner's configuration.
    #[serde(default = "yes", deserialize_with = "any")]
    pub lock_new_rooms: bool,
    /// Whether presence without the muc extension enters, as in groupchat 1.0.
    #[serde(default, deserialize_with = "any")]
    pub groupchat_1: bool,
    /// Whose clients it is to please: `standard` or `cisco`.
    #[serde(default, deserialize_with = "any")]
    pub profile: Profile,
    /// How it shows itself.
    #[serde(default)]
    pub identity: Identity,
    /// Whom to turn to.
    #[serde(default)]
    pub contact: Contact,
    /// Limits on what a stranger can send or fill.
    #[serde(default)]
    pub limits: Limits,
    /// Limits on how fast somebody can send.
    #[serde(default)]
    pub rates: Rates,
    /// What a new room starts with, and what of it owners leave as it is.
    #[serde(default)]
    pub defaults: Defaults,
}

/// `[http]`: health, readiness and metrics.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Http {
    /// Where to listen; nowhere if the key is missing.
    #[serde(deserialize_with = "maybe")]
    pub listen: Option<SocketAddr>,
    /// A file with the token that orders are given with; without it none are taken here.
    #[serde(deserialize_with = "maybe")]
    pub token_file: Option<PathBuf>,
}

/// `[log]`: what goes to stderr.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// `text` or `json`.
    #[serde(deserialize_with = "any")]
    pub format: LogFormat,
    /// `error`, `warn`, `info`, `debug` or `trace`, or a filter of tracing's.
    #[serde(deserialize_with = "any")]
    pub level: String,
}

/// How log lines look.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}

/// A value that may hold a secret, so that printing the configuration prints none.
#[derive(Clone, Debug)]
struct Hidden(SecretString);

/// A service domain as configured.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BareDomain(pub BareJid);

/// A user as configured.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BareJidValue(pub BareJid);

/// Who may create rooms, as configured.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Creation(pub Creators);

impl Creation {
    fn anyone() -> Creation {
        Creation(Creators::Anyone)
    }
}

/// Characters of a full JID that serves as a nick: a resource of the greatest length (RFC 7622 §3.4).
const JID_CHARS: usize = 1_023;

fn yes() -> bool {
    true
}

const fn beat_ms() -> u64 {
    500
}

const fn margin_ms() -> u64 {
    400
}

const fn patience_ms() -> u64 {
    3_000
}

const fn moves_max() -> u32 {
    3
}

const fn moves_within_min() -> u64 {
    10
}

fn default_servers() -> Vec<String> {
    vec!["127.0.0.1:5347".to_owned()]
}

impl Default for Node {
    fn default() -> Node {
        Node { name: "a".to_owned(), shards: std::thread::available_parallelism().map_or(2, usize::from) }
    }
}

impl Default for Store {
    fn default() -> Store {
        Store {
            url: None,
            url_file: None,
            answer_ms: 5_000,
            group_max: 1_000,
            queue_max: 10_000,
            held_seconds: 30,
            lease_ms: 2_000,
        }
    }
}

impl Default for Log {
    fn default() -> Log {
        Log { format: LogFormat::Text, level: "info".to_owned() }
    }
}

impl Config {
    /// Reads and checks the file at `path`; secrets in files of their own are read here too.
    pub fn read(path: &Path) -> Result<Config, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::unreadable(path, &source))?;
        Config::parse(path, &text)
    }

    /// Checks `text`, which stands at `path`.
    pub fn parse(path: &Path, text: &str) -> Result<Config, ConfigError> {
        let mut config: Config = toml::from_str(text).map_err(|source| ConfigError::from_toml(path, text, &source))?;
        config.check().map_err(|(key, why)| ConfigError::in_key(path, text, key, &why))?;
        for service in &mut config.services {
            let bounds = service.rules().bounds();
            let settled = service.defaults.settle(&bounds);
            settled.map_err(|(at, why)| ConfigError::at(path, text, at, &why))?;
            Config::check_profile(service).map_err(|(key, why)| ConfigError::in_key(path, text, key, &why))?;
        }
        Ok(config)
    }
}

impl Store {
    /// The database's URL, from the key or its file; `sqlite:tandem-muc.db` beside the working directory if neither
    /// is set.
    pub fn url(&self) -> Result<SecretString, ConfigError> {
        if let Some(path) = &self.url_file {
            return secret_from(path, "store.url_file");
        }
        Ok(self.url.as_ref().map_or_else(|| SecretString::from("sqlite:tandem-muc.db"), |url| url.0.clone()))
    }
}

impl Http {
    /// The token orders are given with, if there is one.
    pub fn token(&self) -> Result<Option<SecretString>, ConfigError> {
        self.token_file.as_deref().map(|path| secret_from(path, "http.token_file")).transpose()
    }
}

impl Config {
    /// The node `service` belongs to.
    pub fn home<'a>(&'a self, service: &'a Service) -> &'a str {
        service.home.as_deref().unwrap_or(&self.node.name)
    }

    /// How long a node may be silent before it counts, in milliseconds.
    pub fn patience_ms(&self) -> u64 {
        self.pair.as_ref().map_or_else(patience_ms, |pair| pair.patience_ms)
    }

    /// How often this node beats, in milliseconds.
    pub fn beat_ms(&self) -> u64 {
        self.pair.as_ref().map_or_else(beat_ms, |pair| pair.beat_ms)
    }
}

impl Service {
    /// The secret shared with the XMPP server.
    pub fn secret(&self) -> Result<SecretString, ConfigError> {
        secret_of(&self.domain, self.secret.as_ref(), self.secret_file.as_deref(), "service.secret_file")
    }

    /// Who is kept out, or which entry is at fault.
    fn blocked(&self) -> Result<Blocked, String> {
        Blocked::parse(self.blocked.iter().map(String::as_str))
    }

    /// What rooms of this domain obey.
    pub fn rules(&self) -> ServiceRules {
        let limits = &self.limits;
        let is_cisco = self.profile == Profile::Cisco;
        let mut identity = self.identity.to_core(limits);
        identity.contacts = self.contact.to_core();
        identity.is_cisco = is_cisco;
        let mut fixed = self.defaults.fixed.clone();
        // It cannot enter a room that hides who is inside.
        fixed.extend((is_cisco && !fixed.contains(&"whois")).then_some("whois"));
        ServiceRules {
            domain: self.domain.0.clone(),
            admins: self.admins.iter().map(|admin| admin.0.clone()).collect(),
            blocked: self.blocked().unwrap_or_default(),
            creation: self.creation.0,
            defaults: self.defaults.room.clone(),
            fixed,
            locks_new_rooms: self.lock_new_rooms,
            takes_groupchat_1: self.groupchat_1,
            voice_request_ms: i64::from(limits.voice_request_seconds) * 1_000,
            occupants_max: limits.occupants,
            sessions_max: limits.sessions,
            history_max: limits.history,
            archive_days_max: limits.archive_days_max,
            slow_mode_max: limits.slow_mode_seconds_max,
            mentions_per_hour: limits.mentions_per_hour,
            affiliations_max: limits.affiliations,
            body_bytes_max: limits.body_bytes,
            nick_chars_max: if is_cisco { limits.nick_chars.max(JID_CHARS) } else { limits.nick_chars },
            tombstone_ms: i64::from(limits.tombstone_days) * 86_400_000,
            lock_ms: u64::from(limits.lock_minutes) * 60_000,
            identity,
        }
    }
}

/// The secret of `domain`, from the key or from the file that `key` names.
fn secret_of(
    domain: &BareDomain,
    secret: Option<&Hidden>,
    file: Option<&Path>,
    key: &str,
) -> Result<SecretString, ConfigError> {
    match (secret, file) {
        (Some(secret), _) => Ok(secret.0.clone()),
        (None, Some(path)) => secret_from(path, key),
        (None, None) => Err(ConfigError::plain(format!(
            "{}: neither secret nor secret_file is set; the XMPP server's configuration has the secret of this component",
            domain.0
        ))),
    }
}

fn secret_from(path: &Path, key: &str) -> Result<SecretString, ConfigError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| ConfigError::plain(format!("{key}: cannot read {}: {source}", path.display())))?;
    let secret = text.trim_end_matches(['\r', '\n']);
    if secret.is_empty() {
        return Err(ConfigError::plain(format!("{key}: {} is empty", path.display())));
    }
    Ok(SecretString::from(secret.to_owned()))
}

#[cfg(test)]
mod tests;
