//! Looking into an archive (XEP-0313): by place, time and id along the indexes, by sender and text message after
//! message. Pages are read in small batches, and a look ends when the page is full or has gone far enough.

use std::collections::BTreeSet;

use tandem_muc_core::name::Jid;
use tandem_muc_core::record::{Message, RoomId, Seq};
use tandem_muc_core::room::{Found, PageSearch, Search};
use tandem_muc_core::time::Utc;

use super::connection::Row;
use super::error::StoreError;
use super::messages::{TABLE, read};
use super::session::{Session, Statement};
use super::vcards;

/// Messages read at once: with stanzas as long as they may be, still some megabytes.
const BATCH: usize = 25;
/// Messages looked at at once for sender and text.
const SCAN: usize = 250;
/// Messages one look goes through: a fraction of a second. Whoever finds nothing that far names a time.
const SCANNED_MAX: usize = 100_000;

const PLACE: Statement = Statement::on(TABLE, "SELECT seq FROM muc_message WHERE room_id = ? AND archive_id = ?");
const SINCE: Statement = Statement::on(
    TABLE,
    "SELECT seq FROM muc_message WHERE room_id = ? AND sent_ms >= ? ORDER BY sent_ms, seq {first}",
);
const UNTIL: Statement = Statement::on(
    TABLE,
    "SELECT seq FROM muc_message WHERE room_id = ? AND sent_ms <= ? ORDER BY sent_ms DESC, seq DESC {first}",
);
const OLDEST: Statement =
    Statement::on(TABLE, "SELECT seq FROM muc_message WHERE room_id = ? AND sent_ms < ? ORDER BY sent_ms, seq {first}");
const ONE: Statement = Statement::on(
    TABLE,
    "SELECT seq, archive_id, sent_ms, kind_txt, sender_txt, nick_txt, origin_txt, body_txt, stanza_xml
     FROM muc_message WHERE room_id = ? AND seq = ?",
);
const FORWARD: Statement = Statement::on(
    TABLE,
    "SELECT seq, archive_id, sent_ms, kind_txt, sender_txt, nick_txt, origin_txt, body_txt, stanza_xml
     FROM muc_message WHERE room_id = ? AND seq > ? AND seq < ? ORDER BY seq {first}",
);
const BACKWARD: Statement = Statement::on(
    TABLE,
    "SELECT seq, archive_id, sent_ms, kind_txt, sender_txt, nick_txt, origin_txt, body_txt, stanza_xml
     FROM muc_message WHERE room_id = ? AND seq > ? AND seq < ? ORDER BY seq DESC {first}",
);
const SCAN_FORWARD: Statement = Statement::on(
    TABLE,
    "SELECT seq, sent_ms, sender_txt, nick_txt, body_txt FROM muc_message
     WHERE room_id = ? AND seq > ? AND seq < ? ORDER BY seq {first}",
);
const SCAN_BACKWARD: Statement = Statement::on(
    TABLE,
    "SELECT seq, sent_ms, sender_txt, nick_txt, body_txt FROM muc_message
     WHERE room_id = ? AND seq > ? AND seq < ? ORDER BY seq DESC {first}",
);

/// See [`super::SqlStore::look`].
pub(super) async fn look(session: &mut Session, room: RoomId, search: &Search) -> Result<Found, StoreError> {
    match search {
        Search::Vcard => vcards::look(session, room).await,
        Search::Ends => {
            let span = Span { after: 0, before: i64::MAX };
            let mut messages = span.batch(session, room, FORWARD, 1).await?;
            messages.extend(span.batch(session, room, BACKWARD, 1).await?);
            Ok(Found::Messages { messages, is_complete: true })
        }
        Search::Page(search) => {
            let Some(span) = span(session, room, search).await? else { return Ok(Found::UnknownId) };
            if !search.ids.is_empty() {
                named(session, room, span, search).await
            } else if search.is_picky() {
                scanned(session, room, span, search).await
            } else {
                in_a_row(session, room, span, search).await
            }
        }
    }
}

