//! Chance out of a seed, so that what fails once fails again.

use crate::stage::mixed;

/// Throws that depend on nothing but the seed and their number.
pub(super) struct Dice {
    pub(super) seed: u64,
    pub(super) thrown: u64,
}

impl Dice {
    /// A number from 0 to one less than `sides`.
    pub(super) fn below(&mut self, sides: u64) -> u64 {
        self.thrown += 1;
        mixed(self.seed.wrapping_mul(0x1000_0000).wrapping_add(self.thrown)) % sides
    }

    /// True once in so many times.
    pub(super) fn one_in(&mut self, sides: u64) -> bool {
        self.below(sides) == 0
    }

    /// One of them.
    pub(super) fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.index(from.len())]
    }

    /// The place of one of so many.
    pub(super) fn index(&mut self, of: usize) -> usize {
        usize::try_from(self.below(of as u64)).expect("an index")
    }
}
