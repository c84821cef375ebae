//! Retention: what rooms kept for as long as they are to leaves their archives, by the holder, in the background, some
//! hundred messages at a time. A room is asked to let go of them, so that its memory, the database and the order of
//! what happens agree, and the fence guards it like any other change. What is gone does not come back, so a clock that
//! cannot be right removes nothing.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tandem_muc_core::name::BareJid;
use tandem_muc_core::record::RoomId;
use tandem_muc_core::room::ServiceRules;
use tandem_muc_core::time::Utc;
use tokio::sync::watch;
use tokio::time::sleep;
use tracing::{error, info, warn};

use super::dispatch::shard_of;
use super::{Reloads, turned};
use crate::shard::{Mail, Shard};
use crate::store::SqlStore;

/// When the first round begins: not in the middle of a takeover.
const FIRST: Duration = Duration::from_secs(10);
/// The time between rounds; retention is a matter of days.
const BETWEEN: Duration = Duration::from_secs(3_600);
/// The pause after each batch and each page of rooms: talk comes first.
const PAUSE: Duration = Duration::from_millis(200);
/// Messages let go of at once.
const BATCH: u32 = 500;
/// Batches of one room in one round; the rest waits for the next.
const BATCHES_MAX: usize = 200;
/// This machine's clock and the database's may differ by so much: retention is a matter of days.
const CLOCKS_AGREE_MS: u64 = 3_600_000;
/// Rooms looked at at once.
const ROOMS: u32 = 100;

/// The rounds of one domain.
pub(super) struct Expiry {
    pub(super) domain: String,
    pub(super) store: SqlStore,
    pub(super) shards: Vec<Shard>,
    pub(super) rules: Arc<ServiceRules>,
    pub(super) reloads: Reloads,
}

impl Expiry {
    /// Goes its rounds until `quits` turns true.
    pub(super) async fn run(mut self, mut quits: watch::Receiver<bool>) {
        tokio::select! {
            () = turned(&mut quits) => {}
            () = self.rounds() => {}
        }
    }

    async fn rounds(&mut self) {
        sleep(FIRST).await;
        loop {
            self.read_rules();
            if self.may_trust_the_clock().await {
                self.round().await;
            }
            sleep(BETWEEN).await;
        }
    }

    fn read_rules(&mut self) {
        let config = self.reloads.borrow_and_update().clone();
        let services = config.iter().flat_map(|config| &config.services);
        if let Some(service) = services.into_iter().find(|service| service.domain.0.as_str() == self.domain) {
            self.rules = Arc::new(service.rules());
        }
    }

    /// A machine that starts with the time of its battery would let go of whole archives.
    async fn may_trust_the_clock(&self) -> bool {
        let differs_ms = match self.store.database_clock().await {
            Ok(theirs) => theirs.map_or(0, |theirs| now().0.saturating_sub(theirs.0)),
            Err(why) => {
                warn!(domain = self.domain, %why, "no look for old messages: the database did not say what time it is");
                return false;
            }
        };
        let agrees = differs_ms.unsigned_abs() <= CLOCKS_AGREE_MS;
        if !agrees {
            let domain = self.domain.as_str();
            error!(
                domain,
                differs_ms,
                "clock: this machine and the database disagree on the time; no old messages leave the archives until they agree"
            );
        }
        agrees
    }

    async fn round(&self) {
        let (mut after, mut batches) = (RoomId(0), 0);
        loop {
            let rooms = match self.store.configured_rooms(&self.domain, after, ROOMS).await {
                Ok(rooms) => rooms,
                Err(why) => return warn!(domain = self.domain, %why, "the look for old messages ends early"),
            };
            let Some((last, ..)) = rooms.last() else { break };
            after = *last;
            for (room, jid, config) in rooms {
                if let Some(before) = config.and_then(|config| self.rules.archived_from(&config, now())) {
                    batches += self.clear(room, &jid, before).await;
                }
            }
            sleep(PAUSE).await;
        }
        if batches > 0 {
            info!(domain = self.domain, batches, "old messages left the archives");
        }
    }

    /// Has the room let go of what is too old; the number of batches it took.
    async fn clear(&self, room: RoomId, jid: &BareJid, before: Utc) -> usize {
        let shard = &self.shards[shard_of(jid.as_str(), self.shards.len())];
        for batches in 0..BATCHES_MAX {
            match self.store.oldest_before(room, before, BATCH).await {
                Ok(Some(upto)) => shard.send(Mail::Expire(jid.clone(), upto)).await,
                Ok(None) => return batches,
                Err(why) => {
                    warn!(room = %jid, %why, "old messages stay in the archive for now");
                    return batches;
                }
            }
            sleep(PAUSE).await;
        }
        BATCHES_MAX
    }
}

fn now() -> Utc {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Utc(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
