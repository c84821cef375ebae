//! Sessions as PostgreSQL sees them: this program knows its own by number and can end those of another node by name.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::store::connection::Wire;
use crate::store::error::Trouble;

/// Of the same user, for others may not be ended; but none of those listed.
const END_SESSIONS: &str =
    "SELECT COUNT(CASE WHEN pg_terminate_backend(pid) THEN 1 END) FROM pg_catalog.pg_stat_activity
     WHERE application_name = ? AND datname = current_database() AND usename = current_user
     AND STRPOS(?, ',' || CAST(pid AS TEXT) || ',') = 0";

/// The sessions of this program, by number.
pub(super) type Pids = Arc<Mutex<BTreeSet<i64>>>;

/// The number of a session, in the list as long as its connection lives.
pub(super) struct OwnPid {
    pid: i64,
    list: Pids,
}

impl OwnPid {
    pub(super) fn listed(pid: i64, list: &Pids) -> OwnPid {
        listed(list).insert(pid);
        OwnPid { pid, list: list.clone() }
    }
}

impl Drop for OwnPid {
    fn drop(&mut self) {
        listed(&self.list).remove(&self.pid);
    }
}

fn listed(list: &Pids) -> MutexGuard<'_, BTreeSet<i64>> {
    list.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ends the sessions with that label but those in `own`; how many.
pub(super) async fn end(wire: &mut dyn Wire, label: &str, own: &Pids) -> Result<u64, Trouble> {
    let spared: String = listed(own).iter().map(|pid| format!("{pid},")).collect();
    let rows = wire.fetch(END_SESSIONS, &[label.into(), format!(",{spared}").into()]).await?;
    Ok(rows.into_iter().next().and_then(|mut row| row.count().ok()).unwrap_or_default())
}
