//! Promise: a binding is its source, destination, key and arguments; exchanges may be bound to exchanges.

use leveret_tests::broker::Broker;
use leveret_tests::client::Channel;
use leveret_tests::closed::channel_closed;
use leveret_tests::{FieldTable, exchange, queue, table, text};

fn bind_with(channel: &Channel, queue: &str, exchange: &str, arguments: FieldTable) {
    channel
        .call(queue::Bind {
            queue: queue.into(),
            exchange: exchange.into(),
            routing_key: "k".into(),
            arguments,
            ..Default::default()
        })
        .unwrap();
}

fn unbind_with(channel: &Channel, queue: &str, exchange: &str, key: &str, arguments: FieldTable) {
    channel
        .call(queue::Unbind {
            queue: queue.into(),
            exchange: exchange.into(),
            routing_key: key.into(),
            arguments,
        })
        .unwrap();
}

fn bind_exchange(channel: &Channel, source: &str, destination: &str, key: &str) {
    channel
        .call(exchange::Bind {
            source: source.into(),
            destination: destination.into(),
            routing_key: key.into(),
            ..Default::default()
        })
        .unwrap();
}

fn exists(broker: &Broker, exchange: &str) -> bool {
    let passive = exchange::Declare {
        exchange: exchange.into(),
        kind: "direct".into(),
        passive: true,
        ..Default::default()
    };
    broker.channel().call(passive).is_ok()
}

/// Check 21.
#[test]
fn other_arguments_make_another_binding_and_unbind_must_name_them() {
    let broker = Broker::start();
    let channel = broker.channel();
    let (exchange, queue) = (broker.name("x"), channel.exclusive_queue());
    channel.declare_exchange(&exchange, "direct");
    let (red, blue) = (|| table([("colour", text("red"))]), || table([("colour", text("blue"))]));
    bind_with(&channel, &queue, &exchange, red());
    bind_with(&channel, &queue, &exchange, blue());
    bind_with(&channel, &queue, &exchange, blue());

    let arrives = |expected: bool, when: &str| {
        channel.publish(&exchange, "k", "m");
        assert_eq!(channel.get(&queue).is_some(), expected, "{when}");
        assert_eq!(channel.get(&queue), None, "one copy {when}");
    };
    arrives(true, "with two bindings");
    unbind_with(&channel, &queue, &exchange, "k", table([]));
    unbind_with(&channel, &queue, &exchange, "other", red());
    arrives(true, "after unbinds that named neither");
    unbind_with(&channel, &queue, &exchange, "k", red());
    arrives(true, "with the second binding");
    unbind_with(&channel, &queue, &exchange, "k", blue());
    arrives(false, "with none");
}

/// Check 21.
#[test]
fn unbinding_what_does_not_exist_succeeds() {
    let broker = Broker::start();
    let channel = broker.channel();
    let queue = channel.exclusive_queue();
    unbind_with(&channel, &queue, "amq.direct", "never bound", table([]));
    unbind_with(&channel, &queue, &broker.name("no-exchange"), "k", table([]));
    unbind_with(&channel, &broker.name("no-queue"), "amq.direct", "k", table([]));
}

/// Check 22.
#[test]
fn both_ends_of_a_binding_must_exist() {
    let broker = Broker::start();
    let connection = broker.connect();
    let queue = connection.channel().exclusive_queue();
    let missing = broker.name("missing");
    let no_exchange =
        channel_closed(404, format!("NOT_FOUND - no exchange '{missing}' in vhost '/'"));
    let no_queue = channel_closed(404, format!("NOT_FOUND - no queue '{missing}' in vhost '/'"));

    let bind = |queue: &str, exchange: &str| {
        connection
            .channel()
            .call(queue::Bind {
                queue: queue.into(),
                exchange: exchange.into(),
                ..Default::default()
            })
            .unwrap_err()
    };
    assert_eq!(bind(&queue, &missing), no_exchange);
    assert_eq!(bind(&missing, "amq.direct"), no_queue);
    let bind = |source: &str, destination: &str| {
        connection
            .channel()
            .call(exchange::Bind {
                source: source.into(),
                destination: destination.into(),
                ..Default::default()
            })
            .unwrap_err()
    };
    assert_eq!(bind(&missing, "amq.direct"), no_exchange);
    assert_eq!(bind("amq.direct", &missing), no_exchange);
}

