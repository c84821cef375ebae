//! What becomes of those who belong to the room and are not inside.

use super::{Look, RoomOption, SILENT, switch};
use crate::ns;

/// XEP-0452 v0.2.2.
pub(super) const FORWARD_MENTIONS: RoomOption = RoomOption {
    key: "forward_mentions",
    field: "muc#roomconfig_forwardmentions",
    label: "Members who are not inside get messages that mention them",
    look: Look::Switch,
    show: |config, _| switch(config.forwards_mentions),
    take: |asked, config| asked.switch(&mut config.forwards_mentions),
    features: |config| if config.forwards_mentions { &[ns::MENTIONS] } else { &[] },
    ..SILENT
};

pub(super) const NOTIFY_ABSENT: RoomOption = RoomOption {
    key: "notify_absent",
    field: "muc#roomconfig_notify_absent",
    label: "Members who are not inside are told once that there are new messages",
    look: Look::Switch,
    show: |config, _| switch(config.notifies_absent),
    take: |asked, config| asked.switch(&mut config.notifies_absent),
    ..SILENT
};

pub(super) const SHOW_ABSENT: RoomOption = RoomOption {
    key: "show_absent",
    field: "muc#roomconfig_show_absent",
    label: "Members who are not inside are shown",
    look: Look::Switch,
    show: |config, _| switch(config.shows_absent),
    take: |asked, config| asked.switch(&mut config.shows_absent),
    ..SILENT
};
