//! Ready messages of one priority, in message-id order: a bounded part in memory, the rest only as a set of ids over the store.
//!
//! ```text
//!   head (in memory)  |  paged (ids only, bodies in the store)  |  tail (in memory, newest)
//! ```
//!
//! The next message is the one with the smallest id. A backlog that no consumer takes moves from the tail into `paged` as
//! soon as the store has it; consumers draw from the head, which is refilled from the store before it runs dry. Each part is
//! in order, but what goes back or is overtaken by another publisher may come into one beside its place: the next message
//! is then at the front of any of the three.

use std::collections::{HashMap, VecDeque};

use leveret_persistence::{IdSet, Message, MessageId, Ticket};

use super::compact::compact;
use super::entry::{Entry, Kept, Mark, body_len};
use crate::limits::{QUEUE_HEAD_MESSAGES, QUEUE_LOAD_MESSAGES};

/// What [`Lane::pop`] found.
#[derive(Debug)]
pub(crate) enum Next {
    /// The message to deliver next; it has left the queue.
    Message(Entry),
    /// The next message is in the store: ask for [`Lane::wanted`] and come back.
    InStore,
    /// There is none.
    Empty,
}

/// What the next message is, where it is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ahead<'a> {
    /// In memory: [`Lane::pop`] gives it.
    Message(&'a Entry),
    /// See [`Next::InStore`].
    InStore,
    Empty,
}

/// Ready messages of one priority.
#[derive(Debug)]
pub(crate) struct Lane {
    head: VecDeque<Entry>,
    paged: IdSet,
    /// The smallest id in `paged`, kept because every pop asks for it.
    paged_min: Option<MessageId>,
    /// Ids in `paged` that do not outlive a restart.
    paged_transient: IdSet,
    /// Ids in `paged` that a consumer may have seen.
    paged_redelivered: IdSet,
    /// What is remembered of ids in `paged` that were given back or tried again.
    paged_returned: HashMap<MessageId, Mark>,
    /// Bytes of body in `paged`; none until a recovered backlog has been measured.
    paged_body_bytes: Option<u64>,
    tail: VecDeque<Entry>,
    /// What `head` and `tail` cost in memory, in bytes.
    bytes: usize,
    /// Bytes of body in `head` and `tail`.
    body_bytes: u64,
    /// See the method.
    waits_for_store: bool,
}

impl Default for Lane {
    fn default() -> Lane {
        Lane {
            head: VecDeque::new(),
            paged: IdSet::new(),
            paged_min: None,
            paged_transient: IdSet::new(),
            paged_redelivered: IdSet::new(),
            paged_returned: HashMap::new(),
            paged_body_bytes: Some(0),
            tail: VecDeque::new(),
            bytes: 0,
            body_bytes: 0,
            waits_for_store: false,
        }
    }
}

