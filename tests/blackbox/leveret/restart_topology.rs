//! Promise: what was declared durable is declared after a restart, and what was deleted is not.

use leveret_tests::broker::Broker;
use leveret_tests::client::Channel;
use leveret_tests::{AMQPValue, BasicProperties, exchange, queue, table, text};

fn durable(channel: &Channel, name: &str) {
    channel.declare(queue::Declare { queue: name.into(), durable: true, ..Default::default() });
}

/// Empties a queue.
fn bodies(channel: &Channel, queue: &str) -> Vec<String> {
    std::iter::from_fn(|| channel.get(queue)).map(|message| message.body).collect()
}

#[test]
fn exchanges_bindings_and_their_arguments_come_back() {
    let mut broker = Broker::leveret(&[]);
    let channel = broker.channel();
    let declare = |name: &str, kind: &str| exchange::Declare {
        exchange: name.into(),
        kind: kind.into(),
        durable: true,
        ..Default::default()
    };
    let with_alternate = exchange::Declare {
        arguments: table([("alternate-exchange", text("rest"))]),
        ..declare("topic", "topic")
    };
    channel.call(with_alternate.clone()).unwrap();
    channel.call(declare("rest", "fanout")).unwrap();
    channel.call(declare("headers", "headers")).unwrap();
    for name in ["matched", "unmatched", "by-header"] {
        durable(&channel, name);
    }
    channel.bind("matched", "topic", "a.#");
    channel.bind("unmatched", "rest", "");
    channel
        .call(queue::Bind {
            queue: "by-header".into(),
            exchange: "headers".into(),
            arguments: table([("x-match", text("any")), ("n", AMQPValue::LongInt(1))]),
            ..Default::default()
        })
        .unwrap();
    channel
        .call(exchange::Bind {
            source: "topic".into(),
            destination: "headers".into(),
            routing_key: "a.b".into(),
            ..Default::default()
        })
        .unwrap();
    broker.kill();
    broker.restart();

    let channel = broker.channel();
    channel.call(with_alternate).unwrap();
    let headers = table([("n", AMQPValue::LongInt(1))]);
    channel.publish_with("topic", "a.b", BasicProperties::default().with_headers(headers), "1");
    channel.publish("topic", "b", "2");
    assert_eq!(bodies(&channel, "matched"), ["1"]);
    assert_eq!(bodies(&channel, "unmatched"), ["2"]);
    assert_eq!(bodies(&channel, "by-header"), ["1"]);
}

#[test]
fn what_was_deleted_unbound_or_purged_stays_so() {
    let mut broker = Broker::leveret(&[]);
    let channel = broker.channel();
    for name in ["kept", "deleted", "purged"] {
        durable(&channel, name);
        channel.bind(name, "amq.direct", "k");
    }
    channel.confirm_select();
    channel.publish_with(
        "amq.direct",
        "k",
        BasicProperties::default().with_delivery_mode(2),
        "before",
    );
    channel.confirms(1, 1);
    channel.call(queue::Delete { queue: "deleted".into(), ..Default::default() }).unwrap();
    channel.call(queue::Purge { queue: "purged".into(), ..Default::default() }).unwrap();
    channel
        .call(queue::Unbind {
            queue: "purged".into(),
            exchange: "amq.direct".into(),
            routing_key: "k".into(),
            ..Default::default()
        })
        .unwrap();
    drop(channel);
    broker.stop();
    broker.restart();
    let channel = broker.channel();
    channel.publish_with(
        "amq.direct",
        "k",
        BasicProperties::default().with_delivery_mode(2),
        "after",
    );
    assert_eq!(bodies(&channel, "kept"), ["before", "after"]);
    assert_eq!(bodies(&channel, "purged"), [""; 0]);
    assert_eq!(broker.channel().counts("deleted").unwrap_err().code, 404);
}

/// Exclusive queues end with their connection, and all connections end with the broker.
#[test]
fn an_exclusive_durable_queue_does_not_outlive_the_broker() {
    type End = fn(&mut Broker);
    let ends: [(&str, End); 2] = [("SIGTERM", Broker::stop), ("SIGKILL", Broker::kill)];
    for (end, end_broker) in ends {
        let mut broker = Broker::leveret(&[]);
        broker.channel().declare(queue::Declare {
            queue: "q".into(),
            durable: true,
            exclusive: true,
            ..Default::default()
        });
        end_broker(&mut broker);
        broker.restart();
        assert_eq!(broker.channel().counts("q").unwrap_err().code, 404, "{end}");
    }
}
