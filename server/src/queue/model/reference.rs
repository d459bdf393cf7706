//! The plainest queue that could be right: everything in memory, every choice by looking at everything.

use std::collections::{BTreeMap, HashMap};

use leveret_persistence::MessageId;

use crate::limits::{
    CONSUMER_UNACKED_MAX, CONSUMER_WINDOW_BYTES, CONSUMER_WINDOW_MESSAGES, MESSAGE_OVERHEAD_BYTES,
};
use crate::queue::consumers::{ConsumeError, ConsumerId};
use crate::queue::state::{Outcome, Rules};

use super::Wish;

/// What there is to know of a message besides its id.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Known {
    pub(super) durable: bool,
    pub(super) size: usize,
    pub(super) redelivered: bool,
}

/// A delivered, unsettled message.
#[derive(Clone, Copy, Debug)]
struct Held {
    id: MessageId,
    known: Known,
    consumer: Option<ConsumerId>,
}

#[derive(Debug)]
struct Member {
    id: ConsumerId,
    wish: Wish,
    unacked: u32,
    window_messages: u32,
    window_bytes: usize,
    /// When it last took a message or began to wait for one; none while it may not have one.
    waits_since: Option<u64>,
}

impl Member {
    fn has_room(&self) -> bool {
        let limit = match (self.wish.no_ack, self.wish.prefetch) {
            (true, _) => u32::MAX,
            (false, 0) => CONSUMER_UNACKED_MAX,
            (false, prefetch) => u32::from(prefetch),
        };
        self.unacked < limit
            && self.window_messages < CONSUMER_WINDOW_MESSAGES
            && self.window_bytes < CONSUMER_WINDOW_BYTES
    }
}

/// Who gets which message next.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turn {
    pub(super) consumer: ConsumerId,
    pub(super) channel: u64,
    pub(super) no_ack: bool,
}

#[derive(Debug, Default)]
pub(super) struct Reference {
    rules: Rules,
    ready: BTreeMap<MessageId, Known>,
    /// By channel, by delivery number.
    unacked: HashMap<u64, BTreeMap<u64, Held>>,
    /// In order of registration.
    members: Vec<Member>,
    active: Option<ConsumerId>,
    moment: u64,
    delivered_to: MessageId,
}

impl Reference {
    pub(super) fn new(rules: Rules) -> Reference {
        Reference { rules, ..Reference::default() }
    }

    pub(super) fn publish(&mut self, id: MessageId, durable: bool, size: usize) {
        let doubled = self.ready.insert(id, Known { durable, size, redelivered: false });
        assert!(doubled.is_none());
    }

    pub(super) fn consume(&mut self, id: ConsumerId, wish: Wish) -> Result<(), ConsumeError> {
        let single = self.rules.single_active_consumer;
        let taken = self.members.iter().any(|member| member.wish.exclusive);
        if taken || wish.exclusive && (single || !self.members.is_empty()) {
            return Err(ConsumeError::InExclusiveUse);
        }
        self.members.push(Member {
            id,
            wish,
            unacked: 0,
            window_messages: 0,
            window_bytes: 0,
            waits_since: None,
        });
        self.choose_active();
        self.wait(id);
        Ok(())
    }

    pub(super) fn cancel(&mut self, id: ConsumerId) {
        self.members.retain(|member| member.id != id);
        self.choose_active();
    }

    pub(super) fn close_channel(&mut self, channel: u64) {
        self.members.retain(|member| member.wish.channel != channel);
        self.choose_active();
        for (_, held) in self.unacked.remove(&channel).unwrap_or_default() {
            self.give_back(held);
        }
    }

    /// Settles one delivery; tells which message has left the queue by it.
    pub(super) fn settle(
        &mut self,
        channel: u64,
        number: u64,
        outcome: Outcome,
    ) -> Option<MessageId> {
        let held = self.unacked.get_mut(&channel).and_then(|held| held.remove(&number));
        let held = held.expect("only what is unsettled is settled");
        if let Some(consumer) = held.consumer {
            if let Some(member) = self.members.iter_mut().find(|member| member.id == consumer) {
                member.unacked -= 1;
            }
            self.wait(consumer);
        }
        if outcome == Outcome::Requeue {
            self.give_back(held);
            return None;
        }
        Some(held.id)
    }

    /// Empties a consumer's window; tells what was in it.
    pub(super) fn window_freed(&mut self, id: ConsumerId) -> (u32, usize) {
        let member = self.members.iter_mut().find(|member| member.id == id);
        let freed = member.map(|member| {
            let messages = std::mem::take(&mut member.window_messages);
            (messages, std::mem::take(&mut member.window_bytes))
        });
        self.wait(id);
        freed.unwrap_or_default()
    }

