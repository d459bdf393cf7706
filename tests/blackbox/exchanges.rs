//! Promise: exchanges are declared once, found again, and refused in RabbitMQ's words.

use leveret_tests::broker::Broker;
use leveret_tests::closed::channel_closed;
use leveret_tests::{AMQPValue, exchange, queue, table, text};

fn declare(name: &str) -> exchange::Declare {
    exchange::Declare { exchange: name.into(), kind: "direct".into(), ..Default::default() }
}

/// Check 13.
#[test]
fn a_second_declare_must_have_the_same_properties() {
    let broker = Broker::start();
    let name = broker.name("x");
    let first = exchange::Declare { durable: true, ..declare(&name) };
    broker.channel().call(first.clone()).unwrap();
    broker.channel().call(first.clone()).unwrap();

    let table = [
        (exchange::Declare { kind: "fanout".into(), ..first.clone() }, "type", "fanout", "direct"),
        (exchange::Declare { durable: false, ..first.clone() }, "durable", "false", "true"),
        (exchange::Declare { auto_delete: true, ..first.clone() }, "auto_delete", "true", "false"),
        (exchange::Declare { internal: true, ..first.clone() }, "internal", "true", "false"),
    ];
    for (second, key, received, current) in table {
        assert_eq!(
            broker.channel().call(second).unwrap_err(),
            channel_closed(
                406,
                format!(
                    "PRECONDITION_FAILED - inequivalent arg '{key}' for exchange '{name}' in vhost '/': \
                     received '{received}' but current is '{current}'"
                )
            )
        );
    }
}

/// Check 13.
#[test]
fn a_second_declare_must_have_the_same_alternate_exchange_and_may_differ_in_what_is_unknown() {
    let broker = Broker::start();
    let name = broker.name("x");
    let first = exchange::Declare {
        arguments: table([("alternate-exchange", text("a"))]),
        ..declare(&name)
    };
    broker.channel().call(first.clone()).unwrap();

    let unknown = exchange::Declare {
        arguments: table([("alternate-exchange", text("a")), ("x-unknown", AMQPValue::LongInt(1))]),
        ..first.clone()
    };
    broker.channel().call(unknown).unwrap();

    let mut text_of_refusals = Vec::new();
    for arguments in [table([("alternate-exchange", text("b"))]), table([])] {
        let second = exchange::Declare { arguments, ..first.clone() };
        let closed = broker.channel().call(second).unwrap_err();
        assert_eq!(closed.code, 406, "{closed:?}");
        text_of_refusals.push(closed.text);
    }
    let prefix = format!(
        "PRECONDITION_FAILED - inequivalent arg 'alternate-exchange' for exchange '{name}' in vhost '/': received "
    );
    assert_eq!(
        text_of_refusals,
        [
            format!("{prefix}'b' but current is 'a'"),
            format!("{prefix}none but current is the value 'a' of type 'longstr'"),
        ]
    );
}

/// Check 14.
#[test]
fn an_unknown_type_is_refused() {
    let broker = Broker::start();
    let declare = exchange::Declare { kind: "x-no-such-type".into(), ..declare(&broker.name("x")) };
    assert_eq!(
        broker.channel().call(declare).unwrap_err(),
        channel_closed(406, "PRECONDITION_FAILED - unknown exchange type 'x-no-such-type'")
    );
}

/// Check 14.
#[test]
fn names_that_begin_with_amq_are_reserved_for_what_exists() {
    let broker = Broker::start();
    assert_eq!(
        broker.channel().call(declare("amq.leveret-test")).unwrap_err(),
        channel_closed(
            403,
            "ACCESS_REFUSED - exchange name 'amq.leveret-test' contains reserved prefix 'amq.*'"
        )
    );
    let system = [
        ("amq.direct", "direct"),
        ("amq.fanout", "fanout"),
        ("amq.headers", "headers"),
        ("amq.match", "headers"),
        ("amq.topic", "topic"),
    ];
    for (name, kind) in system {
        let again = exchange::Declare { kind: kind.into(), durable: true, ..declare(name) };
        broker.channel().call(again).unwrap();
        let passive = exchange::Declare { passive: true, ..declare(name) };
        broker.channel().call(passive).unwrap();
    }
}

