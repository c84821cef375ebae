//! The shard's one task: route to the room, load it if need be, run it, wake it, let it go.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;
use tandem_muc_core::name::BareJid;
use tandem_muc_core::record::RoomImage;
use tandem_muc_core::room::{Found, Lookup, Room, ServiceRules};
use tandem_muc_core::stanza::{Condition, Inbound, Stanza, StanzaError};
use tandem_muc_core::time::Moment;
use tokio::sync::{mpsc, watch};
use tracing::{error, warn};

use super::archives::busy;
use super::clock::{Clock, new_room_id};
use super::slot::{Errand, Live, Slot};
use super::{Mail, Setup};
use crate::journal::{Entry, Health, Life, Notice, please_wait};
use crate::store::{HistoryWanted, StoreError};
use crate::stream::Ticket;
use crate::telemetry;

/// How often idle rooms are looked for.
const SWEEP: Duration = Duration::from_secs(5);
/// Rooms asked of the store at once; while so many are awaited the mailbox waits, so that names made up by a
/// stranger fill neither memory nor the store's queue.
const LOADS_MAX: usize = 256;
/// The pause before a room that could not be loaded is asked for again, where nobody is there to be told to wait.
const AGAIN: Duration = Duration::from_millis(250);

pub(super) struct Task {
    setup: Setup,
    mailbox: mpsc::Receiver<Mail>,
    notices: mpsc::UnboundedReceiver<Notice>,
    loads: mpsc::UnboundedReceiver<Load>,
    loaded: mpsc::UnboundedSender<Load>,
    looks: mpsc::UnboundedReceiver<Look>,
    looked: mpsc::UnboundedSender<Look>,
    rooms: HashMap<BareJid, Slot, RandomState>,
    /// At most one for each room: the one its [`Live`] knows.
    wakes: BTreeSet<(Moment, BareJid)>,
    /// Rooms the store was asked for.
    loading: usize,
    /// Lookups in archives under way.
    looking: usize,
    /// Errands that wait for them: with a mailbox full of those nothing more is taken, so that a backlog for one room -
    /// after a takeover there are many - waits in its order instead of being refused.
    waiting: usize,
    is_open: bool,
    freezing: Option<Freezing>,
    clock: Clock,
    lives: u64,
}

/// Who waits for it to stand still, and how long it does.
type Freezing = (mpsc::UnboundedSender<()>, watch::Receiver<bool>);

/// The store's answer about a room.
struct Load {
    jid: BareJid,
    image: Result<Option<RoomImage>, StoreError>,
}

/// What an archive has to say to one request.
struct Look {
    asked: Arc<Inbound>,
    ticket: Option<Ticket>,
    lookup: Arc<Lookup>,
    found: Result<Found, StoreError>,
}

impl Task {
    pub(super) fn new(setup: Setup, mailbox: mpsc::Receiver<Mail>, notices: mpsc::UnboundedReceiver<Notice>) -> Task {
        let (loaded, loads) = mpsc::unbounded_channel();
        let (looked, looks) = mpsc::unbounded_channel();
        let rooms = HashMap::with_hasher(RandomState::default());
        let (wakes, clock) = (BTreeSet::new(), Clock::start());
        Task {
            setup,
            mailbox,
            notices,
            loads,
            loaded,
            looks,
            looked,
            rooms,
            wakes,
            loading: 0,
            looking: 0,
            waiting: 0,
            is_open: true,
            freezing: None,
            clock,
            lives: 0,
        }
    }

    pub(super) async fn run(mut self) {
        let mut sweep = tokio::time::interval(SWEEP);
        while self.is_open || self.has_pending() {
            if !self.has_pending()
                && let Some((done, thawed)) = self.freezing.take()
            {
                self.stand_still(&done, thawed).await;
            }
            let wake = self.wakes.first().map(|(moment, _)| self.clock.instant(*moment));
            let may_take = self.is_open && self.loading < LOADS_MAX && self.waiting < self.setup.mailbox_max;
            // The mailbox comes last: under load it is never empty, and what is rare must not wait for that.
            tokio::select! {
                biased;
                Some(notice) = self.notices.recv() => self.heed(notice),
                Some(load) = self.loads.recv() => self.settle_in(load).await,
                Some(look) = self.looks.recv() => self.go_on(look).await,
                () = at(wake), if wake.is_some() => self.wake().await,
                _ = sweep.tick() => self.sweep().await,
                mail = self.mailbox.recv(), if may_take => match mail {
                    Some(Mail::Stanza(inbound, ticket)) => {
                        self.receive(inbound.to.to_bare(), Errand::Stanza(inbound, ticket)).await;
                    }
                    Some(Mail::Repeat(jid, tail, repeated)) => {
                        self.receive(jid, Errand::Repeat(tail, repeated)).await;
                    }
                    Some(Mail::Expire(jid, upto)) => self.receive(jid, Errand::Expire(upto)).await,
                    Some(Mail::Freeze(done, thawed)) => self.freezing = Some((done, thawed)),
                    Some(Mail::Rules(rules)) => self.obey(rules).await,
                    None => self.is_open = false,
                },
            }
        }
    }

