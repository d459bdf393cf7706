//! The ready messages of a queue: one [`Lane`] for each priority in use (`x-max-priority`), higher ones first. A queue without
//! priorities is a single lane.

use std::collections::BTreeMap;

use leveret_persistence::{IdSet, Message, MessageId, Ticket};

use super::entry::{Entry, Kept};
use super::lane::{Ahead, Lane, Next};

/// Messages that leave memory and have to be written first.
pub(crate) type Unstored = Vec<(MessageId, Message)>;

/// The ready messages of one queue.
#[derive(Debug, Default)]
pub(crate) struct Ready {
    /// Priority 0: all there is on most queues.
    lowest: Lane,
    /// The lanes above it that have messages.
    higher: BTreeMap<u8, Lane>,
}

impl Ready {
    /// The lanes of a recovered backlog, by priority.
    pub(crate) fn recovered(lanes: impl IntoIterator<Item = (u8, Lane)>) -> Ready {
        let mut ready = Ready::default();
        for (priority, lane) in lanes {
            *ready.lane(priority) = lane;
        }
        ready
    }

    /// The number of ready messages.
    pub(crate) fn len(&self) -> usize {
        self.lanes().fold(0, |sum, lane| sum.saturating_add(lane.len()))
    }

    /// What the messages in memory cost, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.lanes().map(Lane::bytes).sum()
    }

    /// Bytes of body of all ready messages, as far as they have been measured.
    pub(crate) fn body_bytes(&self) -> u64 {
        self.lanes().map(Lane::body_bytes).sum()
    }

    /// Adds a message that has just been published.
    #[inline]
    pub(crate) fn push(&mut self, entry: Entry) {
        self.lane(entry.mark.priority).push(entry);
    }

    /// Takes out the messages in memory after `id`, in order, if there are any: many older ones are to come before them, and to
    /// insert each would move all of these.
    pub(crate) fn take_newer(&mut self, id: MessageId) -> Vec<Entry> {
        if self.lanes().filter_map(Lane::newest).max().is_none_or(|newest| newest < id) {
            return Vec::new();
        }
        let mut newer = self.lowest.take_newer(id);
        for (priority, lane) in &mut self.higher {
            newer.extend(lane.take_newer(id).into_iter().map(|mut entry| {
                entry.mark.priority = *priority;
                entry
            }));
        }
        newer.sort_unstable_by_key(|entry| entry.id);
        newer
    }

    /// Puts a message back at its old place.
    pub(crate) fn requeue(&mut self, entry: Entry) {
        self.lane(entry.mark.priority).requeue(entry);
    }

    /// Puts a message back at its old place that only the store still holds.
    pub(crate) fn requeue_paged(&mut self, kept: &Kept) {
        self.lane(kept.mark.priority).requeue_paged(kept);
    }

    /// The message with the smallest id of the highest priority.
    #[inline]
    pub(crate) fn ahead(&self) -> Ahead<'_> {
        if self.higher.is_empty() {
            return self.lowest.ahead();
        }
        self.next_lane().map_or(Ahead::Empty, |(_, lane)| lane.ahead())
    }

    /// Takes it.
    #[inline]
    pub(crate) fn pop(&mut self) -> Next {
        while let Some(mut lane) = self.higher.last_entry() {
            match lane.get_mut().pop() {
                Next::Message(mut entry) => {
                    entry.mark.priority = *lane.key();
                    return Next::Message(entry);
                }
                Next::InStore => return Next::InStore,
                Next::Empty => drop(lane.remove()),
            }
        }
        self.lowest.pop()
    }

    /// When the next message of any priority expires, as far as it is in memory; none if there is none such.
    pub(crate) fn next_expiry(&self) -> Option<u64> {
        self.lanes().filter_map(Lane::next_expiry).min()
    }

    /// Takes one message that has expired by `now_ms` and is the next of its priority.
    pub(crate) fn pop_expired(&mut self, now_ms: u64) -> Option<Entry> {
        let expired = |lane: &Lane| lane.next_expiry().is_some_and(|expiry| expiry <= now_ms);
        for (priority, lane) in &mut self.higher {
            if expired(lane)
                && let Next::Message(mut entry) = lane.pop()
            {
                entry.mark.priority = *priority;
                return Some(entry);
            }
        }
        match expired(&self.lowest).then(|| self.lowest.pop()) {
            Some(Next::Message(entry)) => Some(entry),
            _ => None,
        }
    }

    /// The ids to read from the store now, and their priority: those that the consumers come to next.
    pub(crate) fn wanted(&self) -> Option<(u8, Vec<MessageId>)> {
        let (priority, lane) = self.next_lane()?;
        let ids = lane.wanted();
        (!ids.is_empty()).then_some((priority, ids))
    }

    /// The next message of some priority that has to be read to know when it expires.
    pub(crate) fn wanted_first(&self) -> Option<(u8, Vec<MessageId>)> {
        let lanes = self.higher.iter().map(|(priority, lane)| (*priority, lane));
        let mut lanes = lanes.chain([(0, &self.lowest)]);
        lanes.find_map(|(priority, lane)| Some((priority, vec![lane.wanted_first()?])))
    }

    /// See [`Lane::loaded`].
    pub(crate) fn loaded(
        &mut self,
        priority: u8,
        asked: &[MessageId],
        found: Vec<(MessageId, Message)>,
        committed: Ticket,
        expiry: impl Fn(&Message) -> u64,
    ) -> Vec<MessageId> {
        self.lane(priority).loaded(asked, found, committed, expiry)
    }

    /// Moves messages from memory to the store until `limit` bytes are left in memory or none can go, the lowest priority
    /// first. Returns those that must first be written there.
    pub(crate) fn page_out(&mut self, limit: usize, committed: Ticket) -> Unstored {
        let mut unstored = Vec::new();
        let mut total = self.bytes();
        for lane in [&mut self.lowest].into_iter().chain(self.higher.values_mut()) {
            let others = total - lane.bytes();
            unstored.append(&mut lane.page_out(limit.saturating_sub(others), committed));
            total = others + lane.bytes();
        }
        unstored
    }

    /// Whether the last [`Ready::page_out`] could have let more go, had the store finished what it was given.
    pub(crate) fn waits_for_store(&self) -> bool {
        self.lanes().any(Lane::waits_for_store)
    }

    /// Notes that the messages with these ids are being written by `ticket`.
    pub(crate) fn page_out_submitted(&mut self, ids: &[MessageId], ticket: Ticket) {
        let mut ids = ids.to_vec();
        ids.sort_unstable();
        for lane in [&mut self.lowest].into_iter().chain(self.higher.values_mut()) {
            lane.page_out_submitted(&ids, ticket);
        }
    }

    /// Removes every ready message; returns the ids that the store holds or will hold, and how many messages there were.
    pub(crate) fn purge(&mut self) -> (IdSet, usize) {
        let (mut stored, mut count) = self.lowest.purge();
        for (_, mut lane) in std::mem::take(&mut self.higher) {
            let (also, more) = lane.purge();
            stored |= also;
            count += more;
        }
        (stored, count)
    }

    /// Copies the newest messages, those from `first` on, out of the read buffers they arrived in.
    pub(crate) fn compact_from(&mut self, first: MessageId) {
        for lane in [&mut self.lowest].into_iter().chain(self.higher.values_mut()) {
            lane.compact_from(first);
        }
    }

    /// All messages in the order of delivery: those in memory, and the ids of the others.
    pub(crate) fn peek(&self) -> Vec<(MessageId, Option<Message>)> {
        self.lanes().flat_map(Lane::peek).collect()
    }

    /// The backlogs whose bodies have not been measured, by priority.
    pub(crate) fn unmeasured(&self) -> Option<(u8, Vec<MessageId>)> {
        let mut lanes = self.higher.iter().chain([(&0, &self.lowest)]);
        lanes.find_map(|(priority, lane)| Some((*priority, lane.unmeasured()?.iter().collect())))
    }

    /// See [`Lane::measured`].
    pub(crate) fn measured(
        &mut self,
        priority: u8,
        bodies: impl Iterator<Item = (MessageId, u64)>,
    ) {
        self.lane(priority).measured(bodies);
    }

    /// Highest priority first.
    fn lanes(&self) -> impl Iterator<Item = &Lane> {
        self.higher.values().rev().chain([&self.lowest])
    }

    fn next_lane(&self) -> Option<(u8, &Lane)> {
        let higher = self.higher.iter().rev().map(|(priority, lane)| (*priority, lane));
        higher.chain([(0, &self.lowest)]).find(|(_, lane)| !lane.is_empty())
    }

    #[inline]
    fn lane(&mut self, priority: u8) -> &mut Lane {
        match priority {
            0 => &mut self.lowest,
            _ => self.higher.entry(priority).or_default(),
        }
    }
}
