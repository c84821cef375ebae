//! What is numbered, kept, replayed, acknowledged and fenced.

use super::peer::attribute;
use super::*;

#[tokio::test]
async fn what_a_killed_holder_did_not_acknowledge_is_replayed_to_the_next() {
    let stage = Stage::start().await;
    let (mut first, _) = Peer::holder(&stage.address, "a", 1).await;
    stage.inject(1..=5);
    assert_eq!(first.ids(5).await, ids(1..=5));
    first.ack("2+4").await;
    stage.until(|seen| seen.held == 2).await;
    drop(first);
    stage.until(|seen| seen.holder.is_none()).await;
    stage.inject(6..=7);
    stage.until(|seen| seen.held == 4).await;
    let mut second = Peer::standby(&stage.address).await;
    let attached = second.attach("b", 2, "").await;
    assert_eq!(attribute(&attached, "next").as_deref(), Some("3"));
    assert_eq!((attribute(&attached, "held"), attribute(&attached, "bounced")), (Some("4".into()), Some("0".into())));
    assert_eq!(second.ids(4).await, ["m3", "5:m5", "m6", "m7"]);
    stage.inject(8..=8);
    assert_eq!(second.ids(1).await, ["m8"]);
    assert_eq!(stage.seen().replayed, 2);
}

#[tokio::test]
async fn what_the_node_says_is_handled_is_not_replayed() {
    let stage = Stage::start().await;
    let (mut first, _) = Peer::holder(&stage.address, "a", 1).await;
    stage.inject(1..=8);
    assert_eq!(first.ids(8).await, ids(1..=8));
    drop(first);
    let mut second = Peer::standby(&stage.address).await;
    let handled = format!("<handled boot='{}' numbers='2+5-6,8'/>", second.boot);
    let attached = second.attach("b", 2, &handled).await;
    assert_eq!(attribute(&attached, "next").as_deref(), Some("3"));
    assert_eq!(second.ids(3).await, ["m3", "m4", "7:m7"]);
    stage.inject(9..=9);
    assert_eq!(second.ids(1).await, ["9:m9"]);
}

#[tokio::test]
async fn numbers_of_another_boot_mean_nothing() {
    let stage = Stage::start().await;
    let (mut first, _) = Peer::holder(&stage.address, "a", 1).await;
    stage.inject(1..=2);
    assert_eq!(first.ids(2).await, ids(1..=2));
    drop(first);
    let mut second = Peer::standby(&stage.address).await;
    let attached = second.attach("b", 2, "<handled boot='00ff' numbers='102'></handled>").await;
    assert_eq!(attribute(&attached, "held").as_deref(), Some("2"));
    assert_eq!(second.ids(2).await, ids(1..=2));
}

#[tokio::test]
async fn words_of_an_older_epoch_go_nowhere_after_a_newer_one_attached() {
    let mut stage = Stage::start().await;
    let (mut old, _) = Peer::holder(&stage.address, "a", 1).await;
    old.say(&word("before")).await;
    assert_eq!(stage.heard("</message>").await, word("before"));
    // Half a stanza is on its way when the newer one comes.
    let torn = word("torn");
    let (head, tail) = torn.split_at(20);
    old.say(head).await;
    let (mut new, _) = Peer::holder(&stage.address, "b", 2).await;
    old.try_say(&format!("{tail}{}", word("after"))).await;
    new.say(&word("new")).await;
    assert_eq!(stage.heard("</message>").await, word("new"));
    assert!(old.hear().await.contains("node b attached with epoch 2"));
    new.say(&word("more")).await;
    assert_eq!(stage.heard("</message>").await, word("more"));
}

#[tokio::test]
async fn what_was_said_in_full_is_told_to_the_next_holder() {
    let mut stage = Stage::start().await;
    let (mut first, _) = Peer::holder(&stage.address, "a", 1).await;
    first.say(&format!("{}<said xmlns='urn:tandem-muc:relay:0' seq='120'/>{}", word("x"), word("y"))).await;
    assert_eq!(stage.heard("'y'><body>hi</body></message>").await, word("x") + &word("y"));
    drop(first);
    let (_second, attached) = Peer::holder(&stage.address, "b", 2).await;
    assert_eq!(attribute(&attached, "mark").as_deref(), Some("120"));
}

