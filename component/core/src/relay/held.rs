//! The stanzas that are kept, by number, oldest first, and how far the holder was sent them.

use std::collections::BTreeMap;

use super::Numbers;
use crate::time::Moment;

#[derive(Debug)]
pub(super) struct Held<T> {
    kept: BTreeMap<u64, Kept<T>>,
    bytes: usize,
    /// Numbers below were sent to the holder.
    cursor: u64,
    /// How many of those below the cursor are kept.
    sent: usize,
    /// Numbers below were sent to some holder.
    reached: u64,
}

/// One stanza that is kept.
#[derive(Debug)]
pub(super) struct Kept<T> {
    pub(super) stanza: T,
    pub(super) bytes: usize,
    pub(super) since: Moment,
    pub(super) is_answerable: bool,
}

impl<T> Default for Held<T> {
    fn default() -> Held<T> {
        Held { kept: BTreeMap::new(), bytes: 0, cursor: 0, sent: 0, reached: 0 }
    }
}

impl<T> Held<T> {
    pub(super) fn len(&self) -> usize {
        self.kept.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many the holder has, not acknowledged yet.
    pub(super) fn sent(&self) -> usize {
        self.sent
    }

    pub(super) fn push(&mut self, number: u64, kept: Kept<T>) {
        self.bytes += kept.bytes;
        self.kept.insert(number, kept);
    }

    pub(super) fn oldest(&self) -> Option<&Kept<T>> {
        self.kept.first_key_value().map(|(_, kept)| kept)
    }

    /// The number of the oldest one.
    pub(super) fn first(&self) -> Option<u64> {
        self.kept.first_key_value().map(|(&number, _)| number)
    }

    /// Nobody, or somebody new, is to be sent them: from the first one on.
    pub(super) fn rewind(&mut self) {
        (self.cursor, self.sent) = (0, 0);
    }

    /// The number of the next one to send.
    pub(super) fn upcoming(&self) -> Option<u64> {
        self.next_from(self.cursor)
    }

    /// Sends `number`; the stanza, and whether some holder had it before.
    pub(super) fn send(&mut self, number: u64) -> Option<(&T, bool)> {
        let kept = self.kept.get(&number)?;
        let is_again = number < self.reached;
        self.cursor = number + 1;
        self.sent += 1;
        self.reached = self.reached.max(self.cursor);
        Some((&kept.stanza, is_again))
    }

    /// Takes out the first of all.
    pub(super) fn take_first(&mut self) -> Option<Kept<T>> {
        self.first().and_then(|number| self.take(number))
    }

    /// Takes out the first one that was not sent, or where there is none the first of all: what the holder has is
    /// likely to be handled.
    pub(super) fn take_surplus(&mut self) -> Option<Kept<T>> {
        let number = self.upcoming().or(self.first())?;
        self.take(number)
    }

    /// Lets go of all that are in `numbers`.
    pub(super) fn forget(&mut self, numbers: &Numbers) {
        while let Some(number) = self.first().filter(|&number| number <= numbers.upto()) {
            self.take(number);
        }
        for (first, last) in numbers.beyond() {
            while let Some(number) = self.next_from(first).filter(|&number| number <= last) {
                self.take(number);
            }
        }
    }

    /// The numbers of all, in order.
    #[cfg(test)]
    pub(super) fn numbers(&self) -> impl Iterator<Item = u64> {
        self.kept.keys().copied()
    }

    fn next_from(&self, number: u64) -> Option<u64> {
        self.kept.range(number..).next().map(|(&number, _)| number)
    }

    fn take(&mut self, number: u64) -> Option<Kept<T>> {
        let kept = self.kept.remove(&number)?;
        self.bytes -= kept.bytes;
        self.sent -= usize::from(number < self.cursor);
        Some(kept)
    }
}
