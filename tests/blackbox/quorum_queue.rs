//! Promise: `x-queue-type=quorum` is a durable, named, shared queue, and what does not fit that is refused.
//!
//! Counting failed deliveries is the matter of `delivery_limit`, losing slow consumers that of `consumer_timeout`.

use leveret_tests::broker::Broker;
use leveret_tests::closed::{channel_closed, connection_closed};
use leveret_tests::dead_letters::to_queue;
use leveret_tests::{AMQPValue, BasicProperties, basic, queue, table, text};

fn plain() -> BasicProperties {
    BasicProperties::default()
}

fn quorum(name: &str) -> queue::Declare {
    queue::Declare {
        queue: name.into(),
        durable: true,
        arguments: table([("x-queue-type", text("quorum"))]),
        ..Default::default()
    }
}

#[test]
fn it_must_be_durable_shared_and_lasting() {
    let broker = Broker::start();
    let name = broker.name("q");
    let rows = [
        (queue::Declare { durable: false, ..quorum(&name) }, "non-durable"),
        (queue::Declare { exclusive: true, ..quorum(&name) }, "exclusive-owner"),
        (queue::Declare { auto_delete: true, ..quorum(&name) }, "auto-delete"),
        (queue::Declare { durable: false, exclusive: true, ..quorum(&name) }, "exclusive-owner"),
        (queue::Declare { durable: false, auto_delete: true, ..quorum(&name) }, "auto-delete"),
    ];
    for (declare, property) in rows {
        let expected = format!(
            "PRECONDITION_FAILED - invalid property '{property}' for queue '{name}' in vhost '/'"
        );
        assert_eq!(broker.channel().call(declare).unwrap_err(), channel_closed(406, expected));
    }
    let expected =
        "PRECONDITION_FAILED - Cannot declare a server-named queue for type rabbit_quorum_queue";
    assert_eq!(broker.channel().call(quorum("")).unwrap_err(), channel_closed(406, expected));
}

#[test]
fn an_argument_of_another_queue_type_is_refused() {
    let broker = Broker::start();
    let one = || AMQPValue::LongInt(1);
    let on_quorum = [
        ("x-max-priority", one()),
        ("x-queue-mode", text("lazy")),
        ("x-queue-version", AMQPValue::LongInt(2)),
        ("x-max-age", text("1h")),
        ("x-stream-max-segment-size-bytes", one()),
        ("x-stream-filter-size-bytes", AMQPValue::LongInt(16)),
        ("x-initial-cluster-size", one()),
    ];
    let on_classic = [
        ("x-delivery-limit", one()),
        ("x-consumer-timeout", one()),
        ("x-consumer-disconnected-timeout", one()),
        ("x-dead-letter-strategy", text("at-most-once")),
        ("x-delayed-retry-type", text("all")),
        ("x-quorum-initial-group-size", one()),
        ("x-max-in-memory-length", one()),
        ("x-max-age", text("1h")),
    ];
    let rows = on_quorum.into_iter().map(|(argument, value)| ("quorum", argument, value));
    let rows =
        rows.chain(on_classic.into_iter().map(|(argument, value)| ("classic", argument, value)));
    for (kind, argument, value) in rows {
        let name = broker.name("q");
        let arguments = table([("x-queue-type", text(kind)), (argument, value)]);
        let declare = queue::Declare { arguments, ..quorum(&name) };
        let expected = format!(
            "PRECONDITION_FAILED - invalid arg '{argument}' for queue '{name}' in vhost '/' \
             of queue type rabbit_{kind}_queue"
        );
        assert_eq!(broker.channel().call(declare).unwrap_err(), channel_closed(406, expected));
    }
}