    /// Whether somebody waits for what is asked of the store.
    fn has_pending(&self) -> bool {
        self.loading + self.looking > 0
    }

    async fn stand_still(&mut self, done: &mpsc::UnboundedSender<()>, mut thawed: watch::Receiver<bool>) {
        let _ = done.send(());
        // Nobody is left to thaw it: the reign is over.
        self.is_open &= thawed.wait_for(|is_thawed| *is_thawed).await.is_ok();
    }

    async fn receive(&mut self, jid: BareJid, errand: Errand) {
        match self.rooms.get_mut(&jid) {
            Some(Slot::Live(_)) => self.handle(&jid, errand).await,
            Some(Slot::Loading(waiting)) => {
                waiting.push_back(errand);
                self.waiting += 1;
            }
            None => self.load(jid, VecDeque::from([errand]), Duration::ZERO),
        }
    }

    fn load(&mut self, jid: BareJid, waiting: VecDeque<Errand>, pause: Duration) {
        let (store, domain, jid, loaded) =
            (self.setup.store.clone(), self.setup.domain.clone(), jid, self.loaded.clone());
        let wanted = HistoryWanted::UpTo(self.setup.rules.history_max);
        self.loading += 1;
        self.waiting += waiting.len();
        self.rooms.insert(jid.clone(), Slot::Loading(waiting));
        tokio::spawn(async move {
            tokio::time::sleep(pause).await;
            let image = store.load_room(&domain, &jid, wanted).await;
            let _ = loaded.send(Load { jid, image });
        });
    }

    async fn settle_in(&mut self, Load { jid, image }: Load) {
        self.loading -= 1;
        let Some(Slot::Loading(waiting)) = self.rooms.remove(&jid) else { return };
        self.waiting -= waiting.len();
        let room = match image {
            Ok(Some(image)) => Room::restore(jid.clone(), self.setup.rules.clone(), image),
            Ok(None) => Room::vacant(new_room_id(), jid.clone(), self.setup.rules.clone()),
            Err(why) => return self.turn_away(jid, waiting, &why).await,
        };
        self.lives += 1;
        let life = Life { room: room.id(), jid: jid.clone(), nth: self.life_number(), shard: self.setup.nth };
        let live = Live { room, life, turn: 0, asked: None, wake: None, touched: Instant::now() };
        self.rooms.insert(jid.clone(), Slot::Live(Box::new(live)));
        for errand in waiting {
            // A vacant room is let go at once, so one that waited with others may find it gone.
            self.receive(jid.clone(), errand).await;
        }
    }

    fn life_number(&self) -> u64 {
        self.lives << 8 | (self.setup.nth as u64 & 0xff)
    }

    async fn turn_away(&mut self, jid: BareJid, waiting: VecDeque<Errand>, why: &StoreError) {
        let answer = answer_to(&jid, why);
        let (repeats, others): (VecDeque<_>, VecDeque<_>) =
            waiting.into_iter().partition(|errand| matches!(errand, Errand::Repeat(..)));
        for errand in others {
            self.refuse(&errand, &answer).await;
        }
        match why {
            StoreError::Unavailable(_) if self.is_open && !repeats.is_empty() => self.load(jid, repeats, AGAIN),
            // The next to start tries again.
            StoreError::Unavailable(_) | StoreError::Fenced { .. } => {}
            StoreError::Damaged { .. } => repeats.iter().for_each(Errand::note_repeated),
        }
    }

    async fn refuse(&self, errand: &Errand, why: &StanzaError) {
        if let Some((asked, ticket)) = errand.asked() {
            self.apologize(asked, ticket, why).await;
        }
    }

    async fn apologize(&self, asked: &Inbound, ticket: Option<Ticket>, why: &StanzaError) {
        self.setup.journal.submit(Entry::Lobby { word: asked.error(why), ticket }).await;
    }

