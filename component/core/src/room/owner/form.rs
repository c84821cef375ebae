//! The configuration form (XEP-0045 §15.5.3): written for owners, read back field by field. An unknown field is
//! ignored, a missing one unchanged, a value that cannot be refuses the whole.

use std::fmt::Display;

use minidom::Element;

use super::super::refusal::Refusal;
use super::super::{Room, ServiceRules, Turn};
use crate::muc::{Affiliation, AllowPm, RoleName, RoomConfig, Whois};
use crate::ns;
use crate::protocol::form::{Form, FormType, Submitted, boolean};
use crate::stanza::Inbound;
use crate::stanza::element::{Build, el};

const ROLES: [(&str, &str); 3] =
    [("moderator", "Moderators"), ("participant", "Participants"), ("visitor", "Visitors")];

impl Room {
    /// Answers an owner with the form as it stands (§10.2).
    pub(in super::super) fn tell_form(&self, ask: &Inbound, turn: &mut Turn<'_>) -> Result<(), Refusal> {
        self.must_own(ask)?;
        let query = el("query", ns::MUC_OWNER).with_child(self.write_form());
        turn.answer(ask.result(Some(query)));
        Ok(())
    }

    fn write_form(&self) -> Element {
        let config = &self.config;
        let occupants_max = config.occupants_max.map_or_else(|| "none".to_owned(), |max| max.to_string());
        let password = config.password.as_deref().unwrap_or_default();
        let form = Form::new(FormType::Form, ns::MUC_ROOMCONFIG)
            .titled(&format!("Configuration of {}", self.jid))
            .field("text-single", "muc#roomconfig_roomname", "Name", &[&config.title])
            .field("text-single", "muc#roomconfig_roomdesc", "Description", &[&config.description])
            .field("text-single", "muc#roomconfig_lang", "Language of the discussion", &[&config.lang])
            .boolean("muc#roomconfig_persistentroom", "Stays when the last one leaves", config.is_persistent)
            .boolean("muc#roomconfig_publicroom", "Listed publicly", config.is_public)
            .boolean("muc#roomconfig_membersonly", "For members only", config.is_members_only)
            .boolean("muc#roomconfig_moderatedroom", "Newcomers have no voice", config.is_moderated)
            .boolean("muc#roomconfig_passwordprotectedroom", "Needs a password", config.password.is_some())
            .field("text-private", "muc#roomconfig_roomsecret", "Password", &[password])
            .list(
                "list-single",
                "muc#roomconfig_whois",
                "Who may see real addresses",
                &[("moderators", "Moderators"), ("anyone", "Everyone")],
                &[whois_word(config.whois)],
            )
            .boolean(
                "muc#roomconfig_changesubject",
                "Participants may change the subject",
                config.may_participants_change_subject,
            )
            .boolean("muc#roomconfig_allowinvites", "Everyone inside may invite", config.may_occupants_invite)
            .list(
                "list-single",
                "muc#roomconfig_allowpm",
                "Who may send private messages",
                &[
                    ("anyone", "Everyone"),
                    ("participants", "Participants"),
                    ("moderators", "Moderators"),
                    ("none", "Nobody"),
                ],
                &[allow_pm_word(config.allow_pm)],
            )
            .field("text-single", "muc#roomconfig_maxusers", "Most occupants (a number, or none)", &[&occupants_max]);
        self.write_rest(form)
    }

