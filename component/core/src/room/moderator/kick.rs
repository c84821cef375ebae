//! Kicking (XEP-0045 §8.2): out for now, free to come back.

use super::super::privilege::Actor;
use super::super::view::News;
use super::super::{Room, Turn};
use crate::muc::Status;
use crate::name::Nick;
use crate::record::Leaving;

impl Room {
    /// Puts the occupant out with 307; that `by` may is checked before.
    pub(in super::super) fn kick(&mut self, by: &Actor, nick: &Nick, reason: Option<&str>, turn: &mut Turn<'_>) {
        let news = News { statuses: &[Status::Kicked], actor: by.nick.as_ref(), reason, ..News::default() };
        self.put_out(nick, Leaving::Kicked, &news, turn);
    }
}
