//! A room's place in its shard: loading while its stanzas wait in order, or live.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use tandem_muc_core::record::Message;
use tandem_muc_core::room::{Input, Outcome, Room};
use tandem_muc_core::stanza::Inbound;

use super::clock::Clock;
use crate::journal::Life;

/// A room's place in its shard.
#[derive(Debug)]
pub(super) enum Slot {
    /// The store was asked for it.
    Loading(VecDeque<Errand>),
    /// It lives here.
    Live(Box<Live>),
}

/// What a room is wanted for.
#[derive(Clone, Debug)]
pub(super) enum Errand {
    /// A stanza came.
    Stanza(Arc<Inbound>),
    /// A message may not have been heard.
    Repeat(Arc<Message>),
    /// The moment it asked for has come.
    Tick,
}

/// A room in memory.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) room: Room,
    pub(super) life: Life,
    /// Counts what it has done; a settled turn that is still the last one means all of it is durable.
    pub(super) turn: u64,
    /// The turn the journal was asked to settle.
    pub(super) asked: Option<u64>,
    pub(super) touched: Instant,
}

impl Live {
    /// Runs the room once.
    pub(super) fn run(&mut self, clock: Clock, errand: &Errand) -> Outcome {
        let mut outcome = Outcome::default();
        match errand {
            Errand::Stanza(inbound) => self.room.handle(clock.now(), Input::Stanza(inbound), &mut outcome),
            Errand::Tick => self.room.handle(clock.now(), Input::Tick, &mut outcome),
            Errand::Repeat(message) => outcome.outbound.extend(self.room.repeat(message)),
        }
        self.touched = Instant::now();
        self.turn += 1;
        outcome
    }
}
