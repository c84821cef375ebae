//! The stream against a peer on the loopback: opening and refusal, marks and window, repeating, closing, and input that
//! wants to end it.

mod hostile;
mod marks;
mod opening;
mod order;
mod slow;

use std::time::Duration;

use secrecy::SecretString;
use tandem_muc::stream::{Limits, Pace, Received, Stream, StreamConfig, StreamHandle, StreamState};
use tandem_muc_core::name::Jid;
use tandem_muc_core::stanza::{Audience, Kind, Outbound, Stanza, Type};
use tandem_muc_tests::loopback::{Hearing, Loopback};
use tokio::sync::mpsc;
use tokio::time::timeout;

const DOMAIN: &str = "muc.example.org";
const SECRET: &str = "open sesame";
const EPOCH: u64 = 7;

fn config(server: &str) -> StreamConfig {
    StreamConfig {
        domain: DOMAIN.to_owned(),
        relays: Vec::new(),
        servers: vec![server.to_owned()],
        secret: SecretString::from(SECRET),
        limits: Limits::default(),
    }
}

/// Short pauses, so that a test need not wait.
fn pace() -> Pace {
    Pace { pause_min: Duration::from_millis(20), step_patience: Duration::from_millis(500), ..Pace::default() }
}

async fn attached(pace: Pace) -> (Loopback, StreamHandle, mpsc::Receiver<Received>) {
    let server = Loopback::start(DOMAIN, SECRET, Hearing::Keep).await;
    let (stream, inbound) = Stream::start_at(config(&server.address()), pace, EPOCH);
    until(&stream, |state| matches!(state, StreamState::Attached { .. })).await;
    (server, stream, inbound)
}

async fn until(stream: &StreamHandle, is_so: impl FnMut(&StreamState) -> bool) -> StreamState {
    let mut state = stream.state();
    let state = soon(state.wait_for(is_so)).await.expect("the stream lives");
    state.clone()
}

/// The result of `step`, which may take ten seconds on a machine with much else to do.
async fn soon<F: Future>(step: F) -> F::Output {
    timeout(Duration::from_secs(10), step).await.expect("within ten seconds")
}

fn jid(text: &str) -> Jid {
    Jid::parse(text).expect("a JID")
}

/// A message of the room, with `id`.
fn word(id: &str) -> Outbound {
    let stanza = Stanza::new(Kind::Message, Type::Groupchat, jid("hall@muc.example.org/Olga"));
    Outbound { stanza: stanza.with_id(Some(id.to_owned())), to: Audience::One(jid("nils@example.org/1")) }
}

/// The ids of the words the server heard, marks left out, until `count` are there.
async fn ids(server: &mut Loopback, count: usize) -> Vec<String> {
    let (mut ids, mut rest) = (Vec::new(), String::new());
    while ids.len() < count {
        let said = soon(server.heard()).await;
        rest.push_str(std::str::from_utf8(&said).expect("ASCII in this test"));
        while let Some((stanza, behind)) = rest.split_once("/>") {
            let id = stanza.split_once(" id='").and_then(|(_, id)| id.split_once('\''));
            if let (false, Some((id, _))) = (stanza.contains("/mark'"), id) {
                ids.push(id.to_owned());
            }
            rest = behind.to_owned();
        }
    }
    ids
}
