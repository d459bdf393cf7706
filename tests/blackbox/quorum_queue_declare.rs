//! Promise: `x-queue-type=quorum` declares a durable, named, shared queue, and what does not fit that is refused.

use leveret_tests::broker::Broker;
use leveret_tests::closed::channel_closed;
use leveret_tests::{AMQPValue, queue, table, text};

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
