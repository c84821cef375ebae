//! What a predecessor read from its stream and did not handle comes to its successor through the database, as XML.

use std::time::{Duration, Instant};

use tandem_muc_core::stanza::{Audience, Inbound, Outbound, render, write_address};
use tracing::{info, warn};

use crate::store::{Epoch, PassedOn, SqlStore};
use crate::stream::framer::Framer;
use crate::stream::{Heard, Limits, hear};

/// How long it is waited for: a predecessor that died in the middle passes nothing on.
const PATIENCE: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(3);

/// Waits for what was passed on in `epoch`; nothing if none is to come.
pub(super) async fn awaited(store: &SqlStore, domain: &str, epoch: Epoch, limits: Limits) -> Vec<Inbound> {
    let began = Instant::now();
    loop {
        match store.passed_on(domain, epoch).await {
            Ok(PassedOn::Nothing) => return Vec::new(),
            Ok(PassedOn::Whole(stanzas)) => {
                let passed: Vec<Inbound> = stanzas.iter().filter_map(|xml| read(xml, domain, limits)).collect();
                if !passed.is_empty() {
                    info!(domain, stanzas = passed.len(), "handling what the node before read and did not handle");
                }
                if let Err(why) = store.forget_passed_on(domain, epoch).await {
                    tracing::debug!(domain, %why, "what was passed on stays in its table for now");
                }
                return passed;
            }
            Ok(PassedOn::Awaited) => {}
            Err(why) => tracing::debug!(domain, %why, "what was passed on cannot be read yet"),
        }
        if began.elapsed() >= PATIENCE {
            warn!(domain, "the node before passed nothing on in time; what it read last may be lost");
            return Vec::new();
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// The stanza as it came, for the store.
pub fn as_text(inbound: &Inbound) -> String {
    let word = Outbound { stanza: inbound.stanza.clone(), to: Audience::One(inbound.to.clone()) };
    let rendered = render(&word.stanza);
    let mut bytes = rendered.head.into_bytes();
    write_address(&inbound.to, &mut bytes);
    bytes.extend_from_slice(rendered.tail.as_bytes());
    String::from_utf8_lossy(&bytes).into_owned()
}

fn read(xml: &str, domain: &str, limits: Limits) -> Option<Inbound> {
    let mut framer = Framer::new(limits, xml.as_bytes());
    let frame = framer.frame().ok()??;
    match hear(frame, domain) {
        Heard::Stanza(inbound) => Some(*inbound),
        Heard::Mark(_) | Heard::Refuse(_) | Heard::Ignored(_) | Heard::End | Heard::Error(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stanza_is_passed_on_as_it_came() {
        let came = "<message from='nils@example.org/&lt;1' to='hall@muc.example.org/A &amp; B' type='chat' id='x' xml:lang='de'><body>a &lt; b</body><x xmlns='urn:x'><y/></x></message>";
        let read_once = read(came, "muc.example.org", Limits::default()).expect("a stanza");
        let written = as_text(&read_once);
        let read_again = read(&written, "muc.example.org", Limits::default()).expect("the same stanza");
        assert_eq!(as_text(&read_again), written);
        assert_eq!(read_again.to.as_str(), "hall@muc.example.org/A & B");
        assert_eq!(read_again.stanza.from.as_str(), "nils@example.org/<1");
        assert_eq!(read_again.stanza.payload.len(), 2);
    }
}
