//! Who has a say: voice and how it is asked for, the subject, private messages, what visitors may do.

use super::{Bounds, Look, RoomOption, SILENT, number, switch, text};
use crate::muc::{AllowPm, RoomConfig};
use crate::ns;

pub(super) const MODERATED: RoomOption = RoomOption {
    key: "moderated",
    field: "muc#roomconfig_moderatedroom",
    label: "Newcomers have no voice",
    look: Look::Switch,
    show: |config, _| switch(config.is_moderated),
    take: |asked, config| asked.switch(&mut config.is_moderated),
    features: |config| if config.is_moderated { &["muc_moderated"] } else { &["muc_unmoderated"] },
    ..SILENT
};

/// The field goes by the name ejabberd has for it.
pub(super) const MEMBER_BY_DEFAULT: RoomOption = RoomOption {
    key: "member_by_default",
    field: "muc#roomconfig_membersbydefault",
    label: "Newcomers have voice even so, as members have",
    look: Look::Switch,
    show: |config, _| switch(config.are_newcomers_participants),
    take: |asked, config| asked.switch(&mut config.are_newcomers_participants),
    ..SILENT
};

pub(super) const CHANGE_SUBJECT: RoomOption = RoomOption {
    key: "change_subject",
    field: "muc#roomconfig_changesubject",
    label: "Participants may change the subject",
    look: Look::Switch,
    show: |config, _| switch(config.may_participants_change_subject),
    take: |asked, config| asked.switch(&mut config.may_participants_change_subject),
    info: Some("muc#roominfo_subjectmod"),
    ..SILENT
};

pub(super) const PRIVATE_MESSAGES: RoomOption = RoomOption {
    key: "private_messages",
    field: "muc#roomconfig_allowpm",
    label: "Who may send private messages",
    look: Look::One(&[
        ("anyone", "Everyone"),
        ("participants", "Participants"),
        ("moderators", "Moderators"),
        ("none", "Nobody"),
    ]),
    show: |config, _| text(config.allow_pm.as_str()),
    take: |asked, config| asked.one(&AllowPm::ALL, AllowPm::as_str, &mut config.allow_pm),
    ..SILENT
};

pub(super) const VISITOR_NICK_CHANGE: RoomOption = RoomOption {
    key: "visitor_nick_change",
    field: "muc#roomconfig_allowvisitornickchange",
    label: "Visitors may change their nick",
    look: Look::Switch,
    show: |config, _| switch(config.may_visitors_change_nick),
    take: |asked, config| asked.switch(&mut config.may_visitors_change_nick),
    ..SILENT
};

pub(super) const VISITOR_STATUS: RoomOption = RoomOption {
    key: "visitor_status",
    field: "muc#roomconfig_allowvisitorstatus",
    label: "Visitors' status texts are told",
    look: Look::Switch,
    show: |config, _| switch(config.may_visitors_set_status),
    take: |asked, config| asked.switch(&mut config.may_visitors_set_status),
    ..SILENT
};

pub(super) const VOICE_REQUESTS: RoomOption = RoomOption {
    key: "voice_requests",
    field: "muc#roomconfig_allow_voice_requests",
    label: "Visitors may ask for voice",
    look: Look::Switch,
    show: |config, _| switch(config.may_visitors_request_voice),
    take: |asked, config| asked.switch(&mut config.may_visitors_request_voice),
    features: |config| if config.may_visitors_request_voice { &[ns::MUC_REQUEST] } else { &[] },
    ..SILENT
};

/// XEP-0500 v0.1.1.
pub(super) const SLOW_MODE: RoomOption = RoomOption {
    key: "slow_mode_seconds",
    field: "muc#roomconfig_slow_mode_duration",
    label: "Seconds between two messages of one person (0: any number)",
    look: Look::Whole,
    show: |config, bounds| number(bounds.slow_mode_seconds(config)),
    take: |asked, config| asked.number(asked.bounds.slow_mode_max, &mut config.slow_mode_seconds),
    info: Some("muc#roominfo_slow_mode_duration"),
    ..SILENT
};

impl Bounds {
    /// Seconds between two messages of one user in a room of that configuration.
    pub fn slow_mode_seconds(&self, config: &RoomConfig) -> u32 {
        config.slow_mode_seconds.min(self.slow_mode_max)
    }
}
