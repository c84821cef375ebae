//! A room's place in its shard: loading while its stanzas wait in order, or live.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use tandem_muc_core::record::Seq;
use tandem_muc_core::room::{Found, Input, Lookup, Outcome, Room};
use tandem_muc_core::stanza::Inbound;
use tandem_muc_core::time::Moment;

use super::Repeated;
use super::clock::Clock;
use crate::journal::Life;
use crate::store::Unheard;
use crate::stream::Ticket;

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
    Stanza(Arc<Inbound>, Option<Ticket>),
    /// These may not have been heard; who waits for them is told when they are on their way.
    Repeat(Arc<[Unheard]>, Repeated),
    /// What it asked its archive for to answer this request.
    Found { asked: Arc<Inbound>, ticket: Option<Ticket>, lookup: Arc<Lookup>, found: Arc<Found> },
    /// Messages up to this place may have been kept long enough.
    Expire(Seq),
    /// The moment it asked for has come.
    Tick,
}

impl Errand {
    /// Who asked, and what a relay may forget once that is answered.
    pub(super) fn asked(&self) -> Option<(&Arc<Inbound>, Option<Ticket>)> {
        match self {
            Errand::Stanza(asked, ticket) | Errand::Found { asked, ticket, .. } => Some((asked, *ticket)),
            Errand::Repeat(..) | Errand::Expire(_) | Errand::Tick => None,
        }
    }

    /// Nothing more is to be done about what was to be repeated.
    pub(super) fn note_repeated(&self) {
        if let Errand::Repeat(_, repeated) = self {
            let _ = repeated.send(());
        }
    }
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
    /// When it is to be woken.
    pub(super) wake: Option<Moment>,
    pub(super) touched: Instant,
}

impl Live {
    /// Runs the room once.
    pub(super) fn run(&mut self, clock: Clock, errand: &Errand) -> Outcome {
        let mut outcome = Outcome::default();
        match errand {
            Errand::Stanza(inbound, _) => self.room.handle(clock.now(), Input::Stanza(inbound), &mut outcome),
            Errand::Tick => self.room.handle(clock.now(), Input::Tick, &mut outcome),
            Errand::Found { asked, lookup, found, .. } => {
                self.room.handle(clock.now(), Input::Found { asked, lookup, found }, &mut outcome);
            }
            Errand::Expire(upto) => self.room.handle(clock.now(), Input::Expire(*upto), &mut outcome),
            Errand::Repeat(tail, _) => {
                outcome.wake = self.wake;
                tail.iter().for_each(|unheard| self.repeat(clock, unheard, &mut outcome));
            }
        }
        self.touched = Instant::now();
        self.turn += 1;
        outcome
    }

    fn repeat(&mut self, clock: Clock, unheard: &Unheard, outcome: &mut Outcome) {
        match unheard {
            Unheard::Message(message) => outcome.outbound.extend(self.room.repeat(message)),
            Unheard::Word(word) => outcome.outbound.push(word.clone()),
            Unheard::Entry(ask) => self.room.handle(clock.now(), Input::Again(ask), outcome),
        }
    }
}
