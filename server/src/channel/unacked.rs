//! What a channel has delivered and the client has not settled: from delivery tags to queues and their delivery numbers.

use std::collections::VecDeque;
use std::sync::Arc;

use leveret_persistence::MessageId;

use crate::queue::Queue;

/// One unsettled delivery.
#[derive(Clone, Debug)]
pub(crate) struct Unsettled {
    pub(crate) tag: u64,
    pub(crate) queue: Arc<Queue>,
    /// Its number in the queue's session with this channel.
    pub(crate) number: u64,
    /// Its message, for a transaction to name to the store.
    pub(crate) id: MessageId,
    /// Whether it counts against the channel's prefetch limit: deliveries do, `basic.get` does not.
    pub(crate) counted: bool,
}

/// The client named a delivery tag that is not outstanding: 406.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct UnknownTag(pub(crate) u64);

/// The unsettled deliveries of a channel, by tag.
#[derive(Debug)]
pub(crate) struct Outstanding {
    /// The tag of `slots[0]`.
    base: u64,
    /// Settled ones are empty until all before them are settled too.
    slots: VecDeque<Option<Unsettled>>,
}

impl Default for Outstanding {
    fn default() -> Outstanding {
        // Delivery tags start at 1 (specification section 1.8.3.13).
        Outstanding { base: 1, slots: VecDeque::new() }
    }
}

impl Outstanding {
    /// Gives the next tag to a delivery that needs no settling.
    pub(crate) fn next_settled_tag(&mut self) -> u64 {
        let tag = self.base + self.slots.len() as u64;
        if self.slots.is_empty() {
            self.base += 1;
        } else {
            self.slots.push_back(None);
        }
        tag
    }

    /// Gives the next tag to a delivery that is to be settled.
    pub(crate) fn push(
        &mut self,
        queue: &Arc<Queue>,
        number: u64,
        id: MessageId,
        counted: bool,
    ) -> u64 {
        let tag = self.base + self.slots.len() as u64;
        let queue = Arc::clone(queue);
        self.slots.push_back(Some(Unsettled { tag, queue, number, id, counted }));
        tag
    }

    /// Takes out what the client settles: one tag, or all up to it (0: all there are).
    pub(crate) fn take(
        &mut self,
        tag: u64,
        multiple: bool,
        mut each: impl FnMut(Unsettled),
    ) -> Result<(), UnknownTag> {
        if multiple && tag == 0 {
            self.take_all().into_iter().for_each(each);
            return Ok(());
        }
        let index = tag.checked_sub(self.base).and_then(|index| usize::try_from(index).ok());
        let index = index.filter(|index| self.slots.get(*index).is_some_and(Option::is_some));
        let index = index.ok_or(UnknownTag(tag))?;
        if multiple {
            self.slots.drain(..=index).flatten().for_each(each);
            self.base = tag + 1;
        } else if let Some(unsettled) = self.slots.get_mut(index).and_then(Option::take) {
            each(unsettled);
        }
        self.trim();
        Ok(())
    }

    /// Takes out everything, oldest first.
    pub(crate) fn take_all(&mut self) -> Vec<Unsettled> {
        self.base += self.slots.len() as u64;
        self.slots.drain(..).flatten().collect()
    }

    /// Puts back what a rolled-back transaction had settled, in any order.
    pub(crate) fn put_back(&mut self, unsettled: Unsettled) {
        while unsettled.tag < self.base {
            self.slots.push_front(None);
            self.base -= 1;
        }
        let index = usize::try_from(unsettled.tag - self.base).unwrap_or(usize::MAX);
        if let Some(slot) = self.slots.get_mut(index) {
            *slot = Some(unsettled);
        }
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
    use super::*;

    /// Tags 1 to `count`, each a delivery numbered as its tag.
    fn outstanding(count: u64) -> Outstanding {
        let (queue, ..) = Queue::detached(1);
        let mut outstanding = Outstanding::default();
        for number in 1..=count {
            assert_eq!(outstanding.push(&queue, number, 100 + number, true), number);
        }
        outstanding
    }

    fn take(
        outstanding: &mut Outstanding,
        tag: u64,
        multiple: bool,
    ) -> Result<Vec<u64>, UnknownTag> {
        let mut taken = Vec::new();
        outstanding.take(tag, multiple, |unsettled| {
            assert_eq!((unsettled.tag, unsettled.id), (unsettled.number, 100 + unsettled.number));
            taken.push(unsettled.tag);
        })?;
        Ok(taken)
    }

    #[test]
    fn a_tag_is_settled_once_alone_or_with_all_before_it() {
        let mut outstanding = outstanding(9);
        for (tag, multiple, expected) in [
            (0, false, Err(UnknownTag(0))),
            (2, false, Ok(vec![2])),
            (2, false, Err(UnknownTag(2))),
            (2, true, Err(UnknownTag(2))),
            (4, true, Ok(vec![1, 3, 4])),
            (1, false, Err(UnknownTag(1))),
            (3, true, Err(UnknownTag(3))),
            (10, false, Err(UnknownTag(10))),
            (10, true, Err(UnknownTag(10))),
            (u64::MAX, true, Err(UnknownTag(u64::MAX))),
            (7, false, Ok(vec![7])),
            (5, false, Ok(vec![5])),
            (0, true, Ok(vec![6, 8, 9])),
            (0, true, Ok(vec![])),
            (9, true, Err(UnknownTag(9))),
        ] {
            assert_eq!(take(&mut outstanding, tag, multiple), expected, "{tag} {multiple}");
        }
        let (queue, ..) = Queue::detached(1);
        assert_eq!(outstanding.push(&queue, 10, 110, true), 10, "tags are never used again");
    }

    #[test]
    fn a_delivery_that_needs_no_settling_uses_up_a_tag() {
        let (queue, ..) = Queue::detached(1);
        let mut outstanding = Outstanding::default();
        assert_eq!(outstanding.next_settled_tag(), 1);
        assert_eq!(outstanding.push(&queue, 2, 102, true), 2);
        assert_eq!(outstanding.next_settled_tag(), 3);
        assert_eq!(outstanding.push(&queue, 4, 104, true), 4);
        assert_eq!(take(&mut outstanding, 1, false), Err(UnknownTag(1)));
        assert_eq!(take(&mut outstanding, 3, true), Err(UnknownTag(3)));
        assert_eq!(take(&mut outstanding, 4, true), Ok(vec![2, 4]));
        assert_eq!(outstanding.next_settled_tag(), 5);
    }

    #[test]
    fn what_a_rollback_gives_back_can_be_settled_again() {
        for order in [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]] {
            let mut outstanding = outstanding(6);
            let mut settled = Vec::new();
            for tag in [1, 2, 4, 6] {
                outstanding.take(tag, false, |unsettled| settled.push(unsettled)).unwrap();
            }
            for place in order {
                outstanding.put_back(settled[place].clone());
            }
            assert_eq!(take(&mut outstanding, 4, false), Ok(vec![4]), "{order:?}");
            assert_eq!(take(&mut outstanding, 6, true), Ok(vec![1, 2, 3, 5, 6]), "{order:?}");
        }
    }

    #[test]
    fn a_rollback_after_everything_was_settled_gives_everything_back() {
        let mut outstanding = outstanding(3);
        let settled = outstanding.take_all();
        assert_eq!(outstanding.next_settled_tag(), 4);
        settled.into_iter().rev().for_each(|unsettled| outstanding.put_back(unsettled));
        assert_eq!(outstanding.next_settled_tag(), 5);
        assert_eq!(take(&mut outstanding, 0, true), Ok(vec![1, 2, 3]));
    }
}
