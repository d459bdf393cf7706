//! Groups at work in a queue: random commands against the promises of the module, and its bounds one by one.

use std::collections::{BTreeMap, HashMap};

use amq_protocol::types::AMQPValue;
use leveret_persistence::MessageId;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::super::consumers::{ConsumerSpec, Delivery};
use super::super::dispatch::Moment;
use super::super::recovered::Backlog;
use super::super::rules::Rules;
use super::super::state::{Got, Outcome, State as Queue};
use super::super::testing::{COMMITTED, at, channel, spec, with_header};
use super::super::unacked::DeliveryRange;
use super::*;
use crate::limits::CONSUMER_WINDOW_MESSAGES;

const CHANNELS: std::ops::Range<u64> = 0..3;

/// A durable message of a group, or of none.
fn entry(id: MessageId, group: Option<u8>) -> Entry {
    let properties = group.map_or_else(
        || vec![0, 0],
        |group| with_header("tenant", AMQPValue::ShortShortUInt(group)),
    );
    let message = Message::new(b"", b"", &properties, b"x");
    Entry { ticket: Some(COMMITTED), ..Entry::published(id, message, true) }
}

fn rules() -> Rules {
    Rules { group_header: Some("tenant".into()), ..Rules::default() }
}

#[derive(Clone, Debug)]
enum Step {
    Publish(Vec<Option<u8>>),
    Consume {
        channel: u64,
        no_ack: bool,
        prefetch: u16,
    },
    Cancel(Index),
    CloseChannel(u64),
    /// A channel settles one of its deliveries, or all.
    Settle {
        channel: u64,
        delivery: Index,
        all: bool,
        outcome: Outcome,
    },
    Get {
        channel: u64,
        no_ack: bool,
    },
    Purge,
}

fn step() -> impl Strategy<Value = Step> {
    use Outcome::{Ack, Reject, Requeue, RequeueFailed};
    let groups = vec(prop::option::weighted(0.8, 0..4_u8), 1..8);
    let outcome = prop_oneof![3 => Just(Ack), 2 => Just(Requeue), 1 => Just(RequeueFailed), 1 => Just(Reject)];
    let settle = (CHANNELS, any::<Index>(), prop::bool::weighted(0.2), outcome);
    prop_oneof![
        6 => groups.prop_map(Step::Publish),
        3 => (CHANNELS, prop::bool::weighted(0.2), 0..4_u16)
            .prop_map(|(channel, no_ack, prefetch)| Step::Consume { channel, no_ack, prefetch }),
        1 => any::<Index>().prop_map(Step::Cancel),
        1 => CHANNELS.prop_map(Step::CloseChannel),
        8 => settle.prop_map(|(channel, delivery, all, outcome)| {
            Step::Settle { channel, delivery, all, outcome }
        }),
        3 => (CHANNELS, any::<bool>()).prop_map(|(channel, no_ack)| Step::Get { channel, no_ack }),
        1 => Just(Step::Purge),
    ]
}

/// The queue, what it holds as a plain list, and who has what.
struct World {
    queue: Queue,
    memory_limit: usize,
    groups: HashMap<MessageId, Option<u8>>,
    ready: BTreeMap<MessageId, Option<u8>>,
    /// By channel and delivery number.
    held: BTreeMap<(u64, u64), (MessageId, Holder)>,
    consumers: Vec<ConsumerSpec>,
    last_consumer: u64,
    settled: usize,
}

impl World {
    fn new(memory_limit: usize) -> World {
        World {
            queue: Queue::new(rules(), Backlog::default(), 0),
            memory_limit,
            groups: HashMap::new(),
            ready: BTreeMap::new(),
            held: BTreeMap::new(),
            consumers: Vec::new(),
            last_consumer: 0,
            settled: 0,
        }
    }

