//! Tables `muc_hat`, one row for each hat of a room, and `muc_hat_worn`, one for each user who wears it.

use tandem_muc_core::name::BareJid;
use tandem_muc_core::record::{Hat, RoomId};

use super::connection::{Row, Value};
use super::key;
use super::session::Statement;

const TABLE: &str = "muc_hat";
const WORN: &str = "muc_hat_worn";

pub(super) const UPDATE: Statement = Statement::on(
    TABLE,
    "UPDATE muc_hat SET uri_txt = ?, title_txt = ?, hue_txt = ?, lang_txt = ? WHERE room_id = ? AND uri_hash = ?",
);
pub(super) const INSERT: Statement = Statement::on(
    TABLE,
    "INSERT INTO muc_hat (uri_txt, title_txt, hue_txt, lang_txt, room_id, uri_hash) VALUES (?, ?, ?, ?, ?, ?)",
);
pub(super) const REMOVE: Statement = Statement::on(TABLE, "DELETE FROM muc_hat WHERE room_id = ? AND uri_hash = ?");
pub(super) const CLEAR: Statement = Statement::on(TABLE, "DELETE FROM muc_hat WHERE room_id = ?");
pub(super) const LOAD: Statement =
    Statement::on(TABLE, "SELECT uri_txt, title_txt, hue_txt, lang_txt FROM muc_hat WHERE room_id = ?");

pub(super) const UPDATE_WORN: Statement = Statement::on(
    WORN,
    "UPDATE muc_hat_worn SET user_txt = ?, uri_txt = ? WHERE room_id = ? AND user_hash = ? AND uri_hash = ?",
);
pub(super) const INSERT_WORN: Statement = Statement::on(
    WORN,
    "INSERT INTO muc_hat_worn (user_txt, uri_txt, room_id, user_hash, uri_hash) VALUES (?, ?, ?, ?, ?)",
);
pub(super) const TAKE_OFF: Statement =
    Statement::on(WORN, "DELETE FROM muc_hat_worn WHERE room_id = ? AND user_hash = ? AND uri_hash = ?");
pub(super) const REMOVE_WORN: Statement =
    Statement::on(WORN, "DELETE FROM muc_hat_worn WHERE room_id = ? AND uri_hash = ?");
pub(super) const CLEAR_WORN: Statement = Statement::on(WORN, "DELETE FROM muc_hat_worn WHERE room_id = ?");
pub(super) const LOAD_WORN: Statement =
    Statement::on(WORN, "SELECT user_txt, uri_txt FROM muc_hat_worn WHERE room_id = ?");

/// The values of [`UPDATE`] and [`INSERT`].
pub(super) fn values(room: RoomId, hat: &Hat) -> Vec<Value<'_>> {
    vec![
        hat.uri.as_str().into(),
        hat.title.as_str().into(),
        hat.hue.as_deref().into(),
        hat.lang.as_deref().into(),
        room.0.into(),
        key::of_text(&hat.uri).into(),
    ]
}

/// The values of [`UPDATE_WORN`] and [`INSERT_WORN`].
pub(super) fn worn_values<'a>(room: RoomId, who: &'a BareJid, uri: &'a str) -> Vec<Value<'a>> {
    vec![who.as_str().into(), uri.into(), room.0.into(), key::of_bare(who).into(), key::of_text(uri).into()]
}

/// Of a row of [`LOAD`].
pub(super) fn read(mut row: Row) -> Result<Hat, String> {
    Ok(Hat { uri: row.text()?, title: row.text()?, hue: row.maybe_text()?, lang: row.maybe_text()? })
}

/// Of a row of [`LOAD_WORN`].
pub(super) fn read_worn(mut row: Row) -> Result<(BareJid, String), String> {
    let who = row.text()?;
    let who = BareJid::parse(&who).map_err(|why| format!("user_txt {who:?}: {why}"))?;
    Ok((who, row.text()?))
}
