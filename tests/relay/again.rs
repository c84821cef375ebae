//! A node's stream itself against the relay: what it read and did not handle before it had to attach again.

use secrecy::SecretString;
use tandem_muc::stream::{Claim, Gate, Limits, Pace, Received, Reign, Stream, StreamConfig, StreamHandle, StreamState};
use tokio::sync::mpsc;

use super::*;

async fn node(stage: &Stage) -> (StreamHandle, mpsc::Receiver<Received>) {
    let config = StreamConfig {
        domain: DOMAIN.to_owned(),
        relays: vec![stage.address.clone()],
        servers: Vec::new(),
        secret: SecretString::from(SECRET),
        limits: Limits::default(),
    };
    let claim = Claim { epoch: 3, node: "a".to_owned(), database: "db-1".to_owned(), relays: 1 };
    let reign = Reign { claim, gate: Gate::always_open(), handled: None, warm: None };
    let pace = Pace { pause_min: Duration::from_millis(20), ..Pace::default() };
    let (stream, inbound) = Stream::reign(config, pace, reign);
    attached(&stream).await;
    (stream, inbound)
}

pub(super) async fn attached(stream: &StreamHandle) {
    let mut state = stream.state();
    soon(state.wait_for(|state| matches!(state, StreamState::Attached { .. }))).await.expect("it lives");
}

/// A server that comes back closes the nodes' streams on its way.
async fn server_comes_back(stage: &Stage, stream: &StreamHandle) {
    let before = stage.seen().attachments;
    stage.server.cut();
    stage.until(|seen| seen.attachments > before).await;
    attached(stream).await;
}

pub(super) async fn read(inbound: &mut mpsc::Receiver<Received>, count: usize) -> Vec<Received> {
    let mut all = Vec::new();
    while all.len() < count {
        all.push(soon(inbound.recv()).await.expect("a stanza"));
    }
    all
}

#[tokio::test]
async fn what_a_node_only_read_before_it_attached_again_is_kept_for_its_successor() {
    let stage = Stage::start().await;
    let (stream, mut inbound) = node(&stage).await;
    stage.inject(1..=3);
    let came = read(&mut inbound, 3).await;
    server_comes_back(&stage, &stream).await;
    stream.settle(came[..1].iter().filter_map(|one| one.ticket).collect()).await;
    stage.until(|seen| seen.held == 2).await;
    // Killed here, with two stanzas in its memory.
    stream.cut();
    let (mut successor, attached) = Peer::holder(&stage.address, "b", 4).await;
    assert!(attached.contains("held='2'"), "{attached}");
    assert!(successor.hear().await.contains("id='m2'"));
    assert!(successor.hear().await.contains("id='m3'"));
}

#[tokio::test]
async fn what_comes_again_is_handled_once_and_acknowledged_on_the_new_stream() {
    let stage = Stage::start().await;
    let (stream, mut inbound) = node(&stage).await;
    stage.inject(1..=3);
    let came = read(&mut inbound, 3).await;
    server_comes_back(&stage, &stream).await;
    stage.inject(4..=4);
    let late = read(&mut inbound, 1).await;
    assert_eq!(late[0].inbound.stanza.id.as_deref(), Some("m4"));
    stream.settle(came.iter().chain(&late).filter_map(|one| one.ticket).collect()).await;
    stage.until(|seen| seen.held == 0).await;
    assert_eq!(
        stream.handled_with(&[]).and_then(|text| text.split_once(':').map(|two| two.1.to_owned())).as_deref(),
        Some("4")
    );
    assert!(inbound.try_recv().is_err());
}
