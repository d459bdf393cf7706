//! Promise: a consumer that keeps a message of a quorum queue unacknowledged for too long loses it, and is told.

use std::time::{Duration, Instant};

use leveret_tests::broker::Broker;
use leveret_tests::client::Channel;
use leveret_tests::closed::channel_closed;
use leveret_tests::login::Login;
use leveret_tests::{AMQPClass, AMQPValue, FieldTable, basic, table};

const TIMEOUT_MS: i32 = 300;
const TIMEOUT: Duration = Duration::from_millis(300);

/// A consumer timeout that no test waits for.
const LONG_MS: i32 = 600_000;

fn timeout(timeout_ms: i32) -> FieldTable {
    table([("x-consumer-timeout", AMQPValue::LongInt(timeout_ms))])
}

/// A quorum queue, which the test deletes, with one message.
fn queue_of_one(broker: &Broker, arguments: FieldTable) -> (Channel, String) {
    let channel = broker.channel();
    channel.confirm_select();
    let queue = broker.name("quorum");
    channel.quorum_queue(&queue, arguments).unwrap();
    channel.fill(&queue, &["m"]);
    (channel, queue)
}

fn consume(channel: &Channel, queue: &str, arguments: FieldTable) {
    let consume = basic::Consume {
        queue: queue.into(),
        consumer_tag: "slow".into(),
        arguments,
        ..Default::default()
    };
    channel.try_consume(consume).unwrap();
}

/// A connection of a client that does not know `basic.cancel` from the broker.
fn connect_without_cancel_notify(broker: &Broker) -> leveret_tests::client::Connection {
    let capabilities = table([("basic.nack", AMQPValue::Boolean(true))]);
    Login { capabilities, ..Login::default() }.open(broker.address()).unwrap()
}

/// Check 53.
#[test]
fn the_consumer_is_cancelled_and_the_message_goes_to_another() {
    let broker = Broker::start();
    let (owner, queue) = queue_of_one(&broker, timeout(TIMEOUT_MS));
    let slow = broker.channel();
    let start = Instant::now();
    consume(&slow, &queue, table([]));
    let kept = slow.delivery();
    assert_eq!(slow.cancelled_by_broker(), "slow");
    assert!(start.elapsed() >= TIMEOUT - Duration::from_millis(1), "{:?}", start.elapsed());

    owner.consume(&queue, "other");
    let again = owner.delivery();
    assert_eq!((again.body.as_str(), again.redelivered), ("m", true));
    // It is not the message's fault: the delivery did not fail.
    assert_eq!(again.count_header("x-delivery-count"), None);
    assert_eq!(again.count_header("x-acquired-count"), Some(1));
    owner.ack(again.delivery_tag);

    // The channel lives, and a late acknowledgement is no mistake.
    slow.ack(kept.delivery_tag);
    slow.counts(&queue).unwrap();
    owner.delete_queue(&queue);
}

/// Check 53.
#[test]
fn a_client_that_cannot_be_told_loses_its_channel() {
    let broker = Broker::start();
    let (owner, queue) = queue_of_one(&broker, timeout(TIMEOUT_MS));
    let connection = connect_without_cancel_notify(&broker);
    let slow = connection.channel();
    consume(&slow, &queue, table([]));
    slow.delivery();
    let text = "PRECONDITION_FAILED - delivery acknowledgement on channel 1 timed out. Timeout value used: -1 ms. \
                This timeout value can be configured, see consumers doc guide to learn more";
    let closed = slow.closed();
    if broker.is_rabbitmq() {
        assert_eq!(closed, channel_closed(406, text));
    } else {
        // Leveret says how long it waited.
        let told = format!("{TIMEOUT_MS} ms");
        let texts = [text.to_string(), text.replace("-1 ms", &told)];
        assert!(closed.code == 406 && texts.contains(&closed.text), "{closed:?}");
    }
    owner.consume(&queue, "other");
    assert_eq!(owner.delivery().body, "m");
    // The connection lives.
    connection.channel().counts(&queue).unwrap();
    owner.delete_queue(&queue);
}

/// Check 53.
#[test]
fn a_consumer_may_have_a_time_of_its_own() {
    let broker = Broker::start();
    for (of_queue, of_consumer) in [(table([]), TIMEOUT_MS), (timeout(LONG_MS), TIMEOUT_MS)] {
        let (owner, queue) = queue_of_one(&broker, of_queue);
        let slow = broker.channel();
        consume(&slow, &queue, timeout(of_consumer));
        slow.delivery();
        assert_eq!(slow.cancelled_by_broker(), "slow");
        owner.delete_queue(&queue);
    }
}

/// Check 53. The time of the consumer counts, not the smaller of both.
#[test]
fn a_consumer_may_have_more_time_than_its_queue_gives() {
    let broker = Broker::start();
    let (owner, queue) = queue_of_one(&broker, timeout(TIMEOUT_MS));
    owner.fill(&queue, &["for the clock"]);
    let patient = broker.channel();
    patient.prefetch(1);
    consume(&patient, &queue, timeout(LONG_MS));
    let kept = patient.delivery();
    // Another consumer of the queue tells that its time is over.
    let clock = broker.channel();
    consume(&clock, &queue, table([]));
    assert_eq!(clock.delivery().body, "for the clock");
    assert_eq!(clock.cancelled_by_broker(), "slow");
    patient.ack(kept.delivery_tag);
    let next = patient.delivery();
    assert_eq!(next.body, "for the clock");
    patient.ack(next.delivery_tag);
    owner.delete_queue(&queue);
}

/// Check 53.
#[test]
fn a_consumer_that_acknowledges_in_time_is_left_alone() {
    let broker = Broker::start();
    let (owner, queue) = queue_of_one(&broker, timeout(TIMEOUT_MS));
    let quick = broker.channel();
    consume(&quick, &queue, table([]));
    let start = Instant::now();
    // One acknowledgement after the other, for several times the limit; each in time.
    while start.elapsed() < TIMEOUT * 3 {
        let message = quick.delivery();
        quick.ack(message.delivery_tag);
        owner.fill(&queue, &["m"]);
    }
    let cancelled = |event: &leveret_tests::client::Event| {
        matches!(event.method, AMQPClass::Basic(basic::AMQPMethod::Cancel(_)))
    };
    assert!(!quick.unclaimed().iter().any(cancelled));
    owner.delete_queue(&queue);
}
