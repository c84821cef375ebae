//! The room's archive (XEP-0313 v0.8): who may read it, what was asked, what is answered.
//!
//! The messages lie in the database: the room decides and asks ([`Lookup`]), the shell looks beside what else there is
//! to do, and the room answers what was [`Found`] as things stand by then.

mod answer;
mod expire;
mod query;
mod search;

pub(super) use answer::Purpose;
pub use search::{Found, Lookup, PageSearch, Search, Sender};

use super::Room;
use super::refusal::Refusal;
use crate::muc::{Affiliation, Role};
use crate::stanza::Inbound;

impl Room {
    /// Whether the one who asks may read the archive: whoever has the right to enter now (§5.1.2). Where that takes a
    /// password, those who are inside gave it and owners know it.
    ///
    /// # Errors
    /// `Unknown` where nothing is archived, `ArchiveForbidden`.
    fn must_read(&self, ask: &Inbound) -> Result<(), Refusal> {
        let actor = self.must_be_open_to(ask)?;
        if !self.config.is_archived {
            return Err(Refusal::Unknown);
        }
        let is_outside = self.config.password.is_some() && self.roster.of_user(&actor.bare).next().is_none();
        let is_stranger = self.config.is_members_only && actor.affiliation < Affiliation::Member;
        let lacks_password = is_outside && actor.affiliation < Affiliation::Owner;
        if actor.affiliation == Affiliation::Outcast || is_stranger || lacks_password {
            return Err(Refusal::ArchiveForbidden);
        }
        Ok(())
    }

    /// Whether the one who asks may know who said what.
    fn may_know_senders(&self, ask: &Inbound) -> bool {
        let bare = ask.stanza.from.to_bare();
        let role = match self.roster.of_user(&bare).map(|occupant| occupant.role).max() {
            Some(role) => role,
            None if self.affiliation(&bare) >= Affiliation::Admin => Role::Moderator,
            None => Role::None,
        };
        self.sees_jids(role)
    }
}
