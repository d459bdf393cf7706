//! What RabbitMQ 4.3 answers to each argument, text by text.

use amq_protocol::types::{ByteArray, DecimalValue, FieldArray};

use super::*;
use QueueType::{Classic, Quorum};

const ANY_TYPE: [QueueType; 2] = [Classic, Quorum];

fn table(name: &str, value: AMQPValue) -> FieldTable {
    let mut table = FieldTable::default();
    table.insert(name.into(), value);
    table
}

fn long_string(text: &str) -> AMQPValue {
    AMQPValue::LongString(text.into())
}

/// Every integer type with this value.
fn integers(value: i8) -> [AMQPValue; 7] {
    let unsigned = value.unsigned_abs();
    [
        AMQPValue::ShortShortInt(value),
        AMQPValue::ShortShortUInt(unsigned),
        AMQPValue::ShortInt(value.into()),
        AMQPValue::ShortUInt(unsigned.into()),
        AMQPValue::LongInt(value.into()),
        AMQPValue::LongUInt(unsigned.into()),
        AMQPValue::LongLongInt(value.into()),
    ]
}

/// A value of each type that is no integer, and RabbitMQ's name for the type.
fn others() -> [(AMQPValue, &'static str); 10] {
    [
        (long_string("5"), "longstr"),
        (AMQPValue::Double(1.5), "double"),
        (AMQPValue::Float(1.5), "float"),
        (AMQPValue::Boolean(true), "bool"),
        (AMQPValue::Void, "void"),
        (AMQPValue::FieldTable(FieldTable::default()), "table"),
        (AMQPValue::FieldArray(FieldArray::default()), "array"),
        (AMQPValue::DecimalValue(DecimalValue { scale: 1, value: 15 }), "decimal"),
        (AMQPValue::Timestamp(5), "timestamp"),
        (AMQPValue::ByteArray(ByteArray::from(vec![5])), "binary"),
    ]
}

fn refusal(arguments: &FieldTable, kind: QueueType) -> String {
    let fault = check(arguments, kind, "q", "/").expect_err("it is to be refused");
    assert_eq!(fault.code, ReplyCode::PreconditionFailed);
    fault.explanation.into_owned()
}

#[test]
fn numbers_out_of_range_are_refused_in_rabbitmqs_words() {
    for (name, value, kinds, reason) in [
        ("x-message-ttl", -1, &ANY_TYPE[..], "{value_negative,-1}"),
        ("x-message-ttl", 315_360_000_001, &ANY_TYPE, "{value_too_large,315360000001}"),
        ("x-expires", 0, &ANY_TYPE, "{value_zero,0}"),
        ("x-expires", -1, &ANY_TYPE, "{value_negative,-1}"),
        ("x-expires", 315_360_000_001, &ANY_TYPE, "{value_too_large,315360000001}"),
        ("x-max-length", -1, &ANY_TYPE, "{value_negative,-1}"),
        ("x-max-length-bytes", -1, &ANY_TYPE, "{value_negative,-1}"),
        ("x-max-priority", 256, &[Classic], "{max_value_exceeded,256}"),
        ("x-max-priority", -1, &[Classic], "{value_negative,-1}"),
        ("x-queue-version", 1, &[Classic], "\"unsupported queue version '1'\""),
        ("x-queue-version", 3, &[Classic], "\"unsupported queue version '3'\""),
        ("x-consumer-timeout", -1, &[Quorum], "{value_negative,-1}"),
        ("x-quorum-initial-group-size", 0, &[Quorum], "{value_zero,0}"),
        ("x-max-in-memory-length", -1, &[Quorum], "{value_negative,-1}"),
        ("x-max-in-memory-bytes", -1, &[Quorum], "{value_negative,-1}"),
        ("x-cache-size", 0, &ANY_TYPE, "{value_zero,0}"),
        ("x-cache-ttl", 0, &ANY_TYPE, "{value_zero,0}"),
    ] {
        for kind in kinds {
            let text = refusal(&table(name, AMQPValue::LongLongInt(value)), *kind);
            assert_eq!(text, format!("invalid arg '{name}' for queue 'q' in vhost '/': {reason}"));
        }
    }
}

#[test]
fn a_number_is_of_any_integer_type_and_of_no_other() {
    for (name, kind) in [
        ("x-message-ttl", Classic),
        ("x-expires", Classic),
        ("x-max-length", Quorum),
        ("x-max-length-bytes", Quorum),
        ("x-max-priority", Classic),
        ("x-consumer-timeout", Quorum),
        ("x-cache-size", Classic),
        ("x-cache-ttl", Quorum),
    ] {
        for value in integers(5) {
            check(&table(name, value), kind, "q", "/").unwrap();
        }
        for (value, type_name) in others() {
            let text = refusal(&table(name, value), kind);
            let reason = format!("\"expected integer, got {type_name}\"");
            assert_eq!(text, format!("invalid arg '{name}' for queue 'q' in vhost '/': {reason}"));
        }
    }
    for value in integers(2) {
        check(&table("x-queue-version", value), Classic, "q", "/").unwrap();
    }
    let text = refusal(&table("x-queue-version", long_string("2")), Classic);
    assert!(text.ends_with(": \"expected integer, got longstr\""), "{text}");
}

#[test]
fn texts_and_flags_of_another_type_or_with_an_unknown_word_are_refused_in_rabbitmqs_words() {
    let one = || AMQPValue::LongInt(1);
    for (name, value, kinds, reason) in [
        ("x-overflow", long_string("x"), &ANY_TYPE[..], "invalid_overflow"),
        ("x-overflow", one(), &ANY_TYPE, "{unacceptable_type,signedint}"),
        ("x-dead-letter-routing-key", one(), &ANY_TYPE, "{unacceptable_type,signedint}"),
        ("x-single-active-consumer", long_string("true"), &ANY_TYPE, "{unacceptable_type,longstr}"),
        ("x-queue-leader-locator", long_string("x"), &ANY_TYPE, "invalid_queue_locator_arg"),
        ("x-queue-leader-locator", one(), &ANY_TYPE, "{unacceptable_type,signedint}"),
        ("x-queue-master-locator", one(), &[Classic], "{unacceptable_type,signedint}"),
        ("x-dead-letter-strategy", long_string("x"), &[Quorum], "invalid_dlx_strategy"),
        ("x-dead-letter-strategy", one(), &[Quorum], "{unacceptable_type,signedint}"),
        ("x-message-group-header", one(), &ANY_TYPE, "{unacceptable_type,signedint}"),
        ("x-message-deduplication", one(), &ANY_TYPE, "{unacceptable_type,signedint}"),
        ("x-deduplication-header", one(), &ANY_TYPE, "{unacceptable_type,signedint}"),
        ("x-retry-delays", long_string(""), &ANY_TYPE, "has no delay"),
        (
            "x-retry-delays",
            one(),
            &ANY_TYPE,
            "must be a text such as \"1s,10s,1m\" or an array of delays",
        ),
    ] {
        for kind in kinds {
            let text = refusal(&table(name, value.clone()), *kind);
            assert_eq!(text, format!("invalid arg '{name}' for queue 'q' in vhost '/': {reason}"));
        }
    }
}

#[test]
fn a_dead_letter_exchange_that_is_no_text_is_refused_in_words_of_its_own() {
    let values = others().into_iter().filter(|(_, name)| *name != "longstr");
    for (value, type_name) in values.chain([(AMQPValue::LongInt(1), "signedint")]) {
        let text = refusal(&table("x-dead-letter-exchange", value), Classic);
        let arg = "arg 'x-dead-letter-exchange' in queue 'q' in vhost '/'";
        assert_eq!(text, format!("invalid type '{type_name}' for {arg}"));
    }
}

#[test]
fn a_dead_letter_routing_key_needs_an_exchange() {
    let mut arguments = table("x-dead-letter-routing-key", long_string("k"));
    for kind in ANY_TYPE {
        let text = "invalid arg 'x-dead-letter-routing-key' for queue 'q' in vhost '/': \
                    routing_key_but_no_dlx_defined";
        assert_eq!(refusal(&arguments, kind), text);
    }
    arguments.insert("x-dead-letter-exchange".into(), long_string(""));
    for kind in ANY_TYPE {
        check(&arguments, kind, "q", "/").unwrap();
    }
}

#[test]
fn arguments_of_another_queue_type_are_refused_by_its_name() {
    let classic = ["x-max-priority", "x-queue-mode", "x-queue-version", "x-queue-master-locator"];
    let quorum = [
        "x-delivery-limit",
        "x-consumer-timeout",
        "x-dead-letter-strategy",
        "x-consumer-disconnected-timeout",
        "x-quorum-initial-group-size",
        "x-max-in-memory-length",
        "x-max-in-memory-bytes",
        "x-delayed-retry-type",
        "x-delayed-retry-min",
        "x-delayed-retry-max",
    ];
    let elsewhere = [
        "x-max-age",
        "x-stream-max-segment-size-bytes",
        "x-stream-filter-size-bytes",
        "x-initial-cluster-size",
    ];
    for (names, kind) in [
        (&quorum[..], Classic),
        (&classic[..], Quorum),
        (&elsewhere[..], Classic),
        (&elsewhere[..], Quorum),
    ] {
        for name in names {
            let text = refusal(&table(name, AMQPValue::LongInt(2)), kind);
            let type_name = format!("of queue type rabbit_{}_queue", kind.as_str());
            assert_eq!(
                text,
                format!("invalid arg '{name}' for queue 'q' in vhost '/' {type_name}")
            );
        }
    }
}

#[test]
fn what_rabbitmq_takes_is_taken() {
    let delays = long_string("1s,10s");
    for (name, value, kinds) in [
        ("x-message-ttl", AMQPValue::LongInt(0), &ANY_TYPE[..]),
        ("x-message-ttl", AMQPValue::LongLongInt(315_360_000_000), &ANY_TYPE),
        ("x-max-priority", AMQPValue::LongInt(0), &[Classic]),
        ("x-max-priority", AMQPValue::LongInt(255), &[Classic]),
        ("x-overflow", long_string("drop-head"), &ANY_TYPE),
        ("x-overflow", long_string("reject-publish"), &ANY_TYPE),
        ("x-overflow", long_string("reject-publish-dlx"), &ANY_TYPE),
        ("x-queue-mode", AMQPValue::LongInt(5), &[Classic]),
        ("x-queue-leader-locator", long_string("balanced"), &ANY_TYPE),
        ("x-delivery-limit", long_string("x"), &[Quorum]),
        ("x-delivery-limit", AMQPValue::Double(1.5), &[Quorum]),
        ("x-delivery-limit", AMQPValue::LongInt(-1), &[Quorum]),
        ("x-delayed-retry-min", long_string("x"), &[Quorum]),
        ("x-single-active-consumer", AMQPValue::Boolean(false), &ANY_TYPE),
        ("x-message-group-header", AMQPValue::Boolean(true), &ANY_TYPE),
        ("x-message-group-header", long_string("tenant"), &ANY_TYPE),
        ("x-retry-delays", delays, &ANY_TYPE),
        ("x-that-nobody-knows", AMQPValue::Void, &ANY_TYPE),
    ] {
        for kind in kinds {
            assert_eq!(check(&table(name, value.clone()), *kind, "q", "/"), Ok(()), "{name}");
        }
    }
}

#[test]
fn the_type_is_the_one_asked_for_or_the_default() {
    let asked = |value| queue_type(&table("x-queue-type", value), Quorum, "q", "/");
    assert_eq!(queue_type(&FieldTable::default(), Quorum, "q", "/"), Ok(Quorum));
    for (text, expected) in
        [("", Quorum), ("undefined", Quorum), ("classic", Classic), ("quorum", Quorum)]
    {
        assert_eq!(asked(long_string(text)), Ok(expected), "{text}");
    }
    for (value, reason) in [
        (long_string("foo"), "\"unsupported queue type 'foo'\""),
        (long_string("Classic"), "\"unsupported queue type 'Classic'\""),
        (AMQPValue::LongInt(5), "{unacceptable_type,signedint}"),
        (
            long_string("stream"),
            "streams are not supported by this version: declare a classic or quorum queue",
        ),
    ] {
        let fault = asked(value).unwrap_err();
        assert_eq!(fault.code, ReplyCode::PreconditionFailed);
        let text = format!("invalid arg 'x-queue-type' for queue 'q' in vhost '/': {reason}");
        assert_eq!(fault.explanation, text);
    }
}

#[test]
fn a_redeclare_compares_the_arguments_that_its_type_knows_by_value() {
    let none = FieldTable::default();
    let length = |value| table("x-max-length", value);
    for received in integers(5) {
        for current in integers(5) {
            let [received, current] = [received.clone(), current].map(length);
            check_equivalent(&received, &current, [Classic; 2], "q", "/").unwrap();
        }
    }
    let limit = table("x-delivery-limit", AMQPValue::LongInt(5));
    let unknown = table("x-anything", AMQPValue::LongInt(1));
    let named = table("x-queue-type", long_string("classic"));
    for received in [&limit, &unknown, &named] {
        check_equivalent(received, &none, [Classic; 2], "q", "/").unwrap();
        check_equivalent(&none, received, [Classic; 2], "q", "/").unwrap();
    }
    assert!(check_equivalent(&limit, &none, [Quorum; 2], "q", "/").is_err());
}

#[test]
fn a_redeclare_with_other_arguments_is_refused_in_rabbitmqs_words() {
    let is_true = AMQPValue::Boolean(true);
    let is_false = AMQPValue::Boolean(false);
    for (name, received, current, expected) in [
        (
            "x-max-length",
            Some(AMQPValue::LongInt(1)),
            Some(AMQPValue::LongInt(2)),
            "received '1' but current is '2'",
        ),
        (
            "x-max-length",
            Some(AMQPValue::LongInt(1)),
            None,
            "received the value '1' of type 'signedint' but current is none",
        ),
        (
            "x-max-length",
            None,
            Some(AMQPValue::LongLongInt(1)),
            "received none but current is the value '1' of type 'long'",
        ),
        (
            "x-max-length",
            None,
            Some(AMQPValue::ShortShortUInt(1)),
            "received none but current is the value '1' of type 'unsignedbyte'",
        ),
        (
            "x-max-length",
            Some(long_string("5")),
            Some(AMQPValue::LongInt(5)),
            "received '5' but current is '5'",
        ),
        (
            "x-overflow",
            None,
            Some(long_string("drop-head")),
            "received none but current is the value 'drop-head' of type 'longstr'",
        ),
        (
            "x-single-active-consumer",
            Some(is_false.clone()),
            None,
            "received the value 'false' of type 'bool' but current is none",
        ),
        (
            "x-single-active-consumer",
            Some(is_false),
            Some(is_true),
            "received 'false' but current is 'true'",
        ),
        (
            "x-dead-letter-exchange",
            Some(long_string("")),
            None,
            "received the value '' of type 'longstr' but current is none",
        ),
    ] {
        let [received, current] = [received, current]
            .map(|value| value.map(|value| table(name, value)).unwrap_or_default());
        let fault = check_equivalent(&received, &current, [Classic; 2], "q", "/").unwrap_err();
        assert_eq!(fault.code, ReplyCode::PreconditionFailed);
        let text = format!("inequivalent arg '{name}' for queue 'q' in vhost '/': {expected}");
        assert_eq!(fault.explanation, text);
    }
}

#[test]
fn a_redeclare_names_the_type_first_and_then_the_first_argument_that_differs() {
    let mut received = table("x-max-length-bytes", AMQPValue::LongInt(1));
    received.insert("x-max-length".into(), AMQPValue::LongInt(1));
    let differs = |types| {
        let fault = check_equivalent(&received, &FieldTable::default(), types, "q", "/");
        fault.unwrap_err().explanation.into_owned()
    };
    let text = differs([Classic, Quorum]);
    let expected = "inequivalent arg 'x-queue-type' for queue 'q' in vhost '/': \
                    received 'classic' but current is 'quorum'";
    assert_eq!(text, expected);
    let text = differs([Quorum, Quorum]);
    assert!(text.starts_with("inequivalent arg 'x-max-length' "), "{text}");
}

#[test]
fn every_argument_has_one_row() {
    for (place, argument) in ARGUMENTS.iter().enumerate() {
        let found = ARGUMENTS.iter().position(|other| other.name == argument.name);
        assert_eq!(found, Some(place), "{}", argument.name);
        assert!(Argument::named(argument.name).is_some());
    }
    assert!(Argument::named("x-anything").is_none());
}
