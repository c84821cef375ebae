//! Who may do what to whom (XEP-0045 §5.1.1, §5.2.1): no privilege at all is `forbidden`, a target that ranks
//! too high is `not-allowed`.

use super::Room;
use super::refusal::Refusal;
use super::view::Face;
use crate::muc::{Affiliation, AllowPm, Role, Whois};
use crate::name::{BareJid, Jid, Nick};

/// Who does something to the room or its people.
#[derive(Clone, Debug)]
pub(super) struct Actor {
    pub(super) bare: BareJid,
    pub(super) affiliation: Affiliation,
    /// `Role::None` outside.
    pub(super) role: Role,
    /// The nick inside, if inside.
    pub(super) nick: Option<Nick>,
}

impl Room {
    /// Who `who` is here.
    pub(super) fn actor(&self, who: &Jid) -> Actor {
        let bare = who.to_bare();
        let occupant = self.roster.of(who);
        Actor {
            affiliation: self.affiliation(&bare),
            bare,
            role: occupant.map_or(Role::None, |occupant| occupant.role),
            nick: occupant.map(|occupant| occupant.nick.clone()),
        }
    }

    /// The role somebody of that affiliation has on entering (§7.2.3).
    pub(super) fn initial_role(&self, affiliation: Affiliation) -> Role {
        match affiliation {
            Affiliation::Owner | Affiliation::Admin => Role::Moderator,
            Affiliation::None if self.config.is_moderated && !self.config.are_newcomers_participants => Role::Visitor,
            Affiliation::Member | Affiliation::None => Role::Participant,
            Affiliation::Outcast => Role::None,
        }
    }

    pub(super) fn may_change_subject(&self, role: Role) -> Result<(), Refusal> {
        let is_free = self.config.may_participants_change_subject && role >= Role::Participant;
        if is_free || role == Role::Moderator { Ok(()) } else { Err(Refusal::SubjectForbidden) }
    }

    pub(super) fn may_speak_privately(&self, role: Role) -> Result<(), Refusal> {
        let is_allowed = match self.config.allow_pm {
            AllowPm::Anyone => true,
            AllowPm::Participants => role >= Role::Participant,
            AllowPm::Moderators => role == Role::Moderator,
            AllowPm::None => false,
        };
        if is_allowed { Ok(()) } else { Err(Refusal::PrivateForbidden) }
    }

    /// Whether `actor` may read the list of those with `affiliation` (§9.2, §9.5, §10.5, §10.8): admins those of
    /// outcasts and members, owners all. In a members-only room without anonymity every member reads who
    /// belongs to it: group encryption needs to know for whom.
    pub(super) fn may_read_list(&self, actor: &Actor, affiliation: Affiliation) -> Result<(), Refusal> {
        let has_rank = match affiliation {
            Affiliation::Owner | Affiliation::Admin => actor.affiliation == Affiliation::Owner,
            Affiliation::Member | Affiliation::None | Affiliation::Outcast => actor.affiliation >= Affiliation::Admin,
        };
        let is_listener = self.config.member_list_for.iter().any(|name| name.role() == actor.role);
        let is_open = match affiliation {
            Affiliation::Member if is_listener => true,
            Affiliation::Owner | Affiliation::Admin | Affiliation::Member => {
                self.config.is_members_only && actor.affiliation >= Affiliation::Member
            }
            Affiliation::None | Affiliation::Outcast => false,
        };
        if has_rank || is_open && self.config.whois == Whois::Anyone {
            Ok(())
        } else {
            Err(Refusal::Forbidden("You may not read this list."))
        }
    }
}

/// §8.2: a moderator, and nobody of a higher affiliation.
pub(super) fn may_kick(by: &Actor, target: &Face) -> Result<(), Refusal> {
    must_moderate(by)?;
    if target.affiliation > by.affiliation { Err(Refusal::Outranked) } else { Ok(()) }
}

/// §8.3, §8.4, §9.6, §9.7: voice is the moderators' to give and take, moderating the admins'; from admins and
/// owners nobody takes either.
pub(super) fn may_set_role(by: &Actor, target: &Face, role: Role) -> Result<(), Refusal> {
    must_moderate(by)?;
    let concerns_moderating = role == Role::Moderator || target.role == Role::Moderator;
    if target.affiliation >= Affiliation::Admin && role < target.role {
        return Err(Refusal::Outranked);
    }
    if concerns_moderating && by.affiliation < Affiliation::Admin {
        return Err(if target.role == Role::Moderator {
            Refusal::Outranked
        } else {
            Refusal::Forbidden("Only admins make moderators.")
        });
    }
    let is_peer = target.affiliation >= by.affiliation && target.affiliation != Affiliation::None;
    if is_peer && role < target.role { Err(Refusal::Outranked) } else { Ok(()) }
}

pub(super) fn must_moderate(by: &Actor) -> Result<(), Refusal> {
    if by.role == Role::Moderator || by.affiliation >= Affiliation::Admin {
        Ok(())
    } else {
        Err(Refusal::Forbidden("Only moderators may do that."))
    }
}

/// §9, §10: lists are the admins' to keep, admins and owners the owners'.
pub(super) fn may_affiliate(by: &Actor, who: &BareJid, from: Affiliation, to: Affiliation) -> Result<(), Refusal> {
    if by.affiliation < Affiliation::Admin {
        return Err(Refusal::Forbidden("Only admins and owners keep the room's lists."));
    }
    if to == Affiliation::Outcast && *who == by.bare {
        return Err(Refusal::SelfBan);
    }
    if by.affiliation == Affiliation::Owner {
        return Ok(());
    }
    if from >= Affiliation::Admin {
        return Err(Refusal::Outranked);
    }
    if to >= Affiliation::Admin { Err(Refusal::Forbidden("Only owners make admins and owners.")) } else { Ok(()) }
}
