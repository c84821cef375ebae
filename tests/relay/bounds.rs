//! What is kept is bounded in number, bytes and time; beyond it the oldest are answered.

use super::peer::attribute;
use super::*;

fn request(kind: &str, type_: &str, id: &str) -> String {
    format!("<{kind} from='olga@example.org/1' to='hall@{DOMAIN}/O&apos;' type='{type_}' id='{id}'/>")
}

#[tokio::test]
async fn what_waits_too_long_is_answered_unless_nothing_may_answer_it() {
    let mut stage = Stage::start_with("[limits]\nheld_seconds = 1\n", pace()).await;
    let (node, _) = Peer::holder(&stage.address, "a", 1).await;
    drop(node);
    stage.until(|seen| seen.holder.is_none()).await;
    for (kind, type_, id) in
        [("iq", "result", "r"), ("message", "error", "e"), ("iq", "get", "ping"), ("presence", "unavailable", "gone")]
    {
        stage.server.inject(request(kind, type_, id));
    }
    stage.inject(1..=1);
    let said = stage.heard("</message>").await;
    assert_eq!(
        said,
        format!(
            "<iq type='error' from='hall@{DOMAIN}/O&apos;' to='olga@example.org/1' id='ping'><error type='wait' by='{DOMAIN}'><remote-server-timeout xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/><text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>The service is not there at the moment; please try again soon.</text></error></iq>"
        ) + &said[said.find("<message").expect("a message")..]
    );
    assert!(
        said.contains("<message type='error' from='hall@muc.example.org' to='olga@example.org/1' id='m1'>"),
        "{said}"
    );
    let seen = stage.until(|seen| seen.held == 0).await;
    assert_eq!((seen.bounced, seen.dropped), (2, 3));
    let (mut next, attached) = Peer::holder(&stage.address, "b", 2).await;
    assert_eq!((attribute(&attached, "next"), attribute(&attached, "bounced")), (Some("6".into()), Some("2".into())));
    assert!(
        attribute(&attached, "waited").and_then(|ms| ms.parse().ok()).is_some_and(|ms: u64| ms >= 1_000),
        "{attached}"
    );
    stage.inject(2..=2);
    assert_eq!(next.ids(1).await, ["m2"]);
}

#[tokio::test]
async fn a_relay_that_is_left_for_good_leaves_its_place_in_the_server_unless_it_is_the_only_one() {
    let mut stage = Stage::start_with("[limits]\nheld_seconds = 1\n", pace()).await;
    let mut node = Peer::standby(&stage.address).await;
    node.attach_to_one_of(2, "a", 1).await;
    drop(node);
    stage.until(|seen| seen.holder.is_none()).await;
    stage.inject(1..=1);
    let said = stage.heard("</stream:stream>").await;
    assert!(said.contains("id='m1'><error "), "answered before it goes: {said}");
    stage.until(|seen| seen.server.is_none()).await;
    let (mut next, attached) = Peer::holder(&stage.address, "b", 2).await;
    assert_eq!(attribute(&attached, "bounced").as_deref(), Some("1"));
    stage.inject(2..=2);
    assert_eq!(next.ids(1).await, ["m2"]);
    drop(next);
    stage.until(|seen| seen.holder.is_none()).await;
    tokio::time::sleep(Duration::from_millis(1_300)).await;
    assert!(stage.seen().server.is_some(), "the only relay there is keeps its place");
}

#[tokio::test]
async fn too_many_push_out_the_oldest() {
    let mut stage = Stage::start_with("[limits]\nheld_stanzas = 100\n", pace()).await;
    let (node, _) = Peer::holder(&stage.address, "a", 1).await;
    drop(node);
    stage.until(|seen| seen.holder.is_none()).await;
    stage.inject(1..=103);
    let said = stage.heard("id='m3'>").await;
    assert!(said.contains("id='m1'>") && said.contains("id='m2'>"), "{said}");
    assert_eq!(stage.until(|seen| seen.bounced > 0).await.held, 100);
    let (mut next, attached) = Peer::holder(&stage.address, "b", 2).await;
    assert_eq!(attribute(&attached, "bounced").as_deref(), Some("3"));
    assert_eq!(next.ids(100).await, ids(4..=103));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_holder_that_does_not_read_holds_up_nobody() {
    let stage =
        Stage::start_with("[limits]\nheld_stanzas = 100000\nheld_bytes = 20000000\nstanza_bytes = 100000\n", pace())
            .await;
    let (mut node, _) = Peer::holder(&stage.address, "a", 1).await;
    let body = "y".repeat(50_000);
    for nth in 0..1_000 {
        let from = "olga@example.org/1";
        stage
            .server
            .inject(format!("<message from='{from}' to='hall@{DOMAIN}' id='m{nth}'><body>{body}</body></message>"));
    }
    // Socket buffers take some, the limit the rest: what is too much bounces, and reading goes on.
    let seen = stage.until(|seen| seen.inbound == 1_000).await;
    assert!(seen.held_bytes <= 20_000_000 && seen.bounced > 300, "{seen:?}");
    assert_eq!(seen.held as u64 + seen.bounced, 1_000);
    // What was handed to it is not what bounced: it hears the first ones, then a gap, then the last.
    let heard = node.ids(seen.held).await;
    assert_eq!(heard[0], "m0");
    assert_eq!(heard.iter().filter(|id| id.contains(':')).count(), 1, "one gap");
    assert_eq!(heard.last().map(String::as_str), Some("m999"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_does_not_read_holds_up_the_holder() {
    let stage = Stage::start().await;
    let (mut node, _) = Peer::holder(&stage.address, "a", 1).await;
    stage.server.freeze();
    let words = word("w").repeat(1_000);
    let mut said = 0;
    while timeout(Duration::from_millis(300), node.say(&words)).await.is_ok() {
        said += words.len();
        assert!(said < 50_000_000, "nothing holds it up");
    }
    // The silence of a holder that is not read is not its own.
    assert_eq!(stage.seen().holder.as_deref(), Some("a"));
}

#[tokio::test]
async fn a_stanza_that_is_too_long_is_refused_and_has_no_number() {
    let mut stage = Stage::start_with("[limits]\nstanza_bytes = 10000\n", pace()).await;
    let (mut node, _) = Peer::holder(&stage.address, "a", 1).await;
    let long = "z".repeat(20_000);
    stage.server.inject(format!("<message from='a@b/1' to='hall@{DOMAIN}' id='long'><body>{long}</body></message>"));
    stage.server.inject(format!(
        "<presence from='a@b/1' to='hall@{DOMAIN}/A' type='unavailable' id='p'><status>{long}</status></presence>"
    ));
    stage.server.inject(format!("<iq from='a@b/1' to='hall@{DOMAIN}/{long}' type='result' id='q'/>"));
    stage.inject(1..=1);
    let said = stage.heard("</message>").await;
    assert!(said.contains("id='long'><error type='modify'") && said.contains("<policy-violation "), "{said}");
    assert_eq!(node.hear().await, format!("<presence from='a@b/1' to='hall@{DOMAIN}/A' type='unavailable' id='p'/>"));
    assert_eq!(node.ids(1).await, ["m1"]);
    assert_eq!(stage.seen().inbound, 2);
}
