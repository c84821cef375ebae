//! Self-ping (XEP-0410): the room itself answers an occupant that asks whether it is still inside; whoever
//! is not, hears `not-acceptable` from the routing.

use super::super::{Room, Turn};
use crate::stanza::Inbound;

impl Room {
    pub(in super::super) fn answer_self_ping(ask: &Inbound, turn: &mut Turn<'_>) {
        turn.answer(ask.result(None));
    }
}
