//! Promise: a quorum queue counts how often a message failed, says so, and gives it up at `x-delivery-limit`.
//!
//! A failure is `basic.reject` with requeue, or the end of a channel or connection. `basic.nack` with requeue and
//! `basic.recover` give a message back that was not even tried: they count as acquired, not as failed.

use leveret_tests::broker::Broker;
use leveret_tests::client::{Channel, Message};
use leveret_tests::dead_letters::to_queue;
use leveret_tests::death::{marks, reasons};
use leveret_tests::wait;
use leveret_tests::{AMQPValue, BasicProperties, FieldTable, basic, table};

/// A channel in confirm mode and a quorum queue, which the test deletes.
fn quorum_queue(broker: &Broker, arguments: FieldTable) -> (Channel, String) {
    let channel = broker.channel();
    channel.confirm_select();
    let name = broker.name("quorum");
    channel.quorum_queue(&name, arguments).unwrap();
    (channel, name)
}

fn limit(deliveries: i32) -> (&'static str, AMQPValue) {
    ("x-delivery-limit", AMQPValue::LongInt(deliveries))
}

/// What the headers say: failed deliveries and deliveries altogether.
fn counted(message: &Message) -> Counts {
    (message.count_header("x-delivery-count"), message.count_header("x-acquired-count"))
}

/// Takes a message that is on its way back into the queue.
fn take(channel: &Channel, queue: &str) -> Message {
    wait::until("the message is back", || channel.try_get(queue, false).unwrap())
}

type GiveBack = fn(&Channel, u64);

/// `x-delivery-count` and `x-acquired-count`.
type Counts = (Option<i64>, Option<i64>);

const REJECT: GiveBack = |channel, tag| channel.reject(tag, true);
const NACK: GiveBack = |channel, tag| channel.requeue(tag);
const RECOVER: GiveBack = |channel, _| {
    channel.call(basic::Recover { requeue: true }).unwrap();
};

#[test]
fn the_first_delivery_has_no_counts() {
    let broker = Broker::start();
    let (channel, queue) = quorum_queue(&broker, table([]));
    channel.fill(&queue, &["m"]);
    let message = take(&channel, &queue);
    assert_eq!(message.properties.headers(), &None);
    assert!(!message.redelivered);
    channel.delete_queue(&queue);
}

#[test]
fn a_rejection_counts_as_a_failure_and_a_nack_does_not() {
    let broker = Broker::start();
    let rows: [(&str, GiveBack, [Counts; 2]); 3] = [
        ("basic.reject", REJECT, [(Some(1), Some(1)), (Some(2), Some(2))]),
        ("basic.nack", NACK, [(None, Some(1)), (None, Some(2))]),
        ("basic.recover", RECOVER, [(None, Some(1)), (None, Some(2))]),
    ];
    for (method, give_back, expected) in rows {
        let (channel, queue) = quorum_queue(&broker, table([]));
        channel.fill(&queue, &["got", "consumed"]);
        give_back(&channel, take(&channel, &queue).delivery_tag);
        for expected in expected {
            let message = take(&channel, &queue);
            assert_eq!(counted(&message), expected, "{method} after basic.get");
            assert!(message.redelivered);
            give_back(&channel, message.delivery_tag);
        }
        channel.ack(take(&channel, &queue).delivery_tag);

        channel.consume(&queue, "c");
        give_back(&channel, channel.delivery().delivery_tag);
        for expected in expected {
            let message = channel.delivery();
            assert_eq!(counted(&message), expected, "{method} after basic.deliver");
            give_back(&channel, message.delivery_tag);
        }
        channel.delete_queue(&queue);
    }
}

#[test]
fn the_end_of_a_channel_or_a_connection_counts_as_a_failure() {
    let broker = Broker::start();
    let (channel, queue) = quorum_queue(&broker, table([]));
    channel.fill(&queue, &["m"]);
    for failures in 0..4 {
        let connection = broker.connect();
        let other = connection.channel();
        let message = take(&other, &queue);
        let expected = (failures > 0).then_some(failures);
        assert_eq!(counted(&message), (expected, expected));
        if failures % 2 == 0 {
            other.close();
        } else {
            connection.close();
        }
    }
    channel.delete_queue(&queue);
}

#[test]
fn failures_and_other_returns_are_counted_apart() {
    let broker = Broker::start();
    let (channel, queue) = quorum_queue(&broker, table([]));
    channel.fill(&queue, &["m"]);
    let expected =
        [(None, None), (None, Some(1)), (Some(1), Some(2)), (Some(1), Some(3)), (Some(2), Some(4))];
    for (number, expected) in expected.into_iter().enumerate() {
        let message = take(&channel, &queue);
        assert_eq!(counted(&message), expected, "delivery {number}");
        let give_back = if number % 2 == 0 { NACK } else { REJECT };
        give_back(&channel, message.delivery_tag);
    }
    channel.delete_queue(&queue);
}

