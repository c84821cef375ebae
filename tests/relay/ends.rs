//! Ends: the server's, the relay's own, and silence.

use tandem_muc_tests::loopback::Manners;

use super::peer::attribute;
use super::*;

#[tokio::test]
async fn a_server_that_is_gone_sends_nodes_away_and_nothing_is_forgotten() {
    let stage = Stage::start().await;
    let (mut node, _) = Peer::holder(&stage.address, "a", 1).await;
    let mut standby = Peer::standby(&stage.address).await;
    stage.inject(1..=3);
    assert_eq!(node.ids(3).await, ids(1..=3));
    node.ack("1").await;
    node.say("<said xmlns='urn:tandem-muc:relay:0' seq='5'/>").await;
    stage.until(|seen| seen.held == 2 && seen.mark == Some(5)).await;
    stage.server.cut();
    for peer in [&mut node, &mut standby] {
        let told = peer.hear().await;
        assert!(told.starts_with("<stream:error><remote-connection-failed ") && told.contains("hung up"), "{told}");
        assert_eq!(peer.hear().await, "</>");
    }
    // It comes back by itself, for there is something to hand on.
    stage.until(|seen| seen.server.is_some()).await;
    assert_eq!(stage.server.attached(), 2);
    let (mut again, attached) = Peer::holder(&stage.address, "a", 1).await;
    assert_eq!(again.boot, node.boot);
    assert_eq!((attribute(&attached, "next"), attribute(&attached, "held")), (Some("2".into()), Some("2".into())));
    assert_eq!(attribute(&attached, "mark"), None, "what was said last may have died with the stream");
    assert_eq!(again.ids(2).await, ids(2..=3));
}

#[tokio::test]
async fn a_returned_mark_outlives_the_server() {
    let mut stage = Stage::start().await;
    let (mut node, _) = Peer::holder(&stage.address, "a", 1).await;
    node.say(&format!("<message from='{DOMAIN}' to='{DOMAIN}/mark' id='1:7'/>")).await;
    node.hear().await;
    node.say("<said xmlns='urn:tandem-muc:relay:0' seq='9'/>").await;
    stage.until(|seen| seen.mark == Some(9)).await;
    stage.server.inject("<stream:error><system-shutdown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>");
    assert!(node.hear().await.contains("system-shutdown"));
    stage.heard("").await;
    let (_again, attached) = Peer::holder(&stage.address, "a", 1).await;
    assert_eq!(attribute(&attached, "mark").as_deref(), Some("7"));
}

#[tokio::test]
async fn time_does_not_run_while_nobody_could_be_told() {
    let mut stage = Stage::start_with("[limits]\nheld_seconds = 1\n", pace()).await;
    let (mut node, _) = Peer::holder(&stage.address, "a", 1).await;
    stage.inject(1..=1);
    assert_eq!(node.ids(1).await, ids(1..=1));
    stage.server.behave(Manners::Refusing("internal-server-error"));
    stage.server.cut();
    tokio::time::sleep(Duration::from_millis(1_300)).await;
    assert_eq!((stage.seen().held, stage.seen().bounced), (1, 0));
    stage.server.behave(Manners::Kind);
    let said = stage.heard("</message>").await;
    assert!(said.contains("type='error'") && said.contains("id='m1'"), "{said}");
}

#[tokio::test]
async fn the_end_answers_what_is_held_and_says_goodbye_to_both_sides() {
    let mut stage = Stage::start().await;
    let (mut node, _) = Peer::holder(&stage.address, "a", 1).await;
    stage.inject(1..=2);
    assert_eq!(node.ids(2).await, ids(1..=2));
    stage.stop.send_replace(true);
    // The last acknowledgement still counts, and so do the last words.
    node.say(&word("last")).await;
    node.ack("1").await;
    let said = stage.heard("</stream:stream>").await;
    assert!(said.starts_with(&word("last")), "{said}");
    assert!(said.contains("id='m2'><error type='wait'") && !said.contains("id='m1'"), "{said}");
    assert!(node.hear().await.starts_with("<stream:error><system-shutdown "));
    assert_eq!(node.hear().await, "</>");
    soon(stage.running.ended()).await;
}

#[tokio::test]
async fn the_end_of_an_idle_relay_is_quick() {
    let stage = Stage::start_with("", Pace { settle: Duration::from_secs(60), ..pace() }).await;
    let _standby = Peer::standby(&stage.address).await;
    stage.stop.send_replace(true);
    soon(stage.running.ended()).await;
}

#[tokio::test]
async fn signs_of_life_go_out_and_silence_ends_a_stream() {
    let quick = Pace { alive: Duration::from_millis(60), silence: Duration::from_millis(400), ..pace() };
    let stage = Stage::start_with("", quick).await;
    let (mut mute, _) = Peer::holder(&stage.address, "a", 1).await;
    let mut lively = Peer::standby(&stage.address).await;
    let keep = async {
        loop {
            lively.say(" ").await;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let end = async {
        let mut signs = 0;
        loop {
            let heard = mute.hear().await;
            if heard != "<alive xmlns='urn:tandem-muc:relay:0'/>" {
                return (signs, heard);
            }
            signs += 1;
        }
    };
    tokio::select! {
        () = keep => {}
        (signs, heard) = end => {
            assert!(signs >= 2, "{signs} signs of life");
            assert!(heard.starts_with("<stream:error><connection-timeout "), "{heard}");
        }
    }
    let seen = stage.seen();
    assert_eq!((seen.holder, seen.standbys), (None, 1));
}

#[tokio::test]
async fn a_goodbye_is_answered() {
    let stage = Stage::start().await;
    let (mut node, _) = Peer::holder(&stage.address, "a", 1).await;
    node.say("</stream:stream>").await;
    assert_eq!(node.hear().await, "</>");
    stage.until(|seen| seen.holder.is_none()).await;
}

#[tokio::test]
async fn a_server_that_takes_nothing_for_long_is_given_up() {
    let stage = Stage::start_with("", Pace { stall: Duration::from_millis(300), ..pace() }).await;
    let (mut node, _) = Peer::holder(&stage.address, "a", 1).await;
    stage.server.freeze();
    let words = word("w").repeat(10_000);
    let flood = async {
        loop {
            node.try_say(&words).await;
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        () = flood => {}
        _ = stage.until(|seen| seen.server.is_none()) => {}
    }
}
