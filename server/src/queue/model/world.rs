//! The state machine with a store and clients around it, and the reference that sees the same and checks everything.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use leveret_persistence::{IdSet, Message, MessageId};
use proptest::sample::Index;

use crate::connection::{ChannelId, Outbox};
use crate::queue::consumers::{ConsumerId, ConsumerSpec, Delivery};
use crate::queue::ready::Entry;
use crate::queue::state::{Got, Rules, State};
use crate::queue::unacked::DeliveryRange;

use super::reference::{Known, Reference};
use super::store::FakeStore;
use super::{CHANNELS, Published, Settled, Step, Wish};

pub(super) struct World {
    rules: Rules,
    memory_limit: usize,
    /// Nothing was ever paged out or recovered.
    is_all_in_memory: bool,
    state: State,
    reference: Reference,
    store: FakeStore,
    last_id: MessageId,
    /// Ids whose messages other connections have not sent yet.
    overtaken: VecDeque<MessageId>,
    last_consumer: u64,
    /// The read under way.
    read: Option<Vec<MessageId>>,
    /// `basic.get`s that wait for it.
    gets: VecDeque<(u64, bool)>,
    /// Messages that have left the queue since the state machine last told which the store may forget.
    left: Vec<MessageId>,
}

impl World {
    pub(super) fn new(rules: Rules, memory_limit: usize) -> World {
        World {
            rules,
            memory_limit,
            is_all_in_memory: memory_limit == usize::MAX,
            state: State::new(rules, IdSet::new(), 0),
            reference: Reference::new(rules),
            store: FakeStore::default(),
            last_id: 0,
            overtaken: VecDeque::new(),
            last_consumer: 0,
            read: None,
            gets: VecDeque::new(),
            left: Vec::new(),
        }
    }

    pub(super) fn take(&mut self, step: Step) {
        match step {
            Step::Publish(published) => self.publish(published),
            Step::Consume(wish) => self.consume(wish),
            Step::Cancel { consumer } => {
                if let Some(id) = self.pick(consumer) {
                    self.state.cancel(id);
                    self.reference.cancel(id);
                }
            }
            Step::CloseChannel { channel } => self.close_channel(channel),
            Step::Settle(settled) => self.settle(&settled),
            Step::Get { channel, no_ack } => {
                self.gets.push_back((channel, no_ack));
                self.answer_gets();
            }
            Step::Purge => {
                let purged = self.reference.purge();
                assert_eq!(self.state.purge(), purged.len());
                self.left.extend(purged);
            }
            Step::WindowFreed { consumer } => {
                if let Some(id) = self.pick(consumer) {
                    self.window_freed(id);
                }
            }
            Step::Commit { submissions } => self.store.commit(submissions),
            Step::Read => self.answer_read(),
            Step::ReadFails => {
                if self.read.take().is_some() {
                    self.state.load_failed();
                    self.answer_gets();
                }
            }
            Step::Restart { clean } => self.restart(clean),
        }
    }

    /// What the task does after every batch of commands.
    pub(super) fn deliver(&mut self) {
        self.state.dispatch(self.memory_limit, self.store.committed());
        let mut sent: HashMap<ConsumerId, VecDeque<Delivery>> = HashMap::new();
        self.state.flush(|spec, messages| {
            let doubled = sent.insert(spec.id, messages.into());
            assert!(doubled.is_none(), "a flush sends to each consumer once");
        });
        let count: usize = sent.values().map(VecDeque::len).sum();
        for _ in 0..count {
            let turn = self.reference.next_turn().expect("nobody may have another message");
            let delivery = sent.get_mut(&turn.consumer).and_then(VecDeque::pop_front);
            let delivery = delivery.expect("another consumer was given the message");
            let message = self.reference.take_message().expect("a turn is for a message");
            check(&delivery, message);
            self.reference.took_turn(turn, message.1.size);
            self.handed_out(turn.channel, turn.no_ack, &delivery, message, Some(turn.consumer));
        }
        self.carry_out();
        let stuck = self.reference.next_turn().is_some() && self.read.is_none();
        assert!(!stuck, "a consumer waits, a message waits, and nothing is being read");
        self.check_counts();
    }

