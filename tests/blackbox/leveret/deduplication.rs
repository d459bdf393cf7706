//! Promise: a queue or an exchange with `x-message-deduplication` takes a message once, acknowledges it as often as it comes,
//! and remembers it over a crash (check 69).
//!
//! Arguments and headers are those of RabbitMQ's community plugin and of LavinMQ.

use leveret_tests::broker::Broker;
use leveret_tests::client::Channel;
use leveret_tests::{
    AMQPValue, BasicProperties, FieldTable, exchange, queue, table, text, tx, wait,
};

fn on() -> (&'static str, AMQPValue) {
    ("x-message-deduplication", AMQPValue::Boolean(true))
}

fn with_key(header: &str, key: AMQPValue) -> BasicProperties {
    BasicProperties::default().with_delivery_mode(2).with_headers(table([(header, key)]))
}

fn key(key: &str) -> BasicProperties {
    with_key("x-deduplication-header", text(key))
}

/// A channel in confirm mode and a queue of its own.
fn queue_with<const N: usize>(
    broker: &Broker,
    arguments: [(&str, AMQPValue); N],
) -> (Channel, String) {
    let channel = broker.channel();
    channel.confirm_select();
    let queue = channel.exclusive_queue_with(table(arguments));
    (channel, queue)
}

/// Publishes messages with these keys, each of which is acknowledged whatever becomes of it.
fn publish(channel: &Channel, exchange: &str, routing_key: &str, keys: &[&str]) {
    for name in keys {
        assert!(channel.publish_and_wait(exchange, routing_key, key(name), name), "{name}");
    }
}

fn declare_durable(channel: &Channel, name: &str, arguments: FieldTable) {
    channel.declare(queue::Declare {
        queue: name.into(),
        durable: true,
        arguments,
        ..Default::default()
    });
}

#[test]
fn a_queue_takes_a_key_once_and_every_publish_is_acked() {
    let broker = Broker::leveret(&[]);
    let (channel, queue) = queue_with(&broker, [on()]);
    publish(&channel, "", &queue, &["a", "b", "a", "c", "b", "a"]);
    assert_eq!(channel.drain(&queue), ["a", "b", "c"]);
    // That a consumer was quick does not make it new.
    publish(&channel, "", &queue, &["a", "d"]);
    assert_eq!(channel.drain(&queue), ["d"]);
}

#[test]
fn duplicates_that_are_on_their_way_together_are_found_too() {
    let broker = Broker::leveret(&[]);
    let (channel, queue) = queue_with(&broker, [on()]);
    for number in 0..300 {
        channel.publish_with("", &queue, key(&(number % 100).to_string()), &number.to_string());
    }
    assert_eq!(channel.confirms(1, 300), [0; 0]);
    let expected: Vec<String> = (0..100).map(|number| number.to_string()).collect();
    assert_eq!(channel.drain(&queue), expected);
}

#[test]
fn publishers_side_by_side_get_one_message_in() {
    let broker = Broker::leveret(&[]);
    let owner = broker.channel();
    declare_durable(&owner, "q", table([on(), ("x-cache-size", AMQPValue::LongInt(1000))]));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let channel = broker.channel();
                channel.confirm_select();
                for number in 0..200 {
                    channel.publish_with("", "q", key(&number.to_string()), &number.to_string());
                }
                assert_eq!(channel.confirms(1, 200), [0; 0]);
            });
        }
    });
    let mut found: Vec<u32> = owner.drain("q").iter().map(|body| body.parse().unwrap()).collect();
    found.sort_unstable();
    assert_eq!(found, Vec::from_iter(0..200));
}

#[test]
fn a_message_without_the_header_is_no_duplicate() {
    let broker = Broker::leveret(&[]);
    let (channel, queue) = queue_with(&broker, [on()]);
    channel.fill(&queue, &["1", "2"]);
    assert!(channel.publish_and_wait("", &queue, with_key("other", text("k")), "3"));
    assert!(channel.publish_and_wait("", &queue, with_key("other", text("k")), "4"));
    assert_eq!(channel.drain(&queue), ["1", "2", "3", "4"]);
}

#[test]
fn the_header_may_have_another_name_and_keys_any_type() {
    let broker = Broker::leveret(&[]);
    let (channel, queue) =
        queue_with(&broker, [on(), ("x-deduplication-header", text("order-id"))]);
    for (value, body) in [
        (text("1"), "text 1"),
        (AMQPValue::LongInt(1), "integer 1"),
        (text("1"), "text 1 again"),
        (AMQPValue::LongInt(1), "integer 1 again"),
        (AMQPValue::LongInt(2), "integer 2"),
    ] {
        assert!(channel.publish_and_wait("", &queue, with_key("order-id", value), body));
    }
    publish(&channel, "", &queue, &["a", "a"]);
    assert_eq!(channel.drain(&queue), ["text 1", "integer 1", "integer 2", "a", "a"]);
}

#[test]
fn with_a_size_the_oldest_key_is_forgotten() {
    let broker = Broker::leveret(&[]);
    let (channel, queue) = queue_with(&broker, [on(), ("x-cache-size", AMQPValue::LongInt(2))]);
    publish(&channel, "", &queue, &["a", "b", "a", "b", "c", "b", "a"]);
    assert_eq!(channel.drain(&queue), ["a", "b", "c", "a"]);
}

