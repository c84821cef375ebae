//! One reign: its rooms, what was read and not handled, the journal's queue, and what was said and is not yet proven
//! to be handed on.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use tandem_muc_core::name::BareJid;
use tandem_muc_core::record::{Message, Record, RoomImage};
use tandem_muc_core::relay::Numbers;
use tandem_muc_core::room::Room;
use tandem_muc_core::stanza::{Inbound, Outbound};

use super::Up;
use crate::database::Handled;
use crate::stanzas::rules;

/// What a room answered: facts, and the words that wait for them.
#[derive(Debug, Default)]
pub(super) struct Entry {
    pub(super) room: Option<BareJid>,
    pub(super) records: Vec<Record>,
    pub(super) words: Vec<Arc<Outbound>>,
    /// The number of the stanza it answers.
    pub(super) number: Option<u64>,
    /// All that a predecessor left unheard stands before this.
    pub(super) is_repeated: bool,
}

/// What was said, in order, until a mark behind it comes back.
#[derive(Debug)]
pub(super) enum Kept {
    Word(Arc<Outbound>),
    /// Group, and the stanzas whose answers stand before it.
    Mark(i64, Vec<u64>),
    Said(i64),
}

/// A group on its way to the database.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) entries: Vec<Entry>,
    pub(super) facts: Vec<(BareJid, Record)>,
    pub(super) next: i64,
    /// Nobody knows what became of the last attempt: it is made again.
    pub(super) is_waiting: bool,
    pub(super) has_failed: bool,
    pub(super) mark: Option<i64>,
    pub(super) boot: Option<String>,
    pub(super) inbound: Numbers,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stream {
    None,
    Opening(u64),
    Attached(u64),
}

#[derive(Debug)]
pub(crate) struct Reign {
    pub(super) epoch: i64,
    /// The epoch before, as the database knows it.
    pub(super) before: i64,
    pub(super) handed_in: Option<i64>,
    pub(super) waits_for_passed: u32,
    pub(super) rooms: Option<BTreeMap<BareJid, Room>>,
    pub(super) tail: Vec<(i64, BareJid, Arc<Message>)>,
    /// What the tail is of was handed to the journal.
    pub(super) is_repeated: bool,
    pub(super) is_opened: bool,
    pub(super) is_asking_passed: bool,
    pub(super) is_frozen: bool,
    pub(super) is_giving: bool,
    pub(super) is_ending: bool,
    /// Perhaps replaced by the rightful one: no new stream before the lease is known to be ours still.
    pub(super) is_doubtful: bool,
    pub(super) passing: Option<i64>,
    pub(super) unhandled: VecDeque<(Option<u64>, Arc<Inbound>)>,
    pub(super) queue: VecDeque<Entry>,
    pub(super) group: Option<Group>,
    /// Commits fail.
    pub(super) is_away: bool,
    pub(super) seq: i64,
    /// Handed on by what was stored, and by what came back.
    pub(super) stored_mark: i64,
    pub(super) marked: i64,
    pub(super) marks_from: Option<i64>,
    kept: VecDeque<Kept>,
    sent: usize,
    stream: Stream,
    /// The relay's boot, and the highest group it has seen said.
    pub(super) boot: Option<String>,
    pub(super) relay_mark: Option<i64>,
    /// The number of the next stanza, where none is said.
    pub(super) upcoming: u64,
    /// Read and handed to a room.
    pub(super) taken: Numbers,
    /// Handled for good as soon as it is stored; and what is stored.
    pub(super) handled: Numbers,
    pub(super) stored: Numbers,
    pub(super) stored_boot: Option<String>,
    pub(super) quiet_ms: u64,
    pub(super) ending_ms: u64,
}

impl Reign {
    pub(super) fn new(epoch: i64, before: i64, handed_in: Option<i64>, seq: i64, mark: i64, inbound: Handled) -> Reign {
        let (stored_boot, stored) = inbound.map_or((None, Numbers::default()), |(boot, set)| (Some(boot), set));
        Reign {
            epoch,
            before,
            handed_in,
            waits_for_passed: 0,
            rooms: None,
            tail: Vec::new(),
            is_repeated: false,
            is_opened: false,
            is_asking_passed: false,
            is_frozen: false,
            is_giving: false,
            is_ending: false,
            is_doubtful: false,
            passing: None,
            unhandled: VecDeque::new(),
            queue: VecDeque::new(),
            group: None,
            is_away: false,
            seq,
            stored_mark: mark,
            marked: mark,
            marks_from: None,
            kept: VecDeque::new(),
            sent: 0,
            stream: Stream::None,
            boot: None,
            relay_mark: None,
            upcoming: 1,
            taken: stored.clone(),
            handled: stored.clone(),
            stored,
            stored_boot,
            quiet_ms: 0,
            ending_ms: 0,
        }
    }

