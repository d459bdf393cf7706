//! Whose turn is it? The consumers of one queue: priority, fairness, prefetch, window, exclusivity, single active consumer.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use leveret_persistence::{Message, MessageId};

use super::rules::Rules;
use crate::connection::{ChannelId, Outbox};
use crate::limits::{CONSUMER_UNACKED_MAX, CONSUMER_WINDOW_BYTES, CONSUMER_WINDOW_MESSAGES};

/// A consumer, unique in the life of the node.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct ConsumerId(pub(crate) u64);

/// What `basic.consume` asked for, and the way to its client.
#[derive(Clone, Debug)]
pub(crate) struct ConsumerSpec {
    pub(crate) id: ConsumerId,
    pub(crate) tag: Arc<str>,
    /// The channel that consumes, and its number on its connection.
    pub(crate) channel: ChannelId,
    pub(crate) channel_number: u16,
    pub(crate) outbox: Outbox,
    pub(crate) no_ack: bool,
    pub(crate) exclusive: bool,
    /// `x-priority`: higher first.
    pub(crate) priority: i64,
    /// Deliveries it may hold unacknowledged; 0 = no limit asked for.
    pub(crate) prefetch: u16,
    /// `x-consumer-timeout` in milliseconds: takes the place of the queue's.
    pub(crate) timeout_ms: Option<u64>,
    /// The channel's limit over all its consumers (`basic.qos` with `global`).
    pub(crate) channel_limit: Arc<ChannelLimit>,
}

/// The prefetch limit of a whole channel, shared by the queues it consumes from; 0 = none.
#[derive(Debug, Default)]
pub(crate) struct ChannelLimit {
    limit: AtomicU32,
    unacked: AtomicU32,
}

impl ChannelLimit {
    /// Sets the limit: it holds for every delivery from now on.
    pub(crate) fn set(&self, limit: u16) {
        self.limit.store(u32::from(limit), Ordering::Relaxed);
    }

    /// Whether there is one: then a settled delivery may let another queue's consumer go on.
    pub(crate) fn is_set(&self) -> bool {
        self.limit.load(Ordering::Relaxed) != 0
    }

    /// Counts deliveries that were settled or went back.
    pub(crate) fn release(&self, count: u32) {
        self.unacked.fetch_sub(count, Ordering::Relaxed);
    }

    /// Counts one delivery, unless that would pass the limit.
    fn take(&self) -> bool {
        let limit = self.limit.load(Ordering::Relaxed);
        let before = self.unacked.fetch_add(1, Ordering::Relaxed);
        let taken = limit == 0 || before < limit;
        if !taken {
            self.unacked.fetch_sub(1, Ordering::Relaxed);
        }
        taken
    }
}

/// A message on its way to a consumer.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) id: MessageId,
    /// Its number in the queue's session with the channel; without meaning for a `no_ack` consumer.
    pub(crate) number: u64,
    pub(crate) redelivered: bool,
    pub(crate) message: Message,
}

/// Who gets a message. Good until a consumer joins or leaves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turn {
    pub(crate) consumer: ConsumerId,
    pub(crate) channel: ChannelId,
    pub(crate) no_ack: bool,
    /// Where it is among the consumers.
    place: usize,
}

/// One consumer and how much it has in hand.
#[derive(Debug)]
pub(crate) struct Consumer {
    pub(crate) spec: Arc<ConsumerSpec>,
    unacked: u32,
    unacked_max: u32,
    window_messages: u32,
    window_bytes: usize,
    /// Deliveries of this batch, sent together.
    out: Vec<Delivery>,
    /// Whether it is in its turn ring.
    in_ring: bool,
    /// Its client has not read for a while: nobody waits for it.
    stalled: bool,
}

impl Consumer {
    fn has_room(&self) -> bool {
        self.has_prefetch() && self.has_window()
    }

    fn has_prefetch(&self) -> bool {
        self.unacked < self.unacked_max
    }

    /// Counts a delivery of `bytes` against it, unless that would pass the limit of its channel.
    #[inline]
    fn take(&mut self, place: usize, bytes: usize) -> Option<Turn> {
        let ConsumerSpec { id, channel, no_ack, .. } = *self.spec;
        if !no_ack && !self.spec.channel_limit.take() {
            return None;
        }
        self.unacked += u32::from(!no_ack);
        self.window_messages += 1;
        self.window_bytes += bytes;
        Some(Turn { consumer: id, channel, no_ack, place })
    }

    fn has_window(&self) -> bool {
        self.window_messages < CONSUMER_WINDOW_MESSAGES && self.window_bytes < CONSUMER_WINDOW_BYTES
    }
}

