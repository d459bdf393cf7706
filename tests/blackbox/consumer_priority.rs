//! Promise: a consumer with a higher `x-priority` is served first while it has room.

use leveret_tests::broker::Broker;
use leveret_tests::client::Channel;
use leveret_tests::{AMQPValue, basic, table};

fn consume(channel: &Channel, queue: &str, priority: i32) {
    channel
        .try_consume(basic::Consume {
            queue: queue.into(),
            consumer_tag: priority.to_string().into(),
            arguments: table([("x-priority", AMQPValue::LongInt(priority))]),
            ..Default::default()
        })
        .unwrap();
}

/// Check 51.
#[test]
fn the_higher_one_is_served_until_its_prefetch_is_full() {
    let broker = Broker::start();
    let connection = broker.connect();
    let (low, high) = (connection.channel(), connection.channel());
    let queue = low.exclusive_queue();
    for (channel, priority) in [(&low, -1), (&high, 10)] {
        channel.prefetch(2);
        consume(channel, &queue, priority);
    }
    for number in 1..=4 {
        low.publish("", &queue, &number.to_string());
    }
    assert_eq!(high.bodies(2), ["1", "2"]);
    assert_eq!(low.bodies(2), ["3", "4"]);
    high.ack(1);
    low.ack(1);
    low.counts(&queue).unwrap();
    low.publish("", &queue, "5");
    assert_eq!(high.delivery().body, "5");
    low.expect_silence(&queue);
}

/// Check 51.
#[test]
fn equals_take_turns() {
    let broker = Broker::start();
    let connection = broker.connect();
    let channels = [connection.channel(), connection.channel()];
    let queue = channels[0].exclusive_queue();
    for channel in &channels {
        consume(channel, &queue, 5);
    }
    let rest = connection.channel();
    rest.consume(&queue, "default is 0");
    for number in 0..6 {
        rest.publish("", &queue, &number.to_string());
    }
    for channel in &channels {
        assert_eq!(channel.bodies(3).len(), 3);
    }
    rest.expect_silence(&queue);
}

#[test]
fn a_priority_that_is_no_number_is_refused() {
    let broker = Broker::start();
    let channel = broker.channel();
    let queue = channel.exclusive_queue();
    let consume = basic::Consume {
        queue: queue.as_str().into(),
        arguments: table([("x-priority", leveret_tests::text("high"))]),
        ..Default::default()
    };
    let closed = channel.try_consume(consume).unwrap_err();
    assert_eq!(closed.code, 406, "{closed:?}");
}
