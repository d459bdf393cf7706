//! The ready messages of a queue, in message-id order: a bounded part in memory, the rest only as a set of ids over the store.
//!
//! ```text
//!   head (in memory)  |  paged (ids only, bodies in the store)  |  tail (in memory, newest)
//! ```
//!
//! The next message is the one with the smallest id. A backlog that no consumer takes moves from the tail into `paged` as
//! soon as the store has it; consumers draw from the head, which is refilled from the store before it runs dry. Each part is
//! in order, but what goes back or is overtaken by another publisher may come into one beside its place: the next message
//! is then at the front of any of the three.

use std::collections::VecDeque;

use leveret_persistence::{IdSet, Message, MessageId, Ticket};

use crate::limits::{MESSAGE_OVERHEAD_BYTES, QUEUE_HEAD_MESSAGES, QUEUE_LOAD_MESSAGES};

/// One message of a queue, in memory.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// Its place in the queue and its name in the store.
    pub(crate) id: MessageId,
    /// What the publisher sent.
    pub(crate) message: Message,
    /// The submission that writes it; none if the store will not hold it.
    pub(crate) ticket: Option<Ticket>,
    /// Whether it outlives a restart. A transient message is in the store only while it is paged out.
    pub(crate) durable: bool,
    /// Whether a consumer may have seen it before.
    pub(crate) redelivered: bool,
}

impl Entry {
    /// What the message costs in memory, in bytes.
    pub(crate) fn cost(&self) -> usize {
        cost(&self.message)
    }
}

/// What a message costs in memory, in bytes.
pub(super) fn cost(message: &Message) -> usize {
    message.size() + MESSAGE_OVERHEAD_BYTES
}

/// What the store still knows about a message that memory has let go.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct PagedMark {
    pub(crate) durable: bool,
    pub(crate) redelivered: bool,
}

/// What [`Ready::pop`] found.
#[derive(Debug)]
pub(crate) enum Next {
    /// The message to deliver next; it has left the queue.
    Message(Entry),
    /// The next message is in the store: ask for [`Ready::wanted`] and come back.
    InStore,
    /// There is none.
    Empty,
}

/// The ready messages of one queue.
#[derive(Debug, Default)]
pub(crate) struct Ready {
    head: VecDeque<Entry>,
    paged: IdSet,
    /// The smallest id in `paged`, kept because every pop asks for it.
    paged_min: Option<MessageId>,
    /// Ids in `paged` that do not outlive a restart.
    paged_transient: IdSet,
    /// Ids in `paged` that a consumer may have seen.
    paged_redelivered: IdSet,
    tail: VecDeque<Entry>,
    /// What `head` and `tail` cost in memory, in bytes.
    bytes: usize,
    /// See the method.
    waits_for_store: bool,
}

impl Ready {
    /// The backlog that a restart found in the store; messages up to `delivered_to` may have been seen by a consumer.
    pub(crate) fn recovered(backlog: IdSet, delivered_to: MessageId) -> Ready {
        let mut redelivered = backlog.clone();
        if let Some(above) = delivered_to.checked_add(1) {
            redelivered.remove_range(above..);
        }
        let paged_min = backlog.min();
        Ready { paged: backlog, paged_min, paged_redelivered: redelivered, ..Ready::default() }
    }

    /// The number of ready messages.
    pub(crate) fn len(&self) -> usize {
        let paged = usize::try_from(self.paged.len()).unwrap_or(usize::MAX);
        self.head.len().saturating_add(self.tail.len()).saturating_add(paged)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.head.is_empty() && self.tail.is_empty() && self.paged_min.is_none()
    }

    /// What the messages in memory cost, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds a message that has just been published.
    pub(crate) fn push(&mut self, entry: Entry) {
        self.bytes += entry.cost();
        let part = if self.paged_min.is_none() && self.tail.is_empty() {
            &mut self.head
        } else {
            &mut self.tail
        };
        insert_in_order(part, entry);
    }

    /// Puts a message back at its old place.
    pub(crate) fn requeue(&mut self, entry: Entry) {
        self.bytes += entry.cost();
        let in_tail = self.tail.front().is_some_and(|first| first.id < entry.id);
        insert_in_order(if in_tail { &mut self.tail } else { &mut self.head }, entry);
    }

    /// Puts a message back at its old place that only the store still holds.
    pub(crate) fn requeue_paged(&mut self, id: MessageId, mark: PagedMark) {
        self.page(id, mark);
    }

    /// Takes the message with the smallest id.
    pub(crate) fn pop(&mut self) -> Next {
        if self.head.is_empty() && self.paged_min.is_none() {
            std::mem::swap(&mut self.head, &mut self.tail);
        }
        let in_tail = match (self.head.front(), self.tail.front()) {
            (Some(head), Some(tail)) => tail.id < head.id,
            (None, Some(_)) => true,
            (_, None) => false,
        };
        let part = if in_tail { &mut self.tail } else { &mut self.head };
        match (part.front(), self.paged_min) {
            (None, None) => Next::Empty,
            (None, Some(_)) => Next::InStore,
            (Some(first), Some(paged)) if paged < first.id => Next::InStore,
            (Some(_), _) => match part.pop_front() {
                Some(entry) => {
                    self.bytes -= entry.cost();
                    Next::Message(entry)
                }
                None => Next::Empty,
            },
        }
    }

    /// The ids to read from the store now: none while the head can still feed the consumers.
    pub(crate) fn wanted(&self) -> Vec<MessageId> {
        let Some(paged_min) = self.paged_min else {
            return Vec::new();
        };
        let ahead = self.head.partition_point(|entry| entry.id < paged_min);
        if ahead > QUEUE_HEAD_MESSAGES / 4 {
            return Vec::new();
        }
        self.paged.iter().take(QUEUE_LOAD_MESSAGES).collect()
    }