/// Why a consumer may not join.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum ConsumeError {
    /// The queue has an exclusive consumer, or an exclusive one wants in where others are.
    InExclusiveUse,
    /// The queue went away meanwhile.
    QueueGone,
}

/// The consumers of one queue.
#[derive(Debug, Default)]
pub(crate) struct Consumers {
    /// In order of registration.
    all: Vec<Consumer>,
    /// Who has room, in turn order, by falling priority: places in `all`.
    rings: Vec<(i64, VecDeque<usize>)>,
    single_active: bool,
    active: Option<ConsumerId>,
}

impl Consumers {
    pub(crate) fn new(single_active: bool) -> Consumers {
        Consumers { single_active, ..Consumers::default() }
    }

    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Whether someone would take more if only its connection came round to it.
    pub(crate) fn any_behind(&self) -> bool {
        let waits = |c: &Consumer| !self.single_active || self.active == Some(c.spec.id);
        self.all.iter().any(|c| waits(c) && !c.stalled && !c.has_window() && c.has_prefetch())
    }

    /// Those that are behind have taken nothing for a while: their clients do not read.
    pub(crate) fn stall(&mut self) {
        for consumer in self.all.iter_mut().filter(|consumer| !consumer.has_window()) {
            consumer.stalled = true;
        }
    }

    /// Adds a consumer; it takes its turn after those that are there.
    pub(crate) fn add(&mut self, spec: ConsumerSpec) -> Result<(), ConsumeError> {
        let taken = self.all.iter().any(|consumer| consumer.spec.exclusive);
        let crowded = spec.exclusive && (self.single_active || !self.all.is_empty());
        if taken || crowded {
            return Err(ConsumeError::InExclusiveUse);
        }
        let unacked_max = match (spec.no_ack, spec.prefetch) {
            (true, _) => u32::MAX,
            (false, 0) => CONSUMER_UNACKED_MAX,
            (false, prefetch) => u32::from(prefetch),
        };
        self.all.push(Consumer {
            spec: Arc::new(spec),
            unacked: 0,
            unacked_max,
            window_messages: 0,
            window_bytes: 0,
            out: Vec::new(),
            in_ring: false,
            stalled: false,
        });
        self.choose_active();
        self.rejoin(self.all.len() - 1);
        Ok(())
    }

    /// Removes every consumer that `leaves`, with the deliveries it has not been sent yet.
    pub(crate) fn remove(&mut self, leaves: impl Fn(&ConsumerSpec) -> bool) -> Vec<Consumer> {
        let mut gone = Vec::new();
        // Where those that stay are from now on, by where they were.
        let mut places = Vec::with_capacity(self.all.len());
        for consumer in std::mem::take(&mut self.all) {
            if leaves(&consumer.spec) {
                places.push(None);
                self.active = self.active.filter(|active| *active != consumer.spec.id);
                gone.push(consumer);
            } else {
                places.push(Some(self.all.len()));
                self.all.push(consumer);
            }
        }
        for (_, ring) in &mut self.rings {
            *ring = ring.iter().filter_map(|place| places.get(*place).copied().flatten()).collect();
        }
        // Any integer is a priority: those that have come and gone must not add up.
        self.rings.retain(|(_, ring)| !ring.is_empty());
        self.choose_active();
        gone
    }

    /// The consumer whose turn it is, if any has room; counts one delivery of `bytes` against it.
    #[inline]
    pub(crate) fn take_turn(&mut self, bytes: usize) -> Option<Turn> {
        for (_, ring) in &mut self.rings {
            while let Some(&place) = ring.front() {
                let consumer = self.all.get_mut(place)?;
                let turn = consumer.take(place, bytes);
                consumer.in_ring = turn.is_some() && consumer.has_room();
                if !consumer.in_ring {
                    ring.pop_front();
                } else if ring.len() > 1 {
                    ring.rotate_left(1);
                }
                if turn.is_some() {
                    return turn;
                }
            }
        }
        None
    }

    /// The consumer of this id, if it has room; counts one delivery of `bytes` against it. Its turn stays what it was.
    pub(crate) fn take_turn_of(&mut self, id: ConsumerId, bytes: usize) -> Option<Turn> {
        let place = self.place_of(id)?;
        let consumer = self.all.get_mut(place).filter(|consumer| consumer.in_ring)?;
        let turn = consumer.take(place, bytes)?;
        if !consumer.has_room() {
            consumer.in_ring = false;
            for (_, ring) in &mut self.rings {
                ring.retain(|other| *other != place);
            }
        }
        Some(turn)
    }

