//! The journal's one task: collect, append, release; and what it does about each failure of the store.

use std::collections::HashSet;
use std::pin::pin;
use std::time::{Duration, Instant};

use tandem_muc_core::stanza::Outbound;
use tokio::sync::{mpsc, watch};
use tracing::{error, info, warn};

use super::echo::{self, Part};
use super::pulse::{BEAT, Pulse};
use super::{Entry, Flushed, Health, Notice, Setup};
use crate::store::{Echo, Fact, Fence, Marks, StoreError};
use crate::stream::Ticket;
use crate::{fail, telemetry};

/// The first pause after a failed commit; it doubles up to [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// How long nothing happens before a mark is stored by itself.
const QUIET: Duration = Duration::from_millis(200);
/// How long the last mark is awaited at the end.
const LAST_MARK: Duration = Duration::from_secs(1);
/// So many words that were heard may be kept: a range of one index, gone in one statement.
const ECHOES_KEPT: usize = 512;
/// Entries looked at in one go; the records of one commit are bounded apart from it.
const ENTRIES_AT_ONCE: usize = 512;

pub(super) struct Task {
    setup: Setup,
    queue: mpsc::Receiver<Entry>,
    told: watch::Sender<Health>,
    pulse: Pulse,
    stop: watch::Receiver<bool>,
    seq: i64,
    /// The last group with something to repeat, and the last mark stored: where they differ, a successor would.
    spoken: i64,
    stored_mark: i64,
    echoes: Echoes,
    /// The first group whose mark may be stored; none while what a predecessor left unheard is not said again.
    marks_from: Option<i64>,
    /// Lives whose records proved unwritable; what they still have in the queue is dropped.
    dead: HashSet<u64>,
}

/// What the store keeps until it is heard.
struct Echoes {
    /// So many since some were let go.
    kept: usize,
    /// The last group that has any.
    last: i64,
}

impl Echoes {
    /// Those up to `mark` are let go when it is quiet, and now and then when it never is.
    fn heard(&self, mark: Option<i64>, is_quiet: bool) -> Option<i64> {
        mark.filter(|_| self.kept >= ECHOES_KEPT || (is_quiet && self.kept > 0))
    }

    fn note(&mut self, group: i64, kept: usize, heard: Option<i64>) {
        if let Some(heard) = heard {
            self.kept = usize::from(self.last > heard);
        }
        if kept > 0 {
            self.last = group;
            self.kept += kept;
        }
    }
}

/// Why nothing more can be appended.
struct Ended;

impl Task {
    pub(super) fn new(
        setup: Setup,
        queue: mpsc::Receiver<Entry>,
        told: watch::Sender<Health>,
        pulse: Pulse,
        stop: watch::Receiver<bool>,
    ) -> Task {
        let (seq, mark) = (setup.seq, setup.mark);
        let marks_from = (!setup.has_tail).then_some(mark);
        let (spoken, stored_mark) = (mark, mark);
        setup.stream.tell_said_from(marks_from.unwrap_or(i64::MAX));
        // Whether a predecessor left any is not known.
        let echoes = Echoes { kept: 1, last: seq };
        Task { setup, queue, told, pulse, stop, seq, spoken, stored_mark, echoes, marks_from, dead: HashSet::new() }
    }

    pub(super) async fn run(mut self) {
        // Whatever ends it, nothing more is taken.
        let Err(Ended) = self.serve().await else { return self.store_last_mark().await };
        self.queue.close();
    }

    async fn serve(&mut self) -> Result<(), Ended> {
        let mut waiting = Vec::with_capacity(ENTRIES_AT_ONCE);
        loop {
            if waiting.is_empty() && !self.collect(&mut waiting).await? {
                return Ok(());
            }
            self.gauge_held(waiting.len());
            let group = self.cut_group(&mut waiting);
            self.commit(group).await?;
            self.gauge_held(waiting.len());
        }
    }

