//! What a well-formed file can still get wrong: values out of range, domains named twice, addresses that are none.

use tandem_muc_core::muc::Whois;

use super::{Config, Profile, Service};

/// Every relay of a domain is attached at once; a cluster has a few.
const RELAYS_MAX: usize = 8;

impl Config {
    /// The key at fault, and the sentence about it.
    pub(super) fn check(&self) -> Result<(), (&'static str, String)> {
        if self.node.name.is_empty() || !self.node.name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
        {
            return Err(("name", "node.name must be a short word of letters, digits, - _ .".to_owned()));
        }
        let at_least = |key: &'static str, value: u64, least: u64| {
            if value < least { Err((key, format!("{key} = {value} is less than {least}"))) } else { Ok(()) }
        };
        at_least("shards", self.node.shards as u64, 1)?;
        at_least("answer_ms", self.store.answer_ms, 100)?;
        at_least("group_max", self.store.group_max as u64, 1)?;
        at_least("queue_max", self.store.queue_max as u64, 16)?;
        at_least("held_seconds", self.store.held_seconds, 1)?;
        at_least("lease_ms", self.store.lease_ms, 500)?;
        self.check_pair()?;
        if self.services.is_empty() {
            return Err(("", "no [[service]]: name at least one domain to serve".to_owned()));
        }
        for (nth, service) in self.services.iter().enumerate() {
            if self.services[..nth].iter().any(|other| other.domain == service.domain) {
                return Err(("domain", format!("domain = \"{}\" stands in two [[service]] tables", service.domain.0)));
            }
            if service.server.is_empty() {
                return Err((
                    "server",
                    format!("{}: server is empty: name a host:port to attach to", service.domain.0),
                ));
            }
            self.check_home(service)?;
            check_relays(service)?;
            for address in service.relay.iter().chain(&service.server) {
                if address.rsplit_once(':').is_none_or(|(host, port)| host.is_empty() || port.parse::<u16>().is_err()) {
                    let key = if service.relay.contains(address) { "relay" } else { "server" };
                    return Err((key, format!("{key} \"{address}\" is not of the form host:port")));
                }
            }
            service.blocked().map_err(|why| ("blocked", format!("blocked: {why}")))?;
            at_least("stanza_bytes", service.limits.stanza_bytes as u64, 10_000)?;
            at_least("stanza_depth", u64::from(service.limits.stanza_depth), 8)?;
            at_least("occupants", u64::from(service.limits.occupants), 1)?;
            at_least("sessions", u64::from(service.limits.sessions), 1)?;
            Self::check_vcards(service)?;
        }
        Ok(())
    }

    /// Timers in sane proportion: who is slower than his patience always seems silent.
    fn check_pair(&self) -> Result<(), (&'static str, String)> {
        let Some(pair) = &self.pair else { return Ok(()) };
        if pair.twin == self.node.name {
            return Err(("twin", format!("pair.twin = \"{}\" is this node itself; name the other one", pair.twin)));
        }
        let lease_ms = self.store.lease_ms;
        if pair.beat_ms < 50 {
            return Err(("beat_ms", format!("pair.beat_ms = {} is less than 50", pair.beat_ms)));
        }
        if pair.margin_ms < 100 {
            return Err((
                "margin_ms",
                format!(
                    "pair.margin_ms = {} is less than 100; the twin could speak before this node is silent",
                    pair.margin_ms
                ),
            ));
        }
        if pair.beat_ms * 2 + pair.margin_ms > lease_ms {
            let what = format!(
                "store.lease_ms = {lease_ms} is too short for pair.beat_ms = {} and pair.margin_ms = {}: one late renewal would end the lease; make it at least {}",
                pair.beat_ms,
                pair.margin_ms,
                pair.beat_ms * 2 + pair.margin_ms
            );
            return Err(("beat_ms", what));
        }
        if pair.patience_ms < pair.beat_ms * 2 {
            let what = format!(
                "pair.patience_ms = {} is shorter than two beats of pair.beat_ms = {}; the twin would always seem silent",
                pair.patience_ms, pair.beat_ms
            );
            return Err(("patience_ms", what));
        }
        Ok(())
    }

    /// Once the defaults are settled: rooms are ones that the profile's clients can enter.
    pub(super) fn check_profile(service: &Service) -> Result<(), (&'static str, String)> {
        if service.profile == Profile::Cisco && service.defaults.room.whois != Whois::Anyone {
            let what = "whois = \"moderators\": Cisco Jabber (profile = \"cisco\") cannot enter such rooms".to_owned();
            return Err(("whois", what));
        }
        Ok(())
    }

    /// A card goes in one stanza, the service's own one too.
    fn check_vcards(service: &Service) -> Result<(), (&'static str, String)> {
        let limits = &service.limits;
        if limits.vcard_bytes > limits.stanza_bytes {
            let what = format!(
                "vcard_bytes = {} is more than stanza_bytes = {}: no such vCard would ever come in",
                limits.vcard_bytes, limits.stanza_bytes
            );
            return Err(("vcard_bytes", what));
        }
        match service.identity.vcard_xml() {
            Some(xml) if xml.len() > limits.vcard_bytes => {
                let what = format!(
                    "the vCard of {} has {} bytes with its picture, vcard_bytes = {}: take a smaller picture",
                    service.domain.0,
                    xml.len(),
                    limits.vcard_bytes
                );
                Err(("avatar", what))
            }
            Some(_) | None => Ok(()),
        }
    }

    fn check_home(&self, service: &Service) -> Result<(), (&'static str, String)> {
        let home = self.home(service);
        let twin = self.pair.as_ref().map(|pair| pair.twin.as_str());
        if home == self.node.name || Some(home) == twin {
            return Ok(());
        }
        let known = twin.map_or_else(|| "there is no [pair]".to_owned(), |twin| format!("its twin is {twin}"));
        Err((
            "home",
            format!(
                "{}: home = \"{home}\" is neither this node ({}) nor its twin; {known}",
                service.domain.0, self.node.name
            ),
        ))
    }
}

fn check_relays(service: &Service) -> Result<(), (&'static str, String)> {
    let (domain, relays) = (&service.domain.0, &service.relay);
    if relays.len() > RELAYS_MAX {
        return Err(("relay", format!("{domain}: relay names {} relays, more than {RELAYS_MAX}", relays.len())));
    }
    match relays.iter().enumerate().find(|(nth, relay)| relays[..*nth].contains(relay)) {
        Some((_, twice)) => Err(("relay", format!("{domain}: relay names \"{twice}\" twice"))),
        None => Ok(()),
    }
}