    /// Looks into a room's archive beside everything else; the request is answered once that is done.
    async fn look(&mut self, asked: &Inbound, ticket: Option<Ticket>, lookup: Lookup) {
        let Some(place) = self.setup.archives.admit(asked.stanza.from.to_bare()) else {
            return self.apologize(asked, ticket, &busy()).await;
        };
        // What was asked is in the lookup; a long query does not wait with it.
        let stanza = Stanza { payload: Vec::new(), ..asked.stanza.clone() };
        let asked = Arc::new(Inbound { stanza, to: asked.to.clone() });
        let (lookup, looked) = (Arc::new(lookup), self.looked.clone());
        self.looking += 1;
        tokio::spawn(async move {
            let found = place.look(&lookup).await;
            let _ = looked.send(Look { asked, ticket, lookup, found });
        });
    }

    async fn go_on(&mut self, Look { asked, ticket, lookup, found }: Look) {
        self.looking -= 1;
        match found {
            Ok(found) => {
                let found = Arc::new(found);
                self.receive(asked.to.to_bare(), Errand::Found { asked, ticket, lookup, found }).await;
            }
            Err(why) => {
                let answer = answer_to(&asked.to.to_bare(), &why);
                self.apologize(&asked, ticket, &answer).await;
            }
        }
    }

    async fn handle(&mut self, jid: &BareJid, errand: Errand) {
        let Some(Slot::Live(live)) = self.rooms.get_mut(jid) else { return };
        let mut outcome = live.run(self.clock, &errand);
        if live.wake != outcome.wake {
            if let Some(before) = std::mem::replace(&mut live.wake, outcome.wake) {
                self.wakes.remove(&(before, jid.clone()));
            }
            self.wakes.extend(outcome.wake.map(|moment| (moment, jid.clone())));
        }
        let has_facts = !outcome.records.is_empty();
        let (is_vacant, is_untouched) = (live.room.is_vacant(), live.turn == 1);
        let (asked, mut ticket) = errand.asked().map_or((None, None), |(asked, ticket)| (Some(asked.clone()), ticket));
        if let (Some(lookup), Some(asked)) = (outcome.lookup.take(), &asked) {
            self.look(asked, ticket.take(), lookup).await;
        }
        let Some(Slot::Live(live)) = self.rooms.get(jid) else { return };
        if has_facts || !outcome.outbound.is_empty() || ticket.is_some() {
            let (life, records, mut words) = (live.life.clone(), outcome.records, outcome.outbound);
            words.extend(self.setup.listeners.word(jid, &outcome.activity));
            self.setup.journal.submit(Entry::Said { life, records, words, asked, ticket }).await;
        }
        errand.note_repeated();
        if is_vacant && is_untouched && !has_facts {
            self.forget(jid);
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

    fn forget(&mut self, jid: &BareJid) {
        if let Some(Slot::Live(live)) = self.rooms.remove(jid)
            && let Some(moment) = live.wake
        {
            self.wakes.remove(&(moment, jid.clone()));
        }
    }

    fn heed(&mut self, notice: Notice) {
        match notice {
            Notice::Settled { life, turn } => {
                if let Some(Slot::Live(live)) = self.rooms.get(&life.jid)
                    && live.life == life
                    && live.turn == turn
                    && (live.room.is_quiet() || live.room.is_vacant())
                {
                    self.forget(&life.jid);
                }
            }
            Notice::Damaged { life } => {
                if matches!(self.rooms.get(&life.jid), Some(Slot::Live(live)) if live.life == life) {
                    self.forget(&life.jid);
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
            if let Some(Slot::Live(live)) = self.rooms.get_mut(&jid) {
                live.wake = None;
            }
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

    /// Rooms with people inside are told at once, for some may be kept out from now on.
    async fn obey(&mut self, rules: Arc<ServiceRules>) {
        let mut peopled = Vec::new();
        for (jid, slot) in &mut self.rooms {
            if let Slot::Live(live) = slot {
                live.room.obey(rules.clone());
                peopled.extend((live.room.occupants() > 0).then(|| jid.clone()));
            }
        }
        self.setup.rules = rules;
        for jid in peopled {
            self.handle(&jid, Errand::Tick).await;
        }
    }
}

/// What who asked is told where the store does not give what it takes to answer.
fn answer_to(room: &BareJid, why: &StoreError) -> StanzaError {
    match why {
        StoreError::Damaged { .. } => {
            error!(room = %room, why = %why, "room damaged: it cannot be read; all others go on");
            StanzaError::new(Condition::InternalServerError, "The room cannot be read; its operator has been told.")
        }
        StoreError::Unavailable(_) | StoreError::Fenced { .. } => {
            warn!(room = %room, why = %why, "store: room not read; who asked is told to wait");
            please_wait()
        }
    }
}

async fn at(wake: Option<Instant>) {
    if let Some(instant) = wake {
        tokio::time::sleep_until(instant.into()).await;
    }
}