    /// Waits for entries; false when there will be none any more. A quiet while is used to store the mark, so that
    /// a successor repeats as little as possible.
    async fn collect(&mut self, waiting: &mut Vec<Entry>) -> Result<bool, Ended> {
        loop {
            let is_behind = self.marks_from.is_some() && self.stored_mark < self.spoken;
            self.pulse.beat();
            tokio::select! {
                biased;
                count = self.queue.recv_many(waiting, ENTRIES_AT_ONCE) => return Ok(count > 0),
                () = tokio::time::sleep(QUIET), if is_behind => self.store_mark().await?,
                () = tokio::time::sleep(BEAT) => {}
            }
        }
    }

    /// The mark that may be stored now.
    fn mark(&self) -> Option<i64> {
        self.setup.stream.marked().filter(|mark| self.marks_from.is_some_and(|from| *mark >= from))
    }

    async fn store_mark(&mut self) -> Result<(), Ended> {
        if self.mark().is_some_and(|mark| mark > self.stored_mark) {
            // Data that cannot be written are not at stake: there are none.
            let _ = self.append_group(&[], &[]).await?;
        }
        Ok(())
    }

    async fn store_last_mark(&mut self) {
        let (mut marks, spoken) = (self.setup.stream.marks(), self.spoken);
        if self.marks_from.is_some() && self.stored_mark < spoken {
            let returned = marks.wait_for(|mark| mark.is_some_and(|mark| mark >= spoken));
            let _ = tokio::time::timeout(LAST_MARK, returned).await.map(|_| ());
            let _ = self.store_mark().await;
        }
    }

    /// What a predecessor left unheard was said again: a group of its own behind it, whose mark proves it heard.
    async fn begin_marks(&mut self) -> Result<(), Ended> {
        let _ = self.append_group(&[], &[]).await?;
        self.marks_from = Some(self.seq);
        self.setup.stream.tell_said_from(self.seq);
        self.say(Vec::new(), true, Vec::new()).await;
        Ok(())
    }

    /// Takes as many entries from the front as fit into one commit, at least one.
    fn cut_group(&self, waiting: &mut Vec<Entry>) -> Vec<Entry> {
        let mut records = 0;
        let fits = waiting.iter().take_while(|entry| {
            let is_first = records == 0;
            records += entry.records();
            is_first || records <= self.setup.group_max
        });
        let cut = fits.count().max(1);
        let rest = waiting.split_off(cut.min(waiting.len()));
        std::mem::replace(waiting, rest)
    }

    async fn commit(&mut self, mut group: Vec<Entry>) -> Result<(), Ended> {
        let is_repeated = group.iter().any(|entry| matches!(entry, Entry::Repeated));
        self.refuse_the_dead(&mut group).await;
        let parts = echo::parts(&group);
        let facts: Vec<Fact> = group.iter_mut().flat_map(Entry::take_facts).collect();
        match self.append(&facts, &parts).await? {
            Ok(()) => self.release(group, !facts.is_empty()).await,
            Err(why) if group.len() == 1 => self.bury(group.remove(0), &why).await,
            Err(_) => self.commit_one_by_one(group, &parts, &facts).await?,
        }
        if is_repeated { self.begin_marks().await } else { Ok(()) }
    }

    /// What lives that were buried still have in the queue is dropped, and who asked is told.
    async fn refuse_the_dead(&mut self, group: &mut Vec<Entry>) {
        if self.dead.is_empty() {
            return;
        }
        let dead = group.extract_if(.., |entry| entry.life().is_some_and(|life| self.dead.contains(&life.nth)));
        let (tickets, answers): (Vec<_>, Vec<_>) = dead.map(|entry| (entry.ticket(), entry.apology())).unzip();
        let answers: Vec<Outbound> = answers.into_iter().flatten().collect();
        self.say(answers, false, tickets.into_iter().flatten().collect()).await;
    }

