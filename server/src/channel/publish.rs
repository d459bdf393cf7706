//! Publishes on their way to the store and the queues, gathered over one read of the socket: one store batch and one
//! command a queue for all of them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use leveret_persistence::{Batch, Change, Completion, Message, Publish, QueueId, Ticket};

use super::confirms::PublishRange;
use crate::connection::ChannelId;
use crate::queue::Queue;
use crate::queue::ready::Entry;
use crate::storage::Storage;
use crate::vhost::Vhost;
use crate::vhost::publish::Route;

/// A message that knows where it goes.
#[derive(Debug)]
pub(crate) struct Routed {
    pub(crate) message: Message,
    pub(crate) route: Arc<Route>,
    /// Delivery mode 2.
    pub(crate) persistent: bool,
    /// The channel it came on.
    pub(crate) channel: ChannelId,
    /// Its number on the channel, if it is to be confirmed.
    pub(crate) confirm: Option<u64>,
    /// Mandatory, and no queue takes it: a transaction returns it at its commit.
    pub(crate) returned: bool,
    /// It goes to who waits for a direct reply, past all queues.
    pub(crate) reply: bool,
}

impl Routed {
    /// Whether anything is left to be done for it.
    pub(crate) fn is_due(&self) -> bool {
        self.reply || self.confirm.is_some() || !self.route.targets.is_empty()
    }

    /// Whether the store has to write it.
    pub(crate) fn is_stored(&self) -> bool {
        self.persistent && !self.route.stored.is_empty()
    }

    /// The same, no longer holding the read buffer it came in.
    pub(crate) fn detached(self) -> Routed {
        Routed { message: self.message.compact(), ..self }
    }
}

/// Confirms of one channel that become due together.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct ConfirmRun {
    pub(crate) channel: ChannelId,
    pub(crate) range: PublishRange,
}

/// Gathered publishes.
#[derive(Debug, Default)]
pub(crate) struct Publishes {
    gathered: Vec<Routed>,
}

/// What became of gathered publishes.
#[derive(Debug)]
pub(crate) struct Sent {
    /// To be confirmed when the store has finished the batch.
    pub(crate) after_store: Vec<ConfirmRun>,
    /// To be confirmed now: nothing of them has to be stored.
    pub(crate) now: Vec<ConfirmRun>,
    /// The queues that ask their publishers to wait.
    pub(crate) held: Vec<Arc<Queue>>,
}

impl Publishes {
    pub(crate) fn is_empty(&self) -> bool {
        self.gathered.is_empty()
    }

    pub(crate) fn add(&mut self, routed: Routed) {
        self.gathered.push(routed);
    }

    /// Whether any of them has to be stored.
    pub(crate) fn any_stored(&self) -> bool {
        self.gathered.iter().any(Routed::is_stored)
    }

    /// The channels that have published what must be stored and wait for no confirm of it.
    pub(crate) fn unconfirmed_channels(&self) -> HashSet<u16> {
        let stored = self.gathered.iter().filter(|routed| routed.is_stored());
        let unconfirmed = stored.filter(|routed| routed.confirm.is_none());
        unconfirmed.map(|routed| routed.channel.number).collect()
    }

    /// Hands everything to the store and then to the queues. `stored` is called when the store has finished, if any
    /// confirm waits for it.
    pub(crate) async fn send(
        &mut self,
        vhost: &Vhost,
        stored: impl FnOnce() -> Completion,
    ) -> Sent {
        vhost.storage.committer.room().await;
        let mut sent = Sent {
            held: Vec::new(),
            after_store: confirm_runs(self.gathered.iter().filter(|routed| routed.is_stored())),
            now: confirm_runs(self.gathered.iter().filter(|routed| !routed.is_stored())),
        };
        let done = (!sent.after_store.is_empty()).then(stored);
        let batch = Batch { done, ..Batch::default() };
        sent.held = dispatch(vhost, self.gathered.drain(..), batch).await;
        sent
    }
}

