//! Taking another nick (XEP-0045 §7.6): gone under the old one with 303, there under the new one.

use super::super::refusal::Refusal;
use super::super::view::News;
use super::super::{Room, Turn};
use crate::muc::{NickLock, Role, Status};
use crate::name::Nick;
use crate::record::Record;
use crate::stanza::{Inbound, Type};

impl Room {
    /// The sender's occupant becomes `nick`, with all its sessions.
    pub(in super::super) fn change_nick(
        &mut self,
        ask: &Inbound,
        old: &Nick,
        nick: &Nick,
        turn: &mut Turn<'_>,
    ) -> Result<(), Refusal> {
        self.must_be_fit(nick)?;
        let Some(before) = self.face_named(old) else { return Err(Refusal::NotInside) };
        if self.roster.named(nick).is_some() && nick != old {
            return Err(Refusal::NickTaken);
        }
        self.must_not_be_reserved(nick, &before.bare)?;
        let is_bound = self.config.nick_lock != NickLock::Free;
        if is_bound && self.registered_nick(&before.bare).is_some_and(|own| own != nick) {
            return Err(Refusal::NickLocked);
        }
        if before.role == Role::Visitor && !self.config.may_visitors_change_nick {
            return Err(Refusal::NickChangeForbidden);
        }
        self.commit(Record::Renamed { from: old.clone(), to: nick.clone() }, turn);
        self.take_presence(&ask.stanza, turn);
        let Some(after) = self.face_named(nick) else { return Err(Refusal::NotInside) };
        let mut parting = after.clone();
        parting.jid = before.jid;
        parting.payload = std::sync::Arc::new([]);
        let news = News { statuses: &[Status::NickChanged], new_nick: Some(nick), ..News::default() };
        self.tell_self(&parting, &Type::Unavailable, &news, turn);
        if self.config.broadcasts(after.role) {
            self.tell_others(&parting, &Type::Unavailable, &news, turn);
        }
        self.announce(&after, false, &News::default(), turn);
        Ok(())
    }
}