    /// After a group with something unwritable in it: each entry on its own, so that only one room pays.
    async fn commit_one_by_one(&mut self, group: Vec<Entry>, parts: &[Part], mut facts: &[Fact]) -> Result<(), Ended> {
        for (entry, part) in group.into_iter().zip(parts) {
            let (own, rest) = facts.split_at(part.records);
            facts = rest;
            if entry.life().is_some_and(|life| self.dead.contains(&life.nth)) {
                self.say(entry.apology().into_iter().collect(), false, entry.ticket().into_iter().collect()).await;
                continue;
            }
            match self.append(own, std::slice::from_ref(part)).await? {
                Ok(()) => self.release(vec![entry], !own.is_empty()).await,
                Err(why) => self.bury(entry, &why).await,
            }
        }
        Ok(())
    }

    /// Appends `facts` behind the fence, however long the store stays away. The inner error is one of the data.
    async fn append(&mut self, facts: &[Fact], parts: &[Part]) -> Result<Result<(), StoreError>, Ended> {
        if facts.is_empty() { Ok(Ok(())) } else { self.append_group(facts, parts).await }
    }

    async fn append_group(&mut self, facts: &[Fact], parts: &[Part]) -> Result<Result<(), StoreError>, Ended> {
        let tickets: Vec<Ticket> = parts.iter().filter_map(|part| part.ticket).collect();
        let echoes: Vec<&Echo> = parts.iter().flat_map(|part| &part.echoes).collect();
        let fence =
            Fence { service: self.setup.domain.clone(), epoch: self.setup.epoch, after: self.seq, next: self.seq + 1 };
        let mut pause = PAUSE_MIN;
        let mut attempts = 0_u32;
        let first = Instant::now();
        loop {
            self.pulse.beat();
            let begun = Instant::now();
            let mark = self.mark();
            let inbound = self.setup.stream.handled_with(&tickets);
            let heard = self.echoes.heard(mark, facts.is_empty());
            let marks = Marks { mark, inbound: inbound.as_deref(), echoes: &echoes, heard };
            match self.setup.store.append(&fence, facts, marks).await {
                Ok(()) => {
                    self.seq = fence.next;
                    self.setup.stream.note_stored(&tickets);
                    self.echoes.note(fence.next, echoes.len(), heard);
                    self.stored_mark = mark.unwrap_or(self.stored_mark).max(self.stored_mark);
                    self.count_commit(begun.elapsed(), facts.len());
                    self.note_return(attempts);
                    return Ok(Ok(()));
                }
                Err(StoreError::Fenced { by }) => {
                    self.count_failure("fenced");
                    error!(
                        domain = self.setup.domain,
                        epoch = self.setup.epoch.0,
                        by = by.0,
                        "stepping down: the fence is another epoch's"
                    );
                    self.told.send_replace(Health::Over { by });
                    return Err(Ended);
                }
                Err(damaged @ StoreError::Damaged { .. }) => {
                    self.count_failure("damaged");
                    self.note_return(attempts);
                    return Ok(Err(damaged));
                }
                Err(StoreError::Unavailable(why)) => {
                    self.count_failure("unavailable");
                    attempts += 1;
                    if attempts == 1 || attempts.is_multiple_of(30) {
                        warn!(domain = self.setup.domain, attempts, held = self.queue.len(), why = %why, "store: no commit; holding words");
                    }
                    let health = if first.elapsed() < self.setup.held { Health::Late } else { Health::Away };
                    self.told.send_if_modified(|told| std::mem::replace(told, health) != health);
                    if *self.stop.borrow() {
                        error!(
                            domain = self.setup.domain,
                            facts = facts.len(),
                            "stopping while the store is away: what was not durable was told to nobody"
                        );
                        return Err(Ended);
                    }
                    tokio::select! {
                        () = tokio::time::sleep(pause) => {}
                        _ = self.stop.changed() => {}
                    }
                    pause = (pause * 2).min(PAUSE_MAX);
                }
            }
        }
    }

