//! Room activity (XEP-0437 v0.2.0), the service's part: who listens, durable so that a takeover makes nobody deaf, and
//! what a session that begins to listen has missed. What happens from then on the rooms tell (`shard/listeners`).

use tandem_muc_core::name::Jid;
use tandem_muc_core::ns;
use tandem_muc_core::stanza::{Audience, Inbound, Kind, Type};
use tokio::sync::{mpsc, oneshot};
use tracing::warn;

use crate::journal::{Entry, Journal};
use crate::shard::{Listeners, Listening};
use crate::store::{Epoch, SqlStore, StoreError};
use crate::stream::Ticket;

/// Wishes that wait for the database; of more nothing comes until the client asks again.
const WISHES_MAX: usize = 10_000;
/// Rooms told of to who begins to listen.
const ROOMS_MAX: u32 = 500;
/// Rooms in one message.
const ROOMS_AT_ONCE: usize = 100;

/// What activity is told from.
pub(super) struct Setup {
    pub(super) domain: String,
    pub(super) epoch: Epoch,
    pub(super) store: SqlStore,
    pub(super) journal: Journal,
    pub(super) listeners: Listeners,
}

/// The way to who notes wishes, one after the other.
#[derive(Clone, Debug)]
pub(super) struct Activity {
    listeners: Listeners,
    wishes: mpsc::Sender<Wish>,
}

#[derive(Debug)]
enum Wish {
    Listen { session: Jid, displaced: Option<Jid>, ticket: Option<Ticket> },
    Leave { session: Jid, ticket: Option<Ticket> },
    Flush(oneshot::Sender<()>),
}

impl Activity {
    /// Starts to note wishes; it ends when every `Activity` of it is gone.
    pub(super) fn start(setup: Setup) -> Activity {
        let (wishes, wished) = mpsc::channel(WISHES_MAX);
        let listeners = setup.listeners.clone();
        tokio::spawn(setup.run(wished));
        Activity { listeners, wishes }
    }

    /// Takes a stanza to the service that says whether somebody listens; gives the ticket back of any other.
    pub(super) fn hear(&self, inbound: &Inbound, ticket: Option<Ticket>) -> Result<(), Option<Ticket>> {
        let (stanza, session) = (&inbound.stanza, inbound.stanza.from.clone());
        let begins = stanza.is_available() && stanza.child("rai", ns::RAI).is_some() && session.resource().is_some();
        if begins {
            let Listening::New(displaced) = self.listeners.add(&session) else { return Err(ticket) };
            return self.wish(Wish::Listen { session, displaced, ticket });
        }
        let is_gone = matches!((stanza.kind, &stanza.type_), (Kind::Presence, Type::Unavailable) | (_, Type::Error));
        if is_gone && self.listeners.remove(&session) {
            return self.wish(Wish::Leave { session, ticket });
        }
        Err(ticket)
    }

    fn wish(&self, wish: Wish) -> Result<(), Option<Ticket>> {
        let Err(refused) = self.wishes.try_send(wish) else { return Ok(()) };
        match refused.into_inner() {
            Wish::Listen { session, ticket, .. } => {
                self.listeners.remove(&session);
                Err(ticket)
            }
            Wish::Leave { ticket, .. } => Err(ticket),
            Wish::Flush(_) => Ok(()),
        }
    }

    /// Waits until all that was wished is noted and answered.
    pub(super) async fn finish(&self) {
        let (done, is_done) = oneshot::channel();
        if self.wishes.send(Wish::Flush(done)).await.is_ok() {
            let _ = is_done.await;
        }
    }
}

impl Setup {
    async fn run(self, mut wished: mpsc::Receiver<Wish>) {
        while let Some(wish) = wished.recv().await {
            match wish {
                Wish::Listen { session, displaced, ticket } => {
                    if let Some(displaced) = displaced {
                        self.forget(&displaced).await;
                    }
                    self.note(&session).await;
                    self.tell_missed(session, ticket).await;
                }
                Wish::Leave { session, ticket } => {
                    self.forget(&session).await;
                    self.settle(ticket).await;
                }
                Wish::Flush(done) => {
                    let _ = done.send(());
                }
            }
        }
    }

    async fn note(&self, session: &Jid) {
        if let Err(why) = self.store.add_listener(&self.domain, self.epoch, session).await {
            warn!(domain = self.domain, %why, "a session listens for activity until this node stops; it could not be noted");
        }
    }

    async fn forget(&self, session: &Jid) {
        if let Err(why) = self.store.remove_listener(&self.domain, session).await {
            warn!(domain = self.domain, %why, "a session that listens no more could not be forgotten");
        }
    }

    /// Tells the session in which rooms something was said since its user was last inside.
    async fn tell_missed(&self, session: Jid, ticket: Option<Ticket>) {
        match self.store.active_rooms(&self.domain, &session.to_bare(), ROOMS_MAX).await {
            Ok(rooms) => {
                for rooms in rooms.chunks(ROOMS_AT_ONCE) {
                    let word = Some(self.listeners.told(rooms, Audience::One(session.clone())));
                    self.journal.submit(Entry::Lobby { word, ticket: None }).await;
                }
            }
            Err(why) => warn!(domain = self.domain, %why, "who listens is not told of what was said before"),
        }
        self.settle(ticket).await;
    }

    async fn settle(&self, ticket: Option<Ticket>) {
        if ticket.is_some() {
            self.journal.submit(Entry::Lobby { word: None, ticket }).await;
        }
    }
}

/// Those who listened when the reign before ended. Without them it goes on: clients ask again when they come back.
pub(super) async fn listeners_before(store: &SqlStore, domain: &str, max: u32) -> Vec<Jid> {
    match store.listeners(domain, max).await {
        Ok(sessions) => sessions,
        Err(why @ (StoreError::Unavailable(_) | StoreError::Damaged { .. } | StoreError::Fenced { .. })) => {
            warn!(domain, %why, "who listens for activity is not known");
            Vec::new()
        }
    }
}
