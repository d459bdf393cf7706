//! Promise: a queue with `x-retry-delays` gives a rejected message back after the next of its delays, and dead-letters it
//! after the last (check 68).

use std::time::{Duration, Instant};

use leveret_tests::broker::Broker;
use leveret_tests::client::{Channel, Message};
use leveret_tests::dead_letters::{DeadLetters, to_queue};
use leveret_tests::death::{deaths, reasons};
use leveret_tests::{
    AMQPValue, BasicProperties, FieldArray, FieldTable, basic, queue, table, text,
};

/// How late a message may come back: this is about the schedule, on a machine that runs other tests.
const LATENESS: Duration = Duration::from_millis(500);

fn plain() -> BasicProperties {
    BasicProperties::default()
}

fn delays(schedule: &str) -> (&'static str, AMQPValue) {
    ("x-retry-delays", text(schedule))
}

/// Rejects a message and waits for it to come again: how long that took is checked against the delay and its jitter.
fn comes_back_after(channel: &Channel, message: &Message, delay_ms: u64) -> Message {
    let rejected = Instant::now();
    channel.reject(message.delivery_tag, false);
    let again = channel.delivery();
    let waited = rejected.elapsed();
    let jitter = Duration::from_millis(delay_ms / 10);
    let delay = Duration::from_millis(delay_ms);
    // A millisecond less: the clocks of both sides count whole ones.
    let window = delay - jitter - Duration::from_millis(1)..delay + jitter + LATENESS;
    assert!(window.contains(&waited), "{waited:?} instead of {delay:?}");
    again
}

#[test]
fn a_rejected_message_comes_back_after_each_delay_and_then_is_dead_lettered() {
    let broker = Broker::leveret(&[]);
    for kind in ["classic", "quorum"] {
        let channel = broker.channel();
        let target = channel.exclusive_queue();
        let mut arguments = to_queue(&target);
        arguments.insert("x-queue-type".into(), text(kind));
        arguments.insert("x-retry-delays".into(), text("60ms, 120ms"));
        channel.declare(queue::Declare {
            queue: kind.into(),
            durable: true,
            arguments,
            ..Default::default()
        });
        channel.exchange_with("x", "topic", table([])).unwrap();
        channel.bind(kind, "x", "the.*");
        channel.consume(kind, "worker");
        channel.publish_with("x", "the.key", plain().with_message_id("id".into()), "m");
        let mut message = channel.delivery();
        assert_eq!(message.count_header("x-retry-count"), None);
        for (count, delay_ms) in [(1, 60), (2, 120)] {
            message = comes_back_after(&channel, &message, delay_ms);
            assert_eq!(message.body, "m");
            assert_eq!(message.count_header("x-retry-count"), Some(count));
            assert!(message.redelivered);
            assert_eq!((message.exchange.as_str(), message.routing_key.as_str()), ("x", "the.key"));
            assert_eq!(message.properties.message_id(), &Some("id".into()));
            assert_eq!(deaths(&message), [], "it has not died");
        }
        channel.consume_no_ack(&target, "dead-letters");
        channel.reject(message.delivery_tag, false);
        let dead = channel.delivery();
        assert_eq!(dead.consumer_tag, "dead-letters");
        assert_eq!(reasons(&dead), [("delivery_limit".into(), kind.into(), 1)]);
        channel.delete_queue(kind);
    }
}

#[test]
fn a_nack_without_requeue_is_a_rejection_too_and_one_with_requeue_is_not() {
    let broker = Broker::leveret(&[]);
    let dead = DeadLetters::with(&broker, [delays("60ms")]);
    let channel = &dead.channel;
    dead.publish(plain(), "m");
    let first = channel.get_unacked(&dead.source);
    channel.requeue(first.delivery_tag);
    let again = channel.get_unacked(&dead.source);
    assert_eq!(again.count_header("x-retry-count"), None);
    dead.reject_up_to(again.delivery_tag);
    channel.consume(&dead.source, "worker");
    let retried = channel.delivery();
    assert_eq!(retried.count_header("x-retry-count"), Some(1));
    let nack = basic::Nack { delivery_tag: retried.delivery_tag, multiple: false, requeue: false };
    channel.send(nack);
    assert_eq!(reasons(&dead.next()), [("delivery_limit".into(), dead.source.clone(), 1)]);
}

#[test]
fn what_waits_for_its_retry_holds_up_no_one() {
    let broker = Broker::leveret(&[]);
    let dead = DeadLetters::with(&broker, [delays("150ms")]);
    let channel = &dead.channel;
    dead.publish(plain(), "fails");
    channel.reject(channel.get_unacked(&dead.source).delivery_tag, false);
    channel.wait_ready(&dead.source, 0);
    channel.fill(&dead.source, &["next", "and next"]);
    channel.consume(&dead.source, "worker");
    assert_eq!(channel.bodies(3), ["next", "and next", "fails"]);
}

