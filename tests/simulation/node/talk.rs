//! The driver's half that talks to the server: what is read goes to the rooms, what they answer to the journal, and
//! what is durable to the stream.

use std::sync::Arc;

use tandem_muc_core::pair::{Event, Level, Opening};
use tandem_muc_core::record::Record;
use tandem_muc_core::relay::{Attach, Reason, Welcome};
use tandem_muc_core::room::{Input, Outcome, Room};
use tandem_muc_core::stanza::{Audience, Condition, Inbound, Kind, Outbound, Stanza, StanzaError, Type};
use tandem_muc_core::time::Now;

use super::reign::{Entry, Group, Kept, Reign};
use super::{Brain, Deed, Down, News, Purpose, Up};
use crate::database::{Append, Ask, Said, room_id};
use crate::flaw::Flaw;
use crate::stanzas::{is_answerable, rules};

/// The pause after a commit that failed, and before a stream is tried again.
const AGAIN_MS: u64 = 50;
/// After so long without work the mark is stored by itself.
const QUIET_MS: u64 = 200;
/// An end in good order takes so long at most.
const END_MS: u64 = 3_000;
const GROUP_MAX: usize = 20;

impl Brain {
    pub(super) fn receive(&mut self, now: Now, stream: u64, down: Down) {
        if self.reign.as_ref().and_then(Reign::any_stream) != Some(stream) {
            return;
        }
        match down {
            Down::Open if self.level == Level::Relay => self.attach(stream),
            Down::Open => self.attached(now, stream),
            Down::Welcome(welcome) => self.welcomed(now, stream, &welcome),
            Down::Refused(refusal) if refusal.reason == Reason::Epoch => {
                self.heard.push(Event::Outdated(refusal.highest.cast_signed()));
            }
            Down::Refused(refusal) => self.lose_stream(refusal.sentence),
            Down::Stanza(number, inbound) => self.read(now, number, inbound),
            Down::Mark { epoch, seq } => self.with_reign(|reign| {
                if reign.epoch == epoch {
                    reign.mark_returned(seq);
                }
            }),
            Down::Closed => self.lose_stream("the stream was closed".into()),
        }
    }

    fn attach(&mut self, stream: u64) {
        let node = super::NAMES[self.nth].to_owned();
        let Some(reign) = &self.reign else { return };
        let handled = reign.stored_boot.clone().map(|boot| (boot, reign.stored.clone()));
        let attach =
            Attach { epoch: reign.epoch.unsigned_abs(), node, database: "one".into(), handled, has_others: false };
        self.deeds.push(Deed::Write(stream, Up::Attach(attach)));
    }

    fn welcomed(&mut self, now: Now, stream: u64, welcome: &Welcome) {
        let Some(reign) = &mut self.reign else { return };
        if self.flaw == Flaw::KeepsNumbers {
            reign.boot = Some(welcome.boot.clone());
        } else {
            reign.note_boot(&welcome.boot);
        }
        reign.upcoming = welcome.next;
        // Groups of a time that the database forgot are not those it has now.
        let knows = welcome.said_in == Some(reign.before.unsigned_abs());
        reign.relay_mark = welcome.mark.filter(|mark| knows && *mark <= reign.seq);
        reign.unhandled.clear();
        self.attached(now, stream);
    }

    fn attached(&mut self, _: Now, stream: u64) {
        self.with_reign(|reign| reign.attached(stream));
        self.heard.push(Event::Attached(self.level));
    }

    fn lose_stream(&mut self, why: String) {
        let level = self.level;
        let Some(reign) = &mut self.reign else { return };
        reign.detached();
        reign.is_doubtful = level == Level::Replacing;
        if reign.passing.is_some() {
            return self.pass_on_now();
        }
        self.heard.push(Event::Detached(why));
        self.deeds.push(Deed::After(4 * AGAIN_MS, News::Again));
    }

    pub(super) fn again(&mut self) {
        let Some(reign) = &mut self.reign else { return };
        if let Some(group) = &mut reign.group
            && std::mem::take(&mut group.has_failed)
        {
            group.is_waiting = false;
        }
        reign.is_asking_passed = false;
        self.connect_again();
    }

    /// Unless there is a stream, or it has to be seen first whether the lease is still ours.
    pub(super) fn connect_again(&mut self) {
        let Some(reign) = &self.reign else { return };
        if reign.any_stream().is_none() && reign.passing.is_none() && !reign.is_doubtful {
            self.connect();
        }
    }

