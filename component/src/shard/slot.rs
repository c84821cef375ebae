//! A room's place in its shard: loading while its stanzas wait in order, or live.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use tandem_muc_core::room::Room;
use tandem_muc_core::stanza::Inbound;

use crate::journal::Life;

/// A room's place in its shard.
#[derive(Debug)]
pub(super) enum Slot {
    /// The store was asked for it.
    Loading(VecDeque<Arc<Inbound>>),
    /// It lives here.
    Live(Box<Live>),
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
