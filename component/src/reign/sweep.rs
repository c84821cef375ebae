//! The ghost sweep: after a takeover, or after the server was away, occupants are looked for who left unheard.
//!
//! Each local occupant gets an empty groupchat message at its full JID; a resource that is gone bounces it, and the
//! room does what it does with any such error: the ghost leaves with 333. Whoever is there sees nothing. Users of other
//! servers are left to the errors that come by themselves, for a link that is slow is no proof of anything.

use std::time::Duration;

use tandem_muc_core::stanza::{Audience, Kind, Outbound, Stanza, Type};
use tokio::time::sleep;
use tracing::{info, warn};

use crate::journal::{Entry, Journal};
use crate::store::SqlStore;

/// Occupants asked at once, and the pause between: bounces are handled beside the talk of the living.
const PAGE: u32 = 100;
const PAUSE: Duration = Duration::from_millis(50);
/// So many are asked without a pause: after a server's crash people wait for it.
const AT_ONCE: u64 = 1_000;

/// Asks every local occupant of `domain`.
pub(super) async fn run(store: SqlStore, journal: &Journal, domain: String) {
    // Users of the host this service is a subdomain of: those whose server is the one we are attached to.
    let Some((_, host)) = domain.split_once('.') else { return };
    let (mut after, mut asked) = (None, 0_u64);
    loop {
        let page = match store.local_occupants(&domain, host, after, PAGE).await {
            Ok(page) => page,
            Err(why) => return warn!(domain, %why, "the look for occupants who are gone ends early"),
        };
        asked += page.occupants.len() as u64;
        for (room, who) in page.occupants {
            let stanza = Stanza::new(Kind::Message, Type::Groupchat, room.into());
            journal
                .submit(Entry::Lobby { word: Some(Outbound { stanza, to: Audience::One(who) }), ticket: None })
                .await;
        }
        if page.next.is_none() {
            break;
        }
        after = page.next;
        if asked >= AT_ONCE {
            sleep(PAUSE).await;
        }
    }
    info!(domain, asked, "looked for occupants who are gone");
}
