//! Promise: a headers exchange compares tables, as its `x-match` argument says.

use leveret_tests::broker::Broker;
use leveret_tests::client::Channel;
use leveret_tests::closed::{Closed, channel_closed};
use leveret_tests::{AMQPValue, BasicProperties, FieldTable, queue, table, text};

fn bind(
    channel: &Channel,
    queue: &str,
    exchange: &str,
    arguments: FieldTable,
) -> Result<queue::BindOk, Closed> {
    channel.call(queue::Bind {
        queue: queue.into(),
        exchange: exchange.into(),
        arguments,
        ..Default::default()
    })
}

/// A table from `name=value` pairs: digits are an integer, nothing is void, anything else is text.
fn parse(pairs: &str) -> FieldTable {
    let mut table = FieldTable::default();
    for pair in pairs.split_whitespace() {
        let (name, value) = pair.split_once('=').expect("name=value");
        let value = match (value, value.parse()) {
            ("", _) => AMQPValue::Void,
            (_, Ok(number)) => AMQPValue::LongInt(number),
            (_, Err(_)) => text(value),
        };
        table.insert(name.into(), value);
    }
    table
}

/// Check 20.
#[test]
fn x_match_decides_how_many_headers_must_be_equal() {
    // Arguments of the binding, headers of the message, whether they match.
    let rows = [
        ("a=1 b=1", "a=1", false),
        ("a=1 b=1", "a=1 b=1 c=1", true),
        ("x-match=all a=1 b=1", "a=1", false),
        ("x-match=all a=1", "", false),
        ("x-match=all", "", true),
        ("x-match=any", "a=1", false),
        ("x-match=any a=1 b=1", "b=1", true),
        ("x-match=any a=1 b=1", "a=2 b=x", false),
        // A void value asks for presence only.
        ("a=", "a=x", true),
        ("a=", "b=x", false),
        ("x-match=any a= b=", "b=1", true),
        // Headers that begin with x- count only where the mode says so.
        ("x-match=all x-a=1 b=1", "b=1", true),
        ("x-match=any x-a=1 b=1", "x-a=1", false),
        ("x-match=all-with-x x-a=1 b=1", "b=1", false),
        ("x-match=all-with-x x-a=1 b=1", "b=1 x-a=1", true),
        ("x-match=any-with-x x-a=1 b=1", "x-a=1", true),
        // The comparison knows types and case.
        ("a=x", "a=X", false),
        ("a=x", "A=x", false),
    ];
    let broker = Broker::start();
    let channel = broker.channel();
    for (arguments, headers, matches) in rows {
        let (exchange, queue) = (broker.name("x"), channel.exclusive_queue());
        channel.declare_exchange(&exchange, "headers");
        bind(&channel, &queue, &exchange, parse(arguments)).unwrap();
        let properties = BasicProperties::default().with_headers(parse(headers));
        channel.publish_with(&exchange, "ignored", properties, "m");
        assert_eq!(
            channel.get(&queue).is_some(),
            matches,
            "binding {arguments:?}, headers {headers:?}"
        );
    }
}

/// Check 20.
#[test]
fn a_number_and_its_text_are_not_equal() {
    let broker = Broker::start();
    let channel = broker.channel();
    let queue = channel.exclusive_queue();
    bind(&channel, &queue, "amq.match", table([("n", text("1"))])).unwrap();
    let properties = BasicProperties::default().with_headers(parse("n=1"));
    channel.publish_with("amq.match", "", properties, "m");
    assert_eq!(channel.get(&queue), None);
}

/// Check 20.
#[test]
fn a_message_without_headers_matches_a_binding_without_any() {
    let broker = Broker::start();
    let channel = broker.channel();
    let queue = channel.exclusive_queue();
    bind(&channel, &queue, "amq.match", table([])).unwrap();
    channel.publish("amq.match", "", "m");
    assert!(channel.get(&queue).is_some());
}

/// Check 20.
#[test]
fn a_bad_x_match_is_refused() {
    let broker = Broker::start();
    let owner = broker.connect();
    let queue = owner.channel().exclusive_queue();
    assert_eq!(
        bind(&owner.channel(), &queue, "amq.headers", table([("x-match", text("some"))]))
            .unwrap_err(),
        channel_closed(
            406,
            "PRECONDITION_FAILED - Invalid x-match field value <<\"some\">>; \
             expected all, any, all-with-x, or any-with-x"
        )
    );
    let number = table([("x-match", AMQPValue::LongInt(1))]);
    let closed = bind(&owner.channel(), &queue, "amq.headers", number).unwrap_err();
    assert_eq!(closed.code, 406, "{closed:?}");
}
