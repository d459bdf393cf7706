//! Promise: `x-recent-history` is a fanout that gives a queue its last messages when the queue is bound.

use leveret_tests::broker::Broker;
use leveret_tests::client::{Channel, Message};
use leveret_tests::closed::channel_closed;
use leveret_tests::{AMQPValue, BasicProperties, FieldTable, exchange, table, text};

fn length(messages: i32) -> FieldTable {
    table([("x-recent-history-length", AMQPValue::LongInt(messages))])
}

/// A channel in confirm mode and an exchange, which the test deletes: it may have no binding for long.
fn history(broker: &Broker, arguments: FieldTable) -> (Channel, String) {
    let channel = broker.channel();
    channel.confirm_select();
    let exchange = broker.name("x");
    channel
        .call(exchange::Declare {
            exchange: exchange.as_str().into(),
            kind: "x-recent-history".into(),
            arguments,
            ..Default::default()
        })
        .unwrap();
    (channel, exchange)
}

fn publish(channel: &Channel, exchange: &str, body: &str) {
    let key = format!("key of {body}");
    assert!(channel.publish_and_wait(exchange, &key, BasicProperties::default(), body));
}

/// The next `count` messages of a queue, which are all it has.
fn all(channel: &Channel, queue: &str, count: u32) -> Vec<Message> {
    channel.wait_ready(queue, count);
    std::iter::from_fn(|| channel.get(queue)).collect()
}

fn bodies(messages: &[Message]) -> Vec<&str> {
    messages.iter().map(|message| message.body.as_str()).collect()
}

#[test]
fn a_queue_that_is_bound_gets_the_last_messages_as_they_were_published() {
    let broker = Broker::start();
    let (channel, exchange) = history(&broker, length(3));
    let properties = BasicProperties::default()
        .with_headers(table([("mine", text("m"))]))
        .with_content_type("text/plain".into());
    for body in ["1", "2", "3", "4"] {
        let key = format!("key of {body}");
        assert!(channel.publish_and_wait(&exchange, &key, properties.clone(), body));
    }
    let queue = channel.exclusive_queue();
    channel.bind(&queue, &exchange, "");
    let replayed = all(&channel, &queue, 3);
    assert_eq!(bodies(&replayed), ["2", "3", "4"]);
    for message in &replayed {
        assert_eq!(message.exchange, exchange);
        assert_eq!(message.routing_key, format!("key of {}", message.body));
        assert_eq!(message.properties, properties);
        assert!(!message.redelivered);
    }
    // From then on it is a fanout.
    publish(&channel, &exchange, "5");
    assert_eq!(bodies(&all(&channel, &queue, 1)), ["5"]);
    channel.delete_exchange(&exchange);
}

#[test]
fn every_new_binding_is_served_and_one_that_exists_is_not() {
    let broker = Broker::start();
    let (channel, exchange) = history(&broker, length(2));
    for body in ["1", "2"] {
        publish(&channel, &exchange, body);
    }
    let (one, two) = (channel.exclusive_queue(), channel.exclusive_queue());
    channel.bind(&one, &exchange, "");
    assert_eq!(bodies(&all(&channel, &one, 2)), ["1", "2"]);
    channel.bind(&one, &exchange, "");
    channel.bind(&two, &exchange, "");
    assert_eq!(bodies(&all(&channel, &two, 2)), ["1", "2"]);
    assert_eq!(channel.get(&one), None);
    channel.bind(&one, &exchange, "another key");
    assert_eq!(bodies(&all(&channel, &one, 2)), ["1", "2"]);
    channel.delete_exchange(&exchange);
}

#[test]
fn it_remembers_20_messages_unless_told_otherwise() {
    let broker = Broker::start();
    let (channel, exchange) = history(&broker, table([]));
    let sent: Vec<String> = (0..25).map(|number| number.to_string()).collect();
    for body in &sent {
        publish(&channel, &exchange, body);
    }
    let queue = channel.exclusive_queue();
    channel.bind(&queue, &exchange, "");
    assert_eq!(bodies(&all(&channel, &queue, 20)), sent.get(5..).unwrap());
    channel.delete_exchange(&exchange);
}

#[test]
fn a_message_may_ask_not_to_be_remembered() {
    let broker = Broker::start();
    let (channel, exchange) = history(&broker, length(5));
    let bound = channel.exclusive_queue();
    channel.bind(&bound, &exchange, "");
    for (body, no_store) in [("kept", None), ("not kept", Some(true)), ("kept too", Some(false))] {
        let headers = no_store.map_or_else(
            || table([]),
            |value| table([("x-recent-history-no-store", AMQPValue::Boolean(value))]),
        );
        let properties = BasicProperties::default().with_headers(headers);
        assert!(channel.publish_and_wait(&exchange, "", properties, body));
    }
    assert_eq!(bodies(&all(&channel, &bound, 3)), ["kept", "not kept", "kept too"]);
    let late = channel.exclusive_queue();
    channel.bind(&late, &exchange, "");
    assert_eq!(bodies(&all(&channel, &late, 2)), ["kept", "kept too"]);
    channel.delete_exchange(&exchange);
}

#[test]
fn an_exchange_that_is_bound_is_served_too() {
    let broker = Broker::start();
    let (channel, source) = history(&broker, length(2));
    for body in ["1", "2", "3"] {
        publish(&channel, &source, body);
    }
    let (fanout, queue) = (broker.name("fanout"), channel.exclusive_queue());
    channel.exchange_with(&fanout, "fanout", table([])).unwrap();
    channel.bind(&queue, &fanout, "");
    channel
        .call(exchange::Bind {
            destination: fanout.as_str().into(),
            source: source.as_str().into(),
            ..Default::default()
        })
        .unwrap();
    let mut replayed = all(&channel, &queue, 2);
    // RabbitMQ gives an exchange the newest first.
    replayed.sort_by(|one, next| one.body.cmp(&next.body));
    assert_eq!(bodies(&replayed), ["2", "3"]);
    channel.delete_exchange(&source);
}

#[test]
fn a_deleted_exchange_is_forgotten() {
    let broker = Broker::start();
    let (channel, exchange) = history(&broker, length(2));
    publish(&channel, &exchange, "old");
    channel.delete_exchange(&exchange);
    channel.exchange_with(&exchange, "x-recent-history", length(2)).unwrap();
    let queue = channel.exclusive_queue();
    channel.bind(&queue, &exchange, "");
    publish(&channel, &exchange, "new");
    assert_eq!(bodies(&all(&channel, &queue, 1)), ["new"]);
}

#[test]
fn a_length_that_is_no_positive_number_is_refused() {
    let broker = Broker::start();
    for (value, shown) in [
        (AMQPValue::LongInt(0), "0"),
        (AMQPValue::LongInt(-1), "-1"),
        (AMQPValue::Double(1.5), "1.5"),
        (text("x"), "<<\"x\">>"),
    ] {
        let closed = broker
            .channel()
            .exchange_with(
                &broker.name("x"),
                "x-recent-history",
                table([("x-recent-history-length", value)]),
            )
            .unwrap_err();
        let expected = format!(
            "PRECONDITION_FAILED - Invalid argument {shown}, 'x-recent-history-length' must be a positive integer"
        );
        assert_eq!(closed, channel_closed(406, expected));
    }
}
