//! What was said and is not yet known to be handed on: kept, to be repeated unchanged after a reconnect.
//!
//! Pure bookkeeping, no IO. Places count outbounds from the start of the process; a fan-out is one, however many hear it.

use std::collections::VecDeque;

use tandem_muc_core::stanza::Outbound;

use super::Said;
use super::mark::Mark;

/// Whether the server gives marks back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trust {
    /// Not known on this connection.
    Untried,
    /// At least one came back.
    Proven,
    /// None came back in time: nothing is kept, nothing waits.
    Refused,
}

#[derive(Debug)]
pub(super) struct Window {
    /// Outbounds that may be beyond the last returned mark before the writer waits.
    size: u64,
    kept: VecDeque<Kept>,
    /// Place of the first one kept.
    base: u64,
    /// Place of the next one to write.
    cursor: u64,
    /// Marks on their way, oldest first.
    marks: VecDeque<Sent>,
    /// Everything before this place has a mark behind it.
    marked_to: u64,
    /// The group whose words come in.
    group: Option<i64>,
    /// Highest sequence written in full on this connection.
    written_seq: Option<i64>,
    /// Highest sequence known to be handed on.
    handed_on_seq: Option<i64>,
    trust: Trust,
}

#[derive(Debug)]
struct Kept {
    outbound: Outbound,
    /// The sequence that is said in full with this outbound.
    seq: Option<i64>,
}

#[derive(Debug)]
struct Sent {
    seq: i64,
    place: u64,
}

/// So many times its size the window may grow while our own reading is held up and marks cannot be seen; beyond it
/// the oldest are forgotten.
const OVERRUN: u64 = 16;

impl Window {
    pub(super) fn new(size: usize) -> Self {
        Self {
            size: size.max(1) as u64,
            kept: VecDeque::new(),
            base: 0,
            cursor: 0,
            marks: VecDeque::new(),
            marked_to: 0,
            group: None,
            written_seq: None,
            handed_on_seq: None,
            trust: Trust::Untried,
        }
    }

    /// Everything before this place is handed on, as far as that can be known.
    pub(super) fn proven_to(&self) -> u64 {
        self.base
    }

    /// The place behind everything written.
    pub(super) fn written_to(&self) -> u64 {
        self.cursor
    }

    pub(super) fn trust(&self) -> Trust {
        self.trust
    }

    /// The highest sequence written in full on this connection.
    pub(super) fn written_seq(&self) -> Option<i64> {
        self.written_seq
    }

    /// The highest sequence known to be handed on.
    pub(super) fn handed_on_seq(&self) -> Option<i64> {
        self.handed_on_seq
    }

    /// A new connection: what is kept is written again, in order, before anything new.
    pub(super) fn rewind(&mut self) {
        self.cursor = self.base;
        self.marked_to = self.base;
        self.marks.clear();
        self.written_seq = self.handed_on_seq;
        self.trust = Trust::Untried;
    }

    /// Takes in what is to be said next.
    pub(super) fn push(&mut self, said: Said) {
        if said.seq > self.group {
            self.end_group();
            self.group = said.seq;
        }
        self.kept.extend(said.words.into_iter().map(|outbound| Kept { outbound, seq: None }));
        if said.is_last {
            self.end_group();
        }
    }

    /// The group is said in full with the last of what came.
    fn end_group(&mut self) {
        let seq = self.group;
        if self.is_all_written() {
            self.written_seq = self.written_seq.max(seq);
        }
        match self.kept.back_mut() {
            Some(last) => last.seq = last.seq.max(seq),
            None => self.handed_on_seq = self.handed_on_seq.max(seq),
        }
    }

    /// The next outbound to write.
    pub(super) fn next(&mut self) -> Option<&Outbound> {
        let kept = self.kept.get(usize::try_from(self.cursor - self.base).ok()?)?;
        self.cursor += 1;
        self.written_seq = self.written_seq.max(kept.seq);
        Some(&kept.outbound)
    }

    pub(super) fn is_all_written(&self) -> bool {
        self.cursor - self.base == self.kept.len() as u64
    }

    /// Whether everything was handed on, as far as that can be known.
    pub(super) fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// Whether one more may be written now.
    pub(super) fn is_open(&self) -> bool {
        self.trust == Trust::Refused || self.cursor - self.base < self.size
    }

    /// Outbounds written since the last mark; none where marks are refused.
    pub(super) fn unmarked(&self) -> u64 {
        match self.trust {
            Trust::Untried | Trust::Proven => self.cursor - self.marked_to,
            Trust::Refused => 0,
        }
    }

    pub(super) fn is_mark_awaited(&self) -> bool {
        !self.marks.is_empty()
    }

    /// The mark to write behind what was written.
    pub(super) fn mark(&mut self, epoch: u64) -> Mark {
        let seq = self.written_seq.unwrap_or_default();
        if self.trust != Trust::Refused {
            self.marks.push_back(Sent { seq, place: self.cursor });
        }
        self.marked_to = self.cursor;
        Mark { epoch, seq }
    }

    /// A mark came back: what was written before it is done with. Marks come back in order, so the first that fits is
    /// it; one that fits none is from another connection.
    pub(super) fn returned(&mut self, mark: Mark) {
        if self.trust == Trust::Refused {
            self.marked_to = self.cursor;
        }
        self.trust = Trust::Proven;
        let Some(at) = self.marks.iter().position(|sent| sent.seq == mark.seq) else { return };
        let place = self.marks[at].place;
        self.marks.drain(..=at);
        self.forget_to(place);
    }

