//! The state machine with a clock, a store, other queues and clients around it, and the reference that sees the same.
//! What has to hold then is in `checks`.

mod checks;

use std::collections::{HashMap, VecDeque};

use amq_protocol::protocol::BasicProperties;
use amq_protocol::types::{AMQPValue, FieldTable};
use leveret_persistence::{Message, MessageId};
use proptest::sample::Index;

use crate::queue::consumers::{ConsumerId, ConsumerSpec, Delivery};
use crate::queue::delay::X_DELAY;
use crate::queue::dispatch::Moment;
use crate::queue::dying::Leaving;
use crate::queue::entry::{Entry, NEVER};
use crate::queue::recovered::Backlog;
use crate::queue::rules::{Keeps, Rules};
use crate::queue::state::{Got, Outcome, State};
use crate::queue::testing::{self, channel};
use crate::queue::unacked::DeliveryRange;

use super::reference::{Known, Reference};
use super::store::FakeStore;
use super::{CHANNELS, Published, Sent, Settled, Step, Wish};
use checks::check_body;

/// When it all begins, in milliseconds since the Unix epoch.
const BEGIN_MS: u64 = 1_000_000;

pub(super) struct World {
    rules: Rules,
    memory_limit: usize,
    /// Nothing was ever paged out or recovered.
    is_all_in_memory: bool,
    now_ms: u64,
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
    /// What is on its way to other queues.
    moving: Vec<Leaving>,
}

impl World {
    pub(super) fn new(rules: Rules, memory_limit: usize) -> World {
        World {
            memory_limit,
            is_all_in_memory: memory_limit == usize::MAX,
            now_ms: BEGIN_MS,
            state: State::new(rules.clone(), Backlog::default(), BEGIN_MS),
            reference: Reference::new(rules.clone()),
            rules,
            store: FakeStore::default(),
            last_id: 0,
            overtaken: VecDeque::new(),
            last_consumer: 0,
            read: None,
            gets: VecDeque::new(),
            moving: Vec::new(),
        }
    }

    pub(super) fn take(&mut self, step: Step) {
        match step {
            Step::Publish(published) => self.publish(published),
            Step::Consume(wish) => self.consume(wish),
            Step::Cancel { consumer } => {
                if let Some(id) = self.pick(consumer) {
                    self.state.cancel(id, self.now_ms);
                    self.reference.turns.leave(|other, _| other == id);
                }
            }
            Step::CloseChannel { channel } => self.close_channel(channel),
            Step::Settle(settled) => self.settle(&settled),
            Step::SettleLate { channel: serial, outcome } => {
                let late = ranges(self.reference.late(serial));
                self.state.settle(channel(serial), &late, outcome, false, self.now_ms);
            }
            Step::Get { channel, no_ack } => {
                self.gets.push_back((channel, no_ack));
                self.answer_gets();
            }
            Step::Purge => assert_eq!(self.state.purge(), self.reference.purge()),
            Step::WindowFreed { consumer } => {
                if let Some(id) = self.pick(consumer) {
                    self.window_freed(id);
                }
            }
            Step::Arrive { refused } => self.arrive(refused),
            Step::Commit { submissions } => self.store.commit(submissions),
            Step::Read { messages } => self.answer_read(messages),
            Step::ReadFails => {
                if self.read.take().is_some() {
                    self.state.load_failed();
                    self.answer_gets();
                }
            }
            Step::Pass { ms } => self.now_ms += ms,
            Step::PassToDeadline => self.pass_to_deadline(),
            Step::Rest => self.rest(),
            Step::Restart { clean } => self.restart(clean),
        }
    }

