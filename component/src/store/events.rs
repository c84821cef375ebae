//! Table `muc_ha_event`: every change of a node's state, with its reason and what it cost; nothing is ever changed
//! in it. The time is the database's, so that the two nodes' events stand in one order.

use uuid::Uuid;

use super::connection::{Row, Value};
use super::error::StoreError;
use super::session::{Session, Statement};
use super::{Epoch, SqlStore};

const TABLE: &str = "muc_ha_event";

const NOTE: Statement = Statement::on(
    TABLE,
    "INSERT INTO muc_ha_event (event_id, at_ms, node_txt, service_txt, from_txt, to_txt, reason_txt, why_txt, epoch,
     detect_ms, gap_ms, repeated_no, replayed_no, bounced_no, operator_txt)
     VALUES (?, {now_ms} - ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
);
const IS_NOTED: Statement = Statement::on(TABLE, "SELECT 1 FROM muc_ha_event WHERE event_id = ?");
const NEWEST: Statement = Statement::on(
    TABLE,
    "SELECT event_id, at_ms, node_txt, service_txt, from_txt, to_txt, reason_txt, why_txt, epoch, detect_ms, gap_ms,
     repeated_no, replayed_no, bounced_no, operator_txt FROM muc_ha_event ORDER BY at_ms DESC, event_id DESC {first}",
);
const NEWEST_FOR: Statement = Statement::on(
    TABLE,
    "SELECT event_id, at_ms, node_txt, service_txt, from_txt, to_txt, reason_txt, why_txt, epoch, detect_ms, gap_ms,
     repeated_no, replayed_no, bounced_no, operator_txt FROM muc_ha_event WHERE service_txt = ?
     ORDER BY at_ms DESC, event_id DESC {first}",
);

/// A change of a node's state.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HaEvent {
    /// Unlike any other's: [`HaEvent::new_id`].
    pub id: String,
    /// Whose state.
    pub node: String,
    /// For which service domain.
    pub service: String,
    /// The state before; empty for none.
    pub from: String,
    /// The state after.
    pub to: String,
    /// Why, in fixed words …
    pub reason: String,
    /// … and in a sentence.
    pub why: String,
    /// The reign it began, or ended.
    pub epoch: Epoch,
    /// How long it took to notice.
    pub detect_ms: Option<u64>,
    /// How long nobody served.
    pub gap_ms: Option<u64>,
    /// Stanzas said again.
    pub repeated: Option<u64>,
    /// Stanzas handled late, from the relay or the holder before.
    pub replayed: Option<u64>,
    /// Stanzas answered with an error meanwhile.
    pub bounced: Option<u64>,
    /// Who ordered it.
    pub operator: Option<String>,
}

/// An event as it was noted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EventSeen {
    /// When, by the database's clock.
    pub at_ms: i64,
    /// What.
    pub event: HaEvent,
}

impl HaEvent {
    /// An id nothing else has; later ones are greater.
    pub fn new_id() -> String {
        Uuid::now_v7().to_string()
    }
}

impl SqlStore {
    /// Notes what happened `ago_ms` ago. Repeating it after a lost answer is harmless.
    pub async fn note_event(&self, event: &HaEvent, ago_ms: u64) -> Result<(), StoreError> {
        self.bounded(async { note(&mut self.noter().await?, event, ago_ms).await }).await
    }

    /// The last events of `service`, or of all services, newest first, at most `max`.
    pub async fn events(&self, service: Option<&str>, max: u32) -> Result<Vec<EventSeen>, StoreError> {
        let most = Value::from(i64::from(max));
        self.bounded(async {
            let mut session = self.watcher().await?;
            let rows = match service {
                Some(service) => session.fetch(NEWEST_FOR, &[service.into(), most]).await?,
                None => session.fetch(NEWEST, &[most]).await?,
            };
            let read = |row| read(row).map_err(|what| StoreError::Damaged { table: TABLE, what });
            rows.into_iter().map(read).collect()
        })
        .await
    }
}

async fn note(session: &mut Session, event: &HaEvent, ago_ms: u64) -> Result<(), StoreError> {
    let values = [
        event.id.as_str().into(),
        Value::count(ago_ms),
        event.node.as_str().into(),
        event.service.as_str().into(),
        event.from.as_str().into(),
        event.to.as_str().into(),
        event.reason.as_str().into(),
        event.why.as_str().into(),
        event.epoch.0.into(),
        Value::maybe_count(event.detect_ms),
        Value::maybe_count(event.gap_ms),
        Value::maybe_count(event.repeated),
        Value::maybe_count(event.replayed),
        Value::maybe_count(event.bounced),
        event.operator.as_deref().into(),
    ];
    match session.execute(NOTE, &values).await {
        Err(refused @ StoreError::Damaged { .. }) => {
            let noted = session.fetch_one(IS_NOTED, &[event.id.as_str().into()]).await?;
            noted.map(|_| ()).ok_or(refused)
        }
        done => done.map(|_| ()),
    }
}

fn read(mut row: Row) -> Result<EventSeen, String> {
    let id = row.text()?;
    let at_ms = row.int()?;
    let event = HaEvent {
        id,
        node: row.text()?,
        service: row.text()?,
        from: row.text_or_empty()?,
        to: row.text()?,
        reason: row.text()?,
        why: row.text_or_empty()?,
        epoch: Epoch(row.int()?),
        detect_ms: row.maybe_count()?,
        gap_ms: row.maybe_count()?,
        repeated: row.maybe_count()?,
        replayed: row.maybe_count()?,
        bounced: row.maybe_count()?,
        operator: row.maybe_text()?,
    };
    Ok(EventSeen { at_ms, event })
}