#[tokio::test]
async fn marks_come_back_to_who_sent_them_and_have_no_number() {
    let mark = |epoch, seq| format!("<message from='{DOMAIN}' to='{DOMAIN}/mark' id='{epoch}:{seq}'/>");
    let mut stage = Stage::start().await;
    let (mut first, _) = Peer::holder(&stage.address, "a", 1).await;
    first.say(&mark(1, 7)).await;
    assert_eq!(stage.heard("/>").await, mark(1, 7));
    assert_eq!(first.hear().await, mark(1, 7));
    stage.inject(1..=1);
    let bounced = format!("<message type='error' from='{DOMAIN}/mark' to='{DOMAIN}' id='1:8'><error/></message>");
    stage.server.inject(bounced.clone());
    stage.inject(2..=2);
    assert_eq!(first.ids(1).await, ["m1"]);
    assert_eq!(first.hear().await, bounced);
    assert_eq!(first.ids(1).await, ["m2"]);
    let (mut second, _) = Peer::holder(&stage.address, "b", 2).await;
    stage.server.inject(mark(1, 9));
    stage.server.inject(mark(2, 10));
    assert_eq!(second.ids(3).await, ["m1", "m2", "2:10"]);
}

#[tokio::test]
async fn who_leaves_stands_by_and_what_comes_waits_for_the_next() {
    let mut stage = Stage::start().await;
    let (mut old, _) = Peer::holder(&stage.address, "a", 1).await;
    stage.inject(1..=2);
    assert_eq!(old.ids(2).await, ids(1..=2));
    old.say("<leave xmlns='urn:tandem-muc:relay:0'/>").await;
    stage.until(|seen| seen.holder.is_none() && seen.standbys == 1).await;
    stage.inject(3..=3);
    old.say(&word("late")).await;
    // What it handled before it left is still news.
    old.ack("2").await;
    stage.until(|seen| seen.held == 1 && seen.inbound == 3).await;
    let (mut new, attached) = Peer::holder(&stage.address, "b", 2).await;
    assert_eq!(attribute(&attached, "next").as_deref(), Some("3"));
    assert_eq!(new.ids(1).await, ids(3..=3));
    new.say(&word("new")).await;
    assert_eq!(stage.heard("</message>").await, word("new"));
    old.silence().await;
    assert!(old.attach("a", 3, "").await.starts_with("<attached "));
}

#[tokio::test]
async fn stanzas_pass_as_they_came_and_nothing_else_passes() {
    let mut stage = Stage::start().await;
    let (mut node, _) = Peer::holder(&stage.address, "a", 1).await;
    let odd = format!(
        "<message id=\"1\" from=\"a@b/'\" to='hall@{DOMAIN}'  ><c:caps c:v='1>0'/><body><![CDATA[</message>]]></body></message>"
    );
    stage
        .server
        .inject(format!("<route xmlns='urn:x'/> text {odd}<iq from='a@b' to='{DOMAIN}' id='2' type='result'/>"));
    assert_eq!(node.hear().await, odd);
    assert!(node.hear().await.starts_with("<iq "));
    let said = format!("<presence to='a@b/1' from='hall@{DOMAIN}/O&apos;'  ><x xmlns='urn:x'>ä&#10;</x></presence>");
    node.say(&format!(" \n {said}")).await;
    assert_eq!(stage.heard("</presence>").await, said);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_thousand_stanzas_keep_order_and_number_over_twenty_holders() {
    const MANY: u64 = 100_000;
    let stage = Stage::start_with("[limits]\nheld_stanzas = 200000\n", pace()).await;
    stage.server.inject("");
    let (mut expected, mut epoch) = (1, 0);
    let mut injected = 0;
    while expected <= MANY {
        epoch += 1;
        let (mut node, attached) = Peer::holder(&stage.address, "n", epoch).await;
        if injected < MANY {
            stage.inject(injected + 1..=injected + 5_000);
            injected += 5_000;
        }
        assert_eq!(attribute(&attached, "next"), Some(expected.to_string()));
        // Each holder hears all that waits, acknowledges most of it and is gone.
        let until = injected;
        let heard = node.ids(usize::try_from(until + 1 - expected).expect("small")).await;
        assert!(heard.iter().zip(expected..).all(|(id, n)| *id == format!("m{n}")));
        let handled = if until == MANY { until } else { until - epoch * 7 };
        node.ack(&handled.to_string()).await;
        stage.until(|seen| seen.held == usize::try_from(until - handled).expect("small")).await;
        expected = handled + 1;
    }
    assert_eq!(stage.seen().bounced, 0);
}
