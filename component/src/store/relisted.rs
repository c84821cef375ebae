//! Table `muc_relisted`: the last changes of a room's lists, one row a version.

use tandem_muc_core::name::BareJid;

use super::connection::Row;
use super::session::Statement;

const TABLE: &str = "muc_relisted";

pub(super) const INSERT: Statement =
    Statement::on(TABLE, "INSERT INTO muc_relisted (room_id, version_no, user_txt) VALUES (?, ?, ?)");
/// What is too long ago to be told.
pub(super) const FORGET: Statement =
    Statement::on(TABLE, "DELETE FROM muc_relisted WHERE room_id = ? AND version_no <= ?");
pub(super) const CLEAR: Statement = Statement::on(TABLE, "DELETE FROM muc_relisted WHERE room_id = ?");
pub(super) const LOAD: Statement =
    Statement::on(TABLE, "SELECT version_no, user_txt FROM muc_relisted WHERE room_id = ? ORDER BY version_no");

/// Of a row of [`LOAD`].
pub(super) fn read(mut row: Row) -> Result<(i64, BareJid), String> {
    let version = row.int()?;
    let who = BareJid::parse(&row.text()?).map_err(|why| format!("user_txt of version {version}: {why}"))?;
    Ok((version, who))
}
