//! `status`: how the pair stands, as the database tells it. Here is what is read and what is answered; what it means is
//! in [`super::assemble`], how it looks in [`super::status_text`].

use serde::Serialize;

use super::assemble::{Sighted, assemble};
use super::order::OrderView;
use super::{Desk, Refusal, Request};
use crate::store::{DutySeen, NodeSeen};

/// How the pair stands.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct PairStatus {
    /// All in all.
    pub verdict: Verdict,
    /// All in all, in a sentence.
    pub sentence: String,
    /// The node whose configuration was asked.
    pub node: String,
    /// Its twin, if it has one.
    pub twin: Option<String>,
    /// The database's identity.
    pub database: String,
    /// Every domain.
    pub domains: Vec<DomainView>,
    /// Every node.
    pub nodes: Vec<NodeView>,
}

/// All in all.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Every domain is served and has a fit twin, or needs none.
    Good,
    /// Every domain is served; something is not as it should be.
    Troubled,
    /// Some domain is not served.
    Unserved,
}

/// How a domain fares.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct DomainView {
    /// The service domain.
    pub domain: String,
    /// Its home node.
    pub home: String,
    /// Whether somebody speaks for it now.
    pub is_served: bool,
    /// Whether another node could take it at once.
    pub is_redundant: bool,
    /// Who holds the lease.
    pub holder: Option<String>,
    /// The reign.
    pub epoch: i64,
    /// How long the lease still holds without renewal, in milliseconds; negative: it has run out.
    pub lease_ms: Option<i64>,
    /// Since when the holder is in its state, in milliseconds since 1970 by the database's clock.
    pub since_ms: Option<i64>,
    /// How long that is.
    pub lasting_ms: Option<u64>,
    /// How the holder is attached: 0, 1 or 2.
    pub level: Option<u8>,
    /// Where the holder is attached and where not, with the level: a relay of the list, or a server, each.
    pub attachments: Vec<String>,
    /// How long nobody served at the holder's last takeover or move.
    pub gap_ms: Option<u64>,
    /// Whether an operator forbade automatic moves.
    pub is_paused: bool,
    /// Automatic moves lately.
    pub moves: u32,
    /// So many are enough; none without a twin.
    pub moves_max: Option<u32>,
    /// Nodes whose beat is late, though not yet by more than the patience.
    pub suspected: Vec<String>,
    /// What is not as it should be, a sentence each.
    pub troubles: Vec<String>,
    /// What a failover would do now, in a sentence.
    pub on_failover: String,
    /// How each node stands to it.
    pub nodes: Vec<DutyView>,
    /// Orders that have not ended.
    pub orders: Vec<OrderView>,
}

/// How a node stands to a domain.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct DutyView {
    /// The node.
    pub node: String,
    /// Its state; of a silent one as its twin has to tell it.
    pub state: String,
    /// Why, in fixed words.
    pub reason: String,
    /// Why, in a sentence.
    pub why: String,
    /// Since when, in milliseconds since 1970 by the database's clock.
    pub since_ms: Option<i64>,
    /// Whether it could serve.
    pub is_fit: bool,
    /// If not, why.
    pub unfit: Option<String>,
    /// How it is attached: 0, 1 or 2.
    pub level: Option<u8>,
    /// How long ago it wrote this.
    pub silent_ms: Option<u64>,
}

/// A node.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct NodeView {
    /// Its name.
    pub node: String,
    /// Whether it gave a sign of life within the patience.
    pub is_alive: bool,
    /// How long ago the last was.
    pub silent_ms: Option<u64>,
    /// Of its program.
    pub version: Option<String>,
    /// The schema its program knows.
    pub schema: Option<u32>,
    /// When it started, in milliseconds since 1970 by the database's clock.
    pub started_ms: Option<i64>,
    /// Its process.
    pub pid: Option<u32>,
    /// Where it answers HTTP.
    pub http: Option<String>,
}

impl Desk {
    pub(super) async fn status(&self, request: &Request) -> Result<PairStatus, Refusal> {
        let asked = request.domain.as_deref();
        let wanted = self.terms.wanted(asked)?;
        let database = self.store.database_id().await?;
        let nodes = self.store.nodes().await?;
        let duties = self.store.duties(None).await?;
        let mut domains: Vec<String> = wanted.into_iter().map(str::to_owned).collect();
        if asked.is_none() {
            self.add_strange(&duties, &mut domains);
        }
        let mut sighted = Vec::with_capacity(domains.len());
        for domain in domains {
            sighted.push(self.sight(domain, &duties).await?);
        }
        Ok(assemble(&self.terms, database, &nodes, &sighted))
    }

    async fn sight(&self, domain: String, duties: &[DutySeen]) -> Result<Sighted, Refusal> {
        let lease = self.store.see_lease(&domain).await?;
        let bearings = self.store.bearings(&domain, self.terms.moves_within_ms).await?;
        let orders = self.store.open_orders(&domain).await?.into_iter().map(OrderView::from).collect();
        let duties = duties.iter().filter(|seen| seen.duty.service == domain).cloned().collect();
        Ok(Sighted { domain, lease, bearings, duties, orders })
    }

    /// A domain that living nodes serve in this database and that our configuration lacks is worth a line.
    fn add_strange(&self, duties: &[DutySeen], domains: &mut Vec<String>) {
        for seen in duties.iter().filter(|seen| seen.silent_ms <= self.terms.patience_ms) {
            if !domains.contains(&seen.duty.service) {
                domains.push(seen.duty.service.clone());
            }
        }
    }
}

impl NodeView {
    pub(super) fn of(name: &str, seen: Option<&NodeSeen>, patience_ms: u64) -> NodeView {
        NodeView {
            node: name.to_owned(),
            is_alive: seen.is_some_and(|seen| seen.silent_ms <= patience_ms),
            silent_ms: seen.map(|seen| seen.silent_ms),
            version: seen.map(|seen| seen.version.clone()),
            schema: seen.map(|seen| seen.schema),
            started_ms: seen.map(|seen| seen.started_ms),
            pid: seen.map(|seen| seen.pid),
            http: seen.and_then(|seen| seen.http.clone()),
        }
    }
}
