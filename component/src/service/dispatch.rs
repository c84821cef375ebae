//! From the stream to who answers: the service itself, or the shard of a room. While the store is away it is
//! here that new stanzas are told to wait.

use std::collections::BTreeMap;
use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::FixedState;
use tandem_muc_core::name::BareJid;
use tandem_muc_core::ns;
use tandem_muc_core::record::Message;
use tandem_muc_core::stanza::{Condition, Inbound, Kind, Type};
use tokio::sync::{mpsc, watch};
use tracing::info;

use super::lobby::Lobby;
use super::turned;
use crate::config::Config;
use crate::journal::{Entry, Health, Journal, please_wait};
use crate::shard::{Mail, Shard};
use crate::stream::StreamHandle;
use crate::telemetry;

/// What stands between stream and rooms.
pub(super) struct Dispatch {
    pub(super) domain: String,
    pub(super) shards: Vec<Shard>,
    pub(super) journal: Journal,
    pub(super) stream: StreamHandle,
    pub(super) lobby: Lobby,
}

impl Dispatch {
    /// Hands on what comes in until `quits` turns true; what was read by then is still handed on.
    pub(super) async fn run(
        mut self,
        tail: Vec<(BareJid, Message)>,
        mut inbound: mpsc::Receiver<Inbound>,
        mut reloads: watch::Receiver<Option<Arc<Config>>>,
        mut quits: watch::Receiver<bool>,
    ) {
        // Before anything new is handed on, so that the order within each room is kept.
        tokio::select! {
            biased;
            () = turned(&mut quits) => {}
            () = self.repeat(tail) => {}
        }
        let received = metrics::counter!(telemetry::STANZAS_IN, "domain" => self.domain.clone());
        loop {
            tokio::select! {
                biased;
                () = turned(&mut quits) => break,
                Ok(()) = reloads.changed() => {
                    let config = reloads.borrow_and_update().clone();
                    self.reload(config).await;
                }
                stanza = inbound.recv() => match stanza {
                    Some(stanza) => {
                        received.increment(1);
                        self.hand_on(stanza).await;
                    }
                    None => break,
                },
            }
        }
        inbound.close();
        while let Ok(stanza) = inbound.try_recv() {
            self.hand_on(stanza).await;
        }
    }

    /// Has the rooms repeat what was durable but may not have been heard.
    async fn repeat(&self, tail: Vec<(BareJid, Message)>) {
        if tail.is_empty() {
            return;
        }
        let mut rooms: BTreeMap<BareJid, Vec<Message>> = BTreeMap::new();
        for (room, message) in tail {
            rooms.entry(room).or_default().push(message);
        }
        let (repeated, mut all_repeated) = mpsc::unbounded_channel();
        let awaited = rooms.len();
        for (room, messages) in rooms {
            let shard = self.shard_of(room.as_str());
            self.shards[shard].send(Mail::Repeat(room, messages.into(), repeated.clone())).await;
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

    async fn hand_on(&self, inbound: Inbound) {
        match self.journal.health() {
            Health::Fine => {}
            Health::Away if may_be_held(&inbound) => {}
            Health::Away => return self.ask_to_wait(&inbound).await,
            Health::Over { .. } => return,
        }
        if inbound.to.local().is_none() {
            let mut health = self.journal.watch();
            return tokio::select! {
                biased;
                () = self.lobby.answer(&inbound) => {}
                () = unwell(&mut health) => self.ask_to_wait(&inbound).await,
            };
        }
        let shard = &self.shards[self.shard_of(inbound.to.bare_str())];
        let inbound = Arc::new(inbound);
        if shard.try_send(Mail::Stanza(inbound.clone())) {
            return;
        }
        let mut health = self.journal.watch();
        tokio::select! {
            () = shard.send(Mail::Stanza(inbound.clone())) => {}
            () = unwell(&mut health) => self.ask_to_wait(&inbound).await,
        }
    }

    fn shard_of(&self, room: &str) -> usize {
        let hash = FixedState::with_seed(0).hash_one(room);
        usize::try_from(hash % self.shards.len() as u64).unwrap_or(0)
    }

    /// Past the journal, for the journal is what is stuck; nothing is recorded by saying no.
    async fn ask_to_wait(&self, inbound: &Inbound) {
        let is_ping = inbound.stanza.kind == Kind::Iq && inbound.stanza.child("ping", ns::PING).is_some();
        let mut wait = please_wait();
        if is_ping {
            // XEP-0410 §3.2: any other error would make the client enter again.
            wait.condition = Condition::RemoteServerTimeout;
        }
        if let Some(answer) = inbound.error(&wait) {
            self.stream.refuse(answer).await;
        }
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

/// Comes when the journal is no longer fine.
async fn unwell(health: &mut watch::Receiver<Health>) {
    let _ = health.wait_for(|health| *health != Health::Fine).await;
}

/// While the store is away a presence of somebody inside is kept for later, for an error would look like being put
/// out; and an error stanza must never be answered. Both are bounded by the queues they wait in.
fn may_be_held(inbound: &Inbound) -> bool {
    let stanza = &inbound.stanza;
    let is_answerless = matches!(stanza.type_, Type::Error | Type::Result);
    let is_entering = stanza.is_available() && stanza.child("x", ns::MUC).is_some();
    is_answerless || (stanza.kind == Kind::Presence && !is_entering)
}
