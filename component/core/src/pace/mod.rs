//! How fast people may send: an engine between the stream and the rooms of one service, with time from outside.
//!
//! Messages and presences are counted by user and room, requests by user. What comes too fast is refused with `wait`
//! (RFC 6120 §8.3.3.14 `policy-violation`) - except a change of presence: of these the last one counts, so it is held
//! and told when it may be. Leaving and what answers something are never held up. Admins of the service pass; who owns a
//! room is the room's to know, so owners wait as everybody does. A room whose owner wants it slower has slow mode.

mod rate;
#[cfg(test)]
mod tests;

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use foldhash::fast::FixedState;

pub use rate::Rate;
use rate::Used;

use crate::name::{BareJid, Jid};
use crate::ns;
use crate::stanza::{Condition, ErrorType, Inbound, Kind, StanzaError, Type};
use crate::time::Moment;

/// The most senders remembered; beyond it newcomers are not counted, for that many cannot be one person.
const SENDERS_MAX: usize = 100_000;
/// The most presences held.
const HELD_MAX: usize = 10_000;
/// With as many senders it is first looked for those who are at rest.
const LOOK_AT: usize = 256;

/// What the operator allows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Terms {
    /// Messages of one user to one room or its occupants.
    pub messages: Rate,
    /// Presences of one user to one room: coming, being, being called otherwise.
    pub presences: Rate,
    /// Requests of one user to the service, its rooms and their occupants.
    pub requests: Rate,
    /// Whose pace is nobody's business.
    pub admins: Vec<BareJid>,
}

/// What becomes of something that came.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict<T> {
    /// It goes on.
    Pass(T),
    /// It is kept until it may go on.
    Held,
    /// It is answered with this, and that is all.
    Refuse(T, StanzaError),
    /// Nothing comes of it, and there is nobody to tell.
    Drop(T),
}

/// Who is counted: a user in a room, or, without one, wherever it asks.
type Sender = (BareJid, Option<BareJid>);
/// Whose presence, and in which room.
type Place = (Jid, BareJid);

/// Counts who sends how much, and keeps what comes too early. `T` is what holds the stanza.
#[derive(Debug)]
pub struct Pace<T> {
    terms: Terms,
    used: HashMap<Sender, [Used; 2], FixedState>,
    look_at: usize,
    held: BTreeMap<Place, (Moment, T)>,
    due: BTreeSet<(Moment, Place)>,
}

impl<T: Borrow<Inbound>> Pace<T> {
    /// Nobody has sent anything yet.
    pub fn new(terms: Terms) -> Pace<T> {
        let used = HashMap::with_hasher(FixedState::with_seed(0x0007));
        Pace { terms, used, look_at: LOOK_AT, held: BTreeMap::new(), due: BTreeSet::new() }
    }

    /// Takes new terms over, from the next stanza on.
    pub fn obey(&mut self, terms: Terms) {
        self.terms = terms;
    }

    /// Weighs what came; beside the verdict, a presence it overtook, of which nothing comes any more.
    pub fn weigh(&mut self, now: Moment, item: T) -> (Verdict<T>, Option<T>) {
        let inbound: &Inbound = item.borrow();
        let who = inbound.stanza.from.to_bare();
        if self.terms.admins.contains(&who) {
            return (Verdict::Pass(item), None);
        }
        match (inbound.stanza.kind, &inbound.stanza.type_) {
            (_, Type::Error | Type::Result) => (Verdict::Pass(item), None),
            (Kind::Presence, _) => self.weigh_presence(now, who, item),
            (Kind::Message, _) => {
                let sender = (who, Some(inbound.to.to_bare()));
                let verdict = self.count(now, sender, 0, self.terms.messages);
                (refuse_unless(verdict.is_ok(), item, too_fast), None)
            }
            (Kind::Iq, _) => {
                let verdict = self.count(now, (who, None), 0, self.terms.requests);
                let is_ping = inbound.stanza.child("ping", ns::PING).is_some();
                let why = if is_ping { unsure } else { too_many };
                (refuse_unless(verdict.is_ok(), item, why), None)
            }
        }
    }

