//! `[service.limits]`: what one stranger may fill, and how long things are kept.

use serde::Deserialize;

use super::value::any;

/// `[service.limits]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Occupants in one room.
    #[serde(deserialize_with = "any")]
    pub occupants: u32,
    /// Sessions of one occupant.
    #[serde(deserialize_with = "any")]
    pub sessions: u32,
    /// Messages of history kept ready in one room.
    #[serde(deserialize_with = "any")]
    pub history: u32,
    /// Days any room may keep messages in its archive; 0: for ever.
    #[serde(deserialize_with = "any")]
    pub archive_days_max: u32,
    /// The most seconds a room may have people wait between two messages.
    #[serde(deserialize_with = "any")]
    pub slow_mode_seconds_max: u32,
    /// Mentions that one member who is not inside is told of in an hour, by each room.
    #[serde(deserialize_with = "any")]
    pub mentions_per_hour: u32,
    /// Sessions that are told of activity in rooms without being inside.
    #[serde(deserialize_with = "any")]
    pub activity_listeners: u32,
    /// Entries of one room's affiliation list.
    #[serde(deserialize_with = "any")]
    pub affiliations: u32,
    /// Bytes of one body or subject.
    #[serde(deserialize_with = "any")]
    pub body_bytes: usize,
    /// Characters of one nick.
    #[serde(deserialize_with = "any")]
    pub nick_chars: usize,
    /// Bytes of one room's vCard as XML.
    #[serde(deserialize_with = "any")]
    pub vcard_bytes: usize,
    /// Hats one room may have.
    #[serde(deserialize_with = "any")]
    pub hats: u32,
    /// Bytes of one stanza.
    #[serde(deserialize_with = "any")]
    pub stanza_bytes: usize,
    /// Elements inside each other in one stanza.
    #[serde(deserialize_with = "any")]
    pub stanza_depth: u32,
    /// Days a destroyed room's JID stays reserved.
    #[serde(deserialize_with = "any")]
    pub tombstone_days: u32,
    /// Minutes a locked room waits for its configuration.
    #[serde(deserialize_with = "any")]
    pub lock_minutes: u32,
    /// Seconds between two requests for voice by one person.
    #[serde(deserialize_with = "any")]
    pub voice_request_seconds: u32,
    /// Seconds after which a room without occupants leaves memory.
    #[serde(deserialize_with = "any")]
    pub idle_seconds: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            occupants: 5_000,
            sessions: 20,
            history: 200,
            archive_days_max: 0,
            slow_mode_seconds_max: 3_600,
            mentions_per_hour: 20,
            activity_listeners: 20_000,
            affiliations: 20_000,
            body_bytes: 65_536,
            nick_chars: 128,
            vcard_bytes: 98_304,
            hats: 50,
            stanza_bytes: 262_144,
            stanza_depth: 64,
            tombstone_days: 30,
            lock_minutes: 30,
            voice_request_seconds: 60,
            idle_seconds: 300,
        }
    }
}
