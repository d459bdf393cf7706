//! What a queue tells of itself: its counts, what it costs, what it would take. Part of the state machine of [`super::state`];
//! nothing here changes it.

use leveret_persistence::{Message, MessageId};

use super::rules::{Overflow, Rules};
use super::sequences::{self, Publisher};
use super::state::{Counts, DeleteRefusal, Room, State};
use super::unacked::Session;
use super::waiting::Waiting;
use crate::limits::QUEUE_FLOW_MESSAGES;

impl State {
    /// Messages ready to be delivered.
    pub(crate) fn ready_count(&self) -> usize {
        self.ready.len() + self.groups.parked()
    }

    /// Bytes of body of these.
    pub(crate) fn ready_body_bytes(&self) -> u64 {
        self.ready.body_bytes() + self.groups.body_bytes()
    }

    /// Bytes of body of the messages that are delivered, not settled and in memory.
    pub(crate) fn unacked_body_bytes(&self) -> u64 {
        let unacked = self.sessions.values().flat_map(Session::iter);
        let messages = unacked.filter_map(|unacked| unacked.kept.message.as_ref());
        messages.map(|message| message.body().len() as u64).sum()
    }

    /// Messages delivered and not settled.
    pub(crate) fn unacked_count(&self) -> usize {
        self.sessions.values().map(Session::len).sum()
    }

    /// Messages that wait for their time.
    pub(crate) fn waiting(&self) -> &Waiting {
        &self.waiting
    }

    pub(crate) fn consumer_count(&self) -> usize {
        self.consumers.len()
    }

    /// See the field.
    pub(crate) fn delivered_to(&self) -> MessageId {
        self.delivered_to
    }

    pub(crate) fn rules(&self) -> &Rules {
        &self.rules
    }

    pub(crate) fn counts(&self) -> Counts {
        self.counts
    }

    /// What numbering publishers have sent.
    pub(crate) fn publishers(&self) -> Vec<Publisher> {
        self.sequences.iter().flat_map(|sequences| sequences.publishers()).collect()
    }

    /// What numbering publishers have sent.
    pub(crate) fn publisher_counts(&self) -> sequences::Counts {
        self.sequences.as_ref().map(|sequences| sequences.totals()).unwrap_or_default()
    }

    /// The ready messages, where they stay.
    pub(crate) fn peek(&self) -> Vec<(MessageId, Option<Message>)> {
        self.ready.peek()
    }

    /// What the messages of this queue cost in memory, in bytes.
    pub(crate) fn memory(&self) -> usize {
        let aside = self.groups.bytes() + self.waiting.bytes() + self.dying.bytes();
        self.ready.bytes() + self.unacked_bytes + aside
    }

    /// Whether publishes had better wait for the consumers; see [`QUEUE_FLOW_MESSAGES`].
    pub(crate) fn is_ahead_of_consumers(&self) -> bool {
        self.ready.len() >= QUEUE_FLOW_MESSAGES && self.consumers.any_behind()
            || self.dying.is_full() && self.is_too_long()
    }

    /// Whether memory is short only until the store has finished what it was given.
    pub(crate) fn waits_for_store(&self) -> bool {
        self.ready.waits_for_store()
    }

    /// Whether the last consumer of an auto-delete queue has left.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.rules.auto_delete && self.had_consumer && self.consumers.is_empty()
    }

    /// Whether it has no messages, no consumers and nothing to wait for.
    pub(crate) fn has_nothing_to_do(&self) -> bool {
        self.ready_count() == 0
            && self.sessions.is_empty()
            && self.consumers.is_empty()
            && self.waiting.len() == 0
            && self.dying.len() == 0
            && self.loading.is_none()
            && self.measuring.is_none()
            && self.rules.expires_ms.is_none()
    }

    /// Whether messages have come since the last delivery.
    pub(crate) fn has_new_messages(&self) -> bool {
        self.batch_first.is_some()
    }

    /// How much more a queue that refuses what is over its limit takes now.
    pub(crate) fn room(&self) -> Room {
        if self.rules.overflow == Overflow::DropHead {
            return Room { direct: 0, messages: u64::MAX, bytes: u64::MAX };
        }
        let ready = self.ready_count() as u64;
        let (messages, bytes) = (self.rules.max_length, self.rules.max_length_bytes);
        // RabbitMQ looks at the limit before it looks at the consumers.
        let is_direct = ready == 0 && messages != Some(0);
        Room {
            direct: if is_direct { self.consumers.capacity() } else { 0 },
            messages: messages.map_or(u64::MAX, |max| max.saturating_sub(ready)),
            bytes: bytes.map_or(u64::MAX, |max| max.saturating_sub(self.ready_body_bytes())),
        }
    }

    /// Whether the queue may be deleted under these conditions. RabbitMQ looks at if-empty first.
    pub(crate) fn may_delete(&self, if_unused: bool, if_empty: bool) -> Result<(), DeleteRefusal> {
        if if_empty && self.ready_count() > 0 {
            Err(DeleteRefusal::NotEmpty)
        } else if if_unused && !self.consumers.is_empty() {
            Err(DeleteRefusal::InUse)
        } else {
            Ok(())
        }
    }
}
