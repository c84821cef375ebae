//! What a well-formed file can still get wrong: values out of range, domains named twice, addresses that are none.

use super::Config;

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
        at_least("lease_ms", self.store.lease_ms, 500)?;
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
            for address in &service.server {
                if address.rsplit_once(':').is_none_or(|(host, port)| host.is_empty() || port.parse::<u16>().is_err()) {
                    return Err(("server", format!("server \"{address}\" is not of the form host:port")));
                }
            }
            at_least("stanza_bytes", service.limits.stanza_bytes as u64, 10_000)?;
            at_least("stanza_depth", u64::from(service.limits.stanza_depth), 8)?;
            at_least("occupants", u64::from(service.limits.occupants), 1)?;
            at_least("sessions", u64::from(service.limits.sessions), 1)?;
        }
        Ok(())
    }
}
