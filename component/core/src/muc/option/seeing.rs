//! Who sees whom: real JIDs, presence, the list of members.

use super::{Look, RoomOption, SILENT, text};
use crate::muc::{RoleName, Whois};

const ROLES: Look = Look::Any(&[("moderator", "Moderators"), ("participant", "Participants"), ("visitor", "Visitors")]);

pub(super) const WHOIS: RoomOption = RoomOption {
    key: "whois",
    field: "muc#roomconfig_whois",
    label: "Who may see real addresses",
    look: Look::One(&[("moderators", "Moderators"), ("anyone", "Everyone")]),
    show: |config, _| text(config.whois.as_str()),
    take: |asked, config| asked.one(&Whois::ALL, Whois::as_str, &mut config.whois),
    features: |config| match config.whois {
        Whois::Anyone => &["muc_nonanonymous"],
        Whois::Moderators => &["muc_semianonymous"],
    },
    ..SILENT
};

pub(super) const PRESENCE_OF: RoomOption = RoomOption {
    key: "presence_of",
    field: "muc#roomconfig_presencebroadcast",
    label: "Roles whose presence is told",
    look: ROLES,
    show: |config, _| words(&config.presence_of),
    take: |asked, config| asked.roles(&mut config.presence_of),
    ..SILENT
};

pub(super) const MEMBER_LIST_FOR: RoomOption = RoomOption {
    key: "member_list_for",
    field: "muc#roomconfig_getmemberlist",
    label: "Roles that may read the member list",
    look: ROLES,
    show: |config, _| words(&config.member_list_for),
    take: |asked, config| asked.roles(&mut config.member_list_for),
    ..SILENT
};

fn words(roles: &[RoleName]) -> Vec<String> {
    roles.iter().map(|role| role.as_str().to_owned()).collect()
}
