//! Promise: a queue with a length limit holds no more than that, and says so to publishers if it is to refuse.

use leveret_tests::broker::Broker;
use leveret_tests::client::Channel;
use leveret_tests::closed::channel_closed;
use leveret_tests::dead_letters::DeadLetters;
use leveret_tests::{AMQPValue, BasicProperties, basic, table, text, tx};

fn plain() -> BasicProperties {
    BasicProperties::default()
}

fn limit(messages: i32) -> (&'static str, AMQPValue) {
    ("x-max-length", AMQPValue::LongInt(messages))
}

fn bytes_limit(bytes: i32) -> (&'static str, AMQPValue) {
    ("x-max-length-bytes", AMQPValue::LongInt(bytes))
}

fn refusing() -> (&'static str, AMQPValue) {
    ("x-overflow", text("reject-publish"))
}

/// A channel in confirm mode and a queue of its own.
fn queue_with<const N: usize>(
    broker: &Broker,
    arguments: [(&str, AMQPValue); N],
) -> (Channel, String) {
    let channel = broker.channel();
    channel.confirm_select();
    let queue = channel.exclusive_queue_with(table(arguments));
    (channel, queue)
}

fn accepts(channel: &Channel, queue: &str, body: &str) -> bool {
    channel.publish_and_wait("", queue, plain(), body)
}

/// Check 55.
#[test]
fn the_oldest_make_way_and_every_publish_is_acked() {
    let broker = Broker::start();
    for overflow in [None, Some("drop-head")] {
        let (channel, queue) = match overflow {
            None => queue_with(&broker, [limit(3)]),
            Some(name) => queue_with(&broker, [limit(3), ("x-overflow", text(name))]),
        };
        channel.fill(&queue, &["1", "2", "3", "4", "5", "6"]);
        assert_eq!(channel.counts(&queue).unwrap().0, 3);
        assert_eq!(channel.drain(&queue), ["4", "5", "6"]);
    }
}

/// Check 55.
#[test]
fn what_is_unacknowledged_is_neither_counted_nor_dropped() {
    let broker = Broker::start();
    let dead = DeadLetters::with(&broker, [limit(2)]);
    let channel = &dead.channel;
    channel.fill(&dead.source, &["1", "2"]);
    let (one, two) = (channel.get_unacked(&dead.source), channel.get_unacked(&dead.source));
    channel.fill(&dead.source, &["3", "4", "5"]);
    assert_eq!(dead.next().body, "3");
    // Put back, the two are the oldest again.
    channel.requeue(one.delivery_tag);
    assert_eq!(dead.next().body, "1");
    channel.requeue(two.delivery_tag);
    assert_eq!(dead.next().body, "2");
    assert_eq!(channel.drain(&dead.source), ["4", "5"]);
}

/// Check 55.
#[test]
fn bytes_are_those_of_the_bodies() {
    let broker = Broker::start();
    let (channel, queue) = queue_with(&broker, [bytes_limit(10)]);
    let headers = plain().with_headers(table([("long", text(&"x".repeat(1000)))]));
    for body in ["aaaaa", "bbbbb"] {
        assert!(channel.publish_and_wait("", &queue, headers.clone(), body));
    }
    assert_eq!(channel.counts(&queue).unwrap().0, 2);
    channel.fill(&queue, &["", "c"]);
    assert_eq!(channel.drain(&queue), ["bbbbb", "", "c"]);
    channel.fill(&queue, &["a", "b", "ccccccccc"]);
    assert_eq!(channel.drain(&queue), ["b", "ccccccccc"]);
}

/// Check 55.
#[test]
fn a_body_above_the_limit_leaves_nothing() {
    let broker = Broker::start();
    let dead = DeadLetters::with(&broker, [bytes_limit(10)]);
    dead.channel.fill(&dead.source, &["1", "2", "eleven octs"]);
    assert_eq!(dead.bodies(3), ["1", "2", "eleven octs"]);
    assert_eq!(dead.channel.get(&dead.source), None);
}

/// Check 55.
#[test]
fn both_limits_count() {
    let broker = Broker::start();
    let (channel, queue) = queue_with(&broker, [limit(3), bytes_limit(10)]);
    channel.fill(&queue, &["1", "2", "3", "4"]);
    assert_eq!(channel.drain(&queue), ["2", "3", "4"]);
    channel.fill(&queue, &["aaaaaa", "bbbbbb"]);
    assert_eq!(channel.drain(&queue), ["bbbbbb"]);
}

/// Check 55.
#[test]
fn a_full_queue_refuses_until_there_is_room_again() {
    let broker = Broker::start();
    let (channel, queue) = queue_with(&broker, [limit(2), refusing()]);
    let taken = ["1", "2", "3", "4"].map(|body| accepts(&channel, &queue, body));
    assert_eq!(taken, [true, true, false, false]);
    // What is unacknowledged is not in the way.
    let first = channel.get_unacked(&queue);
    assert!(accepts(&channel, &queue, "5"));
    assert!(!accepts(&channel, &queue, "6"));
    // What is put back is not refused, and then there is less room than none.
    channel.requeue(first.delivery_tag);
    channel.wait_ready(&queue, 3);
    assert_eq!(channel.get(&queue).unwrap().body, "1");
    assert!(!accepts(&channel, &queue, "7"));
    assert_eq!(channel.drain(&queue), ["2", "5"]);
    assert!(accepts(&channel, &queue, "8"));
}