    fn write_rest(&self, form: Form) -> Element {
        let config = &self.config;
        let listed = |affiliation| -> Vec<&str> {
            let entries = self.affiliations.values().filter(move |entry| entry.affiliation == affiliation);
            entries.map(|entry| entry.who.as_str()).collect()
        };
        form.field(
            "text-single",
            "muc#roomconfig_historylength",
            "Messages kept for newcomers",
            &[&config.history_max.to_string()],
        )
        .field(
            "text-single",
            "muc#roomconfig_defaulthistorymessages",
            "Messages sent to newcomers",
            &[&config.history_default.to_string()],
        )
        .boolean("muc#roomconfig_enablelogging", "Messages are logged", config.is_archived)
        .boolean("muc#roomconfig_enablearchiving", "Messages are archived", config.is_archived)
        .field(
            "text-single",
            "muc#roomconfig_archive_days",
            "Days messages stay in the archive",
            &[&self.rules.archive_days(config).unwrap_or(0).to_string()],
        )
        .list(
            "list-multi",
            "muc#roomconfig_presencebroadcast",
            "Roles whose presence is told",
            &ROLES,
            &role_words(&config.presence_of),
        )
        .list(
            "list-multi",
            "muc#roomconfig_getmemberlist",
            "Roles that may read the member list",
            &ROLES,
            &role_words(&config.member_list_for),
        )
        .boolean(
            "muc#roomconfig_allowvisitornickchange",
            "Visitors may change their nick",
            config.may_visitors_change_nick,
        )
        .boolean("muc#roomconfig_allowvisitorstatus", "Visitors' status texts are told", config.may_visitors_set_status)
        .boolean("muc#roomconfig_allow_voice_requests", "Visitors may ask for voice", config.may_visitors_request_voice)
        .field("jid-multi", "muc#roomconfig_roomadmins", "Admins", &listed(Affiliation::Admin))
        .field("jid-multi", "muc#roomconfig_roomowners", "Owners", &listed(Affiliation::Owner))
        .into_element()
    }
}

/// The configuration that `form` makes of `current`.
pub(super) fn read(form: &Submitted, current: &RoomConfig, rules: &ServiceRules) -> Result<RoomConfig, Refusal> {
    let fields = Fields { form, rules };
    let mut config = current.clone();
    fields.text("roomname", &mut config.title)?;
    fields.text("roomdesc", &mut config.description)?;
    fields.text("lang", &mut config.lang)?;
    fields.boolean("persistentroom", &mut config.is_persistent)?;
    fields.boolean("publicroom", &mut config.is_public)?;
    fields.boolean("membersonly", &mut config.is_members_only)?;
    fields.boolean("moderatedroom", &mut config.is_moderated)?;
    config.password = fields.password(current)?;
    fields.choice("whois", &[("moderators", Whois::Moderators), ("anyone", Whois::Anyone)], &mut config.whois)?;
    fields.boolean("changesubject", &mut config.may_participants_change_subject)?;
    fields.boolean("allowinvites", &mut config.may_occupants_invite)?;
    let who = [
        ("anyone", AllowPm::Anyone),
        ("participants", AllowPm::Participants),
        ("moderators", AllowPm::Moderators),
        ("none", AllowPm::None),
    ];
    fields.choice("allowpm", &who, &mut config.allow_pm)?;
    config.occupants_max = fields.occupants_max(current)?;
    fields.number("historylength", rules.history_max, &mut config.history_max)?;
    fields.number("defaulthistorymessages", rules.history_max, &mut config.history_default)?;
    fields.boolean("enablelogging", &mut config.is_archived)?;
    fields.archiving(current, &mut config.is_archived)?;
    fields.archive_days(&mut config.archive_days)?;
    fields.roles("presencebroadcast", &mut config.presence_of)?;
    fields.roles("getmemberlist", &mut config.member_list_for)?;
    fields.boolean("allowvisitornickchange", &mut config.may_visitors_change_nick)?;
    fields.boolean("allowvisitorstatus", &mut config.may_visitors_set_status)?;
    fields.boolean("allow_voice_requests", &mut config.may_visitors_request_voice)?;
    Ok(config)
}

struct Fields<'a> {
    form: &'a Submitted,
    rules: &'a ServiceRules,
}