/// Check 31.
#[test]
fn a_bad_argument_is_refused_by_name() {
    use AMQPValue::LongInt;
    let broker = Broker::start();
    let rows = [
        ("x-consumer-timeout", LongInt(-1), "{value_negative,-1}"),
        ("x-consumer-timeout", text("x"), "\"expected integer, got longstr\""),
        ("x-consumer-disconnected-timeout", LongInt(-1), "{value_negative,-1}"),
        ("x-quorum-initial-group-size", LongInt(0), "{value_zero,0}"),
        ("x-dead-letter-strategy", text("x"), "invalid_dlx_strategy"),
        ("x-dead-letter-strategy", LongInt(5), "{unacceptable_type,signedint}"),
        ("x-max-in-memory-length", LongInt(-1), "{value_negative,-1}"),
        ("x-queue-leader-locator", text("x"), "invalid_queue_locator_arg"),
        ("x-message-ttl", LongInt(-1), "{value_negative,-1}"),
        ("x-expires", LongInt(0), "{value_zero,0}"),
        ("x-max-length", LongInt(-1), "{value_negative,-1}"),
        ("x-overflow", text("x"), "invalid_overflow"),
        ("x-overflow", LongInt(5), "{unacceptable_type,signedint}"),
    ];
    for (argument, value, why) in rows {
        let name = broker.name("q");
        let closed = broker.channel().quorum_queue(&name, table([(argument, value)])).unwrap_err();
        let expected = format!(
            "PRECONDITION_FAILED - invalid arg '{argument}' for queue '{name}' in vhost '/': {why}"
        );
        assert_eq!(closed, channel_closed(406, expected));
    }
}

#[test]
fn every_argument_of_the_type_is_taken() {
    let broker = Broker::start();
    let channel = broker.channel();
    let name = broker.name("q");
    let number = |value| AMQPValue::LongInt(value);
    let arguments = table([
        ("x-consumer-disconnected-timeout", number(60_000)),
        ("x-consumer-timeout", number(60_000)),
        ("x-dead-letter-exchange", text("")),
        ("x-dead-letter-routing-key", text("k")),
        ("x-dead-letter-strategy", text("at-least-once")),
        ("x-delivery-limit", number(5)),
        ("x-expires", number(600_000)),
        ("x-max-in-memory-bytes", number(0)),
        ("x-max-in-memory-length", number(0)),
        ("x-max-length", number(10)),
        ("x-max-length-bytes", number(1000)),
        ("x-message-ttl", number(60_000)),
        ("x-overflow", text("reject-publish")),
        ("x-queue-leader-locator", text("client-local")),
        ("x-quorum-initial-group-size", number(3)),
        ("x-single-active-consumer", AMQPValue::Boolean(true)),
        ("x-something-of-mine", text("kept")),
    ]);
    channel.quorum_queue(&name, arguments).unwrap();
    channel.delete_queue(&name);
}

/// Check 27.
#[test]
fn the_type_is_part_of_what_a_queue_is() {
    let broker = Broker::start();
    let channel = broker.channel();
    let (quorum_name, classic_name) = (broker.name("quorum"), broker.name("classic"));
    channel.declare(quorum(&quorum_name));
    channel.declare(queue::Declare { arguments: table([]), ..quorum(&classic_name) });
    let typed = |name: &str, kind: &str| queue::Declare {
        arguments: table([("x-queue-type", text(kind))]),
        ..quorum(name)
    };
    let mut rows = vec![
        (queue::Declare { arguments: table([]), ..quorum(&quorum_name) }, "classic", "quorum"),
        (typed(&quorum_name, "classic"), "classic", "quorum"),
        (typed(&classic_name, "quorum"), "quorum", "classic"),
    ];
    if broker.is_rabbitmq() {
        rows.push((typed(&quorum_name, "stream"), "stream", "quorum"));
        rows.push((typed(&classic_name, "stream"), "stream", "classic"));
    }
    for (declare, received, current) in rows {
        let expected = format!(
            "PRECONDITION_FAILED - inequivalent arg 'x-queue-type' for queue '{}' in vhost '/': \
             received '{received}' but current is '{current}'",
            declare.queue
        );
        assert_eq!(broker.channel().call(declare).unwrap_err(), channel_closed(406, expected));
    }
    // The same is fine, with arguments of no meaning too, and so is a passive declare of any kind.
    channel.quorum_queue(&quorum_name, table([("x-mine", text("m"))])).unwrap();
    channel.counts(&quorum_name).unwrap();
    let limited = table([("x-delivery-limit", AMQPValue::LongInt(5))]);
    let expected = format!(
        "PRECONDITION_FAILED - inequivalent arg 'x-delivery-limit' for queue '{quorum_name}' in vhost '/': \
         received the value '5' of type 'signedint' but current is none"
    );
    let closed = broker.channel().quorum_queue(&quorum_name, limited).unwrap_err();
    assert_eq!(closed, channel_closed(406, expected));
    for name in [quorum_name, classic_name] {
        channel.delete_queue(&name);
    }
}

