//! Which of the relays' numbered stanzas came in, and which of them are handled: a book for each boot of a relay.
//!
//! Every stanza from a relay brings a [`Ticket`]. What changed something is *stored* as handled with its records, in one
//! transaction; what else it led to makes it *settled* once that is known to be handed on. Both together is what a
//! successor must not handle again, and what the relay may forget.

use std::sync::{Arc, Mutex, PoisonError};

use tandem_muc_core::relay::Numbers;
use tokio::sync::watch;

/// One stanza of a relay, to be given back when it is handled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ticket {
    nth_boot: Boot,
    no: u64,
}

/// One boot of a relay, by the order in which this process met them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Boot(u32);

/// More books than this are not kept: those of relays that nobody met in this reign go first.
const BOOKS_MAX: usize = 16;

/// One boot's numbers.
#[derive(Debug)]
struct Book {
    boot: String,
    nth: Boot,
    /// Where that relay is; nothing while the boot is only known from the store.
    relay: Option<String>,
    /// Came in: what a new attachment brings again is not handled again.
    received: Numbers,
    /// Durable together with records.
    stored: Numbers,
    /// Handled, and whatever that led to is handed on.
    settled: Numbers,
}

#[derive(Debug, Default)]
struct Shelf {
    books: Vec<Book>,
    met: u32,
    /// Groups before this one are not told as said in full.
    said_from: i64,
}

/// Shared by the readers, the writer and the journal of one reign.
#[derive(Clone, Debug)]
pub(super) struct Ledger {
    shelf: Arc<Mutex<Shelf>>,
    settled: watch::Sender<()>,
    /// How many relays there are.
    relays: usize,
}

impl Ledger {
    /// Starts from what the store has: `BOOT:NUMBERS`, several with `;` between, or nothing. A text that cannot be read
    /// counts as nothing: then stanzas are handled twice, with the same ids, rather than never.
    pub(super) fn inherit(stored: Option<&str>, relays: usize) -> Ledger {
        let ledger = Ledger { shelf: Arc::default(), settled: watch::Sender::new(()), relays };
        ledger.with(|shelf| {
            for text in stored.iter().flat_map(|text| text.split(';')).take(BOOKS_MAX) {
                if let Some((boot, numbers)) = text.split_once(':')
                    && let Ok(numbers) = numbers.parse()
                {
                    shelf.open(boot, numbers);
                }
            }
        });
        ledger
    }