    /// Takes over what the store gave back for `asked`; returns the ids that it should have had and had not.
    pub(crate) fn loaded(
        &mut self,
        asked: &[MessageId],
        found: Vec<(MessageId, Message)>,
        committed: Ticket,
    ) -> Vec<MessageId> {
        let mut missing = Vec::new();
        let mut found = found.into_iter().peekable();
        for &id in asked {
            let message =
                found.next_if(|(found_id, _)| *found_id == id).map(|(_, message)| message);
            // A purge may have taken the id while the store was reading.
            let Some(mark) = self.unpage(id) else {
                continue;
            };
            match message {
                Some(message) => {
                    let PagedMark { durable, redelivered } = mark;
                    self.requeue_loaded(Entry {
                        id,
                        message,
                        ticket: Some(committed),
                        durable,
                        redelivered,
                    });
                }
                None => missing.push(id),
            }
        }
        self.paged_min = self.paged.min();
        missing
    }

    /// Moves messages from memory to the store until `limit` bytes are left in memory or none can go.
    /// Returns the messages that must first be written there: transient ones that nobody has stored yet.
    pub(crate) fn page_out(
        &mut self,
        limit: usize,
        committed: Ticket,
    ) -> Vec<(MessageId, Message)> {
        self.waits_for_store = false;
        if self.bytes <= limit {
            return Vec::new();
        }
        if self.tail.is_empty() && self.head.len() > QUEUE_HEAD_MESSAGES {
            self.tail = self.head.split_off(QUEUE_HEAD_MESSAGES);
        } else if self.tail.is_empty() && self.head.len() > 1 {
            // Few and large: keep the next one to deliver.
            self.tail = self.head.split_off(1);
        }
        let mut unstored = Vec::new();
        // Half of the limit, so that paging runs once in a while and not once a message.
        let mut excess = self.bytes.saturating_sub(limit / 2);
        let mut leaving = 0;
        for entry in &self.tail {
            if excess == 0 {
                break;
            }
            match entry.ticket {
                Some(ticket) if ticket <= committed && unstored.is_empty() => leaving += 1,
                Some(_) if unstored.is_empty() => {
                    self.waits_for_store = true;
                    break;
                }
                Some(_) => {}
                None => unstored.push((entry.id, entry.message.clone())),
            }
            excess = excess.saturating_sub(entry.cost());
        }
        for entry in self.tail.drain(..leaving).collect::<Vec<_>>() {
            self.bytes -= entry.cost();
            self.page(
                entry.id,
                PagedMark { durable: entry.durable, redelivered: entry.redelivered },
            );
        }
        self.waits_for_store |= !unstored.is_empty();
        unstored
    }

    /// Whether the last [`Ready::page_out`] could have let more go, had the store finished what it was given.
    pub(crate) fn waits_for_store(&self) -> bool {
        self.waits_for_store
    }

    /// Notes that the messages with these ids are being written by `ticket`, so that they can leave memory after it.
    pub(crate) fn page_out_submitted(&mut self, ids: &[MessageId], ticket: Ticket) {
        let mut ids = ids.iter().peekable();
        for entry in &mut self.tail {
            if ids.next_if(|id| **id == entry.id).is_some() {
                entry.ticket = Some(ticket);
            }
        }
    }

    /// Removes every ready message; returns the ids that the store holds or will hold, and how many messages there were.
    pub(crate) fn purge(&mut self) -> (IdSet, usize) {
        let count = self.len();
        let mut stored = std::mem::take(&mut self.paged);
        for entry in self.head.drain(..).chain(self.tail.drain(..)) {
            if entry.ticket.is_some() {
                stored.insert(entry.id);
            }
        }
        *self = Ready::default();
        (stored, count)
    }

    /// Copies the newest messages, those from `first` on, out of the read buffers they arrived in.
    pub(crate) fn compact_from(&mut self, first: MessageId) {
        for part in [&mut self.tail, &mut self.head] {
            for entry in part.iter_mut().rev().take_while(|entry| entry.id >= first) {
                entry.message = entry.message.compact();
            }
        }
    }

    fn requeue_loaded(&mut self, entry: Entry) {
        self.bytes += entry.cost();
        insert_in_order(&mut self.head, entry);
    }

    fn page(&mut self, id: MessageId, mark: PagedMark) {
        self.paged.insert(id);
        if !mark.durable {
            self.paged_transient.insert(id);
        }
        if mark.redelivered {
            self.paged_redelivered.insert(id);
        }
        self.paged_min = Some(self.paged_min.map_or(id, |min| min.min(id)));
    }

    fn unpage(&mut self, id: MessageId) -> Option<PagedMark> {
        self.paged.remove(id).then(|| PagedMark {
            durable: !self.paged_transient.remove(id),
            redelivered: self.paged_redelivered.remove(id),
        })
    }
}

/// Inserts by id. Messages come in order but for a few that raced on two connections, so the walk from the back is short;
/// a requeue from far behind uses the binary search.
fn insert_in_order(part: &mut VecDeque<Entry>, entry: Entry) {
    if part.back().is_none_or(|last| last.id < entry.id) {
        part.push_back(entry);
    } else if part.front().is_some_and(|first| entry.id < first.id) {
        part.push_front(entry);
    } else {
        let place = part.partition_point(|other| other.id < entry.id);
        part.insert(place, entry);
    }
}

#[cfg(test)]
mod tests;
