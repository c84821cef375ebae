//! Table `muc_vcard`: the vCard of each room that has one, read only when somebody asks for it.

use std::sync::Arc;

use tandem_muc_core::protocol::vcard::Vcard;
use tandem_muc_core::record::RoomId;
use tandem_muc_core::room::Found;

use super::connection::Value;
use super::error::StoreError;
use super::session::{Session, Statement};

const TABLE: &str = "muc_vcard";

pub(super) const UPDATE: Statement =
    Statement::on(TABLE, "UPDATE muc_vcard SET vcard_xml = ?, avatars_txt = ? WHERE room_id = ?");
pub(super) const INSERT: Statement =
    Statement::on(TABLE, "INSERT INTO muc_vcard (vcard_xml, avatars_txt, room_id) VALUES (?, ?, ?)");
pub(super) const CLEAR: Statement = Statement::on(TABLE, "DELETE FROM muc_vcard WHERE room_id = ?");
const LOAD: Statement = Statement::on(TABLE, "SELECT vcard_xml FROM muc_vcard WHERE room_id = ?");

/// The values of [`UPDATE`] and [`INSERT`].
pub(super) fn values(room: RoomId, card: &Vcard) -> Vec<Value<'_>> {
    let avatars = (!card.avatars.is_empty()).then(|| card.avatars.join(" "));
    vec![(&*card.xml).into(), avatars.map_or(Value::Text(None), Value::from), room.0.into()]
}

/// The hashes as `avatars_txt` has them, one after the other.
pub(super) fn avatars(text: Option<String>) -> Arc<[String]> {
    text.unwrap_or_default().split_whitespace().map(str::to_owned).collect()
}

/// The card of a room.
pub(super) async fn look(session: &mut Session, room: RoomId) -> Result<Found, StoreError> {
    let row = session.fetch_one(LOAD, &[room.0.into()]).await?;
    let card = row.map(|mut row| row.text()).transpose();
    let damaged = |what| StoreError::Damaged { table: TABLE, what: format!("room {}: {what}", room.0) };
    Ok(Found::Vcard(card.map_err(damaged)?))
}
