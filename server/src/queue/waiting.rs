//! Messages that wait for their time: those of a delayed exchange, and those that a retry schedule holds back. In order of
//! time; each costs two numbers in memory once the store has the message. Asked by [`super::state`].

use std::collections::{BTreeMap, BTreeSet, HashMap};

use leveret_persistence::{IdSet, MessageId, Ticket};

use super::entry::{Kept, Mark};
use super::ready::Unstored;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    by_time: BTreeSet<(u64, MessageId)>,
    /// Those that the store does not have yet.
    unstored: BTreeMap<MessageId, Kept>,
    /// What is remembered of those that were tried before, and the sizes of their bodies.
    tried: HashMap<MessageId, (Mark, u32)>,
    /// Those that do not outlive a restart.
    transient: IdSet,
    /// What `unstored` costs in memory, in bytes.
    bytes: usize,
}

impl Waiting {
    pub(crate) fn len(&self) -> usize {
        self.by_time.len()
    }

    /// What the messages in memory cost, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The time at which the next one is due, in milliseconds since the Unix epoch.
    pub(crate) fn next_due(&self) -> Option<u64> {
        self.by_time.first().map(|(due_ms, _)| *due_ms)
    }

    /// Makes a message wait until `due_ms`.
    pub(crate) fn add(&mut self, due_ms: u64, kept: Kept) {
        self.by_time.insert((due_ms, kept.id));
        if !kept.mark.durable {
            self.transient.insert(kept.id);
        }
        if kept.mark != (Mark { durable: kept.mark.durable, ..Mark::default() }) {
            self.tried.insert(kept.id, (kept.mark, kept.body_len));
        }
        if let Some(message) = &kept.message {
            let message = Some(message.compact());
            self.bytes += kept.cost();
            self.unstored.insert(kept.id, Kept { message, ..kept });
        }
    }

    /// Lets go what the store has by now; returns what it has to be given first.
    pub(crate) fn page_out(&mut self, committed: Ticket) -> Unstored {
        let mut unstored = Vec::new();
        let bytes = &mut self.bytes;
        self.unstored.retain(|id, kept| match kept.ticket {
            Some(ticket) if ticket <= committed => {
                *bytes -= kept.cost();
                false
            }
            Some(_) => true,
            None => {
                unstored.extend(kept.message.clone().map(|message| (*id, message)));
                true
            }
        });
        unstored
    }

    /// Notes that the messages with these ids are being written by `ticket`.
    pub(crate) fn page_out_submitted(&mut self, ids: &[MessageId], ticket: Ticket) {
        for id in ids {
            if let Some(kept) = self.unstored.get_mut(id) {
                kept.ticket = Some(ticket);
            }
        }
    }

    /// Takes the first one that is due by `now_ms`. `committed`: the ticket of one that only the store has.
    pub(crate) fn take_due(&mut self, now_ms: u64, committed: Ticket) -> Option<Kept> {
        let (due_ms, id) = self.by_time.first().copied()?;
        if due_ms > now_ms {
            return None;
        }
        self.remove(due_ms, id, committed)
    }

    /// Takes out one whatever its time; none if it does not wait.
    pub(crate) fn remove(&mut self, due_ms: u64, id: MessageId, committed: Ticket) -> Option<Kept> {
        if !self.by_time.remove(&(due_ms, id)) {
            return None;
        }
        let durable = !self.transient.remove(id);
        let tried = self.tried.remove(&id);
        if let Some(kept) = self.unstored.remove(&id) {
            self.bytes -= kept.cost();
            return Some(kept);
        }
        // The others go to the next queue, which measures them.
        let (mark, body_len) = tried.unwrap_or((Mark { durable, ..Mark::default() }, 0));
        Some(Kept { id, message: None, ticket: Some(committed), mark, body_len })
    }

    /// Those from the `offset`th on in the order of their time, with the number of times each was tried.
    pub(crate) fn list(
        &self,
        offset: usize,
        limit: usize,
    ) -> impl Iterator<Item = (u64, MessageId, u32)> + '_ {
        self.by_time.iter().skip(offset).take(limit).map(|(due_ms, id)| {
            (*due_ms, *id, self.tried.get(id).map_or(0, |(mark, _)| mark.retries))
        })
    }

    /// Takes out everything; returns the ids that the store holds or will hold, and how many there were.
    pub(crate) fn purge(&mut self) -> (IdSet, usize) {
        let Waiting { by_time, unstored, .. } = std::mem::take(self);
        let unwritten = |id: &MessageId| unstored.get(id).is_some_and(|kept| kept.ticket.is_none());
        let stored = by_time.iter().map(|(_, id)| *id).filter(|id| !unwritten(id)).collect();
        (stored, by_time.len())
    }
}

#[cfg(test)]
mod tests;