impl Fields<'_> {
    fn first(&self, name: &str) -> Option<&str> {
        self.form.first(&format!("muc#roomconfig_{name}"))
    }

    fn text(&self, name: &str, into: &mut String) -> Result<(), Refusal> {
        let Some(values) = self.form.values(&format!("muc#roomconfig_{name}")) else { return Ok(()) };
        let text = values.join("\n");
        if text.len() > self.rules.body_bytes_max {
            return Err(bad(name, format_args!("at most {} bytes", self.rules.body_bytes_max)));
        }
        *into = text;
        Ok(())
    }

    fn boolean(&self, name: &str, into: &mut bool) -> Result<(), Refusal> {
        if let Some(value) = self.first(name) {
            *into = boolean(value).ok_or_else(|| bad(name, "0 or 1"))?;
        }
        Ok(())
    }

    fn number(&self, name: &str, max: u32, into: &mut u32) -> Result<(), Refusal> {
        if let Some(value) = self.first(name) {
            let number = value.trim().parse().ok().filter(|number| *number <= max);
            *into = number.ok_or_else(|| bad(name, format_args!("a number from 0 to {max}")))?;
        }
        Ok(())
    }

    fn choice<T: Copy>(&self, name: &str, choices: &[(&str, T)], into: &mut T) -> Result<(), Refusal> {
        if let Some(value) = self.first(name) {
            let chosen = choices.iter().find(|(word, _)| *word == value);
            let words = || choices.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ");
            *into = chosen.ok_or_else(|| bad(name, format_args!("one of {}", words())))?.1;
        }
        Ok(())
    }

    fn roles(&self, name: &str, into: &mut Vec<RoleName>) -> Result<(), Refusal> {
        let Some(values) = self.form.values(&format!("muc#roomconfig_{name}")) else { return Ok(()) };
        for value in values.iter().filter(|value| !value.is_empty()) {
            if !ROLES.iter().any(|(word, _)| word == value) {
                return Err(bad(name, "any of moderator, participant, visitor"));
            }
        }
        *into = RoleName::ALL.into_iter().filter(|role| values.iter().any(|v| v == role.role().as_str())).collect();
        Ok(())
    }

    fn password(&self, current: &RoomConfig) -> Result<Option<String>, Refusal> {
        let secret = self.first("roomsecret").filter(|secret| !secret.is_empty()).map(str::to_owned);
        let mut is_protected = current.password.is_some() || secret.is_some();
        self.boolean("passwordprotectedroom", &mut is_protected)?;
        if !is_protected {
            return Ok(None);
        }
        let was_emptied = self.form.values("muc#roomconfig_roomsecret").is_some() && secret.is_none();
        let password = if was_emptied { None } else { secret.or_else(|| current.password.clone()) };
        let password = password.ok_or_else(|| bad("roomsecret", "a password that is not empty"))?;
        if password.len() > self.rules.body_bytes_max {
            return Err(bad("roomsecret", format_args!("at most {} bytes", self.rules.body_bytes_max)));
        }
        Ok(Some(password))
    }

    fn occupants_max(&self, current: &RoomConfig) -> Result<Option<u32>, Refusal> {
        let max = self.rules.occupants_max;
        match self.first("maxusers").map(str::trim) {
            None => Ok(current.occupants_max),
            Some("" | "none" | "0") => Ok(None),
            Some(value) => match value.parse() {
                Ok(number) if number <= max => Ok(Some(number)),
                _ => Err(bad("maxusers", format_args!("none or a number from 1 to {max}"))),
            },
        }
    }

    /// 0 is for ever, where the operator lets anything stay for ever.
    fn archive_days(&self, into: &mut u32) -> Result<(), Refusal> {
        let Some(value) = self.first("archive_days").map(str::trim) else { return Ok(()) };
        let max = self.rules.archive_days_max;
        *into = match value.parse() {
            Ok(days) if max == 0 || (1..=max).contains(&days) => days,
            _ if max == 0 => return Err(bad("archive_days", "a number of days, 0 for ever")),
            _ => return Err(bad("archive_days", format_args!("a number from 1 to {max}"))),
        };
        Ok(())
    }

    /// Two names for one thing: whichever of them differs from what was is what is meant.
    fn archiving(&self, current: &RoomConfig, is_archived: &mut bool) -> Result<(), Refusal> {
        let mut archiving = *is_archived;
        self.boolean("enablearchiving", &mut archiving)?;
        if archiving != current.is_archived {
            *is_archived = archiving;
        }
        Ok(())
    }
}

fn bad(name: &str, allowed: impl Display) -> Refusal {
    Refusal::BadField(format!("muc#roomconfig_{name} takes {allowed}."))
}

fn whois_word(whois: Whois) -> &'static str {
    match whois {
        Whois::Moderators => "moderators",
        Whois::Anyone => "anyone",
    }
}

fn allow_pm_word(allow_pm: AllowPm) -> &'static str {
    match allow_pm {
        AllowPm::Anyone => "anyone",
        AllowPm::Participants => "participants",
        AllowPm::Moderators => "moderators",
        AllowPm::None => "none",
    }
}

fn role_words(roles: &[RoleName]) -> Vec<&'static str> {
    roles.iter().map(|role| role.role().as_str()).collect()
}
