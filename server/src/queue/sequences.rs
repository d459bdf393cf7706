//! What publishers lost, sent twice or sent out of order: a publisher that numbers its messages
//! (headers `x-publisher-id` and `x-sequence`) lets the queue say which numbers never came. Called by
//! the queue for each such message that it takes; nothing is ever refused because of it.
//!
//! Numbers have to grow, by one from message to message. A publisher that begins anew takes another
//! id: otherwise its numbers look like ones that came twice.

use hashlink::LruCache;
use leveret_persistence::Message;
use roaring::RoaringTreemap;

use crate::protocol::properties::Properties;
use crate::vhost::publish::{X_PUBLISHER_ID, X_SEQUENCE};

/// Publishers that a queue knows; with one more, the one that was silent for longest is forgotten.
pub(crate) const PUBLISHERS_MAX: usize = 1024;

/// Bytes by which publishers are told apart; what follows is ignored.
pub(crate) const PUBLISHER_ID_BYTES_MAX: usize = 255;

/// How far back from the highest number missing ones are known by number: 16 KiB a publisher at
/// worst, when every second message is lost. Older ones are only counted.
pub(crate) const MISSING_SPAN: u64 = 128 * 1024;

/// Ranges of missing numbers that are shown of one publisher.
const GAPS_SHOWN: usize = 100;

/// What a number says about the ones before it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Observed {
    /// The one after the highest so far, or the first of its publisher.
    InOrder,
    /// Above that: so many were skipped, and may still come.
    Gap { missing: u64 },
    /// One that was missing, or one from before what is remembered, which may have been.
    Late,
    /// One that had come already.
    Duplicate,
}

/// Counts of one publisher, or of all of a queue.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Counts {
    /// Messages with a number.
    pub(crate) received: u64,
    /// Numbers that were skipped and have not come since.
    pub(crate) missing: u64,
    /// How often numbers were skipped.
    pub(crate) gaps: u64,
    /// Messages whose number had come already.
    pub(crate) duplicates: u64,
    /// Messages that came after a higher number did, for the first time as far as is known.
    pub(crate) reordered: u64,
}

/// What a message says of itself: its publisher (`x-publisher-id`, any text) and its number (`x-sequence`).
pub(crate) fn numbering(message: &Message) -> Option<(String, u64)> {
    let properties = Properties::parse(message.properties()).ok()?;
    let (mut publisher, mut sequence) = (None, None);
    for field in properties.header_fields() {
        match field.name {
            X_PUBLISHER_ID => publisher = field.view().text().map(str::to_owned),
            X_SEQUENCE => sequence = field.view().unsigned(),
            _ => {}
        }
    }
    publisher.zip(sequence)
}

/// The lowest numbers as ranges, both ends included.
fn ranges(numbers: &RoaringTreemap) -> Vec<(u64, u64)> {
    let mut ranges: Vec<(u64, u64)> = Vec::new();
    for number in numbers {
        let count = ranges.len();
        match ranges.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(number) => *last = number,
            _ if count == GAPS_SHOWN => break,
            _ => ranges.push((number, number)),
        }
    }
    ranges
}

/// One publisher, for those who look.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Publisher {
    pub(crate) id: String,
    /// Its highest number.
    pub(crate) last: u64,
    pub(crate) counts: Counts,
    /// The lowest of the missing numbers as ranges, both ends included: [`GAPS_SHOWN`] at most.
    pub(crate) missing: Vec<(u64, u64)>,
}

/// The publishers of one queue.
#[derive(Debug)]
pub(crate) struct Sequences {
    publishers: LruCache<Box<str>, Sequence>,
    totals: Counts,
}

impl Default for Sequences {
    fn default() -> Self {
        Self { publishers: LruCache::new(PUBLISHERS_MAX), totals: Counts::default() }
    }
}

impl Sequences {
    /// Takes note of a message with this number.
    pub(crate) fn observe(&mut self, publisher: &str, sequence: u64) -> Observed {
        let id = publisher.get(..publisher.floor_char_boundary(PUBLISHER_ID_BYTES_MAX));
        let id = id.unwrap_or_default();
        let Some(known) = self.publishers.get_mut(id) else {
            let new = Sequence::starting_at(sequence);
            self.totals.add(Observed::InOrder);
            self.publishers.insert(id.into(), new);
            return Observed::InOrder;
        };
        let missing = known.counts.missing;
        let observed = known.observe(sequence);
        self.totals.add(observed);
        // One publisher cannot miss more numbers than there are; all together can.
        let others = self.totals.missing.saturating_sub(missing);
        self.totals.missing = others.saturating_add(known.counts.missing);
        observed
    }

    /// Counts over all publishers, those included that have been forgotten. `missing` alone may fall.
    pub(crate) fn totals(&self) -> Counts {
        self.totals
    }