    fn note_return(&self, attempts: u32) {
        if attempts > 0 {
            info!(domain = self.setup.domain, attempts, "store: commits go through again");
        }
        self.told.send_if_modified(|health| std::mem::replace(health, Health::Fine) != Health::Fine);
    }

    /// Lets the words of a durable group go, then tells the shards.
    async fn release(&mut self, group: Vec<Entry>, has_facts: bool) {
        if has_facts {
            fail::point("committed");
        }
        let (mut words, mut notices, mut flushes) = (Vec::new(), Vec::new(), Vec::new());
        let tickets = group.iter().filter_map(Entry::ticket).collect();
        for entry in group {
            match entry {
                Entry::Said { words: said, .. } => words.extend(said),
                Entry::Lobby { word, .. } => words.extend(word),
                Entry::Settle { life, turn } => notices.push(Notice::Settled { life, turn }),
                Entry::Flush(told) => flushes.push(told),
                Entry::Repeated => {}
            }
        }
        self.say(words, has_facts, tickets).await;
        for notice in notices {
            self.notice(notice);
        }
        for told in flushes {
            let _ = told.send(Flushed { spoken: self.spoken, has_marks: self.marks_from.is_some() });
        }
    }

    /// Drops an entry whose records cannot be written, tells who asked, and has the shard forget the room.
    async fn bury(&mut self, entry: Entry, why: &StoreError) {
        let (apology, tickets) = (entry.apology(), entry.ticket().into_iter().collect());
        let Entry::Said { life, .. } = entry else { return };
        error!(room = %life.jid, why = %why, "room damaged: its records cannot be written; reloading it, all other rooms go on");
        self.say(apology.into_iter().collect(), false, tickets).await;
        self.dead.insert(life.nth);
        self.notice(Notice::Damaged { life });
    }

    /// Says `words`. A group with facts is said in full even where it has no words, for later marks reach past it.
    async fn say(&mut self, words: Vec<Outbound>, has_facts: bool, tickets: Vec<Ticket>) {
        if words.is_empty() && !has_facts {
            return self.setup.stream.settle(tickets).await;
        }
        if has_facts {
            self.spoken = self.seq;
        }
        let addressees: usize = words.iter().map(|word| word.to.as_slice().len()).sum();
        metrics::counter!(telemetry::STANZAS_OUT, "domain" => self.setup.domain.clone()).increment(addressees as u64);
        let mut saying = pin!(async {
            self.setup.stream.say(words, self.seq).await;
            self.setup.stream.all_said_for(self.seq, tickets).await;
        });
        // Waiting for a server that is away is no hang of ours.
        while tokio::time::timeout(BEAT, &mut saying).await.is_err() {
            self.pulse.beat();
        }
    }

    fn notice(&self, notice: Notice) {
        let shard = match &notice {
            Notice::Settled { life, .. } | Notice::Damaged { life } => life.shard,
        };
        if let Some(end) = self.setup.notices.get(shard) {
            let _ = end.send(notice);
        }
    }

    fn count_commit(&self, took: Duration, records: usize) {
        let domain = || [("domain", self.setup.domain.clone())];
        metrics::histogram!(telemetry::COMMIT_SECONDS, &domain()).record(took.as_secs_f64());
        #[expect(clippy::cast_precision_loss, reason = "a group has at most some thousand records")]
        metrics::histogram!(telemetry::COMMIT_RECORDS, &domain()).record(records as f64);
        metrics::counter!(telemetry::RECORDS, &domain()).increment(records as u64);
    }

    fn gauge_held(&self, in_hand: usize) {
        #[expect(clippy::cast_precision_loss, reason = "a queue has at most some thousand entries")]
        let held = (self.queue.len() + in_hand) as f64;
        metrics::gauge!(telemetry::HELD, "domain" => self.setup.domain.clone()).set(held);
    }

    fn count_failure(&self, reaction: &'static str) {
        let labels = [("domain", self.setup.domain.clone()), ("reaction", reaction.to_owned())];
        metrics::counter!(telemetry::COMMIT_FAILURES, &labels).increment(1);
    }
}