    fn moment(&self) -> Moment {
        Moment { memory_limit: self.memory_limit, ..at(0) }
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Publish(groups) => {
                let first = self.groups.len() as u64 + 1;
                let messages: Vec<_> = (first..).zip(groups).collect();
                self.groups.extend(messages.iter().copied());
                self.ready.extend(messages.iter().copied());
                let entries = messages.into_iter().map(|(id, group)| entry(id, group));
                self.queue.publish(entries.collect());
            }
            Step::Consume { channel: serial, no_ack, prefetch } => {
                self.last_consumer += 1;
                let spec = spec(self.last_consumer, channel(serial));
                let spec = ConsumerSpec { no_ack, prefetch, ..spec };
                self.consumers.push(spec.clone());
                self.queue.consume(spec).unwrap();
            }
            Step::Cancel(_) if self.consumers.is_empty() => {}
            Step::Cancel(index) => {
                let spec = self.consumers.remove(index.index(self.consumers.len()));
                self.queue.cancel(spec.id, 0);
            }
            Step::CloseChannel(serial) => self.close_channel(serial),
            Step::Settle { channel, delivery, all, outcome } => {
                let held = self.held.keys().filter(|(serial, _)| *serial == channel);
                let held: Vec<u64> = held.map(|(_, number)| *number).collect();
                match all {
                    true => self.settle(channel, &held, outcome),
                    false if held.is_empty() => {}
                    false => self.settle(channel, &[*delivery.get(&held)], outcome),
                }
            }
            Step::Get { channel, no_ack } => self.get(channel, no_ack),
            Step::Purge => {
                assert_eq!(self.queue.purge(), self.ready.len());
                self.settled += self.ready.len();
                self.ready.clear();
            }
        }
    }

    fn close_channel(&mut self, serial: u64) {
        self.queue.close_channel(channel(serial), 0);
        self.consumers.retain(|spec| spec.channel != channel(serial));
        let back = self.held.extract_if(.., |(other, _), _| *other == serial);
        let back = back.map(|(_, (id, _))| (id, self.groups[&id]));
        self.ready.extend(back);
    }

    fn settle(&mut self, serial: u64, numbers: &[u64], outcome: Outcome) {
        for number in numbers {
            let range = DeliveryRange { first: *number, last: *number };
            self.queue.settle(channel(serial), &[range], outcome, false, 0);
            let (id, _) = self.held.remove(&(serial, *number)).unwrap();
            if matches!(outcome, Outcome::Requeue | Outcome::RequeueFailed) {
                self.ready.insert(id, self.groups[&id]);
            } else {
                self.settled += 1;
            }
        }
    }

    fn get(&mut self, serial: u64, no_ack: bool) {
        let holder = Holder { channel: channel(serial), consumer: None };
        loop {
            match self.queue.get(channel(serial), no_ack, self.moment()) {
                Got::Message(delivery, left) => {
                    self.delivered(&delivery, holder, no_ack);
                    assert_eq!(left, self.ready.len());
                }
                Got::Empty => {
                    let free = self.ready.iter().find(|(_, group)| self.may_have(holder, **group));
                    assert_eq!(free, None, "it could have had this one");
                }
                Got::Loading => {
                    self.read();
                    continue;
                }
            }
            return;
        }
    }

    /// Delivers until nothing changes any more.
    fn deliver(&mut self) {
        loop {
            self.queue.dispatch(self.moment());
            let mut sent = Vec::new();
            self.queue.flush(|spec, deliveries| sent.push((Arc::clone(spec), deliveries)));
            let mut all = Vec::new();
            for (spec, deliveries) in sent {
                self.check_order(&deliveries);
                all.extend(deliveries.into_iter().map(|delivery| (Arc::clone(&spec), delivery)));
            }
            // Which consumer was served first is not told.
            all.sort_by_key(|(_, delivery)| delivery.id);
            for (spec, delivery) in all {
                let holder = Holder { channel: spec.channel, consumer: Some(spec.id) };
                self.delivered(&delivery, holder, spec.no_ack);
                self.queue.window_freed(spec.id, 1, delivery.message.size());
            }
            if !self.read() {
                break;
            }
        }
        self.check();
    }

    /// What a consumer is sent is in the order of each group.
    fn check_order(&self, deliveries: &[Delivery]) {
        let mut last = HashMap::new();
        for id in deliveries.iter().map(|delivery| delivery.id) {
            let before = self.groups[&id].and_then(|group| last.insert(group, id));
            assert!(before < Some(id), "{before:?} before {id}");
        }
    }

    /// One message was handed out.
    fn delivered(&mut self, delivery: &Delivery, holder: Holder, no_ack: bool) {
        let id = delivery.id;
        let group = self.ready.remove(&id).expect("only what is ready is delivered");
        assert!(self.may_have(holder, group), "another holder has its group");
        let mut ahead = self.ready.range(..id);
        let ahead = ahead.find(|(_, other)| group.is_some() && **other == group);
        assert_eq!(ahead, None, "{id} has overtaken one of its group");
        if no_ack {
            self.settled += 1;
        } else {
            let place = (holder.channel.serial, delivery.number);
            assert!(self.held.insert(place, (id, holder)).is_none());
        }
    }

    /// Whether nobody else holds the group.
    fn may_have(&self, holder: Holder, group: Option<u8>) -> bool {
        let held = self.held.values().filter(|(id, _)| group.is_some() && self.groups[id] == group);
        held.fold(true, |free, (_, other)| free && *other == holder)
    }

    /// Answers a read; says whether there was one.
    fn read(&mut self) -> bool {
        let effects = std::mem::take(&mut self.queue.effects);
        let gone: Vec<MessageId> =
            effects.settled.into_iter().chain(effects.settled_set.iter()).collect();
        self.settled -= gone.len();
        let asked = effects.load;
        let found = asked.iter().map(|id| (*id, entry(*id, self.groups[id]).message));
        assert_eq!(self.queue.loaded(&asked, found.collect(), COMMITTED), [] as [MessageId; 0]);
        !asked.is_empty()
    }

    fn check(&self) {
        assert_eq!(self.queue.ready_count(), self.ready.len());
        assert_eq!(self.queue.unacked_count(), self.held.len());
        assert_eq!(self.settled, 0, "the store is told of each that leaves, once");
        for spec in &self.consumers {
            let holder = Holder { channel: spec.channel, consumer: Some(spec.id) };
            let holds = self.held.values().filter(|(_, other)| *other == holder).count();
            if spec.no_ack || spec.prefetch == 0 || holds < usize::from(spec.prefetch) {
                let waits = self.ready.iter().find(|(_, group)| self.may_have(holder, **group));
                assert_eq!(waits, None, "{:?} has room for this one", spec.id);
            }
        }
    }
}

