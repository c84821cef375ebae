//! Which of the numbered stanzas of one relay boot are handled: all up to a number, and some beyond it.
//!
//! Nodes store the text form beside their records, so it is short where stanzas are handled in order: `102`, or
//! `102+104-105,107` where 103 and 106 are still open.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// Stretches beyond the first gap that the text form carries: some 150 KB. A node that handles stanzas out of order
/// leaves a gap for each one under way, and there are at most as many of those as its queue is long (10,000).
pub const RANGES_MAX: usize = 10_000;

/// A set of handled numbers. Stanzas are numbered from 1; the empty set is `0`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Numbers {
    upto: u64,
    /// First and last number of each stretch beyond; apart from each other and from `upto` by one number at least.
    beyond: BTreeMap<u64, u64>,
}

impl Numbers {
    /// All numbers up to `n` and none beyond.
    pub fn starting_after(n: u64) -> Numbers {
        Numbers { upto: n, beyond: BTreeMap::new() }
    }

    /// Puts `n` in.
    pub fn insert(&mut self, n: u64) {
        if !self.contains(n) {
            self.insert_range(n, n);
        }
    }

    /// Whether `n` is in.
    pub fn contains(&self, n: u64) -> bool {
        n <= self.upto || self.beyond.range(..=n).next_back().is_some_and(|(_, &last)| n <= last)
    }

    /// The last number before the first gap.
    pub fn upto(&self) -> u64 {
        self.upto
    }

    /// The stretches beyond the first gap, first and last number of each, in order.
    pub fn beyond(&self) -> impl Iterator<Item = (u64, u64)> {
        self.beyond.iter().map(|(&first, &last)| (first, last))
    }

    /// Puts in whatever is in `other`.
    pub fn union(&mut self, other: &Numbers) {
        self.insert_range(0, other.upto);
        for (first, last) in other.beyond() {
            self.insert_range(first, last);
        }
    }

    fn insert_range(&mut self, mut first: u64, mut last: u64) {
        // Whatever touches the new stretch becomes part of it.
        while let Some((&from, &to)) = self.beyond.range(..=last.saturating_add(1)).next_back() {
            if to.saturating_add(1) < first {
                break;
            }
            self.beyond.remove(&from);
            first = first.min(from);
            last = last.max(to);
        }
        if first <= self.upto.saturating_add(1) {
            self.upto = self.upto.max(last);
        } else {
            self.beyond.insert(first, last);
        }
    }
}

impl Extend<u64> for Numbers {
    fn extend<I: IntoIterator<Item = u64>>(&mut self, numbers: I) {
        for n in numbers {
            self.insert(n);
        }
    }
}

impl FromIterator<u64> for Numbers {
    fn from_iter<I: IntoIterator<Item = u64>>(numbers: I) -> Numbers {
        let mut set = Numbers::default();
        set.extend(numbers);
        set
    }
}

impl fmt::Display for Numbers {
    /// The text form. Of more than [`RANGES_MAX`] stretches the highest are left out: too little handled means some
    /// stanzas twice, a text that cannot be read means all of them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.upto)?;
        for (nth, (first, last)) in self.beyond().take(RANGES_MAX).enumerate() {
            let joint = if nth == 0 { '+' } else { ',' };
            if first == last { write!(f, "{joint}{first}")? } else { write!(f, "{joint}{first}-{last}")? }
        }
        Ok(())
    }
}

/// Why a text is no [`Numbers`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NumbersError {
    /// Something that should be a number is none.
    NoNumber,
    /// A stretch that ends before it begins, or before the one in front of it ends.
    Disorder,
    /// More than [`RANGES_MAX`] stretches.
    TooMany,
}

impl fmt::Display for NumbersError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NumbersError::NoNumber => "it is not of the form 102+104-105,107",
            NumbersError::Disorder => "its numbers do not ascend",
            NumbersError::TooMany => "it has too many gaps",
        })
    }
}

impl std::error::Error for NumbersError {}

impl FromStr for Numbers {
    type Err = NumbersError;

    fn from_str(text: &str) -> Result<Numbers, NumbersError> {
        let (upto, beyond) = match text.split_once('+') {
            Some((upto, beyond)) => (upto, Some(beyond)),
            None => (text, None),
        };
        let mut numbers = Numbers::starting_after(number(upto)?);
        let mut highest = numbers.upto;
        for (nth, stretch) in beyond.iter().flat_map(|beyond| beyond.split(',')).enumerate() {
            if nth == RANGES_MAX {
                return Err(NumbersError::TooMany);
            }
            let (first, last) = stretch.split_once('-').unwrap_or((stretch, stretch));
            let (first, last) = (number(first)?, number(last)?);
            if first <= highest || last < first {
                return Err(NumbersError::Disorder);
            }
            numbers.insert_range(first, last);
            highest = last;
        }
        Ok(numbers)
    }
}

