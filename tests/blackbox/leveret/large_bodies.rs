//! Promise: a body far above what a queue, a socket buffer or a consumer's window holds is a message like any other
//! (check 64). RabbitMQ 4 has a limit of 16 MiB, so this is about Leveret only.

use leveret_tests::broker::Broker;
use leveret_tests::client::{Channel, Message};
use leveret_tests::{BasicProperties, queue};

const BODY_LEN: usize = 64 << 20;
/// A durable queue.
const QUEUE: &str = "q";

/// A body that differs in each place and from those of other numbers.
fn body(number: usize) -> String {
    let block: String = (0..1024).map(|place| format!("{number:02}-{place:04} ")).collect();
    block.chars().cycle().take(BODY_LEN).collect()
}

/// A broker with large messages, numbered from 0, in a durable queue, each of them confirmed.
fn broker_with_large_messages(count: usize) -> (Broker, Channel) {
    let broker = Broker::leveret(&[]);
    let channel = broker.channel();
    channel.declare(queue::Declare { queue: QUEUE.into(), durable: true, ..Default::default() });
    channel.confirm_select();
    for number in 0..count {
        let persistent = BasicProperties::default().with_delivery_mode(2);
        channel.publish_with("", QUEUE, persistent, &body(number));
    }
    assert_eq!(channel.confirms(1, count as u64), [0; 0]);
    (broker, channel)
}

/// Not with `assert_eq`, which would print both.
fn assert_is(message: &Message, number: usize) {
    assert!(message.body == body(number), "body {number}: {} octets", message.body.len());
}

#[test]
fn it_comes_back_equal_from_a_get_a_requeue_and_a_consumer() {
    let (mut broker, channel) = broker_with_large_messages(1);
    let message = channel.get_unacked(QUEUE);
    assert_is(&message, 0);
    channel.requeue(message.delivery_tag);
    channel.consume(QUEUE, "c");
    let message = channel.delivery();
    assert_is(&message, 0);
    assert!(message.redelivered);
    channel.ack(message.delivery_tag);
    channel.expect_silence(QUEUE);
    drop(channel);
    broker.stop();
}

#[test]
fn several_are_unacked_at_a_consumer_without_prefetch_and_go_back_in_order() {
    const COUNT: usize = 3;
    let (mut broker, channel) = broker_with_large_messages(COUNT);
    channel.prefetch(0);
    channel.consume(QUEUE, "c");
    for number in 0..COUNT {
        assert_is(&channel.delivery(), number);
    }
    channel.expect_silence(QUEUE);
    channel.close();
    let channel = broker.channel();
    for number in 0..COUNT {
        let message = channel.get_unacked(QUEUE);
        assert_is(&message, number);
        assert!(message.redelivered);
    }
    drop(channel);
    broker.stop();
}

#[test]
fn several_that_are_unacked_do_not_hold_up_a_clean_stop_and_are_there_after_it() {
    const COUNT: usize = 3;
    let (mut broker, channel) = broker_with_large_messages(COUNT);
    channel.consume(QUEUE, "c");
    for number in 0..COUNT {
        assert_is(&channel.delivery(), number);
    }
    drop(channel);
    broker.stop();
    broker.restart();
    let channel = broker.channel();
    for number in 0..COUNT {
        assert_is(&channel.get(QUEUE).unwrap(), number);
    }
    assert_eq!(channel.get(QUEUE), None);
}
