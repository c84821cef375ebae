//! The sessions inside rooms that belong to users of one XMPP server, page by page: those who may be ghosts once that
//! server, or the node that spoke with it, was gone.

use tandem_muc_core::name::{BareJid, Jid};

use super::SqlStore;
use super::connection::Row;
use super::error::StoreError;
use super::occupants::TABLE;
use super::session::Statement;

/// The pattern lets through a few too many - a resource may hold anything -, which are sorted out afterwards.
const PAGE: Statement = Statement::on(
    TABLE,
    "SELECT o.room_id, o.nick_hash, o.real_hash, r.name_txt, o.real_txt
     FROM muc_occupant o JOIN muc_room r ON r.room_id = o.room_id
     WHERE r.service_txt = ? AND o.real_txt LIKE ? AND (o.room_id > ? OR (o.room_id = ? AND (o.nick_hash > ?
     OR (o.nick_hash = ? AND o.real_hash > ?)))) ORDER BY o.room_id, o.nick_hash, o.real_hash {first}",
);

/// A place in the list, after which the next page begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LocalsPlace {
    room: i64,
    nick: [u8; 32],
    real: [u8; 32],
}

/// A part of the list.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct LocalsPage {
    /// Room and real JID of each.
    pub occupants: Vec<(BareJid, Jid)>,
    /// Where to go on; `None` at the end.
    pub next: Option<LocalsPlace>,
}

impl SqlStore {
    /// The sessions of users of `host` inside rooms of `service`, at most `max` at once.
    pub async fn local_occupants(
        &self,
        service: &str,
        host: &str,
        after: Option<LocalsPlace>,
        max: u32,
    ) -> Result<LocalsPage, StoreError> {
        let LocalsPlace { room, nick, real } =
            after.unwrap_or(LocalsPlace { room: i64::MIN, nick: [0; 32], real: [0; 32] });
        let values = [
            service.into(),
            format!("%{host}/%").into(),
            room.into(),
            room.into(),
            nick.into(),
            nick.into(),
            real.into(),
            i64::from(max).into(),
        ];
        let rows = self.bounded(async { self.reader().await?.fetch(PAGE, &values).await }).await?;
        let mut page = LocalsPage::default();
        let is_full = rows.len() >= usize::try_from(max).unwrap_or(usize::MAX);
        for mut row in rows {
            let place = place(&mut row).map_err(|what| StoreError::Damaged { table: TABLE, what })?;
            page.next = is_full.then_some(place);
            page.occupants.extend(read(row, service).filter(|(_, who)| who.domain() == host));
        }
        Ok(page)
    }
}

fn place(row: &mut Row) -> Result<LocalsPlace, String> {
    Ok(LocalsPlace { room: row.int()?, nick: row.key()?, real: row.key()? })
}

/// A damaged row is left out: whoever it was, nobody can ask after them.
fn read(mut row: Row, service: &str) -> Option<(BareJid, Jid)> {
    let name = row.text().ok()?;
    let who = row.text().ok()?;
    Some((BareJid::parse(&format!("{name}@{service}")).ok()?, Jid::parse(&who).ok()?))
}
