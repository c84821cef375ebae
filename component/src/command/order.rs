//! Orders: given into the database for the node they concern, and looked after until they have ended.

use serde::{Deserialize, Serialize};
use tandem_muc_core::pair::OrderKind;

use super::text::{Text, Tone, plain, span};
use super::{Desk, Refusal, Request};
use crate::store::{NewOrder, OrderSeen};

/// The longest name of who orders, in characters.
const BY_MAX: usize = 200;

/// Orders, one for each domain.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Orders {
    /// Of the only one, if there is but one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Each of them.
    pub orders: Vec<OrderView>,
}

/// An order as it stands.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct OrderView {
    /// Unlike any other's.
    pub id: String,
    /// The service domain it is about.
    pub domain: String,
    /// What is ordered.
    pub kind: String,
    /// Who ordered it, through which door.
    pub by: String,
    /// When it was given, in milliseconds since 1970 by the database's clock.
    pub given_ms: i64,
    /// The node that took it.
    pub node: Option<String>,
    /// When it ended.
    pub ended_ms: Option<i64>,
    /// `done`, `refused` or `failed`, once it has ended.
    pub outcome: Option<String>,
    /// Why, in a sentence.
    pub why: Option<String>,
}

impl OrderView {
    /// Whether it was carried out.
    pub fn is_done(&self) -> bool {
        self.outcome.as_deref() == Some("done")
    }

    /// `fallback conference.example.org: done: node a serves it in epoch 9`.
    pub fn sentence(&self) -> String {
        let outcome = match (&self.outcome, &self.node) {
            (Some(outcome), _) => outcome.clone(),
            (None, Some(node)) => format!("node {node} is at it"),
            (None, None) => "no node has taken it yet".to_owned(),
        };
        let why = self.why.as_deref().filter(|why| !why.is_empty()).map(|why| format!(": {why}")).unwrap_or_default();
        format!("{} {}: {outcome}{why}", self.kind, self.domain)
    }
}

impl Orders {
    pub(super) fn text(&self) -> Text {
        let mut text = Text::default();
        for order in &self.orders {
            let tone = match &order.outcome {
                None => Tone::Plain,
                Some(_) if order.is_done() => Tone::Good,
                Some(_) => Tone::Bad,
            };
            text.line(vec![span(order.sentence(), tone), plain(format!("  [{}]", order.id))]);
        }
        text
    }
}

impl Desk {
    pub(super) async fn give(&self, kind: OrderKind, request: &Request) -> Result<Orders, Refusal> {
        let domains = self.concerned(kind, request).await?;
        let by: String = request.by.chars().filter(|c| !c.is_control()).take(BY_MAX).collect();
        let mut orders = Vec::with_capacity(domains.len());
        for service in domains {
            let id = self.store.give_order(&NewOrder { service, kind: kind.as_str(), by: &by }).await?;
            tracing::info!(id, domain = service, order = %kind, by, "order given");
            orders.push(self.order(&id).await?);
        }
        let id = if let [order] = &orders[..] { Some(order.id.clone()) } else { None };
        Ok(Orders { id, orders })
    }

    /// The order of that id as it stands.
    pub async fn order(&self, id: &str) -> Result<OrderView, Refusal> {
        let seen = self.store.order(id).await?;
        seen.map(OrderView::from).ok_or_else(|| Refusal::NoSuchOrder(id.to_owned()))
    }

    /// The domains an order is about. Two nodes that serve a domain each would swap them: nobody wants that.
    async fn concerned(&self, kind: OrderKind, request: &Request) -> Result<Vec<&str>, Refusal> {
        let wanted = self.terms.wanted(request.domain.as_deref())?;
        let is_move_away = match kind {
            OrderKind::Failover | OrderKind::SwitchOver => true,
            OrderKind::Fallback | OrderKind::Pause | OrderKind::Resume | OrderKind::Recover | OrderKind::Sweep => false,
        };
        if !is_move_away {
            return match &request.from {
                Some(_) => Err(Refusal::Senseless(format!("{kind} is not given from a node; leave from out"))),
                None => Ok(wanted),
            };
        }
        if request.from.is_none() && wanted.len() < 2 {
            return Ok(wanted);
        }
        let mut holders = Vec::with_capacity(wanted.len());
        for domain in &wanted {
            holders.push(self.store.see_lease(domain).await?.and_then(|lease| lease.owner));
        }
        let Some(from) = &request.from else {
            let first = holders.iter().flatten().next();
            if holders.iter().flatten().any(|holder| Some(holder) != first) {
                let what = format!(
                    "{kind} of all domains would have the two nodes swap them; name one domain, or the node they are to leave (from)"
                );
                return Err(Refusal::Senseless(what));
            }
            return Ok(wanted);
        };
        let theirs: Vec<&str> = wanted
            .into_iter()
            .zip(holders)
            .filter(|(_, holder)| holder.as_ref() == Some(from))
            .map(|(d, _)| d)
            .collect();
        if theirs.is_empty() {
            return Err(Refusal::Senseless(format!("node {from} serves none of these domains now; see status")));
        }
        Ok(theirs)
    }
}

impl From<OrderSeen> for OrderView {
    fn from(seen: OrderSeen) -> OrderView {
        OrderView {
            id: seen.id,
            domain: seen.service,
            kind: seen.kind,
            by: seen.by,
            given_ms: seen.given_ms,
            node: seen.node,
            ended_ms: seen.ended_ms,
            outcome: seen.outcome,
            why: seen.why,
        }
    }
}
