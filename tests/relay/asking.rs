//! What an operator, a monitor and systemd can ask.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;

async fn ask(stage: &Stage, path: &str) -> String {
    let mut socket = TcpStream::connect(stage.running.http().expect("it listens")).await.expect("it is there");
    let request = format!("GET {path} HTTP/1.1\r\nHost: relay\r\nConnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).await.expect("written");
    let mut answer = String::new();
    soon(socket.read_to_string(&mut answer)).await.expect("text");
    answer
}

#[tokio::test]
async fn status_health_and_metrics_say_who_holds_and_how_much_waits() {
    let stage = Stage::start_with("[http]\nlisten = \"127.0.0.1:0\"\n", pace()).await;
    assert!(ask(&stage, "/health").await.contains("no node attached, 0 stanzas held, server not attached"));
    let (mut node, _) = Peer::holder(&stage.address, "a", 8).await;
    stage.inject(1..=3);
    assert_eq!(node.ids(3).await, ids(1..=3));
    node.ack("1").await;
    stage.until(|seen| seen.held == 2).await;
    let health = ask(&stage, "/health").await;
    assert!(health.starts_with("HTTP/1.1 200") && health.contains("held by a in epoch 8"), "{health}");
    let status = ask(&stage, "/status").await;
    let (_, body) = status.split_once("\r\n\r\n").expect("a body");
    let status: serde_json::Value = serde_json::from_str(body).expect("JSON");
    let domain = &status["domains"][0];
    assert_eq!((&domain["holder"], &domain["epoch"]), (&"a".into(), &8.into()), "{status}");
    assert_eq!((&domain["held"], &domain["unacknowledged"], &domain["inbound"]), (&2.into(), &2.into(), &3.into()));
    assert!(ask(&stage, "/metrics").await.starts_with("HTTP/1.1 200"));
    assert_eq!(stage.running.status().words(), "muc.example.org: held by a in epoch 8");
}
