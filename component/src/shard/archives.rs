//! Looking into archives for a domain's rooms, beside everything else: so many at once, so many that wait, and of one
//! asker one at a time, so that neither talk nor the other askers wait for who reads a lot.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tandem_muc_core::name::BareJid;
use tandem_muc_core::room::{Found, Lookup};
use tandem_muc_core::stanza::{Condition, StanzaError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::store::{ARCHIVISTS, SqlStore, StoreError};

/// Lookups that may wait, over all askers of a domain.
const WAITING_MAX: usize = 1_000;
/// Lookups of one asker that may wait: a client that comes back asks in each of its rooms.
const OF_ONE_MAX: usize = 100;

/// The archives of one domain; clones share the bounds.
#[derive(Clone, Debug)]
pub struct Archives {
    store: SqlStore,
    at_once: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    askers: Arc<Mutex<HashMap<BareJid, Asker>>>,
}

/// What one asker has under way.
#[derive(Debug)]
struct Asker {
    turn: Arc<Semaphore>,
    count: usize,
}

/// A place among those that wait.
#[derive(Debug)]
pub(super) struct Place {
    archives: Archives,
    asker: BareJid,
    turn: Arc<Semaphore>,
    _waiting: OwnedSemaphorePermit,
}

impl Archives {
    /// Of the rooms in `store`.
    pub fn new(store: SqlStore) -> Archives {
        let (at_once, waiting) = (Arc::new(Semaphore::new(ARCHIVISTS)), Arc::new(Semaphore::new(WAITING_MAX)));
        Archives { store, at_once, waiting, askers: Arc::default() }
    }

    /// A place for one more lookup of `asker`, if there is one.
    pub(super) fn admit(&self, asker: BareJid) -> Option<Place> {
        let waiting = self.waiting.clone().try_acquire_owned().ok()?;
        let turn = {
            let mut askers = self.askers();
            let known =
                askers.entry(asker.clone()).or_insert_with(|| Asker { turn: Arc::new(Semaphore::new(1)), count: 0 });
            if known.count >= OF_ONE_MAX {
                return None;
            }
            known.count += 1;
            known.turn.clone()
        };
        Some(Place { archives: self.clone(), asker, turn, _waiting: waiting })
    }

    fn askers(&self) -> MutexGuard<'_, HashMap<BareJid, Asker>> {
        self.askers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Looks when it is its turn.
    pub(super) async fn look(self, lookup: &Lookup) -> Result<Found, StoreError> {
        let _turn = self.turn.acquire().await;
        let _permit = self.archives.at_once.acquire().await;
        self.archives.store.look(lookup.room, &lookup.search).await
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut askers = self.archives.askers();
        let is_last = askers.get_mut(&self.asker).is_some_and(|asker| {
            asker.count -= 1;
            asker.count == 0
        });
        if is_last {
            askers.remove(&self.asker);
        }
    }
}

/// What is answered where too many lookups wait.
pub(super) fn busy() -> StanzaError {
    StanzaError::new(Condition::ResourceConstraint, "Too many read the archives just now; please try again soon.")
}
