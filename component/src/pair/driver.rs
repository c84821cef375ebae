//! The loop: events to the engine, actions to the world.

use std::sync::Arc;
use std::time::{Duration, Instant as Clock};

use tandem_muc_core::pair::{Action, Change, Event, Level, Pair};
use tandem_muc_core::time::Moment;
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tracing::{info, warn};

use super::keep::{self, Back, BackTo, LockBox};
use super::look::{Look, Looker, Memory};
use super::scribe::Scribe;
use super::{Report, Setup};
use crate::reign::{self, Frozen, Grant, News, Reign, Vitals, turned};
use crate::store::{Acquired, Duty, Epoch, Lease, StoreError};
use crate::stream::{Gatekeeper, Standby, StreamState};

/// How often the engine sees time pass.
const TICK: Duration = Duration::from_millis(50);
/// How long a stream kept ready may take to be handed out.
const WARM: Duration = Duration::from_millis(50);
/// How long the last lines of history may take.
const LAST_LINES: Duration = Duration::from_millis(700);

/// The reign under way, as the driver holds it.
struct Crown {
    nth: u64,
    lease: Lease,
    keeper: Gatekeeper,
    reign: Option<Reign>,
    frozen: Option<Frozen>,
    is_handing: bool,
    is_overdue: bool,
}

struct Driver {
    setup: Arc<Setup>,
    engine: Pair,
    started: Clock,
    looker: Looker,
    scribe: Scribe,
    back: BackTo,
    lock: LockBox,
    seeking: Option<AbortHandle>,
    standby: Option<Standby>,
    crown: Option<Crown>,
    reigns: u64,
    /// A lease that was had, until the engine says what to do with it.
    granted: Option<(Lease, Instant)>,
    stream: Option<watch::Receiver<StreamState>>,
    vitals: Option<Vitals>,
    last_gap_ms: Option<u64>,
    paused: bool,
    looking: Option<JoinHandle<()>>,
    renewing: Option<JoinHandle<()>>,
    /// The duty row on its way to the database.
    writing: Option<JoinHandle<()>>,
    has_store: bool,
    is_over: bool,
}

/// Serves the domain, or stands by, until `stop` turns true and what follows from that is done.
pub async fn run(setup: Setup, mut stop: watch::Receiver<bool>) {
    let setup = Arc::new(setup);
    let (back, mut backs) = mpsc::unbounded_channel();
    let mut driver = Driver::new(setup.clone(), back);
    let (mut tick, mut beat) = (interval(TICK), interval(setup.beat));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
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
            _ = tick.tick() => driver.tick().await,
        }
    }
    driver.finish().await;
}

impl Driver {
    fn new(setup: Arc<Setup>, back: BackTo) -> Driver {
        let looker = Looker { setup: setup.clone(), memory: Arc::new(std::sync::Mutex::new(Memory::default())) };
        let (node, domain) = (setup.terms.node.clone(), setup.reign.stream.domain.clone());
        Driver {
            engine: Pair::new(setup.terms.clone(), Moment(0)),
            started: Clock::now(),
            looker,
            scribe: Scribe::start(setup.reign.store.clone(), node, domain),
            back,
            lock: LockBox::default(),
            seeking: None,
            standby: Some(Standby::start(setup.reign.stream.clone())),
            crown: None,
            reigns: 0,
            granted: None,
            stream: None,
            vitals: None,
            last_gap_ms: None,
            paused: false,
            looking: None,
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
        self.feed(Event::Tick).await;
    }

    /// Writes and reads what is due; one look and one renewal at a time.
    fn beat(&mut self) {
        if let Some(crown) = &self.crown
            && !crown.is_handing
            && is_idle(self.renewing.as_ref())
        {
            let renewal = keep::renew(self.setup.clone(), crown.lease.epoch, self.back.clone());
            self.renewing = Some(tokio::spawn(renewal));
        }
        if !is_idle(self.looking.as_ref()) {
            return;
        }
        let (looker, duty, unfit, back) = (self.looker.clone(), self.duty(), self.unfit(), self.back.clone());
        let paused = self.paused;
        let lock = self.lock.clone();
        self.looking = Some(tokio::spawn(async move {
            watch_lock(&lock, &back).await;
            let looked = match looker.beat(duty, paused).await {
                Ok(()) => looker.look(unfit).await,
                Err(why) => Err(why),
            };
            let _ = back.send(Back::Looked(looked.map(Box::new).map_err(|why| why.to_string())));
        }));
    }

    /// The duty row as it stands now, written at once: the other node reads why.
    fn write_duty(&mut self) {
        let (looker, duty, paused) = (self.looker.clone(), self.duty(), self.paused);
        self.writing = Some(tokio::spawn(async move {
            if let Err(why) = looker.beat(duty, paused).await {
                tracing::debug!(%why, "the state could not be written; the next beat does");
            }
        }));
    }

    fn duty(&self) -> Duty {
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
            servers: stream
                .relays
                .iter()
                .map(|relay| format!("{relay} (relay)"))
                .chain(stream.servers.clone())
                .collect::<Vec<_>>()
                .join(", "),
        }
    }

