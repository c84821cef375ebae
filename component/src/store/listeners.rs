//! Table `muc_listener`: sessions that asked a service to tell them of activity in rooms (XEP-0437), and what there is to
//! tell one that asks now.
//!
//! These rows are no facts of a room and do not move the fence, but only who holds the epoch adds to them.

use tandem_muc_core::muc::{Affiliation, RoomConfig};
use tandem_muc_core::name::{BareJid, Jid};

use super::connection::Row;
use super::error::StoreError;
use super::session::Statement;
use super::{Epoch, SqlStore, affiliations, key};

const TABLE: &str = "muc_listener";

const ADD: Statement = Statement::on(
    TABLE,
    "INSERT INTO muc_listener (service_txt, real_hash, real_txt, since_ms)
     SELECT f.name_txt, ?, ?, {now_ms} FROM muc_fence f WHERE f.name_txt = ? AND f.epoch = ?",
);
const REMOVE: Statement = Statement::on(TABLE, "DELETE FROM muc_listener WHERE service_txt = ? AND real_hash = ?");
const LOAD: Statement =
    Statement::on(TABLE, "SELECT real_txt FROM muc_listener WHERE service_txt = ? ORDER BY since_ms {first}");
/// Rooms with the user on their lists in which something was said that the user has not seen. Who is on a list with a
/// kept nick alone may be banned with a whole domain: such rooms are left out.
const ACTIVE: Statement = Statement::on(
    affiliations::TABLE,
    "SELECT r.name_txt, r.config_txt, a.affil_txt FROM muc_affiliation a JOIN muc_room r ON r.room_id = a.room_id
     WHERE a.user_hash = ? AND r.service_txt = ? AND r.state_txt = 'open' AND a.affil_txt <> 'outcast'
     AND (r.last_seq > a.seen_seq OR EXISTS (SELECT 1 FROM muc_message m WHERE m.room_id = a.room_id
     AND m.seq > a.seen_seq AND m.body_txt IS NOT NULL))
     AND (a.affil_txt <> 'none' OR NOT EXISTS (SELECT 1 FROM muc_affiliation d WHERE d.room_id = a.room_id
     AND d.affil_txt = 'outcast' AND d.user_txt NOT LIKE '%@%'))
     ORDER BY r.name_txt {first}",
);

impl SqlStore {
    /// Notes that `session` wants to be told of activity; nothing comes of it in a later epoch than `epoch`.
    pub async fn add_listener(&self, service: &str, epoch: Epoch, session: &Jid) -> Result<(), StoreError> {
        self.bounded(async {
            let mut noter = self.noter().await?;
            noter.execute(REMOVE, &[service.into(), key::of_jid(session).into()]).await?;
            let values = [key::of_jid(session).into(), session.as_str().into(), service.into(), epoch.0.into()];
            noter.execute(ADD, &values).await.map(|_| ())
        })
        .await
    }

    /// Forgets that `session` wanted to be told.
    pub async fn remove_listener(&self, service: &str, session: &Jid) -> Result<(), StoreError> {
        let values = [service.into(), key::of_jid(session).into()];
        self.bounded(async { self.noter().await?.execute(REMOVE, &values).await.map(|_| ()) }).await
    }

    /// The sessions to be told, in the order they asked, `max` of them at most.
    pub async fn listeners(&self, service: &str, max: u32) -> Result<Vec<Jid>, StoreError> {
        self.bounded(async {
            let rows = self.reader().await?.fetch(LOAD, &[service.into(), i64::from(max).into()]).await?;
            let read = |mut row: Row| Jid::parse(&row.text()?).map_err(|why| format!("real_txt: {why}"));
            let jids: Result<Vec<Jid>, String> = rows.into_iter().map(read).collect();
            jids.map_err(|what| StoreError::Damaged { table: TABLE, what })
        })
        .await
    }

    /// Rooms that `user` could enter and in which something was said since it was last inside, by name; those among the
    /// first `max` in which something was said.
    pub async fn active_rooms(&self, service: &str, user: &BareJid, max: u32) -> Result<Vec<BareJid>, StoreError> {
        self.bounded(async {
            let values = [key::of_bare(user).into(), service.into(), i64::from(max).into()];
            let rows = self.reader().await?.fetch(ACTIVE, &values).await?;
            let rooms: Result<Vec<_>, String> = rows.into_iter().map(|row| read_active(row, service)).collect();
            let rooms = rooms.map_err(|what| StoreError::Damaged { table: affiliations::TABLE, what })?;
            Ok(rooms.into_iter().flatten().collect())
        })
        .await
    }
}

/// The room, if the user could enter it.
fn read_active(mut row: Row, service: &str) -> Result<Option<BareJid>, String> {
    let (name, config, affiliation) = (row.text()?, row.text()?, row.text()?);
    let room = BareJid::parse(&format!("{name}@{service}")).map_err(|why| format!("room {name:?}: {why}"))?;
    // A room that cannot be read is told of by who enters it.
    let Ok(config) = serde_json::from_str::<RoomConfig>(&config) else { return Ok(None) };
    let is_member = Affiliation::parse(&affiliation).is_some_and(|affiliation| affiliation >= Affiliation::Member);
    let may_enter = is_member || !config.is_members_only && config.password.is_none();
    Ok(may_enter.then_some(room))
}