    /// What the task does after every batch of commands.
    pub(super) fn deliver(&mut self) {
        self.state.dispatch(self.moment());
        let mut sent: HashMap<ConsumerId, VecDeque<Delivery>> = HashMap::new();
        self.state.flush(|spec, messages| {
            let doubled = sent.insert(spec.id, messages.into());
            assert!(doubled.is_none(), "a flush sends to each consumer once");
        });
        if self.reference.release_due(self.now_ms) {
            self.is_all_in_memory = false;
        }
        for spec in std::mem::take(&mut self.state.effects.timed_out) {
            self.reference.timed_out(spec.id, self.now_ms);
        }
        let count: usize = sent.values().map(VecDeque::len).sum();
        for _ in 0..count {
            let turn = self.reference.turns.next().expect("nobody may have another message");
            let delivery = sent.get_mut(&turn.consumer).and_then(VecDeque::pop_front);
            let delivery = delivery.expect("another consumer was given the message");
            let message =
                self.reference.take_message(self.now_ms).expect("a turn is for a message");
            self.check(&delivery, message);
            self.reference.turns.took(turn, message.1.size);
            self.handed_out(turn.channel, turn.no_ack, &delivery, message, Some(turn.consumer));
        }
        self.reference.dispatched();
        self.notice_departures();
        self.carry_out();
        self.send_off();
        self.check_progress();
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
        let all = Wish {
            channel: 0,
            no_ack: true,
            exclusive: false,
            priority: 0,
            prefetch: 0,
            timeout_ms: None,
        };
        self.consume(all);
        let mut rounds = 0;
        while self.left_count() > 0 {
            self.deliver();
            self.answer_read(usize::MAX);
            self.window_freed(ConsumerId(self.last_consumer));
            self.arrive(0);
            self.store.commit_all();
            self.pass_to_deadline();
            rounds += 1;
            assert!(rounds < 1000, "it goes round and round with {} messages", self.left_count());
        }
        self.deliver();
        self.close_channel(0);
        assert_eq!((self.state.ready_count(), self.state.unacked_count()), (0, 0));
        assert_eq!(self.state.memory(), 0);
        assert!(self.store.restart().is_empty(), "settled messages are still in the store");
    }

    fn left_count(&self) -> usize {
        let reference = &self.reference;
        reference.ready_count() + reference.waiting_count() + reference.dying_count()
    }

    fn moment(&self) -> Moment {
        let (now_ms, memory_limit) = (self.now_ms, self.memory_limit);
        Moment { now_ms, committed: self.store.committed(), memory_limit }
    }

    fn pass_to_deadline(&mut self) {
        if let Some(deadline) = self.state.next_deadline() {
            self.now_ms = self.now_ms.max(deadline);
        }
    }

    fn publish(&mut self, published: Published) {
        let Published { messages, overtakes, late } = published;
        for _ in 0..overtakes {
            self.last_id += 1;
            self.overtaken.push_back(self.last_id);
        }
        let mut batch = Vec::new();
        for sent in messages {
            let overtaken = late.then(|| self.overtaken.pop_front()).flatten();
            let id = overtaken.unwrap_or_else(|| {
                self.last_id += 1;
                self.last_id
            });
            let message = message(id, sent, self.now_ms);
            self.reference.publish(id, self.known(sent, &message));
            batch.push((id, sent.durable, message));
        }
        let stored = batch.iter().filter(|(_, durable, _)| *durable);
        let stored = stored.map(|(id, _, message)| (*id, message.clone())).collect::<Vec<_>>();
        let ticket = (!stored.is_empty()).then(|| self.store.publish(stored, true));
        let entries = batch.into_iter().map(|(id, durable, message)| {
            let ticket = ticket.filter(|_| durable);
            Entry { ticket, ..Entry::published(id, message, durable) }
        });
        self.state.publish(entries.collect());
    }

    fn known(&self, sent: Sent, message: &Message) -> Known {
        let rules = &self.rules;
        let ttl = [rules.ttl_ms, sent.expiration_ms].into_iter().flatten().min();
        let is_for_clients = rules.keeps == Keeps::ForClients;
        let ttl = ttl.filter(|_| is_for_clients);
        let priority = sent.priority.unwrap_or(rules.default_priority).min(rules.max_priority);
        Known {
            durable: sent.durable,
            size: message.size(),
            body: sent.body,
            expires_ms: ttl.map_or(NEVER, |ttl| self.now_ms + ttl),
            due_ms: self.now_ms + sent.expiration_ms.unwrap_or(0),
            priority: if is_for_clients { priority } else { 0 },
            ..Known::default()
        }
    }

