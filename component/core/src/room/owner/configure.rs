//! Configuring (XEP-0045 §10.1.2, §10.1.3, §10.2): the form read as a whole, then stored, then told.

use super::super::admin::Change;
use super::super::refusal::Refusal;
use super::super::state::is_domain;
use super::super::view::{News, user_x};
use super::super::{Room, Turn};
use crate::muc::{Affiliation, RoomConfig, Status, Whois, option};
use crate::name::{BareJid, Jid};
use crate::ns;
use crate::protocol::form::Submitted;
use crate::record::{Leaving, Record};
use crate::stanza::{Audience, Inbound, Kind, Stanza, Type};

impl Room {
    /// Takes a submitted form: an empty one accepts the room as it is (§10.1.2).
    pub(super) fn configure(&mut self, ask: &Inbound, form: &Submitted, turn: &mut Turn<'_>) -> Result<(), Refusal> {
        if form.form_type().is_some_and(|form_type| form_type != ns::MUC_ROOMCONFIG) {
            return Err(Refusal::Malformed("The room does not know this form."));
        }
        let fixed = self.fixed_for(&ask.stanza.from.to_bare());
        let config = option::read(form, &self.config, &self.rules.bounds(), fixed)?;
        let changes = self.read_privileged(form)?;
        self.must_keep_lists_sound(&changes)?;
        turn.answer(ask.result(None));
        let actor = self.actor(&ask.stanza.from);
        let before = self.config.clone();
        if config != before {
            self.commit(Record::Configured(Box::new(config)), turn);
        }
        if self.is_locked {
            self.commit(Record::Unlocked, turn);
        }
        // First, so that all that follows is told to those who hear it from now on.
        self.tell_heard_roles(&before, turn);
        self.make_changes(&actor, changes, turn);
        self.put_out_strangers(&before, turn);
        self.tell_config(&before, turn);
        self.vanish_if_empty(turn);
        Ok(())
    }

    /// `roomadmins` and `roomowners`: a list that is there replaces the one before.
    fn read_privileged(&self, form: &Submitted) -> Result<Vec<Change>, Refusal> {
        let owners = jids(form, "muc#roomconfig_roomowners")?;
        let admins = jids(form, "muc#roomconfig_roomadmins")?;
        let mut changes = Vec::new();
        for (list, affiliation) in [(&owners, Affiliation::Owner), (&admins, Affiliation::Admin)] {
            let Some(list) = list else { continue };
            for entry in self.affiliations.values().filter(|entry| entry.affiliation == affiliation) {
                let is_named = [&owners, &admins].into_iter().flatten().any(|named| named.contains(&entry.who));
                if !is_named {
                    changes.push(change(&entry.who, one_less(affiliation, admins.is_some())));
                }
            }
            for who in list {
                let is_owner_too = owners.as_ref().is_some_and(|owners| owners.contains(who));
                let has = self.affiliations.get(who).map_or(Affiliation::None, |entry| entry.affiliation);
                let is_more = affiliation == Affiliation::Owner || !is_owner_too;
                if has != affiliation && is_more {
                    changes.push(change(who, affiliation));
                }
            }
        }
        let named = [&owners, &admins].into_iter().flatten().flatten();
        if named.into_iter().any(is_domain) {
            return Err(Refusal::DomainRank);
        }
        Ok(changes)
    }

    /// A room that is members-only now keeps members only (322).
    fn put_out_strangers(&mut self, before: &RoomConfig, turn: &mut Turn<'_>) {
        if !self.config.is_members_only || before.is_members_only {
            return;
        }
        let strangers: Vec<_> = self
            .roster
            .iter()
            .filter(|occupant| self.affiliation(&occupant.bare) < Affiliation::Member)
            .map(|occupant| occupant.nick.clone())
            .collect();
        let news = News { statuses: &[Status::MembersOnlyNow], ..News::default() };
        for nick in strangers {
            self.put_out(&nick, Leaving::MembersOnly, &news, turn);
        }
    }

    /// Roles that are told to others from now on appear, those that are no longer vanish (`presencebroadcast`).
    fn tell_heard_roles(&self, before: &RoomConfig, turn: &mut Turn<'_>) {
        for occupant in self.roster.iter() {
            match (before.broadcasts(occupant.role), self.config.broadcasts(occupant.role)) {
                (true, false) => self.tell_others_gone(&self.face(occupant), turn),
                (false, true) => self.tell_others(&self.face(occupant), &Type::None, &News::default(), turn),
                (true, true) | (false, false) => {}
            }
        }
    }

    /// Everyone hears what kind of change it was (§10.2.1).
    fn tell_config(&self, before: &RoomConfig, turn: &mut Turn<'_>) {
        let statuses = statuses_of_change(before, &self.config);
        if statuses.is_empty() || self.roster.is_empty() {
            return;
        }
        let stanza = Stanza::new(Kind::Message, Type::Groupchat, self.jid.as_jid().clone())
            .with_id(Some(turn.id()))
            .with(user_x([], &statuses));
        turn.say(stanza, Audience::Many(self.roster.everyone()));
    }
}

fn statuses_of_change(before: &RoomConfig, now: &RoomConfig) -> Vec<Status> {
    let mut statuses = Vec::new();
    let public = |config: &RoomConfig| RoomConfig {
        whois: Whois::Anyone,
        is_archived: true,
        shows_absent: false,
        ..config.clone()
    };
    if public(before) != public(now) {
        statuses.push(Status::ConfigChanged);
    }
    if before.is_archived != now.is_archived {
        statuses.push(if now.is_archived { Status::LoggingOn } else { Status::LoggingOff });
    }
    if before.shows_absent != now.shows_absent {
        let shows = [Status::HidesUnavailableMembers, Status::ShowsUnavailableMembers];
        statuses.push(shows[usize::from(now.shows_absent)]);
    }
    if before.whois != now.whois {
        statuses.push(match now.whois {
            Whois::Anyone => Status::NonAnonymous,
            Whois::Moderators => Status::SemiAnonymous,
        });
    }
    statuses
}

fn jids(form: &Submitted, var: &str) -> Result<Option<Vec<BareJid>>, Refusal> {
    let Some(values) = form.values(var) else { return Ok(None) };
    let mut jids = Vec::with_capacity(values.len());
    for value in values.iter().map(|value| value.trim()).filter(|value| !value.is_empty()) {
        let jid = Jid::parse(value).map_err(|_| Refusal::BadField(format!("{var} takes JIDs, one a value.")))?;
        let bare = jid.to_bare();
        if !jids.contains(&bare) {
            jids.push(bare);
        }
    }
    Ok(Some(jids))
}

/// What is left to somebody who is no longer on a list (§10.2): the next lower one, unless that was given too.
fn one_less(affiliation: Affiliation, admins_are_given: bool) -> Affiliation {
    if affiliation == Affiliation::Owner && !admins_are_given { Affiliation::Admin } else { Affiliation::Member }
}

fn change(who: &BareJid, affiliation: Affiliation) -> Change {
    Change::Affiliation { who: who.clone(), affiliation, nick: None, reason: None }
}
