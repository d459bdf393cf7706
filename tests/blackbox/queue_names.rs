//! Promise: a queue is found by its name, and the broker finds a name where the client gives none.

use leveret_tests::broker::Broker;
use leveret_tests::closed::channel_closed;
use leveret_tests::{basic, queue};

/// Check 28.
#[test]
fn an_empty_name_is_filled_in_and_stands_for_the_last_declared_queue_afterwards() {
    let broker = Broker::start();
    let channel = broker.channel();
    let name = channel.exclusive_queue();
    assert!(name.starts_with("amq.gen-"), "{name}");
    assert_ne!(name, broker.channel().exclusive_queue());

    channel.call(queue::Bind { exchange: "amq.fanout".into(), ..Default::default() }).unwrap();
    channel.publish("", &name, "1");
    assert_eq!(channel.get("").unwrap().body, "1");
    channel.try_consume(basic::Consume::default()).unwrap();
    assert_eq!(channel.call(queue::Purge::default()).unwrap().message_count, 0);
    // An empty routing key in a bind of the last declared queue stands for its name.
    channel.call(queue::Bind { exchange: "amq.direct".into(), ..Default::default() }).unwrap();
    channel.publish("amq.direct", &name, "by name");
    assert_eq!(channel.delivery().body, "by name");
    channel.call(queue::Delete::default()).unwrap();
    assert_eq!(broker.channel().counts(&name).unwrap_err().code, 404);
}

/// Check 28.
#[test]
fn an_empty_name_means_nothing_before_a_declare() {
    let broker = Broker::start();
    let closed = channel_closed(404, "NOT_FOUND - no previously declared queue");
    assert_eq!(broker.channel().call(queue::Purge::default()).unwrap_err(), closed);
    assert_eq!(broker.channel().try_get("", true).unwrap_err(), closed);
    assert_eq!(broker.channel().try_consume(basic::Consume::default()).unwrap_err(), closed);
}

#[test]
fn names_that_begin_with_amq_are_reserved() {
    let broker = Broker::start();
    assert_eq!(
        broker
            .channel()
            .call(queue::Declare { queue: "amq.leveret-test".into(), ..Default::default() })
            .unwrap_err(),
        channel_closed(
            403,
            "ACCESS_REFUSED - queue name 'amq.leveret-test' contains reserved prefix 'amq.*'"
        )
    );
}

#[test]
fn missing_queues_are_not_found() {
    let broker = Broker::start();
    let missing = broker.name("missing");
    let expected = channel_closed(404, format!("NOT_FOUND - no queue '{missing}' in vhost '/'"));
    let purge = queue::Purge { queue: missing.as_str().into(), ..Default::default() };
    assert_eq!(broker.channel().call(purge).unwrap_err(), expected);
    assert_eq!(broker.channel().try_get(&missing, true).unwrap_err(), expected);
    let consume = basic::Consume { queue: missing.as_str().into(), ..Default::default() };
    assert_eq!(broker.channel().try_consume(consume).unwrap_err(), expected);
}

/// Line ends have no place in a name, and RabbitMQ drops them.
#[test]
fn carriage_returns_and_line_feeds_are_dropped_from_names() {
    let broker = Broker::start();
    let channel = broker.channel();
    let name = broker.name("q");
    let declare = queue::Declare {
        queue: format!("\r\n{name}\n").into(),
        exclusive: true,
        ..Default::default()
    };
    assert_eq!(channel.declare(declare), name);
    channel.counts(&name).unwrap();
}
