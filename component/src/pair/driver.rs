//! The loop: events to the engine, actions to the world.

use std::sync::Arc;
use std::time::{Duration, Instant as Clock};

use tandem_muc_core::pair::{Action, Event, Level, Order, Pair, Verdict};
use tandem_muc_core::time::Moment;
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tracing::info;

use super::keep::{self, Back, BackTo, LockBox};
use super::look::{Look, Looker};
use super::scribe::Scribe;
use super::{Report, Setup};
use crate::fail;
use crate::reign::{Frozen, News, Reign, Vitals, turned};
use crate::store::{Acquired, Duty, Epoch, Lease, StoreError};
use crate::stream::{Gatekeeper, Path, Standby, StreamState};

/// For so long, which is for ever, a node without a twin may speak.
const ALONE: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
/// How often the engine sees time pass.
const TICK: Duration = Duration::from_millis(50);
/// How often the connection that has the session lock is looked at.
const GUARD: Duration = Duration::from_millis(100);
/// How long the first try of the stream may take.
const FIRST_TRY: Duration = Duration::from_millis(300);
/// How long the last lines of history may take.
pub(super) const LAST_LINES: Duration = Duration::from_millis(700);

/// The reign under way, as the driver holds it.
pub(super) struct Crown {
    pub(super) nth: u64,
    pub(super) lease: Lease,
    pub(super) keeper: Gatekeeper,
    pub(super) reign: Option<Reign>,
    pub(super) frozen: Option<Frozen>,
    pub(super) is_handing: bool,
    pub(super) is_overdue: bool,
}

pub(super) struct Driver {
    pub(super) setup: Arc<Setup>,
    pub(super) engine: Pair,
    pub(super) started: Clock,
    pub(super) looker: Looker,
    pub(super) scribe: Scribe,
    pub(super) back: BackTo,
    pub(super) lock: LockBox,
    pub(super) seeking: Option<AbortHandle>,
    pub(super) standby: Option<Standby>,
    pub(super) crown: Option<Crown>,
    pub(super) reigns: u64,
    /// A lease that was had, until the engine says what to do with it.
    pub(super) granted: Option<(Lease, Instant)>,
    pub(super) stream: Option<watch::Receiver<StreamState>>,
    /// How each relay stands, while this node reigns.
    pub(super) paths: Option<watch::Receiver<Vec<Path>>>,
    pub(super) vitals: Option<Vitals>,
    pub(super) level: Option<Level>,
    pub(super) last_gap_ms: Option<u64>,
    pub(super) paused: bool,
    pub(super) looking: Option<JoinHandle<()>>,
    /// Something new is there that the look under way may have missed.
    pub(super) is_nudged: bool,
    /// The session lock is being looked at; and when it was last.
    pub(super) guarding: Option<JoinHandle<()>>,
    pub(super) guarded_at: Instant,
    pub(super) renewing: Option<JoinHandle<()>>,
    /// The duty row on its way to the database.
    pub(super) writing: Option<JoinHandle<()>>,
    pub(super) has_store: bool,
    pub(super) is_over: bool,
}

/// Serves the domain, or stands by, until `stop` turns true and what follows from that is done.
pub async fn run(setup: Setup, mut stop: watch::Receiver<bool>) {
    let setup = Arc::new(setup);
    let (back, mut backs) = mpsc::unbounded_channel();
    let mut driver = Driver::new(setup.clone(), back);
    let (mut tick, mut beat) = (interval(TICK), interval(setup.beat));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    if let Some(standby) = &driver.standby {
        // What is told first is what was found, not that nothing was tried yet.
        let _ = timeout(FIRST_TRY, standby.tried()).await;
    }
    let mut is_stopping = false;
    while !driver.is_over {
        tokio::select! {
            biased;
            Some(back) = backs.recv() => driver.take(back).await,
            () = turned(&mut stop), if !is_stopping => {
                is_stopping = true;
                driver.feed(Event::Stop).await;
            }
            _ = beat.tick() => driver.beat(),
            () = setup.nudges.notified() => driver.nudged(),
            _ = tick.tick() => driver.tick().await,
        }
    }
    driver.finish().await;
}

