//! Promise: queues are declared once, named, counted, emptied and deleted in RabbitMQ's ways.

use leveret_tests::broker::Broker;
use leveret_tests::closed::channel_closed;
use leveret_tests::wait;
use leveret_tests::{basic, queue};

fn durable(name: &str) -> queue::Declare {
    queue::Declare { queue: name.into(), durable: true, ..Default::default() }
}

/// Check 27.
#[test]
fn a_second_declare_must_have_the_same_properties() {
    let broker = Broker::start();
    let name = broker.name("q");
    let owner = broker.channel();
    owner.declare(durable(&name));
    owner.declare(durable(&name));
    let table = [
        (queue::Declare { durable: false, ..durable(&name) }, "durable", "false", "true"),
        (queue::Declare { auto_delete: true, ..durable(&name) }, "auto_delete", "true", "false"),
    ];
    for (second, key, received, current) in table {
        assert_eq!(
            broker.channel().call(second).unwrap_err(),
            channel_closed(
                406,
                format!(
                    "PRECONDITION_FAILED - inequivalent arg '{key}' for queue '{name}' in vhost '/': \
                     received '{received}' but current is '{current}'"
                )
            )
        );
    }
    let second = queue::Declare { exclusive: true, ..durable(&name) };
    let closed = broker.channel().call(second).unwrap_err();
    assert_eq!(closed.code, 405, "{closed:?}");
    owner.call(queue::Delete { queue: name.into(), ..Default::default() }).unwrap();
}

/// Check 30.
#[test]
fn an_auto_delete_queue_goes_with_its_last_consumer_and_not_before_its_first() {
    let broker = Broker::start();
    let connection = broker.connect();
    let watching = broker.channel();
    // How the last consumer leaves.
    type Leave = fn(&leveret_tests::client::Connection, leveret_tests::client::Channel);
    let ways: [(&str, Leave); 3] = [
        ("cancel", |_, channel| {
            let cancel = basic::Cancel { consumer_tag: "c".into(), ..Default::default() };
            channel.call(cancel).unwrap();
        }),
        ("channel close", |_, channel| channel.close()),
        ("connection close", |connection, _| connection.close()),
    ];
    for (way, leave) in ways {
        let name = broker.name("auto");
        let declare =
            queue::Declare { queue: name.as_str().into(), auto_delete: true, ..Default::default() };
        watching.declare(declare);
        watching.publish("", &name, "m");
        assert!(watching.get(&name).is_some());
        assert_eq!(watching.counts(&name).unwrap(), (0, 0), "basic.get is no consumer");

        let (one, two) = (connection.channel(), connection.channel());
        one.consume(&name, "c");
        two.consume(&name, "c");
        one.close();
        wait::until("the first consumer has left", || {
            (watching.counts(&name).unwrap() == (0, 1)).then_some(())
        });
        leave(&connection, two);
        wait::until(way, || broker.channel().counts(&name).is_err().then_some(()));
    }
}

/// Check 33.
#[test]
fn a_passive_declare_counts_ready_messages_and_consumers() {
    let broker = Broker::start();
    let channel = broker.channel();
    let queue = channel.exclusive_queue();
    for body in ["1", "2", "3"] {
        channel.publish("", &queue, body);
    }
    channel.get_unacked(&queue);
    assert_eq!(channel.counts(&queue).unwrap(), (2, 0), "one is unacked");
    channel.prefetch(1);
    channel.consume(&queue, "c");
    channel.delivery();
    assert_eq!(channel.counts(&queue).unwrap(), (1, 1));

    let missing = broker.name("missing");
    assert_eq!(
        channel.counts(&missing).unwrap_err(),
        channel_closed(404, format!("NOT_FOUND - no queue '{missing}' in vhost '/'"))
    );
}

/// Check 34.
#[test]
fn if_empty_and_if_unused_keep_a_queue() {
    let broker = Broker::start();
    let owner = broker.connect();
    let channel = owner.channel();
    let queue = channel.exclusive_queue();
    let delete = |if_unused, if_empty| queue::Delete {
        queue: queue.as_str().into(),
        if_unused,
        if_empty,
        nowait: false,
    };
    channel.publish("", &queue, "m");
    channel.counts(&queue).unwrap();
    assert_eq!(
        owner.channel().call(delete(false, true)).unwrap_err(),
        channel_closed(
            406,
            format!("PRECONDITION_FAILED - queue '{queue}' in vhost '/' not empty")
        )
    );
    channel.get(&queue).unwrap();
    channel.consume(&queue, "c");
    assert_eq!(
        owner.channel().call(delete(true, false)).unwrap_err(),
        channel_closed(406, format!("PRECONDITION_FAILED - queue '{queue}' in vhost '/' in use"))
    );
    channel.call(basic::Cancel { consumer_tag: "c".into(), ..Default::default() }).unwrap();
    channel.publish("", &queue, "left");
    assert_eq!(channel.call(delete(true, false)).unwrap().message_count, 1);
}

/// Check 34.
#[test]
fn purge_removes_ready_messages_and_leaves_unacked_ones() {
    let broker = Broker::start();
    let channel = broker.channel();
    let queue = channel.exclusive_queue();
    for body in ["1", "2", "3"] {
        channel.publish("", &queue, body);
    }
    let first = channel.get_unacked(&queue);
    let purge = || queue::Purge { queue: queue.as_str().into(), ..Default::default() };
    assert_eq!(channel.call(purge()).unwrap().message_count, 2);
    assert_eq!(channel.get(&queue), None);
    channel.requeue(first.delivery_tag);
    assert_eq!(channel.get(&queue).unwrap().body, "1");
    assert_eq!(channel.call(purge()).unwrap().message_count, 0);
}

#[test]
fn nowait_declares_binds_purges_and_deletes_without_a_reply() {
    let broker = Broker::start();
    let channel = broker.channel();
    let name = broker.name("q");
    let queue = || name.as_str().into();
    channel.send(queue::Declare {
        queue: queue(),
        exclusive: true,
        nowait: true,
        ..Default::default()
    });
    channel.send(queue::Bind {
        queue: queue(),
        exchange: "amq.direct".into(),
        routing_key: queue(),
        nowait: true,
        ..Default::default()
    });
    channel.publish("amq.direct", &name, "bound");
    assert_eq!(channel.get(&name).unwrap().body, "bound");
    channel.publish("", &name, "purged");
    channel.send(queue::Purge { queue: queue(), nowait: true });
    assert_eq!(channel.get(&name), None);
    channel.send(queue::Delete { queue: queue(), nowait: true, ..Default::default() });
    assert!(channel.unclaimed().is_empty());
    assert_eq!(channel.counts(&name).unwrap_err().code, 404);
}
