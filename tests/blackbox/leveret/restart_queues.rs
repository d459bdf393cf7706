//! Promise: the rules of a durable queue hold over a restart, clean or not: times go on, priorities and counts
//! stay (check 72).

use std::time::{Duration, Instant};

use leveret_tests::broker::Broker;
use leveret_tests::client::Channel;
use leveret_tests::dead_letters::to_queue;
use leveret_tests::death::{deaths, reasons};
use leveret_tests::{AMQPValue, BasicProperties, FieldTable, queue, table, text, wait};

type End = fn(&mut Broker);

/// The two ways a broker ends: told to, and not.
const ENDS: [(&str, End); 2] = [("SIGTERM", Broker::stop), ("SIGKILL", Broker::kill)];

fn declare(channel: &Channel, name: &str, arguments: FieldTable) {
    channel.declare(queue::Declare {
        queue: name.into(),
        durable: true,
        arguments,
        ..Default::default()
    });
}

fn persistent() -> BasicProperties {
    BasicProperties::default().with_delivery_mode(2)
}

/// A broker with the durable queue `q`, and what `prepare` did with a channel in confirm mode, after its end and restart.
fn restarted(end: End, arguments: FieldTable, prepare: impl Fn(&Channel)) -> Broker {
    let mut broker = Broker::leveret(&[]);
    let channel = broker.channel();
    channel.confirm_select();
    declare(&channel, "dead", table([]));
    declare(&channel, "q", arguments);
    prepare(&channel);
    drop(channel);
    end(&mut broker);
    broker.restart();
    broker
}

fn publish(channel: &Channel, properties: BasicProperties, body: &str) {
    assert!(channel.publish_and_wait("", "q", properties, body), "{body}");
}

#[test]
fn a_message_that_expires_while_the_broker_is_down_is_dead_lettered_when_it_is_up() {
    for (name, end) in ENDS {
        let mut arguments = to_queue("dead");
        arguments.insert("x-message-ttl".into(), AMQPValue::LongInt(200));
        let broker = restarted(end, arguments, |channel| publish(channel, persistent(), "m"));
        let channel = broker.channel();
        channel.consume_no_ack("dead", "dead-letters");
        let message = channel.delivery();
        assert_eq!(reasons(&message), [("expired".into(), "q".into(), 1)], "{name}");
        assert_eq!(channel.get("q"), None);
    }
}

#[test]
fn the_time_of_a_message_is_counted_from_its_publishing_and_not_from_the_restart() {
    for (name, end) in ENDS {
        let ttl = Duration::from_secs(3);
        let start = Instant::now();
        let broker = restarted(end, to_queue("dead"), |channel| {
            publish(channel, persistent().with_expiration("3000".into()), "short");
        });
        let channel = broker.channel();
        assert_eq!(channel.counts("q").unwrap().0, 1, "{name}: it is still alive");
        channel.consume_no_ack("dead", "dead-letters");
        let message = channel.delivery();
        let age = start.elapsed();
        assert_eq!(deaths(&message)[0].original_expiration.as_deref(), Some("3000"));
        assert!(age + Duration::from_millis(1) >= ttl, "{name}: {age:?}");
        // A clock that began anew would take the whole time again.
        assert!(age < ttl + Duration::from_secs(2), "{name}: {age:?}");
    }
}

#[test]
fn an_unused_queue_expires_after_a_restart() {
    for (_, end) in ENDS {
        let arguments = table([("x-expires", AMQPValue::LongInt(1000))]);
        let broker = restarted(end, arguments, |_| {});
        let gone = wait::until("the queue has expired", || {
            let probe = queue::Bind {
                queue: "q".into(),
                exchange: "amq.direct".into(),
                ..Default::default()
            };
            broker.channel().call(probe).err()
        });
        assert_eq!(gone.code, 404);
    }
}

#[test]
fn priorities_are_kept() {
    for (name, end) in ENDS {
        let arguments = table([("x-max-priority", AMQPValue::LongInt(5))]);
        let broker = restarted(end, arguments, |channel| {
            for (body, priority) in [("1a", 1), ("5a", 5), ("3a", 3), ("5b", 5), ("1b", 1)] {
                publish(channel, persistent().with_priority(priority), body);
            }
        });
        let channel = broker.channel();
        channel.confirm_select();
        publish(&channel, persistent().with_priority(3), "3b");
        assert_eq!(channel.drain("q"), ["5a", "5b", "3a", "3b", "1a", "1b"], "{name}");
    }
}

#[test]
fn a_length_limit_counts_what_was_there_before() {
    for (name, end) in ENDS {
        let mut arguments = to_queue("dead");
        arguments.insert("x-max-length".into(), AMQPValue::LongInt(3));
        let broker = restarted(end, arguments, |channel| {
            for body in ["1", "2", "3"] {
                publish(channel, persistent(), body);
            }
        });
        let channel = broker.channel();
        channel.confirm_select();
        publish(&channel, persistent(), "4");
        channel.wait_ready("dead", 1);
        assert_eq!(channel.drain("dead"), ["1"], "{name}");
        assert_eq!(channel.drain("q"), ["2", "3", "4"], "{name}");
    }
}

#[test]
fn a_queue_that_refuses_knows_that_it_is_full() {
    for (name, end) in ENDS {
        let arguments = table([
            ("x-max-length-bytes", AMQPValue::LongInt(10)),
            ("x-overflow", text("reject-publish")),
        ]);
        let broker =
            restarted(end, arguments, |channel| publish(channel, persistent(), "eight oc"));
        let channel = broker.channel();
        channel.confirm_select();
        let accepted =
            ["four", "2!"].map(|body| channel.publish_and_wait("", "q", persistent(), body));
        assert_eq!(accepted, [false, true], "{name}");
    }
}

/// Failed deliveries are counted in the store, so a message that crashes its consumers cannot hide behind a restart.
#[test]
fn failed_deliveries_are_counted_on() {
    for (name, end) in ENDS {
        let mut arguments = to_queue("dead");
        arguments.insert("x-queue-type".into(), text("quorum"));
        arguments.insert("x-delivery-limit".into(), AMQPValue::LongInt(3));
        let broker = restarted(end, arguments, |channel| {
            publish(channel, persistent(), "m");
            for _ in 0..2 {
                channel.reject(channel.get_unacked("q").delivery_tag, true);
            }
            channel.counts("q").unwrap();
            // Its confirm comes after what the queue had written before.
            assert!(channel.publish_and_wait("", "dead", persistent(), "behind it"));
        });
        let channel = broker.channel();
        let message = channel.get_unacked("q");
        assert_eq!(message.count_header("x-delivery-count"), Some(2), "{name}");
        channel.reject(message.delivery_tag, true);
        channel.reject(channel.get_unacked("q").delivery_tag, true);
        channel.consume_no_ack("dead", "dead-letters");
        assert_eq!(channel.delivery().body, "behind it");
        assert_eq!(reasons(&channel.delivery()), [("delivery_limit".into(), "q".into(), 1)]);
    }
}

#[test]
fn a_quorum_queue_keeps_transient_messages_and_a_classic_one_does_not() {
    for (name, end) in ENDS {
        for (kind, kept) in [("classic", None), ("quorum", Some("m"))] {
            let arguments = table([("x-queue-type", text(kind))]);
            let transient = BasicProperties::default().with_delivery_mode(1);
            let broker =
                restarted(end, arguments, |channel| publish(channel, transient.clone(), "m"));
            let found = broker.channel().get("q").map(|message| message.body);
            assert_eq!(found.as_deref(), kept, "{kind} {name}");
        }
    }
}
