//! Promise: a broken frame ends its connection with the code of the specification, and nothing else.

use amq_protocol::frame::{AMQPContentHeader, AMQPFrame};
use leveret_tests::broker::Broker;
use leveret_tests::closed::{Scope, connection_closed};
use leveret_tests::login::Login;
use leveret_tests::method::Method;
use leveret_tests::wire::{encode, raw_frame};
use leveret_tests::{BasicProperties, basic, channel, queue};

const METHOD: u8 = 1;
const HEADER: u8 = 2;
const BODY: u8 = 3;
const HEARTBEAT: u8 = 8;

fn publish_frame(channel: u16) -> Vec<u8> {
    encode(&AMQPFrame::Method(channel, basic::Publish::default().into_class()))
}

fn header_frame(channel: u16, class_id: u16, body_size: u64) -> Vec<u8> {
    let properties = BasicProperties::default();
    encode(&AMQPFrame::Header(channel, AMQPContentHeader { class_id, body_size, properties }))
}

/// Check 6. The texts quote Erlang terms in RabbitMQ; only their beginning is compared.
#[test]
fn a_malformed_frame_closes_the_connection() {
    let mut wrong_end = raw_frame(METHOD, 1, &[0, 20, 0, 10, 0]);
    *wrong_end.last_mut().unwrap() = 0;
    let table: [(&str, Vec<u8>, u16, &str); 5] = [
        ("a frame end that is not 0xCE", wrong_end, 501, "FRAME_ERROR"),
        ("an unknown frame type", raw_frame(9, 1, b"abc"), 501, "FRAME_ERROR"),
        ("a frame above frame-max", raw_frame(BODY, 1, &[0; 200_000]), 501, "FRAME_ERROR"),
        ("a heartbeat on a channel", raw_frame(HEARTBEAT, 1, b""), 505, "UNEXPECTED_FRAME"),
        ("a content header on channel 0", header_frame(0, 60, 0), 505, "UNEXPECTED_FRAME"),
    ];
    let broker = Broker::start();
    for (what, bytes, code, name) in table {
        let connection = broker.connect();
        connection.channel().send_bytes(&bytes);
        let closed = connection.closed();
        assert_eq!((closed.scope, closed.code), (Scope::Connection, code), "{what}: {closed:?}");
        assert!(closed.text.starts_with(&format!("{name} - ")), "{what}: {closed:?}");
    }
}

/// Check 6.
#[test]
fn a_content_out_of_step_closes_the_connection() {
    let no_method = "UNEXPECTED_FRAME - expected method frame, got non method frame instead";
    let table: [(&str, Vec<Vec<u8>>, u16, &str); 7] = [
        ("a body without a publish", vec![raw_frame(BODY, 1, b"x")], 505, no_method),
        ("a header without a publish", vec![header_frame(1, 60, 1)], 505, no_method),
        (
            "a method instead of the header",
            vec![publish_frame(1), publish_frame(1)],
            505,
            "UNEXPECTED_FRAME - expected content header for class 60, got non content header frame instead",
        ),
        (
            "a header of another class",
            vec![publish_frame(1), header_frame(1, 10, 1)],
            505,
            "UNEXPECTED_FRAME - expected content header for class 60, got one for class 10 instead",
        ),
        (
            "a method instead of the body",
            vec![publish_frame(1), header_frame(1, 60, 5), publish_frame(1)],
            505,
            "UNEXPECTED_FRAME - expected content body, got non content body frame instead",
        ),
        (
            "more body than was declared",
            vec![publish_frame(1), header_frame(1, 60, 1), raw_frame(BODY, 1, b"xy")],
            501,
            "FRAME_ERROR - content body frame exceeds remaining content size",
        ),
        (
            "a body of more than 512 MiB",
            vec![publish_frame(1), header_frame(1, 60, 536_870_913)],
            501,
            "FRAME_ERROR - content body size 536870913 exceeds maximum allowed size 536870912",
        ),
    ];
    let broker = Broker::start();
    for (what, frames, code, text) in table {
        let connection = broker.connect();
        connection.channel().send_bytes(&frames.concat());
        assert_eq!(connection.closed(), connection_closed(code, text), "{what}");
    }
}

/// Check 9.
#[test]
fn a_method_only_the_broker_may_send_closes_the_connection() {
    let broker = Broker::start();
    let connection = broker.connect();
    connection.channel().send(queue::DeclareOk::default());
    assert_eq!(
        connection.closed(),
        connection_closed(503, "COMMAND_INVALID - unimplemented method")
    );
}

/// Check 9.
#[test]
fn an_unknown_method_closes_its_connection_and_no_other() {
    let broker = Broker::start();
    let other = broker.channel();
    for payload in [[0, 60, 0, 99], [0, 99, 0, 10]] {
        let connection = broker.connect();
        connection.channel().send_bytes(&raw_frame(METHOD, 1, &payload));
        let closed = connection.closed();
        // RabbitMQ's reader crashes and drops the socket, which leaves the client to guess.
        let expected: &[u16] = if broker.is_rabbitmq() { &[0] } else { &[503, 540, 541] };
        assert!(expected.contains(&closed.code), "{closed:?}");
    }
    other.exclusive_queue();
}

