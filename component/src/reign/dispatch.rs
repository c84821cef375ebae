//! From the stream to who answers: the service itself, or the shard of a room. While the store is away it is
//! here that new stanzas are told to wait; while a move is under way they are kept.

use std::collections::BTreeMap;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::time::{Duration, Instant};

use foldhash::fast::FixedState;
use tandem_muc_core::name::BareJid;
use tandem_muc_core::ns;
use tandem_muc_core::stanza::{Condition, Inbound, Kind, Type};
use tokio::sync::{mpsc, oneshot, watch};
use tracing::info;

use super::hush::{Hush, Turn};
use super::lobby::Lobby;
use super::{News, Reloads, level, turned};
use crate::config::Config;
use crate::journal::{Entry, Health, Journal, please_wait};
use crate::shard::{Mail, Shard};
use crate::store::Unheard;
use crate::stream::{Received, StreamHandle};
use crate::telemetry;

/// For so long after a reign began a timeout says more of our own absence than of an occupant's.
const UNSURE: Duration = Duration::from_secs(30);
/// What may be kept while a move is under way: seconds of a busy service.
pub(super) const KEPT_MAX: usize = 50_000;

/// What stands between stream and rooms.
pub(super) struct Dispatch {
    pub(super) domain: String,
    pub(super) shards: Vec<Shard>,
    pub(super) journal: Journal,
    pub(super) stream: StreamHandle,
    pub(super) lobby: Lobby,
    /// Whether it matters what kind of server it is attached to.
    pub(super) has_twin: bool,
    /// When the reign began.
    pub(super) since: Instant,
    pub(super) news: mpsc::UnboundedSender<News>,
    /// Kept while frozen, to be handled after a thaw or by the next reign.
    pub(super) kept: Option<Vec<Received>>,
    /// The moment after the stream came back.
    pub(super) hush: Hush,
    /// Turning it true lets frozen shards go on; dropping it ends them.
    pub(super) thaw: Option<watch::Sender<bool>>,
}

/// What the dispatch is told.
pub(super) enum Demand {
    /// Keep what comes; told when everything before it was handed to the journal.
    Freeze(oneshot::Sender<()>),
    /// Go on.
    Thaw,
    /// The look for ghosts has found all it could.
    Swept,
}

/// What is known at the beginning.
pub(super) struct Beginning {
    /// What was durable but may not have been heard.
    pub(super) tail: Vec<(BareJid, Unheard)>,
    /// What a predecessor read and did not handle: it comes before anything new.
    pub(super) passed_on: oneshot::Receiver<Vec<Inbound>>,
    /// Told when it all was handed to the shards: the number of stanzas passed on.
    pub(super) opened: oneshot::Sender<u64>,
}

impl Dispatch {
    /// Hands on what comes in until `quits` turns true - what was read by then is still handed on - or until the stream
    /// has ended; gives what was kept.
    pub(super) async fn run(
        mut self,
        beginning: Beginning,
        mut inbound: mpsc::Receiver<Received>,
        mut demands: mpsc::Receiver<Demand>,
        mut reloads: Reloads,
        mut quits: watch::Receiver<bool>,
    ) -> Vec<Received> {
        // Before anything new is handed on, so that the order within each room is kept.
        tokio::select! {
            biased;
            () = turned(&mut quits) => {}
            () = self.begin(beginning) => {}
        }
        let received = metrics::counter!(telemetry::STANZAS_IN, "domain" => self.domain.clone());
        loop {
            tokio::select! {
                biased;
                () = turned(&mut quits) => break,
                Some(demand) = demands.recv() => self.heed(demand, &mut inbound).await,
                turn = self.hush.turns() => match turn {
                    Turn::Back { is_bare } => self.ask_level(is_bare).await,
                    Turn::Over => self.go_on(&mut inbound).await,
                },
                Ok(()) = reloads.changed() => {
                    let config = reloads.borrow_and_update().clone();
                    self.reload(config).await;
                }
                stanza = inbound.recv() => match stanza {
                    Some(stanza) => {
                        received.increment(1);
                        self.take(stanza).await;
                    }
                    None => break,
                },
            }
        }
        self.go_on(&mut inbound).await;
        inbound.close();
        while let Ok(stanza) = inbound.try_recv() {
            self.take(stanza).await;
        }
        self.kept.take().unwrap_or_default()
    }

