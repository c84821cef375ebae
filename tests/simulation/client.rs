//! Clients: they enter, talk in numbered messages, ping, leave and come again; and keep book of what they hear.

use std::sync::Arc;

use tandem_muc_core::stanza::{Condition, Inbound, Kind, Stanza, Type};

use crate::chance::Chance;
use crate::stanzas::{
    ROOMS, archive_id, enter, is_history, is_own, is_subject, leave, number_of_nick, place_of, self_ping, speech,
};
use crate::truth::Truth;

/// How long a client waits for what it asked before it asks again.
const PATIENCE_MS: u64 = 4_000;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Standing {
    Out,
    Entering(u64),
    Inside,
    Leaving(u64),
}

#[derive(Debug)]
pub(crate) struct Client {
    nth: usize,
    standings: [Standing; ROOMS.len()],
    /// The last message heard of each room, without those heard before.
    heard: [i64; ROOMS.len()],
    said: u32,
    /// How long it waits to be let in before it asks again: for ever, where nothing may be lost.
    enters_again_ms: Option<u64>,
    /// Nothing reaches it, or it hears nothing new, before.
    pub(crate) hears_from: u64,
    pub(crate) sends_from: u64,
}

impl Client {
    pub(crate) fn new(nth: usize, is_patient: bool) -> Client {
        let (standings, heard) = ([Standing::Out; ROOMS.len()], [0; ROOMS.len()]);
        let enters_again_ms = (!is_patient).then_some(PATIENCE_MS);
        Client { nth, standings, heard, said: 0, enters_again_ms, hears_from: 0, sends_from: 0 }
    }

    /// What it does now; leaves only where it `may_leave`.
    pub(crate) fn act(&mut self, now: u64, may_leave: bool, chance: &mut Chance, truth: &mut Truth) -> Option<Inbound> {
        let place = chance.index(ROOMS.len());
        self.act_in(place, now, may_leave, chance, truth)
    }

    fn act_in(
        &mut self,
        place: usize,
        now: u64,
        may_leave: bool,
        chance: &mut Chance,
        truth: &mut Truth,
    ) -> Option<Inbound> {
        let who = self.nth;
        match self.standings[place] {
            Standing::Entering(since) if self.enters_again_ms.is_none_or(|again| now < since + again) => None,
            Standing::Leaving(since) if now < since + PATIENCE_MS => None,
            Standing::Out | Standing::Entering(_) | Standing::Leaving(_) => {
                self.standings[place] = Standing::Entering(now);
                Some(enter(who, place))
            }
            Standing::Inside => match chance.index(100) {
                0..=3 if may_leave => {
                    self.standings[place] = Standing::Leaving(now);
                    truth.left.insert((who, place));
                    Some(leave(who, place))
                }
                4..=11 => Some(self_ping(who, place, &format!("p{now}"))),
                _ => {
                    self.said += 1;
                    let id = format!("c{who}-{:03}", self.said);
                    truth.sent.entry(id.clone()).or_default();
                    Some(speech(who, place, &id))
                }
            },
        }
    }

    /// What it does when it has nothing more to say: looks whether it is where it believes to be.
    pub(crate) fn look(&mut self, place: usize, now: u64) -> Option<Inbound> {
        match self.standings[place] {
            Standing::Entering(since) if self.enters_again_ms.is_none_or(|again| now < since + again) => None,
            Standing::Leaving(since) if now < since + PATIENCE_MS => None,
            Standing::Inside => Some(self_ping(self.nth, place, &format!("q{now}"))),
            Standing::Out | Standing::Entering(_) | Standing::Leaving(_) => {
                self.standings[place] = Standing::Entering(now);
                Some(enter(self.nth, place))
            }
        }
    }

    pub(crate) fn hears(&mut self, now: u64, stanza: &Arc<Stanza>, truth: &mut Truth) {
        let Some(place) = place_of(&stanza.from) else { return };
        match (stanza.kind, &stanza.type_) {
            (Kind::Presence, Type::Unavailable) => self.sees_leaving(now, place, stanza, truth),
            (Kind::Presence, Type::Error) => self.standings[place] = Standing::Out,
            (Kind::Message, Type::Groupchat) => self.hears_message(now, place, stanza, truth),
            (Kind::Message, Type::Error) => {
                if let Some(id) = &stanza.id {
                    truth.refused(id);
                }
                self.mind(place, stanza);
            }
            (Kind::Iq, Type::Error) => self.mind(place, stanza),
            _ => {}
        }
    }

    /// Who is told that it is not inside enters again.
    fn mind(&mut self, place: usize, error: &Stanza) {
        if error.error_condition() == Some(Condition::NotAcceptable) && self.standings[place] == Standing::Inside {
            self.standings[place] = Standing::Out;
        }
    }

    fn sees_leaving(&mut self, now: u64, place: usize, stanza: &Stanza, truth: &mut Truth) {
        let Some(who) = number_of_nick(&stanza.from) else { return };
        truth.sees_leaving(now, self.nth, who, place);
        if is_own(stanza) && matches!(self.standings[place], Standing::Leaving(_) | Standing::Inside) {
            self.standings[place] = Standing::Out;
        }
    }

    fn hears_message(&mut self, now: u64, place: usize, stanza: &Stanza, truth: &mut Truth) {
        if is_subject(stanza) {
            // The entrance is complete.
            if matches!(self.standings[place], Standing::Entering(_)) {
                self.standings[place] = Standing::Inside;
            }
            return;
        }
        let Some(id) = archive_id(stanza) else { return };
        let Some(found) = truth.heard(now, self.nth, id) else { return };
        let listens = match self.standings[place] {
            Standing::Inside => true,
            Standing::Entering(_) => is_history(stanza),
            Standing::Out | Standing::Leaving(_) => false,
        };
        if !listens || found.seq <= self.heard[place] {
            return;
        }
        if found.seq != self.heard[place] + 1 {
            let (who, room, last) = (self.nth, ROOMS[place], self.heard[place]);
            truth.breaks(format!("client {who} hears message {} of {room} at {now} after {last}", found.seq));
        }
        self.heard[place] = found.seq;
    }

    /// The database went back: what was heard beyond it does not count.
    pub(crate) fn forgets(&mut self, counts: [i64; ROOMS.len()]) {
        for (heard, count) in self.heard.iter_mut().zip(counts) {
            *heard = (*heard).min(count);
        }
    }

    /// At the end everybody is inside and has heard everything.
    pub(crate) fn check(&self, truth: &mut Truth) {
        for (place, room) in ROOMS.iter().enumerate() {
            if self.standings[place] != Standing::Inside {
                truth.breaks(format!(
                    "client {} is not inside {room} at the end: {:?}",
                    self.nth, self.standings[place]
                ));
            }
            let (heard, count) = (self.heard[place], truth.count(place));
            if heard != count {
                truth.breaks(format!("client {} heard {heard} of {count} messages of {room}", self.nth));
            }
        }
    }
}