impl Lane {
    /// The backlog that a restart found in the store; messages up to `delivered_to` may have been seen by a consumer, and
    /// `returned` says what is known of those that were given back.
    pub(crate) fn recovered(
        backlog: IdSet,
        delivered_to: MessageId,
        returned: HashMap<MessageId, Mark>,
        body_bytes: Option<u64>,
    ) -> Lane {
        let mut redelivered = backlog.clone();
        if let Some(above) = delivered_to.checked_add(1) {
            redelivered.remove_range(above..);
        }
        Lane {
            paged_min: backlog.min(),
            paged_body_bytes: if backlog.is_empty() { Some(0) } else { body_bytes },
            paged: backlog,
            paged_redelivered: redelivered,
            paged_returned: returned,
            ..Lane::default()
        }
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

    /// Bytes of body of all ready messages, as far as they have been measured.
    pub(crate) fn body_bytes(&self) -> u64 {
        self.body_bytes + self.paged_body_bytes.unwrap_or(0)
    }

    /// The ids of a backlog that has not been measured yet.
    pub(crate) fn unmeasured(&self) -> Option<&IdSet> {
        self.paged_body_bytes.is_none().then_some(&self.paged)
    }

    /// The store says how large the bodies of the backlog are.
    pub(crate) fn measured(&mut self, bodies: impl Iterator<Item = (MessageId, u64)>) {
        let still_paged = bodies.filter(|(id, _)| self.paged.contains(*id));
        self.paged_body_bytes = Some(still_paged.map(|(_, bytes)| bytes).sum());
    }

    /// When the next message expires; none if it is not in memory.
    pub(crate) fn next_expiry(&self) -> Option<u64> {
        match self.ahead() {
            Ahead::Message(first) => Some(first.expires_ms),
            Ahead::InStore | Ahead::Empty => None,
        }
    }

    /// Adds a message that has just been published.
    #[inline]
    pub(crate) fn push(&mut self, entry: Entry) {
        self.count_in(&entry);
        let part = if self.paged_min.is_none() && self.tail.is_empty() {
            &mut self.head
        } else {
            &mut self.tail
        };
        insert_in_order(part, entry);
    }

    /// The highest id in memory.
    pub(crate) fn newest(&self) -> Option<MessageId> {
        let last = |part: &VecDeque<Entry>| part.back().map(|entry| entry.id);
        last(&self.head).max(last(&self.tail))
    }

    /// Takes out the messages in memory after `id`.
    pub(crate) fn take_newer(&mut self, id: MessageId) -> Vec<Entry> {
        let mut newer = Vec::new();
        for part in [&mut self.head, &mut self.tail] {
            let from = part.partition_point(|entry| entry.id <= id);
            newer.extend(part.drain(from..));
        }
        newer.iter().for_each(|entry| self.count_out(entry));
        newer
    }

    /// Puts a message back at its old place.
    pub(crate) fn requeue(&mut self, entry: Entry) {
        self.count_in(&entry);
        let in_tail = self.tail.front().is_some_and(|first| first.id < entry.id);
        insert_in_order(if in_tail { &mut self.tail } else { &mut self.head }, entry);
    }

    /// Puts a message back at its old place that only the store still holds.
    pub(crate) fn requeue_paged(&mut self, kept: &Kept) {
        self.page(kept.id, kept.mark, kept.body_len);
    }

    /// The message with the smallest id.
    #[inline]
    pub(crate) fn ahead(&self) -> Ahead<'_> {
        let first = match (self.head.front(), self.tail.front()) {
            (Some(head), Some(tail)) if tail.id < head.id => Some(tail),
            (Some(first), _) | (None, Some(first)) => Some(first),
            (None, None) => None,
        };
        match (first, self.paged_min) {
            (None, None) => Ahead::Empty,
            (Some(first), paged) if paged.is_none_or(|paged| first.id < paged) => {
                Ahead::Message(first)
            }
            (_, _) => Ahead::InStore,
        }
    }

    /// Takes the message with the smallest id.
    #[inline]
    pub(crate) fn pop(&mut self) -> Next {
        if self.paged_min.is_some() || !self.tail.is_empty() {
            return self.pop_of_all();
        }
        match self.head.pop_front() {
            Some(entry) => {
                self.count_out(&entry);
                Next::Message(entry)
            }
            None => Next::Empty,
        }
    }

