//! Table `muc_occupant`: one row for each session inside a room, in the order they came.

use tandem_muc_core::muc::Role;
use tandem_muc_core::name::{Jid, Nick};
use tandem_muc_core::record::{OccupantEntry, RoomId};
use tandem_muc_core::time::Utc;

use super::connection::{Row, Value};
use super::key;
use super::session::Statement;

pub(super) const TABLE: &str = "muc_occupant";

/// A known session that comes again keeps its place in the order.
pub(super) const UPDATE: Statement = Statement::on(
    TABLE,
    "UPDATE muc_occupant SET nick_txt = ?, real_txt = ?, role_txt = ?, presence_xml = ?, entered_ms = ?
     WHERE room_id = ? AND nick_hash = ? AND real_hash = ?",
);
pub(super) const INSERT: Statement = Statement::on(
    TABLE,
    "INSERT INTO muc_occupant (nick_txt, real_txt, role_txt, presence_xml, entered_ms, room_id, nick_hash, real_hash,
     entered_no) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
);
pub(super) const PRESENT: Statement = Statement::on(
    TABLE,
    "UPDATE muc_occupant SET presence_xml = ? WHERE room_id = ? AND nick_hash = ? AND real_hash = ?",
);
pub(super) const RENAME: Statement =
    Statement::on(TABLE, "UPDATE muc_occupant SET nick_txt = ?, nick_hash = ? WHERE room_id = ? AND nick_hash = ?");
pub(super) const SET_ROLE: Statement =
    Statement::on(TABLE, "UPDATE muc_occupant SET role_txt = ? WHERE room_id = ? AND nick_hash = ?");
pub(super) const REMOVE: Statement =
    Statement::on(TABLE, "DELETE FROM muc_occupant WHERE room_id = ? AND nick_hash = ? AND real_hash = ?");
pub(super) const CLEAR: Statement = Statement::on(TABLE, "DELETE FROM muc_occupant WHERE room_id = ?");
pub(super) const LOAD: Statement = Statement::on(
    TABLE,
    "SELECT real_txt, nick_txt, role_txt, presence_xml, entered_ms FROM muc_occupant WHERE room_id = ?
     ORDER BY entered_no",
);

/// The values of [`UPDATE`]; those of [`INSERT`] have the place in the order behind them.
pub(super) fn values(room: RoomId, entry: &OccupantEntry) -> Vec<Value<'_>> {
    vec![
        entry.nick.as_str().into(),
        entry.who.as_str().into(),
        entry.role.as_str().into(),
        (&*entry.presence_xml).into(),
        entry.at.0.into(),
        room.0.into(),
        key::of_nick(&entry.nick).into(),
        key::of_jid(&entry.who).into(),
    ]
}

/// Of a row of [`LOAD`].
pub(super) fn read(mut row: Row) -> Result<OccupantEntry, String> {
    let who = row.text()?;
    let nick = row.text()?;
    let word = row.text()?;
    Ok(OccupantEntry {
        nick: Nick::parse(&nick).map_err(|_| format!("nick_txt of {who} is {nick:?}"))?,
        role: Role::parse(&word).ok_or_else(|| format!("role_txt of {who} is {word:?}"))?,
        presence_xml: row.text_or_empty()?.into(),
        at: Utc(row.int()?),
        who: Jid::parse(&who).map_err(|why| format!("real_txt {who:?}: {why}"))?,
    })
}