    fn with<T>(&self, look: impl FnOnce(&mut Shelf) -> T) -> T {
        look(&mut self.shelf.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The relay at this address is about to attach us in its boot: the numbers it may forget. Not those that only came
    /// in, for with this process they would be lost. Its earlier boot is over for good.
    ///
    /// # Errors
    /// The other address at which that very relay is attached, as `is_attached` says.
    pub(super) fn claim(
        &self,
        relay: &str,
        boot: &str,
        is_attached: impl Fn(&str) -> bool,
    ) -> Result<(Boot, Numbers), String> {
        self.with(|shelf| {
            let other = shelf.books.iter().filter(|book| book.boot == boot).find_map(|book| book.relay.as_deref());
            if let Some(other) = other.filter(|other| *other != relay && is_attached(other)) {
                return Err(other.to_owned());
            }
            shelf.books.retain(|book| book.boot == boot || book.relay.as_deref() != Some(relay));
            let at = shelf.books.iter().position(|book| book.boot == boot);
            let at = at.unwrap_or_else(|| shelf.open(boot, Numbers::default()));
            let book = &mut shelf.books[at];
            book.relay = Some(relay.to_owned());
            let known = (book.nth, book.handled());
            // Once every relay has said its boot, any other is over.
            let met = shelf.books.iter().filter(|book| book.relay.is_some()).count();
            if met >= self.relays {
                shelf.books.retain(|book| book.relay.is_some());
            }
            Ok(known)
        })
    }

    /// Stanza `no` came in; nothing if it did before, or if that boot is over.
    pub(super) fn take(&self, nth_boot: Boot, no: u64) -> Option<Ticket> {
        self.with(|shelf| {
            let book = shelf.book(nth_boot)?;
            let is_new = !book.received.contains(no);
            book.received.insert(no);
            is_new.then_some(Ticket { nth_boot, no })
        })
    }

    /// What the store is to say once the records of `tickets` are durable; nothing where no relay was met. Boots met by
    /// a predecessor alone stay in it: their relays may hold what it handled.
    pub(super) fn text_with(&self, tickets: &[Ticket]) -> Option<String> {
        self.with(|shelf| {
            shelf.books.iter().any(|book| book.relay.is_some()).then(|| {
                let text = |book: &Book| {
                    let mut numbers = book.handled();
                    numbers.extend(tickets.iter().filter(|ticket| ticket.nth_boot == book.nth).map(|ticket| ticket.no));
                    format!("{}:{numbers}", book.boot)
                };
                shelf.books.iter().map(text).collect::<Vec<_>>().join(";")
            })
        })
    }

    /// The records of these are durable.
    pub(super) fn store(&self, tickets: &[Ticket]) {
        self.with(|shelf| {
            for ticket in tickets {
                if let Some(book) = shelf.book(ticket.nth_boot) {
                    book.stored.insert(ticket.no);
                }
            }
        });
    }

    /// These are handled, and whatever they led to is handed on: the relay may forget them.
    pub(super) fn settle(&self, tickets: impl IntoIterator<Item = Ticket>) {
        let has_settled = self.with(|shelf| {
            let mut has_settled = false;
            for ticket in tickets {
                if let Some(book) = shelf.book(ticket.nth_boot) {
                    book.settled.insert(ticket.no);
                    has_settled = true;
                }
            }
            has_settled
        });
        if has_settled {
            self.settled.send_replace(());
        }
    }

    /// What the relay of this boot may forget.
    pub(super) fn settled(&self, nth_boot: Boot) -> Numbers {
        self.with(|shelf| shelf.book(nth_boot).map(|book| book.settled.clone()).unwrap_or_default())
    }

    /// News of [`Ledger::settled`].
    pub(super) fn news(&self) -> watch::Receiver<()> {
        self.settled.subscribe()
    }

    /// Only groups from `seq` on are told as said in full.
    pub(super) fn tell_said_from(&self, seq: i64) {
        self.with(|shelf| shelf.said_from = seq);
    }

    /// Whether `seq` may be told as said in full.
    pub(super) fn may_tell_said(&self, seq: i64) -> bool {
        self.with(|shelf| seq >= shelf.said_from)
    }
}

impl Ticket {
    /// Whether it came in this boot, and its number.
    pub(super) fn of(self, boot: Boot) -> Option<u64> {
        (self.nth_boot == boot).then_some(self.no)
    }
}

impl Shelf {
    fn book(&mut self, nth: Boot) -> Option<&mut Book> {
        self.books.iter_mut().find(|book| book.nth == nth)
    }

    /// Gives its place.
    fn open(&mut self, boot: &str, known: Numbers) -> usize {
        self.met += 1;
        if self.books.len() == BOOKS_MAX {
            let oldest = self.books.iter().position(|book| book.relay.is_none()).unwrap_or(0);
            self.books.remove(oldest);
        }
        self.books.push(Book {
            boot: boot.to_owned(),
            nth: Boot(self.met),
            relay: None,
            received: known.clone(),
            stored: known.clone(),
            settled: known,
        });
        self.books.len() - 1
    }
}

impl Book {
    fn handled(&self) -> Numbers {
        let mut numbers = self.settled.clone();
        numbers.union(&self.stored);
        numbers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The relay at `at` attaches us in its boot.
    fn claim(ledger: &Ledger, at: &str, boot: &str) -> (Boot, String) {
        let (nth, numbers) = ledger.claim(at, boot, |_| true).expect("claimed");
        (nth, numbers.to_string())
    }

    fn taken(ledger: &Ledger, boot: Boot, numbers: impl IntoIterator<Item = u64>) -> Vec<Ticket> {
        numbers.into_iter().filter_map(|no| ledger.take(boot, no)).collect()
    }

    #[test]
    fn a_successor_is_told_what_is_stored_or_settled_and_nothing_else() {
        let ledger = Ledger::inherit(Some("x:2"), 1);
        let (boot, known) = claim(&ledger, "one", "x");
        assert_eq!(known, "2");
        let tickets = taken(&ledger, boot, 3..=6);
        ledger.settle([tickets[0]]);
        assert_eq!(ledger.text_with(&tickets[2..3]), Some("x:3+5".to_owned()));
        assert_eq!(ledger.text_with(&[]), Some("x:3".to_owned()));
        ledger.store(&tickets[2..3]);
        assert_eq!(ledger.text_with(&[]), Some("x:3+5".to_owned()));
        assert_eq!(ledger.settled(boot).to_string(), "3");
    }

    #[test]
    fn what_came_in_is_not_forgotten_by_the_relay_and_not_handled_twice() {
        let ledger = Ledger::inherit(None, 1);
        let (boot, _) = claim(&ledger, "one", "x");
        let tickets = taken(&ledger, boot, 1..=3);
        ledger.store(&tickets[..1]);
        assert_eq!(claim(&ledger, "one", "x"), (boot, "1".to_owned()));
        assert_eq!(taken(&ledger, boot, 2..=4), [Ticket { nth_boot: boot, no: 4 }]);
        ledger.settle([tickets[1]]);
        assert_eq!(claim(&ledger, "one", "x"), (boot, "2".to_owned()));
    }

    #[test]
    fn the_numbers_of_an_earlier_boot_mean_nothing() {
        let ledger = Ledger::inherit(Some("old:17"), 1);
        assert_eq!(ledger.text_with(&[]), None);
        let (boot, known) = claim(&ledger, "one", "new");
        assert_eq!(known, "0");
        let tickets = taken(&ledger, boot, [1]);
        let (newer, known) = claim(&ledger, "one", "newer");
        assert_eq!(known, "0");
        ledger.settle(tickets.clone());
        assert_eq!(ledger.text_with(&tickets), Some("newer:0".to_owned()));
        assert_eq!(taken(&ledger, boot, [2]), [], "that boot is over");
        assert_eq!(taken(&ledger, newer, [1]).len(), 1);
    }

    #[test]
    fn each_relay_has_its_own_numbers_and_one_away_keeps_them() {
        let ledger = Ledger::inherit(Some("x:7;y:3+5"), 2);
        let (x, _) = claim(&ledger, "one", "x");
        ledger.settle(taken(&ledger, x, [8]));
        // The second relay was not met in this reign: whoever meets it next must not handle 5 again.
        assert_eq!(ledger.text_with(&[]), Some("x:8;y:3+5".to_owned()));
        let (y, known) = claim(&ledger, "two", "y");
        assert_eq!((known.as_str(), taken(&ledger, y, [4, 5, 8]).len()), ("3+5", 2));
        // From the first to the second and back: nothing is forgotten on the way.
        assert_eq!(claim(&ledger, "one", "x"), (x, "8".to_owned()));
        assert_eq!(taken(&ledger, x, [7, 8]), []);
    }

    #[test]
    fn a_boot_nobody_can_meet_any_more_is_forgotten_when_all_relays_were_met() {
        let ledger = Ledger::inherit(Some("x:7;y:3"), 2);
        claim(&ledger, "one", "x");
        claim(&ledger, "two", "z");
        assert_eq!(ledger.text_with(&[]), Some("x:7;z:0".to_owned()));
    }

    #[test]
    fn one_relay_under_two_addresses_is_found_out() {
        let ledger = Ledger::inherit(None, 2);
        claim(&ledger, "one", "x");
        assert_eq!(ledger.claim("two", "x", |_| true), Err("one".to_owned()));
        assert!(ledger.claim("two", "x", |_| false).is_ok(), "the other address leads nowhere any more");
    }

    #[test]
    fn a_text_of_too_many_boots_is_cut() {
        let text: Vec<String> = (0..40).map(|nth| format!("boot{nth}:{nth}")).collect();
        let ledger = Ledger::inherit(Some(&text.join(";")), 2);
        claim(&ledger, "one", "boot0");
        claim(&ledger, "three", "another");
        let ledger = Ledger::inherit(Some(&text.join(";")), 3);
        claim(&ledger, "one", "another");
        assert_eq!(ledger.text_with(&[]).map(|text| text.split(';').count()), Some(BOOKS_MAX));
    }
}
