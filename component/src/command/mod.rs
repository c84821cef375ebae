//! What an operator may ask of the pair: one definition for every door.
//!
//! A [`Command`] has a name, what it does, fields, and whether it changes anything; a [`Desk`] carries it out and gives
//! an [`Answer`], which is both a text and JSON. The command line (`cli`) and HTTP ([`http`]) are doors to the same
//! commands. Reading is done in the database, so that it works beside a node that is dead; orders go into it, and the
//! node they are for takes them from there.

mod assemble;
mod history;
pub mod http;
mod order;
mod status;
mod status_text;
#[cfg(test)]
mod tests;
pub mod text;
mod troubles;

use serde::Serialize;
use tandem_muc_core::pair::OrderKind;

use crate::config::{BareDomain, Config, Service};
use crate::store::{SqlStore, StoreError};
pub use history::{EventView, History};
pub use order::{OrderView, Orders};
pub use status::{DomainView, DutyView, NodeView, PairStatus, Verdict};
use text::Text;

/// The most events one answer has.
pub const EVENTS_MAX: u32 = 1_000;
/// How many events are told where nobody says.
const EVENTS: u32 = 20;

/// A command, for every door.
#[derive(Clone, Copy, Debug)]
pub struct Command {
    /// What it is called.
    pub name: &'static str,
    /// What it does, in a line.
    pub about: &'static str,
    /// What else there is to know before it is given.
    pub more: &'static str,
    /// What it may be given.
    pub fields: &'static [Field],
    act: Act,
}

/// A value a command may be given. All of them may be left out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Field {
    /// The service domain; all of the configuration where it is left out.
    Domain,
    /// Only the domains this node serves now.
    From,
    /// At most so many events.
    Max,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Act {
    Status,
    History,
    Order(OrderKind),
}

/// All commands, in the order they are listed.
pub const ALL: &[Command] = &[
    Command {
        name: "status",
        about: "Say who serves each domain, how both nodes stand, and what a failover would do now.",
        more: "It is read from the database, so it works on either node, also while its twin or both are down.",
        fields: &[Field::Domain],
        act: Act::Status,
    },
    Command {
        name: "history",
        about: "List what happened to the pair, with what each takeover and move cost; the newest last.",
        more: "It is read from the database, as status is.",
        fields: &[Field::Domain, Field::Max],
        act: Act::History,
    },
    Command {
        name: "failover",
        about: "Move the domain to the other node and keep it there; by force where its holder does not answer.",
        more: "The home node stays idle until fallback: for work on its machine.",
        fields: &[Field::Domain, Field::From],
        act: Act::Order(OrderKind::Failover),
    },
    Command {
        name: "fallback",
        about: "Bring the domain back to its home node.",
        more: "Nobody in a room notices; it is refused, with the reason, while the home node could not serve.",
        fields: &[Field::Domain],
        act: Act::Order(OrderKind::Fallback),
    },
    Command {
        name: "switch-over",
        about: "Move the domain to the other node; its home node stays ready to take it again.",
        more: "Nobody in a room notices; it is refused, with the reason, while the other node could not serve.",
        fields: &[Field::Domain, Field::From],
        act: Act::Order(OrderKind::SwitchOver),
    },
    Command {
        name: "pause",
        about: "Make no automatic moves until resume: for work on network, server or database.",
        more: "Orders are still carried out. A domain whose node dies meanwhile stays unserved.",
        fields: &[Field::Domain],
        act: Act::Order(OrderKind::Pause),
    },
    Command {
        name: "resume",
        about: "Allow automatic moves again.",
        more: "The opposite of pause.",
        fields: &[Field::Domain],
        act: Act::Order(OrderKind::Resume),
    },
    Command {
        name: "recover",
        about: "Have what stopped by itself try again now: after Failover Limit or Running in Failed Mode.",
        more: "The count of automatic moves starts anew.",
        fields: &[Field::Domain],
        act: Act::Order(OrderKind::Recover),
    },
    Command {
        name: "sweep",
        about: "Look for occupants whose clients are gone, and have them leave.",
        more: "It is done by itself after a takeover and after the XMPP server came back.",
        fields: &[Field::Domain],
        act: Act::Order(OrderKind::Sweep),
    },
];

impl Field {
    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Field::Domain => "domain",
            Field::From => "from",
            Field::Max => "max",
        }
    }

    /// What it means, in a line.
    pub fn about(self) -> &'static str {
        match self {
            Field::Domain => "The service domain; all of the configuration if left out",
            Field::From => "Only the domains this node serves now",
            Field::Max => "At most so many events, the newest; 20 if left out",
        }
    }
}