    /// How many messages the consumers would take now.
    pub(crate) fn capacity(&self) -> u64 {
        let with_room = self.all.iter().filter(|consumer| consumer.in_ring);
        let room = with_room.map(|consumer| {
            let window = CONSUMER_WINDOW_MESSAGES - consumer.window_messages;
            u64::from(window.min(consumer.unacked_max - consumer.unacked))
        });
        room.sum()
    }

    /// How long a consumer may hold a message, in milliseconds.
    pub(crate) fn timeout(&self, id: ConsumerId, rules: &Rules) -> Option<u64> {
        let consumer = self.all.iter().find(|consumer| consumer.spec.id == id)?;
        consumer.spec.timeout_ms.or(rules.consumer_timeout_ms)
    }

    /// The shortest such time of any consumer.
    pub(crate) fn shortest_timeout(&self, rules: &Rules) -> Option<u64> {
        let each = self.all.iter().filter_map(|consumer| consumer.spec.timeout_ms);
        each.chain(rules.consumer_timeout_ms).min()
    }

    /// Whether any consumer is limited in that.
    pub(crate) fn any_timeout(&self, rules: &Rules) -> bool {
        let limited = |consumer: &Consumer| consumer.spec.timeout_ms.is_some();
        rules.consumer_timeout_ms.is_some() || self.all.iter().any(limited)
    }

    /// Whether anyone has room for a message.
    pub(crate) fn any_has_room(&self) -> bool {
        self.rings.iter().any(|(_, ring)| !ring.is_empty())
    }

    /// The client's connection has taken `messages` with `bytes` from its outbox.
    pub(crate) fn window_freed(&mut self, id: ConsumerId, messages: u32, bytes: usize) {
        if let Some((place, consumer)) = self.find(id) {
            consumer.window_messages = consumer.window_messages.saturating_sub(messages);
            consumer.window_bytes = consumer.window_bytes.saturating_sub(bytes);
            consumer.stalled = false;
            self.rejoin(place);
        }
    }

    /// A delivery to the consumer was settled.
    pub(crate) fn settled(&mut self, id: ConsumerId, count: u32) {
        if let Some((place, consumer)) = self.find(id) {
            consumer.unacked = consumer.unacked.saturating_sub(count);
            self.rejoin(place);
        }
    }

    /// The channel's own limit may have room again.
    pub(crate) fn channel_freed(&mut self, channel: ChannelId) {
        for place in 0..self.all.len() {
            if self.all.get(place).is_some_and(|consumer| consumer.spec.channel == channel) {
                self.rejoin(place);
            }
        }
    }

    /// Adds to the deliveries that the next [`Consumers::flush`] sends to a consumer.
    #[inline]
    pub(crate) fn gather(&mut self, turn: Turn, delivery: Delivery) {
        if let Some(consumer) = self.all.get_mut(turn.place) {
            consumer.out.push(delivery);
        }
    }

    /// Hands each consumer's gathered deliveries to `send`.
    pub(crate) fn flush(&mut self, mut send: impl FnMut(&Arc<ConsumerSpec>, Vec<Delivery>)) {
        for consumer in &mut self.all {
            if !consumer.out.is_empty() {
                send(&consumer.spec, std::mem::take(&mut consumer.out));
            }
        }
    }

    fn place_of(&self, id: ConsumerId) -> Option<usize> {
        self.all.iter().position(|consumer| consumer.spec.id == id)
    }

    fn find(&mut self, id: ConsumerId) -> Option<(usize, &mut Consumer)> {
        let place = self.place_of(id)?;
        Some((place, self.all.get_mut(place)?))
    }

    fn rejoin(&mut self, joining: usize) {
        let Some(consumer) = self.all.get_mut(joining) else {
            return;
        };
        let waits = self.single_active && self.active != Some(consumer.spec.id);
        if consumer.in_ring || waits || !consumer.has_room() {
            return;
        }
        consumer.in_ring = true;
        let priority = consumer.spec.priority;
        let place = self.rings.partition_point(|(other, _)| *other > priority);
        match self.rings.get_mut(place) {
            Some((other, ring)) if *other == priority => ring.push_back(joining),
            _ => self.rings.insert(place, (priority, VecDeque::from([joining]))),
        }
    }

    /// RabbitMQ's classic queues: the active consumer stays until it leaves; then the next in order of priority,
    /// then of registration, takes over.
    fn choose_active(&mut self) {
        if !self.single_active || self.active.is_some() {
            return;
        }
        let next = self.all.iter().rev().max_by_key(|consumer| consumer.spec.priority);
        self.active = next.map(|consumer| consumer.spec.id);
        if let Some(place) = self.active.and_then(|id| self.place_of(id)) {
            self.rejoin(place);
        }
    }
}

#[cfg(test)]
mod tests;
