//! Roles given and taken (XEP-0045 §8.3, §8.4, §9.6, §9.7): voice, and the power to moderate.

use super::super::privilege::Actor;
use super::super::view::News;
use super::super::{Room, Turn};
use crate::muc::Role;
use crate::name::Nick;
use crate::record::Record;

impl Room {
    /// Gives the occupant `role` for its stay; that `by` may is checked before.
    pub(in super::super) fn set_role(
        &mut self,
        by: &Actor,
        nick: &Nick,
        role: Role,
        reason: Option<&str>,
        turn: &mut Turn<'_>,
    ) {
        let Some(before) = self.roster.named(nick).map(|occupant| occupant.role) else { return };
        if role == Role::None {
            self.kick(by, nick, reason, turn);
            return;
        }
        if role == before {
            return;
        }
        self.commit(Record::RoleSet { nick: nick.clone(), role }, turn);
        let Some(face) = self.face_named(nick) else { return };
        let news = News { actor: by.nick.as_ref(), reason, ..News::default() };
        self.announce(&face, self.config.broadcasts(before), &news, turn);
    }
}