/// RabbitMQ has streams and Leveret has not.
#[test]
fn a_stream_is_a_queue_on_rabbitmq_only() {
    let broker = Broker::start();
    let name = broker.name("stream");
    let declare =
        queue::Declare { arguments: table([("x-queue-type", text("stream"))]), ..quorum(&name) };
    let channel = broker.channel();
    let answer = channel.call(declare);
    if broker.is_rabbitmq() {
        answer.unwrap();
        channel.delete_queue(&name);
    } else {
        let closed = answer.unwrap_err();
        assert_eq!(closed.code, 406);
        let start = format!("PRECONDITION_FAILED - invalid arg 'x-queue-type' for queue '{name}'");
        assert!(closed.text.starts_with(&start), "{closed:?}");
    }
}

/// Check 34.
#[test]
fn it_cannot_be_deleted_under_a_condition() {
    let broker = Broker::start();
    let channel = broker.channel();
    let name = broker.name("q");
    channel.declare(quorum(&name));
    for (if_unused, if_empty, flag) in
        [(true, false, "if-unused"), (false, true, "if-empty"), (true, true, "if-unused")]
    {
        let delete =
            queue::Delete { queue: name.as_str().into(), if_unused, if_empty, nowait: false };
        let expected = format!(
            "NOT_IMPLEMENTED - cannot delete queue '{name}' in vhost '/'. queue.delete operations \
             with {flag} flag set are not supported by quorum queues"
        );
        let connection = broker.connect();
        assert_eq!(
            connection.channel().call(delete).unwrap_err(),
            connection_closed(540, expected)
        );
    }
    channel.delete_queue(&name);
}

#[test]
fn messages_come_in_order_and_what_is_put_back_comes_first() {
    let broker = Broker::start();
    let channel = broker.channel();
    channel.confirm_select();
    let name = broker.name("q");
    channel.declare(quorum(&name));
    let sent: Vec<String> = (0..50).map(|number| number.to_string()).collect();
    for body in &sent {
        channel.publish_with("", &name, plain().with_delivery_mode(2), body);
    }
    assert_eq!(channel.confirms(1, 50), [0; 0]);
    channel.wait_ready(&name, 50);
    let tags: Vec<u64> = (0..3).map(|_| channel.get_unacked(&name).delivery_tag).collect();
    channel.requeue(tags[1]);
    channel.requeue(tags[0]);
    channel.requeue(tags[2]);
    channel.wait_ready(&name, 50);
    let mut found = channel.drain(&name);
    assert_eq!(found.len(), 50);
    // RabbitMQ gives back in the order in which they were put back, Leveret in the order of the queue.
    found.get_mut(..3).unwrap().sort_unstable();
    assert_eq!(found, sent);
    channel.delete_queue(&name);
}

/// A message without a priority has priority 4 here.
#[test]
fn it_always_has_priorities() {
    let broker = Broker::start();
    let channel = broker.channel();
    channel.confirm_select();
    let name = broker.name("q");
    channel.declare(quorum(&name));
    for (body, priority) in [
        ("none", None),
        ("0", Some(0)),
        ("1", Some(1)),
        ("4", Some(4)),
        ("5", Some(5)),
        ("9", Some(9)),
    ] {
        let properties = priority.map_or_else(plain, |priority| plain().with_priority(priority));
        assert!(channel.publish_and_wait("", &name, properties, body));
    }
    channel.wait_ready(&name, 6);
    assert_eq!(channel.drain(&name), ["9", "5", "none", "4", "1", "0"]);
    channel.delete_queue(&name);
}

