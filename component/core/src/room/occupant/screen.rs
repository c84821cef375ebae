//! Whom the service keeps out of all its rooms is put out where he is inside already: the list came later than he did.

use super::super::view::News;
use super::super::{Room, Turn};
use crate::muc::{Affiliation, Status};
use crate::name::Nick;
use crate::record::Leaving;

impl Room {
    /// Puts those out as if they were banned (XEP-0045 §9.1); once after the rules have changed or the room was loaded.
    pub(in super::super) fn screen(&mut self, turn: &mut Turn<'_>) {
        if std::mem::replace(&mut self.is_screened, true) || self.rules.blocked.is_empty() {
            return;
        }
        let is_kept_out = |who| self.rules.blocked.has(who) && self.affiliation(who) == Affiliation::Outcast;
        let inside = self.roster.iter().filter(|occupant| is_kept_out(&occupant.bare));
        let nicks: Vec<Nick> = inside.map(|occupant| occupant.nick.clone()).collect();
        let news = News { statuses: &[Status::Banned], ..News::default() };
        for nick in &nicks {
            self.put_out(nick, Leaving::Banned, &news, turn);
        }
        if !nicks.is_empty() {
            self.vanish_if_empty(turn);
        }
    }
}
