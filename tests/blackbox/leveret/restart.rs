//! Promise: what is durable is there after a restart, clean or not, as it was and in order.
//!
//! Clients leave before a clean stop, which would otherwise wait for them to answer its `connection.close`.

use leveret_tests::broker::Broker;
use leveret_tests::client::Channel;
use leveret_tests::{AMQPValue, BasicProperties, basic, exchange, queue, table, text, tx};

type End = fn(&mut Broker);

/// The two ways a broker ends: told to, and not.
const ENDS: [(&str, End); 2] = [("SIGTERM", Broker::stop), ("SIGKILL", Broker::kill)];

fn durable(channel: &Channel, name: &str) {
    channel.declare(queue::Declare { queue: name.into(), durable: true, ..Default::default() });
}

fn persistent() -> BasicProperties {
    BasicProperties::default().with_delivery_mode(2)
}

/// Empties a queue: bodies and redelivered flags.
fn drain(channel: &Channel, queue: &str) -> Vec<(String, bool)> {
    std::iter::from_fn(|| channel.get(queue))
        .map(|message| (message.body, message.redelivered))
        .collect()
}

fn bodies(channel: &Channel, queue: &str) -> Vec<String> {
    drain(channel, queue).into_iter().map(|(body, _)| body).collect()
}

/// Check 39.
#[test]
fn confirmed_persistent_messages_are_there_in_order() {
    for (end, end_broker) in ENDS {
        let mut broker = Broker::leveret(&[]);
        let channel = broker.channel();
        durable(&channel, "q");
        channel.confirm_select();
        let sent: Vec<String> = (0..1000).map(|number| number.to_string()).collect();
        for body in &sent {
            channel.publish_with("", "q", persistent(), body);
        }
        assert_eq!(channel.confirms(1, 1000), [0; 0]);
        drop(channel);
        end_broker(&mut broker);
        broker.restart();
        assert_eq!(bodies(&broker.channel(), "q"), sent, "{end}");
    }
}

/// Check 39.
#[test]
fn what_is_not_durable_is_gone() {
    for (end, end_broker) in ENDS {
        let mut broker = Broker::leveret(&[]);
        let channel = broker.channel();
        durable(&channel, "durable");
        channel.declare(queue::Declare { queue: "transient".into(), ..Default::default() });
        channel.declare_exchange("transient-x", "fanout");
        channel.confirm_select();
        channel.publish("", "durable", "a transient message");
        channel.publish_with("", "transient", persistent(), "in a transient queue");
        channel.publish_with("", "durable", persistent(), "persistent");
        channel.confirms(1, 3);
        drop(channel);
        end_broker(&mut broker);
        broker.restart();
        assert_eq!(bodies(&broker.channel(), "durable"), ["persistent"], "{end}");
        assert_eq!(broker.channel().counts("transient").unwrap_err().code, 404, "{end}");
        let passive = exchange::Declare {
            exchange: "transient-x".into(),
            passive: true,
            ..Default::default()
        };
        assert_eq!(broker.channel().call(passive).unwrap_err().code, 404, "{end}");
    }
}

#[test]
fn properties_headers_and_large_bodies_come_back_as_they_were() {
    let mut broker = Broker::leveret(&[]);
    let channel = broker.channel();
    durable(&channel, "q");
    channel.confirm_select();
    let properties = persistent()
        .with_headers(table([("n", AMQPValue::LongInt(7)), ("t", text("x"))]))
        .with_message_id("m".into())
        .with_timestamp(1_700_000_000);
    let large = "x".repeat(3_000_000);
    channel.publish_with("", "q", properties.clone(), &large);
    channel.publish_with("", "q", persistent(), "");
    channel.confirms(1, 2);
    broker.kill();
    broker.restart();
    let message = broker.channel().get("q").unwrap();
    assert_eq!(message.properties, properties);
    assert_eq!((message.exchange.as_str(), message.routing_key.as_str()), ("", "q"));
    assert!(message.body == large, "{} octets", message.body.len());
    assert_eq!(broker.channel().get("q").unwrap().body, "");
}

