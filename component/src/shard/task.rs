//! The shard's one task: route to the room, load it if need be, run it, wake it, let it go.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;
use tandem_muc_core::name::BareJid;
use tandem_muc_core::record::RoomImage;
use tandem_muc_core::room::{Room, ServiceRules};
use tandem_muc_core::stanza::{Condition, StanzaError};
use tandem_muc_core::time::Moment;
use tokio::sync::mpsc;
use tracing::{error, warn};

use super::clock::{Clock, new_room_id};
use super::slot::{Errand, Live, Slot};
use super::{Mail, Setup};
use crate::journal::{Entry, Health, Life, Notice};
use crate::store::{HistoryWanted, StoreError};
use crate::telemetry;

/// How often idle rooms are looked for.
const SWEEP: Duration = Duration::from_secs(5);

pub(super) struct Task {
    setup: Setup,
    mailbox: mpsc::Receiver<Mail>,
    notices: mpsc::UnboundedReceiver<Notice>,
    loads: mpsc::UnboundedReceiver<Load>,
    loaded: mpsc::UnboundedSender<Load>,
    rooms: HashMap<BareJid, Slot, RandomState>,
    wakes: BTreeSet<(Moment, BareJid)>,
    clock: Clock,
    lives: u64,
}

/// The store's answer about a room.
struct Load {
    jid: BareJid,
    image: Result<Option<RoomImage>, StoreError>,
}

impl Task {
    pub(super) fn new(setup: Setup, mailbox: mpsc::Receiver<Mail>, notices: mpsc::UnboundedReceiver<Notice>) -> Task {
        let (loaded, loads) = mpsc::unbounded_channel();
        let rooms = HashMap::with_hasher(RandomState::default());
        Task { setup, mailbox, notices, loads, loaded, rooms, wakes: BTreeSet::new(), clock: Clock::start(), lives: 0 }
    }

    pub(super) async fn run(mut self) {
        let mut sweep = tokio::time::interval(SWEEP);
        let mut is_open = true;
        while is_open || self.is_loading() {
            let wake = self.wakes.first().map(|(moment, _)| self.clock.instant(*moment));
            tokio::select! {
                biased;
                Some(notice) = self.notices.recv() => self.heed(notice),
                Some(load) = self.loads.recv() => self.settle_in(load).await,
                mail = self.mailbox.recv(), if is_open => match mail {
                    Some(Mail::Stanza(inbound)) => self.receive(inbound.to.to_bare(), Errand::Stanza(inbound)).await,
                    Some(Mail::Repeat(jid, message)) => self.receive(jid, Errand::Repeat(message)).await,
                    Some(Mail::Rules(rules)) => self.obey(rules),
                    None => is_open = false,
                },
                () = at(wake), if wake.is_some() => self.wake().await,
                _ = sweep.tick() => self.sweep().await,
            }
        }
    }

    fn is_loading(&self) -> bool {
        self.rooms.values().any(|slot| matches!(slot, Slot::Loading(_)))
    }

    async fn receive(&mut self, jid: BareJid, errand: Errand) {
        match self.rooms.get_mut(&jid) {
            Some(Slot::Live(_)) => self.handle(&jid, errand).await,
            Some(Slot::Loading(waiting)) if waiting.len() < self.setup.mailbox_max => waiting.push_back(errand),
            Some(Slot::Loading(_)) => self.refuse(&errand, &please_wait()).await,
            None => {
                self.load(&jid);
                self.rooms.insert(jid, Slot::Loading(VecDeque::from([errand])));
            }
        }
    }

    fn load(&self, jid: &BareJid) {
        let (store, domain, jid, loaded) =
            (self.setup.store.clone(), self.setup.domain.clone(), jid.clone(), self.loaded.clone());
        let wanted = HistoryWanted::UpTo(self.setup.rules.history_max);
        tokio::spawn(async move {
            let image = store.load_room(&domain, &jid, wanted).await;
            let _ = loaded.send(Load { jid, image });
        });
    }

    async fn settle_in(&mut self, Load { jid, image }: Load) {
        let Some(Slot::Loading(waiting)) = self.rooms.remove(&jid) else { return };
        let room = match image {
            Ok(Some(image)) => Room::restore(jid.clone(), self.setup.rules.clone(), image),
            Ok(None) => Room::vacant(new_room_id(), jid.clone(), self.setup.rules.clone()),
            Err(why) => return self.turn_away(&jid, waiting, &why).await,
        };
        self.lives += 1;
        let life = Life { room: room.id(), jid: jid.clone(), nth: self.life_number(), shard: self.setup.nth };
        let live = Live { room, life, turn: 0, asked: None, touched: Instant::now() };
        self.rooms.insert(jid.clone(), Slot::Live(Box::new(live)));
        for errand in waiting {
            // A vacant room is let go at once, so one that waited with others may find it gone.
            self.receive(jid.clone(), errand).await;
        }
    }

