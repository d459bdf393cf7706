//! Promise: a queue with `x-max-priority` delivers higher priorities first, and within one priority in order.

use leveret_tests::broker::Broker;
use leveret_tests::client::Channel;
use leveret_tests::dead_letters::DeadLetters;
use leveret_tests::{AMQPValue, BasicProperties, table, text};

fn with_priority(priority: u8) -> BasicProperties {
    BasicProperties::default().with_priority(priority)
}

fn levels(max: i32) -> (&'static str, AMQPValue) {
    ("x-max-priority", AMQPValue::LongInt(max))
}

/// A channel in confirm mode, and a queue with `max` priorities that holds these messages.
fn queue_of(broker: &Broker, max: i32, messages: &[(&str, Option<u8>)]) -> (Channel, String) {
    let channel = broker.channel();
    channel.confirm_select();
    let queue = channel.exclusive_queue_with(table([levels(max)]));
    for (body, priority) in messages {
        let properties = priority.map_or_else(BasicProperties::default, with_priority);
        assert!(channel.publish_and_wait("", &queue, properties, body));
    }
    (channel, queue)
}

/// Check 59.
#[test]
fn higher_priorities_come_first_and_equal_ones_in_order() {
    let broker = Broker::start();
    let messages =
        [("1a", 1), ("3a", 3), ("2a", 2), ("1b", 1), ("3b", 3), ("2b", 2), ("0a", 0), ("3c", 3)]
            .map(|(body, priority)| (body, Some(priority)));
    let expected = ["3a", "3b", "3c", "2a", "2b", "1a", "1b", "0a"];
    let (channel, queue) = queue_of(&broker, 3, &messages);
    assert_eq!(channel.drain(&queue), expected);

    let (channel, queue) = queue_of(&broker, 3, &messages);
    channel.consume_no_ack(&queue, "c");
    assert_eq!(channel.bodies(8), expected);
}

/// Check 59.
#[test]
fn no_priority_is_the_lowest_and_one_above_the_maximum_counts_as_the_maximum() {
    let broker = Broker::start();
    let messages = [
        ("none", None),
        ("one", Some(1)),
        ("capped", Some(255)),
        ("five", Some(5)),
        ("zero", Some(0)),
        ("capped too", Some(6)),
    ];
    let (channel, queue) = queue_of(&broker, 5, &messages);
    let first = channel.get(&queue).unwrap();
    assert_eq!((first.body.as_str(), first.properties), ("capped", with_priority(255)));
    assert_eq!(channel.drain(&queue), ["five", "capped too", "one", "none", "zero"]);
}

/// Check 59.
#[test]
fn without_priorities_a_queue_keeps_the_order() {
    let broker = Broker::start();
    let (channel, queue) = queue_of(&broker, 0, &[("low", Some(1)), ("high", Some(9))]);
    assert_eq!(channel.drain(&queue), ["low", "high"]);
    let plain = channel.exclusive_queue();
    for (body, priority) in [("low", 1), ("high", 9)] {
        assert!(channel.publish_and_wait("", &plain, with_priority(priority), body));
    }
    assert_eq!(channel.drain(&plain), ["low", "high"]);
}

/// Check 59.
#[test]
fn as_many_as_255_priorities_are_in_order() {
    let broker = Broker::start();
    let channel = broker.channel();
    channel.confirm_select();
    let queue = channel.exclusive_queue_with(table([levels(255)]));
    // 77 and 256 have no common divisor: every priority once, in a scattered order.
    let priorities: Vec<u8> = (0..=255_u8).map(|number| number.wrapping_mul(77)).collect();
    for priority in &priorities {
        channel.publish_with("", &queue, with_priority(*priority), &priority.to_string());
    }
    assert_eq!(channel.confirms(1, 256), [0; 0]);
    let expected: Vec<String> = (0..=255).rev().map(|priority: u8| priority.to_string()).collect();
    assert_eq!(channel.drain(&queue), expected);
}

