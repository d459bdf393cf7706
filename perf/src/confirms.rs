//! Which messages of a publisher are confirmed, and how long each took. Pure; owned by `publisher`.

use std::collections::VecDeque;
use std::ops::Range;

use crate::error::Error;
use crate::latency::Latency;
use crate::seqset::SeqSet;

/// The confirms of one channel. Message number `seq` has the delivery tag `seq + 1`.
#[derive(Debug)]
pub(crate) struct Confirms {
    window: u64,
    settled: SeqSet,
    /// Batches not wholly confirmed: the first number and the time it was sent.
    sent: VecDeque<(u64, u64)>,
    /// The next number to be sent.
    next: u64,
}

impl Confirms {
    /// For at most `window` unconfirmed messages.
    pub(crate) fn new(window: u32) -> Self {
        Self {
            window: u64::from(window),
            settled: SeqSet::default(),
            sent: VecDeque::new(),
            next: 0,
        }
    }

    /// How many messages wait for their confirm.
    pub(crate) fn outstanding(&self) -> u64 {
        self.next - self.settled.len()
    }

    /// How many may be sent now.
    pub(crate) fn credit(&self) -> u64 {
        self.window.saturating_sub(self.outstanding())
    }

    /// Notes that the next `count` messages are sent at `at_us`.
    pub(crate) fn sent(&mut self, count: u64, at_us: u64) {
        self.sent.push_back((self.next, at_us));
        self.next += count;
    }

    /// Takes a `basic.ack` or `basic.nack`. Records the latency of what it newly settles in
    /// `latency`, if given, and calls `settled` with those numbers. Returns how many they are.
    pub(crate) fn settle(
        &mut self,
        tag: u64,
        multiple: bool,
        now_us: u64,
        mut latency: Option<&mut Latency>,
        mut settled: impl FnMut(Range<u64>),
    ) -> Result<u64, Error> {
        let end = match (tag, multiple) {
            // "All so far", by the specification.
            (0, true) => self.next,
            _ if tag == 0 || tag > self.next => {
                let next = self.next;
                let what = format!("a confirm of delivery tag {tag}, {next} were published");
                return Err(Error::Protocol(what));
            }
            _ => tag,
        };
        let start = if multiple { self.settled.low().min(end) } else { end - 1 };
        let sent = &self.sent;
        let count = self.settled.insert(start..end, |fresh| {
            if let Some(latency) = latency.as_deref_mut() {
                record(sent, fresh.clone(), now_us, latency);
            }
            settled(fresh);
        });
        let low = self.settled.low();
        while self.sent.get(1).is_some_and(|(first, _)| *first <= low) {
            self.sent.pop_front();
        }
        Ok(count)
    }
}

/// Adds the age of each number of `range` to `latency`, one entry a batch.
fn record(sent: &VecDeque<(u64, u64)>, range: Range<u64>, now_us: u64, latency: &mut Latency) {
    let mut at = range.start;
    let mut index = sent.partition_point(|(first, _)| *first <= at).saturating_sub(1);
    while at < range.end {
        let Some((_, sent_us)) = sent.get(index) else {
            return;
        };
        let end = sent.get(index + 1).map_or(range.end, |(first, _)| range.end.min(*first));
        latency.record(now_us.saturating_sub(*sent_us), end - at);
        at = end;
        index += 1;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn settle(confirms: &mut Confirms, tag: u64, multiple: bool) -> u64 {
        confirms.settle(tag, multiple, 0, None, |_| ()).unwrap()
    }

    #[test]
    fn the_window_opens_as_confirms_come() {
        let mut confirms = Confirms::new(10);
        confirms.sent(10, 0);
        assert_eq!(confirms.credit(), 0);
        assert_eq!(settle(&mut confirms, 3, false), 1);
        assert_eq!(settle(&mut confirms, 5, true), 4);
        assert_eq!(settle(&mut confirms, 5, true), 0);
        assert_eq!((confirms.credit(), confirms.outstanding()), (5, 5));
    }

    #[test]
    fn tag_zero_with_multiple_confirms_all() {
        let mut confirms = Confirms::new(10);
        confirms.sent(7, 0);
        assert_eq!(settle(&mut confirms, 0, true), 7);
    }

    #[test]
    fn a_confirm_of_what_was_not_published_is_refused() {
        let mut confirms = Confirms::new(10);
        confirms.sent(2, 0);
        for (tag, multiple) in [(0, false), (3, false), (3, true)] {
            assert!(confirms.settle(tag, multiple, 0, None, |_| ()).is_err());
        }
    }

    #[test]
    fn each_message_is_aged_from_its_own_batch() {
        let mut confirms = Confirms::new(100);
        confirms.sent(10, 100);
        confirms.sent(10, 150);
        let mut latency = Latency::new();
        confirms.settle(15, true, 200, Some(&mut latency), |_| ()).unwrap();
        assert_eq!((latency.count(), latency.max_us()), (15, 100));
        let mut late = Latency::new();
        confirms.settle(20, false, 250, Some(&mut late), |_| ()).unwrap();
        assert_eq!((late.count(), late.max_us()), (1, 100));
    }

    proptest! {
        #[test]
        fn every_message_is_settled_and_aged_once(
            batches in prop::collection::vec(1_u64..20, 1..20),
            acks in prop::collection::vec((1_u64..200, any::<bool>()), 0..60),
        ) {
            let mut confirms = Confirms::new(1_000);
            let total: u64 = batches.iter().sum();
            batches.into_iter().for_each(|count| confirms.sent(count, 0));
            let mut latency = Latency::new();
            let mut numbers = Vec::new();
            for (tag, multiple) in acks.into_iter().filter(|(tag, _)| *tag <= total).chain([(total, true)]) {
                confirms.settle(tag, multiple, 5, Some(&mut latency), |range| numbers.extend(range)).unwrap();
            }
            numbers.sort_unstable();
            prop_assert_eq!(numbers, (0..total).collect::<Vec<_>>());
            prop_assert_eq!((latency.count(), confirms.outstanding()), (total, 0));
        }
    }
}