    /// Takes everything out; then nothing may be left anywhere.
    pub(super) fn drain(&mut self) {
        self.gets.clear();
        for channel in CHANNELS {
            self.close_channel(channel);
        }
        self.store.commit_all();
        self.deliver();
        let all = Wish { channel: 0, no_ack: true, exclusive: false, priority: 0, prefetch: 0 };
        self.consume(all);
        while self.reference.ready_count() > 0 {
            self.deliver();
            self.answer_read();
            self.window_freed(ConsumerId(self.last_consumer));
            self.store.commit_all();
        }
        self.deliver();
        self.close_channel(0);
        assert_eq!((self.state.ready_count(), self.state.unacked_count()), (0, 0));
        assert_eq!(self.state.memory(), 0);
        assert!(self.store.restart().is_empty(), "settled messages are still in the store");
    }

    fn publish(&mut self, published: Published) {
        let Published { messages, overtakes, late } = published;
        for _ in 0..overtakes {
            self.last_id += 1;
            self.overtaken.push_back(self.last_id);
        }
        let mut batch = Vec::new();
        for (durable, size) in messages {
            let overtaken = late.then(|| self.overtaken.pop_front()).flatten();
            let id = overtaken.unwrap_or_else(|| {
                self.last_id += 1;
                self.last_id
            });
            batch.push((id, durable, message(id, size)));
        }
        let stored = batch.iter().filter(|(_, durable, _)| *durable);
        let stored = stored.map(|(id, _, message)| (*id, message.clone())).collect::<Vec<_>>();
        let ticket = (!stored.is_empty()).then(|| self.store.publish(stored, true));
        for (id, durable, message) in &batch {
            self.reference.publish(*id, *durable, message.size());
        }
        let entries = batch.into_iter().map(|(id, durable, message)| Entry {
            id,
            message,
            ticket: ticket.filter(|_| durable),
            durable,
            redelivered: false,
        });
        self.state.publish(entries.collect());
    }

    fn consume(&mut self, wish: Wish) {
        self.last_consumer += 1;
        let id = ConsumerId(self.last_consumer);
        let spec = ConsumerSpec {
            id,
            tag: "consumer".into(),
            channel: channel_id(wish.channel),
            channel_number: 1,
            outbox: Outbox::new().0,
            no_ack: wish.no_ack,
            exclusive: wish.exclusive,
            priority: wish.priority,
            prefetch: wish.prefetch,
            channel_limit: Arc::default(),
        };
        assert_eq!(self.state.consume(spec), self.reference.consume(id, wish));
    }

    fn window_freed(&mut self, id: ConsumerId) {
        let (messages, bytes) = self.reference.window_freed(id);
        self.state.window_freed(id, messages, bytes);
    }

    fn close_channel(&mut self, channel: u64) {
        self.state.close_channel(channel_id(channel));
        self.reference.close_channel(channel);
    }

    fn settle(&mut self, settled: &Settled) {
        let Settled { channel, outcome, by_transaction, .. } = *settled;
        let mut numbers = Vec::new();
        for delivery in &settled.deliveries {
            let mut left = self.reference.unsettled(channel);
            left.retain(|number| !numbers.contains(number));
            if left.is_empty() {
                break;
            }
            let place = delivery.index(left.len());
            let first = if settled.multiple { 0 } else { place };
            numbers.extend_from_slice(&left[first..=place]);
        }
        self.state.settle(channel_id(channel), &ranges(&numbers), outcome, by_transaction);
        let gone =
            numbers.iter().filter_map(|number| self.reference.settle(channel, *number, outcome));
        let gone = gone.collect::<Vec<_>>();
        if by_transaction {
            self.store.settle(gone.into_iter().filter(|id| self.store.owes(*id)).collect());
        } else {
            self.left.extend(gone);
        }
    }

    fn answer_gets(&mut self) {
        while let Some((channel, no_ack)) = self.gets.pop_front() {
            match self.state.get(channel_id(channel), no_ack, self.store.committed()) {
                Got::Message(delivery, left) => {
                    let message = self.reference.take_message().expect("a message was there");
                    check(&delivery, message);
                    assert_eq!(left, self.reference.ready_count());
                    self.handed_out(channel, no_ack, &delivery, message, None);
                }
                Got::Empty => assert_eq!(self.reference.ready_count(), 0),
                Got::Loading => {
                    self.gets.push_front((channel, no_ack));
                    let asks = self.read.is_some() || !self.state.effects.load.is_empty();
                    assert!(asks, "a get waits for a read that is not under way");
                    return;
                }
            }
        }
    }

