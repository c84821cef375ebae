//! Handshakes, standing by, holding the domain, and every way a node is refused.

use secrecy::SecretString;
use tandem_muc::stream::{self, Cause, Limits, StreamConfig};
use tandem_muc_tests::loopback::Manners;

use super::peer::attribute;
use super::*;

#[tokio::test]
async fn a_wrong_secret_and_an_unknown_domain_have_their_stream_errors() {
    let stage = Stage::start().await;
    let mut wrong = Peer::open(&stage.address, DOMAIN).await;
    wrong.say("<handshake>0123456789012345678901234567890123456789</handshake>").await;
    assert!(wrong.hear().await.starts_with("<stream:error><not-authorized "));
    assert_eq!(wrong.hear().await, "</>");
    let mut unknown = Peer::open(&stage.address, "elsewhere.example.org").await;
    assert!(unknown.hear().await.starts_with("<stream:error><host-unknown "));
    assert_eq!(stage.server.attached(), 0);
}

#[tokio::test]
async fn a_component_of_the_usual_kind_shakes_hands() {
    let stage = Stage::start().await;
    let config = StreamConfig {
        domain: DOMAIN.to_owned(),
        relays: Vec::new(),
        servers: vec![stage.address.clone()],
        secret: SecretString::from(SECRET),
        limits: Limits::default(),
    };
    assert_eq!(soon(stream::probe(&config)).await.expect("it is taken"), stage.address);
    let config = StreamConfig { secret: SecretString::from("another"), ..config };
    assert_eq!(soon(stream::probe(&config)).await.expect_err("it is not").cause, Cause::NotAuthorized);
    let config = StreamConfig { domain: "elsewhere.example.org".to_owned(), ..config };
    assert_eq!(soon(stream::probe(&config)).await.expect_err("it is not").cause, Cause::HostUnknown);
}

#[tokio::test]
async fn a_standby_hears_nothing_and_the_server_nothing_of_it() {
    let mut stage = Stage::start().await;
    let mut standby = Peer::standby(&stage.address).await;
    standby.silence().await;
    assert_eq!(stage.server.attached(), 0, "the server is not attached to before a node is");
    let (mut holder, attached) = Peer::holder(&stage.address, "a", 8).await;
    assert_eq!(attribute(&attached, "next").as_deref(), Some("1"));
    assert_eq!(attribute(&attached, "boot"), Some(standby.boot.clone()));
    assert_eq!((attribute(&attached, "mark"), attribute(&attached, "held")), (None, Some("0".to_owned())));
    stage.inject(1..=3);
    assert_eq!(holder.ids(3).await, ids(1..=3));
    standby.say(&word("stray")).await;
    standby.silence().await;
    holder.say(&word("w")).await;
    assert_eq!(stage.heard("</message>").await, word("w"));
    let seen = stage.until(|seen| seen.stray == 1 && seen.outbound == 1).await;
    assert_eq!((seen.holder.as_deref(), seen.epoch, seen.standbys), (Some("a"), Some(8), 1));
}

#[tokio::test]
async fn an_epoch_that_is_over_is_refused_and_the_node_may_come_again() {
    let stage = Stage::start().await;
    let (mut holder, _) = Peer::holder(&stage.address, "a", 8).await;
    let mut late = Peer::standby(&stage.address).await;
    let refused = late.attach("b", 7, "").await;
    assert!(refused.starts_with("<refused xmlns='urn:tandem-muc:relay:0' reason='epoch' highest='8'>"), "{refused}");
    let refused = late.attach("b", 8, "").await;
    assert!(refused.contains("reason='epoch'") && refused.contains("held by node a"), "{refused}");
    holder.silence().await;
    assert!(late.attach("b", 9, "").await.starts_with("<attached "));
    assert!(holder.hear().await.starts_with("<stream:error><conflict "));
    assert_eq!(holder.hear().await, "</>");
}

#[tokio::test]
async fn the_same_node_in_the_same_epoch_replaces_its_own_dead_stream() {
    let stage = Stage::start().await;
    let (mut old, _) = Peer::holder(&stage.address, "a", 8).await;
    let (mut new, _) = Peer::holder(&stage.address, "a", 8).await;
    assert!(old.hear().await.starts_with("<stream:error><conflict "));
    stage.inject(1..=1);
    assert_eq!(new.ids(1).await, ids(1..=1));
}

#[tokio::test]
async fn another_database_is_refused_while_somebody_is_there() {
    let stage = Stage::start().await;
    let (mut holder, _) = Peer::holder(&stage.address, "a", 8).await;
    let mut other = Peer::standby(&stage.address).await;
    let refused = other.attach_from("db-2", "b", 99, "").await;
    assert!(refused.contains("reason='database' highest='8'"), "{refused}");
    holder.say("<said xmlns='urn:tandem-muc:relay:0' seq='120'/>").await;
    stage.until(|seen| seen.mark == Some(120)).await;
    drop(holder);
    stage.until(|seen| seen.holder.is_none()).await;
    let attached = other.attach_from("db-2", "b", 9, "").await;
    assert!(attached.starts_with("<attached "), "{attached}");
    assert_eq!(attribute(&attached, "mark"), None, "groups are numbered by the database");
}

#[tokio::test]
async fn no_server_is_a_refusal_with_the_reason() {
    let stage = Stage::start_with("", Pace { reach: Duration::from_millis(200), ..pace() }).await;
    stage.server.behave(Manners::Mute);
    let mut node = Peer::standby(&stage.address).await;
    let refused = node.attach("a", 3, "").await;
    assert!(refused.contains("reason='server' highest='3'") && refused.contains(" 200 ms"), "{refused}");
    stage.server.cut();
    stage.server.behave(Manners::Refusing("conflict"));
    let refused = node.attach("a", 3, "").await;
    assert!(refused.contains("reason='server'") && refused.contains("is taken"), "{refused}");
    stage.server.behave(Manners::Kind);
    assert!(node.attach("a", 3, "").await.starts_with("<attached "));
}

#[tokio::test]
async fn the_greeting_tells_the_highest_epoch() {
    let stage = Stage::start().await;
    let (_holder, _) = Peer::holder(&stage.address, "a", 41).await;
    let mut peer = Peer::open(&stage.address, DOMAIN).await;
    let digest = peer::hex(&<sha1::Sha1 as sha1::Digest>::digest(format!("{}{SECRET}", peer.id)));
    peer.say(&format!("<handshake>{digest}</handshake>")).await;
    assert_eq!(attribute(&peer.hear().await, "highest").as_deref(), Some("41"));
}
