//! Promise: what is published arrives as it was sent, comes back if it must and cannot, or is refused in words.

use amq_protocol::frame::{AMQPContentHeader, AMQPFrame};
use leveret_tests::broker::Broker;
use leveret_tests::client::Channel;
use leveret_tests::closed::{channel_closed, connection_closed};
use leveret_tests::wire::encode;
use leveret_tests::{AMQPValue, BasicProperties, FieldArray, basic, table, text};

fn every_property() -> BasicProperties {
    let headers = table([
        ("bool", AMQPValue::Boolean(true)),
        ("int", AMQPValue::LongInt(-7)),
        ("long", AMQPValue::LongLongInt(1 << 40)),
        ("double", AMQPValue::Double(0.5)),
        ("text", text("gr\u{fc}n")),
        ("void", AMQPValue::Void),
        ("time", AMQPValue::Timestamp(1_700_000_000)),
        ("list", AMQPValue::FieldArray(FieldArray::from(vec![AMQPValue::LongInt(1), text("two")]))),
        ("table", AMQPValue::FieldTable(table([("inner", AMQPValue::ShortInt(3))]))),
    ]);
    BasicProperties::default()
        .with_content_type("text/plain".into())
        .with_content_encoding("utf-8".into())
        .with_headers(headers)
        .with_delivery_mode(2)
        .with_priority(3)
        .with_correlation_id("c".into())
        .with_reply_to("r".into())
        .with_expiration("60000".into())
        .with_message_id("m".into())
        .with_timestamp(1_700_000_000)
        .with_type("t".into())
        .with_user_id("guest".into())
        .with_app_id("a".into())
        .with_cluster_id("cluster".into())
}

#[test]
fn properties_and_body_arrive_as_they_were_sent() {
    let broker = Broker::start();
    let channel = broker.channel();
    let queue = channel.exclusive_queue();
    channel.publish_with("", &queue, every_property(), "body");
    channel.publish_with("", &queue, BasicProperties::default(), "");
    channel.consume_no_ack(&queue, "c");
    let full = channel.delivery();
    assert_eq!((full.properties, full.body), (every_property(), "body".into()));
    let empty = channel.delivery();
    assert_eq!((empty.properties, empty.body), (BasicProperties::default(), String::new()));
}

#[test]
fn messages_of_one_channel_stay_in_order() {
    let broker = Broker::start();
    let channel = broker.channel();
    let queue = channel.exclusive_queue();
    channel.consume_no_ack(&queue, "c");
    let sent: Vec<String> = (0..5000).map(|number| number.to_string()).collect();
    for body in &sent {
        channel.publish("", &queue, body);
    }
    assert_eq!(channel.bodies(sent.len()), sent);
}

/// Check 37.
#[test]
fn a_mandatory_message_that_reaches_no_queue_comes_back_whole() {
    let broker = Broker::start();
    let channel = broker.channel();
    let method = basic::Publish {
        exchange: "amq.direct".into(),
        routing_key: "nowhere".into(),
        mandatory: true,
        immediate: false,
    };
    channel.publish_method(method, every_property(), b"back");
    let returned = channel.returned();
    assert_eq!((returned.reply_code, returned.reply_text.as_str()), (312, "NO_ROUTE"));
    assert_eq!(
        (returned.exchange.as_str(), returned.routing_key.as_str()),
        ("amq.direct", "nowhere")
    );
    assert_eq!((returned.properties, returned.body), (every_property(), "back".into()));
}

#[test]
fn a_mandatory_message_that_reaches_a_queue_is_not_returned() {
    let broker = Broker::start();
    let channel = broker.channel();
    let queue = channel.exclusive_queue();
    channel.publish_mandatory("", &queue, "m");
    assert_eq!(channel.get(&queue).unwrap().body, "m");
    channel.expect_silence(&queue);
}

/// Check 41.
#[test]
fn a_body_above_the_limit_closes_the_channel_and_leaves_the_connection() {
    let broker = Broker::start_with(&["--max-message-size", "16777216"]);
    let connection = broker.connect();
    let (channel, other) = (connection.channel(), connection.channel());
    let queue = other.exclusive_queue();
    let limit = 16 * 1024 * 1024;
    let publish = basic::Publish { routing_key: queue.as_str().into(), ..Default::default() };
    channel.publish_method(publish.clone(), BasicProperties::default(), &vec![b'x'; limit]);
    assert_eq!(channel.get(&queue).unwrap().body.len(), limit);
    channel.publish_method(publish, BasicProperties::default(), &vec![b'x'; limit + 1]);
    assert_eq!(
        channel.closed(),
        channel_closed(
            406,
            "PRECONDITION_FAILED - message size 16777217 is larger than configured max size 16777216"
        )
    );
    assert_eq!(other.get(&queue), None);
}