/// Reserves ids, submits `batch` with the messages that have to be stored, and hands each queue its messages. Gives the
/// queues that ask their publishers to wait.
pub(crate) async fn dispatch(
    vhost: &Vhost,
    messages: impl ExactSizeIterator<Item = Routed>,
    mut batch: Batch,
) -> Vec<Arc<Queue>> {
    let storage = &vhost.storage;
    let first = storage.committer.reserve(messages.len() as u64);
    let mut groups = Groups { expected: messages.len(), ..Groups::default() };
    for (id, mut routed) in (first..).zip(messages) {
        if let [_, _, ..] = routed.route.targets.as_slice() {
            // One body for all queues, and none of them may hold the read buffer.
            routed = routed.detached();
        }
        let is_stored = routed.is_stored();
        let Routed { message, route, persistent, reply, .. } = routed;
        if reply {
            vhost.reply_to.send(message.routing_key(), message.clone());
            continue;
        }
        if is_stored {
            let (message, queues) = (message.clone(), route.stored.clone());
            batch.publishes.push(Publish { id, message, queues, durable: true });
        }
        groups.add(id, message, &route, persistent);
    }
    let is_empty = batch.publishes.is_empty() && batch.changes.is_empty() && batch.done.is_none();
    let ticket = if is_empty { Ticket::NONE } else { storage.committer.submit(batch) };
    let mut held = Vec::new();
    for (queue, mut entries) in groups.groups {
        for entry in entries.iter_mut().filter(|entry| entry.durable) {
            entry.ticket = Some(ticket);
        }
        match queue.publish(entries).await {
            Ok(()) if queue.flow.is_held() => held.push(queue),
            Ok(()) => {}
            Err(refused) => forget(storage, queue.id, &refused),
        }
    }
    held
}

/// The queue was deleted meanwhile: the store must not keep what it will never deliver.
fn forget(storage: &Storage, queue: QueueId, refused: &[Entry]) {
    let stored = refused.iter().filter(|entry| entry.ticket.is_some());
    let ids: Vec<_> = stored.map(|entry| entry.id..=entry.id).collect();
    if !ids.is_empty() {
        storage.committer.submit(Batch::change(Change::Settle { queue, ids }));
    }
}

/// Messages by queue.
#[derive(Default)]
struct Groups {
    /// The messages of the batch: what a queue gets at most.
    expected: usize,
    groups: Vec<(Arc<Queue>, Vec<Entry>)>,
    index: HashMap<QueueId, usize>,
}

impl Groups {
    fn add(&mut self, id: u64, message: Message, route: &Route, persistent: bool) {
        let Some((last, others)) = route.targets.split_last() else {
            return;
        };
        let mut entry = |queue: &Arc<Queue>, place: usize, message: Message| {
            let durable = persistent && queue.stored;
            let entry = Entry { id, message, ticket: None, durable, redelivered: false };
            self.push(queue, place, entry);
        };
        for (place, queue) in others.iter().enumerate() {
            entry(queue, place, message.clone());
        }
        entry(last, others.len(), message);
    }

    /// `place`: where the queue is if the batch so far went the same way, which is the usual case.
    fn push(&mut self, queue: &Arc<Queue>, place: usize, entry: Entry) {
        let (groups, capacity) = (&mut self.groups, self.expected);
        let expected = groups.get(place).is_some_and(|(known, _)| Arc::ptr_eq(known, queue));
        let place = if expected {
            place
        } else {
            *self.index.entry(queue.id).or_insert_with(|| {
                groups.push((Arc::clone(queue), Vec::with_capacity(capacity)));
                groups.len() - 1
            })
        };
        if let Some((_, entries)) = groups.get_mut(place) {
            entries.push(entry);
        }
    }
}

/// Joins the confirms of consecutive publishes of a channel.
fn confirm_runs<'a>(routed: impl Iterator<Item = &'a Routed>) -> Vec<ConfirmRun> {
    let mut runs: Vec<ConfirmRun> = Vec::new();
    let numbered = routed.filter_map(|routed| Some((routed.channel, routed.confirm?)));
    for (channel, number) in numbered {
        match runs.last_mut() {
            Some(run) if run.channel == channel && run.range.last + 1 == number => {
                run.range.last = number;
            }
            _ => {
                let range = PublishRange { first: number, last: number };
                runs.push(ConfirmRun { channel, range });
            }
        }
    }
    runs
}
