//! Which of the relay's numbered stanzas came in, and which of them are handled.
//!
//! Every stanza from a relay brings a [`Ticket`]. What changed something is *stored* as handled with its records, in one
//! transaction; what changed nothing is handled once its answer is written. Both together is what a successor must not
//! handle again, and what the relay may forget.

use std::sync::{Arc, Mutex, PoisonError};

use tandem_muc_core::relay::Numbers;

/// One stanza of a relay, to be given back when it is handled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ticket {
    /// Which boot of a relay, in the order this process met them.
    nth_boot: u32,
    no: u64,
}

#[derive(Debug, Default)]
struct Book {
    /// The boot of the relay now attached; none before the first.
    boot: Option<String>,
    nth_boot: u32,
    /// What the store says a predecessor handled, of whatever boot: `BOOT:NUMBERS`.
    inherited: Option<(String, Numbers)>,
    /// Came in: what a new attachment brings again is not handled again.
    received: Numbers,
    /// Durable together with records.
    stored: Numbers,
    /// Handled and answered, the answer on its way.
    settled: Numbers,
    /// What was acknowledged.
    acknowledged: Numbers,
    /// Groups before this one are not told as said in full.
    said_from: i64,
}

/// Shared by the reader, the writer and the journal of one reign.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledger(Arc<Mutex<Book>>);

impl Ledger {
    /// Starts from what the store has: `BOOT:NUMBERS`, or nothing. A text that cannot be read counts as nothing: then
    /// stanzas are handled twice, with the same ids, rather than never.
    pub(super) fn inherit(stored: Option<&str>) -> Ledger {
        let inherited = stored.and_then(|text| {
            let (boot, numbers) = text.split_once(':')?;
            Some((boot.to_owned(), numbers.parse().ok()?))
        });
        let ledger = Ledger::default();
        ledger.with(|book| book.inherited = inherited);
        ledger
    }

    fn with<T>(&self, look: impl FnOnce(&mut Book) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A relay of this boot is about to attach us: the numbers it may forget. Not those that only came in, for with
    /// this process they would be lost.
    pub(super) fn handled(&self, boot: &str) -> Numbers {
        self.with(|book| {
            if book.boot.as_deref() != Some(boot) {
                book.boot = Some(boot.to_owned());
                book.nth_boot += 1;
                let known = book.inherited.as_ref().filter(|(of, _)| of == boot).map(|(_, numbers)| numbers.clone());
                let known = known.unwrap_or_default();
                (book.received, book.stored) = (known.clone(), known.clone());
                (book.settled, book.acknowledged) = (known.clone(), known);
            }
            book.stored.clone()
        })
    }

    /// Stanza `no` came in; nothing if it did before.
    pub(super) fn take(&self, no: u64) -> Option<Ticket> {
        self.with(|book| {
            let is_new = !book.received.contains(no);
            book.received.insert(no);
            is_new.then_some(Ticket { nth_boot: book.nth_boot, no })
        })
    }

    /// What the store is to say once the records of `tickets` are durable: `BOOT:NUMBERS`; nothing without a relay.
    pub(super) fn text_with(&self, tickets: &[Ticket]) -> Option<String> {
        self.with(|book| {
            let boot = book.boot.as_ref()?;
            let mut numbers = book.settled.clone();
            numbers.union(&book.stored);
            tickets
                .iter()
                .filter(|ticket| ticket.nth_boot == book.nth_boot)
                .for_each(|ticket| numbers.insert(ticket.no));
            Some(format!("{boot}:{numbers}"))
        })
    }

    /// The records of these are durable.
    pub(super) fn store(&self, tickets: &[Ticket]) {
        self.with(|book| {
            tickets
                .iter()
                .filter(|ticket| ticket.nth_boot == book.nth_boot)
                .for_each(|ticket| book.stored.insert(ticket.no));
        });
    }

    /// These are handled, and whatever they led to was written.
    pub(super) fn settle(&self, tickets: &[Ticket]) {
        self.with(|book| {
            tickets
                .iter()
                .filter(|ticket| ticket.nth_boot == book.nth_boot)
                .for_each(|ticket| book.settled.insert(ticket.no));
        });
    }

    /// What the relay may forget once the words before this acknowledgement have reached it, `tickets` included.
    pub(super) fn acknowledge(&self, tickets: &[Ticket]) -> Numbers {
        self.with(|book| {
            let Book { nth_boot, acknowledged, .. } = book;
            tickets
                .iter()
                .filter(|ticket| ticket.nth_boot == *nth_boot)
                .for_each(|ticket| acknowledged.insert(ticket.no));
            acknowledged.clone()
        })
    }

    /// Only groups from `seq` on are told as said in full.
    pub(super) fn tell_said_from(&self, seq: i64) {
        self.with(|book| book.said_from = seq);
    }

    /// Whether `seq` may be told as said in full.
    pub(super) fn may_tell_said(&self, seq: i64) -> bool {
        self.with(|book| seq >= book.said_from)
    }

    /// The stanza is dropped, and nobody is to handle it.
    pub(super) fn give_up(&self, ticket: Ticket) {
        self.settle(&[ticket]);
        self.acknowledge(&[ticket]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_successor_is_told_what_is_stored_or_answered_and_nothing_else() {
        let ledger = Ledger::inherit(Some("boot:2"));
        assert_eq!(ledger.handled("boot").to_string(), "2");
        let tickets: Vec<_> = (3..=6).filter_map(|no| ledger.take(no)).collect();
        ledger.settle(&tickets[..1]);
        assert_eq!(ledger.text_with(&tickets[2..3]), Some("boot:3+5".to_owned()));
        assert_eq!(ledger.text_with(&[]), Some("boot:3".to_owned()));
        ledger.store(&tickets[2..3]);
        assert_eq!(ledger.text_with(&[]), Some("boot:3+5".to_owned()));
        assert_eq!(ledger.acknowledge(&tickets[..1]).to_string(), "3");
        assert_eq!(ledger.acknowledge(&tickets[2..3]).to_string(), "3+5");
    }

    #[test]
    fn what_came_in_is_not_forgotten_by_the_relay_and_not_handled_twice() {
        let ledger = Ledger::inherit(None);
        ledger.handled("boot");
        let tickets: Vec<_> = (1..=3).filter_map(|no| ledger.take(no)).collect();
        ledger.store(&tickets[..1]);
        assert_eq!(ledger.handled("boot").to_string(), "1");
        assert_eq!((2..=4).filter_map(|no| ledger.take(no)).map(|ticket| ticket.no).collect::<Vec<_>>(), [4]);
        ledger.give_up(tickets[1]);
        assert_eq!(ledger.acknowledge(&[]).to_string(), "0+2");
        assert_eq!(ledger.text_with(&[]), Some("boot:2".to_owned()));
    }

    #[test]
    fn the_numbers_of_another_boot_mean_nothing() {
        let ledger = Ledger::inherit(Some("old:17"));
        assert_eq!(ledger.text_with(&[]), None);
        assert_eq!(ledger.handled("new").to_string(), "0");
        let ticket = ledger.take(1).expect("a new one");
        assert_eq!(ledger.handled("newer").to_string(), "0");
        ledger.settle(&[ticket]);
        assert_eq!(ledger.text_with(&[ticket]), Some("newer:0".to_owned()));
    }
}