    fn consume(&mut self, wish: Wish) {
        self.last_consumer += 1;
        let id = ConsumerId(self.last_consumer);
        let spec = ConsumerSpec {
            no_ack: wish.no_ack,
            exclusive: wish.exclusive,
            priority: wish.priority,
            prefetch: wish.prefetch,
            timeout_ms: wish.timeout_ms,
            ..testing::spec(id.0, channel(wish.channel))
        };
        assert_eq!(self.state.consume(spec), self.reference.turns.join(id, wish));
    }

    fn window_freed(&mut self, id: ConsumerId) {
        let (messages, bytes) = self.reference.turns.window_freed(id);
        self.state.window_freed(id, messages, bytes);
    }

    fn close_channel(&mut self, serial: u64) {
        self.state.close_channel(channel(serial), self.now_ms);
        self.reference.close_channel(serial);
    }

    fn settle(&mut self, settled: &Settled) {
        let Settled { channel: serial, outcome, by_transaction, .. } = *settled;
        let mut numbers = Vec::new();
        for delivery in &settled.deliveries {
            let mut left = self.reference.unsettled(serial);
            left.retain(|number| !numbers.contains(number));
            if left.is_empty() {
                break;
            }
            let place = delivery.index(left.len());
            let first = if settled.multiple { 0 } else { place };
            numbers.extend_from_slice(&left[first..=place]);
        }
        let is_told = by_transaction && outcome == Outcome::Ack;
        if is_told {
            // What has left before is the queue's to tell.
            self.carry_out();
        }
        let ranges = ranges(&numbers);
        self.state.settle(channel(serial), &ranges, outcome, by_transaction, self.now_ms);
        for number in numbers {
            self.reference.settle(serial, number, outcome, self.now_ms);
        }
        if is_told {
            let gone = self.reference.take_left().into_iter();
            self.store.settle(gone.filter(|id| self.store.owes(*id)).collect(), Vec::new());
        }
    }