/// Check 55. Many at once: which ones are refused is what the confirms say.
#[test]
fn among_many_publishes_exactly_those_beyond_the_limit_are_refused() {
    let broker = Broker::start();
    let (channel, queue) = queue_with(&broker, [limit(60), refusing()]);
    for number in 1..=100 {
        let mode = 1 + u8::from(number % 3 == 0);
        channel.publish_with("", &queue, plain().with_delivery_mode(mode), &number.to_string());
    }
    let mut refused = channel.confirms(1, 100);
    refused.sort_unstable();
    assert_eq!(refused, Vec::from_iter(61..=100));
    assert_eq!(channel.drain(&queue), Vec::from_iter((1..=60).map(|n: u32| n.to_string())));
}

/// Check 55.
#[test]
fn a_queue_that_is_full_by_bytes_still_takes_what_fits() {
    let broker = Broker::start();
    let (channel, queue) = queue_with(&broker, [bytes_limit(10), refusing()]);
    let taken = ["aaaaa", "bbbb", "cc", "d", ""].map(|body| accepts(&channel, &queue, body));
    assert_eq!(taken, [true, true, false, true, true]);
    assert_eq!(channel.drain(&queue), ["aaaaa", "bbbb", "d", ""]);
}

/// Check 55.
#[test]
fn a_limit_of_0_keeps_nothing() {
    let broker = Broker::start();
    let (channel, queue) = queue_with(&broker, [limit(0)]);
    assert!(accepts(&channel, &queue, "dropped"));
    assert_eq!(channel.get(&queue), None);
    channel.consume_no_ack(&queue, "c");
    channel.publish("", &queue, "handed over");
    assert_eq!(channel.delivery().body, "handed over");
    assert!(channel.confirm().2);

    let (channel, queue) = queue_with(&broker, [limit(0), refusing()]);
    assert!(!accepts(&channel, &queue, "refused"));
    assert_eq!(channel.get(&queue), None);
}

/// Check 55.
#[test]
fn without_confirms_nobody_is_told() {
    let broker = Broker::start();
    let (confirming, queue) = queue_with(&broker, [limit(1), refusing()]);
    let channel = broker.channel();
    confirming.fill(&queue, &["kept"]);
    channel.publish("", &queue, "refused");
    channel.publish_mandatory("", &queue, "refused, but routed");
    let witness = channel.exclusive_queue();
    channel.publish("", &witness, "m");
    channel.expect_silence(&witness);
    assert_eq!(confirming.drain(&queue), ["kept"]);
}

/// Check 55.
#[test]
fn a_mandatory_message_that_is_refused_is_not_returned() {
    let broker = Broker::start();
    let (channel, queue) = queue_with(&broker, [limit(0), refusing()]);
    channel.publish_mandatory("", &queue, "m");
    let (number, _, acked) = channel.confirm();
    assert_eq!((number, acked), (1, false));
    channel.expect_silence(&queue);
}

/// Check 38.
#[test]
fn one_of_several_queues_that_refuses_is_one_nack_and_the_others_keep_the_message() {
    let broker = Broker::start();
    let (channel, full) = queue_with(&broker, [limit(1), refusing()]);
    let others: Vec<String> = (0..3).map(|_| channel.exclusive_queue()).collect();
    let exchange = broker.name("x");
    channel.exchange_with(&exchange, "fanout", table([])).unwrap();
    channel.bind(&others[0], &exchange, "");
    channel.bind(&full, &exchange, "");
    channel.bind(&others[1], &exchange, "");
    channel.bind(&others[2], &exchange, "");
    for body in ["1", "2", "3"] {
        channel.publish(&exchange, "", body);
    }
    let mut refused = channel.confirms(1, 3);
    refused.sort_unstable();
    assert_eq!(refused, [2, 3]);
    channel.expect_silence(&full);
    for other in &others {
        assert_eq!(channel.drain(other), ["1", "2", "3"]);
    }
    assert_eq!(channel.drain(&full), ["1"]);
}

/// Check 40. RabbitMQ has put the rest of the transaction into its queues by then.
#[test]
fn a_transaction_of_which_a_queue_refuses_a_part_ends_its_channel() {
    let broker = Broker::start();
    let connection = broker.connect();
    let watching = connection.channel();
    let full = watching.exclusive_queue_with(table([limit(0), refusing()]));
    let other = watching.exclusive_queue();
    let channel = connection.channel();
    channel.call(tx::Select {}).unwrap();
    for (queue, body) in [(&other, "1"), (&full, "2"), (&other, "3")] {
        channel.publish("", queue, body);
    }
    assert_eq!(
        channel.call(tx::Commit {}).unwrap_err(),
        channel_closed(406, "PRECONDITION_FAILED - partial tx completion")
    );
    let left = watching.drain(&other);
    if broker.is_rabbitmq() {
        assert_eq!(left, ["1", "3"]);
    } else {
        // All of a transaction or nothing of it; which of the two is the broker's choice.
        assert!(left.is_empty() || left == ["1", "3"], "{left:?}");
    }
    assert_eq!(watching.get(&full), None);
}

/// Check 55.
#[test]
fn a_consumer_that_is_waiting_leaves_the_queue_empty() {
    let broker = Broker::start();
    let (channel, queue) = queue_with(&broker, [limit(1)]);
    channel.consume(&queue, "c");
    for number in 0..20 {
        channel.publish("", &queue, &number.to_string());
    }
    // Dropped is only what the consumer was not quick enough for: with no prefetch limit, that is nothing or the oldest.
    let mut last = String::new();
    while last != "19" {
        let message = channel.delivery();
        last = message.body;
        channel.send(basic::Ack { delivery_tag: message.delivery_tag, multiple: false });
    }
    assert_eq!(channel.confirms(1, 20), [0; 0]);
}
