//! Messages on their way out of a queue to somewhere else: dead letters, and what a delayed exchange routes when it is due.
//!
//! They are no longer ready, and still the queue's: the store settles them in the transaction that puts them into their next
//! queues. Until then a crash finds them where they were. Asked by [`super::state`]; [`crate::vhost::relay`] carries them.

use std::collections::VecDeque;

use leveret_persistence::{Message, MessageId, Ticket};

use super::entry::{Entry, Kept, NEVER};
use crate::limits::{QUEUE_DYING_MAX, QUEUE_LOAD_BYTES, QUEUE_LOAD_MESSAGES, RELAY_RETRY_MS};
use crate::protocol::death::Reason;

/// Why a message leaves.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fate {
    /// It is dead-lettered.
    Dead(Reason),
    /// Its delay is over.
    Due,
}

/// A message that leaves, in memory.
#[derive(Debug)]
pub(crate) struct Leaving {
    pub(crate) entry: Entry,
    pub(crate) fate: Fate,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Dying {
    /// In the order in which they left.
    kept: VecDeque<(Kept, Fate)>,
    /// Those that are being moved.
    moving: usize,
    /// What `kept` costs in memory, in bytes.
    bytes: usize,
    /// Not before this time: the target has refused.
    not_before_ms: u64,
}

impl Dying {
    /// The number of messages that have not arrived yet.
    pub(crate) fn len(&self) -> usize {
        self.kept.len() + self.moving
    }

    /// What the messages in memory cost, in bytes. Those that are being moved are counted by nobody: they are few.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether the queue had better let none go that need not go.
    pub(crate) fn is_full(&self) -> bool {
        self.len() >= QUEUE_DYING_MAX
    }

    /// When the next attempt is due; none if there is nothing to move, or if it is being read.
    pub(crate) fn next_attempt_ms(&self) -> Option<u64> {
        let (next, _) = self.kept.front().filter(|_| self.moving == 0)?;
        (next.message.is_some() || self.not_before_ms > 0).then_some(self.not_before_ms)
    }

    pub(crate) fn add(&mut self, kept: Kept, fate: Fate) {
        self.bytes += kept.cost();
        self.kept.push_back((kept, fate));
    }

    /// Lets go what the store has, when memory is short, but for the next ones to be moved: otherwise they would be read again
    /// and again.
    pub(crate) fn page_out(&mut self, committed: Ticket) {
        let mut next_bytes = 0;
        for (place, (kept, _)) in self.kept.iter_mut().enumerate() {
            if place < QUEUE_LOAD_MESSAGES && next_bytes < QUEUE_LOAD_BYTES {
                next_bytes += kept.cost();
            } else if kept.ticket.is_some_and(|ticket| ticket <= committed) {
                self.bytes -= kept.cost();
                kept.message = None;
            }
        }
    }

    /// The ids to read before the next ones can be moved, in order. A read may stop early, but never before its first id: so
    /// the next message to be moved must have the smallest.
    pub(crate) fn wanted(&self, now_ms: u64) -> Vec<MessageId> {
        if self.moving > 0 || now_ms < self.not_before_ms {
            return Vec::new();
        }
        let next = self.kept.iter().take(QUEUE_LOAD_MESSAGES).map(|(kept, _)| kept);
        let next = next.take_while(|kept| kept.message.is_none()).map(|kept| kept.id);
        let mut ids: Vec<MessageId> = Vec::new();
        for id in next {
            if ids.last().is_some_and(|last| *last > id) {
                break;
            }
            ids.push(id);
        }
        ids
    }

    /// Takes over what the store gave back for `asked`; returns the ids that it should have had and had not.
    pub(crate) fn loaded(
        &mut self,
        asked: &[MessageId],
        found: Vec<(MessageId, Message)>,
    ) -> Vec<MessageId> {
        let mut missing = Vec::new();
        let bytes = &mut self.bytes;
        self.kept.retain_mut(|(kept, _)| {
            if kept.message.is_some() || asked.binary_search(&kept.id).is_err() {
                return true;
            }
            let place = found.binary_search_by_key(&kept.id, |(id, _)| *id);
            match place.ok().and_then(|place| found.get(place)) {
                Some((_, message)) => {
                    kept.message = Some(message.clone());
                    *bytes += kept.cost();
                    true
                }
                None => {
                    missing.push(kept.id);
                    false
                }
            }
        });
        missing
    }

    /// Takes the next ones to move: none while others are on their way.
    pub(crate) fn take(&mut self, now_ms: u64) -> Vec<Leaving> {
        if self.moving > 0 || now_ms < self.not_before_ms {
            return Vec::new();
        }
        self.not_before_ms = 0;
        let mut taken = Vec::new();
        let mut bytes = 0;
        while taken.len() < QUEUE_LOAD_MESSAGES && bytes < QUEUE_LOAD_BYTES {
            let Some((Kept { message: Some(_), .. }, _)) = self.kept.front() else {
                break;
            };
            let Some((kept, fate)) = self.kept.pop_front() else {
                break;
            };
            self.bytes -= kept.cost();
            bytes += kept.cost();
            let Kept { id, message: Some(message), ticket, mark, .. } = kept else {
                break;
            };
            taken.push(Leaving {
                entry: Entry { id, message, ticket, expires_ms: NEVER, mark },
                fate,
            });
        }
        self.moving = taken.len();
        taken
    }

    /// Those that were being moved have arrived, but for `refused`: these stay, and are tried again a little later.
    pub(crate) fn moved(&mut self, refused: Vec<Leaving>, now_ms: u64) {
        self.moving = 0;
        self.not_before_ms = if refused.is_empty() { 0 } else { now_ms + RELAY_RETRY_MS };
        for Leaving { entry, fate } in refused.into_iter().rev() {
            let kept = Kept::from(entry);
            self.bytes += kept.cost();
            self.kept.push_front((kept, fate));
        }
    }

    /// Takes out everything that is not on its way: there is nowhere to go any more.
    pub(crate) fn take_all(&mut self) -> Vec<Kept> {
        self.bytes = 0;
        self.kept.drain(..).map(|(kept, _)| kept).collect()
    }
}

#[cfg(test)]
mod tests;
