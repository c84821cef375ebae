//! What the engine asks for, done: the lock, the lease, the reign and its end, and what is told of it.

use std::time::Duration;

use tandem_muc_core::pair::{Action, Change, Event};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tracing::{info, warn};

use super::driver::{Crown, Driver, LAST_LINES};
use super::keep::{self, Back};
use crate::fail;
use crate::reign::{self, Grant, Reign};
use crate::store::Epoch;
use crate::stream::{Gatekeeper, Standby};

/// How long a stream kept ready may take to be handed out.
const WARM: Duration = Duration::from_millis(50);

impl Driver {
    pub(super) async fn act(&mut self, action: Action) {
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
            Action::Thaw => self.thaw(),
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
        (self.stream, self.paths) = (Some(reign.stream()), Some(reign.paths()));
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
        let Some(Crown { nth, reign: Some(reign), .. }) = &self.crown else { return };
        let nth = *nth;
        let (freezing, back) = (reign.freeze(Duration::from_millis(self.setup.terms.move_ms)), self.back.clone());
        tokio::spawn(async move {
            let _ = back.send(Back::Frozen(nth, freezing.await));
        });
    }

    /// The lease is to be kept, so it is renewed again.
    fn thaw(&mut self) {
        let Some(crown) = &mut self.crown else { return };
        (crown.frozen, crown.is_handing) = (None, false);
        if let Some(reign) = &crown.reign {
            reign.thaw();
        }
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
        fail::point("handed-over");
        let is_relayed = crown.frozen.as_ref().is_some_and(|frozen| frozen.is_relayed);
        let Some(reign) = crown.reign.take() else { return };
        let (setup, back) = (self.setup.clone(), self.back.clone());
        if is_relayed {
            reign.cut();
            let _ = back.send(Back::Event(Event::PassedOn));
            return;
        }
        tokio::spawn(async move {
            let stanzas: Vec<String> = reign.pass_on(epoch).await.iter().map(reign::as_text).collect();
            let (domain, count) = (&setup.reign.stream.domain, stanzas.len());
            match setup.reign.store.pass_on(domain, epoch, &stanzas).await {
                Ok(_) => info!(domain, stanzas = count, "passed on what was read and not handled"),
                Err(why) => {
                    warn!(domain, stanzas = count, %why, "what was read and not handled could not be passed on");
                }
            }
            fail::point("passed-on");
            let _ = back.send(Back::Event(Event::PassedOn));
        });
    }

    /// Nothing more is said from here on; this node stands by.
    fn uncrown(&mut self) {
        // A stream that the other's took the place of says nothing of the server.
        let is_replaced = self.crown.as_ref().is_some_and(|crown| crown.reign.is_none());
        let so_far = self.unfit().filter(|_| !is_replaced).map_or(Ok(()), Err);
        if let Some(crown) = self.crown.take() {
            crown.keeper.shut();
        }
        if let Some(renewing) = self.renewing.take() {
            // The next reign's first renewal waits for nobody.
            renewing.abort();
        }
        (self.stream, self.paths, self.vitals, self.level) = (None, None, None, None);
        self.standby = Some(Standby::start(self.setup.reign.stream.clone(), so_far));
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
}
