//! Promise: consumers share a queue, can be told apart, and are told when it goes.

use leveret_tests::broker::Broker;
use leveret_tests::closed::{channel_closed, connection_closed};
use leveret_tests::login::Login;
use leveret_tests::wait;
use leveret_tests::{FieldTable, basic, queue};

fn cancel(tag: &str) -> basic::Cancel {
    basic::Cancel { consumer_tag: tag.into(), ..Default::default() }
}

#[test]
fn a_consumer_gets_what_is_there_and_what_comes_later() {
    let broker = Broker::start();
    let channel = broker.channel();
    let queue = channel.exclusive_queue();
    channel.publish("", &queue, "before");
    channel.consume(&queue, "c");
    channel.publish("", &queue, "after");
    let (first, second) = (channel.delivery(), channel.delivery());
    assert_eq!(
        (first.consumer_tag.as_str(), first.delivery_tag, first.body.as_str()),
        ("c", 1, "before")
    );
    assert_eq!((second.delivery_tag, second.body.as_str()), (2, "after"));
    assert!(!first.redelivered && !second.redelivered);
}

#[test]
fn an_empty_consumer_tag_is_filled_in() {
    let broker = Broker::start();
    let channel = broker.channel();
    let queue = channel.exclusive_queue();
    let consume = || basic::Consume { queue: queue.as_str().into(), ..Default::default() };
    let (one, two) =
        (channel.try_consume(consume()).unwrap(), channel.try_consume(consume()).unwrap());
    assert!(one.starts_with("amq.ctag-"), "{one}");
    assert_ne!(one, two);
}

#[test]
fn consumers_of_one_queue_take_turns() {
    let broker = Broker::start();
    let connection = broker.connect();
    let channels = [connection.channel(), connection.channel(), connection.channel()];
    let queue = channels[0].exclusive_queue();
    for channel in &channels {
        channel.consume_no_ack(&queue, "c");
    }
    for number in 0..9 {
        channels[0].publish("", &queue, &number.to_string());
    }
    for channel in &channels {
        assert_eq!(channel.bodies(3).len(), 3);
    }
}

#[test]
fn basic_get_says_how_many_are_left() {
    let broker = Broker::start();
    let channel = broker.channel();
    let queue = channel.exclusive_queue();
    for body in ["1", "2"] {
        channel.publish("", &queue, body);
    }
    channel.counts(&queue).unwrap();
    assert_eq!(channel.get(&queue).unwrap().message_count, 1);
    assert_eq!(channel.get(&queue).unwrap().message_count, 0);
    assert_eq!(channel.get(&queue), None);
}

/// Check 35.
#[test]
fn consumers_of_a_deleted_queue_are_cancelled() {
    let broker = Broker::start();
    let connection = broker.connect();
    let (one, two) = (connection.channel(), connection.channel());
    let queue = one.exclusive_queue();
    one.publish("", &queue, "held");
    one.consume(&queue, "a");
    let held = one.delivery();
    two.consume(&queue, "b");
    two.consume(&queue, "c");
    one.call(queue::Delete { queue: queue.into(), ..Default::default() }).unwrap();
    assert_eq!(one.cancelled_by_broker(), "a");
    let mut tags = [two.cancelled_by_broker(), two.cancelled_by_broker()];
    tags.sort();
    assert_eq!(tags, ["b", "c"]);
    // An ack for a message of the deleted queue is no error.
    one.ack(held.delivery_tag);
    one.exclusive_queue();
}

/// Check 35.
#[test]
fn a_client_that_does_not_know_broker_cancels_gets_none() {
    let broker = Broker::start();
    let login = Login { capabilities: FieldTable::default(), ..Login::default() };
    let channel = login.open(broker.address()).unwrap().channel();
    let (queue, other) = (channel.exclusive_queue(), channel.exclusive_queue());
    channel.consume(&queue, "c");
    channel.call(queue::Delete { queue: queue.into(), ..Default::default() }).unwrap();
    channel.expect_silence(&other);
}