/// Check 23.
#[test]
fn a_deleted_queue_or_exchange_takes_its_bindings_along() {
    let broker = Broker::start();
    let channel = broker.channel();
    let (source, target) = (broker.name("source"), broker.name("target"));
    channel.declare_exchange(&source, "fanout");
    channel.declare_exchange(&target, "fanout");
    let name = broker.name("q");
    let declare =
        || queue::Declare { queue: name.as_str().into(), exclusive: true, ..Default::default() };
    channel.declare(declare());
    channel.bind(&name, &source, "");
    channel.call(queue::Delete { queue: name.as_str().into(), ..Default::default() }).unwrap();
    channel.declare(declare());
    channel.publish(&source, "", "m");
    assert_eq!(channel.get(&name), None, "the new queue is not bound");

    bind_exchange(&channel, &source, &target, "");
    channel.bind(&name, &target, "");
    let delete = || exchange::Delete { exchange: target.as_str().into(), ..Default::default() };
    channel.call(delete()).unwrap();
    channel.declare_exchange(&target, "fanout");
    channel.bind(&name, &target, "");
    channel.publish(&source, "", "m");
    assert_eq!(channel.get(&name), None, "the new exchange is not bound");
}

/// Check 23.
#[test]
fn an_auto_delete_exchange_goes_with_its_last_binding_and_not_before_its_first() {
    let broker = Broker::start();
    let channel = broker.channel();
    let name = broker.name("auto");
    channel
        .call(exchange::Declare {
            exchange: name.as_str().into(),
            kind: "direct".into(),
            auto_delete: true,
            ..Default::default()
        })
        .unwrap();
    assert!(exists(&broker, &name), "it has never been bound");
    let queue = channel.exclusive_queue();
    channel.bind(&queue, &name, "a");
    channel.bind(&queue, &name, "b");
    unbind_with(&channel, &queue, &name, "a", table([]));
    assert!(exists(&broker, &name), "one binding is left");
    channel.call(queue::Delete { queue: queue.into(), ..Default::default() }).unwrap();
    assert!(!exists(&broker, &name), "the last binding went with its queue");
}

/// Check 23: going, it takes the bindings it is the destination of, and so on up the line.
#[test]
fn auto_delete_goes_up_a_chain_of_exchanges() {
    let broker = Broker::start();
    let channel = broker.channel();
    let names = [broker.name("one"), broker.name("two"), broker.name("three")];
    for name in &names {
        channel
            .call(exchange::Declare {
                exchange: name.as_str().into(),
                kind: "fanout".into(),
                auto_delete: true,
                ..Default::default()
            })
            .unwrap();
    }
    bind_exchange(&channel, &names[0], &names[1], "");
    bind_exchange(&channel, &names[1], &names[2], "");
    let queue = channel.exclusive_queue();
    channel.bind(&queue, &names[2], "");
    channel.call(queue::Delete { queue: queue.into(), ..Default::default() }).unwrap();
    for name in &names {
        assert!(!exists(&broker, name), "{name}");
    }
}

/// Check 24.
#[test]
fn a_message_passes_from_exchange_to_exchange() {
    let broker = Broker::start();
    let channel = broker.channel();
    let (source, target) = (broker.name("source"), broker.name("target"));
    channel.declare_exchange(&source, "direct");
    channel.declare_exchange(&target, "topic");
    bind_exchange(&channel, &source, &target, "a.b");
    let queue = channel.exclusive_queue();
    channel.bind(&queue, &target, "*.b");

    channel.publish(&source, "a.b", "through");
    let message = channel.get(&queue).unwrap();
    assert_eq!((message.exchange.as_str(), message.routing_key.as_str()), (source.as_str(), "a.b"));
    channel.publish(&source, "c.b", "not bound at the source");
    assert_eq!(channel.get(&queue), None);

    channel
        .call(exchange::Unbind {
            source: source.as_str().into(),
            destination: target.as_str().into(),
            routing_key: "a.b".into(),
            ..Default::default()
        })
        .unwrap();
    channel.publish(&source, "a.b", "unbound");
    assert_eq!(channel.get(&queue), None);
}

/// Check 24.
#[test]
fn a_ring_of_exchanges_ends_and_gives_one_copy() {
    let broker = Broker::start();
    let channel = broker.channel();
    let names = [broker.name("one"), broker.name("two"), broker.name("three")];
    for name in &names {
        channel.declare_exchange(name, "fanout");
    }
    let queue = channel.exclusive_queue();
    for (from, to) in [(0, 1), (1, 2), (2, 0), (0, 0)] {
        bind_exchange(&channel, &names[from], &names[to], "");
        channel.bind(&queue, &names[from], "");
    }
    channel.publish(&names[1], "", "once");
    assert_eq!(channel.get(&queue).unwrap().body, "once");
    assert_eq!(channel.get(&queue), None);
}