    /// The publishers that are remembered, the one heard last at the end.
    pub(crate) fn publishers(&self) -> impl Iterator<Item = Publisher> + '_ {
        self.publishers.iter().map(|(id, sequence)| Publisher {
            id: id.to_string(),
            last: sequence.last,
            counts: sequence.counts,
            missing: ranges(&sequence.missing),
        })
    }
}

impl Counts {
    /// Counts one message, except in `missing`.
    fn add(&mut self, observed: Observed) {
        self.received += 1;
        match observed {
            Observed::InOrder => {}
            Observed::Gap { .. } => self.gaps += 1,
            Observed::Late => self.reordered += 1,
            Observed::Duplicate => self.duplicates += 1,
        }
    }
}

/// The numbers of one publisher.
#[derive(Debug)]
struct Sequence {
    last: u64,
    /// The missing ones of `known_from..last`.
    missing: RoaringTreemap,
    /// Below it nobody knows any more which numbers came: the first number seen, later the end of
    /// what was forgotten.
    known_from: u64,
    counts: Counts,
}

impl Sequence {
    fn starting_at(first: u64) -> Self {
        let counts = Counts { received: 1, ..Counts::default() };
        Self { last: first, missing: RoaringTreemap::new(), known_from: first, counts }
    }

    fn observe(&mut self, sequence: u64) -> Observed {
        let observed = match sequence.checked_sub(self.last) {
            Some(0) => Observed::Duplicate,
            Some(ahead) => self.advance(sequence, ahead - 1),
            None => self.look_back(sequence),
        };
        self.counts.add(observed);
        observed
    }

    /// Takes a number above all others, `skipped` past the next one.
    fn advance(&mut self, sequence: u64, skipped: u64) -> Observed {
        let next = sequence - skipped;
        self.last = sequence;
        if skipped == 0 {
            return Observed::InOrder;
        }
        self.counts.missing += skipped;
        let horizon = sequence.saturating_sub(MISSING_SPAN);
        let forgotten = self.missing.remove_range(..horizon);
        if forgotten > 0 || next < horizon {
            self.known_from = horizon;
        }
        self.missing.insert_range(next.max(horizon)..sequence);
        Observed::Gap { missing: skipped }
    }

