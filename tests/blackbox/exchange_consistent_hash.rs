//! Promise: `x-consistent-hash` sends equal keys to the same queue, shares by weight, and moves few keys when queues change.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use leveret_tests::broker::Broker;
use leveret_tests::client::Channel;
use leveret_tests::closed::channel_closed;
use leveret_tests::{AMQPValue, BasicProperties, FieldTable, queue, table, text, wait};

const KEYS: usize = 1000;

fn plain() -> BasicProperties {
    BasicProperties::default()
}

/// A hash exchange with one queue for each weight, on a channel in confirm mode.
struct Ring {
    channel: Channel,
    exchange: String,
    queues: Vec<String>,
    /// Publishes so far, which is how confirms count.
    published: Cell<u64>,
}

impl Ring {
    fn new(broker: &Broker, arguments: FieldTable, weights: &[&str]) -> Self {
        let channel = broker.channel();
        channel.confirm_select();
        let exchange = broker.name("x");
        channel.exchange_with(&exchange, "x-consistent-hash", arguments).unwrap();
        let mut ring = Self { channel, exchange, queues: Vec::new(), published: Cell::new(0) };
        for weight in weights {
            ring.add(weight);
        }
        ring
    }

    fn add(&mut self, weight: &str) {
        let queue = self.channel.exclusive_queue();
        self.channel.bind(&queue, &self.exchange, weight);
        self.queues.push(queue);
    }

    /// Which of the queues each of [`KEYS`] routing keys goes to.
    fn spread(&self) -> BTreeMap<String, usize> {
        self.spread_by(|number| (format!("key {number}"), plain()))
    }

    /// The same for messages that `message` makes of a number: routing key and properties.
    fn spread_by(
        &self,
        message: impl Fn(usize) -> (String, BasicProperties),
    ) -> BTreeMap<String, usize> {
        for number in 0..KEYS {
            let (key, properties) = message(number);
            self.channel.publish_with(&self.exchange, &key, properties, &number.to_string());
        }
        let first = self.published.get() + 1;
        self.published.set(self.published.get() + KEYS as u64);
        assert_eq!(self.channel.confirms(first, self.published.get()), [0; 0]);
        let mut spread = BTreeMap::new();
        for (number, queue) in self.queues.iter().enumerate() {
            for body in self.channel.drain(queue) {
                let before = spread.insert(body, number);
                assert_eq!(before, None, "a message came to two queues");
            }
        }
        assert_eq!(spread.len(), KEYS, "every message has one queue");
        spread
    }
}

/// How many keys each queue got.
fn shares(spread: &BTreeMap<String, usize>, queues: usize) -> Vec<usize> {
    (0..queues).map(|queue| spread.values().filter(|to| **to == queue).count()).collect()
}

/// Check 26.
#[test]
fn equal_keys_go_to_the_same_queue() {
    let broker = Broker::start();
    let ring = Ring::new(&broker, table([]), &["1", "1", "1"]);
    let first = ring.spread();
    assert_eq!(ring.spread(), first);
    assert!(shares(&first, 3).iter().all(|share| (200..470).contains(share)), "{first:?}");
}

/// Check 26.
#[test]
fn a_queue_gets_its_share_by_weight() {
    let broker = Broker::start();
    let ring = Ring::new(&broker, table([]), &["1", "2", "5"]);
    let shares = shares(&ring.spread(), 3);
    // 125, 250 and 625 on average.
    for (share, window) in shares.iter().zip([60..200, 170..340, 530..730]) {
        assert!(window.contains(share), "{shares:?}");
    }
}

/// Check 26.
#[test]
fn a_queue_that_joins_takes_keys_and_the_others_swap_none() {
    let broker = Broker::start();
    let mut ring = Ring::new(&broker, table([]), &["1", "1"]);
    let before = ring.spread();
    ring.add("1");
    let after = ring.spread();
    let moved: BTreeSet<_> =
        before.iter().filter(|(key, queue)| after.get(*key) != Some(queue)).collect();
    assert!((200..470).contains(&moved.len()), "{}", moved.len());
    for (key, _) in moved {
        assert_eq!(after.get(key), Some(&2), "{key} moved between the old ones");
    }
}

/// Check 26.
#[test]
fn a_queue_that_leaves_gives_its_keys_to_the_others() {
    let broker = Broker::start();
    let mut ring = Ring::new(&broker, table([]), &["1", "1", "1"]);
    let before = ring.spread();
    // The last to come: for any other one, RabbitMQ's hash moves more keys than it must.
    let leaving = ring.queues.pop().unwrap();
    ring.channel.delete_queue(&leaving);
    let after = ring.spread();
    for (key, queue) in before.iter().filter(|(_, queue)| **queue != 2) {
        assert_eq!(after.get(key), Some(queue), "{key} moved although its queue stayed");
    }
}

