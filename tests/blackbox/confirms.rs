//! Promise: on a confirm channel every publish is answered exactly once, numbered from 1.

use std::collections::BTreeSet;

use leveret_tests::broker::Broker;
use leveret_tests::client::Event;
use leveret_tests::{AMQPClass, BasicProperties, basic, confirm, queue};

fn is_return(event: &Event) -> bool {
    matches!(event.method, AMQPClass::Basic(basic::AMQPMethod::Return(_)))
}

fn is_ack(event: &Event) -> bool {
    matches!(event.method, AMQPClass::Basic(basic::AMQPMethod::Ack(_)))
}

/// Check 36.
#[test]
fn every_publish_is_confirmed_once_from_1_upwards() {
    let broker = Broker::start();
    let channel = broker.channel();
    let queue = channel.declare(queue::Declare {
        queue: broker.name("q").into(),
        durable: true,
        ..Default::default()
    });
    channel.publish("", &queue, "before confirm.select does not count");
    channel.confirm_select();
    for number in 1..=1000 {
        let mode = if number % 2 == 0 { 2 } else { 1 };
        let properties = BasicProperties::default().with_delivery_mode(mode);
        channel.publish_with("", &queue, properties, "m");
    }
    assert_eq!(channel.confirms(1, 1000), [0; 0]);
    channel.publish("", &queue, "one more");
    assert_eq!(channel.confirm(), (1001, false, true));
    assert_eq!(channel.counts(&queue).unwrap().0, 1002);
    channel.call(queue::Delete { queue: queue.into(), ..Default::default() }).unwrap();
}

/// Check 36.
#[test]
fn each_channel_counts_for_itself_and_selecting_twice_changes_nothing() {
    let broker = Broker::start();
    let connection = broker.connect();
    let (one, two) = (connection.channel(), connection.channel());
    let queue = one.exclusive_queue();
    for channel in [&one, &two] {
        channel.confirm_select();
        channel.publish("", &queue, "m");
        channel.confirm_select();
        assert_eq!(channel.confirm(), (1, false, true));
        channel.publish("", &queue, "m");
        assert_eq!(channel.confirm(), (2, false, true));
    }
}

#[test]
fn confirm_select_with_nowait_has_no_reply() {
    let broker = Broker::start();
    let channel = broker.channel();
    channel.send(confirm::Select { nowait: true });
    channel.publish("amq.direct", "nowhere", "m");
    assert!(is_ack(&channel.next()));
}

/// Check 37.
#[test]
fn a_returned_message_is_returned_before_it_is_acked() {
    let broker = Broker::start();
    let channel = broker.channel();
    channel.confirm_select();
    for _ in 0..50 {
        channel.publish_mandatory("amq.direct", "nowhere", "m");
        assert!(is_return(&channel.next()));
        assert!(is_ack(&channel.next()));
    }
}

/// Check 37: also when many travel together.
#[test]
fn no_ack_overtakes_the_return_of_its_message() {
    let broker = Broker::start();
    let channel = broker.channel();
    channel.confirm_select();
    let queue = channel.exclusive_queue();
    for number in 1..=100 {
        let key = if number % 3 == 0 { "nowhere" } else { queue.as_str() };
        channel.publish_mandatory("", key, &number.to_string());
    }
    let (mut waiting, mut returned): (BTreeSet<u64>, _) = ((1..=100).collect(), Vec::new());
    while !waiting.is_empty() {
        let event = channel.next();
        match event.method {
            AMQPClass::Basic(basic::AMQPMethod::Ack(ack)) => {
                let upto = ack.delivery_tag;
                // Single acks come in any order, and some before one that speaks for them too.
                waiting.retain(|number| *number != upto && !(ack.multiple && *number < upto));
                assert!(
                    upto % 3 != 0 || returned.contains(&upto),
                    "{upto} was acked before it came back"
                );
            }
            _ => returned.push(event.message().unwrap().body.parse().unwrap()),
        }
    }
    assert_eq!(returned, (1..=33).map(|number| number * 3).collect::<Vec<u64>>());
}

/// Check 37.
#[test]
fn an_unroutable_message_that_is_not_mandatory_is_acked() {
    let broker = Broker::start();
    let channel = broker.channel();
    channel.confirm_select();
    channel.publish("amq.direct", "nowhere", "m");
    assert!(is_ack(&channel.next()));
    channel.publish("", "nowhere", "m");
    assert!(is_ack(&channel.next()));
}

/// Check 38.
#[test]
fn messages_of_a_queue_that_is_deleted_meanwhile_are_all_acked() {
    let broker = Broker::start();
    let channel = broker.channel();
    channel.confirm_select();
    let name = broker.name("q");
    channel.declare(queue::Declare {
        queue: name.as_str().into(),
        durable: true,
        ..Default::default()
    });
    let deleter = broker.channel();
    for number in 1..=500 {
        let properties = BasicProperties::default().with_delivery_mode(2);
        channel.publish_with("", &name, properties, "m");
        if number == 250 {
            deleter.send(queue::Delete { queue: name.as_str().into(), ..Default::default() });
        }
    }
    assert_eq!(channel.confirms(1, 500), [0; 0]);
}

#[test]
fn a_message_for_many_queues_is_confirmed_once() {
    let broker = Broker::start();
    let channel = broker.channel();
    channel.confirm_select();
    let queues: Vec<String> = (0..5).map(|_| channel.exclusive_queue()).collect();
    for queue in &queues {
        channel.bind(queue, "amq.fanout", "");
    }
    channel.publish("amq.fanout", "", "m");
    assert_eq!(channel.confirm(), (1, false, true));
    channel.expect_silence(&queues[0]);
}

#[test]
fn a_message_that_is_consumed_at_once_is_confirmed_too() {
    let broker = Broker::start();
    let connection = broker.connect();
    let (publisher, consumer) = (connection.channel(), connection.channel());
    publisher.confirm_select();
    let queue = consumer.declare(queue::Declare {
        queue: broker.name("q").into(),
        durable: true,
        ..Default::default()
    });
    consumer.consume_no_ack(&queue, "c");
    for number in 1..=200 {
        let properties = BasicProperties::default().with_delivery_mode(2);
        publisher.publish_with("", &queue, properties, &number.to_string());
    }
    assert_eq!(publisher.confirms(1, 200), [0; 0]);
    assert_eq!(consumer.bodies(200).len(), 200);
    consumer.call(queue::Delete { queue: queue.into(), ..Default::default() }).unwrap();
}
