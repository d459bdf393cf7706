//! One message of one queue: what the queue knows of it besides the message itself. Made by the publish path, kept by
//! [`super::lane`], handed out by [`super::state`].

use leveret_persistence::{Message, MessageId, Ticket};

use crate::limits::MESSAGE_OVERHEAD_BYTES;

/// An `expires_ms` that never comes.
pub(crate) const NEVER: u64 = u64::MAX;

/// One message of a queue, in memory.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// Its place in the queue and its name in the store.
    pub(crate) id: MessageId,
    /// What the publisher sent.
    pub(crate) message: Message,
    /// The submission that writes it; none if the store will not hold it.
    pub(crate) ticket: Option<Ticket>,
    /// When it is too old to be delivered, in milliseconds since the Unix epoch; [`NEVER`] without a TTL.
    pub(crate) expires_ms: u64,
    pub(crate) mark: Mark,
}

/// What a queue remembers of a message even when memory has let the message go.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Mark {
    /// Whether it outlives a restart. A transient message is in the store only while it is paged out.
    pub(crate) durable: bool,
    /// Whether a consumer may have seen it before.
    pub(crate) redelivered: bool,
    /// Its lane, see `x-max-priority`.
    pub(crate) priority: u8,
    /// How often it came back, for whatever reason: `x-acquired-count`.
    pub(crate) acquired: u32,
    /// How often it came back as failed: `x-delivery-count`.
    pub(crate) deliveries: u32,
    /// How often it has waited to be tried again: `x-retry-count`.
    pub(crate) retries: u32,
}

impl Entry {
    /// A message that has just been published. Its priority and expiry are the queue's to say.
    #[inline]
    pub(crate) fn published(id: MessageId, message: Message, durable: bool) -> Entry {
        let mark = Mark { durable, ..Mark::default() };
        Entry { id, message, ticket: None, expires_ms: NEVER, mark }
    }

    /// What the message costs in memory, in bytes.
    pub(crate) fn cost(&self) -> usize {
        cost(&self.message)
    }
}

/// What a message costs in memory, in bytes.
#[inline]
pub(crate) fn cost(message: &Message) -> usize {
    message.size() + MESSAGE_OVERHEAD_BYTES
}

/// The size of a message's body in bytes: messages are below 4 GiB.
pub(super) fn body_len(message: &Message) -> u32 {
    u32::try_from(message.body().len()).unwrap_or(u32::MAX)
}

/// A message that has left the ready ones and may be in memory or only in the store.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    pub(crate) id: MessageId,
    /// None when memory is short and the store has it.
    pub(crate) message: Option<Message>,
    pub(crate) ticket: Option<Ticket>,
    pub(crate) mark: Mark,
    /// The size of its body in bytes, which limits count also when the message itself is not there.
    pub(crate) body_len: u32,
}

impl Kept {
    /// What it costs in memory, in bytes.
    pub(crate) fn cost(&self) -> usize {
        self.message.as_ref().map_or(0, cost)
    }
}

impl From<Entry> for Kept {
    fn from(entry: Entry) -> Kept {
        let Entry { id, message, ticket, mark, .. } = entry;
        let body_len = body_len(&message);
        Kept { id, message: Some(message), ticket, mark, body_len }
    }
}
