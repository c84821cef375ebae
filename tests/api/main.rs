//! The pair's commands by HTTP: a real server over a real database, asked as a script would ask.

use std::time::{Duration, Instant};

mod door;

use door::{DOMAIN, Node, TOKEN};

#[tokio::test]
async fn status_is_read_from_the_database() {
    let node = Node::start(true).await;
    node.serve_with(DOMAIN, "a").await;
    node.serve_with("two.example.org", "b").await;
    let answer = node.get("/api/pair").await;
    assert_eq!((answer.code, answer.body["verdict"].as_str()), (200, Some("good")), "{}", answer.body);
    assert_eq!(answer.body["domains"][0]["holder"], "a");
    assert_eq!(answer.body["domains"][1]["nodes"][1]["state"], "Running in Backup Mode");
    let answer = node.get(&format!("/api/pair?domain={DOMAIN}")).await;
    assert_eq!(answer.body["domains"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn history_is_bounded_and_its_newest_is_last() {
    let node = Node::start(true).await;
    for nth in 1..=30 {
        node.note(DOMAIN, nth).await;
    }
    node.note("two.example.org", 31).await;
    let why = |answer: &door::Answer| -> Vec<String> {
        let events = answer.body["events"].as_array().cloned().unwrap_or_default();
        events.iter().map(|event| event["why"].as_str().unwrap_or_default().to_owned()).collect()
    };
    let all = node.get("/api/pair/history").await;
    assert_eq!((why(&all).len(), why(&all).last().map(String::as_str)), (20, Some("takeover 31")));
    assert_eq!(all.body["events"][0]["gap_ms"], 43);
    let few = node.get(&format!("/api/pair/history?domain={DOMAIN}&max=2")).await;
    assert_eq!(why(&few), ["takeover 29", "takeover 30"]);
    for (query, named) in [("max=0", "1 to 1000"), ("max=many", "max=NUMBER"), ("mx=2", "max=NUMBER")] {
        let refused = node.get(&format!("/api/pair/history?{query}")).await;
        assert_eq!(refused.code, 400, "{query}");
        assert!(refused.sentence().contains(named), "{query}: {}", refused.sentence());
    }
}

#[tokio::test]
async fn an_order_is_given_and_looked_after_until_it_ends() {
    let node = Node::start(true).await;
    node.serve_with(DOMAIN, "a").await;
    let answer =
        node.order(&format!(r#"{{"kind": "switch-over", "domain": "{DOMAIN}", "by": "olga@desk via cli"}}"#)).await;
    assert_eq!(answer.code, 202, "{}", answer.body);
    let order = &answer.body["orders"][0];
    assert_eq!((order["by"].as_str(), order["outcome"].is_null()), (Some("olga@desk via cli"), true));
    let id = order["id"].as_str().expect("an id").to_owned();
    let seen = node.get("/api/pair").await;
    assert_eq!(seen.body["domains"][0]["orders"][0]["id"], id.as_str());

    assert!(node.store.take_order(&id, "a").await.expect("answers"));
    assert_eq!(node.get(&format!("/api/pair/orders/{id}")).await.body["node"], "a");
    node.store.end_order(&id, "refused", "node b could not serve: tired").await.expect("answers");
    let ended = node.get(&format!("/api/pair/orders/{id}")).await.body;
    assert_eq!((&ended["outcome"], &ended["why"]), (&"refused".into(), &"node b could not serve: tired".into()));
    let unknown = node.get("/api/pair/orders/0").await;
    assert_eq!((unknown.code, unknown.sentence()), (404, "there is no order 0"));
}

#[tokio::test]
async fn an_order_without_a_domain_is_for_all_unless_the_nodes_would_swap_them() {
    let node = Node::start(true).await;
    node.serve_with(DOMAIN, "a").await;
    node.serve_with("two.example.org", "b").await;
    let paused = node.order(r#"{"kind": "pause"}"#).await;
    assert_eq!(paused.body["orders"].as_array().map(Vec::len), Some(2), "{}", paused.body);
    assert_eq!(paused.body["orders"][0]["by"], "127.0.0.1 via http");
    let swap = node.order(r#"{"kind": "failover"}"#).await;
    assert_eq!(swap.code, 400);
    assert!(swap.sentence().contains("swap"), "{}", swap.sentence());
    let away = node.order(r#"{"kind": "failover", "from": "b"}"#).await;
    assert_eq!(away.body["orders"].as_array().map(Vec::len), Some(1));
    assert_eq!(away.body["orders"][0]["domain"], "two.example.org");
    let nobody = node.order(r#"{"kind": "failover", "from": "c"}"#).await;
    assert!(nobody.sentence().contains("node c serves none"), "{}", nobody.sentence());
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_with_what_would() {
    let node = Node::start(true).await;
    for (body, named) in [
        (r#"{"kind": "explode"}"#, "failover, fallback, switch-over"),
        (r#"{"kind": "fallback", "domain": "elsewhere.example.org"}"#, DOMAIN),
        (r#"{"kind": "fallback", "domain": "@@"}"#, DOMAIN),
        (r#"{"kind": "fallback", "domian": "x"}"#, "domain"),
        (r#"{"kind": "fallback", "from": "a"}"#, "leave from out"),
        ("fallback", "one looks like"),
        ("", "one looks like"),
    ] {
        let refused = node.order(body).await;
        assert_eq!(refused.code, 400, "{body}: {}", refused.body);
        assert!(refused.sentence().contains(named), "{body}: {}", refused.sentence());
    }
    assert!(node.store.open_orders(DOMAIN).await.expect("answers").is_empty());
}

#[tokio::test]
async fn a_large_order_is_not_read() {
    let node = Node::start(true).await;
    let refused = node.order(&format!(r#"{{"kind": "pause", "by": "{}"}}"#, "x".repeat(1_000_000))).await;
    assert_eq!(refused.code, 413);
}

#[tokio::test]
async fn the_wrong_token_is_refused_slowly_and_many_are_turned_away() {
    let node = Node::start(true).await;
    node.serve_with(DOMAIN, "a").await;
    let begun = Instant::now();
    let refused = node.ask("POST", "/api/pair/orders", Some("swordfish"), r#"{"kind": "pause"}"#).await;
    assert_eq!(refused.code, 401);
    assert!(refused.head.contains("www-authenticate: bearer") && refused.sentence().contains("token_file"));
    assert!(begun.elapsed() >= Duration::from_millis(900));
    assert_eq!(node.ask("GET", "/api/pair", None, "").await.code, 401);

    let guesses = (0..40).map(|nth| {
        let guess = format!("guess {nth}");
        let node = &node;
        async move { node.ask("GET", "/api/pair", Some(&guess), "").await.code }
    });
    let begun = Instant::now();
    let (codes, right) = tokio::join!(all(guesses), async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        node.ask("GET", "/api/pair", Some(TOKEN), "").await.code
    });
    assert_eq!(right, 200, "who has the token is let in meanwhile");
    assert_eq!(codes.iter().filter(|code| **code == 401).count(), 16);
    assert_eq!(codes.iter().filter(|code| **code == 429).count(), 24);
    assert!(begun.elapsed() < Duration::from_secs(3));
    assert!(node.store.open_orders(DOMAIN).await.expect("answers").is_empty());
}

#[tokio::test]
async fn without_a_token_file_this_machine_reads_and_nobody_orders() {
    let node = Node::start(false).await;
    node.serve_with(DOMAIN, "a").await;
    assert_eq!(node.ask("GET", "/api/pair", None, "").await.code, 200);
    let refused = node.ask("POST", "/api/pair/orders", Some(TOKEN), r#"{"kind": "pause"}"#).await;
    assert_eq!(refused.code, 403);
    assert!(refused.sentence().contains("token_file"), "{}", refused.sentence());
}

#[tokio::test]
async fn who_routes_by_the_speaker_is_told_without_a_token() {
    let node = Node::start(true).await;
    let silent = node.ask("GET", &format!("/api/speaker/{DOMAIN}"), None, "").await;
    assert_eq!((silent.code, &silent.body["speaks"]), (503, &false.into()));
    assert!(silent.body["state"].as_str().is_some_and(|state| !state.is_empty()));
    assert_eq!(node.ask("GET", "/api/speaker/elsewhere.example.org", None, "").await.code, 404);
    assert_eq!(node.ask("GET", "/health", None, "").await.code, 200);
    assert_eq!(node.ask("GET", "/ready", None, "").await.code, 503);
}

/// Runs all at once.
async fn all<F: Future<Output = u16>>(futures: impl Iterator<Item = F>) -> Vec<u16> {
    let mut running: Vec<_> = futures.map(Box::pin).collect();
    let mut codes = vec![None; running.len()];
    std::future::poll_fn(|context| {
        for (future, code) in running.iter_mut().zip(&mut codes) {
            if code.is_none()
                && let std::task::Poll::Ready(answered) = future.as_mut().poll(context)
            {
                *code = Some(answered);
            }
        }
        let is_over = codes.iter().all(Option::is_some);
        if is_over { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    codes.into_iter().flatten().collect()
}
