//! Sessions that asked the service to tell them of activity in rooms (XEP-0437 v0.2.0), for the shards to look up: a room
//! says which users a message is news to, and those of their sessions that listen are told with the message's words.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use foldhash::fast::RandomState;
use tandem_muc_core::name::{BareJid, Jid};
use tandem_muc_core::ns;
use tandem_muc_core::stanza::element::{Build, el};
use tandem_muc_core::stanza::{Audience, Kind, Outbound, Stanza, Type};

/// Sessions of one user that listen at most; one more replaces the one that came first.
const OF_USER_MAX: usize = 10;

/// Those who listen to one domain; clones share them.
#[derive(Clone, Debug)]
pub struct Listeners {
    service: Jid,
    max: usize,
    known: Arc<RwLock<Known>>,
}

#[derive(Debug, Default)]
struct Known {
    /// In the order they came.
    by_user: HashMap<BareJid, Vec<Jid>, RandomState>,
    count: usize,
}

/// What became of a wish to listen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Listening {
    /// It listens from now on; another session of the user may have made place for it.
    New(Option<Jid>),
    /// It did so before.
    Known,
    /// As many listen as may.
    Full,
}

impl Listeners {
    /// Those who listened before, `max` of them at most.
    pub fn new(service: &BareJid, max: u32, before: Vec<Jid>) -> Listeners {
        let max = usize::try_from(max).unwrap_or(usize::MAX);
        let listeners = Listeners { service: service.as_jid().clone(), max, known: Arc::default() };
        for session in before {
            listeners.add(&session);
        }
        listeners
    }

    /// `session` wants to be told.
    pub fn add(&self, session: &Jid) -> Listening {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let Known { by_user, count } = &mut *known;
        let user = session.to_bare();
        let has_some = by_user.get(&user).map_or(0, Vec::len);
        if by_user.get(&user).is_some_and(|sessions| sessions.contains(session)) {
            return Listening::Known;
        }
        if *count >= self.max && has_some < OF_USER_MAX {
            return Listening::Full;
        }
        let sessions = by_user.entry(user).or_default();
        let displaced = (has_some >= OF_USER_MAX).then(|| sessions.remove(0));
        sessions.push(session.clone());
        *count += usize::from(displaced.is_none());
        Listening::New(displaced)
    }

    /// `session` does not want to be told any more; whether it did.
    pub fn remove(&self, session: &Jid) -> bool {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let user = session.to_bare();
        let Some(sessions) = known.by_user.get_mut(&user) else { return false };
        let before = sessions.len();
        sessions.retain(|other| other != session);
        let gone = before - sessions.len();
        if sessions.is_empty() {
            known.by_user.remove(&user);
        }
        known.count -= gone;
        gone > 0
    }

    /// What the sessions of `users` that listen are told of `room`; nothing where none does.
    pub fn word(&self, room: &BareJid, users: &[BareJid]) -> Option<Outbound> {
        if users.is_empty() {
            return None;
        }
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let to: Vec<Jid> = users.iter().filter_map(|user| known.by_user.get(user)).flatten().cloned().collect();
        (!to.is_empty()).then(|| self.told(std::slice::from_ref(room), Audience::Many(to.into())))
    }

    /// The word that something was said in `rooms`. It is of the moment: no archive needs it.
    pub fn told(&self, rooms: &[BareJid], to: Audience) -> Outbound {
        let rai = rooms.iter().fold(el("rai", ns::RAI), |rai, room| rai.with_text_child("activity", room.as_str()));
        let stanza = Stanza::new(Kind::Message, Type::None, self.service.clone());
        Outbound { stanza: stanza.with(rai).with(el("no-store", ns::HINTS)), to }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jid(text: &str) -> Jid {
        Jid::parse(text).expect("a JID")
    }

    fn bare(text: &str) -> BareJid {
        BareJid::parse(text).expect("a JID")
    }

    #[test]
    fn those_who_listen_are_told_and_no_others() {
        let listeners = Listeners::new(&bare("muc.example.org"), 10, vec![jid("mia@example.org/1")]);
        assert_eq!(listeners.add(&jid("mia@example.org/1")), Listening::Known);
        assert_eq!(listeners.add(&jid("mia@example.org/2")), Listening::New(None));
        let hall = bare("hall@muc.example.org");
        let told = |users: &[&str]| {
            let users: Vec<BareJid> = users.iter().map(|user| bare(user)).collect();
            listeners.word(&hall, &users).map(|word| word.to.as_slice().to_vec())
        };
        assert_eq!(
            told(&["mia@example.org", "nils@example.org"]),
            Some(vec![jid("mia@example.org/1"), jid("mia@example.org/2")])
        );
        assert_eq!(told(&["nils@example.org"]), None);
        assert!(listeners.remove(&jid("mia@example.org/1")));
        assert!(!listeners.remove(&jid("mia@example.org/1")));
        assert_eq!(told(&["mia@example.org"]), Some(vec![jid("mia@example.org/2")]));
    }

    #[test]
    fn they_are_bounded() {
        let listeners = Listeners::new(&bare("muc.example.org"), 11, Vec::new());
        for nth in 0..10 {
            assert_eq!(listeners.add(&jid(&format!("mia@example.org/{nth}"))), Listening::New(None));
        }
        let first = jid("mia@example.org/0");
        assert_eq!(listeners.add(&jid("mia@example.org/10")), Listening::New(Some(first)));
        assert_eq!(listeners.add(&jid("nils@example.org/1")), Listening::New(None));
        assert_eq!(listeners.add(&jid("nils@example.org/2")), Listening::Full);
        assert!(listeners.remove(&jid("nils@example.org/1")));
        assert_eq!(listeners.add(&jid("olga@example.org/1")), Listening::New(None));
    }
}