/// Digits only: `u64::from_str` would take a sign.
fn number(text: &str) -> Result<u64, NumbersError> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_plain).ok_or(NumbersError::NoNumber)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Numbers {
        text.parse().expect("numbers")
    }

    #[test]
    fn numbers_in_order_are_one_number() {
        let mut numbers = Numbers::default();
        assert_eq!(numbers.to_string(), "0");
        numbers.extend(1..=5);
        assert_eq!(numbers.to_string(), "5");
        assert_eq!(numbers, Numbers::starting_after(5));
    }

    #[test]
    fn a_gap_stays_open_until_it_is_filled() {
        let mut numbers = Numbers::starting_after(102);
        numbers.extend([104, 107, 105]);
        assert_eq!(numbers.to_string(), "102+104-105,107");
        assert_eq!((numbers.contains(103), numbers.contains(105), numbers.contains(106)), (false, true, false));
        numbers.insert(103);
        assert_eq!((numbers.to_string(), numbers.upto()), ("105+107".to_owned(), 105));
        numbers.insert(106);
        assert_eq!(numbers.to_string(), "107");
        numbers.insert(3);
        assert_eq!(numbers.to_string(), "107");
    }

    #[test]
    fn a_union_has_what_either_has() {
        let mut one = read("10+12,20-30");
        one.union(&read("11+15,25-40"));
        assert_eq!(one.to_string(), "12+15,20-40");
        one.union(&read("100"));
        assert_eq!(one.to_string(), "100");
    }

    #[test]
    fn a_text_that_is_none_is_refused() {
        for text in ["", "x", "-1", "+1", "1+", "1+3,", "1+3-", "1 +3", "18446744073709551616", "1+3-4-5"] {
            assert_eq!(text.parse::<Numbers>(), Err(NumbersError::NoNumber), "{text}");
        }
        for text in ["5+5", "5+3", "5+9-8", "5+7-9,9", "5+9,7"] {
            assert_eq!(text.parse::<Numbers>(), Err(NumbersError::Disorder), "{text}");
        }
        assert_eq!(read("1+2,3-4"), Numbers::starting_after(4));
    }

    #[test]
    fn the_highest_number_there_is_does_no_harm() {
        let text = format!("7+{}-{}", u64::MAX - 1, u64::MAX);
        let mut numbers = read(&text);
        assert_eq!(numbers.to_string(), text);
        numbers.insert(u64::MAX);
        numbers.insert(u64::MAX - 2);
        assert_eq!(numbers.to_string(), format!("7+{}-{}", u64::MAX - 2, u64::MAX));
        numbers.union(&Numbers::starting_after(u64::MAX));
        assert_eq!(numbers, Numbers::starting_after(u64::MAX));
    }

    #[test]
    fn too_many_gaps_are_written_as_few_as_can_be_read() {
        let numbers: Numbers = (0..20_001).map(|nth| 2 * nth + 2).collect();
        let back = read(&numbers.to_string());
        assert_eq!(back.beyond().count(), RANGES_MAX);
        assert!(back.beyond().all(|(first, _)| numbers.contains(first)));
        assert_eq!(format!("{back},9999999").parse::<Numbers>(), Err(NumbersError::TooMany));
    }

    proptest! {
        #[test]
        fn it_is_the_set_it_says_it_is(ins in prop::collection::vec(1u64..60, 0..60), start in 0u64..10) {
            let mut numbers = Numbers::starting_after(start);
            let mut set: BTreeSet<u64> = (1..=start).collect();
            for n in ins {
                numbers.insert(n);
                set.insert(n);
                prop_assert_eq!(read(&numbers.to_string()), numbers.clone());
            }
            for n in 1..70 {
                prop_assert_eq!(numbers.contains(n), set.contains(&n));
            }
            let stretches: Vec<_> = numbers.beyond().collect();
            prop_assert!(stretches.iter().all(|&(first, last)| first > numbers.upto() + 1 && last >= first));
            prop_assert!(stretches.windows(2).all(|pair| pair[1].0 > pair[0].1 + 1));
        }

        #[test]
        fn a_union_is_that_of_the_sets(a in prop::collection::vec(1u64..60, 0..40), b in prop::collection::vec(1u64..60, 0..40)) {
            let of = |ns: &[u64]| ns.iter().copied().collect::<Numbers>();
            let mut whole = of(&a);
            whole.union(&of(&b));
            prop_assert_eq!(whole, of(&[a, b].concat()));
        }

        #[test]
        fn no_text_is_read_as_something_else(text in "[0-9+,-]{0,24}") {
            if let Ok(numbers) = text.parse::<Numbers>() {
                prop_assert_eq!(read(&numbers.to_string()), numbers);
            }
        }
    }
}
