//! Many stanzas, in their order, both ways at once.

use super::*;

const MANY: usize = 100_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_thousand_stanzas_keep_their_order_both_ways() {
    let (mut server, stream, mut inbound) = attached(pace()).await;
    let saying = tokio::spawn({
        let stream = stream.clone();
        async move {
            for nth in 0..MANY {
                stream.say(vec![word(&nth.to_string())], i64::try_from(nth).expect("small")).await;
            }
        }
    });
    for nth in 0..MANY {
        server.inject(format!("<message from='a@b/1' to='hall@muc.example.org' id='{nth}'><body>x</body></message>"));
    }
    let hearing = tokio::spawn(async move {
        for nth in 0..MANY {
            let stanza = soon(inbound.recv()).await.expect("a stanza").inbound.stanza;
            assert_eq!(stanza.id, Some(nth.to_string()));
            assert_eq!(stanza.payload.len(), 1);
        }
    });
    let ids = ids(&mut server, MANY).await;
    assert!(ids.iter().enumerate().all(|(nth, id)| *id == nth.to_string()));
    saying.await.expect("all was said");
    hearing.await.expect("all was heard");
    assert_eq!(server.attached(), 1);
}

#[tokio::test]
async fn a_fan_out_reaches_each_addressee_once_in_order() {
    let (mut server, stream, _inbound) = attached(pace()).await;
    let to: Vec<_> = (0..1000).map(|nth| jid(&format!("user{nth}@example.org/o'{nth}"))).collect();
    let mut said = word("x");
    said.to = Audience::Many(to.into());
    stream.say(vec![said], 1).await;
    let mut all = String::new();
    while all.matches("/>").count() < 1001 {
        all.push_str(&String::from_utf8_lossy(&soon(server.heard()).await));
    }
    let addressees: Vec<_> = all.split("/>").filter_map(|stanza| stanza.split_once(" to='user")).collect();
    assert_eq!(addressees.len(), 1000);
    for (nth, (_, to)) in addressees.iter().enumerate() {
        assert!(to.starts_with(&format!("{nth}@example.org/o&apos;{nth}'")), "{to}");
    }
}