    fn read(&mut self, now: Now, number: Option<u64>, inbound: Arc<Inbound>) {
        let flaw = self.flaw;
        let is_relay = self.level == Level::Relay;
        let Some(reign) = &mut self.reign else { return };
        let number = is_relay.then(|| number.unwrap_or(reign.upcoming));
        if let Some(number) = number {
            reign.upcoming = number + 1;
            if reign.taken.contains(number) {
                self.deeds.push(Deed::Count("stanzas replayed and known", 1));
                return;
            }
            if reign.unhandled.iter().any(|(waits, _)| *waits == Some(number)) {
                return;
            }
            if flaw == Flaw::AcknowledgesEarly {
                reign.handled.insert(number);
                let (stream, numbers) = (reign.attached_stream(), reign.handled.clone());
                self.deeds.extend(stream.map(|stream| Deed::Write(stream, Up::Ack(numbers))));
            }
        }
        let Some(reign) = &mut self.reign else { return };
        // While the database is away a bare server's stanzas are answered; the relay keeps its own.
        if reign.is_away && !is_relay && is_answerable(&inbound) && inbound.stanza.kind != Kind::Presence {
            let wait = StanzaError::new(Condition::ResourceConstraint, "Please try again in a moment.");
            let stream = reign.attached_stream().filter(|_| self.may_speak(now));
            let word = inbound.error(&wait).map(Arc::new);
            let deed = stream.zip(word).map(|(stream, word)| Deed::Write(stream, Up::Word(word)));
            return self.deeds.extend(deed);
        }
        reign.unhandled.push_back((number, inbound));
    }

    /// Everything that can be done now.
    pub(super) fn work(&mut self, now: Now) {
        let Some(mut reign) = self.reign.take() else { return };
        self.open(&mut reign);
        while reign.is_opened
            && !reign.is_frozen
            && !reign.is_ending
            && reign.queue.len() < self.queue_max
            && let Some((number, inbound)) = reign.unhandled.pop_front()
        {
            self.run_room(now, &mut reign, number, &inbound);
        }
        self.commit(&mut reign);
        self.flush(now, &mut reign);
        self.reign = Some(reign);
        self.finish_what_waits();
    }

    /// Says again what may be unheard, waits for what was passed on, then goes on.
    fn open(&mut self, reign: &mut Reign) {
        let is_in_the_way = reign.is_opened || !reign.is_attached() || reign.passing.is_some();
        let Some(rooms) = reign.rooms.as_ref().filter(|_| !is_in_the_way) else { return };
        if !reign.is_repeated {
            reign.is_repeated = true;
            let heard = reign.relay_mark.unwrap_or(0);
            let tail = std::mem::take(&mut reign.tail);
            let mut words: Vec<Outbound> = Vec::new();
            for (_, jid, message) in tail.iter().filter(|(group, ..)| *group > heard) {
                words.extend(rooms.get(jid).and_then(|room| room.repeat(message)));
            }
            self.deeds.push(Deed::Count("messages said again", words.len() as u64));
            match self.flaw {
                Flaw::ForgetsTail => words.clear(),
                Flaw::SaysGoodbye => words.extend(rooms.values().flat_map(goodbyes)),
                _ => {}
            }
            let words: Vec<_> = words.into_iter().map(Arc::new).collect();
            if words.is_empty() {
                reign.marks_from = Some(reign.stored_mark);
            } else {
                reign.queue.push_back(Entry { words, is_repeated: true, ..Entry::default() });
            }
        }
        if let Some(epoch) = reign.handed_in {
            if !reign.is_asking_passed {
                reign.is_asking_passed = true;
                self.ask(Purpose::PassedOn, Ask::PassedOn { epoch });
            }
            return;
        }
        reign.is_opened = true;
        self.heard.push(Event::Opened(Opening::default()));
    }

