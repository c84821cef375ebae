//! The pair driver: does what the pair engine asks, for one domain of this node, and tells it what came of it.
//!
//! The engine decides, the driver acts: the lease in the database, the session lock, the reign, the stream kept ready,
//! the beats. Every action that takes time runs beside the loop and comes back as an event, so that no answer of a
//! database holds up the next decision.

mod acts;
mod driver;
mod keep;
mod look;
mod scribe;
mod taken;

use std::sync::Arc;
use std::time::Duration;

use tandem_muc_core::pair::{Level, Standing, Terms};
use tokio::sync::{Notify, watch};

use crate::reign;
use crate::stream::Gate;

pub use driver::run;

/// What a driver works with.
#[derive(Debug)]
pub struct Setup {
    /// What its reigns are made from.
    pub reign: Arc<reign::Setup>,
    /// Who this node is to the domain, and its patience.
    pub terms: Terms,
    /// How often it beats.
    pub beat: Duration,
    /// How long before its lease ends it falls silent.
    pub margin: Duration,
    /// The time automatic moves are counted over.
    pub moves_within: Duration,
    /// What the other node reads of this one.
    pub card: Card,
    /// Where it reports how it fares.
    pub report: watch::Sender<Report>,
    /// Tells it to look at the database now, not at the next beat.
    pub nudges: Arc<Notify>,
}

/// What the other node, and operators, read of this one.
#[derive(Clone, Debug)]
pub struct Card {
    /// Unlike that of any other run of this node.
    pub incarnation: String,
    /// Where it answers HTTP.
    pub http: Option<String>,
    /// Tells different secrets apart.
    pub secret_tag: String,
}

/// How a domain fares on this node.
#[derive(Clone, Debug)]
pub struct Report {
    /// State, reason, sentence.
    pub standing: Standing,
    /// The epoch of this node's reign, if it reigns.
    pub epoch: Option<i64>,
    /// The ends by which its health is seen, once it has opened.
    pub vitals: Option<reign::Vitals>,
    /// What its words pass, while it reigns.
    pub gate: Option<Gate>,
    /// Who has the lease.
    pub holder: Option<String>,
    /// How it is attached.
    pub level: Option<Level>,
    /// Whether the database answered when last asked.
    pub has_store: bool,
    /// Whether its duty is over.
    pub is_over: bool,
}

impl Report {
    /// Of a node that has just started.
    pub fn initial() -> Report {
        Report {
            standing: Standing::initial(),
            epoch: None,
            vitals: None,
            gate: None,
            holder: None,
            level: None,
            has_store: true,
            is_over: false,
        }
    }
}
