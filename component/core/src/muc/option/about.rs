//! What a room is about: name, description, language, what belongs to it elsewhere.

use super::{Look, RoomOption, SILENT, text};

pub(super) const TITLE: RoomOption = RoomOption {
    key: "title",
    field: "muc#roomconfig_roomname",
    label: "Name",
    look: Look::Text,
    show: |config, _| text(&config.title),
    take: |asked, config| asked.text(&mut config.title),
    info: Some("muc#roomconfig_roomname"),
    ..SILENT
};

pub(super) const DESCRIPTION: RoomOption = RoomOption {
    key: "description",
    field: "muc#roomconfig_roomdesc",
    label: "Description",
    look: Look::Text,
    show: |config, _| text(&config.description),
    take: |asked, config| asked.text(&mut config.description),
    info: Some("muc#roominfo_description"),
    ..SILENT
};

pub(super) const LANG: RoomOption = RoomOption {
    key: "lang",
    field: "muc#roomconfig_lang",
    label: "Language of the discussion",
    look: Look::Text,
    show: |config, _| text(&config.lang),
    take: |asked, config| asked.text(&mut config.lang),
    info: Some("muc#roominfo_lang"),
    ..SILENT
};

pub(super) const PUBSUB: RoomOption = RoomOption {
    key: "pubsub",
    field: "muc#roomconfig_pubsub",
    label: "XMPP URI of a publish-subscribe node that belongs to the room",
    look: Look::Text,
    show: |config, _| text(&config.pubsub_uri),
    take: |asked, config| {
        let mut uri = config.pubsub_uri.clone();
        asked.text(&mut uri)?;
        if !uri.is_empty() && !uri.starts_with("xmpp:") {
            return Err("an XMPP URI (xmpp:…), or nothing".to_owned());
        }
        config.pubsub_uri = uri;
        Ok(())
    },
    info: Some("muc#roominfo_pubsub"),
    ..SILENT
};