    /// Takes a number below the highest.
    fn look_back(&mut self, sequence: u64) -> Observed {
        if self.missing.remove(sequence) {
            self.counts.missing -= 1;
            Observed::Late
        } else if sequence < self.known_from {
            Observed::Late
        } else {
            Observed::Duplicate
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::Observed::{Duplicate, Gap, InOrder, Late};
    use super::*;

    fn observed(numbers: &[u64]) -> (Vec<Observed>, Sequences) {
        let mut sequences = Sequences::default();
        let observed = numbers.iter().map(|number| sequences.observe("p", *number)).collect();
        (observed, sequences)
    }

    #[test]
    fn each_number_is_judged_by_those_before_it() {
        let table: [(&[u64], &[Observed]); 7] = [
            (&[1, 2, 3], &[InOrder, InOrder, InOrder]),
            (&[7, 8, 8], &[InOrder, InOrder, Duplicate]),
            (&[1, 4, 2, 3, 5], &[InOrder, Gap { missing: 2 }, Late, Late, InOrder]),
            (&[1, 4, 2, 2], &[InOrder, Gap { missing: 2 }, Late, Duplicate]),
            // Below the first number nothing is known, so nothing is called a duplicate.
            (&[5, 3, 3], &[InOrder, Late, Late]),
            (&[0, u64::MAX], &[InOrder, Gap { missing: u64::MAX - 1 }]),
            (&[u64::MAX, u64::MAX, 0], &[InOrder, Duplicate, Late]),
        ];
        for (numbers, expected) in table {
            assert_eq!(observed(numbers).0, expected, "{numbers:?}");
        }
    }

    #[test]
    fn missing_numbers_far_back_stay_counted_and_are_no_longer_told_apart() {
        let far = MISSING_SPAN + 10;
        let (_, mut sequences) = observed(&[1, 3, far, far + MISSING_SPAN]);
        let missing = 1 + (far - 4) + (MISSING_SPAN - 1);
        assert_eq!(sequences.totals().missing, missing);
        // 3 came and 2 did not, which is forgotten; `far` is the last that is still known.
        assert_eq!(sequences.observe("p", 3), Late);
        assert_eq!(sequences.observe("p", 2), Late);
        assert_eq!(sequences.observe("p", far), Duplicate);
        assert_eq!(sequences.totals().missing, missing);
        assert_eq!(sequences.observe("p", far + 1), Late);
        assert_eq!(sequences.totals().missing, missing - 1);
    }

    #[test]
    fn a_loss_without_end_costs_bounded_memory() {
        let mut sequences = Sequences::default();
        for step in 0..4 * MISSING_SPAN {
            sequences.observe("p", step * 2);
        }
        let (_, sequence) = sequences.publishers.iter().next().unwrap();
        assert!(sequence.missing.len() <= MISSING_SPAN, "{}", sequence.missing.len());
        assert!(sequence.missing.serialized_size() < 20 * 1024);
        assert_eq!(sequences.totals().missing, 4 * MISSING_SPAN - 1);
    }

    #[test]
    fn the_publisher_that_was_silent_for_longest_is_forgotten_and_stays_in_the_totals() {
        let mut sequences = Sequences::default();
        for publisher in 0..PUBLISHERS_MAX {
            sequences.observe(&publisher.to_string(), 1);
        }
        sequences.observe("0", 3);
        sequences.observe("one more", 1);
        assert_eq!(sequences.observe("0", 2), Late);
        assert_eq!(sequences.observe("1", 9), InOrder);
        assert_eq!(sequences.publishers().count(), PUBLISHERS_MAX);
        assert_eq!(sequences.publishers().last().map(|publisher| publisher.id), Some("1"));
        let received = PUBLISHERS_MAX as u64 + 4;
        let totals = Counts { received, gaps: 1, reordered: 1, ..Counts::default() };
        assert_eq!(sequences.totals(), totals);
    }

    #[test]
    fn an_id_without_end_is_cut_between_characters() {
        let mut sequences = Sequences::default();
        let id = "é".repeat(1000);
        sequences.observe(&id, 1);
        assert_eq!(sequences.observe(&(id + "x"), 2), InOrder);
        let publisher = sequences.publishers().next().unwrap();
        assert_eq!((publisher.id.len(), publisher.last), (254, 2));
    }

    proptest! {
        #[test]
        fn the_counts_are_those_of_a_plain_set(numbers in vec((0..3_u8, 0..60_u64), 0..200)) {
            let mut sequences = Sequences::default();
            let mut seen: [BTreeSet<u64>; 3] = Default::default();
            let mut first = [None; 3];
            let mut counts = [Counts::default(); 3];
            for (publisher, number) in numbers {
                let index = usize::from(publisher);
                let (seen, counts) = (&mut seen[index], &mut counts[index]);
                let first = *first[index].get_or_insert(number);
                let last = seen.last().copied();
                let expected = match last {
                    None => InOrder,
                    Some(last) if number == last + 1 => InOrder,
                    Some(last) if number > last => Gap { missing: number - last - 1 },
                    Some(_) if number < first => Late,
                    Some(_) if seen.contains(&number) => Duplicate,
                    Some(_) => Late,
                };
                prop_assert_eq!(sequences.observe(&publisher.to_string(), number), expected);
                seen.insert(number);
                let last = seen.last().copied().unwrap();
                counts.received += 1;
                counts.missing = (first..last).filter(|number| !seen.contains(number)).count() as u64;
                match expected {
                    InOrder => {}
                    Gap { .. } => counts.gaps += 1,
                    Late => counts.reordered += 1,
                    Duplicate => counts.duplicates += 1,
                }
            }
            for publisher in sequences.publishers() {
                let index: usize = publisher.id.parse().unwrap();
                prop_assert_eq!(publisher.counts, counts[index]);
                prop_assert_eq!(Some(&publisher.last), seen[index].last());
            }
            let totals = sequences.totals();
            prop_assert_eq!(totals.missing, counts.iter().map(|counts| counts.missing).sum::<u64>());
            prop_assert_eq!(totals.received, counts.iter().map(|counts| counts.received).sum::<u64>());
        }

        #[test]
        fn publishers_that_miss_more_than_can_be_counted_do_no_harm(
            numbers in vec((0..4_u8, prop_oneof![0..3_u64, u64::MAX - 3..=u64::MAX]), 1..40),
        ) {
            let mut sequences = Sequences::default();
            for (publisher, number) in &numbers {
                sequences.observe(&publisher.to_string(), *number);
            }
            prop_assert_eq!(sequences.totals().received, numbers.len() as u64);
        }

        #[test]
        fn numbers_of_any_size_add_up(
            numbers in vec(prop_oneof![any::<u64>(), 0..400_000_u64, Just(u64::MAX)], 1..60),
        ) {
            let (observed, sequences) = observed(&numbers);
            let totals = sequences.totals();
            let gaps = observed.iter().filter(|observed| matches!(observed, Gap { .. })).count();
            prop_assert_eq!(totals.received, numbers.len() as u64);
            prop_assert_eq!(totals.gaps, gaps as u64);
            prop_assert!(totals.missing <= numbers.iter().max().unwrap() - numbers[0]);
        }
    }
}