    fn life_number(&self) -> u64 {
        self.lives << 8 | (self.setup.nth as u64 & 0xff)
    }

    async fn turn_away(&self, jid: &BareJid, waiting: VecDeque<Errand>, why: &StoreError) {
        let answer = match why {
            StoreError::Damaged { .. } => {
                error!(room = %jid, why = %why, "room damaged: it cannot be loaded; all others go on");
                StanzaError::new(Condition::InternalServerError, "The room cannot be read; its operator has been told.")
            }
            StoreError::Unavailable(_) | StoreError::Fenced { .. } => {
                warn!(room = %jid, why = %why, "store: room not loaded; who asked is told to wait");
                please_wait()
            }
        };
        for errand in waiting {
            self.refuse(&errand, &answer).await;
        }
    }

    async fn refuse(&self, errand: &Errand, why: &StanzaError) {
        if let Errand::Stanza(inbound) = errand
            && let Some(answer) = inbound.error(why)
        {
            self.setup.journal.submit(Entry::Lobby(answer)).await;
        }
    }

    async fn handle(&mut self, jid: &BareJid, errand: Errand) {
        let Some(Slot::Live(live)) = self.rooms.get_mut(jid) else { return };
        let outcome = live.run(self.clock, &errand);
        if let Some(moment) = outcome.wake {
            self.wakes.insert((moment, jid.clone()));
        }
        let has_facts = !outcome.records.is_empty();
        let (is_vacant, is_untouched) = (live.room.is_vacant(), live.turn == 1);
        if has_facts || !outcome.outbound.is_empty() {
            let asked = match errand {
                Errand::Stanza(inbound) => Some(inbound),
                Errand::Repeat(_) | Errand::Tick => None,
            };
            let (life, records, words) = (live.life.clone(), outcome.records, outcome.outbound);
            self.setup.journal.submit(Entry::Said { life, records, words, asked }).await;
        }
        if is_vacant && is_untouched && !has_facts {
            self.rooms.remove(jid);
        } else if is_vacant {
            self.ask_to_settle(jid).await;
        }
    }

    async fn ask_to_settle(&mut self, jid: &BareJid) {
        let Some(Slot::Live(live)) = self.rooms.get_mut(jid) else { return };
        if live.asked == Some(live.turn) {
            return;
        }
        live.asked = Some(live.turn);
        let entry = Entry::Settle { life: live.life.clone(), turn: live.turn };
        self.setup.journal.submit(entry).await;
    }

    fn heed(&mut self, notice: Notice) {
        match notice {
            Notice::Settled { life, turn } => {
                if let Some(Slot::Live(live)) = self.rooms.get(&life.jid)
                    && live.life == life
                    && live.turn == turn
                    && (live.room.is_quiet() || live.room.is_vacant())
                {
                    self.rooms.remove(&life.jid);
                }
            }
            Notice::Damaged { life } => {
                if matches!(self.rooms.get(&life.jid), Some(Slot::Live(live)) if live.life == life) {
                    self.rooms.remove(&life.jid);
                }
            }
        }
    }

    async fn wake(&mut self) {
        let now = self.clock.moment();
        while let Some((moment, _)) = self.wakes.first()
            && *moment <= now
            && let Some((_, jid)) = self.wakes.pop_first()
        {
            self.handle(&jid, Errand::Tick).await;
        }
    }

    /// Counts what is loaded and asks the journal about rooms that have been idle for long.
    async fn sweep(&mut self) {
        let (mut idle, mut occupants) = (Vec::new(), 0);
        for (jid, slot) in &self.rooms {
            let Slot::Live(live) = slot else { continue };
            occupants += live.room.occupants();
            if live.room.is_quiet() && live.touched.elapsed() >= self.setup.idle {
                idle.push(jid.clone());
            }
        }
        let labels = [("domain", self.setup.domain.clone()), ("shard", self.setup.nth.to_string())];
        #[expect(clippy::cast_precision_loss, reason = "rooms and occupants are far fewer than 2^52")]
        {
            metrics::gauge!(telemetry::ROOMS_LOADED, &labels).set(self.rooms.len() as f64);
            metrics::gauge!(telemetry::OCCUPANTS, &labels).set(occupants as f64);
        }
        if self.setup.journal.health() != Health::Fine {
            return;
        }
        for jid in idle {
            self.ask_to_settle(&jid).await;
        }
    }

    fn obey(&mut self, rules: Arc<ServiceRules>) {
        for slot in self.rooms.values_mut() {
            if let Slot::Live(live) = slot {
                live.room.obey(rules.clone());
            }
        }
        self.setup.rules = rules;
    }
}

fn please_wait() -> StanzaError {
    StanzaError::new(
        Condition::ResourceConstraint,
        "The rooms' database does not answer; please try again in a moment.",
    )
}

async fn at(wake: Option<Instant>) {
    if let Some(instant) = wake {
        tokio::time::sleep_until(instant.into()).await;
    }
}