#[test]
fn a_system_exchange_cannot_be_deleted() {
    let broker = Broker::start();
    let delete = exchange::Delete { exchange: "amq.topic".into(), ..Default::default() };
    assert_eq!(
        broker.channel().call(delete).unwrap_err(),
        channel_closed(
            403,
            "ACCESS_REFUSED - deletion of system exchange 'amq.topic' in vhost '/' not allowed"
        )
    );
}

#[test]
fn a_passive_declare_finds_what_exists_whatever_its_type() {
    let broker = Broker::start();
    let channel = broker.channel();
    let name = broker.name("x");
    let passive = exchange::Declare { passive: true, kind: "fanout".into(), ..declare(&name) };
    assert_eq!(
        broker.channel().call(passive.clone()).unwrap_err(),
        channel_closed(404, format!("NOT_FOUND - no exchange '{name}' in vhost '/'"))
    );
    channel.declare_exchange(&name, "topic");
    channel.call(passive).unwrap();
}

/// Check 16.
#[test]
fn if_unused_keeps_an_exchange_that_has_bindings() {
    let broker = Broker::start();
    let channel = broker.channel();
    let name = broker.name("x");
    channel.declare_exchange(&name, "direct");
    let queue = channel.exclusive_queue();
    channel.bind(&queue, &name, "k");
    let delete =
        exchange::Delete { exchange: name.as_str().into(), if_unused: true, ..Default::default() };
    assert_eq!(
        broker.channel().call(delete.clone()).unwrap_err(),
        channel_closed(406, format!("PRECONDITION_FAILED - exchange '{name}' in vhost '/' in use"))
    );
    let unbind = queue::Unbind {
        queue: queue.as_str().into(),
        exchange: name.as_str().into(),
        routing_key: "k".into(),
        ..Default::default()
    };
    channel.call(unbind).unwrap();
    channel.call(delete).unwrap();
}

/// Check 16.
#[test]
fn deleting_what_does_not_exist_succeeds() {
    let broker = Broker::start();
    let channel = broker.channel();
    let missing = broker.name("missing");
    channel
        .call(exchange::Delete { exchange: missing.as_str().into(), ..Default::default() })
        .unwrap();
    let deleted =
        channel.call(queue::Delete { queue: missing.into(), ..Default::default() }).unwrap();
    assert_eq!(deleted.message_count, 0);
}

/// Check 17.
#[test]
fn an_internal_exchange_takes_no_publish() {
    let broker = Broker::start();
    let channel = broker.channel();
    let name = broker.name("internal");
    channel.call(exchange::Declare { internal: true, ..declare(&name) }).unwrap();
    channel.publish(&name, "k", "refused");
    assert_eq!(
        channel.closed(),
        channel_closed(
            403,
            format!("ACCESS_REFUSED - cannot publish to internal exchange '{name}' in vhost '/'")
        )
    );
}

/// Check 17.
#[test]
fn a_publish_to_a_missing_exchange_closes_the_channel_later() {
    let broker = Broker::start();
    let connection = broker.connect();
    let (channel, other) = (connection.channel(), connection.channel());
    let name = broker.name("missing");
    channel.publish(&name, "k", "refused");
    assert_eq!(
        channel.closed(),
        channel_closed(404, format!("NOT_FOUND - no exchange '{name}' in vhost '/'"))
    );
    other.exclusive_queue();
}

#[test]
fn nowait_declares_and_deletes_without_a_reply() {
    let broker = Broker::start();
    let channel = broker.channel();
    let name = broker.name("x");
    channel.send(exchange::Declare { nowait: true, durable: true, ..declare(&name) });
    channel.call(exchange::Declare { passive: true, ..declare(&name) }).unwrap();
    channel.send(exchange::Delete {
        exchange: name.as_str().into(),
        nowait: true,
        ..Default::default()
    });
    let closed = channel.call(exchange::Declare { passive: true, ..declare(&name) }).unwrap_err();
    assert_eq!(closed.code, 404, "{closed:?}");
}
