//! `[service.rates]`: how fast one user may send.

use serde::Deserialize;
use tandem_muc_core::pace::{Rate, Terms};

use super::Service;
use super::value::any;

/// `[service.rates]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rates {
    /// Messages of one user to one room, a minute; 0: any number.
    #[serde(deserialize_with = "any")]
    pub messages_per_minute: u32,
    /// Of these at once, after a rest.
    #[serde(deserialize_with = "any")]
    pub messages_at_once: u32,
    /// Presences of one user to one room, a minute; 0: any number.
    #[serde(deserialize_with = "any")]
    pub presences_per_minute: u32,
    /// Of these at once, after a rest.
    #[serde(deserialize_with = "any")]
    pub presences_at_once: u32,
    /// Requests of one user, a minute; 0: any number.
    #[serde(deserialize_with = "any")]
    pub requests_per_minute: u32,
    /// Of these at once, after a rest.
    #[serde(deserialize_with = "any")]
    pub requests_at_once: u32,
}

impl Default for Rates {
    fn default() -> Rates {
        Rates {
            messages_per_minute: 300,
            messages_at_once: 50,
            presences_per_minute: 60,
            presences_at_once: 20,
            requests_per_minute: 3_000,
            requests_at_once: 2_000,
        }
    }
}

impl Service {
    /// How fast people may send to this domain.
    pub fn pace(&self) -> Terms {
        let rates = &self.rates;
        let rate = |per_minute, at_once| Rate { per_minute, at_once };
        Terms {
            messages: rate(rates.messages_per_minute, rates.messages_at_once),
            presences: rate(rates.presences_per_minute, rates.presences_at_once),
            requests: rate(rates.requests_per_minute, rates.requests_at_once),
            admins: self.admins.iter().map(|admin| admin.0.clone()).collect(),
        }
    }
}