impl Driver {
    fn new(setup: Arc<Setup>, back: BackTo) -> Driver {
        let looker = Looker::new(setup.clone());
        let (node, domain) = (setup.terms.node.clone(), setup.reign.stream.domain.clone());
        Driver {
            engine: Pair::new(setup.terms.clone(), Moment(0)),
            started: Clock::now(),
            looker,
            scribe: Scribe::start(setup.reign.store.clone(), node, domain),
            back,
            lock: LockBox::default(),
            seeking: None,
            standby: Some(Standby::start(setup.reign.stream.clone(), Err("not tried yet".to_owned()))),
            crown: None,
            reigns: 0,
            granted: None,
            stream: None,
            paths: None,
            vitals: None,
            level: None,
            last_gap_ms: None,
            paused: false,
            looking: None,
            is_nudged: false,
            guarding: None,
            guarded_at: Instant::now(),
            renewing: None,
            writing: None,
            has_store: true,
            is_over: false,
            setup,
        }
    }

    fn now(&self) -> Moment {
        Moment(u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    async fn feed(&mut self, event: Event) {
        let mut actions = Vec::new();
        self.engine.handle(self.now(), &event, &mut actions);
        for action in actions {
            self.act(action).await;
        }
        self.report();
    }

    async fn tick(&mut self) {
        if let Some(crown) = &mut self.crown
            && !crown.keeper.is_open()
            && !crown.is_overdue
            && !crown.is_handing
        {
            crown.is_overdue = true;
            self.feed(Event::LeaseOverdue("the lease could not be renewed in time; words wait".into())).await;
        }
        self.guard_lock();
        self.feed(Event::Tick).await;
    }

    /// A lock whose connection alone is gone is noticed before anybody makes much of it.
    fn guard_lock(&mut self) {
        if self.guarded_at.elapsed() < GUARD || !is_idle(self.guarding.as_ref()) {
            return;
        }
        self.guarded_at = Instant::now();
        let (lock, back) = (self.lock.clone(), self.back.clone());
        self.guarding = Some(tokio::spawn(async move { watch_lock(&lock, &back).await }));
    }

    /// Writes and reads what is due; one look and one renewal at a time.
    fn beat(&mut self) {
        if let Some(crown) = &self.crown
            && !crown.is_handing
            && is_idle(self.renewing.as_ref())
        {
            let renewal = keep::renew(self.setup.clone(), crown.nth, crown.lease.epoch, self.back.clone());
            self.renewing = Some(tokio::spawn(renewal));
        }
        if is_idle(self.looking.as_ref()) {
            self.look();
        }
    }

    /// Looks though no beat is due; once more after the look under way, which may have missed what is new.
    fn nudged(&mut self) {
        self.is_nudged = !is_idle(self.looking.as_ref());
        if !self.is_nudged {
            self.look();
        }
    }

    fn look(&mut self) {
        self.looker.stand(self.duty(), self.paused);
        let (looker, unfit, back) = (self.looker.clone(), self.unfit(), self.back.clone());
        self.looking = Some(tokio::spawn(async move {
            let looked = match looker.beat().await {
                Ok(()) => looker.look(unfit).await,
                Err(why) => Err(why),
            };
            let _ = back.send(Back::Looked(looked.map(Box::new).map_err(|why| why.to_string())));
        }));
    }

    /// The duty row as it stands now, written at once: the other node reads why.
    pub(super) fn write_duty(&mut self) {
        self.looker.stand(self.duty(), self.paused);
        let looker = self.looker.clone();
        self.writing = Some(tokio::spawn(async move {
            if let Err(why) = looker.beat().await {
                tracing::debug!(%why, "the state could not be written; the next beat does");
            }
        }));
    }

    pub(super) fn duty(&self) -> Duty {
        let standing = self.engine.standing();
        let unfit = self.unfit();
        let stream = &self.setup.reign.stream;
        Duty {
            service: stream.domain.clone(),
            home: self.setup.terms.home.clone(),
            twin: self.setup.terms.twin.clone(),
            state: standing.state.to_string(),
            reason: standing.reason.to_string(),
            why: standing.why.clone(),
            is_fit: unfit.is_none(),
            unfit,
            level: self.level().map(|level| level as u8),
            epoch: Epoch(self.crown.as_ref().map_or(0, |crown| crown.lease.epoch.0)),
            gap_ms: self.last_gap_ms,
            secret_tag: self.setup.card.secret_tag.clone(),
            servers: self.attachments().join("\n"),
        }
    }

    /// Why this node could not serve.
    pub(super) fn unfit(&self) -> Option<String> {
        match (&self.standby, &self.stream) {
            (Some(standby), _) => standby.fitness().err(),
            (None, Some(stream)) => match &*stream.borrow() {
                // Closed by us: that says nothing of the server.
                StreamState::Attached { .. } | StreamState::Closed => None,
                other @ (StreamState::Connecting { .. } | StreamState::Outdated { .. }) => Some(other.to_string()),
            },
            (None, None) => None,
        }
    }

    /// Where this node is attached and where not, a line each, while it reigns.
    fn attachments(&self) -> Vec<String> {
        let (Some(paths), Some(stream)) = (&self.paths, &self.stream) else { return Vec::new() };
        let mut all: Vec<String> = paths.borrow().iter().map(Path::to_string).collect();
        if let (StreamState::Attached { server, relay: None, .. }, Some(level)) = (&*stream.borrow(), self.level) {
            all.push(format!("L{} {server}: heard, spoken through", level as u8));
        }
        all
    }

    fn level(&self) -> Option<Level> {
        self.crown.as_ref()?;
        self.level
    }

    fn report(&self) {
        let standing = self.engine.standing().clone();
        self.setup.report.send_modify(|report| {
            *report = Report {
                standing,
                epoch: self.engine.reigns(),
                vitals: self.vitals.clone(),
                gate: self.crown.as_ref().map(|crown| crown.keeper.gate()),
                holder: self.engine.holder().map(str::to_owned),
                level: self.level(),
                has_store: self.has_store,
                is_over: self.is_over,
            };
        });
    }

    async fn take(&mut self, back: Back) {
        match back {
            Back::Event(event) => self.feed(event).await,
            Back::Looked(look) => self.looked(look).await,
            Back::Nudge => self.nudged(),
            Back::Lock(lock, look) => {
                *self.lock.lock().await = Some(lock);
                self.seeking = None;
                let lease = look.as_ref().ok().and_then(|look| look.sighting.lease.clone());
                self.looked(look).await;
                self.feed(Event::LockHad(lease)).await;
            }
            Back::Leased(acquired, asked_at) => self.leased(acquired, asked_at).await,
            Back::Renewed(nth, renewed, asked_at) => self.renewed(nth, renewed, asked_at).await,
            Back::Frozen(nth, frozen) => {
                let Some(crown) = self.crown.as_mut().filter(|crown| crown.nth == nth) else { return };
                match frozen {
                    Ok(frozen) => {
                        fail::point("frozen");
                        crown.frozen = Some(frozen);
                        self.feed(Event::Frozen).await;
                    }
                    Err(why) => self.feed(Event::NotFrozen(why)).await,
                }
            }
            Back::News(nth, news) => self.heard(nth, news).await,
            Back::Vitals(nth, vitals) => {
                if self.crown.as_ref().is_some_and(|crown| crown.nth == nth) {
                    self.vitals = Some(vitals);
                    self.report();
                }
            }
        }
    }

    async fn looked(&mut self, look: Result<Box<Look>, String>) {
        self.has_store = look.is_ok();
        if self.is_nudged && look.is_ok() {
            self.back.send(Back::Nudge).ok();
        }
        match look {
            Ok(look) => {
                let Look { sighting, loss, late } = *look;
                if let Some(loss) = loss {
                    self.scribe.lament(self.engine.standing(), self.engine.epoch_max(), loss);
                }
                for order in late {
                    self.refuse_late(order).await;
                }
                self.paused = sighting.is_paused;
                self.feed(Event::Saw(sighting)).await;
            }
            Err(why) => self.feed(Event::Blind(why)).await,
        }
    }

    /// One of them may be what gave the domain away: that one is answered with the move.
    async fn refuse_late(&mut self, order: Order) {
        if self.engine.reigns().is_some() || !self.looker.is_taken(&order.id) {
            return;
        }
        let why = "the domain went to another node before it could be carried out; give it again if still wanted";
        self.act(Action::Answer(Verdict { order, outcome: Err(why.to_owned()) })).await;
    }

    async fn leased(&mut self, acquired: Result<Acquired, StoreError>, asked_at: Instant) {
        let event = match acquired {
            Ok(Acquired::Lease(lease)) => {
                fail::point("lease-had");
                let epoch = lease.epoch.0;
                info!(domain = self.setup.reign.stream.domain, epoch, "lease: ours");
                self.granted = Some((lease, asked_at));
                Event::LeaseHad(epoch)
            }
            Ok(Acquired::HeldBy { .. }) => Event::LeaseHeld,
            Err(why) => Event::LeaseUnanswered(why.to_string()),
        };
        self.feed(event).await;
    }

    async fn renewed(&mut self, nth: u64, renewed: Result<bool, StoreError>, asked_at: Instant) {
        let until = self.lease_end(asked_at);
        // The answer to an earlier reign says nothing of this one.
        let Some(crown) = self.crown.as_mut().filter(|crown| crown.nth == nth && !crown.is_handing) else { return };
        match renewed {
            Ok(true) => {
                crown.keeper.renew(until);
                if std::mem::take(&mut crown.is_overdue) {
                    info!(domain = self.setup.reign.stream.domain, "lease: renewed again; going on");
                }
                self.feed(Event::Renewed).await;
            }
            Ok(false) => self.feed(Event::LeaseLost).await,
            Err(why) => tracing::debug!(%why, "lease: not renewed; words go on until it ends"),
        }
    }

    /// Until when words may pass that a lease asked for at `asked_at` allows. Where no twin could speak meanwhile, a
    /// node goes on without its database: all it can still say is that it has none.
    pub(super) fn lease_end(&self, asked_at: Instant) -> Instant {
        if self.setup.terms.twin.is_none() {
            return asked_at + ALONE;
        }
        asked_at + Duration::from_millis(self.setup.terms.lease_ms).saturating_sub(self.setup.margin)
    }

    async fn heard(&mut self, nth: u64, news: News) {
        if self.crown.as_ref().is_none_or(|crown| crown.nth != nth) {
            return;
        }
        let event = match news {
            News::Attached(level) => {
                fail::point("attached");
                self.level = Some(level);
                Event::Attached(level)
            }
            News::Leveled(level) => {
                self.level = Some(level);
                return;
            }
            News::Relay { relay, lost } => {
                self.scribe.note_relay(self.engine.standing(), self.engine.reigns(), &relay, lost.as_deref());
                self.write_duty();
                return;
            }
            News::Detached(why) => Event::Detached(why),
            News::Outdated(highest) => Event::Outdated(highest),
            News::Opened(opening) => {
                fail::point("opened");
                self.ask_vitals(nth);
                Event::Opened(opening)
            }
            News::Fenced(by) => Event::Fenced(by),
            News::Commits(trouble) => Event::Commits(trouble),
        };
        self.feed(event).await;
    }

    fn ask_vitals(&self, nth: u64) {
        let Some(reign) = self.crown.as_ref().and_then(|crown| crown.reign.as_ref()) else { return };
        let (vitals, back) = (reign.vitals(), self.back.clone());
        tokio::spawn(async move {
            if let Some(vitals) = vitals.await {
                let _ = back.send(Back::Vitals(nth, vitals));
            }
        });
    }

    async fn finish(mut self) {
        *self.lock.lock().await = None;
        self.crown = None;
        self.report();
        self.looker.stand(self.duty(), self.paused);
        let last = async {
            let _ = self.looker.beat().await;
        };
        let _ = timeout(LAST_LINES, last).await;
        self.scribe.finish(LAST_LINES).await;
    }
}

fn is_idle(task: Option<&JoinHandle<()>>) -> bool {
    task.is_none_or(JoinHandle::is_finished)
}

/// Says so when the session that held the lock is gone.
async fn watch_lock(lock: &LockBox, back: &BackTo) {
    let mut held = lock.lock().await;
    if let Some(lock) = held.as_mut()
        && !lock.is_alive().await
    {
        *held = None;
        let _ = back.send(Back::Event(Event::LockGone));
    }
}