    pub(super) fn settle_in(&mut self, images: Vec<(BareJid, RoomImage)>) {
        let rooms = images.into_iter().map(|(jid, image)| (jid.clone(), Room::restore(jid, rules(), image)));
        self.rooms = Some(rooms.collect());
    }

    pub(super) fn connect(&mut self, stream: u64) {
        self.stream = Stream::Opening(stream);
    }

    pub(super) fn attached(&mut self, stream: u64) {
        self.stream = Stream::Attached(stream);
        self.sent = 0;
    }

    pub(super) fn detached(&mut self) {
        self.stream = Stream::None;
    }

    pub(super) fn is_attached(&self) -> bool {
        self.attached_stream().is_some()
    }

    pub(super) fn attached_stream(&self) -> Option<u64> {
        match self.stream {
            Stream::Attached(stream) => Some(stream),
            Stream::None | Stream::Opening(_) => None,
        }
    }

    pub(super) fn any_stream(&self) -> Option<u64> {
        match self.stream {
            Stream::Attached(stream) | Stream::Opening(stream) => Some(stream),
            Stream::None => None,
        }
    }

    pub(super) fn stream(&self) -> Option<(u64, i64)> {
        self.attached_stream().map(|stream| (stream, self.epoch))
    }

    pub(super) fn is_open(&self) -> bool {
        self.is_opened && self.is_attached() && !self.is_frozen && !self.is_ending
    }

    /// The relay's boot is known: what was handled in another one means nothing.
    pub(super) fn note_boot(&mut self, boot: &str) {
        if self.stored_boot.as_deref() != Some(boot) {
            self.stored_boot = Some(boot.to_owned());
            (self.stored, self.handled, self.taken) = Default::default();
            self.forget_numbers();
        }
        self.boot = Some(boot.to_owned());
    }

    /// What an earlier run of the relay had numbered has no number any more.
    fn forget_numbers(&mut self) {
        for kept in &mut self.kept {
            if let Kept::Mark(_, numbers) = kept {
                numbers.clear();
            }
        }
        if let Some(group) = &mut self.group {
            (group.boot, group.inbound) = (self.stored_boot.clone(), Numbers::default());
        }
        let committing = self.group.iter_mut().flat_map(|group| &mut group.entries);
        for entry in committing.chain(&mut self.queue) {
            entry.number = None;
        }
    }

    /// What is to be stored of the relay's numbers.
    pub(super) fn stored_numbers(&self) -> Handled {
        self.stored_boot.clone().map(|boot| (boot, self.handled.clone()))
    }

    /// The mark that may be stored.
    pub(super) fn mark(&self) -> i64 {
        if self.marks_from.is_some_and(|from| self.marked >= from) { self.marked } else { self.stored_mark }
    }

    pub(super) fn push(&mut self, kept: Kept) {
        self.kept.push_back(kept);
    }

    pub(super) fn has_unmarked(&self) -> bool {
        !self.kept.is_empty()
    }

    pub(super) fn ends_with_mark(&self) -> bool {
        matches!(self.kept.back(), Some(Kept::Mark(..)))
    }

    /// A mark came back: everything before it was handed on.
    pub(super) fn mark_returned(&mut self, seq: i64) {
        self.marked = self.marked.max(seq);
        let Some(at) = self.kept.iter().position(|kept| matches!(kept, Kept::Mark(mark, _) if *mark == seq)) else {
            return;
        };
        for kept in self.kept.drain(..=at) {
            if let Kept::Mark(_, numbers) = kept {
                self.handled.extend(numbers);
            }
        }
        self.sent = self.sent.saturating_sub(at + 1);
    }

    /// What is still to be written, and by which stream.
    pub(super) fn unsent(&mut self) -> Vec<Up> {
        let epoch = self.epoch;
        let unsent = self.kept.iter().skip(self.sent).map(|kept| match kept {
            Kept::Word(word) => Up::Word(word.clone()),
            Kept::Mark(seq, _) => Up::Mark { epoch, seq: *seq },
            Kept::Said(seq) => Up::Said(*seq),
        });
        let unsent = unsent.collect();
        self.sent = self.kept.len();
        unsent
    }

    pub(super) fn take_unhandled(&mut self) -> Vec<Arc<Inbound>> {
        self.unhandled.drain(..).map(|(_, inbound)| inbound).collect()
    }

    pub(super) fn put_first(&mut self, stanzas: Vec<Arc<Inbound>>) {
        for inbound in stanzas.into_iter().rev() {
            self.unhandled.push_front((None, inbound));
        }
    }

    /// Nothing is on its way to the database, and nothing waits to be.
    pub(super) fn is_durable(&self) -> bool {
        self.queue.is_empty() && self.group.is_none()
    }
}
