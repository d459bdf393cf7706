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