    /// As [`Lane::pop`], where there are messages in more parts than the head.
    fn pop_of_all(&mut self) -> Next {
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
                    self.count_out(&entry);
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

    /// The id to read from the store if only the next message is of interest, and it is there.
    pub(crate) fn wanted_first(&self) -> Option<MessageId> {
        let first =
            [self.head.front(), self.tail.front()].into_iter().flatten().map(|e| e.id).min();
        self.paged_min.filter(|paged| first.is_none_or(|first| *paged < first))
    }

    /// Takes over what the store gave back for `asked`; `expiry` says when a message expires. Returns the ids that it should
    /// have had and had not.
    pub(crate) fn loaded(
        &mut self,
        asked: &[MessageId],
        found: Vec<(MessageId, Message)>,
        committed: Ticket,
        expiry: impl Fn(&Message) -> u64,
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
            let Some(message) = message else {
                missing.push(id);
                continue;
            };
            if let Some(bytes) = &mut self.paged_body_bytes {
                *bytes = bytes.saturating_sub(u64::from(body_len(&message)));
            }
            let (ticket, expires_ms) = (Some(committed), expiry(&message));
            let entry = Entry { id, message, ticket, expires_ms, mark };
            self.count_in(&entry);
            insert_in_order(&mut self.head, entry);
        }
        self.paged_min = self.paged.min();
        if self.paged_min.is_none() {
            self.paged_body_bytes = Some(0);
        }
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
        // Few and large: keep the next one to deliver.
        let stays = if self.head.len() > QUEUE_HEAD_MESSAGES { QUEUE_HEAD_MESSAGES } else { 1 };
        if self.tail.is_empty() && self.head.len() > stays {
            self.tail = self.head.split_off(stays);
            // It has had room for all of them, and is not to be that long again.
            self.head.shrink_to_fit();
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
        for _ in 0..leaving {
            let Some(entry) = self.tail.pop_front() else {
                break;
            };
            self.count_out(&entry);
            self.page(entry.id, entry.mark, body_len(&entry.message));
        }
        self.waits_for_store |= !unstored.is_empty();
        unstored
    }

    /// Whether the last [`Lane::page_out`] could have let more go, had the store finished what it was given.
    pub(crate) fn waits_for_store(&self) -> bool {
        self.waits_for_store
    }

    /// Notes that the messages with these ids, which increase, are being written by `ticket`, so that they can leave memory
    /// after it. Ids of other lanes may be among them.
    pub(crate) fn page_out_submitted(&mut self, ids: &[MessageId], ticket: Ticket) {
        for entry in self.tail.iter_mut().filter(|entry| entry.ticket.is_none()) {
            if ids.binary_search(&entry.id).is_ok() {
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
        *self = Lane::default();
        (stored, count)
    }

    /// The newest messages are those from `first` on: see [`compact`].
    pub(crate) fn compact_from(&mut self, first: MessageId) {
        for part in [&mut self.tail, &mut self.head] {
            let new = part.partition_point(|entry| entry.id < first);
            compact(part, new, |entry| Some(&entry.message), |entry| Some(&mut entry.message));
        }
    }

    /// All messages in order: those in memory, and the ids of the others.
    pub(crate) fn peek(&self) -> Vec<(MessageId, Option<Message>)> {
        let in_memory = self.head.iter().chain(&self.tail);
        let in_memory = in_memory.map(|entry| (entry.id, Some(entry.message.clone())));
        let mut all: Vec<_> = in_memory.chain(self.paged.iter().map(|id| (id, None))).collect();
        all.sort_unstable_by_key(|(id, _)| *id);
        all
    }

    #[inline]
    fn count_in(&mut self, entry: &Entry) {
        self.bytes += entry.cost();
        self.body_bytes += u64::from(body_len(&entry.message));
    }

    #[inline]
    fn count_out(&mut self, entry: &Entry) {
        self.bytes -= entry.cost();
        self.body_bytes -= u64::from(body_len(&entry.message));
    }

    fn page(&mut self, id: MessageId, mark: Mark, body_len: u32) {
        self.paged.insert(id);
        if !mark.durable {
            self.paged_transient.insert(id);
        }
        if mark.redelivered {
            self.paged_redelivered.insert(id);
        }
        if mark.acquired > 0 || mark.deliveries > 0 || mark.retries > 0 {
            self.paged_returned.insert(id, mark);
        }
        if let Some(bytes) = &mut self.paged_body_bytes {
            *bytes += u64::from(body_len);
        }
        self.paged_min = Some(self.paged_min.map_or(id, |min| min.min(id)));
    }

    fn unpage(&mut self, id: MessageId) -> Option<Mark> {
        self.paged.remove(id).then(|| {
            let durable = !self.paged_transient.remove(id);
            let redelivered = self.paged_redelivered.remove(id);
            let returned = self.paged_returned.remove(&id).unwrap_or_default();
            Mark { durable, redelivered, ..returned }
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