proptest! {
    #[test]
    fn a_group_has_one_holder_at_a_time_and_its_messages_in_order(
        memory_limit in prop_oneof![Just(0), Just(usize::MAX)],
        batches in vec(vec(step(), 1..4), 1..40),
    ) {
        let mut world = World::new(memory_limit);
        for batch in batches {
            for step in batch {
                world.take(step);
            }
            world.deliver();
        }
        CHANNELS.for_each(|serial| world.close_channel(serial));
        world.take(Step::Consume { channel: 0, no_ack: true, prefetch: 0 });
        world.deliver();
        prop_assert!(world.ready.is_empty());
        prop_assert_eq!(world.queue.memory(), 0);
        prop_assert!(world.queue.groups.known.is_empty());
    }
}

fn ids(queue: &mut Queue, now_ms: u64) -> Vec<(u64, Vec<MessageId>)> {
    queue.dispatch(at(now_ms));
    let mut sent = Vec::new();
    queue.flush(|spec, deliveries| {
        sent.push((spec.id.0, deliveries.iter().map(|delivery| delivery.id).collect()));
    });
    sent
}

fn settle(queue: &mut Queue, serial: u64, number: u64, outcome: Outcome) {
    let range = DeliveryRange { first: number, last: number };
    queue.settle(channel(serial), &[range], outcome, false, 0);
}

#[test]
fn groups_run_side_by_side_and_each_at_one_consumer() {
    let mut queue = Queue::new(rules(), Backlog::default(), 0);
    queue.publish(
        [0, 0, 1, 1, 0, 2].into_iter().zip(1..).map(|(g, id)| entry(id, Some(g))).collect(),
    );
    for id in 1..=2 {
        queue.consume(ConsumerSpec { prefetch: 2, ..spec(id, channel(id)) }).unwrap();
    }
    assert_eq!(ids(&mut queue, 0), [(1, vec![1, 2]), (2, vec![3, 4])]);
    settle(&mut queue, 2, 0, Outcome::Ack);
    assert_eq!(ids(&mut queue, 0), [(2, vec![6])], "5 waits for the holder of its group");
    settle(&mut queue, 1, 0, Outcome::Requeue);
    assert_eq!(ids(&mut queue, 0), [(1, vec![1])], "5 does not overtake what came back");
    settle(&mut queue, 1, 1, Outcome::Ack);
    assert_eq!(ids(&mut queue, 0), [(1, vec![5])]);
}