    async fn begin(&mut self, beginning: Beginning) {
        self.repeat(beginning.tail).await;
        let passed_on = beginning.passed_on.await.unwrap_or_default();
        let count = passed_on.len() as u64;
        for inbound in passed_on {
            self.hand_on(Received { inbound, ticket: None }).await;
        }
        let _ = beginning.opened.send(count);
    }

    async fn heed(&mut self, demand: Demand, inbound: &mut mpsc::Receiver<Received>) {
        match demand {
            Demand::Freeze(frozen) => {
                self.go_on(inbound).await;
                self.freeze(frozen);
            }
            Demand::Swept => self.go_on(inbound).await,
            Demand::Thaw => {
                if let Some(thaw) = self.thaw.take() {
                    thaw.send_replace(true);
                }
                for stanza in self.kept.take().unwrap_or_default() {
                    self.hand_on(stanza).await;
                }
            }
        }
    }

    /// A bare server may be another than before.
    async fn ask_level(&self, is_bare: bool) {
        if let Some(question) = level::question(&self.domain).filter(|_| is_bare && self.has_twin) {
            self.journal.submit(Entry::Lobby { word: Some(question), ticket: None }).await;
        }
    }

    /// Errors that came in by now are still heard first; then what waited for that.
    async fn go_on(&mut self, inbound: &mut mpsc::Receiver<Received>) {
        for _ in 0..inbound.len() {
            if let Ok(stanza) = inbound.try_recv() {
                self.take(stanza).await;
            }
        }
        for stanza in self.hush.end() {
            self.take(stanza).await;
        }
    }

    /// From here on stanzas are kept. Their readers go on reading, for marks come that way too.
    fn freeze(&mut self, frozen: oneshot::Sender<()>) {
        let (thaw, thawed) = watch::channel(false);
        (self.kept, self.thaw) = (Some(Vec::new()), Some(thaw));
        let (shards, lobby) = (self.shards.clone(), self.lobby.clone());
        tokio::spawn(async move {
            let (done, mut all_done) = mpsc::unbounded_channel();
            for shard in &shards {
                shard.send(Mail::Freeze(done.clone(), thawed.clone())).await;
            }
            drop(done);
            for _ in &shards {
                // A shard that ended is as still as one can be.
                let _ = all_done.recv().await;
            }
            lobby.finish().await;
            let _ = frozen.send(());
        });
    }

    async fn take(&mut self, stanza: Received) {
        match &mut self.kept {
            Some(kept) if kept.len() < KEPT_MAX => kept.push(stanza),
            Some(_) => self.ask_to_wait(stanza).await,
            None if self.hush.is_full() => self.ask_to_wait(stanza).await,
            None => {
                if let Some(stanza) = self.hush.pass(stanza) {
                    self.hand_on(stanza).await;
                }
            }
        }
    }

    /// Has the rooms repeat what was durable but may not have been heard.
    async fn repeat(&self, tail: Vec<(BareJid, Unheard)>) {
        if tail.is_empty() {
            return;
        }
        let mut rooms: BTreeMap<BareJid, Vec<Unheard>> = BTreeMap::new();
        for (room, unheard) in tail {
            rooms.entry(room).or_default().push(unheard);
        }
        let (repeated, mut all_repeated) = mpsc::unbounded_channel();
        let awaited = rooms.len();
        for (room, tail) in rooms {
            let shard = self.shard_of(room.as_str());
            self.shards[shard].send(Mail::Repeat(room, tail.into(), repeated.clone())).await;
        }
        let journal = self.journal.clone();
        tokio::spawn(async move {
            drop(repeated);
            for _ in 0..awaited {
                // A shard that ended first left something unsaid: that stays for the next to start.
                let Some(()) = all_repeated.recv().await else { return };
            }
            journal.submit(Entry::Repeated).await;
        });
    }

