//! Promise: a message with the header `x-delay` waits in its `x-delayed-message` exchange until it is due, not shorter and
//! not noticeably longer, and not a crash makes it earlier, late or lost (check 67).
//!
//! Type, argument and header are those of RabbitMQ's community plugin, which is not part of RabbitMQ.

use std::time::{Duration, Instant};

use leveret_tests::broker::Broker;
use leveret_tests::client::{Channel, Message};
use leveret_tests::closed::channel_closed;
use leveret_tests::{AMQPValue, BasicProperties, exchange, queue, table, text};

/// What the plugin of RabbitMQ and this broker add to a delay at most, when the machine is not busy with other tests.
const LATENESS: Duration = Duration::from_millis(50);

fn delayed(delay_ms: i32) -> BasicProperties {
    let headers = table([("x-delay", AMQPValue::LongInt(delay_ms))]);
    BasicProperties::default().with_headers(headers)
}

/// Declares a durable delayed exchange that matches as `kind`.
fn declare(channel: &Channel, name: &str, kind: &str) {
    let declare = exchange::Declare {
        exchange: name.into(),
        kind: "x-delayed-message".into(),
        durable: true,
        arguments: table([("x-delayed-type", text(kind))]),
        ..Default::default()
    };
    channel.call(declare).unwrap();
}

/// A delayed fanout `x`, and a channel in confirm mode that consumes a queue bound to it.
fn consuming(broker: &Broker) -> Channel {
    let channel = broker.channel();
    channel.confirm_select();
    declare(&channel, "x", "fanout");
    let queue = channel.exclusive_queue();
    channel.bind(&queue, "x", "");
    channel.consume_no_ack(&queue, "c");
    channel
}

fn durable_queue(channel: &Channel, name: &str) {
    channel.declare(queue::Declare { queue: name.into(), durable: true, ..Default::default() });
}

/// The value of `x-delay`, whatever its width.
fn delay_of(message: &Message) -> Option<i64> {
    message.header("x-delay").map(|value| match value {
        AMQPValue::LongInt(delay) => i64::from(*delay),
        AMQPValue::LongLongInt(delay) => *delay,
        other => panic!("x-delay is {other:?}"),
    })
}

#[test]
fn a_message_comes_when_it_is_due() {
    let broker = Broker::leveret(&[]);
    let channel = consuming(&broker);
    let mut lateness: Vec<Duration> = (0..9)
        .map(|round| {
            let delay = Duration::from_millis(20 + 15 * round);
            let published = Instant::now();
            let properties = delayed(i32::try_from(delay.as_millis()).unwrap());
            assert!(channel.publish_and_wait("x", "k", properties, "m"));
            assert!(published.elapsed() < delay + LATENESS, "the confirm does not wait");
            channel.delivery();
            let age = published.elapsed();
            // A millisecond less: the clocks of both sides count whole ones.
            assert!(age + Duration::from_millis(1) >= delay, "{age:?} instead of {delay:?}");
            age.saturating_sub(delay)
        })
        .collect();
    lateness.sort_unstable();
    let median = lateness.get(4).unwrap();
    assert!(*median < LATENESS, "{lateness:?}");
}

#[test]
fn messages_come_in_the_order_in_which_they_are_due() {
    let broker = Broker::leveret(&[]);
    let channel = consuming(&broker);
    // 7 and 20 have no common divisor: twenty delays, 60 ms apart, in a scattered order.
    for number in 0..20 {
        let place = number * 7 % 20;
        channel.publish_with("x", "k", delayed(200 + place * 60), &place.to_string());
    }
    let expected: Vec<String> = (0..20).map(|place| place.to_string()).collect();
    assert_eq!(channel.bodies(20), expected);
}

#[test]
fn equal_delays_keep_the_order_of_publishing() {
    let broker = Broker::leveret(&[]);
    let channel = consuming(&broker);
    let sent: Vec<String> = (0..200).map(|number| number.to_string()).collect();
    for body in &sent {
        channel.publish_with("x", "k", delayed(100), body);
    }
    assert_eq!(channel.bodies(200), sent);
}

#[test]
fn the_header_is_negated_and_everything_else_stays() {
    let broker = Broker::leveret(&[]);
    let channel = consuming(&broker);
    let headers = table([("x-delay", AMQPValue::LongInt(30)), ("mine", text("m"))]);
    let properties = BasicProperties::default()
        .with_headers(headers)
        .with_message_id("id".into())
        .with_priority(3);
    assert!(channel.publish_and_wait("x", "the key", properties, "m"));
    let message = channel.delivery();
    assert_eq!(delay_of(&message), Some(-30));
    assert_eq!(message.header("mine"), Some(&text("m")));
    assert_eq!(message.properties.message_id(), &Some("id".into()));
    assert_eq!(message.properties.priority(), &Some(3));
    assert_eq!((message.exchange.as_str(), message.routing_key.as_str()), ("x", "the key"));
    assert!(!message.redelivered);
}

#[test]
fn a_message_without_a_delay_does_not_wait() {
    let broker = Broker::leveret(&[]);
    let channel = consuming(&broker);
    channel.publish_with("x", "k", delayed(300), "late");
    for properties in [BasicProperties::default(), delayed(0), delayed(-5)] {
        channel.publish_with("x", "k", properties.clone(), "now");
        let message = channel.delivery();
        assert_eq!((message.body.as_str(), message.properties), ("now", properties));
    }
    assert_eq!(channel.delivery().body, "late");
}