#[test]
fn each_message_has_its_own_count() {
    let broker = Broker::leveret(&[]);
    let dead = DeadLetters::with(&broker, [delays("30ms,30ms,30ms")]);
    let channel = &dead.channel;
    channel.consume(&dead.source, "worker");
    for body in ["0", "1", "2", "3"] {
        channel.publish("", &dead.source, body);
    }
    // The body says how often it is rejected.
    let mut done = Vec::new();
    while done.len() < 4 {
        let message = channel.delivery();
        let count = message.count_header("x-retry-count").unwrap_or(0);
        if count.to_string() == message.body {
            channel.ack(message.delivery_tag);
            done.push(message.body);
        } else {
            channel.reject(message.delivery_tag, false);
        }
    }
    done.sort_unstable();
    assert_eq!(done, ["0", "1", "2", "3"]);
}

#[test]
fn without_a_dead_letter_exchange_a_message_is_gone_after_its_last_retry() {
    let broker = Broker::leveret(&[]);
    let channel = broker.channel();
    channel.confirm_select();
    let queue = channel.exclusive_queue_with(table([delays("20ms")]));
    channel.fill(&queue, &["m"]);
    channel.consume(&queue, "worker");
    channel.reject(channel.delivery().delivery_tag, false);
    channel.reject(channel.delivery().delivery_tag, false);
    channel.expect_silence(&queue);
}

#[test]
fn waiting_messages_survive_a_kill_with_their_counts_and_come_when_they_are_due() {
    let mut broker = Broker::leveret(&[]);
    let channel = broker.channel();
    channel.confirm_select();
    let mut arguments = to_queue("dead");
    let (name, schedule) = delays("20ms,3s");
    arguments.insert(name.into(), schedule);
    for (queue, arguments) in [("q", arguments), ("dead", FieldTable::default())] {
        channel.declare(queue::Declare {
            queue: queue.into(),
            durable: true,
            arguments,
            ..Default::default()
        });
    }
    let persistent = plain().with_delivery_mode(2);
    assert!(channel.publish_and_wait("", "q", persistent.clone(), "m"));
    channel.consume("q", "worker");
    channel.reject(channel.delivery().delivery_tag, false);
    let retried = channel.delivery();
    let rejected = Instant::now();
    channel.reject(retried.delivery_tag, false);
    // Behind the rejection in the queue, and then in the store.
    channel.counts("q").unwrap();
    assert!(channel.publish_and_wait("", "dead", persistent, "behind it"));
    broker.kill();
    broker.restart();
    let channel = broker.channel();
    assert_eq!(channel.get("dead").unwrap().body, "behind it");
    channel.consume("q", "worker");
    let again = channel.delivery();
    assert_eq!((again.body.as_str(), again.count_header("x-retry-count")), ("m", Some(2)));
    let waited = rejected.elapsed();
    assert!(waited >= Duration::from_millis(2699), "{waited:?}: it was early");
    channel.consume_no_ack("dead", "dead-letters");
    channel.reject(again.delivery_tag, false);
    assert_eq!(reasons(&channel.delivery()), [("delivery_limit".into(), "q".into(), 1)]);
}

#[test]
fn a_schedule_is_a_list_of_delays() {
    let broker = Broker::leveret(&[]);
    let channel = broker.channel();
    let array = |values: Vec<AMQPValue>| AMQPValue::FieldArray(FieldArray::from(values));
    for good in [
        text("1s,10s,1m,10m"),
        text("500"),
        text("1h, 1d"),
        array(vec![AMQPValue::LongInt(100), text("1m")]),
    ] {
        channel.exclusive_queue_with(table([("x-retry-delays", good)]));
    }
    for bad in [
        text(""),
        text("1s,,2s"),
        text("soon"),
        text("1x"),
        text("-1s"),
        text("0ms"),
        text("366d"),
        text(&["1s"; 65].join(",")),
        array(vec![]),
        AMQPValue::LongInt(5),
        AMQPValue::Boolean(true),
    ] {
        let declare = queue::Declare {
            queue: "bad".into(),
            exclusive: true,
            arguments: table([("x-retry-delays", bad.clone())]),
            ..Default::default()
        };
        let closed = broker.channel().call(declare).unwrap_err();
        let start =
            "PRECONDITION_FAILED - invalid arg 'x-retry-delays' for queue 'bad' in vhost '/': ";
        assert!(closed.code == 406 && closed.text.starts_with(start), "{bad:?}: {closed:?}");
    }
}
