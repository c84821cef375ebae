//! Holders that come, work and vanish in the middle of things, under load both ways: each stanza is handled exactly
//! once, each reign's words arrive in order up to some point, and nothing of an older reign after a newer one's first.

use tandem_muc_core::relay::Numbers;

use super::peer::attribute;
use super::*;

const MANY: u64 = 10_000;

/// Repeatable chance.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// What survives every node: the database.
#[derive(Default)]
struct Database {
    handled: Numbers,
    repeated: u64,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_stanza_is_handled_once_whoever_dies_when() {
    for seed in 0..4 {
        let mut dice = Dice(seed);
        let mut stage = Stage::start().await;
        let (mut database, mut injected, mut epoch, mut zombies) = (Database::default(), 0, 0, Vec::new());
        while database.handled.upto() < MANY {
            epoch += 1;
            let more = dice.below(2_000).min(MANY - injected);
            stage.inject(injected + 1..=injected + more);
            injected += more;
            if let Some(zombie) = reign(&stage, &mut database, epoch, injected, &mut dice).await {
                zombies.push(zombie);
            }
            for (zombie, rest) in &mut zombies {
                // One that was stopped and goes on: unheard, if the next one has attached.
                let rest = std::mem::take(rest) + &word(&format!("e{epoch}-zombie"));
                zombie.try_say(&rest).await;
            }
        }
        assert_eq!(database.repeated, 0);
        let (mut last, attached) = Peer::holder(&stage.address, "last", epoch + 1).await;
        last.ack(&MANY.to_string()).await;
        stage.until(|seen| seen.held == 0).await;
        assert_eq!((stage.seen().bounced, stage.seen().dropped), (0, 0), "{attached}");
        last.say(&word("the-end")).await;
        check_words(&stage.heard("the-end").await);
    }
}

/// One node's time: handles some of what it is given, commits, acknowledges some of that, and is gone. The one that is
/// only stopped is given back, with what it had on its tongue.
async fn reign(
    stage: &Stage,
    database: &mut Database,
    epoch: u64,
    injected: u64,
    dice: &mut Dice,
) -> Option<(Peer, String)> {
    let mut peer = Peer::standby(&stage.address).await;
    let handled = format!("<handled boot='{}' numbers='{}'/>", peer.boot, database.handled);
    let attached = peer.attach("n", epoch, &handled).await;
    let mut next: u64 = attribute(&attached, "next").and_then(|next| next.parse().ok()).expect("a number");
    let open = (1..=injected).filter(|n| !database.handled.contains(*n)).count() as u64;
    let work = dice.below(open + 1).min(1 + dice.below(1_500));
    let mut words = String::new();
    for nth in 0..work {
        let mut heard = peer.hear().await;
        if heard.starts_with("<at ") {
            next = attribute(&heard, "n").and_then(|n| n.parse().ok()).expect("a number");
            heard = peer.hear().await;
        }
        assert_eq!(attribute(&heard, "id"), Some(format!("m{next}")), "in epoch {epoch}");
        database.repeated += u64::from(database.handled.contains(next));
        // Handled out of order now and then, as a room that has to be loaded delays its own stanzas.
        if dice.below(50) > 0 {
            database.handled.insert(next);
        }
        next += 1;
        words.push_str(&word(&format!("e{epoch}-{nth}")));
        if dice.below(20) == 0 {
            peer.try_say(&std::mem::take(&mut words)).await;
        }
        if dice.below(40) == 0 {
            peer.try_say(&format!("<ack xmlns='urn:tandem-muc:relay:0' numbers='{}'/>", database.handled)).await;
        }
    }
    let torn = dice.below(words.len() as u64 + 1);
    let (said, rest) = words.split_at(usize::try_from(torn).expect("small"));
    peer.try_say(said).await;
    match dice.below(4) {
        0 => return Some((peer, rest.to_owned())),
        1 => peer.try_say(&format!("{rest}<leave xmlns='urn:tandem-muc:relay:0'/>")).await,
        2 => peer.socket.set_zero_linger().expect("a socket"),
        _ => {}
    }
    None
}

fn check_words(all: &str) {
    let (mut epoch, mut place) = (0, 0);
    for stanza in all.split_inclusive("</message>").filter(|stanza| stanza.contains(" id='e")) {
        let id = attribute(stanza, "id").expect("an id");
        let (of, nth) = id[1..].split_once('-').expect("an epoch");
        let of: u64 = of.parse().expect("an epoch");
        if nth == "zombie" {
            // Said before anybody knew better: by the holder itself, while there was no other.
            assert!(of >= epoch, "{id} after epoch {epoch}");
            continue;
        }
        assert!(of >= epoch, "{id} after epoch {epoch}");
        place = if of == epoch { place } else { 0 };
        assert_eq!(nth, place.to_string(), "{id}");
        (epoch, place) = (of, place + 1);
    }
}
