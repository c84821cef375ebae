//! Lists of rooms: the public ones page by page (XEP-0045 §6.3 with XEP-0059), the occupied ones at once.

use tandem_muc_core::muc::RoomConfig;
use tandem_muc_core::name::BareJid;
use tandem_muc_core::record::RoomId;
use tandem_muc_core::room::find::{FoundRoom, RoomSearch};

use super::connection::{Row, Value};
use super::error::StoreError;
use super::rooms::TABLE;
use super::session::{Session, Statement};

const COUNT: Statement = Statement::on(
    TABLE,
    "SELECT COUNT(*) FROM muc_room WHERE service_txt = ? AND is_public = 1 AND state_txt = 'open'",
);
const COUNT_BEFORE: Statement = Statement::on(
    TABLE,
    "SELECT COUNT(*) FROM muc_room WHERE service_txt = ? AND is_public = 1 AND state_txt = 'open' AND name_txt < ?",
);
const FIRST: Statement = Statement::on(
    TABLE,
    "SELECT name_txt, title_txt FROM muc_room WHERE service_txt = ? AND is_public = 1 AND state_txt = 'open'
     ORDER BY name_txt {first}",
);
const AFTER: Statement = Statement::on(
    TABLE,
    "SELECT name_txt, title_txt FROM muc_room WHERE service_txt = ? AND is_public = 1 AND state_txt = 'open'
     AND name_txt > ? ORDER BY name_txt {first}",
);
const LAST: Statement = Statement::on(
    TABLE,
    "SELECT name_txt, title_txt FROM muc_room WHERE service_txt = ? AND is_public = 1 AND state_txt = 'open'
     ORDER BY name_txt DESC {first}",
);
const BEFORE: Statement = Statement::on(
    TABLE,
    "SELECT name_txt, title_txt FROM muc_room WHERE service_txt = ? AND is_public = 1 AND state_txt = 'open'
     AND name_txt < ? ORDER BY name_txt DESC {first}",
);
const OCCUPIED: Statement = Statement::on(
    TABLE,
    "SELECT name_txt FROM muc_room WHERE service_txt = ? AND room_id IN (SELECT room_id FROM muc_occupant)
     ORDER BY name_txt",
);

const CONFIGURED: Statement = Statement::on(
    TABLE,
    "SELECT room_id, name_txt, config_txt FROM muc_room WHERE service_txt = ? AND room_id > ? AND state_txt = 'open'
     ORDER BY room_id {first}",
);

const SEARCHED: Statement = Statement::on(
    TABLE,
    "SELECT r.name_txt, r.config_txt, (SELECT COUNT(DISTINCT o.nick_hash) FROM muc_occupant o WHERE o.room_id = r.room_id)
     FROM muc_room r WHERE r.service_txt = ? AND r.is_public = 1 AND r.state_txt = 'open' AND r.name_txt > ?
     ORDER BY r.name_txt {first}",
);
/// Rooms read at once while searching.
const BATCH: usize = 500;
/// Rooms one search goes through: a fraction of a second.
const SEARCHED_MAX: usize = 20_000;

/// Which part of a list (XEP-0059 v1.0).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Page<'a> {
    /// Its beginning.
    First,
    /// What follows this JID, which need not be in the list any more.
    After(&'a str),
    /// What comes right before this JID.
    Before(&'a str),
    /// Its end.
    Last,
}

/// A part of a list of rooms.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RoomPage {
    /// JID and title of each, by JID.
    pub rooms: Vec<(BareJid, String)>,
    /// How many the whole list has.
    pub total: u64,
    /// The place of the first of them in the whole list, counted from 0; `None` if there are none.
    pub first_index: Option<u64>,
}