/// See [`super::SqlStore::oldest_before`].
pub(super) async fn oldest_before(
    session: &mut Session,
    room: RoomId,
    before: Utc,
    max: u32,
) -> Result<Option<Seq>, StoreError> {
    let rows = session.fetch(OLDEST, &[room.0.into(), before.0.into(), i64::from(max).into()]).await?;
    Ok(rows.into_iter().filter_map(|mut row| row.int().ok()).max().map(Seq))
}

/// Places that may be part of the page: those between the two.
#[derive(Clone, Copy)]
struct Span {
    after: i64,
    before: i64,
}

impl Span {
    async fn batch(
        self,
        session: &mut Session,
        room: RoomId,
        statement: Statement,
        max: usize,
    ) -> Result<Vec<Message>, StoreError> {
        let rows = self.rows(session, room, statement, max).await?;
        rows.into_iter().map(|row| read(row).map_err(|what| damaged(room, &what))).collect()
    }

    async fn rows(
        self,
        session: &mut Session,
        room: RoomId,
        statement: Statement,
        max: usize,
    ) -> Result<Vec<Row>, StoreError> {
        let max = i64::try_from(max).unwrap_or(i64::MAX);
        session.fetch(statement, &[room.0.into(), self.after.into(), self.before.into(), max.into()]).await
    }

    /// What is left of it once the message at that place was seen.
    fn past(self, seq: i64, is_backward: bool) -> Span {
        if is_backward { Span { before: seq, ..self } } else { Span { after: seq, ..self } }
    }
}

/// The places between the ids and the times of a search; none where an id is unknown. Times of messages grow with
/// their places, so the ends are found along the index by time.
async fn span(session: &mut Session, room: RoomId, search: &PageSearch) -> Result<Option<Span>, StoreError> {
    let mut span = Span { after: 0, before: i64::MAX };
    for id in &search.after {
        let Some(seq) = place(session, room, id).await? else { return Ok(None) };
        span.after = span.after.max(seq);
    }
    for id in &search.before {
        let Some(seq) = place(session, room, id).await? else { return Ok(None) };
        span.before = span.before.min(seq);
    }
    if let Some(from) = search.from {
        let first = end(session, room, SINCE, from).await?;
        span.after = first.map_or(i64::MAX, |seq| span.after.max(seq - 1));
    }
    if let Some(until) = search.until {
        let last = end(session, room, UNTIL, until).await?;
        span.before = last.map_or(0, |seq| span.before.min(seq.saturating_add(1)));
    }
    Ok(Some(span))
}

async fn place(session: &mut Session, room: RoomId, id: &str) -> Result<Option<i64>, StoreError> {
    let row = session.fetch_one(PLACE, &[room.0.into(), id.into()]).await?;
    row.map(|mut row| row.int().map_err(|what| damaged(room, &what))).transpose()
}

async fn end(session: &mut Session, room: RoomId, statement: Statement, at: Utc) -> Result<Option<i64>, StoreError> {
    let row = session.fetch_one(statement, &[room.0.into(), at.0.into(), 1.into()]).await?;
    row.map(|mut row| row.int().map_err(|what| damaged(room, &what))).transpose()
}

async fn one(session: &mut Session, room: RoomId, seq: i64) -> Result<Option<Message>, StoreError> {
    let row = session.fetch_one(ONE, &[room.0.into(), seq.into()]).await?;
    row.map(|row| read(row).map_err(|what| damaged(room, &what))).transpose()
}

/// All messages of the span.
async fn in_a_row(
    session: &mut Session,
    room: RoomId,
    mut span: Span,
    search: &PageSearch,
) -> Result<Found, StoreError> {
    let statement = if search.is_last_page { BACKWARD } else { FORWARD };
    let mut page = Page::new(search);
    loop {
        // One more than fits tells whether that is all.
        let most = BATCH.min(page.room_left() + 1);
        let messages = span.batch(session, room, statement, most).await?;
        let is_end = messages.len() < most;
        for message in messages {
            span = span.past(message.seq.0, search.is_last_page);
            if !page.take(message) {
                return Ok(page.cut_off());
            }
        }
        if is_end {
            return Ok(page.complete());
        }
    }
}

