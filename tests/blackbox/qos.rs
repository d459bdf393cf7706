//! Promise: the prefetch bounds what a consumer, or a channel, holds unacknowledged.

use leveret_tests::basic;
use leveret_tests::broker::Broker;
use leveret_tests::client::Channel;
use leveret_tests::closed::connection_closed;
use leveret_tests::wire::raw_frame;

fn publish_many(channel: &Channel, queue: &str, count: usize) {
    for number in 1..=count {
        channel.publish("", queue, &number.to_string());
    }
}

/// Check 44.
#[test]
fn a_consumer_gets_as_many_as_the_prefetch_and_one_more_for_each_ack() {
    let broker = Broker::start();
    let channel = broker.channel();
    let queue = channel.exclusive_queue();
    publish_many(&channel, &queue, 10);
    channel.prefetch(3);
    channel.consume(&queue, "c");
    assert_eq!(channel.bodies(3), ["1", "2", "3"]);
    channel.expect_silence(&queue);
    channel.ack(1);
    assert_eq!(channel.delivery().body, "4");
    channel.expect_silence(&queue);
    channel.send(basic::Ack { delivery_tag: 4, multiple: true });
    assert_eq!(channel.bodies(3), ["5", "6", "7"]);
    channel.expect_silence(&queue);
}

/// Check 44.
#[test]
fn it_counts_for_each_consumer_that_starts_later_and_old_ones_keep_theirs() {
    let broker = Broker::start();
    let channel = broker.channel();
    let (first, second, third) =
        (channel.exclusive_queue(), channel.exclusive_queue(), channel.exclusive_queue());
    channel.prefetch(2);
    channel.consume(&first, "two");
    channel.prefetch(1);
    channel.consume(&second, "one");
    channel.prefetch(0);
    channel.consume(&third, "unbounded");
    for queue in [&first, &second, &third] {
        publish_many(&channel, queue, 5);
    }
    let mut counts = std::collections::BTreeMap::new();
    for _ in 0..8 {
        *counts.entry(channel.delivery().consumer_tag).or_insert(0) += 1;
    }
    for queue in [&first, &second, &third] {
        channel.expect_silence(queue);
    }
    assert_eq!(
        counts.into_iter().collect::<Vec<_>>(),
        [("one".to_string(), 1), ("two".to_string(), 2), ("unbounded".to_string(), 5)]
    );
}

/// Check 44. RabbitMQ 4.3 does this only where the feature is permitted, as it is in the tests.
#[test]
fn a_global_prefetch_bounds_all_consumers_of_the_channel_together() {
    let broker = Broker::start();
    let channel = broker.channel();
    let (one, two) = (channel.exclusive_queue(), channel.exclusive_queue());
    channel.call(basic::Qos { prefetch_count: 3, global: true }).unwrap();
    channel.consume(&one, "one");
    channel.consume(&two, "two");
    publish_many(&channel, &one, 2);
    publish_many(&channel, &two, 2);
    let tags: Vec<u64> = (0..3).map(|_| channel.delivery().delivery_tag).collect();
    channel.expect_silence(&one);
    channel.expect_silence(&two);
    channel.ack(tags[0]);
    channel.delivery();
}

/// Check 44. Nothing else happens that could wake the consumer: no ack, no publish.
#[test]
fn raising_the_global_prefetch_lets_held_consumers_go_on() {
    let broker = Broker::start();
    let channel = broker.channel();
    let (one, two) = (channel.exclusive_queue(), channel.exclusive_queue());
    channel.call(basic::Qos { prefetch_count: 2, global: true }).unwrap();
    publish_many(&channel, &one, 4);
    publish_many(&channel, &two, 4);
    channel.consume(&one, "one");
    assert_eq!(channel.bodies(2), ["1", "2"]);
    channel.consume(&two, "two");
    channel.expect_silence(&two);
    channel.call(basic::Qos { prefetch_count: 7, global: true }).unwrap();
    let mut bodies = channel.bodies(5);
    channel.expect_silence(&one);
    channel.expect_silence(&two);
    bodies.sort_unstable();
    // Seven of eight: which of them waits is the broker's choice.
    assert_eq!(bodies[..4], ["1", "2", "3", "3"], "{bodies:?}");
}

/// Check 44.
#[test]
fn lifting_the_global_prefetch_lets_held_consumers_go_on() {
    let broker = Broker::start();
    let channel = broker.channel();
    let queue = channel.exclusive_queue();
    channel.call(basic::Qos { prefetch_count: 1, global: true }).unwrap();
    publish_many(&channel, &queue, 5);
    channel.consume(&queue, "c");
    assert_eq!(channel.delivery().body, "1");
    channel.expect_silence(&queue);
    channel.call(basic::Qos { prefetch_count: 0, global: true }).unwrap();
    assert_eq!(channel.bodies(4), ["2", "3", "4", "5"]);
}

/// Check 44.
#[test]
fn a_consumer_that_does_not_ack_is_not_bounded_and_basic_get_does_not_count() {
    let broker = Broker::start();
    let channel = broker.channel();
    let queue = channel.exclusive_queue();
    channel.prefetch(1);
    publish_many(&channel, &queue, 5);
    channel.get_unacked(&queue);
    channel.get_unacked(&queue);
    channel.consume_no_ack(&queue, "c");
    assert_eq!(channel.bodies(3), ["3", "4", "5"]);
}

/// Check 44.
#[test]
fn prefetch_size_is_not_implemented() {
    let broker = Broker::start();
    let connection = broker.connect();
    // basic.qos with prefetch-size 1, count 0 and not global.
    let payload = [0, 60, 0, 10, 0, 0, 0, 1, 0, 0, 0];
    let channel = connection.channel();
    channel.send_bytes(&raw_frame(1, channel.number(), &payload));
    assert_eq!(
        connection.closed(),
        connection_closed(540, "NOT_IMPLEMENTED - prefetch_size!=0 (1)")
    );
}