#[test]
fn the_exchange_matches_as_the_type_that_it_names() {
    let broker = Broker::leveret(&[]);
    let channel = broker.channel();
    for (kind, binding, matching, other) in
        [("direct", "k", "k", "other"), ("topic", "a.*", "a.b", "b.a"), ("fanout", "", "k", "l")]
    {
        declare(&channel, kind, kind);
        let queue = channel.exclusive_queue();
        channel.bind(&queue, kind, binding);
        channel.consume_no_ack(&queue, kind);
        channel.publish_with(kind, other, delayed(10), "other");
        channel.publish_with(kind, matching, delayed(60), "matching");
        let first = channel.delivery().body;
        assert_eq!(first, if kind == "fanout" { "other" } else { "matching" }, "{kind}");
        if kind == "fanout" {
            assert_eq!(channel.delivery().body, "matching");
        }
    }
}

#[test]
fn the_bindings_count_that_are_there_when_it_is_due() {
    let broker = Broker::leveret(&[]);
    let channel = broker.channel();
    channel.confirm_select();
    declare(&channel, "x", "fanout");
    assert!(channel.publish_and_wait("x", "k", delayed(10), "for nobody"));
    // Nobody was bound when that one was due; a message that comes later tells that the time is over.
    let clock = channel.exclusive_queue();
    channel.consume_no_ack(&clock, "clock");
    declare(&channel, "clock", "fanout");
    channel.bind(&clock, "clock", "");
    assert!(channel.publish_and_wait("clock", "k", delayed(60), "tick"));
    assert_eq!(channel.delivery().body, "tick");

    assert!(channel.publish_and_wait("x", "k", delayed(100), "for who comes"));
    let queue = channel.exclusive_queue();
    channel.bind(&queue, "x", "");
    channel.consume_no_ack(&queue, "c");
    assert_eq!(channel.delivery().body, "for who comes");
}

#[test]
fn a_mandatory_message_that_waits_is_not_returned() {
    let broker = Broker::leveret(&[]);
    let channel = broker.channel();
    channel.confirm_select();
    declare(&channel, "x", "fanout");
    let method = leveret_tests::basic::Publish {
        exchange: "x".into(),
        mandatory: true,
        ..Default::default()
    };
    channel.publish_method(method, delayed(20), b"m");
    assert_eq!(channel.confirm(), (1, false, true));
    let witness = channel.exclusive_queue();
    channel.expect_silence(&witness);
}

#[test]
fn a_message_also_waits_when_another_exchange_leads_it_there() {
    let broker = Broker::leveret(&[]);
    let channel = consuming(&broker);
    channel.declare_exchange("entrance", "direct");
    channel
        .call(exchange::Bind {
            destination: "x".into(),
            source: "entrance".into(),
            routing_key: "k".into(),
            ..Default::default()
        })
        .unwrap();
    let direct = channel.exclusive_queue();
    channel.bind(&direct, "entrance", "k");
    let published = Instant::now();
    assert!(channel.publish_and_wait("entrance", "k", delayed(80), "m"));
    assert_eq!(channel.get(&direct).unwrap().body, "m", "a queue beside it gets it at once");
    let message = channel.delivery();
    assert!(published.elapsed() >= Duration::from_millis(79));
    assert_eq!((message.body.as_str(), delay_of(&message)), ("m", Some(-80)));
}

#[test]
fn what_waits_goes_with_its_exchange() {
    let broker = Broker::leveret(&[]);
    let channel = consuming(&broker);
    assert!(channel.publish_and_wait("x", "k", delayed(50), "gone"));
    channel.delete_exchange("x");
    declare(&channel, "x", "fanout");
    let queue = channel.exclusive_queue();
    channel.bind(&queue, "x", "");
    channel.consume_no_ack(&queue, "again");
    assert!(channel.publish_and_wait("x", "k", delayed(100), "new"));
    assert_eq!(channel.delivery().body, "new");
}

#[test]
fn a_killed_broker_delivers_what_waited_once_and_in_time() {
    let mut broker = Broker::leveret(&[]);
    let channel = broker.channel();
    channel.confirm_select();
    declare(&channel, "x", "fanout");
    durable_queue(&channel, "q");
    channel.bind("q", "x", "");
    let persistent = |delay_ms| delayed(delay_ms).with_delivery_mode(2);
    // Longer than a restart takes, and shorter.
    let published = Instant::now();
    let late = Duration::from_secs(4);
    assert!(channel.publish_and_wait("x", "k", persistent(4000), "late"));
    assert!(channel.publish_and_wait("x", "k", persistent(1), "due before"));
    assert!(channel.publish_and_wait("x", "k", persistent(300), "due meanwhile"));
    assert!(channel.publish_and_wait("x", "k", delayed(300), "transient"));
    channel.wait_ready("q", 1);
    broker.kill();
    broker.restart();
    let channel = broker.channel();
    channel.consume_no_ack("q", "c");
    assert_eq!(channel.bodies(2), ["due before", "due meanwhile"]);
    let last = channel.delivery();
    assert_eq!((last.body.as_str(), delay_of(&last)), ("late", Some(-4000)));
    let age = published.elapsed();
    assert!(age + Duration::from_millis(1) >= late, "{age:?}");
    channel.expect_silence("q");
}

#[test]
fn the_type_to_match_as_must_be_one() {
    let broker = Broker::leveret(&[]);
    let missing = "Invalid argument, 'x-delayed-type' must be an existing exchange type";
    for (arguments, why) in [
        (table([]), missing),
        (table([("x-delayed-type", AMQPValue::LongInt(5))]), missing),
        (table([("x-delayed-type", text("x-delayed-message"))]), missing),
        (table([("x-delayed-type", text("x-no-such"))]), "unknown exchange type 'x-no-such'"),
    ] {
        let closed =
            broker.channel().exchange_with("x", "x-delayed-message", arguments).unwrap_err();
        assert_eq!(closed, channel_closed(406, format!("PRECONDITION_FAILED - {why}")));
    }
}
