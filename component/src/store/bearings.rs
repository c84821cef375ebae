//! What operators decided and how often the pair moved by itself: what a node has to know before it moves.

use super::error::StoreError;
use super::session::{Session, Statement};
use super::{SqlStore, orders};

const PAUSE: Statement = Statement::on(
    orders::TABLE,
    "SELECT kind_txt FROM muc_order WHERE service_txt = ? AND outcome_txt = 'done'
     AND kind_txt IN ('pause', 'resume') ORDER BY given_ms DESC, order_id DESC {first}",
);
const SENT_AWAY: Statement = Statement::on(
    orders::TABLE,
    "SELECT kind_txt FROM muc_order WHERE service_txt = ? AND outcome_txt = 'done'
     AND kind_txt IN ('failover', 'fallback') ORDER BY given_ms DESC, order_id DESC {first}",
);
/// A domain that has been home since was sent away no longer.
const HOME_SINCE: Statement = Statement::on(
    "muc_ha_event",
    "SELECT COUNT(*) FROM muc_ha_event e WHERE e.service_txt = ? AND e.gap_ms IS NOT NULL AND e.to_txt = 'Normal'
     AND e.at_ms > (SELECT MAX(o.ended_ms) FROM muc_order o WHERE o.service_txt = ? AND o.kind_txt = 'failover'
     AND o.outcome_txt = 'done')",
);
/// Takeovers count when they have opened; what a node hands over for a trouble of its own counts when it begins, for
/// with a trouble that both have it may never open. What an operator ordered, or only began a service, does not count.
const MOVES: Statement = Statement::on(
    "muc_ha_event",
    "SELECT COUNT(*) FROM muc_ha_event WHERE service_txt = ? AND operator_txt IS NULL
     AND ((gap_ms IS NOT NULL AND reason_txt IN ('Peer Down', 'Lease Expired'))
     OR (to_txt IN ('Failing Over', 'Falling Back') AND reason_txt IN ('XMPP Server Unreachable', 'Database Failure',
     'Automatic Fallback'))) AND at_ms > {now_ms} - ? AND at_ms > COALESCE((SELECT MAX(o.ended_ms)
     FROM muc_order o WHERE o.service_txt = ? AND o.kind_txt = 'recover' AND o.outcome_txt = 'done'), 0)",
);

/// What was decided for a service, and what happened of itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Bearings {
    /// An operator forbade automatic moves.
    pub is_paused: bool,
    /// An operator sent the domain away from its home node and has not called it back.
    pub is_sent_away: bool,
    /// Automatic moves lately.
    pub moves: u32,
}

impl SqlStore {
    /// The bearings of `service`; automatic moves are counted over `moves_within_ms`.
    pub async fn bearings(&self, service: &str, moves_within_ms: u64) -> Result<Bearings, StoreError> {
        self.bounded(async {
            let mut session = self.watcher().await?;
            let within = i64::try_from(moves_within_ms).unwrap_or(i64::MAX);
            let row = session.fetch_one(MOVES, &[service.into(), within.into(), service.into()]).await?;
            let moves = row.and_then(|mut row| row.int().ok()).and_then(|count| u32::try_from(count).ok());
            let is_sent_away = last(&mut session, SENT_AWAY, service).await?.as_deref() == Some("failover");
            let home_since = session.fetch_one(HOME_SINCE, &[service.into(), service.into()]).await?;
            let was_home = home_since.is_some_and(|mut row| row.int().is_ok_and(|count| count > 0));
            Ok(Bearings {
                is_paused: last(&mut session, PAUSE, service).await?.as_deref() == Some("pause"),
                is_sent_away: is_sent_away && !was_home,
                moves: moves.unwrap_or(0),
            })
        })
        .await
    }
}

async fn last(session: &mut Session, statement: Statement, service: &str) -> Result<Option<String>, StoreError> {
    let row = session.fetch_one(statement, &[service.into(), 1.into()]).await?;
    Ok(row.and_then(|mut row| row.text().ok()))
}
