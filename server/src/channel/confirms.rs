//! Publisher confirms of one channel: numbers from 1, and as few `basic.ack`s as their meaning allows.

use std::collections::VecDeque;

/// A run of publish numbers, both ends included.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct PublishRange {
    pub(crate) first: u64,
    pub(crate) last: u64,
}

/// The confirms of a channel in confirm mode.
#[derive(Debug, Default)]
pub(crate) struct Confirms {
    published: u64,
    /// Runs that the store has not finished, oldest first; it finishes them in this order.
    waiting: VecDeque<PublishRange>,
}

impl Confirms {
    /// Numbers the next publish.
    pub(crate) fn next(&mut self) -> u64 {
        self.published += 1;
        self.published
    }

    /// The store is told of these.
    pub(crate) fn wait(&mut self, range: PublishRange) {
        self.waiting.push_back(range);
    }

    /// The store has finished these: calls `send(number, multiple)` for each `basic.ack` or `basic.nack`.
    pub(crate) fn finished(&mut self, range: PublishRange, send: impl FnMut(u64, bool)) {
        debug_assert_eq!(self.waiting.front(), Some(&range), "the store finishes in order");
        self.waiting.pop_front();
        self.confirm(range, send);
    }

    /// These need not wait for the store: as [`Confirms::finished`].
    pub(crate) fn confirm(&self, range: PublishRange, mut send: impl FnMut(u64, bool)) {
        let PublishRange { first, last } = range;
        // "Multiple" speaks for every number below it: there must be none that still waits.
        if self.waiting.front().is_none_or(|waiting| waiting.first > last) {
            send(last, last > first);
        } else {
            (first..=last).for_each(|number| send(number, false));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(act: impl FnOnce(&mut dyn FnMut(u64, bool))) -> Vec<(u64, bool)> {
        let mut sent = Vec::new();
        act(&mut |number, multiple| sent.push((number, multiple)));
        sent
    }

    #[test]
    fn an_ack_for_many_never_speaks_for_one_that_waits() {
        let range = |first, last| PublishRange { first, last };
        let mut confirms = Confirms::default();
        for expected in 1..=8 {
            assert_eq!(confirms.next(), expected);
        }
        assert_eq!(sent(|send| confirms.confirm(range(1, 2), send)), [(2, true)]);
        confirms.wait(range(3, 4));
        assert_eq!(sent(|send| confirms.confirm(range(5, 6), send)), [(5, false), (6, false)]);
        confirms.wait(range(7, 7));
        assert_eq!(sent(|send| confirms.finished(range(3, 4), send)), [(4, true)]);
        assert_eq!(sent(|send| confirms.confirm(range(8, 8), send)), [(8, false)]);
        assert_eq!(sent(|send| confirms.finished(range(7, 7), send)), [(7, false)]);
    }
}