    fn run_room(&mut self, now: Now, reign: &mut Reign, number: Option<u64>, inbound: &Arc<Inbound>) {
        if let Some(number) = number {
            reign.taken.insert(number);
        }
        self.deeds.push(Deed::Handled(inbound.clone()));
        let jid = inbound.to.to_bare();
        let vacant = || Room::vacant(room_id(&jid), jid.clone(), rules());
        let Some(rooms) = &mut reign.rooms else { return };
        let mut outcome = Outcome::default();
        let room = rooms.entry(jid.clone()).or_insert_with(vacant);
        let chance = u128::from(now.moment.0) << 64 | u128::from(self.ids) << 32 | u128::from(reign.seq.unsigned_abs());
        self.ids += 1;
        room.handle(Now { chance, ..now }, Input::Stanza(inbound), &mut outcome);
        let words: Vec<_> = outcome.outbound.into_iter().map(Arc::new).collect();
        let entry = Entry { room: Some(jid), records: outcome.records, words, number, is_repeated: false };
        if self.flaw == Flaw::SpeaksFirst {
            for word in &entry.words {
                reign.push(Kept::Word(word.clone()));
            }
        }
        reign.queue.push_back(entry);
        reign.quiet_ms = 0;
    }

    fn commit(&mut self, reign: &mut Reign) {
        if let Some(group) = &mut reign.group {
            if !group.is_waiting {
                group.is_waiting = true;
                self.append(reign);
            }
            return;
        }
        let is_behind = reign.marks_from.is_some() && reign.mark() > reign.stored_mark;
        let has_news = reign.boot.is_some() && reign.handled != reign.stored;
        let is_due = (is_behind || has_news) && (reign.quiet_ms >= QUIET_MS || reign.is_ending || reign.is_frozen);
        let is_due = is_due && !reign.is_giving;
        if reign.queue.is_empty() && !is_due {
            return;
        }
        let count = reign.queue.len().min(GROUP_MAX);
        let entries: Vec<Entry> = reign.queue.drain(..count).collect();
        let has_facts = entries.iter().any(|entry| !entry.records.is_empty() || entry.is_repeated);
        let facts = entries.iter().filter_map(|entry| entry.room.as_ref().map(|room| (room, &entry.records)));
        let facts = facts.flat_map(|(room, records)| records.iter().map(|record| (room.clone(), record.clone())));
        let facts: Vec<_> = facts.collect();
        let mut inbound = reign.handled.clone();
        // What was said in the archive is handled with that; everything else when its answer has been handed on.
        let flaw = self.flaw;
        inbound.extend(entries.iter().filter(|entry| is_kept(entry, flaw)).filter_map(|entry| entry.number));
        let (boot, next) = (reign.boot.clone(), reign.seq + 1);
        let group = Group { entries, facts, next, is_waiting: true, has_failed: false, mark: None, boot, inbound };
        reign.quiet_ms = 0;
        if !has_facts && count > 0 {
            return self.release(reign, group);
        }
        reign.group = Some(group);
        self.append(reign);
    }

    fn append(&mut self, reign: &mut Reign) {
        let (epoch, after, mark) = (reign.epoch, reign.seq, reign.mark());
        let Some(group) = &mut reign.group else { return };
        group.mark = Some(mark);
        let inbound = group.boot.clone().map(|boot| (boot, group.inbound.clone()));
        let (next, facts) = (group.next, group.facts.clone());
        let append = Append { epoch, after, next, facts, mark: Some(mark), inbound };
        self.ask(Purpose::Append { next }, Ask::Append(Box::new(append)));
    }

    /// Lets the words of a group go.
    fn release(&mut self, reign: &mut Reign, group: Group) {
        let is_silent = group.entries.iter().all(|entry| entry.words.is_empty());
        let (mut numbers, mut is_repeated) = (Vec::new(), false);
        for entry in group.entries {
            is_repeated |= entry.is_repeated;
            if !is_kept(&entry, self.flaw) {
                numbers.extend(entry.number);
            }
            if self.flaw != Flaw::SpeaksFirst || entry.is_repeated {
                for word in entry.words {
                    reign.push(Kept::Word(word));
                }
            }
        }
        if is_repeated {
            reign.marks_from = Some(reign.seq);
        }
        if is_silent && group.facts.is_empty() && numbers.is_empty() {
            return;
        }
        if self.level == Level::Relay {
            reign.push(Kept::Said(reign.seq));
        }
        reign.push(Kept::Mark(reign.seq, numbers));
    }

    fn flush(&mut self, now: Now, reign: &mut Reign) {
        let Some(stream) = reign.attached_stream().filter(|_| self.may_speak(now)) else { return };
        for up in reign.unsent() {
            self.deeds.push(Deed::Write(stream, up));
        }
    }

