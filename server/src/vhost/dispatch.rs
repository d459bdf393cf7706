//! From routed messages to the store and the queues: one store batch and one command a queue for all of them. Called by
//! connections for what clients publish, and by [`super::relay`] for what queues pass on.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::Arc;

use foldhash::fast::RandomState;
use leveret_persistence::{Batch, Change, Message, Publish, QueueId, Ticket};

use super::publish::Route;
use crate::protocol::rewrite::without_header;
use crate::queue::Queue;
use crate::queue::entry::{Entry, cost};
use crate::stamp;
use crate::storage::Storage;

/// A message that knows where it goes. `R` says how: by a route of its own, or by one that it shares with others.
#[derive(Debug)]
pub(crate) struct Outgoing<R = Arc<Route>> {
    pub(crate) message: Message,
    pub(crate) route: R,
    /// Delivery mode 2.
    pub(crate) persistent: bool,
    /// What the queues that may refuse messages have said; see [`super::admission`].
    pub(crate) verdict: Verdict,
}

/// See [`Outgoing::verdict`].
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Verdict {
    #[default]
    Taken,
    /// It was there before: it is confirmed as the first one, and goes no further where it is known.
    Duplicate,
    /// A queue has refused it.
    Refused,
}

impl<R> Outgoing<R> {
    #[inline]
    pub(crate) fn new(message: Message, route: R, persistent: bool) -> Outgoing<R> {
        Outgoing { message, route, persistent, verdict: Verdict::Taken }
    }

    /// The same, no longer holding the read buffer it came in.
    pub(crate) fn detached(self) -> Outgoing<R> {
        Outgoing { message: self.message.compact(), ..self }
    }
}

impl Outgoing {
    /// Whether the store has to write it.
    pub(crate) fn is_stored(&self) -> bool {
        !self.route.stored_in(self.persistent).is_empty()
    }
}

/// The message as anyone may see it: without the `BCC` that it keeps for its dead letters.
#[inline]
pub(crate) fn without_blind_copies(message: &Message) -> Message {
    if message.flags() & stamp::BLIND_COPIES == 0 {
        return message.clone();
    }
    let properties = without_header(message.properties(), "BCC");
    let (exchange, routing_key) = (message.exchange(), message.routing_key());
    Message::new(exchange, routing_key, &properties, message.body()).stamped(message.stamp())
}

/// Reserves ids, submits `batch` with the messages that have to be stored, and hands each queue its messages, of which there
/// are at most `count`. Gives the queues that ask their publishers to wait.
pub(crate) async fn dispatch<R: Deref<Target = Route>>(
    storage: &Storage,
    count: usize,
    messages: impl Iterator<Item = Outgoing<R>>,
    mut batch: Batch,
) -> Vec<Arc<Queue>> {
    let first = storage.committer.reserve(count as u64);
    let mut groups = Groups { expected: count, ..Groups::default() };
    for (id, mut outgoing) in (first..).zip(messages) {
        if let [_, _, ..] = outgoing.route.targets.as_slice() {
            // One body for all queues, and none of them may hold the read buffer.
            outgoing = outgoing.detached();
        }
        let stored_in = outgoing.route.stored_in(outgoing.persistent);
        if !stored_in.is_empty() {
            let (message, queues) = (outgoing.message.clone(), stored_in.clone());
            batch.publishes.push(Publish { id, message, queues, durable: true });
        }
        let Outgoing { message, route, persistent, .. } = outgoing;
        groups.add(id, message, &route, persistent);
    }
    let is_empty = batch.publishes.is_empty() && batch.changes.is_empty() && batch.done.is_none();
    let ticket = if is_empty { Ticket::NONE } else { storage.committer.submit(batch) };
    groups.hand_over(storage, ticket).await
}

/// Messages by queue.
#[derive(Default)]
struct Groups {
    /// The messages of the batch: what a queue gets at most.
    expected: usize,
    groups: Vec<Group>,
    index: HashMap<QueueId, usize, RandomState>,
}

/// What one queue gets.
struct Group {
    queue: Arc<Queue>,
    entries: Vec<Entry>,
    /// What they cost in memory.
    bytes: usize,
}

impl Groups {
    #[inline]
    fn add(&mut self, id: u64, message: Message, route: &Route, persistent: bool) {
        let Some((last, others)) = route.targets.split_last() else {
            return;
        };
        let cost = cost(&message);
        let mut push = |queue: &Arc<Queue>, place: usize, message: Message| {
            let durable = route.is_durable(place, persistent);
            self.push(queue, place, Entry::published(id, message, durable), cost);
        };
        for (place, queue) in others.iter().enumerate() {
            push(queue, place, message.clone());
        }
        push(last, others.len(), message);
    }

    /// `place`: where the queue is if the batch so far went the same way, which is the usual case.
    #[inline]
    fn push(&mut self, queue: &Arc<Queue>, place: usize, entry: Entry, cost: usize) {
        let is_there = |group: &Group| Arc::ptr_eq(&group.queue, queue);
        let place = match self.groups.get(place).is_some_and(is_there) {
            true => place,
            false => self.place_of(queue),
        };
        if let Some(group) = self.groups.get_mut(place) {
            group.entries.push(entry);
            group.bytes += cost;
        }
    }

    fn place_of(&mut self, queue: &Arc<Queue>) -> usize {
        let (groups, capacity) = (&mut self.groups, self.expected);
        *self.index.entry(queue.id).or_insert_with(|| {
            let entries = Vec::with_capacity(capacity);
            groups.push(Group { queue: Arc::clone(queue), entries, bytes: 0 });
            groups.len() - 1
        })
    }

    async fn hand_over(self, storage: &Storage, ticket: Ticket) -> Vec<Arc<Queue>> {
        let mut held = Vec::new();
        for Group { queue, mut entries, bytes } in self.groups {
            for entry in entries.iter_mut().filter(|entry| entry.mark.durable) {
                entry.ticket = Some(ticket);
            }
            match queue.publish(entries, bytes).await {
                Ok(()) if queue.flow.is_held() => held.push(queue),
                Ok(()) => {}
                Err(refused) => forget(storage, queue.id, &refused),
            }
        }
        held
    }
}

/// The queue was deleted meanwhile: the store must not keep what it will never deliver. When the broker stops it keeps all.
fn forget(storage: &Storage, queue: QueueId, refused: &[Entry]) {
    if storage.is_stopping() {
        return;
    }
    let stored = refused.iter().filter(|entry| entry.ticket.is_some());
    let ids: Vec<_> = stored.map(|entry| entry.id..=entry.id).collect();
    if !ids.is_empty() {
        storage.committer.submit(Batch::change(Change::Settle { queue, ids }));
    }
}