    fn handed_out(
        &mut self,
        channel: u64,
        no_ack: bool,
        delivery: &Delivery,
        message: (MessageId, Known),
        consumer: Option<ConsumerId>,
    ) {
        if no_ack {
            self.left.push(message.0);
        } else {
            self.reference.hold(channel, delivery.number, message, consumer);
        }
    }

    fn answer_read(&mut self) {
        if let Some(asked) = self.read.take() {
            let found = self.store.read(&asked);
            let missing = self.state.loaded(&asked, found, self.store.committed());
            assert_eq!(missing, [] as [MessageId; 0]);
            self.answer_gets();
        }
    }

    fn restart(&mut self, clean: bool) {
        self.carry_out();
        let delivered_to = if clean { self.state.delivered_to() } else { self.last_id };
        let backlog = self.store.restart();
        self.reference.restart(delivered_to);
        assert_eq!(backlog.iter().collect::<Vec<_>>(), self.reference.ready_ids());
        self.is_all_in_memory = false;
        self.state = State::new(self.rules, backlog, delivered_to);
        self.read = None;
        self.gets.clear();
    }

    fn carry_out(&mut self) {
        let effects = std::mem::take(&mut self.state.effects);
        let mut settled = effects.settled;
        settled.extend(effects.settled_set);
        let mut due = std::mem::take(&mut self.left);
        due.retain(|id| self.store.owes(*id));
        settled.sort_unstable();
        due.sort_unstable();
        assert_eq!(settled, due, "what the store may forget");
        self.store.settle(settled);
        for (id, message) in &effects.page_out {
            let known = self.reference.known(*id).expect("only ready messages are paged out");
            assert!(!known.durable, "{id} is in the store without being paged out");
            check_body(*id, known.size, message);
        }
        let ids = effects.page_out.iter().map(|(id, _)| *id).collect::<Vec<_>>();
        let ticket = self.store.publish(effects.page_out, false);
        self.state.page_out_submitted(&ids, ticket);
        if !effects.load.is_empty() {
            assert!(self.read.is_none(), "one read at a time");
            for id in &effects.load {
                let gone = self.reference.known(*id).is_none();
                assert!(gone || self.store.has(*id), "{id} is not in the store yet");
            }
            self.read = Some(effects.load);
        }
        assert!(effects.cancelled.is_empty());
    }

    fn check_counts(&self) {
        assert_eq!(self.state.ready_count(), self.reference.ready_count());
        assert_eq!(self.state.unacked_count(), self.reference.unacked_count());
        assert_eq!(self.state.consumer_count(), self.reference.consumers().len());
        assert_eq!(self.state.delivered_to(), self.reference.delivered_to());
        match self.is_all_in_memory {
            true => assert_eq!(self.state.memory(), self.reference.memory()),
            false => assert!(self.state.memory() <= self.reference.memory()),
        }
    }

    fn pick(&self, consumer: Index) -> Option<ConsumerId> {
        let consumers = self.reference.consumers();
        (!consumers.is_empty()).then(|| *consumer.get(&consumers))
    }
}

fn channel_id(channel: u64) -> ChannelId {
    ChannelId { serial: channel, number: 1 }
}

/// A message that tells its id.
fn message(id: MessageId, size: usize) -> Message {
    let body = id.to_be_bytes().into_iter().cycle().take(size).collect::<Vec<_>>();
    Message::new(b"", b"", b"", &body)
}

fn check(delivery: &Delivery, (id, known): (MessageId, Known)) {
    assert_eq!((delivery.id, delivery.redelivered), (id, known.redelivered));
    check_body(id, known.size, &delivery.message);
}

fn check_body(id: MessageId, size: usize, found: &Message) {
    assert!(*found == message(id, size), "the body of another message than {id}");
}

/// Joins numbers into runs, as a channel does.
fn ranges(numbers: &[u64]) -> Vec<DeliveryRange> {
    let mut ranges: Vec<DeliveryRange> = Vec::new();
    for &number in numbers {
        match ranges.last_mut() {
            Some(range) if range.last + 1 == number => range.last = number,
            _ => ranges.push(DeliveryRange { first: number, last: number }),
        }
    }
    ranges
}