    fn weigh_presence(&mut self, now: Moment, who: BareJid, item: T) -> (Verdict<T>, Option<T>) {
        let inbound: &Inbound = item.borrow();
        let (place, is_entering) = (place_of(inbound), inbound.stanza.child("x", ns::MUC).is_some());
        match &inbound.stanza.type_ {
            Type::Unavailable => {
                let overtaken = self.let_go(&place);
                return (Verdict::Pass(item), overtaken);
            }
            Type::None => {}
            _ => {
                let counted = self.count(now, (who, Some(place.1)), 1, self.terms.presences);
                return (if counted.is_ok() { Verdict::Pass(item) } else { Verdict::Drop(item) }, None);
            }
        }
        let overtaken = self.let_go(&place);
        match self.count(now, (who, Some(place.1.clone())), 1, self.terms.presences) {
            Ok(()) => (Verdict::Pass(item), overtaken),
            Err(_) if is_entering || self.held.len() >= HELD_MAX => (Verdict::Refuse(item, too_fast()), overtaken),
            Err(until) => {
                self.due.insert((until, place.clone()));
                self.held.insert(place, (until, item));
                (Verdict::Held, overtaken)
            }
        }
    }

    /// When a held presence may go on.
    pub fn next(&self) -> Option<Moment> {
        self.due.first().map(|(moment, _)| *moment)
    }

    /// The next held presence whose time has come.
    pub fn release(&mut self, now: Moment) -> Option<T> {
        while let Some((moment, place)) = self.due.first().filter(|(moment, _)| *moment <= now).cloned() {
            self.due.remove(&(moment, place.clone()));
            let Some((_, item)) = self.held.remove(&place) else { continue };
            let sender = (place.0.to_bare(), Some(place.1.clone()));
            match self.count(now, sender, 1, self.terms.presences) {
                Ok(()) => return Some(item),
                // Another session of the user was first.
                Err(until) => {
                    self.due.insert((until, place.clone()));
                    self.held.insert(place, (until, item));
                }
            }
        }
        None
    }

    /// All that is held, in the order of its time: the service does not go on here.
    pub fn release_all(&mut self) -> Vec<T> {
        let due = std::mem::take(&mut self.due);
        due.into_iter().filter_map(|(_, place)| self.held.remove(&place)).map(|(_, item)| item).collect()
    }

    fn let_go(&mut self, place: &Place) -> Option<T> {
        let (moment, item) = self.held.remove(place)?;
        self.due.remove(&(moment, place.clone()));
        Some(item)
    }

    fn count(&mut self, now: Moment, sender: Sender, nth: usize, rate: Rate) -> Result<(), Moment> {
        if rate == Rate::FREE || rate.per_minute == 0 {
            return Ok(());
        }
        if self.used.len() >= self.look_at {
            self.used.retain(|_, used| used.iter().any(|used| !used.is_rested(now)));
            self.look_at = (self.used.len() * 2).max(LOOK_AT);
        }
        if self.used.len() >= SENDERS_MAX && !self.used.contains_key(&sender) {
            return Ok(());
        }
        let used = self.used.entry(sender).or_default();
        used.get_mut(nth).map_or(Ok(()), |used| rate.take(used, now))
    }
}

fn place_of(inbound: &Inbound) -> Place {
    (inbound.stanza.from.clone(), inbound.to.to_bare())
}

fn refuse_unless<T>(is_fine: bool, item: T, why: fn() -> StanzaError) -> Verdict<T> {
    if is_fine { Verdict::Pass(item) } else { Verdict::Refuse(item, why()) }
}

fn too_fast() -> StanzaError {
    StanzaError::new(Condition::PolicyViolation, "You send faster than this service takes; please wait a little.")
        .with_type(ErrorType::Wait)
}

fn too_many() -> StanzaError {
    StanzaError::new(Condition::ResourceConstraint, "You ask for more than this service answers; please wait a little.")
}

/// XEP-0410 §3.2: any other error would make the client enter again.
fn unsure() -> StanzaError {
    StanzaError::new(Condition::RemoteServerTimeout, "You ask faster than this service answers; please wait a little.")
}