#[test]
fn what_waits_for_a_busy_group_is_bounded_and_goes_on_when_it_is_free() {
    let count = GROUPS_PARKED_MESSAGES as u64 + 10;
    let mut queue = Queue::new(rules(), Backlog::default(), 0);
    queue.publish((1..=count).map(|id| entry(id, Some(0))).collect());
    queue.publish(vec![entry(count + 1, Some(1))]);
    queue.consume(ConsumerSpec { prefetch: 1, ..spec(1, channel(1)) }).unwrap();
    queue.consume(spec(2, channel(2))).unwrap();
    assert_eq!(ids(&mut queue, 0), [(1, vec![1])]);
    assert_eq!(queue.groups.parked(), GROUPS_PARKED_MESSAGES);
    assert!(queue.groups.is_full(), "the other group is behind more than may be put aside");
    assert_eq!(queue.ready_count() as u64, count);
    settle(&mut queue, 1, 0, Outcome::Ack);
    let window = u64::from(CONSUMER_WINDOW_MESSAGES);
    let rest = window + 2..=count;
    let expected = [(1, vec![count + 1]), (2, (2..window + 2).collect())];
    assert_eq!(ids(&mut queue, 0), expected, "what is put aside goes on at once");
    queue.window_freed(ConsumerId(2), CONSUMER_WINDOW_MESSAGES, 0);
    assert_eq!(ids(&mut queue, 0), [(2, rest.collect())]);
    assert_eq!(queue.ready_count(), 0);
}

#[test]
fn what_expires_while_its_group_is_busy_is_not_delivered() {
    let mut queue = Queue::new(Rules { ttl_ms: Some(10), ..rules() }, Backlog::default(), 0);
    let stamp = leveret_persistence::Stamp { arrived_ms: 100, flags: 0 };
    let entries = (1..=3).map(|id| {
        let entry = entry(id, Some(0));
        Entry { message: entry.message.stamped(stamp), ..entry }
    });
    queue.publish(entries.collect());
    for id in 1..=2 {
        queue.consume(ConsumerSpec { prefetch: 1, ..spec(id, channel(id)) }).unwrap();
    }
    assert_eq!(ids(&mut queue, 105), [(1, vec![1])]);
    assert_eq!((queue.groups.parked(), queue.next_deadline()), (2, Some(110)));
    assert_eq!(ids(&mut queue, 110), []);
    assert_eq!((queue.ready_count(), queue.counts().expired), (0, 2));
    assert_eq!(queue.next_deadline(), None);
    assert_eq!(queue.effects.settled, [2, 3]);
}

#[test]
fn the_oldest_message_is_dropped_first_even_if_its_group_is_busy() {
    let mut queue = Queue::new(Rules { max_length: Some(2), ..rules() }, Backlog::default(), 0);
    queue.consume(ConsumerSpec { prefetch: 1, ..spec(1, channel(1)) }).unwrap();
    queue.consume(ConsumerSpec { prefetch: 1, ..spec(2, channel(2)) }).unwrap();
    queue.publish(vec![entry(1, Some(0)), entry(2, Some(0)), entry(3, Some(0))]);
    assert_eq!(ids(&mut queue, 0), [(1, vec![1])]);
    queue.publish(vec![entry(4, Some(0)), entry(5, Some(1))]);
    assert_eq!(ids(&mut queue, 0), [(2, vec![5])]);
    assert_eq!((queue.ready_count(), queue.counts().dropped), (2, 1));
    assert_eq!(queue.effects.settled, [2]);
    settle(&mut queue, 1, 0, Outcome::Ack);
    assert_eq!(ids(&mut queue, 0), [(1, vec![3])]);
}

#[test]
fn a_group_is_the_value_of_its_header_type_and_all() {
    let group = |properties: &[u8]| group_of(&Message::new(b"", b"", properties, b""), "tenant");
    let text = |text: &str| with_header("tenant", AMQPValue::LongString(text.into()));
    assert_eq!(group(&text("a")), group(&text("a")));
    assert_ne!(group(&text("a")), group(&text("b")));
    assert_ne!(group(&text("1")), group(&with_header("tenant", AMQPValue::LongInt(1))));
    assert!(group(&text("")).is_some(), "an empty name is a name");
    assert_eq!(group(&with_header("other", AMQPValue::Void)), None);
    assert_eq!(group(&[0, 0]), None);
    assert_eq!(group(&[]), None, "what cannot be read has none");
}
