//! A queue's rules, as a plain state machine: no lock, no I/O, no clock. `task.rs` brings it what happened and carries
//! out its [`Effects`].

use std::collections::HashMap;
use std::sync::Arc;

use leveret_persistence::{IdSet, Message, MessageId, Ticket};

use super::consumers::{ConsumeError, Consumer, ConsumerId, ConsumerSpec, Consumers, Delivery};
use super::ready::{Entry, Next, Ready, cost};
use super::unacked::{DeliveryRange, Returned, Session, Unacked};
use crate::connection::ChannelId;
use crate::limits::QUEUE_FLOW_MESSAGES;

/// What becomes of a delivered message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Outcome {
    /// The consumer has dealt with it.
    Ack,
    /// It goes back to its old place, marked as redelivered.
    Requeue,
    /// The consumer refuses it for good.
    Reject,
}

/// What the task has to do for the state machine.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    /// Messages that left the queue and that the store still holds or will hold.
    pub(crate) settled: Vec<MessageId>,
    /// As `settled`, for many at once.
    pub(crate) settled_set: IdSet,
    /// Messages to write so that memory can let them go.
    pub(crate) page_out: Vec<(MessageId, Message)>,
    /// Messages to read back.
    pub(crate) load: Vec<MessageId>,
    /// Consumers to tell that their queue is gone.
    pub(crate) cancelled: Vec<Arc<ConsumerSpec>>,
}

/// The properties of a queue that its rules depend on.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rules {
    /// Deleted when its last consumer leaves.
    pub(crate) auto_delete: bool,
    /// `x-single-active-consumer`.
    pub(crate) single_active_consumer: bool,
}

/// What `basic.get` found.
#[derive(Debug)]
pub(crate) enum Got {
    /// A message, and how many are ready after it.
    Message(Delivery, usize),
    /// None is ready.
    Empty,
    /// The next one is being read from the store: ask again when it has come.
    Loading,
}

/// Why a queue may not be deleted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum DeleteRefusal {
    InUse,
    NotEmpty,
}

/// One queue.
#[derive(Debug, Default)]
pub(crate) struct State {
    rules: Rules,
    ready: Ready,
    sessions: HashMap<ChannelId, Session>,
    unacked_bytes: usize,
    consumers: Consumers,
    had_consumer: bool,
    loading: bool,
    /// The highest id that was ever handed to a client: what a clean stop remembers, so that `redelivered` is exact.
    delivered_to: MessageId,
    /// The first id of the batch being taken in: what stays of it must leave the read buffer it came in.
    batch_first: Option<MessageId>,
    /// What is to be done; the task empties it.
    pub(crate) effects: Effects,
}

impl State {
    /// A queue with the backlog that the store kept for it.
    pub(crate) fn new(rules: Rules, backlog: IdSet, delivered_to: MessageId) -> State {
        State {
            rules,
            ready: Ready::recovered(backlog, delivered_to),
            consumers: Consumers::new(rules.single_active_consumer),
            delivered_to,
            ..State::default()
        }
    }

    /// Messages ready to be delivered.
    pub(crate) fn ready_count(&self) -> usize {
        self.ready.len()
    }

    /// Messages delivered and not settled.
    #[cfg(test)]
    pub(crate) fn unacked_count(&self) -> usize {
        self.sessions.values().map(Session::len).sum()
    }

    pub(crate) fn consumer_count(&self) -> usize {
        self.consumers.len()
    }

    /// See the field.
    pub(crate) fn delivered_to(&self) -> MessageId {
        self.delivered_to
    }

    /// What the messages of this queue cost in memory, in bytes.
    pub(crate) fn memory(&self) -> usize {
        self.ready.bytes() + self.unacked_bytes
    }

    /// Whether publishes had better wait for the consumers; see [`QUEUE_FLOW_MESSAGES`].
    pub(crate) fn is_ahead_of_consumers(&self) -> bool {
        self.ready.len() >= QUEUE_FLOW_MESSAGES && self.consumers.any_behind()
    }

    /// The consumers that publishes have waited for do not read: nothing waits for them any more.
    pub(crate) fn stall_consumers(&mut self) {
        self.consumers.stall();
    }

    /// Whether memory is short only until the store has finished what it was given.
    pub(crate) fn waits_for_store(&self) -> bool {
        self.ready.waits_for_store()
    }