/// Check 9.
#[test]
fn a_method_of_a_channel_is_refused_on_channel_0() {
    let broker = Broker::start();
    let connection = broker.connect();
    connection.control().send(channel::Open {});
    let closed = connection.closed();
    assert_eq!((closed.scope, closed.code), (Scope::Connection, 504), "{closed:?}");
}

#[test]
fn method_arguments_that_end_early_or_late_close_the_connection() {
    let broker = Broker::start();
    // channel.open without its argument; queue.declare whose name is longer than the frame.
    for payload in [vec![0, 20, 0, 10], vec![0, 50, 0, 10, 0, 0, 200, b'q']] {
        let connection = broker.connect();
        let open = connection.channel();
        open.send_bytes(&raw_frame(METHOD, 1, &payload));
        let closed = connection.closed();
        // The specification has 502 for this.
        let (code, name) =
            if broker.is_rabbitmq() { (501, "FRAME_ERROR") } else { (502, "SYNTAX_ERROR") };
        assert_eq!((closed.scope, closed.code), (Scope::Connection, code), "{closed:?}");
        assert!(closed.text.starts_with(&format!("{name} - ")), "{closed:?}");
    }
}

/// Check 5.
#[test]
fn a_body_is_split_at_the_frame_max_the_client_chose() {
    let broker = Broker::start();
    let login = Login { frame_max: Some(8192), ..Login::default() };
    let connection = login.open(broker.address()).unwrap();
    let channel = connection.channel();
    let queue = channel.exclusive_queue();
    for length in [8184, 8185, 100_000] {
        let body = "x".repeat(length);
        channel.publish("", &queue, &body);
        assert_eq!(channel.get(&queue).unwrap().body, body);
    }
    assert!(connection.largest_frame() <= 8192, "{}", connection.largest_frame());
}

#[test]
fn an_empty_body_needs_no_body_frame() {
    let broker = Broker::start();
    let channel = broker.channel();
    let queue = channel.exclusive_queue();
    channel.publish("", &queue, "");
    assert_eq!(channel.get(&queue).unwrap().body, "");
}

#[test]
fn a_body_may_come_in_frames_of_any_size() {
    let broker = Broker::start();
    let channel = broker.channel();
    let queue = channel.exclusive_queue();
    let publish = basic::Publish { routing_key: queue.as_str().into(), ..Default::default() };
    channel.send(publish);
    channel.send_bytes(&header_frame(channel.number(), 60, 4));
    for part in ["a", "", "bc", "d"] {
        channel.send_bytes(&raw_frame(BODY, channel.number(), part.as_bytes()));
    }
    assert_eq!(channel.get(&queue).unwrap().body, "abcd");
}

#[test]
fn contents_of_two_channels_may_be_interleaved() {
    let broker = Broker::start();
    let connection = broker.connect();
    let (one, two) = (connection.channel(), connection.channel());
    let queue = one.exclusive_queue();
    for channel in [&one, &two] {
        channel.send(basic::Publish { routing_key: queue.as_str().into(), ..Default::default() });
    }
    for channel in [&two, &one] {
        channel.send_bytes(&header_frame(channel.number(), 60, 1));
    }
    one.send_bytes(&raw_frame(BODY, one.number(), b"1"));
    assert_eq!(one.get(&queue).unwrap().body, "1");
    two.send_bytes(&raw_frame(BODY, two.number(), b"2"));
    assert_eq!(two.get(&queue).unwrap().body, "2");
}

/// Bytes arrive as the network likes.
#[test]
fn a_frame_may_arrive_one_octet_at_a_time() {
    let broker = Broker::start();
    let channel = broker.channel();
    let queue = channel.exclusive_queue();
    let publish = basic::Publish { routing_key: queue.as_str().into(), ..Default::default() };
    let mut bytes = encode(&AMQPFrame::Method(channel.number(), publish.into_class()));
    bytes.extend(header_frame(channel.number(), 60, 3));
    bytes.extend(raw_frame(BODY, channel.number(), b"abc"));
    for octet in bytes {
        channel.send_bytes(&[octet]);
    }
    assert_eq!(channel.get(&queue).unwrap().body, "abc");
}

/// Nothing of the properties can be trusted then.
#[test]
fn a_header_frame_with_unknown_property_flags_closes_the_connection() {
    let broker = Broker::start();
    let connection = broker.connect();
    let channel = connection.channel();
    channel.send(basic::Publish::default());
    // All sixteen flags set, and no values after them.
    let mut payload = vec![0, 60, 0, 0];
    payload.extend(0_u64.to_be_bytes());
    payload.extend([0xFF, 0xFF]);
    channel.send_bytes(&raw_frame(HEADER, channel.number(), &payload));
    let closed = connection.closed();
    assert_eq!(closed.scope, Scope::Connection, "{closed:?}");
}