/// Check 55. RabbitMQ notices one message too late that it is full.
#[test]
fn a_full_one_refuses_what_comes_or_drops_the_oldest() {
    let broker = Broker::start();
    let channel = broker.channel();
    channel.confirm_select();
    let target = channel.exclusive_queue();
    for overflow in ["drop-head", "reject-publish"] {
        let name = broker.name("q");
        let mut arguments = to_queue(&target);
        arguments.insert("x-max-length".into(), AMQPValue::LongInt(2));
        arguments.insert("x-overflow".into(), text(overflow));
        channel.quorum_queue(&name, arguments).unwrap();
        let taken = ["1", "2", "3", "4", "5"]
            .map(|body| channel.publish_and_wait("", &name, plain(), body));
        if overflow == "drop-head" {
            assert_eq!(taken, [true; 5]);
            channel.wait_ready(&target, 3);
            assert_eq!(channel.drain(&target), ["1", "2", "3"]);
            assert_eq!(channel.drain(&name), ["4", "5"]);
        } else {
            assert_eq!(taken, [true, true, broker.is_rabbitmq(), false, false]);
            assert_eq!(channel.get(&target), None);
        }
        channel.delete_queue(&name);
    }
}

/// Check 54.
#[test]
fn messages_expire_and_are_dead_lettered() {
    let broker = Broker::start();
    let channel = broker.channel();
    channel.confirm_select();
    let target = channel.exclusive_queue();
    channel.consume_no_ack(&target, "dead-letters");
    let name = broker.name("q");
    let mut arguments = to_queue(&target);
    arguments.insert("x-message-ttl".into(), AMQPValue::LongInt(80));
    channel.quorum_queue(&name, arguments).unwrap();
    channel.fill(&name, &["1", "2"]);
    assert_eq!(channel.bodies(2), ["1", "2"]);
    channel.delete_queue(&name);
}

/// Check 50.
#[test]
fn basic_get_is_locked_out_by_a_single_active_consumer() {
    let broker = Broker::start();
    let channel = broker.channel();
    let name = broker.name("q");
    channel
        .quorum_queue(&name, table([("x-single-active-consumer", AMQPValue::Boolean(true))]))
        .unwrap();
    let expected = format!(
        "RESOURCE_LOCKED - cannot obtain access to locked queue '{name}' in vhost '/'. basic.get operations \
         are not supported by <<\"quorum\">> queues with single active consumer"
    );
    let closed = broker.channel().try_get(&name, true).unwrap_err();
    if broker.is_rabbitmq() {
        assert_eq!(closed, channel_closed(405, expected));
    } else {
        // The same without the signs of its language.
        let plain = expected.replace("<<\"quorum\">>", "quorum");
        assert!(closed.code == 405 && [expected, plain].contains(&closed.text), "{closed:?}");
    }
    channel.delete_queue(&name);
}

#[test]
fn it_counts_what_is_ready_and_is_purged_like_any_other() {
    let broker = Broker::start();
    let channel = broker.channel();
    channel.confirm_select();
    let name = broker.name("q");
    channel.declare(quorum(&name));
    channel.fill(&name, &["1", "2", "3"]);
    channel.wait_ready(&name, 3);
    let held = channel.get_unacked(&name);
    channel.wait_ready(&name, 2);
    let purge = queue::Purge { queue: name.as_str().into(), ..Default::default() };
    assert_eq!(channel.call(purge).unwrap().message_count, 2);
    channel.send(basic::Reject { delivery_tag: held.delivery_tag, requeue: true });
    channel.wait_ready(&name, 1);
    channel.delete_queue(&name);
}
