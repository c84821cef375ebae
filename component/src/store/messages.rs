//! Table `muc_message`: what was said, one row for each archived message, numbered by its room.

use tandem_muc_core::name::{BareJid, Jid, Nick};
use tandem_muc_core::record::{Message, MessageKind, Retraction, RoomId, Seq};
use tandem_muc_core::time::Utc;

use super::connection::{Columns, Kind, Row, Value};
use super::error::StoreError;
use super::key;
use super::session::{Session, Statement};

pub(super) const TABLE: &str = "muc_message";

pub(super) const COLUMNS: Columns = Columns {
    table: TABLE,
    columns: &[
        ("room_id", Kind::Int),
        ("seq", Kind::Int),
        ("archive_id", Kind::Text),
        ("sent_ms", Kind::Int),
        ("kind_txt", Kind::Text),
        ("sender_hash", Kind::Key),
        ("sender_txt", Kind::Text),
        ("nick_txt", Kind::Text),
        ("origin_txt", Kind::Text),
        ("body_txt", Kind::Text),
        ("stanza_xml", Kind::Text),
        ("grp_seq", Kind::Int),
    ],
};
pub(super) const CLEAR: Statement = Statement::on(TABLE, "DELETE FROM muc_message WHERE room_id = ?");
pub(super) const HISTORY: Statement = Statement::on(
    TABLE,
    "SELECT seq, archive_id, sent_ms, kind_txt, sender_txt, nick_txt, origin_txt, body_txt, stanza_xml
     FROM muc_message WHERE room_id = ? AND kind_txt = 'speech' ORDER BY seq DESC {first}",
);
/// What was said is taken back, once.
pub(super) const RETRACT: Statement = Statement::on(
    TABLE,
    "UPDATE muc_message SET body_txt = NULL, stanza_xml = ? WHERE room_id = ? AND archive_id = ? AND sender_hash = ?
     AND kind_txt = 'speech' AND stanza_xml NOT LIKE '<retracted%'",
);
/// What was kept long enough.
pub(super) const EXPIRE: Statement =
    Statement::on(TABLE, "DELETE FROM muc_message WHERE room_id = ? AND seq <= ? AND sent_ms < ?");
const TAIL: Statement = Statement::on(
    TABLE,
    "SELECT m.grp_seq, r.name_txt, m.seq, m.archive_id, m.sent_ms, m.kind_txt, m.sender_txt, m.nick_txt, m.origin_txt,
     m.body_txt, m.stanza_xml FROM muc_message m JOIN muc_room r ON r.room_id = m.room_id
     WHERE m.grp_seq > ? AND r.service_txt = ? ORDER BY m.grp_seq, m.room_id, m.seq",
);

/// The values of [`RETRACT`].
pub(super) fn retracted(room: RoomId, retraction: &Retraction) -> Vec<Value<'_>> {
    vec![
        (&*retraction.retracted_xml).into(),
        room.0.into(),
        retraction.archive_id.as_str().into(),
        key::of_bare(&retraction.author).into(),
    ]
}

/// A message that has no row yet, and how it was taken back if it was.
#[derive(Clone, Copy)]
pub(super) struct Unwritten<'a> {
    pub(super) room: RoomId,
    pub(super) message: &'a Message,
    pub(super) retraction: Option<&'a Retraction>,
}

/// The values of a row, in the order of [`COLUMNS`]; `group` is the fence's number of the append.
pub(super) fn values<'a>(unwritten: &Unwritten<'a>, group: i64) -> Vec<Value<'a>> {
    let Unwritten { room, message, retraction } = *unwritten;
    let body = message.body.as_deref().filter(|_| retraction.is_none());
    let stanza_xml = retraction.map_or(&*message.stanza_xml, |retraction| &*retraction.retracted_xml);
    vec![
        room.0.into(),
        message.seq.0.into(),
        message.archive_id.as_str().into(),
        message.at.0.into(),
        match message.kind {
            MessageKind::Speech => "speech".into(),
            MessageKind::Subject => "subject".into(),
        },
        key::of_text(message.sender.bare_str()).into(),
        message.sender.as_str().into(),
        message.nick.as_ref().map(Nick::as_str).into(),
        message.origin_id.as_deref().into(),
        body.into(),
        stanza_xml.into(),
        group.into(),
    ]
}

/// Of a row as [`HISTORY`] gives it.
pub(super) fn read(mut row: Row) -> Result<Message, String> {
    let seq = row.int()?;
    Ok(Message {
        seq: Seq(seq),
        archive_id: row.text()?,
        at: Utc(row.int()?),
        kind: match row.text()?.as_str() {
            "speech" => MessageKind::Speech,
            "subject" => MessageKind::Subject,
            other => return Err(format!("kind_txt of message {seq} is {other:?}")),
        },
        sender: Jid::parse(&row.text()?).map_err(|why| format!("sender_txt of message {seq}: {why}"))?,
        nick: row
            .maybe_text()?
            .map(|n| Nick::parse(&n))
            .transpose()
            .map_err(|_| format!("nick_txt of message {seq}"))?,
        origin_id: row.maybe_text()?,
        body: row.maybe_text()?,
        stanza_xml: row.text()?.into(),
        is_archived: true,
    })
}

/// The messages of the groups after `mark`, with group and room.
pub(super) async fn tail(
    session: &mut Session,
    service: &str,
    mark: i64,
) -> Result<Vec<(i64, BareJid, Message)>, StoreError> {
    let rows = session.fetch(TAIL, &[mark.into(), service.into()]).await?;
    let read_one = |mut row: Row| -> Result<(i64, BareJid, Message), String> {
        let group = row.int()?;
        let name = row.text()?;
        let room = BareJid::parse(&format!("{name}@{service}")).map_err(|why| format!("room {name:?}: {why}"))?;
        Ok((group, room, read(row)?))
    };
    let messages: Result<Vec<_>, String> = rows.into_iter().map(read_one).collect();
    messages.map_err(|what| StoreError::Damaged { table: TABLE, what })
}
