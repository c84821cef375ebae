//! Table `muc_order`: what operators tell the pair, from whichever door. A node takes an order once and says in the
//! end what came of it; both stay for whoever asks later.

use uuid::Uuid;

use super::SqlStore;
use super::connection::Row;
use super::error::StoreError;
use super::session::Statement;

pub(super) const TABLE: &str = "muc_order";

const GIVE: Statement = Statement::on(
    TABLE,
    "INSERT INTO muc_order (order_id, service_txt, kind_txt, by_txt, given_ms) VALUES (?, ?, ?, ?, {now_ms})",
);
const TAKE: Statement = Statement::on(
    TABLE,
    "UPDATE muc_order SET node_txt = ?, taken_ms = {now_ms}
     WHERE order_id = ? AND node_txt IS NULL AND ended_ms IS NULL",
);
const END: Statement = Statement::on(
    TABLE,
    "UPDATE muc_order SET ended_ms = {now_ms}, outcome_txt = ?, why_txt = ? WHERE order_id = ? AND ended_ms IS NULL",
);
const OPEN: Statement = Statement::on(
    TABLE,
    "SELECT order_id, service_txt, kind_txt, by_txt, given_ms, {now_ms} - given_ms, node_txt, taken_ms, ended_ms,
     outcome_txt, why_txt FROM muc_order WHERE service_txt = ? AND ended_ms IS NULL ORDER BY given_ms, order_id",
);
const ONE: Statement = Statement::on(
    TABLE,
    "SELECT order_id, service_txt, kind_txt, by_txt, given_ms, {now_ms} - given_ms, node_txt, taken_ms, ended_ms,
     outcome_txt, why_txt FROM muc_order WHERE order_id = ?",
);

/// An order to give.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NewOrder<'a> {
    /// The service domain it is about.
    pub service: &'a str,
    /// `failover`, `fallback`, `switch-over`, `pause`, `resume`, `recover` or `sweep`.
    pub kind: &'a str,
    /// Who gives it, through which door.
    pub by: &'a str,
}

/// An order as it stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OrderSeen {
    /// Unlike any other's; later ones are greater.
    pub id: String,
    /// The service domain it is about.
    pub service: String,
    /// As in [`NewOrder`].
    pub kind: String,
    /// As in [`NewOrder`].
    pub by: String,
    /// When it was given.
    pub given_ms: i64,
    /// How long ago that is.
    pub age_ms: u64,
    /// Who took it.
    pub node: Option<String>,
    /// When.
    pub taken_ms: Option<i64>,
    /// When it was ended.
    pub ended_ms: Option<i64>,
    /// `done`, `refused` or `failed`.
    pub outcome: Option<String>,
    /// Why, in a sentence.
    pub why: Option<String>,
}

impl SqlStore {
    /// Gives an order; its id.
    pub async fn give_order(&self, order: &NewOrder<'_>) -> Result<String, StoreError> {
        let id = Uuid::now_v7().to_string();
        let values = [id.as_str().into(), order.service.into(), order.kind.into(), order.by.into()];
        self.bounded(async { self.noter().await?.execute(GIVE, &values).await }).await?;
        Ok(id)
    }

    /// The orders for a service that have not ended, oldest first; somebody may have taken them.
    pub async fn open_orders(&self, service: &str) -> Result<Vec<OrderSeen>, StoreError> {
        self.bounded(async {
            let rows = self.watcher().await?.fetch(OPEN, &[service.into()]).await?;
            rows.into_iter().map(|row| read(row).map_err(damaged)).collect()
        })
        .await
    }

    /// Takes an order: true once, for one node. Whoever lost the answer finds its name in the order.
    pub async fn take_order(&self, id: &str, node: &str) -> Result<bool, StoreError> {
        let values = [node.into(), id.into()];
        self.bounded(async { Ok(self.noter().await?.execute(TAKE, &values).await? == 1) }).await
    }

    /// Says what came of an order, taken or not; false if it had ended before, or never was.
    pub async fn end_order(&self, id: &str, outcome: &str, why: &str) -> Result<bool, StoreError> {
        let values = [outcome.into(), why.into(), id.into()];
        self.bounded(async { Ok(self.noter().await?.execute(END, &values).await? == 1) }).await
    }

    /// The order with that id.
    pub async fn order(&self, id: &str) -> Result<Option<OrderSeen>, StoreError> {
        self.bounded(async {
            let row = self.watcher().await?.fetch_one(ONE, &[id.into()]).await?;
            row.map(read).transpose().map_err(damaged)
        })
        .await
    }
}

fn read(mut row: Row) -> Result<OrderSeen, String> {
    Ok(OrderSeen {
        id: row.text()?,
        service: row.text()?,
        kind: row.text()?,
        by: row.text()?,
        given_ms: row.int()?,
        age_ms: row.count()?,
        node: row.maybe_text()?,
        taken_ms: row.maybe_int()?,
        ended_ms: row.maybe_int()?,
        outcome: row.maybe_text()?,
        why: row.maybe_text()?,
    })
}

fn damaged(what: String) -> StoreError {
    StoreError::Damaged { table: TABLE, what }
}