    /// The server gives no marks back: what was written counts as handed on from now.
    pub(super) fn refuse(&mut self) {
        self.trust = Trust::Refused;
        self.marks.clear();
        self.forget_to(self.cursor);
    }

    /// After a write: keeps nothing where marks are refused, and not too much where they cannot be seen.
    pub(super) fn trim(&mut self) {
        match self.trust {
            Trust::Refused => self.forget_to(self.cursor),
            Trust::Untried | Trust::Proven => {
                let oldest = self.cursor.saturating_sub(self.size * OVERRUN);
                while self.base < oldest {
                    self.kept.pop_front();
                    self.base += 1;
                }
            }
        }
    }

    fn forget_to(&mut self, place: u64) {
        while self.base < place {
            let Some(kept) = self.kept.pop_front() else { return };
            self.base += 1;
            self.handed_on_seq = self.handed_on_seq.max(kept.seq);
        }
    }
}

#[cfg(test)]
mod tests {
    use tandem_muc_core::name::Jid;
    use tandem_muc_core::stanza::{Audience, Kind, Stanza, Type};

    use super::*;

    /// A whole group, or words of none.
    fn said(ids: &[&str], seq: Option<i64>) -> Said {
        let jid = Jid::parse("muc.example.org").expect("a JID");
        let words = ids.iter().map(|id| Outbound {
            stanza: Stanza::new(Kind::Message, Type::None, jid.clone()).with_id(Some((*id).to_owned())),
            to: Audience::One(jid.clone()),
        });
        Said { words: words.collect(), seq, is_last: seq.is_some(), ..Said::default() }
    }

    fn written(window: &mut Window) -> Vec<String> {
        std::iter::from_fn(|| window.next().and_then(|outbound| outbound.stanza.id.clone())).collect()
    }

    #[test]
    fn what_has_no_mark_behind_it_is_repeated_in_order() {
        let mut window = Window::new(10);
        window.push(said(&["a", "b"], Some(1)));
        assert_eq!(written(&mut window), ["a", "b"]);
        let mark = window.mark(7);
        window.push(said(&["c"], Some(2)));
        assert_eq!(written(&mut window), ["c"]);
        window.returned(mark);
        assert_eq!(window.handed_on_seq(), Some(1));
        window.push(said(&["d"], Some(3)));
        window.rewind();
        assert_eq!(written(&mut window), ["c", "d"]);
        let mark = window.mark(7);
        window.returned(mark);
        assert_eq!(window.handed_on_seq(), Some(3));
        assert!(window.is_empty());
    }

    #[test]
    fn a_sequence_counts_only_when_its_last_word_was_handed_on() {
        let mut window = Window::new(10);
        window.push(said(&["a", "b"], Some(5)));
        window.next();
        let early = window.mark(7);
        assert_eq!(early.seq, 0);
        window.next();
        window.returned(early);
        assert_eq!(window.handed_on_seq(), None);
        let late = window.mark(7);
        window.returned(late);
        assert_eq!(window.handed_on_seq(), Some(5));
    }

    #[test]
    fn a_sequence_without_words_waits_for_the_words_before_it() {
        let mut window = Window::new(10);
        window.push(said(&[], Some(1)));
        assert_eq!(window.handed_on_seq(), Some(1));
        window.push(said(&["a"], Some(2)));
        written(&mut window);
        window.push(said(&[], Some(3)));
        assert_eq!(window.handed_on_seq(), Some(1));
        let mark = window.mark(7);
        assert_eq!(mark.seq, 3);
        window.returned(mark);
        assert_eq!(window.handed_on_seq(), Some(3));
    }

    #[test]
    fn a_group_in_several_parts_is_said_in_full_when_the_next_begins() {
        let mut window = Window::new(10);
        let part = |id, seq| Said { is_last: false, ..said(&[id], Some(seq)) };
        window.push(part("a", 1));
        written(&mut window);
        let early = window.mark(7);
        window.push(part("b", 1));
        written(&mut window);
        window.returned(early);
        assert_eq!(window.handed_on_seq(), None);
        window.push(part("c", 2));
        written(&mut window);
        let mark = window.mark(7);
        window.returned(mark);
        assert_eq!(window.handed_on_seq(), Some(1));
        window.push(Said { words: Vec::new(), seq: Some(2), is_last: true, ..Said::default() });
        assert_eq!(window.handed_on_seq(), Some(2));
    }

    #[test]
    fn the_window_closes_at_its_size_and_opens_with_a_mark() {
        let mut window = Window::new(2);
        window.push(said(&["a", "b", "c"], None));
        window.next();
        let mark = window.mark(7);
        window.next();
        assert!(!window.is_open());
        window.returned(mark);
        assert!(window.is_open());
    }

    #[test]
    fn a_server_without_marks_closes_nothing_and_keeps_nothing() {
        let mut window = Window::new(1);
        window.push(said(&["a", "b"], Some(9)));
        window.next();
        window.mark(7);
        assert!(!window.is_open());
        window.refuse();
        assert!(window.is_open());
        window.next();
        window.trim();
        assert!(window.is_empty());
        assert_eq!(window.handed_on_seq(), Some(9));
    }

    #[test]
    fn a_mark_of_another_connection_proves_nothing() {
        let mut window = Window::new(10);
        window.push(said(&["a"], Some(4)));
        window.next();
        window.mark(7);
        window.returned(Mark { epoch: 7, seq: 3 });
        assert_eq!(window.handed_on_seq(), None);
        assert!(!window.is_empty());
    }
}