    async fn hand_on(&self, stanza: Received) {
        match self.journal.health() {
            Health::Fine | Health::Late => {}
            Health::Away if may_be_held(&stanza.inbound) => {}
            Health::Away => return self.ask_to_wait(stanza).await,
            Health::Over { .. } => return,
        }
        let Received { inbound, ticket } = stanza;
        if self.since.elapsed() < UNSURE && is_timeout(&inbound) {
            return self.stream.settle(ticket.into_iter().collect()).await;
        }
        let inbound = Arc::new(inbound);
        if inbound.to.local().is_none() {
            if let Some(level) = level::read(&inbound) {
                let _ = self.news.send(News::Leveled(level));
            }
            let mut health = self.journal.watch();
            return tokio::select! {
                biased;
                () = self.lobby.answer(&inbound, ticket) => {}
                () = unwell(&mut health) => self.ask_to_wait(Received { inbound: (*inbound).clone(), ticket }).await,
            };
        }
        let shard = &self.shards[self.shard_of(inbound.to.bare_str())];
        if shard.try_send(Mail::Stanza(inbound.clone(), ticket)) {
            return;
        }
        let mut health = self.journal.watch();
        tokio::select! {
            () = shard.send(Mail::Stanza(inbound.clone(), ticket)) => {}
            () = unwell(&mut health) => self.ask_to_wait(Received { inbound: (*inbound).clone(), ticket }).await,
        }
    }

    fn shard_of(&self, room: &str) -> usize {
        shard_of(room, self.shards.len())
    }

    /// Past the journal, for the journal is what is stuck; nothing is recorded by saying no.
    async fn ask_to_wait(&self, stanza: Received) {
        if matches!(self.journal.health(), Health::Over { .. }) {
            // Another node serves: through a relay it is brought this stanza, too.
            return;
        }
        let Received { inbound, ticket } = stanza;
        let is_ping = inbound.stanza.kind == Kind::Iq && inbound.stanza.child("ping", ns::PING).is_some();
        let mut wait = please_wait();
        if is_ping {
            // XEP-0410 §3.2: any other error would make the client enter again.
            wait.condition = Condition::RemoteServerTimeout;
        }
        self.stream.refuse(inbound.error(&wait), ticket).await;
    }

    async fn reload(&mut self, config: Option<Arc<Config>>) {
        let own =
            config.as_ref().and_then(|config| config.services.iter().find(|s| s.domain.0.as_str() == self.domain));
        let Some(service) = own else { return };
        let rules = Arc::new(service.rules());
        self.lobby.obey(rules.clone());
        for shard in &self.shards {
            shard.send(Mail::Rules(rules.clone())).await;
        }
        info!(
            domain = self.domain,
            "reloaded: rules and limits of rooms; server, secret, store and http need a restart"
        );
    }
}

/// The number of the shard a room belongs to, of so many.
pub(super) fn shard_of(room: &str, shards: usize) -> usize {
    let hash = FixedState::with_seed(0).hash_one(room);
    usize::try_from(hash % shards as u64).unwrap_or(0)
}

/// Comes when the journal is no longer fine.
async fn unwell(health: &mut watch::Receiver<Health>) {
    let _ = health.wait_for(|health| !matches!(health, Health::Fine | Health::Late)).await;
}

/// An error that says only that somebody did not answer in time.
fn is_timeout(inbound: &Inbound) -> bool {
    let stanza = &inbound.stanza;
    let is_answer = stanza.kind == Kind::Iq;
    stanza.type_ == Type::Error && !is_answer && stanza.error_condition() == Some(Condition::RemoteServerTimeout)
}

/// While the store is away a presence of somebody inside is kept for later, for an error would look like being put
/// out; and an error stanza must never be answered. Both are bounded by the queues they wait in.
fn may_be_held(inbound: &Inbound) -> bool {
    let stanza = &inbound.stanza;
    let is_answerless = matches!(stanza.type_, Type::Error | Type::Result);
    let is_entering = stanza.is_available() && stanza.child("x", ns::MUC).is_some();
    is_answerless || (stanza.kind == Kind::Presence && !is_entering)
}
