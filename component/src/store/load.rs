//! A room as it is at rest, from its rows.

use std::sync::Arc;

use tandem_muc_core::name::BareJid;
use tandem_muc_core::record::{Hat, Message, RoomId, RoomImage};

use super::connection::Row;
use super::error::StoreError;
use super::rooms::RoomRow;
use super::session::{Session, Statement};
use super::{affiliations, hats, key, messages, occupants, relisted, rooms};

/// How much of what was said comes with a room.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HistoryWanted {
    /// Nothing.
    Nothing,
    /// As much as the room's configuration says, but at most so many messages.
    UpTo(u32),
}

pub(super) async fn room(
    session: &mut Session,
    service: &str,
    name: &BareJid,
    wanted: HistoryWanted,
) -> Result<Option<RoomImage>, StoreError> {
    let key = key::of_bare(name);
    let Some(row) = session.fetch_one(rooms::LOAD, &[key.into(), service.into()]).await? else {
        return Ok(None);
    };
    let row = RoomRow::read(row).map_err(|what| damaged(rooms::TABLE, name, &what))?;
    let mut tied = all(session, affiliations::LOAD, row.id, name, affiliations::read).await?;
    tied.sort_by(|(one, _), (other, _)| one.who.cmp(&other.who));
    let seen = tied.iter().filter_map(|(entry, upto)| Some((entry.who.clone(), (*upto)?))).collect();
    let affiliations = tied.into_iter().map(|(entry, _)| entry).collect();
    let relisted = all(session, relisted::LOAD, row.id, name, relisted::read).await?;
    let occupants = all(session, occupants::LOAD, row.id, name, occupants::read).await?;
    let (mut made, mut worn) = (Vec::new(), Vec::new());
    if row.has_hats {
        made = all(session, hats::LOAD, row.id, name, hats::read).await?;
        worn = all(session, hats::LOAD_WORN, row.id, name, hats::read_worn).await?;
        made.sort_by(|one: &Hat, other| one.uri.cmp(&other.uri));
        worn.sort();
    }
    let history = match wanted {
        HistoryWanted::Nothing => Vec::new(),
        HistoryWanted::UpTo(at_most) => history(session, row.id, name, at_most.min(row.config.history_max)).await?,
    };
    Ok(Some(RoomImage {
        id: row.id,
        created_at: row.created_at,
        config: row.config,
        is_locked: row.is_locked,
        occupant_id_salt: row.salt,
        subject: row.subject,
        last_seq: row.last_seq,
        affiliations,
        seen,
        relisted,
        occupants,
        history,
        avatars: row.avatars,
        hats: made,
        hat_wearers: worn,
        tombstone: row.tombstone,
    }))
}

async fn all<T>(
    session: &mut Session,
    statement: Statement,
    room: RoomId,
    name: &BareJid,
    read: fn(Row) -> Result<T, String>,
) -> Result<Vec<T>, StoreError> {
    let rows = session.fetch(statement, &[room.0.into()]).await?;
    let read = |row| read(row).map_err(|what| damaged(statement.table, name, &what));
    rows.into_iter().map(read).collect()
}

/// The last messages, oldest first.
async fn history(
    session: &mut Session,
    room: RoomId,
    name: &BareJid,
    at_most: u32,
) -> Result<Vec<Arc<Message>>, StoreError> {
    if at_most == 0 {
        return Ok(Vec::new());
    }
    let rows = session.fetch(messages::HISTORY, &[room.0.into(), i64::from(at_most).into()]).await?;
    let read = |row| messages::read(row).map(Arc::new).map_err(|what| damaged(messages::TABLE, name, &what));
    rows.into_iter().rev().map(read).collect()
}

fn damaged(table: &'static str, name: &BareJid, what: &str) -> StoreError {
    StoreError::Damaged { table, what: format!("room {name}: {what}") }
}