/// Check 48.
#[test]
fn a_consumer_tag_used_twice_on_a_channel_closes_the_connection() {
    let broker = Broker::start();
    let connection = broker.connect();
    let channel = connection.channel();
    let queue = channel.exclusive_queue();
    channel.consume(&queue, "c");
    let again = basic::Consume {
        queue: queue.as_str().into(),
        consumer_tag: "c".into(),
        ..Default::default()
    };
    assert_eq!(
        channel.try_consume(again).unwrap_err(),
        connection_closed(530, "NOT_ALLOWED - attempt to reuse consumer tag 'c'")
    );
}

/// Check 48.
#[test]
fn another_channel_may_use_the_same_consumer_tag() {
    let broker = Broker::start();
    let connection = broker.connect();
    let (one, two) = (connection.channel(), connection.channel());
    let queue = one.exclusive_queue();
    one.consume(&queue, "c");
    two.consume(&queue, "c");
    one.call(cancel("c")).unwrap();
    one.publish("", &queue, "m");
    assert_eq!(two.delivery().body, "m");
}

/// Check 48.
#[test]
fn cancelling_an_unknown_consumer_succeeds() {
    let broker = Broker::start();
    assert_eq!(broker.channel().call(cancel("nobody")).unwrap().consumer_tag.as_str(), "nobody");
}

/// Check 48.
#[test]
fn after_cancel_ok_nothing_is_delivered_and_old_tags_are_still_good() {
    let broker = Broker::start();
    let channel = broker.channel();
    let queue = channel.exclusive_queue();
    channel.publish("", &queue, "1");
    channel.consume(&queue, "c");
    let delivered = channel.delivery();
    channel.call(cancel("c")).unwrap();
    channel.publish("", &queue, "2");
    channel.expect_silence(&queue);
    channel.ack(delivered.delivery_tag);
    assert_eq!(channel.get(&queue).unwrap().body, "2");
    // The tag is free again.
    channel.consume(&queue, "c");
}

/// Check 49.
#[test]
fn an_exclusive_consumer_is_alone() {
    let broker = Broker::start();
    let connection = broker.connect();
    let queue = connection.channel().exclusive_queue();
    let consume = |exclusive| basic::Consume {
        queue: queue.as_str().into(),
        exclusive,
        ..Default::default()
    };
    let in_use = channel_closed(
        403,
        format!("ACCESS_REFUSED - queue '{queue}' in vhost '/' in exclusive use"),
    );

    let first = connection.channel();
    let tag = first.try_consume(consume(true)).unwrap();
    for exclusive in [false, true] {
        assert_eq!(connection.channel().try_consume(consume(exclusive)).unwrap_err(), in_use);
    }
    first.call(cancel(&tag)).unwrap();
    first.try_consume(consume(false)).unwrap();
    assert_eq!(connection.channel().try_consume(consume(true)).unwrap_err(), in_use);
}

#[test]
fn nowait_consumes_and_cancels_without_a_reply() {
    let broker = Broker::start();
    let channel = broker.channel();
    let queue = channel.exclusive_queue();
    channel.send(basic::Consume {
        queue: queue.as_str().into(),
        consumer_tag: "c".into(),
        nowait: true,
        ..Default::default()
    });
    channel.publish("", &queue, "m");
    assert_eq!(channel.next().message().unwrap().body, "m");
    channel.send(basic::Cancel { consumer_tag: "c".into(), nowait: true });
    channel.expect_silence(&queue);
    wait::until("the consumer has gone", || (channel.counts(&queue).unwrap().1 == 0).then_some(()));
}

/// A slow consumer holds up nobody else on its connection.
#[test]
fn a_channel_that_does_not_ack_does_not_stop_another() {
    let broker = Broker::start();
    let connection = broker.connect();
    let (slow, quick) = (connection.channel(), connection.channel());
    let queue = quick.exclusive_queue();
    for channel in [&slow, &quick] {
        channel.prefetch(1);
        channel.consume(&queue, "c");
    }
    for number in 0..20 {
        quick.publish("", &queue, &number.to_string());
    }
    slow.delivery();
    for _ in 0..19 {
        let delivery_tag = quick.delivery().delivery_tag;
        quick.ack(delivery_tag);
    }
    quick.expect_silence(&queue);
}
