//! Promise: a queue declared so has one active consumer, and the next one takes over in the order they came.

use leveret_tests::broker::Broker;
use leveret_tests::client::Channel;
use leveret_tests::closed::channel_closed;
use leveret_tests::{AMQPValue, basic, queue, table};

fn declare(channel: &Channel) -> String {
    channel.declare(queue::Declare {
        exclusive: true,
        arguments: table([("x-single-active-consumer", AMQPValue::Boolean(true))]),
        ..Default::default()
    })
}

/// Check 50.
#[test]
fn one_consumer_gets_everything() {
    let broker = Broker::start();
    let connection = broker.connect();
    let (first, second) = (connection.channel(), connection.channel());
    let queue = declare(&first);
    first.consume_no_ack(&queue, "c");
    second.consume_no_ack(&queue, "c");
    for number in 0..10 {
        first.publish("", &queue, &number.to_string());
    }
    assert_eq!(first.bodies(10).len(), 10);
    second.expect_silence(&queue);
}

/// Check 50.
#[test]
fn after_a_cancel_the_next_takes_over_and_the_old_one_keeps_its_messages() {
    let broker = Broker::start();
    let connection = broker.connect();
    let channels = [connection.channel(), connection.channel(), connection.channel()];
    let queue = declare(&channels[0]);
    for channel in &channels {
        channel.consume(&queue, "c");
    }
    channels[0].publish("", &queue, "1");
    let held = channels[0].delivery();
    channels[0].call(basic::Cancel { consumer_tag: "c".into(), ..Default::default() }).unwrap();
    channels[0].publish("", &queue, "2");
    assert_eq!(channels[1].delivery().body, "2", "the second in order, and only the new message");
    channels[0].ack(held.delivery_tag);
    channels[0].expect_silence(&queue);
    channels[2].expect_silence(&queue);
}

/// Check 50.
#[test]
fn after_a_channel_close_the_next_gets_its_messages_again() {
    let broker = Broker::start();
    let connection = broker.connect();
    let (first, second) = (connection.channel(), connection.channel());
    let queue = declare(&second);
    first.consume(&queue, "c");
    second.consume(&queue, "c");
    second.publish("", &queue, "1");
    assert_eq!(first.delivery().body, "1");
    first.close();
    let again = second.delivery();
    assert_eq!((again.body.as_str(), again.redelivered), ("1", true));
}

/// Check 49.
#[test]
fn an_exclusive_consumer_is_refused() {
    let broker = Broker::start();
    let channel = broker.channel();
    let queue = declare(&channel);
    let consume =
        basic::Consume { queue: queue.as_str().into(), exclusive: true, ..Default::default() };
    assert_eq!(
        channel.try_consume(consume).unwrap_err(),
        channel_closed(
            403,
            format!("ACCESS_REFUSED - queue '{queue}' in vhost '/' in exclusive use")
        )
    );
}