pub(super) async fn public(
    session: &mut Session,
    service: &str,
    page: Page<'_>,
    max: u32,
) -> Result<RoomPage, StoreError> {
    let total = count(session, COUNT, &[service.into()]).await?;
    let most = Value::from(i64::from(max));
    let rows = match page {
        _ if max == 0 => Vec::new(),
        Page::First => session.fetch(FIRST, &[service.into(), most]).await?,
        Page::After(jid) => session.fetch(AFTER, &[service.into(), name_of(jid).into(), most]).await?,
        Page::Before(jid) => session.fetch(BEFORE, &[service.into(), name_of(jid).into(), most]).await?,
        Page::Last => session.fetch(LAST, &[service.into(), most]).await?,
    };
    let mut rooms: Vec<(BareJid, String)> = rows.into_iter().filter_map(|row| read(row, service)).collect();
    if matches!(page, Page::Before(_) | Page::Last) {
        rooms.reverse();
    }
    let first_index = match rooms.first() {
        Some((first, _)) => {
            let name = first.local().unwrap_or_default();
            Some(count(session, COUNT_BEFORE, &[service.into(), name.into()]).await?)
        }
        None => None,
    };
    Ok(RoomPage { rooms, total, first_index })
}

/// Public rooms that fit, by JID, after that one; `max` of them at most, from among so many.
pub(super) async fn search(
    session: &mut Session,
    service: &str,
    search: &RoomSearch,
    after: Option<&str>,
    max: usize,
) -> Result<Vec<FoundRoom>, StoreError> {
    let mut after = after.map(name_of).unwrap_or_default().to_owned();
    let mut found = Vec::new();
    for _ in 0..SEARCHED_MAX / BATCH {
        let values = [service.into(), after.as_str().into(), Value::count(BATCH as u64)];
        let rows = session.fetch(SEARCHED, &values).await?;
        let is_last = rows.len() < BATCH;
        for mut row in rows {
            let Ok(name) = row.text() else { continue };
            // A damaged row is left out: a search is for finding what works.
            let config: Option<RoomConfig> = row.text().ok().and_then(|text| serde_json::from_str(&text).ok());
            let occupants = row.count().unwrap_or_default();
            if let (Some(config), Some(jid)) = (config, room_named(&name, service))
                && search.fits(&name, &config)
                && found.len() < max
            {
                found.push(FoundRoom { jid, config, occupants });
            }
            after = name;
        }
        if is_last || found.len() >= max {
            break;
        }
    }
    Ok(found)
}

/// The rooms somebody is inside of.
pub(super) async fn occupied(session: &mut Session, service: &str) -> Result<Vec<BareJid>, StoreError> {
    let rows = session.fetch(OCCUPIED, &[service.into()]).await?;
    let read = |mut row: Row| room_named(&row.text().ok()?, service);
    Ok(rows.into_iter().filter_map(read).collect())
}

/// Rooms by key with their configurations.
pub(super) async fn configured(
    session: &mut Session,
    service: &str,
    after: RoomId,
    max: u32,
) -> Result<Vec<(RoomId, BareJid, Option<RoomConfig>)>, StoreError> {
    let rows = session.fetch(CONFIGURED, &[service.into(), after.0.into(), i64::from(max).into()]).await?;
    let read = |mut row: Row| {
        let (room, name) = (RoomId(row.int().ok()?), row.text().ok()?);
        let config = row.text().ok().and_then(|text| serde_json::from_str(&text).ok());
        Some((room, room_named(&name, service)?, config))
    };
    Ok(rows.into_iter().filter_map(read).collect())
}

async fn count(session: &mut Session, statement: Statement, values: &[Value<'_>]) -> Result<u64, StoreError> {
    let row = session.fetch_one(statement, values).await?;
    let counted = row.and_then(|mut row| row.int().ok()).unwrap_or_default();
    Ok(u64::try_from(counted).unwrap_or_default())
}

/// A damaged row is left out: a list is for finding what works.
fn read(mut row: Row, service: &str) -> Option<(BareJid, String)> {
    let name = row.text().ok()?;
    Some((room_named(&name, service)?, row.text_or_empty().ok()?))
}

fn room_named(name: &str, service: &str) -> Option<BareJid> {
    BareJid::parse(&format!("{name}@{service}")).ok()
}

/// The room's name in a JID, which somebody may have made up.
fn name_of(jid: &str) -> &str {
    jid.split_once('@').map_or(jid, |(name, _)| name)
}
