//! What can be wrong with a stream, each with its sentence: what failed, with what, what to do.

use std::time::Duration;

use thiserror::Error;

/// Why a stream could not be opened or came to an end.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("stream: {}", cause.sentence(domain, server))]
pub struct Trouble {
    /// The service domain.
    pub domain: String,
    /// The server's address as configured.
    pub server: String,
    /// What happened.
    pub cause: Cause,
}

/// What happened to a stream, by what one does about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// Another component holds the domain.
    Conflict,
    /// The secret is not the server's.
    NotAuthorized,
    /// The server does not know the domain as a component.
    HostUnknown,
    /// No TCP connection came about.
    Unreachable(String),
    /// The server did not answer within this time.
    Silence(Duration),
    /// The relay knows a higher epoch than ours: another node serves.
    Outdated(u64),
    /// The relay serves nodes of another database.
    OtherDatabase,
    /// What is configured as a relay is none.
    NoRelay,
    /// It is the relay that is attached at this other address.
    SameRelay(String),
    /// The server ended the stream; this is what it said, or how the connection ended.
    Closed(String),
}

impl Cause {
    fn sentence(&self, domain: &str, server: &str) -> String {
        match self {
            Self::Conflict => format!(
                "{domain} is taken at {server} (conflict); stop the other component, or let the server replace it (Prosody: component_conflict_resolve = \"kick_old\")"
            ),
            Self::NotAuthorized => format!(
                "{server} does not accept the secret of {domain} (not-authorized); the service's secret and the server's component secret must be the same (ejabberd says this of a domain it does not know, too)"
            ),
            Self::HostUnknown => format!(
                "{server} has no component {domain} (host-unknown); add it to the server's configuration or correct the service's domain"
            ),
            Self::Unreachable(why) => format!(
                "{server} cannot be reached for {domain} ({why}); see that the server runs and its component port is open"
            ),
            Self::Silence(patience) => format!(
                "{server} said nothing to {domain} for {} ms; see that the address is its component port and that it does not hang",
                patience.as_millis()
            ),
            Self::Outdated(highest) => format!(
                "{server} serves epoch {highest} of {domain} and refuses this node's, which is older; another node has taken over"
            ),
            Self::OtherDatabase => format!(
                "{server} serves {domain} for nodes of another database; the same domain is configured for two pairs, or store.url differs"
            ),
            Self::NoRelay => format!(
                "{server} is configured as a relay of {domain} and is none; put its address under server, or start tandem-muc relay there"
            ),
            Self::SameRelay(other) => {
                format!("{server} is the relay of {domain} that is attached at {other} already; list each relay once")
            }
            Self::Closed(why) => format!("{server} ended the stream of {domain} ({why}); its log says more"),
        }
    }

    /// Whether only a change of configuration can help, so that trying again soon is pointless.
    pub fn is_lasting(&self) -> bool {
        match self {
            Self::NotAuthorized | Self::HostUnknown | Self::OtherDatabase | Self::NoRelay | Self::SameRelay(_) => true,
            Self::Conflict | Self::Unreachable(_) | Self::Silence(_) | Self::Outdated(_) | Self::Closed(_) => false,
        }
    }
}