#[test]
fn what_was_acknowledged_before_a_clean_stop_does_not_come_back() {
    let mut broker = Broker::leveret(&[]);
    let channel = broker.channel();
    durable(&channel, "q");
    channel.confirm_select();
    for number in 1..=6 {
        channel.publish_with("", "q", persistent(), &number.to_string());
    }
    channel.confirms(1, 6);
    let tags: Vec<u64> = (0..4).map(|_| channel.get_unacked("q").delivery_tag).collect();
    channel.ack(tags[0]);
    channel.ack(tags[2]);
    channel.counts("q").unwrap();
    drop(channel);
    broker.stop();
    broker.restart();
    let expected = [("2", true), ("4", true), ("5", false), ("6", false)];
    let found = drain(&broker.channel(), "q");
    // Whether a message that nobody had seen is marked is the broker's choice.
    assert_eq!(
        found.iter().map(|(body, _)| body.as_str()).collect::<Vec<_>>(),
        expected.map(|(body, _)| body)
    );
    assert!(found[0].1 && found[1].1, "{found:?}");
}

#[test]
fn what_a_transaction_acknowledged_does_not_come_back_after_a_kill() {
    let mut broker = Broker::leveret(&[]);
    let channel = broker.channel();
    durable(&channel, "from");
    durable(&channel, "to");
    channel.call(tx::Select {}).unwrap();
    for number in 1..=3 {
        channel.publish_with("", "from", persistent(), &number.to_string());
    }
    channel.call(tx::Commit {}).unwrap();
    // Moves two messages to another queue, in one transaction.
    for _ in 0..2 {
        let message = channel.get_unacked("from");
        channel.publish_with("", "to", persistent(), &message.body);
        channel.ack(message.delivery_tag);
    }
    channel.call(tx::Commit {}).unwrap();
    // And a third in one that is never committed.
    let message = channel.get_unacked("from");
    channel.publish_with("", "to", persistent(), &message.body);
    channel.ack(message.delivery_tag);
    channel.counts("to").unwrap();
    broker.kill();
    broker.restart();
    let channel = broker.channel();
    assert_eq!(bodies(&channel, "to"), ["1", "2"]);
    assert_eq!(drain(&channel, "from"), [("3".to_string(), true)]);
}

#[test]
fn what_may_have_been_delivered_before_a_kill_is_marked_redelivered() {
    let mut broker = Broker::leveret(&[]);
    let channel = broker.channel();
    durable(&channel, "q");
    channel.confirm_select();
    for number in 0..10 {
        channel.publish_with("", "q", persistent(), &number.to_string());
    }
    channel.confirms(1, 10);
    channel.prefetch(4);
    channel.consume("q", "c");
    let seen = channel.bodies(4);
    broker.kill();
    broker.restart();
    let found = drain(&broker.channel(), "q");
    assert_eq!(found.len(), 10);
    for (body, redelivered) in found {
        assert!(redelivered || !seen.contains(&body), "{body} was delivered before");
    }
}

#[test]
fn a_queue_goes_on_where_it_was_over_many_restarts() {
    let mut broker = Broker::leveret(&[]);
    let mut sent = Vec::new();
    for round in 0..5 {
        let channel = broker.channel();
        durable(&channel, "q");
        channel.confirm_select();
        for number in 0..20 {
            let body = format!("{round}.{number}");
            channel.publish_with("", "q", persistent(), &body);
            sent.push(body);
        }
        channel.confirms(1, 20);
        // The two oldest are taken for good.
        for _ in 0..2 {
            let taken = channel.get_unacked("q");
            assert_eq!(taken.body, sent.remove(0));
            channel.ack(taken.delivery_tag);
        }
        channel.counts("q").unwrap();
        drop(channel);
        broker.stop();
        broker.restart();
    }
    assert_eq!(bodies(&broker.channel(), "q"), sent);
}

#[test]
fn one_message_in_many_queues_leaves_each_by_itself() {
    let mut broker = Broker::leveret(&[]);
    let channel = broker.channel();
    let queues: Vec<String> = (0..10).map(|number| format!("q{number}")).collect();
    for queue in &queues {
        durable(&channel, queue);
        channel.bind(queue, "amq.fanout", "");
    }
    channel.confirm_select();
    for body in ["1", "2", "3"] {
        channel.publish_with("amq.fanout", "", persistent(), body);
    }
    channel.confirms(1, 3);
    for queue in &queues[..5] {
        let message = channel.get_unacked(queue);
        channel.send(basic::Ack { delivery_tag: message.delivery_tag, multiple: false });
        channel.counts(queue).unwrap();
    }
    drop(channel);
    broker.stop();
    broker.restart();
    let channel = broker.channel();
    for (number, queue) in queues.iter().enumerate() {
        let expected: &[&str] = if number < 5 { &["2", "3"] } else { &["1", "2", "3"] };
        assert_eq!(bodies(&channel, queue), expected, "{queue}");
    }
}