    pub(super) fn reign_answered(&mut self, now: Now, purpose: &Purpose, said: Said) {
        let Some(mut reign) = self.reign.take() else { return };
        if let Purpose::Append { next } = purpose
            && reign.group.as_ref().is_none_or(|group| group.next != *next)
        {
            self.reign = Some(reign);
            return;
        }
        match (purpose, said) {
            (Purpose::Open, Said::Opened { rooms, tail }) if reign.rooms.is_none() => {
                reign.settle_in(rooms);
                reign.tail = tail;
            }
            (Purpose::Open, Said::Opened { .. }) => {}
            (Purpose::Open, _) => {
                let mark = reign.stored_mark;
                self.ask(Purpose::Open, Ask::Open { mark });
            }
            (Purpose::Append { .. }, Said::Appended) => self.appended(now, &mut reign),
            (Purpose::Append { .. }, Said::Fenced(by)) => {
                if by == reign.epoch {
                    self.deeds.push(Deed::ReportLoss(0));
                }
                self.heard.push(Event::Fenced(by));
            }
            (Purpose::Append { .. }, other) => {
                if !reign.is_away {
                    self.heard.push(Event::Commits(Some(format!("a commit failed: {other:?}"))));
                }
                reign.is_away = true;
                if let Some(group) = &mut reign.group {
                    group.has_failed = true;
                }
                self.deeds.push(Deed::After(AGAIN_MS, News::Again));
            }
            (Purpose::PassOn, Said::Done) => self.heard.push(Event::PassedOn),
            (Purpose::PassedOn, Said::PassedOn(passed)) => {
                self.reign = Some(reign);
                return self.passed_on_is(passed);
            }
            (Purpose::PassedOn, _) => self.deeds.push(Deed::After(AGAIN_MS, News::Again)),
            _ => {}
        }
        self.reign = Some(reign);
    }

    fn appended(&mut self, now: Now, reign: &mut Reign) {
        let Some(group) = reign.group.take() else { return };
        if std::mem::take(&mut reign.is_away) {
            self.heard.push(Event::Commits(None));
        }
        reign.seq = group.next;
        self.see_own_seq(now, reign.seq);
        reign.stored_mark = group.mark.unwrap_or(reign.stored_mark).max(reign.stored_mark);
        if group.boot.is_some() && group.boot == reign.boot {
            reign.stored.union(&group.inbound);
            reign.handled.union(&group.inbound);
            if let Some(stream) = reign.attached_stream() {
                self.deeds.push(Deed::Write(stream, Up::Ack(reign.stored.clone())));
            }
        }
        self.release(reign, group);
    }

    /// A freeze, or the end, when nothing is left to wait for.
    fn finish_what_waits(&mut self) {
        let Some(reign) = &mut self.reign else { return };
        let waits = (reign.is_frozen || reign.is_ending) && !reign.is_giving;
        if waits && reign.ending_ms >= END_MS {
            return self.give_back();
        }
        if !waits || !reign.is_durable() {
            return;
        }
        let is_heard = !reign.is_attached() || !reign.has_unmarked();
        if !is_heard {
            if !reign.ends_with_mark() {
                reign.push(Kept::Mark(reign.seq, Vec::new()));
            }
            return;
        }
        if reign.is_ending {
            return self.give_back();
        }
        self.heard.push(Event::Frozen);
    }
}

/// Whether what it answers is handled for good as soon as its records are durable: what was said is repeated by any
/// successor. Everything else comes again, until its answer is known to be handed on.
fn is_kept(entry: &Entry, flaw: Flaw) -> bool {
    if flaw == Flaw::StoresEarly && !entry.records.is_empty() {
        return true;
    }
    entry.records.iter().any(|record| matches!(record, Record::Spoken(_)))
}

/// What a node must never say: that everybody left.
fn goodbyes(room: &Room) -> Vec<Outbound> {
    let occupants = room.image().occupants;
    let everyone: Vec<_> = occupants.iter().map(|entry| entry.who.clone()).collect();
    let jid = room.jid().clone();
    let gone = occupants.iter().map(|entry| {
        let from = jid.with_prepared_resource(entry.nick.as_str());
        let stanza = Stanza::new(Kind::Presence, Type::Unavailable, from);
        Outbound { stanza, to: Audience::Many(everyone.clone().into()) }
    });
    gone.collect()
}
