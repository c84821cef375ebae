//! Who finds the room and who gets in: listed, for members, with a password, how many, by invitation, under which nick.

use super::{Asked, Look, RoomOption, SILENT, switch, text};
use crate::muc::NickLock;

pub(super) const PERSISTENT: RoomOption = RoomOption {
    key: "persistent",
    field: "muc#roomconfig_persistentroom",
    label: "Stays when the last one leaves",
    look: Look::Switch,
    show: |config, _| switch(config.is_persistent),
    take: |asked, config| asked.switch(&mut config.is_persistent),
    features: |config| if config.is_persistent { &["muc_persistent"] } else { &["muc_temporary"] },
    ..SILENT
};

pub(super) const PUBLIC: RoomOption = RoomOption {
    key: "public",
    field: "muc#roomconfig_publicroom",
    label: "Listed publicly",
    look: Look::Switch,
    show: |config, _| switch(config.is_public),
    take: |asked, config| asked.switch(&mut config.is_public),
    features: |config| if config.is_public { &["muc_public"] } else { &["muc_hidden"] },
    ..SILENT
};

pub(super) const MEMBERS_ONLY: RoomOption = RoomOption {
    key: "members_only",
    field: "muc#roomconfig_membersonly",
    label: "For members only",
    look: Look::Switch,
    show: |config, _| switch(config.is_members_only),
    take: |asked, config| asked.switch(&mut config.is_members_only),
    features: |config| if config.is_members_only { &["muc_membersonly"] } else { &["muc_open"] },
    ..SILENT
};

/// One thing with [`SECRET`], which reads what this one asks for.
pub(super) const PASSWORD_PROTECTED: RoomOption = RoomOption {
    key: "password",
    field: "muc#roomconfig_passwordprotectedroom",
    label: "Needs a password",
    look: Look::Switch,
    show: |config, _| switch(config.password.is_some()),
    take: |asked, _| asked.switch(&mut false),
    features: |config| if config.password.is_some() { &["muc_passwordprotected"] } else { &["muc_unsecured"] },
    ..SILENT
};

pub(super) const SECRET: RoomOption = RoomOption {
    key: "password",
    field: "muc#roomconfig_roomsecret",
    label: "Password",
    look: Look::Private,
    show: |config, _| text(config.password.as_deref().unwrap_or_default()),
    take: |asked, config| {
        config.password = password(asked)?;
        Ok(())
    },
    ..SILENT
};

pub(super) const OCCUPANTS: RoomOption = RoomOption {
    key: "occupants",
    field: "muc#roomconfig_maxusers",
    label: "Most occupants",
    look: Look::Most(|bounds| bounds.occupants_max),
    show: |config, _| text(&config.occupants_max.map_or_else(|| "none".to_owned(), |max| max.to_string())),
    take: |asked, config| {
        let max = asked.bounds.occupants_max;
        match asked.first() {
            None => {}
            Some("" | "none" | "0") => config.occupants_max = None,
            Some(value) => match value.parse() {
                Ok(number) if number <= max => config.occupants_max = Some(number),
                _ => return Err(format!("none or a number from 1 to {max}")),
            },
        }
        Ok(())
    },
    ..SILENT
};

pub(super) const INVITES: RoomOption = RoomOption {
    key: "invites",
    field: "muc#roomconfig_allowinvites",
    label: "Everyone inside may invite",
    look: Look::Switch,
    show: |config, _| switch(config.may_occupants_invite),
    take: |asked, config| asked.switch(&mut config.may_occupants_invite),
    ..SILENT
};

/// Registration with the room keeps a nick for somebody (§7.10); this says whether it also binds to it (§7.2.10, §7.6).
pub(super) const NICK_LOCK: RoomOption = RoomOption {
    key: "nick_lock",
    field: "muc#roomconfig_lock_nicks",
    label: "Registered people who come under another nick",
    look: Look::One(&[
        ("free", "May have it"),
        ("assign", "Are given their registered nick"),
        ("refuse", "May not enter"),
    ]),
    show: |config, _| text(config.nick_lock.as_str()),
    take: |asked, config| asked.one(&NickLock::ALL, NickLock::as_str, &mut config.nick_lock),
    ..SILENT
};

/// A secret protects the room unless the form says that nothing does; one that was emptied does not.
fn password(asked: &Asked<'_>) -> Result<Option<String>, String> {
    let current = asked.before.password.as_ref();
    let given = asked.values().map(|values| values.first().map_or("", String::as_str));
    let secret = given.filter(|secret| !secret.is_empty());
    let mut is_protected = current.is_some() || secret.is_some();
    asked.of(&PASSWORD_PROTECTED).switch(&mut is_protected)?;
    if !is_protected {
        return Ok(None);
    }
    let kept = if given.is_some() { None } else { current.map(String::as_str) };
    let password = secret.or(kept).ok_or("a password that is not empty")?;
    let bytes_max = asked.bounds.text_bytes_max;
    if password.len() > bytes_max {
        return Err(format!("at most {bytes_max} bytes"));
    }
    Ok(Some(password.to_owned()))
}
