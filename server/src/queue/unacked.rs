//! What a queue has delivered to one channel and not yet heard of.
//!
//! Deliveries of a queue to a channel are numbered from 0; the channel settles them by number, in ranges, so that
//! finding a message costs no search and a run of acknowledgements is one item.

use std::collections::VecDeque;

use super::compact::compact;
use super::consumers::ConsumerId;
use super::entry::Kept;
use super::groups::Group;

/// A run of delivery numbers, both ends included.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct DeliveryRange {
    pub(crate) first: u64,
    pub(crate) last: u64,
}

/// One delivered, unsettled message.
#[derive(Debug)]
pub(crate) struct Unacked {
    pub(crate) kept: Kept,
    /// Whose prefetch it counts against; none for `basic.get`.
    pub(crate) consumer: Option<ConsumerId>,
    /// When it was delivered, in milliseconds since the Unix epoch.
    pub(crate) since_ms: u64,
    /// The group that its holder has until it is settled.
    pub(crate) group: Option<Group>,
}

/// The deliveries of one queue to one channel.
#[derive(Debug, Default)]
pub(crate) struct Session {
    /// The number of `slots[0]`.
    base: u64,
    /// By delivery number; settled ones are empty until all before them are settled too.
    slots: VecDeque<Option<Unacked>>,
    live: usize,
    /// The number of the first delivery since [`Session::compact`].
    new_from: Option<u64>,
}

impl Session {
    /// A session whose first delivery gets this number.
    pub(crate) fn starting_at(number: u64) -> Session {
        Session { base: number, ..Session::default() }
    }

    /// The number that the next delivery gets.
    pub(crate) fn next_number(&self) -> u64 {
        self.base + self.slots.len() as u64
    }

    /// Remembers the delivery with [`Session::next_number`]. Says whether it is the first one since [`Session::compact`].
    #[inline]
    pub(crate) fn push(&mut self, unacked: Unacked) -> bool {
        let is_first = self.new_from.is_none();
        if is_first {
            self.new_from = Some(self.next_number());
        }
        self.slots.push_back(Some(unacked));
        self.live += 1;
        is_first
    }

    /// What is new may stay for long: see [`compact`].
    pub(crate) fn compact(&mut self) {
        let Some(new_from) = self.new_from.take() else {
            return;
        };
        let new_from = usize::try_from(new_from.saturating_sub(self.base)).unwrap_or(usize::MAX);
        compact(
            &mut self.slots,
            new_from,
            |slot| slot.as_ref()?.kept.message.as_ref(),
            |slot| slot.as_mut()?.kept.message.as_mut(),
        );
    }

    /// The number of unsettled deliveries.
    pub(crate) fn len(&self) -> usize {
        self.live
    }

    /// Whether every delivery is settled.
    pub(crate) fn is_empty(&self) -> bool {
        self.live == 0
    }

    /// Takes out the deliveries of `range` that are not settled yet.
    #[inline]
    pub(crate) fn take(&mut self, range: DeliveryRange, mut each: impl FnMut(Unacked)) {
        let end = range.last.saturating_add(1).min(self.next_number());
        let mut number = range.first.max(self.base);
        // The common case, oldest first, leaves no holes.
        while number == self.base && number < end {
            let Some(slot) = self.slots.pop_front() else {
                break;
            };
            self.base += 1;
            number += 1;
            if let Some(unacked) = slot {
                self.live -= 1;
                each(unacked);
            }
        }
        for number in number..end {
            let index = usize::try_from(number - self.base).unwrap_or(usize::MAX);
            if let Some(unacked) = self.slots.get_mut(index).and_then(Option::take) {
                self.live -= 1;
                each(unacked);
            }
        }
        self.trim();
    }

    /// The unsettled deliveries, oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Unacked> {
        self.slots.iter().flatten()
    }

    /// Takes out the deliveries to a consumer, oldest first.
    pub(crate) fn take_from(&mut self, consumer: ConsumerId, mut each: impl FnMut(Unacked)) {
        for slot in &mut self.slots {
            if let Some(unacked) = slot.take_if(|unacked| unacked.consumer == Some(consumer)) {
                self.live -= 1;
                each(unacked);
            }
        }
        self.trim();
    }

    /// Takes out everything, oldest first.
    pub(crate) fn take_all(&mut self, each: impl FnMut(Unacked)) {
        let (first, last) = (self.base, self.next_number());
        self.take(DeliveryRange { first, last }, each);
    }

    fn trim(&mut self) {
        while let Some(None) = self.slots.front() {
            self.slots.pop_front();
            self.base += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use leveret_persistence::{Message, MessageId};

    use super::super::entry::Entry;
    use super::*;

    fn session(count: u64) -> Session {
        let mut session = Session::default();
        for id in 0..count {
            let message = Message::new(b"", b"q", b"", b"");
            let kept = Entry::published(id, message, false).into();
            session.push(Unacked { kept, consumer: None, since_ms: 0, group: None });
        }
        session
    }

    fn taken(session: &mut Session, first: u64, last: u64) -> Vec<MessageId> {
        let mut ids = Vec::new();
        session.take(DeliveryRange { first, last }, |unacked| ids.push(unacked.kept.id));
        ids
    }

    #[test]
    fn settling_in_order_out_of_order_and_twice_takes_each_delivery_once() {
        let mut session = session(10);
        assert_eq!(taken(&mut session, 0, 2), [0, 1, 2]);
        assert_eq!(taken(&mut session, 5, 6), [5, 6]);
        assert_eq!(taken(&mut session, 3, 7), [3, 4, 7]);
        assert_eq!(taken(&mut session, 3, 7), [] as [u64; 0]);
        assert_eq!(session.len(), 2);
        assert_eq!(session.next_number(), 10);
        assert_eq!(taken(&mut session, 8, u64::MAX), [8, 9]);
        assert_eq!(session.len(), 0);
        assert_eq!(session.next_number(), 10);
    }
}