#[test]
fn a_message_that_failed_too_often_is_dead_lettered() {
    let broker = Broker::start();
    for (arguments, deliveries) in [
        (table([limit(0)]), 1),
        (table([limit(2)]), 3),
        // The default is 20.
        (table([]), 21),
    ] {
        let channel = broker.channel();
        let target = channel.exclusive_queue();
        let mut all = to_queue(&target);
        for (name, value) in arguments.inner() {
            all.insert(name.clone(), value.clone());
        }
        let queue = broker.name("quorum");
        channel.quorum_queue(&queue, all).unwrap();
        channel.confirm_select();
        channel.fill(&queue, &["m"]);
        channel.consume(&queue, "worker");
        channel.consume_no_ack(&target, "dead-letters");
        let mut tries = 0;
        let dead = loop {
            let message = channel.delivery();
            if message.consumer_tag == "dead-letters" {
                break message;
            }
            tries += 1;
            channel.reject(message.delivery_tag, true);
        };
        assert_eq!(tries, deliveries);
        assert_eq!(reasons(&dead), [("delivery_limit".into(), queue.clone(), 1)]);
        let mark = ("delivery_limit".into(), queue.clone(), String::new());
        assert_eq!(marks(&dead, "first"), Some(mark));
        assert_eq!(counted(&dead), (None, None), "the counts are those of the queue it left");
        channel.expect_silence(&queue);
        channel.delete_queue(&queue);
    }
}

#[test]
fn without_a_dead_letter_exchange_a_message_that_failed_too_often_is_gone() {
    let broker = Broker::start();
    let (channel, queue) = quorum_queue(&broker, table([limit(1)]));
    channel.fill(&queue, &["fails", "waits"]);
    channel.prefetch(1);
    channel.consume(&queue, "c");
    let mut seen = Vec::new();
    for _ in 0..4 {
        let message = channel.delivery();
        channel.reject(message.delivery_tag, true);
        seen.push(message.body);
    }
    seen.sort_unstable();
    assert_eq!(seen, ["fails", "fails", "waits", "waits"]);
    channel.expect_silence(&queue);
    channel.delete_queue(&queue);
}

#[test]
fn returns_that_are_no_failures_never_reach_the_limit() {
    let broker = Broker::start();
    let (channel, queue) = quorum_queue(&broker, table([limit(1)]));
    channel.fill(&queue, &["m"]);
    channel.consume(&queue, "c");
    for number in 0..30 {
        let message = channel.delivery();
        assert_eq!(counted(&message), (None, (number > 0).then_some(number)));
        channel.requeue(message.delivery_tag);
    }
    channel.delete_queue(&queue);
}

#[test]
fn a_negative_limit_is_none() {
    let broker = Broker::start();
    let (channel, queue) = quorum_queue(&broker, table([limit(-1)]));
    channel.fill(&queue, &["m"]);
    channel.consume(&queue, "c");
    for number in 0..30 {
        let message = channel.delivery();
        assert_eq!(message.count_header("x-delivery-count"), (number > 0).then_some(number));
        channel.reject(message.delivery_tag, true);
    }
    channel.delete_queue(&queue);
}

#[test]
fn what_a_client_claims_about_deliveries_is_not_believed() {
    let broker = Broker::start();
    let (channel, queue) = quorum_queue(&broker, table([limit(2)]));
    let headers = table([
        ("x-delivery-count", AMQPValue::LongInt(9)),
        ("x-acquired-count", AMQPValue::LongInt(9)),
        ("mine", AMQPValue::LongInt(1)),
    ]);
    let properties = BasicProperties::default().with_headers(headers.clone());
    assert!(channel.publish_and_wait("", &queue, properties, "m"));
    let first = take(&channel, &queue);
    assert_eq!(first.properties.headers(), &Some(headers), "passed on as it came");
    channel.reject(first.delivery_tag, true);
    let again = take(&channel, &queue);
    assert_eq!(counted(&again), (Some(1), Some(1)));
    assert_eq!(again.header("mine"), Some(&AMQPValue::LongInt(1)));
    channel.delete_queue(&queue);
}

#[test]
fn a_classic_queue_has_no_limit_and_only_leveret_counts_on_it() {
    let broker = Broker::start();
    let channel = broker.channel();
    channel.confirm_select();
    let queue = channel.exclusive_queue();
    channel.fill(&queue, &["m"]);
    for number in 0..30 {
        let message = take(&channel, &queue);
        let failures = (number > 0 && !broker.is_rabbitmq()).then_some(number);
        assert_eq!(counted(&message), (failures, None));
        assert_eq!(message.redelivered, number > 0);
        channel.reject(message.delivery_tag, true);
    }
}
