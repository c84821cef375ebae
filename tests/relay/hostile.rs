//! Whatever a node sends, it ends its own stream at most.

use super::*;

#[tokio::test]
async fn nonsense_ends_the_stream_it_came_on_and_no_other() {
    let mut stage = Stage::start().await;
    let (mut holder, _) = Peer::holder(&stage.address, "a", 1).await;
    let ns = "xmlns='urn:tandem-muc:relay:0'";
    let long = "x".repeat(600_000);
    let inputs = [
        ("a comment", "<!-- -->".to_owned(), "restricted-xml"),
        ("a document type", "<!DOCTYPE x>".to_owned(), "restricted-xml"),
        ("garbage", "\u{1}\u{2}>>'\"<\u{7f}\u{1}/>".to_owned(), "unsupported-stanza-type"),
        ("no stanza", "<route/>".to_owned(), "unsupported-stanza-type"),
        (
            "a stanza of another namespace",
            format!("<message xmlns='urn:x' from='{DOMAIN}' to='a@b'/>"),
            "invalid-namespace",
        ),
        ("a stanza from elsewhere", "<message from='a@elsewhere' to='a@b'/>".to_owned(), "invalid-from"),
        ("a stanza from nobody", "<message to='a@b'/>".to_owned(), "invalid-from"),
        ("a domain in the resource", format!("<message from='a@x/{DOMAIN}' to='a@b'/>"), "invalid-from"),
        (
            "a control character",
            format!("<message from='{DOMAIN}' to='a@b'><body>\u{1}</body></message>"),
            "bad-format",
        ),
        ("too long", format!("<message from='{DOMAIN}' to='a@b'><body>{long}</body></message>"), "policy-violation"),
        ("an attach without an epoch", format!("<attach {ns} node='x' database='d'/>"), "unsupported-stanza-type"),
        (
            "an epoch that is none",
            format!("<attach {ns} epoch='-1' node='x' database='d'/>"),
            "unsupported-stanza-type",
        ),
        ("numbers that are none", format!("<ack {ns} numbers='9+3'/>"), "unsupported-stanza-type"),
        (
            "handled that is none",
            format!("<attach {ns} epoch='9' node='x' database='d'><handled boot='x'/></attach>"),
            "unsupported-stanza-type",
        ),
        (
            "a name without an end",
            format!("<attach {ns} epoch='9' node='{}' database='d'/>", "n".repeat(200)),
            "unsupported-stanza-type",
        ),
        ("an order of no namespace", "<leave/>".to_owned(), "unsupported-stanza-type"),
    ];
    for (what, xml, condition) in inputs {
        let mut peer = Peer::standby(&stage.address).await;
        peer.try_say(&xml).await;
        let told = peer.hear().await;
        assert!(told.starts_with(&format!("<stream:error><{condition} ")), "{what}: {told}");
        assert_eq!(peer.hear().await, "</>", "{what}");
    }
    holder.say(&word("still here")).await;
    assert_eq!(stage.heard("</message>").await, word("still here"));
    stage.inject(1..=1);
    assert_eq!(holder.ids(1).await, ids(1..=1));
    assert_eq!(stage.server.attached(), 1);
}

#[tokio::test]
async fn orders_of_a_standby_change_nothing() {
    let stage = Stage::start().await;
    let (mut holder, _) = Peer::holder(&stage.address, "a", 1).await;
    let mut standby = Peer::standby(&stage.address).await;
    stage.inject(1..=2);
    assert_eq!(holder.ids(2).await, ids(1..=2));
    standby.ack("2").await;
    let ns = "xmlns='urn:tandem-muc:relay:0'";
    standby.say(&format!("<said {ns} seq='9'/><leave {ns}/><alive {ns}/>")).await;
    standby.silence().await;
    let seen = stage.seen();
    assert_eq!((seen.held, seen.mark, seen.holder.as_deref()), (2, None, Some("a")));
}

#[tokio::test]
async fn strangers_at_the_door_do_no_harm() {
    let stage = Stage::start_with("", Pace { handshake: Duration::from_millis(300), ..pace() }).await;
    let mut doors = Vec::new();
    for opening in ["", "GET / HTTP/1.1\r\n\r\n", "<stream:stream to='x", "<stream:stream>", "\u{16}\u{3}\u{1}"] {
        let mut socket = tokio::net::TcpStream::connect(&stage.address).await.expect("it listens");
        tokio::io::AsyncWriteExt::write_all(&mut socket, opening.as_bytes()).await.expect("written");
        doors.push(socket);
    }
    // 40 who say nothing fill every place there is; they lose it soon.
    for _ in 0..40 {
        doors.push(tokio::net::TcpStream::connect(&stage.address).await.expect("it listens"));
    }
    let (_node, attached) = Peer::holder(&stage.address, "a", 1).await;
    assert!(attached.starts_with("<attached "));
}

#[tokio::test]
async fn too_many_nodes_are_turned_away() {
    let stage = Stage::start_with("", Pace { nodes_max: 3, ..pace() }).await;
    let mut inside = Vec::new();
    for _ in 0..3 {
        inside.push(Peer::standby(&stage.address).await);
    }
    let mut fourth = Peer::open(&stage.address, DOMAIN).await;
    let digest = peer::hex(&<sha1::Sha1 as sha1::Digest>::digest(format!("{}{SECRET}", fourth.id)));
    fourth.say(&format!("<handshake>{digest}</handshake>")).await;
    assert!(fourth.hear().await.starts_with("<stream:error><resource-constraint "));
    drop(inside.pop());
    stage.until(|seen| seen.standbys == 2).await;
    Peer::standby(&stage.address).await;
}
