//! Promise: a SIGKILL while messages are being dead-lettered loses none and doubles none: each is in one queue or the
//! other (check 71).

use std::collections::BTreeSet;

use leveret_tests::broker::Broker;
use leveret_tests::client::Channel;
use leveret_tests::dead_letters::to_queue;
use leveret_tests::death::reasons;
use leveret_tests::{AMQPValue, BasicProperties, FieldTable, basic, queue, table};

/// Publishes outstanding at any time.
const WINDOW: u64 = 200;

fn durable(channel: &Channel, name: &str, arguments: FieldTable) {
    channel.declare(queue::Declare {
        queue: name.into(),
        durable: true,
        arguments,
        ..Default::default()
    });
}

/// A durable queue `source` with one more argument, whose dead letters go to the durable queue `target`.
fn declare(channel: &Channel, argument: (&str, AMQPValue)) {
    durable(channel, "target", table([]));
    let mut arguments = to_queue("target");
    arguments.insert(argument.0.into(), argument.1);
    durable(channel, "source", arguments);
}

/// Publishes numbers from `next` on until `count` are confirmed; what is confirmed is added to `confirmed`.
fn publish(broker: &Broker, next: &mut u64, confirmed: &mut BTreeSet<u64>, count: usize) {
    let channel = broker.channel();
    channel.confirm_select();
    let first = *next;
    let mut open = BTreeSet::new();
    let wanted = confirmed.len() + count;
    while confirmed.len() < wanted {
        while (open.len() as u64) < WINDOW {
            let properties = BasicProperties::default().with_delivery_mode(2);
            channel.publish_with("", "source", properties, &next.to_string());
            open.insert(*next);
            *next += 1;
        }
        let (tag, multiple, acked) = channel.confirm();
        assert!(acked, "the broker refused a message");
        let number = first + tag - 1;
        let settled: Vec<u64> =
            if multiple { open.range(..=number).copied().collect() } else { vec![number] };
        for number in settled {
            open.remove(&number);
            confirmed.insert(number);
        }
    }
}

/// Everything that is in a queue, which has each number once.
fn drain(channel: &Channel, queue: &str) -> BTreeSet<u64> {
    let mut found = BTreeSet::new();
    while let Some(message) = channel.get(queue) {
        let number = message.body.parse().expect("bodies are numbers");
        assert!(found.insert(number), "{number} is in {queue} twice");
    }
    found
}

/// Kills the broker in the middle of dead letters, again and again, and then counts.
fn survives(argument: impl Fn() -> (&'static str, AMQPValue), reason: &str) {
    let mut broker = Broker::leveret(&[]);
    declare(&broker.channel(), argument());
    let (mut next, mut confirmed) = (0, BTreeSet::new());
    for round in 0..6 {
        publish(&broker, &mut next, &mut confirmed, 100 + round * 331 % 700);
        broker.kill();
        broker.restart();
    }
    let channel = broker.channel();
    let first = channel.get_unacked("target");
    assert_eq!(reasons(&first), [(reason.into(), "source".into(), 1)]);
    channel.requeue(first.delivery_tag);
    if reason == "expired" {
        channel.wait_ready("source", 0);
    }
    let (source, target) = (drain(&channel, "source"), drain(&channel, "target"));
    let doubled: Vec<_> = source.intersection(&target).collect();
    assert!(doubled.is_empty(), "in both queues: {doubled:?}");
    let lost: Vec<_> =
        confirmed.iter().filter(|n| !source.contains(n) && !target.contains(n)).collect();
    assert!(lost.is_empty(), "confirmed and lost: {lost:?}");
}

#[test]
fn messages_that_expire_are_neither_lost_nor_doubled() {
    survives(|| ("x-message-ttl", AMQPValue::LongInt(5)), "expired");
}

#[test]
fn messages_that_make_way_are_neither_lost_nor_doubled() {
    survives(|| ("x-max-length", AMQPValue::LongInt(10)), "maxlen");
}

/// A consumer rejects everything it gets while the broker dies under it.
#[test]
fn messages_that_are_rejected_are_neither_lost_nor_doubled() {
    let mut broker = Broker::leveret(&[]);
    let channel = broker.channel();
    declare(&channel, ("x-max-length", AMQPValue::LongInt(1_000_000)));
    let (mut next, mut confirmed) = (0, BTreeSet::new());
    publish(&broker, &mut next, &mut confirmed, 2000);
    for round in 1..=5 {
        let channel = broker.channel();
        channel.prefetch(50);
        channel.consume("source", "worker");
        for number in 0..round * 60 {
            let message = channel.delivery();
            let multiple = number % 7 == 0;
            let delivery_tag = message.delivery_tag;
            channel.send(basic::Nack { delivery_tag, multiple, requeue: false });
        }
        broker.kill();
        broker.restart();
    }
    let channel = broker.channel();
    // What the last run had not moved when it was killed is back in the source.
    let (source, target) = (drain(&channel, "source"), drain(&channel, "target"));
    assert!(!source.is_empty() && !target.is_empty(), "{} and {}", source.len(), target.len());
    assert!(source.is_disjoint(&target));
    assert!(confirmed.iter().all(|number| source.contains(number) || target.contains(number)));
}

/// The move is a transaction of its own: once it is written, the message is in the next queue.
#[test]
fn a_message_dies_in_one_queue_and_is_found_in_the_next_with_its_headers_after_a_kill() {
    let mut broker = Broker::leveret(&[]);
    let channel = broker.channel();
    channel.confirm_select();
    declare(&channel, ("x-max-length", AMQPValue::LongInt(10)));
    let properties = BasicProperties::default()
        .with_delivery_mode(2)
        .with_expiration("600000".into())
        .with_message_id("id".into());
    assert!(channel.publish_and_wait("", "source", properties, "m"));
    channel.reject(channel.get_unacked("source").delivery_tag, false);
    channel.wait_ready("target", 1);
    let before = channel.get_unacked("target");
    // The store writes in order, and the answer to this waits for it: the move is written too.
    durable(&channel, "later", FieldTable::default());
    broker.kill();
    broker.restart();
    let after = broker.channel().get("target").unwrap();
    assert_eq!(after.properties, before.properties);
    assert_eq!((after.body.as_str(), after.redelivered), ("m", true));
    assert_eq!(reasons(&after), [("rejected".into(), "source".into(), 1)]);
}