/// Those messages of the span that fit, found by looking at each.
async fn scanned(
    session: &mut Session,
    room: RoomId,
    mut span: Span,
    search: &PageSearch,
) -> Result<Found, StoreError> {
    let statement = if search.is_last_page { SCAN_BACKWARD } else { SCAN_FORWARD };
    let (mut page, mut seen) = (Page::new(search), 0);
    while seen < SCANNED_MAX {
        let rows = span.rows(session, room, statement, SCAN).await?;
        let is_end = rows.len() < SCAN;
        seen += rows.len();
        for row in rows {
            let (seq, fits) = glance(row, search).map_err(|what| damaged(room, &what))?;
            span = span.past(seq, search.is_last_page);
            if fits
                && let Some(message) = one(session, room, seq).await?
                && !page.take(message)
            {
                return Ok(page.cut_off());
            }
        }
        if is_end {
            return Ok(page.complete());
        }
    }
    Ok(if page.messages.is_empty() { Found::NothingNear } else { page.cut_off() })
}

/// The place of a message and whether it fits.
fn glance(mut row: Row, search: &PageSearch) -> Result<(i64, bool), String> {
    let (seq, at) = (row.int()?, Utc(row.int()?));
    let sender = Jid::parse(&row.text()?).map_err(|why| format!("sender_txt of message {seq}: {why}"))?;
    let (nick, body) = (row.maybe_text()?, row.maybe_text()?);
    Ok((seq, search.fits(at, &sender, nick.as_deref(), body.as_deref())))
}

/// Those messages that are named, all of which must be there, as far as they fit.
async fn named(session: &mut Session, room: RoomId, span: Span, search: &PageSearch) -> Result<Found, StoreError> {
    let mut places = BTreeSet::new();
    for id in &search.ids {
        let Some(seq) = place(session, room, id).await? else { return Ok(Found::UnknownId) };
        places.insert(seq);
    }
    let mut places: Vec<i64> = places.into_iter().filter(|seq| span.after < *seq && *seq < span.before).collect();
    if search.is_last_page {
        places.reverse();
    }
    let mut page = Page::new(search);
    for seq in places {
        let Some(message) = one(session, room, seq).await? else { continue };
        let nick = message.nick.as_ref().map(tandem_muc_core::name::Nick::as_str);
        if search.fits(message.at, &message.sender, nick, message.body.as_deref()) && !page.take(message) {
            return Ok(page.cut_off());
        }
    }
    Ok(page.complete())
}

/// A page that fills up.
struct Page<'a> {
    search: &'a PageSearch,
    messages: Vec<Message>,
    bytes: usize,
}

impl Page<'_> {
    fn new(search: &PageSearch) -> Page<'_> {
        Page { search, messages: Vec::new(), bytes: 0 }
    }

    fn room_left(&self) -> usize {
        self.search.max.saturating_sub(self.messages.len())
    }

    /// Whether there was room for the message.
    fn take(&mut self, message: Message) -> bool {
        let bytes = self.bytes + message.stanza_xml.len();
        let is_too_long = bytes > self.search.bytes_max && !self.messages.is_empty();
        if self.room_left() == 0 || is_too_long {
            return false;
        }
        self.bytes = bytes;
        self.messages.push(message);
        true
    }

    fn cut_off(self) -> Found {
        self.end(false)
    }

    fn complete(self) -> Found {
        self.end(true)
    }

    fn end(mut self, is_complete: bool) -> Found {
        if self.search.is_last_page {
            self.messages.reverse();
        }
        Found::Messages { messages: self.messages, is_complete }
    }
}

fn damaged(room: RoomId, what: &str) -> StoreError {
    StoreError::Damaged { table: TABLE, what: format!("room {}: {what}", room.0) }
}