/// Check 26.
#[test]
fn the_queue_of_a_connection_that_ends_leaves_too() {
    let broker = Broker::start();
    let ring = Ring::new(&broker, table([]), &["1"]);
    let other = broker.connect();
    let channel = other.channel();
    let queue = channel.exclusive_queue();
    channel.bind(&queue, &ring.exchange, "50");
    other.close();
    let watching = broker.channel();
    watching.confirm_select();
    let arrived = wait::until("no message is sent to the queue that has gone", || {
        ring.channel.drain(&ring.queues[0]);
        let mut keys = (0..KEYS).map(|number| number.to_string());
        keys.all(|key| watching.publish_and_wait(&ring.exchange, &key, plain(), "m"))
            .then(|| ring.channel.drain(&ring.queues[0]).len())
    });
    assert_eq!(arrived, KEYS);
}

/// Check 26.
#[test]
fn a_second_binding_of_a_queue_adds_nothing() {
    let broker = Broker::start();
    let ring = Ring::new(&broker, table([]), &["1", "1"]);
    let before = ring.spread();
    ring.channel.bind(&ring.queues[0], &ring.exchange, "9");
    assert_eq!(ring.spread(), before);
}

/// Check 26.
#[test]
fn the_hash_may_be_of_a_header_or_a_property() {
    let broker = Broker::start();
    type Make = fn(usize) -> BasicProperties;
    let rows: [(&str, &str, Make); 4] = [
        ("hash-header", "h", |number| {
            plain().with_headers(table([("h", text(&number.to_string()))]))
        }),
        ("hash-property", "message_id", |number| {
            plain().with_message_id(number.to_string().into())
        }),
        ("hash-property", "correlation_id", |number| {
            plain().with_correlation_id(number.to_string().into())
        }),
        ("hash-property", "timestamp", |number| plain().with_timestamp(number as u64)),
    ];
    for (argument, of, make) in rows {
        let ring = Ring::new(&broker, table([(argument, text(of))]), &["1", "1"]);
        let spread = ring.spread_by(|number| ("the same key".into(), make(number)));
        let shares = shares(&spread, 2);
        assert!(shares.iter().all(|share| *share > 350), "{of}: {shares:?}");
        // The routing key has no say.
        let other_keys = ring.spread_by(|number| (format!("key {number}"), make(number)));
        assert_eq!(other_keys, spread, "{of}");
        // What lacks the value has one place too.
        let lacking = ring.spread_by(|number| (format!("key {number}"), plain()));
        assert_eq!(BTreeSet::from_iter(lacking.values()).len(), 1, "{of}");
    }
}

/// Check 26.
#[test]
fn a_weight_is_a_whole_number_from_1_to_10000() {
    let broker = Broker::start();
    let rows = [
        ("0", "The binding key must be greater than 0"),
        ("-1", "The binding key must be greater than 0"),
        ("a", "The binding key must be an integer: <<\"a\">>"),
        ("", "The binding key must be an integer: <<>>"),
        ("1.5", "The binding key must be an integer: <<\"1.5\">>"),
        (" 1", "The binding key must be an integer: <<\" 1\">>"),
        ("10001", "The binding key must not exceed 10000"),
        ("99999999999999999999", "The binding key must not exceed 10000"),
    ];
    let connection = broker.connect();
    let owner = connection.channel();
    let (name, queue) = (broker.name("x"), owner.exclusive_queue());
    owner.exchange_with(&name, "x-consistent-hash", table([])).unwrap();
    owner.bind(&queue, &name, "10000");
    for (weight, why) in rows {
        let bind = queue::Bind {
            queue: queue.as_str().into(),
            exchange: name.as_str().into(),
            routing_key: weight.into(),
            ..Default::default()
        };
        assert_eq!(
            connection.channel().call(bind).unwrap_err(),
            channel_closed(406, format!("PRECONDITION_FAILED - {why}")),
            "{weight:?}"
        );
    }
}

/// Check 26.
#[test]
fn bad_arguments_are_refused() {
    let broker = Broker::start();
    for (arguments, why) in [
        (
            table([("hash-header", text("h")), ("hash-property", text("message_id"))]),
            "hash-header and hash-property are mutually exclusive",
        ),
        (table([("hash-property", text("app_id"))]), "Unsupported property: app_id"),
    ] {
        let closed = broker
            .channel()
            .exchange_with(&broker.name("x"), "x-consistent-hash", arguments)
            .unwrap_err();
        assert_eq!(closed, channel_closed(406, format!("PRECONDITION_FAILED - {why}")));
    }
    // RabbitMQ stumbles over a value of the wrong type.
    for argument in ["hash-header", "hash-property"] {
        let arguments = table([(argument, AMQPValue::LongInt(5))]);
        let closed = broker
            .channel()
            .exchange_with(&broker.name("x"), "x-consistent-hash", arguments)
            .unwrap_err();
        assert_eq!(closed.code, if broker.is_rabbitmq() { 541 } else { 406 }, "{closed:?}");
    }
}

/// Check 26.
#[test]
fn without_queues_a_message_is_unroutable() {
    let broker = Broker::start();
    let channel = broker.channel();
    let name = broker.name("x");
    channel.declare_exchange(&name, "x-consistent-hash");
    channel.publish_mandatory(&name, "k", "m");
    assert_eq!(channel.returned().body, "m");
    channel.delete_exchange(&name);
}