#[test]
fn with_a_time_a_key_is_forgotten_when_it_is_over() {
    let broker = Broker::leveret(&[]);
    let (channel, queue) = queue_with(&broker, [on(), ("x-cache-ttl", AMQPValue::LongInt(150))]);
    publish(&channel, "", &queue, &["a"]);
    let start = std::time::Instant::now();
    let age = wait::until("the key is new again", || {
        publish(&channel, "", &queue, &["a"]);
        (channel.counts(&queue).unwrap().0 == 2).then(|| start.elapsed())
    });
    assert!(age.as_millis() >= 149, "{age:?}");
}

#[test]
fn a_message_that_was_refused_is_not_remembered() {
    let broker = Broker::leveret(&[]);
    let (channel, queue) = queue_with(
        &broker,
        [on(), ("x-max-length", AMQPValue::LongInt(1)), ("x-overflow", text("reject-publish"))],
    );
    publish(&channel, "", &queue, &["a"]);
    assert!(!channel.publish_and_wait("", &queue, key("b"), "b"), "the queue is full");
    assert_eq!(channel.drain(&queue), ["a"]);
    publish(&channel, "", &queue, &["b", "b"]);
    assert_eq!(channel.drain(&queue), ["b"]);
}

#[test]
fn an_exchange_takes_a_key_once_for_all_its_queues() {
    let broker = Broker::leveret(&[]);
    let channel = broker.channel();
    channel.confirm_select();
    channel.exchange_with("x", "direct", table([on()])).unwrap();
    let (one, two) = (channel.exclusive_queue(), channel.exclusive_queue());
    for (queue, routing_key) in [(&one, "both"), (&two, "both"), (&two, "two")] {
        channel.bind(queue, "x", routing_key);
    }
    publish(&channel, "x", "both", &["a", "a", "b"]);
    publish(&channel, "x", "two", &["a", "c"]);
    assert_eq!(channel.drain(&one), ["a", "b"]);
    assert_eq!(channel.drain(&two), ["a", "b", "c"]);
    // Past the exchange there is no such rule.
    publish(&channel, "", &one, &["a"]);
    assert_eq!(channel.drain(&one), ["a"]);
}

#[test]
fn a_queue_that_knows_a_key_does_not_keep_it_from_the_others() {
    let broker = Broker::leveret(&[]);
    let (channel, knowing) = queue_with(&broker, [on()]);
    let other = channel.exclusive_queue();
    channel.exchange_with("x", "fanout", table([])).unwrap();
    channel.bind(&knowing, "x", "");
    channel.bind(&other, "x", "");
    publish(&channel, "x", "", &["a", "a"]);
    assert_eq!(channel.drain(&knowing), ["a"]);
    assert_eq!(channel.drain(&other), ["a", "a"]);
}

#[test]
fn a_transaction_gets_a_key_in_once() {
    let broker = Broker::leveret(&[]);
    let channel = broker.channel();
    let queue = channel.exclusive_queue_with(table([on()]));
    channel.call(tx::Select {}).unwrap();
    for name in ["a", "b", "a"] {
        channel.publish_with("", &queue, key(name), name);
    }
    channel.call(tx::Rollback {}).unwrap();
    for name in ["a", "b", "a"] {
        channel.publish_with("", &queue, key(name), name);
    }
    channel.call(tx::Commit {}).unwrap();
    assert_eq!(channel.drain(&queue), ["a", "b"]);
}

#[test]
fn keys_survive_a_kill() {
    let mut broker = Broker::leveret(&[]);
    let channel = broker.channel();
    channel.confirm_select();
    declare_durable(&channel, "q", table([on(), ("x-cache-size", AMQPValue::LongInt(3))]));
    declare_durable(&channel, "bound", table([]));
    channel
        .call(exchange::Declare {
            exchange: "x".into(),
            kind: "fanout".into(),
            durable: true,
            arguments: table([on()]),
            ..Default::default()
        })
        .unwrap();
    channel.bind("bound", "x", "");
    publish(&channel, "", "q", &["a", "b"]);
    publish(&channel, "x", "", &["a"]);
    for new in ["c", "d"] {
        broker.kill();
        broker.restart();
        let channel = broker.channel();
        channel.confirm_select();
        publish(&channel, "", "q", &["b", new]);
        publish(&channel, "x", "", &["a", new]);
    }
    let channel = broker.channel();
    channel.confirm_select();
    // Three keys are remembered over the kills too: b, c and d.
    publish(&channel, "", "q", &["c", "b", "d", "a"]);
    assert_eq!(channel.drain("q"), ["a", "b", "c", "d", "a"]);
    assert_eq!(channel.drain("bound"), ["a", "c", "d"]);
}

#[test]
fn a_queue_that_is_declared_anew_remembers_nothing() {
    let broker = Broker::leveret(&[]);
    let channel = broker.channel();
    channel.confirm_select();
    for _ in 0..2 {
        declare_durable(&channel, "q", table([on()]));
        publish(&channel, "", "q", &["a", "a"]);
        assert_eq!(channel.drain("q"), ["a"]);
        channel.delete_queue("q");
    }
}