/// Check 59.
#[test]
fn a_message_that_is_put_back_keeps_its_priority_and_its_place() {
    let broker = Broker::start();
    let messages =
        [("1a", 1), ("5a", 5), ("5b", 5), ("1b", 1)].map(|(body, level)| (body, Some(level)));
    let (channel, queue) = queue_of(&broker, 5, &messages);
    let taken: Vec<_> = (0..3).map(|_| channel.get_unacked(&queue)).collect();
    let bodies: Vec<&str> = taken.iter().map(|message| message.body.as_str()).collect();
    assert_eq!(bodies, ["5a", "5b", "1a"]);
    for message in &taken {
        channel.requeue(message.delivery_tag);
    }
    channel.wait_ready(&queue, 4);
    for (body, redelivered) in [("5a", true), ("5b", true), ("1a", true), ("1b", false)] {
        let message = channel.get(&queue).unwrap();
        assert_eq!((message.body.as_str(), message.redelivered), (body, redelivered));
    }
}

/// Check 59.
#[test]
fn a_later_message_of_higher_priority_overtakes_what_waits_for_a_consumer() {
    let broker = Broker::start();
    let channel = broker.channel();
    channel.confirm_select();
    let queue = channel.exclusive_queue_with(table([levels(5)]));
    channel.prefetch(1);
    channel.consume(&queue, "c");
    assert!(channel.publish_and_wait("", &queue, with_priority(0), "busy"));
    let busy = channel.delivery();
    for (body, priority) in [("low", 1), ("high", 4)] {
        assert!(channel.publish_and_wait("", &queue, with_priority(priority), body));
    }
    channel.ack(busy.delivery_tag);
    let high = channel.delivery();
    channel.ack(high.delivery_tag);
    assert_eq!([busy.body, high.body, channel.delivery().body], ["busy", "high", "low"]);
}

/// Check 55. The head of the queue goes, which is what would have been delivered next.
#[test]
fn a_full_queue_drops_the_next_to_be_delivered() {
    let broker = Broker::start();
    let dead = DeadLetters::with(&broker, [levels(5), ("x-max-length", AMQPValue::LongInt(2))]);
    for (body, priority) in [("high", 5), ("low", 1), ("middle", 3), ("high too", 5)] {
        dead.publish(with_priority(priority), body);
    }
    assert_eq!(dead.bodies(2), ["high", "high too"]);
    assert_eq!(dead.channel.drain(&dead.source), ["middle", "low"]);
}

/// Check 55.
#[test]
fn a_full_queue_that_refuses_does_so_whatever_the_priority() {
    let broker = Broker::start();
    let channel = broker.channel();
    channel.confirm_select();
    let queue = channel.exclusive_queue_with(table([
        levels(5),
        ("x-max-length", AMQPValue::LongInt(2)),
        ("x-overflow", text("reject-publish")),
    ]));
    let taken = [1, 2, 5].map(|priority| {
        channel.publish_and_wait("", &queue, with_priority(priority), &priority.to_string())
    });
    assert_eq!(taken, [true, true, false]);
    assert_eq!(channel.drain(&queue), ["2", "1"]);
}

/// Check 59.
#[test]
fn messages_of_every_priority_expire() {
    let broker = Broker::start();
    let dead = DeadLetters::with(&broker, [levels(5), ("x-message-ttl", AMQPValue::LongInt(60))]);
    for (body, priority) in [("low", 1), ("high", 5), ("middle", 3)] {
        dead.publish(with_priority(priority), body);
    }
    let mut died = dead.bodies(3);
    died.sort_unstable();
    assert_eq!(died, ["high", "low", "middle"]);
    assert_eq!(dead.channel.get(&dead.source), None);
}

/// Check 59.
#[test]
fn a_message_keeps_its_priority_in_the_dead_letter_queue() {
    let broker = Broker::start();
    let channel = broker.channel();
    channel.confirm_select();
    let target = channel.exclusive_queue_with(table([levels(5)]));
    let source = channel.exclusive_queue_with(leveret_tests::dead_letters::to_queue(&target));
    for (body, priority) in [("low", 1), ("high", 4)] {
        assert!(channel.publish_and_wait("", &source, with_priority(priority), body));
        channel.reject(channel.get_unacked(&source).delivery_tag, false);
    }
    channel.wait_ready(&target, 2);
    assert_eq!(channel.drain(&target), ["high", "low"]);
}