    /// Why this node could not serve.
    fn unfit(&self) -> Option<String> {
        match (&self.standby, &self.stream) {
            (Some(standby), _) => standby.fitness().err(),
            (None, Some(stream)) => match &*stream.borrow() {
                StreamState::Attached { .. } => None,
                other => Some(other.to_string()),
            },
            (None, None) => None,
        }
    }

    fn level(&self) -> Option<Level> {
        self.crown.as_ref()?;
        self.engine.level()
    }

    fn report(&self) {
        let standing = self.engine.standing().clone();
        self.setup.report.send_modify(|report| {
            *report = Report {
                standing,
                epoch: self.engine.reigns(),
                vitals: self.vitals.clone(),
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
            Back::Lock(lock, look) => {
                *self.lock.lock().await = Some(lock);
                self.seeking = None;
                let lease = look.as_ref().ok().and_then(|look| look.sighting.lease.clone());
                self.looked(look).await;
                self.feed(Event::LockHad(lease)).await;
            }
            Back::Leased(acquired, asked_at) => self.leased(acquired, asked_at).await,
            Back::Renewed(renewed, asked_at) => self.renewed(renewed, asked_at).await,
            Back::Frozen(frozen) => match frozen {
                Ok(frozen) => {
                    if let Some(crown) = &mut self.crown {
                        crown.frozen = Some(frozen);
                    }
                    self.feed(Event::Frozen).await;
                }
                Err(why) => self.feed(Event::NotFrozen(why)).await,
            },
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
        match look {
            Ok(look) => {
                let Look { sighting, loss } = *look;
                if let Some(loss) = loss {
                    self.scribe.lament(self.engine.standing(), self.engine.epoch_max(), loss);
                }
                self.paused = sighting.is_paused;
                self.feed(Event::Saw(sighting)).await;
            }
            Err(why) => self.feed(Event::Blind(why)).await,
        }
    }

    async fn leased(&mut self, acquired: Result<Acquired, StoreError>, asked_at: Instant) {
        let event = match acquired {
            Ok(Acquired::Lease(lease)) => {
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

    async fn renewed(&mut self, renewed: Result<bool, StoreError>, asked_at: Instant) {
        let until = self.lease_end(asked_at);
        let Some(crown) = &mut self.crown else { return };
        if crown.is_handing {
            return;
        }
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

    /// Until when words may pass that a lease asked for at `asked_at` allows.
    fn lease_end(&self, asked_at: Instant) -> Instant {
        asked_at + Duration::from_millis(self.setup.terms.lease_ms).saturating_sub(self.setup.margin)
    }

    async fn heard(&mut self, nth: u64, news: News) {
        if self.crown.as_ref().is_none_or(|crown| crown.nth != nth) {
            return;
        }
        let event = match news {
            News::Attached(level) => Event::Attached(level),
            News::Detached(why) => Event::Detached(why),
            News::Outdated(highest) => Event::Outdated(highest),
            News::Opened(opening) => {
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

    async fn act(&mut self, action: Action) {
        match action {
            Action::SeekLock => {
                let seeking = keep::seek_lock(self.looker.clone(), self.unfit(), self.back.clone());
                self.seeking = Some(tokio::spawn(seeking).abort_handle());
            }
            Action::DropLock => {
                match self.lock.try_lock() {
                    Ok(mut lock) => *lock = None,
                    // It is being looked at; let go a moment later.
                    Err(_) => {
                        let lock = self.lock.clone();
                        tokio::spawn(async move { *lock.lock().await = None });
                    }
                }
                if let Some(seeking) = self.seeking.take() {
                    seeking.abort();
                }
            }
            Action::AskLease { right, above, ends_sessions_of } => {
                let (setup, lock, back) = (self.setup.clone(), self.lock.clone(), self.back.clone());
                tokio::spawn(keep::ask(setup, lock, right, above, ends_sessions_of, back));
            }
            Action::Begin { handed_in, .. } => self.begin(handed_in.map(Epoch)).await,
            Action::Freeze => self.freeze(),
            Action::Thaw => {
                if let Some(Crown { reign: Some(reign), .. }) = &self.crown {
                    reign.thaw();
                }
            }
            Action::HandOver { to } => self.hand_over(to),
            Action::PassOn { epoch } => self.pass_on(Epoch(epoch)),
            Action::Cut => self.uncrown(),
            Action::End => self.end(),
            Action::Sweep => {
                if let Some(Crown { reign: Some(reign), .. }) = &self.crown {
                    reign.sweep();
                }
            }
            Action::Tell(change) => self.tell(&change),
            Action::Answer(verdict) => {
                self.looker.answered(&verdict.order.id);
                self.scribe.answer(verdict);
            }
            Action::Finish => self.is_over = true,
        }
    }

    async fn begin(&mut self, handed_in: Option<Epoch>) {
        let Some((lease, asked_at)) = self.granted.take() else { return };
        let (keeper, gate) = Gatekeeper::open_until(self.lease_end(asked_at));
        let warm = match self.standby.take() {
            Some(standby) => timeout(WARM, standby.take()).await.ok().flatten(),
            None => None,
        };
        self.reigns += 1;
        let nth = self.reigns;
        let (news, mut heard) = mpsc::unbounded_channel();
        let grant = Grant { lease: lease.clone(), gate, handed_in, warm };
        let reign = Reign::begin(self.setup.reign.clone(), grant, news);
        self.stream = Some(reign.stream());
        let back = self.back.clone();
        tokio::spawn(async move {
            while let Some(news) = heard.recv().await {
                if back.send(Back::News(nth, news)).is_err() {
                    return;
                }
            }
        });
        let reign = Some(reign);
        self.crown = Some(Crown { nth, lease, keeper, reign, frozen: None, is_handing: false, is_overdue: false });
    }

    fn freeze(&mut self) {
        let Some(Crown { reign: Some(reign), .. }) = &self.crown else { return };
        let (freezing, back) = (reign.freeze(Duration::from_millis(self.setup.terms.move_ms)), self.back.clone());
        tokio::spawn(async move {
            let _ = back.send(Back::Frozen(freezing.await));
        });
    }

    fn hand_over(&mut self, to: String) {
        let Some(crown) = &mut self.crown else { return };
        let Some(frozen) = crown.frozen.clone() else { return };
        crown.is_handing = true;
        let handing = keep::hand_over(self.setup.clone(), crown.lease.clone(), to, frozen, self.back.clone());
        let writing = self.writing.take();
        tokio::spawn(async move {
            // Whoever finds the lease its own finds the reason beside it.
            if let Some(writing) = writing {
                let _ = writing.await;
            }
            handing.await;
        });
    }

    /// The lease is the other's. Through a relay nothing need be passed on: it brings again what was not handled.
    fn pass_on(&mut self, epoch: Epoch) {
        let Some(crown) = &mut self.crown else { return };
        crown.keeper.shut();
        let is_relayed = crown.frozen.as_ref().is_some_and(|frozen| frozen.is_relayed);
        let Some(reign) = crown.reign.take() else { return };
        let (setup, back) = (self.setup.clone(), self.back.clone());
        if is_relayed {
            reign.cut();
            let _ = back.send(Back::Event(Event::PassedOn));
            return;
        }
        tokio::spawn(async move {
            let stanzas: Vec<String> = reign.pass_on().await.iter().map(reign::as_text).collect();
            let (domain, count) = (&setup.reign.stream.domain, stanzas.len());
            match setup.reign.store.pass_on(domain, epoch, &stanzas).await {
                Ok(_) => info!(domain, stanzas = count, "passed on what was read and not handled"),
                Err(why) => {
                    warn!(domain, stanzas = count, %why, "what was read and not handled could not be passed on")
                }
            }
            let _ = back.send(Back::Event(Event::PassedOn));
        });
    }

    /// Nothing more is said from here on; this node stands by.
    fn uncrown(&mut self) {
        if let Some(crown) = self.crown.take() {
            crown.keeper.shut();
        }
        (self.stream, self.vitals) = (None, None);
        self.standby = Some(Standby::start(self.setup.reign.stream.clone()));
    }

    fn end(&mut self) {
        let Some(crown) = &mut self.crown else {
            let _ = self.back.send(Back::Event(Event::Ended));
            return;
        };
        let reign = crown.reign.take();
        let (setup, epoch, back) = (self.setup.clone(), crown.lease.epoch, self.back.clone());
        tokio::spawn(async move {
            if let Some(reign) = reign {
                reign.end().await;
            }
            let released = setup.reign.store.release(&setup.reign.stream.domain, &setup.terms.node, epoch);
            match timeout(LAST_LINES, released).await {
                Ok(Ok(())) => {}
                Ok(Err(why)) => warn!(%why, "lease: not given back; it runs out by itself"),
                Err(_) => warn!("lease: not given back; it runs out by itself"),
            }
            let _ = back.send(Back::Event(Event::Ended));
        });
    }

    fn tell(&mut self, change: &Change) {
        if let Some(cost) = &change.opened {
            self.last_gap_ms = Some(cost.gap_ms);
        }
        self.scribe.tell(change);
        self.write_duty();
    }

    async fn finish(mut self) {
        *self.lock.lock().await = None;
        self.crown = None;
        self.report();
        let duty = self.duty();
        let last = async {
            let _ = self.looker.beat(duty, self.paused).await;
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