    pub(super) fn purge(&mut self) -> Vec<MessageId> {
        std::mem::take(&mut self.ready).into_keys().collect()
    }

    /// The consumer that must get the next message, if there is one and any may have it.
    pub(super) fn next_turn(&self) -> Option<Turn> {
        if self.ready.is_empty() {
            return None;
        }
        let waiting = self.members.iter().filter(|member| member.waits_since.is_some());
        let next = waiting.min_by_key(|member| (-member.wish.priority, member.waits_since))?;
        let Wish { channel, no_ack, .. } = next.wish;
        Some(Turn { consumer: next.id, channel, no_ack })
    }

    /// Takes the message that must be next.
    pub(super) fn take_message(&mut self) -> Option<(MessageId, Known)> {
        let (id, known) = self.ready.pop_first()?;
        self.delivered_to = self.delivered_to.max(id);
        Some((id, known))
    }

    /// Counts a delivery against its consumer, which then waits behind its equals.
    pub(super) fn took_turn(&mut self, turn: Turn, size: usize) {
        let found = self.members.iter_mut().find(|member| member.id == turn.consumer);
        let member = found.expect("turns are given to members");
        member.unacked += u32::from(!turn.no_ack);
        member.window_messages += 1;
        member.window_bytes += size;
        member.waits_since = None;
        self.wait(turn.consumer);
    }

    /// Remembers a delivery that is to be settled.
    pub(super) fn hold(
        &mut self,
        channel: u64,
        number: u64,
        (id, known): (MessageId, Known),
        consumer: Option<ConsumerId>,
    ) {
        let held = Held { id, known, consumer };
        let doubled = self.unacked.entry(channel).or_default().insert(number, held);
        assert!(doubled.is_none(), "two unsettled deliveries of a channel have one number");
    }

    /// The broker starts again with what is durable; up to `delivered_to` it may have been seen.
    pub(super) fn restart(&mut self, delivered_to: MessageId) {
        let unacked = std::mem::take(&mut self.unacked);
        for held in unacked.into_values().flat_map(BTreeMap::into_values) {
            self.give_back(held);
        }
        self.ready.retain(|_, known| known.durable);
        for (id, known) in &mut self.ready {
            assert!(!known.redelivered || *id <= delivered_to, "{id} was delivered before");
            known.redelivered = *id <= delivered_to;
        }
        *self = Reference {
            rules: self.rules,
            ready: std::mem::take(&mut self.ready),
            delivered_to,
            ..Reference::default()
        };
    }

    pub(super) fn ready_ids(&self) -> Vec<MessageId> {
        self.ready.keys().copied().collect()
    }

    pub(super) fn known(&self, id: MessageId) -> Option<&Known> {
        self.ready.get(&id)
    }

    pub(super) fn ready_count(&self) -> usize {
        self.ready.len()
    }

    pub(super) fn unacked_count(&self) -> usize {
        self.unacked.values().map(BTreeMap::len).sum()
    }

    /// The unsettled deliveries of a channel, oldest first.
    pub(super) fn unsettled(&self, channel: u64) -> Vec<u64> {
        let held = self.unacked.get(&channel);
        held.map(|held| held.keys().copied().collect()).unwrap_or_default()
    }

    pub(super) fn consumers(&self) -> Vec<ConsumerId> {
        self.members.iter().map(|member| member.id).collect()
    }

    pub(super) fn delivered_to(&self) -> MessageId {
        self.delivered_to
    }

    /// What all its messages would cost in memory, in bytes.
    pub(super) fn memory(&self) -> usize {
        let held = self.unacked.values().flat_map(BTreeMap::values).map(|held| held.known);
        self.ready.values().copied().chain(held).map(|k| k.size + MESSAGE_OVERHEAD_BYTES).sum()
    }

    fn give_back(&mut self, held: Held) {
        let known = Known { redelivered: true, ..held.known };
        assert!(self.ready.insert(held.id, known).is_none());
    }

    /// A consumer that has room and does not wait yet begins to.
    fn wait(&mut self, id: ConsumerId) {
        let may = !self.rules.single_active_consumer || self.active == Some(id);
        if let Some(member) = self.members.iter_mut().find(|member| member.id == id)
            && may
            && member.waits_since.is_none()
            && member.has_room()
        {
            self.moment += 1;
            member.waits_since = Some(self.moment);
        }
    }

    /// The active consumer stays until it leaves.
    fn choose_active(&mut self) {
        let members = &self.members;
        if members.iter().any(|member| self.active == Some(member.id)) {
            return;
        }
        let highest = members.iter().map(|member| member.wish.priority).max();
        let next = members.iter().find(|member| Some(member.wish.priority) == highest);
        self.active = next.map(|member| member.id);
        if let Some(id) = self.active {
            self.wait(id);
        }
    }
}
