//! Table `muc_affiliation`: one row for each user or domain with a tie, or a reserved nick, in a room.

use tandem_muc_core::muc::Affiliation;
use tandem_muc_core::name::{BareJid, Nick};
use tandem_muc_core::record::{AffiliationEntry, RoomId, Seq};
use tandem_muc_core::time::Utc;

use super::connection::{Row, Value};
use super::key;
use super::session::Statement;

pub(super) const TABLE: &str = "muc_affiliation";

pub(super) const UPDATE: Statement = Statement::on(
    TABLE,
    "UPDATE muc_affiliation SET user_txt = ?, affil_txt = ?, nick_txt = ?, reason_txt = ?, by_txt = ?, set_ms = ?
     WHERE room_id = ? AND user_hash = ?",
);
pub(super) const INSERT: Statement = Statement::on(
    TABLE,
    "INSERT INTO muc_affiliation (user_txt, affil_txt, nick_txt, reason_txt, by_txt, set_ms, room_id, user_hash)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
);
/// Of who has no row nothing is kept.
pub(super) const SEE: Statement =
    Statement::on(TABLE, "UPDATE muc_affiliation SET seen_seq = ? WHERE room_id = ? AND user_hash = ?");
pub(super) const REMOVE: Statement =
    Statement::on(TABLE, "DELETE FROM muc_affiliation WHERE room_id = ? AND user_hash = ?");
pub(super) const CLEAR: Statement = Statement::on(TABLE, "DELETE FROM muc_affiliation WHERE room_id = ?");
pub(super) const LOAD: Statement = Statement::on(
    TABLE,
    "SELECT user_txt, affil_txt, nick_txt, reason_txt, by_txt, set_ms, seen_seq FROM muc_affiliation
     WHERE room_id = ?",
);

/// The values of [`UPDATE`] and [`INSERT`].
pub(super) fn values(room: RoomId, entry: &AffiliationEntry) -> Vec<Value<'_>> {
    vec![
        entry.who.as_str().into(),
        entry.affiliation.as_str().into(),
        entry.nick.as_ref().map(Nick::as_str).into(),
        entry.reason.as_deref().into(),
        entry.by.as_str().into(),
        entry.at.0.into(),
        room.0.into(),
        key::of_bare(&entry.who).into(),
    ]
}

/// Of a row of [`LOAD`], with what its user has seen.
pub(super) fn read(mut row: Row) -> Result<(AffiliationEntry, Option<Seq>), String> {
    let who = row.text()?;
    let word = row.text()?;
    let entry = AffiliationEntry {
        affiliation: Affiliation::parse(&word).ok_or_else(|| format!("affil_txt of {who} is {word:?}"))?,
        nick: row.maybe_text()?.map(|nick| Nick::parse(&nick)).transpose().map_err(|_| format!("nick_txt of {who}"))?,
        reason: row.maybe_text()?,
        by: BareJid::parse(&row.text()?).map_err(|why| format!("by_txt of {who}: {why}"))?,
        at: Utc(row.int()?),
        who: BareJid::parse(&who).map_err(|why| format!("user_txt {who:?}: {why}"))?,
    };
    Ok((entry, row.maybe_int()?.map(Seq)))
}