    fn answer_gets(&mut self) {
        while let Some((serial, no_ack)) = self.gets.pop_front() {
            match self.state.get(channel(serial), no_ack, self.moment()) {
                Got::Message(delivery, left) => {
                    let message = self.reference.take_message(self.now_ms);
                    let message = message.expect("a message was there");
                    self.check(&delivery, message);
                    self.handed_out(serial, no_ack, &delivery, message, None);
                    self.notice_departures();
                    assert_eq!(left, self.reference.ready_count());
                }
                Got::Empty => {
                    self.notice_departures();
                    let blocked = self.reference.is_dying_full();
                    assert!(blocked || self.reference.ready_count() == 0, "a message was there");
                }
                Got::Loading => {
                    self.notice_departures();
                    self.gets.push_front((serial, no_ack));
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
            self.reference.leave(message.0);
        } else {
            self.reference.hold(channel, delivery.number, message, consumer, self.now_ms);
        }
    }

    fn answer_read(&mut self, messages: usize) {
        if let Some(asked) = self.read.take() {
            let asked = &asked[..messages.min(asked.len())];
            let found = self.store.read(asked);
            let missing = self.state.loaded(asked, found, self.store.committed());
            assert_eq!(missing, [] as [MessageId; 0]);
            self.answer_gets();
        }
    }

    /// What was on its way arrives: the store hears of it from those who have it now.
    fn arrive(&mut self, refused: usize) {
        if self.moving.is_empty() {
            return;
        }
        let (mut stay, mut gone) = (Vec::new(), Vec::new());
        let moving = std::mem::take(&mut self.moving);
        let count = moving.len();
        for (place, leaving) in moving.into_iter().enumerate() {
            let is_refused = refused > 0 && place % refused == 0;
            if is_refused { stay.push(leaving) } else { gone.push(leaving) }
        }
        let refused: Vec<MessageId> = stay.iter().map(|leaving| leaving.entry.id).collect();
        let gone = gone.into_iter().filter(|leaving| leaving.entry.ticket.is_some());
        self.store.settle(gone.map(|leaving| leaving.entry.id).collect(), Vec::new());
        self.state.moved(count, stay, self.now_ms);
        self.reference.moved(&refused);
    }

    fn rest(&mut self) {
        self.carry_out();
        if self.state.has_nothing_to_do() && !self.state.has_new_messages() {
            let residue = std::mem::take(&mut self.state).into_residue();
            self.state = State::resumed(self.rules.clone(), residue, self.now_ms);
            assert!(self.read.take().is_none(), "nobody would take the answer");
        }
    }

    fn restart(&mut self, clean: bool) {
        self.carry_out();
        let ids = self.store.restart();
        let last = ids.max().unwrap_or_default();
        let delivered_to = if clean { self.state.delivered_to() } else { last };
        self.reference.restart(delivered_to);
        let progress = self.store.progress();
        let backlog = if Backlog::needs_scan(&self.rules) {
            let mut backlog = Backlog::to_scan(delivered_to, &progress);
            backlog.scanned(&self.rules, &self.store.scan());
            backlog
        } else {
            Backlog::new(ids, delivered_to, &progress)
        };
        self.is_all_in_memory = false;
        self.state = State::new(self.rules.clone(), backlog, self.now_ms);
        self.read = None;
        self.gets.clear();
        self.moving.clear();
    }

    fn carry_out(&mut self) {
        let effects = std::mem::take(&mut self.state.effects);
        let mut settled = effects.settled;
        settled.extend(effects.settled_set);
        let mut due = self.reference.take_left();
        due.retain(|id| self.store.owes(*id));
        settled.sort_unstable();
        due.sort_unstable();
        assert_eq!(settled, due, "what the store may forget");
        self.store.settle(settled, effects.progress);
        for (id, message) in &effects.page_out {
            let known = self.reference.known(*id).expect("only what is here is paged out");
            assert!(!known.durable, "{id} is in the store without being paged out");
            check_body(*id, known.body, message);
        }
        let ids = effects.page_out.iter().map(|(id, _)| *id).collect::<Vec<_>>();
        let ticket = self.store.publish(effects.page_out, false);
        self.state.page_out_submitted(&ids, ticket);
        if !effects.load.is_empty() {
            assert!(self.read.is_none(), "one read at a time");
            assert!(effects.load.is_sorted(), "{:?}", effects.load);
            for id in &effects.load {
                let gone = self.reference.known(*id).is_none();
                assert!(gone || self.store.has(*id), "{id} is not in the store yet");
            }
            self.read = Some(effects.load);
        }
        assert!(effects.measure.is_empty(), "a limit in bytes was known at the start");
        assert!(effects.cancelled.is_empty());
    }

    /// Sends off what is to be moved elsewhere.
    fn send_off(&mut self) {
        if !self.moving.is_empty() {
            return;
        }
        self.moving = self.state.take_leaving(self.now_ms);
        for Leaving { entry, fate } in &self.moving {
            let known = self.reference.leaves(entry.id, *fate);
            check_body(entry.id, known.body, &entry.message);
            assert_eq!(entry.ticket.is_some(), self.store.owes(entry.id));
        }
    }

    fn pick(&self, consumer: Index) -> Option<ConsumerId> {
        let consumers = self.reference.turns.ids();
        (!consumers.is_empty()).then(|| *consumer.get(&consumers))
    }
}

/// A message whose body tells its id. What is its TTL in a queue is its delay in an exchange.
fn message(id: MessageId, sent: Sent, now_ms: u64) -> Message {
    let body = id.to_be_bytes().into_iter().cycle().take(sent.body).collect::<Vec<_>>();
    let mut properties = BasicProperties::default();
    if let Some(priority) = sent.priority {
        properties = properties.with_priority(priority);
    }
    if let Some(ms) = sent.expiration_ms {
        let mut headers = FieldTable::default();
        headers.insert(X_DELAY.into(), AMQPValue::LongLongInt(ms.cast_signed()));
        properties = properties.with_expiration(ms.to_string().into()).with_headers(headers);
    }
    testing::message(now_ms, &properties, &body)
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