impl Command {
    /// The command of that name.
    pub fn named(name: &str) -> Option<&'static Command> {
        ALL.iter().find(|command| command.name == name)
    }

    /// The command that gives this order.
    fn of(kind: OrderKind) -> Option<&'static Command> {
        ALL.iter().find(|command| command.act == Act::Order(kind))
    }

    /// Whether it changes anything: then it is for those who have the token.
    pub fn changes(&self) -> bool {
        matches!(self.act, Act::Order(_))
    }
}

/// What a command is given.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Request {
    /// As [`Field::Domain`].
    pub domain: Option<String>,
    /// As [`Field::From`].
    pub from: Option<String>,
    /// As [`Field::Max`].
    pub max: Option<u32>,
    /// Who asks, through which door.
    pub by: String,
}

/// What a command answers.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(untagged)]
pub enum Answer {
    /// How the pair stands.
    Status(PairStatus),
    /// What happened to it.
    History(History),
    /// The orders given, one for each domain.
    Orders(Orders),
}

impl Answer {
    /// For a person.
    pub fn text(&self) -> Text {
        match self {
            Answer::Status(status) => status.text(),
            Answer::History(history) => history.text(),
            Answer::Orders(orders) => orders.text(),
        }
    }
}

/// Why a command is not carried out.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// What it was given makes no sense; the sentence names what would.
    #[error("{0}")]
    Senseless(String),
    /// There is no order of that id.
    #[error("there is no order {0}")]
    NoSuchOrder(String),
    /// The node has no database yet.
    #[error("starting: the database is not open yet")]
    NotOpen,
    /// The database does not do its part.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The configuration as far as commands go by it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Terms {
    /// This node.
    pub node: String,
    /// Its twin, if it has one.
    pub twin: Option<String>,
    /// Its service domains and the home node of each.
    pub domains: Vec<(String, String)>,
    /// A node silent for longer is as good as gone, in milliseconds.
    pub patience_ms: u64,
    /// A node silent for more than two of these is suspected to be, in milliseconds.
    pub beat_ms: u64,
    /// So many automatic moves are enough …
    pub moves_max: u32,
    /// … within this time, in milliseconds.
    pub moves_within_ms: u64,
}

impl Terms {
    /// Those of `config`.
    pub fn new(config: &Config) -> Terms {
        let domain = |service: &Service| (service.domain.0.as_str().to_owned(), config.home(service).to_owned());
        Terms {
            node: config.node.name.clone(),
            twin: config.pair.as_ref().map(|pair| pair.twin.clone()),
            domains: config.services.iter().map(domain).collect(),
            patience_ms: config.patience_ms(),
            beat_ms: config.beat_ms(),
            moves_max: config.pair.as_ref().map_or(u32::MAX, |pair| pair.moves_max),
            moves_within_ms: 60_000 * config.pair.as_ref().map_or(10, |pair| pair.moves_within_min),
        }
    }

    /// The domains asked for: one, if it is ours, or all.
    fn wanted(&self, domain: Option<&str>) -> Result<Vec<&str>, Refusal> {
        let Some(asked) = domain else { return Ok(self.names().collect()) };
        let prepared = asked.parse::<BareDomain>().map(|domain| domain.0.as_str().to_owned());
        let own = prepared.ok().and_then(|prepared| self.names().find(|name| *name == prepared));
        own.map(|name| vec![name]).ok_or_else(|| {
            let known: Vec<_> = self.names().collect();
            Refusal::Senseless(format!("this node has no domain {asked:?}; it has {}", known.join(", ")))
        })
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.domains.iter().map(|(name, _)| name.as_str())
    }
}

/// Where commands are carried out.
#[derive(Clone, Debug)]
pub struct Desk {
    terms: Terms,
    store: SqlStore,
}

impl Desk {
    /// A desk of the node that `terms` describe, over its database.
    pub fn new(terms: Terms, store: SqlStore) -> Desk {
        Desk { terms, store }
    }

    /// Carries `command` out.
    pub async fn run(&self, command: &Command, request: &Request) -> Result<Answer, Refusal> {
        match command.act {
            Act::Status => self.status(request).await.map(Answer::Status),
            Act::History => self.history(request).await.map(Answer::History),
            Act::Order(kind) => self.give(kind, request).await.map(Answer::Orders),
        }
    }
}
