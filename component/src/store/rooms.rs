//! Table `muc_room`: one row for each room, and for a while for each room that was.

use std::sync::Arc;

use tandem_muc_core::muc::RoomConfig;
use tandem_muc_core::name::{BareJid, Jid, Nick};
use tandem_muc_core::record::{Creation, Message, MessageKind, RoomId, Seq, Tombstone};
use tandem_muc_core::time::Utc;

use super::connection::{Row, Value};
use super::key;
use super::session::Statement;
use super::vcards;

pub(super) const TABLE: &str = "muc_room";

/// A tombstone makes way for a room of the same name.
pub(super) const CLEAR_NAME: Statement =
    Statement::on(TABLE, "DELETE FROM muc_room WHERE name_hash = ? AND state_txt = 'destroyed'");
pub(super) const CREATE: Statement = Statement::on(
    TABLE,
    "INSERT INTO muc_room (room_id, name_hash, service_txt, name_txt, state_txt, is_public, is_persistent, title_txt,
     config_txt, occupant_salt, creator_txt, created_ms, last_seq) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)",
);
pub(super) const CONFIGURE: Statement = Statement::on(
    TABLE,
    "UPDATE muc_room SET is_public = ?, is_persistent = ?, title_txt = ?, config_txt = ? WHERE room_id = ?",
);
pub(super) const UNLOCK: Statement = Statement::on(
    TABLE,
    "UPDATE muc_room SET state_txt = 'open' WHERE room_id = ? AND state_txt IN ('open', 'locked')",
);
pub(super) const SET_SUBJECT: Statement = Statement::on(
    TABLE,
    "UPDATE muc_room SET last_seq = ?, subject_seq = ?, subject_id = ?, subject_ms = ?, subject_by_txt = ?,
     subject_nick_txt = ?, subject_origin = ?, subject_txt = ?, subject_xml = ?, subject_archived = ?
     WHERE room_id = ?",
);
/// For messages that leave no row; those that do carry the number themselves.
pub(super) const COUNT_TO: Statement =
    Statement::on(TABLE, "UPDATE muc_room SET last_seq = ? WHERE room_id = ? AND last_seq < ?");
/// Before the messages go, their numbers are noted: none is ever given out twice.
pub(super) const COUNT_ALL: Statement = Statement::on(
    TABLE,
    "UPDATE muc_room SET last_seq = (SELECT MAX(m.seq) FROM muc_message m WHERE m.room_id = muc_room.room_id)
     WHERE room_id = ? AND last_seq < (SELECT MAX(m.seq) FROM muc_message m WHERE m.room_id = muc_room.room_id)",
);
pub(super) const DESTROY: Statement = Statement::on(
    TABLE,
    "UPDATE muc_room SET state_txt = 'destroyed', gone_ms = ?, gone_until_ms = ?, gone_to_txt = ?, gone_reason_txt = ?,
     subject_seq = NULL, subject_id = NULL, subject_ms = NULL, subject_by_txt = NULL, subject_nick_txt = NULL,
     subject_origin = NULL, subject_txt = NULL, subject_xml = NULL, subject_archived = NULL WHERE room_id = ?",
);
pub(super) const VANISH: Statement = Statement::on(TABLE, "DELETE FROM muc_room WHERE room_id = ?");
pub(super) const LOAD: Statement = Statement::on(
    TABLE,
    "SELECT room_id, state_txt, config_txt, occupant_salt, created_ms, last_seq,
     (SELECT MAX(m.seq) FROM muc_message m WHERE m.room_id = muc_room.room_id), gone_ms, gone_until_ms, gone_to_txt,
     gone_reason_txt, (SELECT v.avatars_txt FROM muc_vcard v WHERE v.room_id = muc_room.room_id),
     (SELECT COUNT(*) FROM muc_hat h WHERE h.room_id = muc_room.room_id)
     + (SELECT COUNT(*) FROM muc_hat_worn w WHERE w.room_id = muc_room.room_id), subject_seq, subject_id, subject_ms, subject_by_txt, subject_nick_txt, subject_origin,
     subject_txt, subject_xml, subject_archived FROM muc_room WHERE name_hash = ? AND service_txt = ?",
);

/// The values of [`CREATE`].
pub(super) fn created<'a>(
    room: RoomId,
    jid: &'a BareJid,
    creation: &'a Creation,
    config_txt: String,
) -> Vec<Value<'a>> {
    vec![
        room.0.into(),
        key::of_bare(jid).into(),
        jid.domain().into(),
        jid.local().unwrap_or_default().into(),
        if creation.is_locked { "locked".into() } else { "open".into() },
        creation.config.is_public.into(),
        creation.config.is_persistent.into(),
        creation.config.title.as_str().into(),
        config_txt.into(),
        creation.occupant_id_salt.as_str().into(),
        creation.by.as_str().into(),
        creation.at.0.into(),
    ]
}

