//! Those with a tie to the room who are not inside: what each has seen, and who is to hear that something was said since.
//!
//! What somebody has seen is a fact ([`Record::Seen`]): all of it while inside, all up to here when the last session left.
//! Who is told of the next words follows from it, so that a takeover tells nobody twice. One message costs what there is
//! to tell of it, however many are on the lists.

mod mention;
mod notice;
mod shown;

use std::collections::{BTreeMap, BTreeSet};

use super::{Room, Turn};
use crate::muc::Affiliation;
use crate::name::BareJid;
use crate::record::{AffiliationEntry, Message, MessageKind, Record, Seq};
use crate::stanza::Stanza;

use mention::Mentions;

/// Users told of one message at most: those who are more hear of the next.
const TOLD_AT_ONCE: usize = 500;

/// What is known of those who are not inside.
#[derive(Debug, Default)]
pub(super) struct Absent {
    /// What those on the lists have seen.
    seen: BTreeMap<BareJid, Seq>,
    /// Who hears of the next words; those inside among them hear it anyway.
    untold: BTreeSet<BareJid>,
    /// The last message with a text.
    last_text: Seq,
    mentions: Mentions,
}

impl Absent {
    pub(super) fn seen(&self) -> Vec<(BareJid, Seq)> {
        self.seen.iter().map(|(who, upto)| (who.clone(), *upto)).collect()
    }

    /// Somebody's entry on the lists is another one, or gone.
    pub(super) fn tie(&mut self, entry: &AffiliationEntry) {
        let is_gone = entry.affiliation == Affiliation::None && entry.nick.is_none();
        if is_gone {
            self.seen.remove(&entry.who);
        }
        if is_gone || entry.affiliation == Affiliation::Outcast || entry.who.local().is_none() {
            self.untold.remove(&entry.who);
        } else if !self.seen.contains_key(&entry.who) {
            self.untold.insert(entry.who.clone());
        }
    }

    /// Something was said.
    pub(super) fn hear(&mut self, message: &Message) {
        if is_text(message) {
            self.last_text = self.last_text.max(message.seq);
        }
    }

    fn see(&mut self, who: &BareJid, upto: Seq) {
        self.seen.insert(who.clone(), upto);
        if upto >= self.last_text && upto != Seq::ALL {
            self.untold.insert(who.clone());
        } else {
            self.untold.remove(who);
        }
    }
}

impl Room {
    /// Takes over what those on the lists have seen. Where the history does not reach back to a text, all that was said
    /// counts as told: nobody is told twice, and who would have been told next is told after the next visit.
    pub(super) fn restore_absent(&mut self, seen: Vec<(BareJid, Seq)>) {
        let kept = self.history.messages();
        let texts = kept.iter().chain(&self.subject).filter(|message| is_text(message)).map(|message| message.seq);
        let is_whole = self.config.is_archived && kept.len() < self.config.history_max as usize;
        self.absent.last_text = texts.max().unwrap_or(if is_whole { Seq(0) } else { self.last_seq });
        for (who, upto) in seen {
            self.absent.see(&who, upto);
        }
    }

    /// What [`Record::Seen`] changes: of those without an entry on the lists nothing is kept.
    pub(super) fn see(&mut self, who: &BareJid, upto: Seq) {
        if self.affiliations.contains_key(who) {
            self.absent.see(who, upto);
        }
    }

    /// Somebody with a tie to the room came in, or left with the last session.
    pub(super) fn note_seen(&mut self, who: &BareJid, turn: &mut Turn<'_>) {
        if !self.affiliations.contains_key(who) {
            return;
        }
        let upto = if self.roster.of_user(who).next().is_some() { Seq::ALL } else { self.last_seq };
        if self.absent.seen.get(who) != Some(&upto) {
            self.commit(Record::Seen { who: who.clone(), upto }, turn);
        }
    }

    /// Tells those who are not inside what `said`, which became `message`, is to them.
    pub(super) fn tell_those_away(&mut self, said: &Stanza, message: &Message, turn: &mut Turn<'_>) {
        if !is_text(message) {
            return;
        }
        let told: Vec<BareJid> = self.absent.untold.iter().take(TOLD_AT_ONCE).cloned().collect();
        for who in &told {
            self.absent.untold.remove(who);
            if !self.absent.seen.contains_key(who) {
                let before = Seq(message.seq.0 - 1);
                let upto = if self.roster.of_user(who).next().is_some() { Seq::ALL } else { before };
                self.commit(Record::Seen { who: who.clone(), upto }, turn);
            }
        }
        let told: Vec<BareJid> = told.into_iter().filter(|who| self.is_away(who) && self.may_know_of(who)).collect();
        self.tell_of_words(&told, turn);
        turn.out.activity.extend(told);
        self.forward_to_mentioned(said, message, turn);
    }

    /// Whether somebody on the lists is not inside.
    fn is_away(&self, who: &BareJid) -> bool {
        self.absent.seen.get(who) != Some(&Seq::ALL)
    }

    /// Whether somebody who is not inside may know that something is said here: who could enter now.
    fn may_know_of(&self, who: &BareJid) -> bool {
        match self.affiliation(who) {
            Affiliation::Owner | Affiliation::Admin | Affiliation::Member => true,
            Affiliation::None => !self.config.is_members_only && self.config.password.is_none(),
            Affiliation::Outcast => false,
        }
    }
}

/// Whether there is something to read in it.
fn is_text(message: &Message) -> bool {
    match message.kind {
        MessageKind::Speech => message.body.is_some() || message.is_retracted(),
        MessageKind::Subject => true,
    }
}
