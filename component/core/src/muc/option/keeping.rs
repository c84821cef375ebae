//! What is kept of what is said: history for newcomers, the archive and how long it goes back.

use super::{Bounds, Look, RoomOption, SILENT, number, switch};
use crate::muc::RoomConfig;
use crate::ns;

pub(super) const HISTORY_LENGTH: RoomOption = RoomOption {
    key: "history_length",
    field: "muc#roomconfig_historylength",
    label: "Messages kept for newcomers",
    look: Look::Text,
    show: |config, _| number(config.history_max),
    take: |asked, config| asked.number(asked.bounds.history_max, &mut config.history_max),
    info: Some("muc#maxhistoryfetch"),
    ..SILENT
};

pub(super) const HISTORY: RoomOption = RoomOption {
    key: "history",
    field: "muc#roomconfig_defaulthistorymessages",
    label: "Messages sent to newcomers",
    look: Look::Text,
    show: |config, _| number(config.history_default),
    take: |asked, config| asked.number(asked.bounds.history_max, &mut config.history_default),
    ..SILENT
};

pub(super) const LOGGING: RoomOption = RoomOption {
    key: "archive",
    field: "muc#roomconfig_enablelogging",
    label: "Messages are logged",
    look: Look::Switch,
    show: |config, _| switch(config.is_archived),
    take: |asked, config| asked.switch(&mut config.is_archived),
    ..SILENT
};

/// Another name of [`LOGGING`]: whichever of the two differs from what was is what is meant.
pub(super) const ARCHIVING: RoomOption = RoomOption {
    key: "archive",
    field: "muc#roomconfig_enablearchiving",
    label: "Messages are archived",
    look: Look::Switch,
    show: |config, _| switch(config.is_archived),
    take: |asked, config| {
        let mut is_archived = config.is_archived;
        asked.switch(&mut is_archived)?;
        if is_archived != asked.before.is_archived {
            config.is_archived = is_archived;
        }
        Ok(())
    },
    features: |config| {
        if config.is_archived {
            &[ns::MAM, ns::MAM_EXTENDED, ns::FULLTEXT, ns::RETRACT, ns::RETRACT_TOMBSTONE]
        } else {
            &[]
        }
    },
    ..SILENT
};

pub(super) const ARCHIVE_DAYS: RoomOption = RoomOption {
    key: "archive_days",
    field: "muc#roomconfig_archive_days",
    label: "Days messages stay in the archive",
    look: Look::Text,
    show: |config, bounds| number(bounds.archive_days(config).unwrap_or(0)),
    take: |asked, config| {
        let Some(value) = asked.first() else { return Ok(()) };
        let max = asked.bounds.archive_days_max;
        // 0 is for ever, where the operator lets anything stay for ever.
        config.archive_days = match value.parse() {
            Ok(days) if max == 0 || (1..=max).contains(&days) => days,
            _ if max == 0 => return Err("a number of days, 0 for ever".to_owned()),
            _ => return Err(format!("a number from 1 to {max}")),
        };
        Ok(())
    },
    ..SILENT
};

impl Bounds {
    /// Days for which a room of that configuration keeps messages; for ever where there is no number.
    pub fn archive_days(&self, config: &RoomConfig) -> Option<u32> {
        match (config.archive_days, self.archive_days_max) {
            (0, 0) => None,
            (days, 0) | (0, days) => Some(days),
            (wanted, most) => Some(wanted.min(most)),
        }
    }
}