/// The values of [`CONFIGURE`].
pub(super) fn configured(room: RoomId, config: &RoomConfig, config_txt: String) -> Vec<Value<'_>> {
    vec![
        config.is_public.into(),
        config.is_persistent.into(),
        config.title.as_str().into(),
        config_txt.into(),
        room.0.into(),
    ]
}

/// The values of [`SET_SUBJECT`].
pub(super) fn subject(room: RoomId, message: &Message) -> Vec<Value<'_>> {
    vec![
        message.seq.0.into(),
        message.seq.0.into(),
        message.archive_id.as_str().into(),
        message.at.0.into(),
        message.sender.as_str().into(),
        message.nick.as_ref().map(Nick::as_str).into(),
        message.origin_id.as_deref().into(),
        message.body.as_deref().into(),
        (&*message.stanza_xml).into(),
        message.is_archived.into(),
        room.0.into(),
    ]
}

/// The values of [`DESTROY`].
pub(super) fn destroyed(room: RoomId, tombstone: &Tombstone) -> Vec<Value<'_>> {
    vec![
        tombstone.at.0.into(),
        tombstone.until.0.into(),
        tombstone.alternate.as_ref().map(BareJid::as_str).into(),
        tombstone.reason.as_deref().into(),
        room.0.into(),
    ]
}

/// The configuration as kept: JSON, in which control characters are escaped.
pub(super) fn config_text(config: &RoomConfig) -> Result<String, String> {
    serde_json::to_string(config).map_err(|why| format!("a configuration cannot be written as JSON: {why}"))
}

/// A room row as read.
pub(super) struct RoomRow {
    pub(super) id: RoomId,
    pub(super) is_locked: bool,
    pub(super) config: RoomConfig,
    pub(super) salt: String,
    pub(super) created_at: Utc,
    pub(super) last_seq: Seq,
    pub(super) tombstone: Option<Tombstone>,
    pub(super) subject: Option<Arc<Message>>,
    pub(super) avatars: Arc<[String]>,
    pub(super) has_hats: bool,
}

impl RoomRow {
    /// Of a row of [`LOAD`].
    pub(super) fn read(mut row: Row) -> Result<RoomRow, String> {
        let id = RoomId(row.int()?);
        let state = row.text()?;
        let config = serde_json::from_str(&row.text()?).map_err(|why| format!("config_txt: {why}"))?;
        let salt = row.text()?;
        let created_at = Utc(row.int()?);
        let counted = row.int()?;
        let last_seq = Seq(row.maybe_int()?.map_or(counted, |kept| kept.max(counted)));
        let (is_locked, is_destroyed) = match state.as_str() {
            "open" => (false, false),
            "locked" => (true, false),
            "destroyed" => (false, true),
            _ => return Err(format!("state_txt is {state:?}, not open, locked or destroyed")),
        };
        let tombstone = read_tombstone(&mut row, is_destroyed)?;
        let avatars = vcards::avatars(row.maybe_text()?);
        let has_hats = row.int()? > 0;
        let subject = read_subject(&mut row)?.map(Arc::new);
        Ok(RoomRow { id, is_locked, config, salt, created_at, last_seq, tombstone, subject, avatars, has_hats })
    }
}

fn read_tombstone(row: &mut Row, is_destroyed: bool) -> Result<Option<Tombstone>, String> {
    let (at, until, alternate, reason) = (row.maybe_int()?, row.maybe_int()?, row.maybe_text()?, row.maybe_text()?);
    if !is_destroyed {
        return Ok(None);
    }
    let (Some(at), Some(until)) = (at, until) else {
        return Err("a destroyed room lacks gone_ms or gone_until_ms".into());
    };
    let alternate =
        alternate.map(|jid| BareJid::parse(&jid)).transpose().map_err(|why| format!("gone_to_txt: {why}"))?;
    Ok(Some(Tombstone { at: Utc(at), alternate, reason, until: Utc(until) }))
}

fn read_subject(row: &mut Row) -> Result<Option<Message>, String> {
    let Some(seq) = row.maybe_int()? else {
        return Ok(None);
    };
    Ok(Some(Message {
        seq: Seq(seq),
        archive_id: row.text()?,
        at: Utc(row.int()?),
        kind: MessageKind::Subject,
        sender: Jid::parse(&row.text()?).map_err(|why| format!("subject_by_txt: {why}"))?,
        nick: row
            .maybe_text()?
            .map(|nick| Nick::parse(&nick))
            .transpose()
            .map_err(|_| "subject_nick_txt is no nick")?,
        origin_id: row.maybe_text()?,
        body: row.maybe_text()?,
        stanza_xml: row.text()?.into(),
        is_archived: row.bool()?,
    }))
}
