//! Which sequence numbers have been seen, at one bit each and none at all while they come in order.
//! Used for deliveries (`ledger`), for confirms (`confirms`) and for what a publisher is excused.

use std::collections::VecDeque;
use std::ops::Range;

const WORD: u64 = u64::BITS as u64;

/// How far a number may run ahead of the lowest one missing, in words: 134 million numbers, 16 MiB.
/// Past that the oldest gaps are counted as skipped and forgotten.
const MAX_WORDS: usize = 1 << 21;

/// A growing set of sequence numbers that mostly arrive in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct SeqSet {
    /// Everything below is in the set, or was skipped.
    low: u64,
    /// One bit a number, from `low` rounded down to a whole word; empty while nothing is ahead of `low`.
    ahead: VecDeque<u64>,
    /// How many numbers are in the set.
    len: u64,
    /// Numbers below `low` that never came.
    skipped: u64,
}

impl SeqSet {
    /// How many numbers are in the set.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// The lowest number that is not in the set.
    pub(crate) fn low(&self) -> u64 {
        self.low
    }

    /// How many numbers were given up because others ran too far ahead of them.
    pub(crate) fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Adds `range`; calls `new` with each part that was not in the set yet. Returns how many those were.
    pub(crate) fn insert(&mut self, range: Range<u64>, mut new: impl FnMut(Range<u64>)) -> u64 {
        if range.start == self.low && self.ahead.is_empty() && !range.is_empty() {
            self.low = range.end;
            let count = range.end - range.start;
            self.len += count;
            new(range);
            return count;
        }
        let before = self.len;
        let mut at = range.start.max(self.low);
        while at < range.end {
            let end = range.end.min((at / WORD + 1) * WORD);
            self.insert_in_word(at..end, &mut new);
            at = end;
        }
        self.advance();
        self.len - before
    }

    /// Adds a range that lies within one word.
    fn insert_in_word(&mut self, range: Range<u64>, new: &mut impl FnMut(Range<u64>)) {
        let ahead = range.start / WORD - self.low / WORD;
        self.skip_words((ahead + 1).saturating_sub(MAX_WORDS as u64));
        let Ok(index) = usize::try_from(range.start / WORD - self.low / WORD) else {
            return;
        };
        if self.ahead.len() <= index {
            self.ahead.resize(index + 1, 0);
            // `low` may lie inside the first word: what is below it is in the set already.
            if let Some(first) = self.ahead.front_mut() {
                *first |= mask(0..self.low % WORD);
            }
        }
        let Some(word) = self.ahead.get_mut(index) else {
            return;
        };
        let base = range.start / WORD * WORD;
        let mut fresh = mask(range.start - base..range.end - base) & !*word;
        *word |= fresh;
        self.len += u64::from(fresh.count_ones());
        while fresh != 0 {
            let from = u64::from(fresh.trailing_zeros());
            let to = from + u64::from((fresh >> from).trailing_ones());
            new(base + from..base + to);
            fresh &= !mask(from..to);
        }
    }

    /// Moves `low` over all that is contiguous.
    fn advance(&mut self) {
        while let Some(&first) = self.ahead.front() {
            let base = self.low / WORD * WORD;
            if first == u64::MAX {
                self.ahead.pop_front();
                self.low = base + WORD;
            } else {
                self.low = base + u64::from(first.trailing_ones());
                if self.ahead.len() == 1 && first == mask(0..self.low % WORD) {
                    self.ahead.pop_front();
                }
                return;
            }
        }
    }

    /// Gives up the gaps of the first `words` words.
    fn skip_words(&mut self, words: u64) {
        let mut left = words;
        while left > 0 {
            let known = mask(0..self.low % WORD);
            self.low = self.low / WORD * WORD;
            // What lies past the last word held is empty, and skipped in one step.
            let step = if self.ahead.is_empty() && known == 0 { left } else { 1 };
            let first = self.ahead.pop_front().unwrap_or(0) | known;
            self.skipped += step * WORD - u64::from(first.count_ones());
            self.low += step * WORD;
            left -= step;
        }
    }

    /// Whether `number` is in the set (a skipped one counts as in it).
    pub(crate) fn contains(&self, number: u64) -> bool {
        if number < self.low {
            return true;
        }
        let index = usize::try_from(number / WORD - self.low / WORD).ok();
        let word = index.and_then(|index| self.ahead.get(index)).copied().unwrap_or(0);
        word & mask(number % WORD..number % WORD + 1) != 0
    }

    /// The numbers below `end` that are not in the set, ascending.
    pub(crate) fn missing(&self, end: u64) -> impl Iterator<Item = u64> {
        (self.low..end).filter(|number| !self.contains(*number))
    }
}

/// The bits of `range` set, in one word.
fn mask(range: Range<u64>) -> u64 {
    let below = |bit: u64| {
        if bit >= WORD { u64::MAX } else { (1 << bit) - 1 }
    };
    below(range.end) & !below(range.start)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_in_order_cost_no_memory() {
        let mut set = SeqSet::default();
        for start in (0..10_000).step_by(10) {
            assert_eq!(set.insert(start..start + 10, |_| ()), 10);
        }
        assert_eq!((set.low(), set.ahead.len()), (10_000, 0));
    }

    #[test]
    fn a_gap_that_closes_costs_no_memory_afterwards() {
        let mut set = SeqSet::default();
        set.insert(5..1_000, |_| ());
        assert_eq!(set.missing(1_000).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
        set.insert(0..5, |_| ());
        assert_eq!((set.low(), set.ahead.len(), set.len()), (1_000, 0, 1_000));
    }

    #[test]
    fn gaps_too_far_back_are_counted_and_forgotten() {
        let mut set = SeqSet::default();
        let far = MAX_WORDS as u64 * WORD;
        set.insert(10..20, |_| ());
        set.insert(far..far + 1, |_| ());
        assert_eq!(set.skipped(), 54);
        assert_eq!(set.low(), 64);
        set.insert(1 << 47..(1 << 47) + 1, |_| ());
        assert_eq!(set.len(), 12);
        assert_eq!(set.skipped(), set.low() - 11);
    }

    proptest! {
        #[test]
        fn it_holds_what_a_plain_set_holds(ranges in prop::collection::vec((0_u64..400, 0_u64..90), 0..40)) {
            let mut set = SeqSet::default();
            let mut model = BTreeSet::new();
            for (start, count) in ranges {
                let expected: Vec<u64> = (start..start + count).filter(|n| model.insert(*n)).collect();
                let mut got = Vec::new();
                let fresh = set.insert(start..start + count, |range| got.extend(range));
                prop_assert_eq!(&got, &expected);
                prop_assert_eq!(fresh, expected.len() as u64);
                prop_assert_eq!(set.len(), model.len() as u64);
                let missing: Vec<u64> = (0..500).filter(|n| !model.contains(n)).collect();
                prop_assert_eq!(set.missing(500).collect::<Vec<_>>(), missing);
            }
        }
    }
}
