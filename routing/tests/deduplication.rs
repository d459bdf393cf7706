//! The arguments by which an exchange drops messages that it has seen before. Dropping them is the
//! server's work.

use amq_protocol::types::AMQPValue;
use leveret_routing::Deduplication;
use leveret_routing::ExchangeType::Topic;

use crate::support::{longstr, plain, with_arguments};

const ON: (&str, AMQPValue) = ("x-message-deduplication", AMQPValue::Boolean(true));

#[test]
fn it_is_off_unless_it_is_asked_for() {
    let off = ("x-message-deduplication", AMQPValue::Boolean(false));
    let size = ("x-cache-size", longstr("nobody looks"));
    assert_eq!(plain("x", Topic).deduplication(), None);
    for arguments in [&[off, size.clone()][..], &[size]] {
        assert_eq!(with_arguments("x", Topic, arguments).unwrap().deduplication(), None);
    }
}

#[test]
fn its_arguments_are_read() {
    let exchange = with_arguments("x", Topic, &[ON]).unwrap();
    let defaults =
        Deduplication { header: "x-deduplication-header".into(), size: None, ttl_ms: None };
    assert_eq!(exchange.deduplication(), Some(&defaults));

    let arguments = [
        ON,
        ("x-cache-size", AMQPValue::LongInt(1_000)),
        ("x-cache-ttl", AMQPValue::LongLongInt(60_000)),
        ("x-deduplication-header", longstr("order-id")),
    ];
    let exchange = with_arguments("x", Topic, &arguments).unwrap();
    let given =
        Deduplication { header: "order-id".into(), size: Some(1_000), ttl_ms: Some(60_000) };
    assert_eq!(exchange.deduplication(), Some(&given));
}

#[test]
fn wrong_ones_are_refused_by_name() {
    for (argument, text) in [
        (
            ("x-message-deduplication", longstr("true")),
            "invalid type 'longstr' for arg 'x-message-deduplication'",
        ),
        (
            ("x-cache-size", AMQPValue::LongInt(0)),
            "Invalid argument, 'x-cache-size' must be an integer greater than 0",
        ),
        (
            ("x-cache-ttl", longstr("60000")),
            "Invalid argument, 'x-cache-ttl' must be an integer greater than 0",
        ),
        (
            ("x-deduplication-header", AMQPValue::LongInt(1)),
            "invalid type 'signedint' for arg 'x-deduplication-header'",
        ),
    ] {
        // Of two with one name the later counts.
        let error = with_arguments("x", Topic, &[ON, argument]).unwrap_err();
        assert_eq!(error.to_string(), text);
    }
}
