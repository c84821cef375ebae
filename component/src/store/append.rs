//! The journal's end: a group of facts becomes rows in one transaction whose first statement moves the fence.

use super::changes::{self, Change, Changes};
use super::connection::Value;
use super::error::StoreError;
use super::lease;
use super::session::{Session, Statement};
use super::{Echo, Epoch, Fact, Fence, echoes, messages, rooms};

const MOVE: Statement = Statement::on(
    "muc_fence",
    "UPDATE muc_fence SET seq = ?, mark_seq = COALESCE(?, mark_seq), inbound_txt = COALESCE(?, inbound_txt)
     WHERE name_txt = ? AND epoch = ? AND seq = ?",
);

/// What a group says of the stream beside its facts; `None` leaves what was said before.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Marks<'a> {
    /// The last group known to be spoken.
    pub mark: Option<i64>,
    /// What is handled, this group included, of the stanzas a relay numbered.
    pub inbound: Option<&'a str>,
    /// What is to be heard of the group beside its archived messages.
    pub echoes: &'a [&'a Echo],
    /// Echoes of the groups up to this are heard, and let go.
    pub heard: Option<i64>,
}

pub(super) async fn run(
    session: &mut Session,
    fence: &Fence,
    facts: &[Fact],
    marks: Marks<'_>,
) -> Result<(), StoreError> {
    let changes = changes::of(facts, fence.next)?;
    let values = [
        fence.next.into(),
        marks.mark.into(),
        marks.inbound.into(),
        fence.service.as_str().into(),
        fence.epoch.0.into(),
        fence.after.into(),
    ];
    let has_more = !changes.rows.is_empty() || !changes.counts.is_empty() || !marks.echoes.is_empty();
    let has_moved = if !has_more && marks.heard.is_none() && !changes.messages.is_empty() {
        let rows = message_rows(&changes, fence.next);
        session.insert_behind(MOVE, &values, &messages::COLUMNS, &rows).await?
    } else {
        in_transaction(session, fence, &values, &changes, marks).await?
    };
    if has_moved { Ok(()) } else { look(session, fence).await }
}

fn message_rows<'a>(changes: &Changes<'a>, group: i64) -> Vec<Vec<Value<'a>>> {
    changes.messages.iter().map(|unwritten| messages::values(unwritten, group)).collect()
}

/// Moves the fence, then changes rows; whether the fence moved.
async fn in_transaction(
    session: &mut Session,
    fence: &Fence,
    values: &[Value<'_>],
    changes: &Changes<'_>,
    marks: Marks<'_>,
) -> Result<bool, StoreError> {
    session.begin(MOVE.table).await?;
    if session.execute(MOVE, values).await? == 0 {
        session.rollback(MOVE.table).await;
        return Ok(false);
    }
    if let Err(error) = write(session, fence, changes, marks).await {
        session.rollback(MOVE.table).await;
        return Err(error);
    }
    session.commit(MOVE.table).await?;
    Ok(true)
}

async fn write(
    session: &mut Session,
    fence: &Fence,
    changes: &Changes<'_>,
    marks: Marks<'_>,
) -> Result<(), StoreError> {
    let (service, group) = (fence.service.as_str(), fence.next);
    for change in &changes.rows {
        write_one(session, change).await?;
    }
    for (room, seq) in &changes.counts {
        session.execute(rooms::COUNT_TO, &[(*seq).into(), room.0.into(), (*seq).into()]).await?;
    }
    if !changes.messages.is_empty() {
        session.insert(&messages::COLUMNS, &message_rows(changes, group)).await?;
    }
    if !marks.echoes.is_empty() {
        session.insert(&echoes::COLUMNS, &echoes::rows(service, group, marks.echoes)).await?;
    }
    if let Some(heard) = marks.heard {
        session.execute(echoes::LET_GO, &[service.into(), heard.into()]).await?;
    }
    Ok(())
}

async fn write_one(session: &mut Session, change: &Change<'_>) -> Result<(), StoreError> {
    match change {
        Change::Any(statement, values) => {
            session.execute(*statement, values).await?;
        }
        Change::Room(room, statement, values) => {
            if session.execute(*statement, values).await? == 0 {
                return Err(StoreError::Damaged { table: rooms::TABLE, what: format!("room {} has no row", room.0) });
            }
        }
        Change::UpdateOrInsert { update, insert, values, for_new } => {
            if session.execute(*update, values).await? == 0 {
                let mut values = values.clone();
                values.extend(for_new.clone());
                session.execute(*insert, &values).await?;
            }
        }
    }
    Ok(())
}

/// Why the fence did not move: this very group is written already, which is fine, or somebody else holds it.
async fn look(session: &mut Session, fence: &Fence) -> Result<(), StoreError> {
    match lease::place(session, &fence.service).await? {
        Some(place) if place.epoch == fence.epoch && place.seq == fence.next => Ok(()),
        Some(place) => Err(StoreError::Fenced { by: place.epoch }),
        None => Err(StoreError::Fenced { by: Epoch(0) }),
    }
}