/// Check 42.
#[test]
fn immediate_is_not_implemented() {
    let broker = Broker::start();
    let connection = broker.connect();
    let channel = connection.channel();
    // RabbitMQ answers when the content is complete.
    let publish = basic::Publish { immediate: true, ..Default::default() };
    channel.publish_method(publish, BasicProperties::default(), b"m");
    assert_eq!(connection.closed(), connection_closed(540, "NOT_IMPLEMENTED - immediate=true"));
}

/// Check 42.
#[test]
fn a_user_id_must_be_the_login_name() {
    let broker = Broker::start();
    let channel = broker.channel();
    let queue = channel.exclusive_queue();
    channel.publish_with(
        "",
        &queue,
        BasicProperties::default().with_user_id("guest".into()),
        "mine",
    );
    assert_eq!(channel.get(&queue).unwrap().body, "mine");
    channel.publish_with(
        "",
        &queue,
        BasicProperties::default().with_user_id("other".into()),
        "forged",
    );
    assert_eq!(
        channel.closed(),
        channel_closed(
            406,
            "PRECONDITION_FAILED - user_id property set to 'other' but authenticated user was 'guest'"
        )
    );
}

/// Check 42.
#[test]
fn an_expiration_must_be_a_number_of_milliseconds() {
    let broker = Broker::start();
    let table = [
        ("abc", "no_integer"),
        ("", "no_integer"),
        ("-1", "{value_negative,-1}"),
        ("10x", "{leftover_string,\"x\"}"),
        ("315360000001", "{value_too_large,315360000001}"),
    ];
    for (expiration, why) in table {
        let channel = broker.channel();
        let properties = BasicProperties::default().with_expiration(expiration.into());
        channel.publish_with("", "nowhere", properties, "m");
        let expected = format!("PRECONDITION_FAILED - invalid expiration '{expiration}': {why}");
        assert_eq!(channel.closed(), channel_closed(406, expected));
    }
}

fn keys(names: &[&str]) -> AMQPValue {
    AMQPValue::FieldArray(FieldArray::from(names.iter().map(|name| text(name)).collect::<Vec<_>>()))
}

fn has_header(channel: &Channel, queue: &str, header: &str) -> bool {
    let message = channel.get(queue).unwrap_or_else(|| panic!("{queue} is empty"));
    assert_eq!(channel.get(queue), None, "one copy");
    message.properties.headers().as_ref().is_some_and(|headers| headers.contains_key(header))
}

/// Check 43.
#[test]
fn cc_and_bcc_add_routing_keys_and_bcc_is_not_delivered() {
    let broker = Broker::start();
    let channel = broker.channel();
    let queues: Vec<String> = (0..4).map(|_| channel.exclusive_queue()).collect();
    let headers = table([("CC", keys(&[&queues[1], &queues[0]])), ("BCC", keys(&[&queues[2]]))]);
    let properties = BasicProperties::default().with_headers(headers);
    channel.publish_with("", &queues[0], properties, "m");
    for queue in &queues[0..3] {
        channel.counts(queue).unwrap();
    }
    assert!(has_header(&channel, &queues[0], "CC"));
    assert!(has_header(&channel, &queues[1], "CC"));
    assert!(!has_header(&channel, &queues[2], "BCC"));
    assert_eq!(channel.get(&queues[3]), None);
}

/// Check 43.
#[test]
fn a_cc_that_is_no_list_is_refused() {
    let broker = Broker::start();
    for (header, value, kind) in
        [("CC", text("q"), "longstr"), ("BCC", AMQPValue::LongInt(1), "signedint")]
    {
        let channel = broker.channel();
        let properties = BasicProperties::default().with_headers(table([(header, value)]));
        channel.publish_with("", "nowhere", properties, "m");
        let expected = format!(
            "PRECONDITION_FAILED - invalid message: {{unacceptable_type_in_header,\"{header}\",{kind}}}"
        );
        assert_eq!(channel.closed(), channel_closed(406, expected));
    }
}

/// A channel may be closed between two frames of one content, and the message is then no message.
#[test]
fn a_content_that_never_becomes_whole_is_not_published() {
    let broker = Broker::start();
    let connection = broker.connect();
    let (channel, other) = (connection.channel(), connection.channel());
    let queue = other.exclusive_queue();
    channel.send(basic::Publish { routing_key: queue.as_str().into(), ..Default::default() });
    let header =
        AMQPContentHeader { class_id: 60, body_size: 10, properties: BasicProperties::default() };
    channel.send_bytes(&encode(&AMQPFrame::Header(channel.number(), header)));
    channel.send_bytes(&encode(&AMQPFrame::Body(channel.number(), b"half".to_vec())));
    other.publish("", &queue, "whole");
    assert_eq!(other.get(&queue).unwrap().body, "whole");
    assert_eq!(other.get(&queue), None);
}