    /// Whether the last consumer of an auto-delete queue has left.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.rules.auto_delete && self.had_consumer && self.consumers.is_empty()
    }

    /// Takes in published messages, in the order of their ids.
    pub(crate) fn publish(&mut self, entries: Vec<Entry>) {
        if let Some(first) = entries.first() {
            let first = self.batch_first.map_or(first.id, |earlier| earlier.min(first.id));
            self.batch_first = Some(first);
        }
        for entry in entries {
            self.ready.push(entry);
        }
    }

    /// A consumer joins; it gets deliveries from the next [`State::dispatch`] on.
    pub(crate) fn consume(&mut self, spec: ConsumerSpec) -> Result<(), ConsumeError> {
        self.consumers.add(spec)?;
        self.had_consumer = true;
        Ok(())
    }

    /// A consumer leaves; what it holds unacknowledged stays with its channel.
    pub(crate) fn cancel(&mut self, id: ConsumerId) {
        self.consumers.remove(|spec| spec.id == id);
    }

    /// A channel closes: its consumers leave and its deliveries go back.
    pub(crate) fn close_channel(&mut self, channel: ChannelId) {
        self.consumers.remove(|spec| spec.channel == channel);
        if let Some(mut session) = self.sessions.remove(&channel) {
            session.take_all(|unacked| {
                self.unacked_bytes -= unacked.message.as_ref().map_or(0, cost);
                give_back(&mut self.ready, unacked);
            });
        }
    }

    /// A channel settles deliveries. `stored`: the store was told already, by a transaction.
    pub(crate) fn settle(
        &mut self,
        channel: ChannelId,
        ranges: &[DeliveryRange],
        outcome: Outcome,
        stored: bool,
    ) {
        let Some(session) = self.sessions.get_mut(&channel) else {
            return;
        };
        // Acknowledgements come in runs for one consumer.
        let mut run: Option<(ConsumerId, u32)> = None;
        for range in ranges {
            session.take(*range, |unacked| {
                self.unacked_bytes -= unacked.message.as_ref().map_or(0, cost);
                match (&mut run, unacked.consumer) {
                    (Some((id, count)), Some(consumer)) if *id == consumer => *count += 1,
                    (_, Some(consumer)) => {
                        if let Some((id, count)) = run.replace((consumer, 1)) {
                            self.consumers.settled(id, count);
                        }
                    }
                    (_, None) => {}
                }
                match outcome {
                    Outcome::Requeue => give_back(&mut self.ready, unacked),
                    Outcome::Ack | Outcome::Reject if unacked.ticket.is_some() && !stored => {
                        self.effects.settled.push(unacked.id);
                    }
                    Outcome::Ack | Outcome::Reject => {}
                }
            });
        }
        if let Some((id, count)) = run {
            self.consumers.settled(id, count);
        }
        // Nothing refers to its numbers any more, and not every channel says good-bye to every queue it has asked.
        if self.sessions.get(&channel).is_some_and(Session::is_empty) {
            self.sessions.remove(&channel);
        }
    }

    /// A connection has taken deliveries from its outbox.
    pub(crate) fn window_freed(&mut self, id: ConsumerId, messages: u32, bytes: usize) {
        self.consumers.window_freed(id, messages, bytes);
    }

    /// A channel's limit over all its consumers may have room again.
    pub(crate) fn channel_freed(&mut self, channel: ChannelId) {
        self.consumers.channel_freed(channel);
    }

    /// One message for `basic.get`.
    pub(crate) fn get(&mut self, channel: ChannelId, no_ack: bool, committed: Ticket) -> Got {
        match self.ready.pop() {
            Next::Empty => Got::Empty,
            Next::InStore => {
                self.want();
                Got::Loading
            }
            Next::Message(entry) => {
                let delivery = self.hand_out(entry, channel, None, no_ack, false, committed);
                Got::Message(delivery, self.ready.len())
            }
        }
    }

    /// Delivers ready messages for as long as a consumer has room. `memory_limit`: what this queue may keep, in bytes.
    pub(crate) fn dispatch(&mut self, memory_limit: usize, committed: Ticket) {
        let mut short_of_memory = self.memory() > memory_limit;
        while self.consumers.any_has_room() {
            let entry = match self.ready.pop() {
                Next::Message(entry) => entry,
                Next::Empty | Next::InStore => break,
            };
            let Some(spec) = self.consumers.take_turn(entry.message.size()) else {
                self.ready.requeue(entry);
                break;
            };
            let delivery = self.hand_out(
                entry,
                spec.channel,
                Some(&spec),
                spec.no_ack,
                short_of_memory,
                committed,
            );
            self.consumers.gather(spec.id, delivery);
            short_of_memory = short_of_memory || self.memory() > memory_limit;
        }
        if self.consumers.any_has_room() {
            self.want();
        }
        if let Some(first) = self.batch_first.take() {
            self.ready.compact_from(first);
        }
        let for_ready = memory_limit.saturating_sub(self.unacked_bytes);
        self.effects.page_out.append(&mut self.ready.page_out(for_ready, committed));
    }

    /// Sends what [`State::dispatch`] gathered.
    pub(crate) fn flush(&mut self, send: impl FnMut(&Arc<ConsumerSpec>, Vec<Delivery>)) {
        self.consumers.flush(send);
    }

    /// The store is writing the messages of [`Effects::page_out`] with `ticket`.
    pub(crate) fn page_out_submitted(&mut self, ids: &[MessageId], ticket: Ticket) {
        self.ready.page_out_submitted(ids, ticket);
    }

    /// The store has answered [`Effects::load`]. Returns the messages that it should have had.
    pub(crate) fn loaded(
        &mut self,
        asked: &[MessageId],
        found: Vec<(MessageId, Message)>,
        committed: Ticket,
    ) -> Vec<MessageId> {
        self.loading = false;
        self.ready.loaded(asked, found, committed)
    }

    /// The store could not answer [`Effects::load`].
    pub(crate) fn load_failed(&mut self) {
        self.loading = false;
    }

    /// Drops all ready messages; returns how many there were.
    pub(crate) fn purge(&mut self) -> usize {
        let (stored, count) = self.ready.purge();
        self.effects.settled_set |= stored;
        count
    }

    /// Whether the queue may be deleted under these conditions. RabbitMQ looks at if-empty first.
    pub(crate) fn may_delete(&self, if_unused: bool, if_empty: bool) -> Result<(), DeleteRefusal> {
        if if_empty && !self.ready.is_empty() {
            Err(DeleteRefusal::NotEmpty)
        } else if if_unused && !self.consumers.is_empty() {
            Err(DeleteRefusal::InUse)
        } else {
            Ok(())
        }
    }

    /// The queue goes: its consumers are to be told. Returns how many messages were ready.
    pub(crate) fn delete(&mut self) -> usize {
        let gone = self.consumers.remove(|_| true);
        self.effects.cancelled.extend(gone.into_iter().map(|Consumer { spec, .. }| spec));
        self.ready.len()
    }

    /// Turns a message into a delivery; remembers it if it needs an acknowledgement.
    fn hand_out(
        &mut self,
        entry: Entry,
        channel: ChannelId,
        consumer: Option<&ConsumerSpec>,
        no_ack: bool,
        short_of_memory: bool,
        committed: Ticket,
    ) -> Delivery {
        self.delivered_to = self.delivered_to.max(entry.id);
        let Entry { id, message, ticket, durable, redelivered } = entry;
        if no_ack {
            if ticket.is_some() {
                self.effects.settled.push(id);
            }
            return Delivery { id, number: 0, redelivered, message };
        }
        let stored = ticket.is_some_and(|ticket| ticket <= committed);
        // It may stay unacknowledged for long: it must not hold the read buffer it came in.
        let kept = (!(short_of_memory && stored)).then(|| message.compact());
        self.unacked_bytes += kept.as_ref().map_or(0, cost);
        let session = self.sessions.entry(channel).or_default();
        let number = session.next_number();
        let consumer = consumer.map(|spec| spec.id);
        session.push(Unacked { id, message: kept, ticket, durable, consumer });
        Delivery { id, number, redelivered, message }
    }

    /// Asks the store for the next messages, once at a time.
    fn want(&mut self) {
        if !self.loading {
            self.effects.load = self.ready.wanted();
            self.loading = !self.effects.load.is_empty();
        }
    }
}

fn give_back(ready: &mut Ready, unacked: Unacked) {
    match unacked.into_returned() {
        Returned::InMemory(entry) => ready.requeue(entry),
        Returned::InStore(id, mark) => ready.requeue_paged(id, mark),
    }
}

#[cfg(test)]
mod tests;
