//! Promise: what a queue is declared with is checked when it is made and compared when it is declared again.

use leveret_tests::broker::Broker;
use leveret_tests::closed::channel_closed;
use leveret_tests::{AMQPValue, queue, table, text};

/// Check 27.
#[test]
fn a_known_argument_must_be_the_same_and_an_unknown_one_may_differ() {
    let broker = Broker::start();
    let owner = broker.connect();
    let name = broker.name("q");
    let declare = |arguments| queue::Declare {
        queue: name.as_str().into(),
        exclusive: true,
        arguments,
        ..Default::default()
    };
    let ttl = |value| ("x-message-ttl", value);
    owner.channel().declare(declare(table([ttl(AMQPValue::LongInt(1000))])));

    for same in [
        table([ttl(AMQPValue::LongLongInt(1000))]),
        table([ttl(AMQPValue::ShortInt(1000))]),
        table([ttl(AMQPValue::LongInt(1000)), ("x-unknown", text("whatever"))]),
        table([ttl(AMQPValue::LongInt(1000)), ("x-queue-type", text("classic"))]),
    ] {
        owner.channel().declare(declare(same));
    }
    let prefix = format!(
        "PRECONDITION_FAILED - inequivalent arg 'x-message-ttl' for queue '{name}' in vhost '/': received "
    );
    for (other, rest) in [
        (table([ttl(AMQPValue::LongInt(2000))]), "'2000' but current is '1000'"),
        (table([]), "none but current is the value '1000' of type 'signedint'"),
    ] {
        assert_eq!(
            owner.channel().call(declare(other)).unwrap_err(),
            channel_closed(406, format!("{prefix}{rest}"))
        );
    }
}

/// Check 27.
#[test]
fn what_differs_is_named_with_its_value_and_type() {
    use AMQPValue::{Boolean, Double, LongInt, LongLongInt, LongUInt, ShortInt, ShortShortInt};
    use AMQPValue::{ShortShortUInt, ShortUInt};
    let none = |value: &str, kind: &str| {
        format!("received the value '{value}' of type '{kind}' but current is none")
    };
    let length = |value| Some(("x-max-length", value));
    let dlx = |name| Some(("x-dead-letter-exchange", text(name)));
    let overflow = |name| Some(("x-overflow", text(name)));
    let single = |value| Some(("x-single-active-consumer", Boolean(value)));
    type Argument = Option<(&'static str, AMQPValue)>;
    let rows: Vec<(Argument, Argument, String)> = vec![
        (None, length(LongLongInt(5)), none("5", "long")),
        (None, length(LongInt(5)), none("5", "signedint")),
        (None, length(LongUInt(5)), none("5", "unsignedint")),
        (None, length(ShortInt(5)), none("5", "short")),
        (None, length(ShortUInt(5)), none("5", "unsignedshort")),
        (None, length(ShortShortInt(5)), none("5", "byte")),
        (None, length(ShortShortUInt(5)), none("5", "unsignedbyte")),
        (None, dlx(""), none("", "longstr")),
        (None, single(false), none("false", "bool")),
        (None, overflow("drop-head"), none("drop-head", "longstr")),
        (dlx("a"), dlx("b"), "received 'b' but current is 'a'".into()),
        (single(true), single(false), "received 'false' but current is 'true'".into()),
        (length(LongInt(5)), length(text("5")), "received '5' but current is '5'".into()),
        (length(LongInt(5)), length(Double(5.5)), "received '5.5' but current is '5'".into()),
        (
            overflow("reject-publish"),
            None,
            "received none but current is the value 'reject-publish' of type 'longstr'".into(),
        ),
        (
            overflow("reject-publish"),
            overflow("drop-head"),
            "received 'drop-head' but current is 'reject-publish'".into(),
        ),
    ];
    let broker = Broker::start();
    let connection = broker.connect();
    for (current, received, rest) in rows {
        let name = broker.name("q");
        let argument = received.clone().or_else(|| current.clone()).unwrap().0;
        let declare = |argument: Argument| queue::Declare {
            queue: name.as_str().into(),
            exclusive: true,
            arguments: argument.map_or_else(|| table([]), |argument| table([argument])),
            ..Default::default()
        };
        connection.channel().declare(declare(current));
        let expected = format!(
            "PRECONDITION_FAILED - inequivalent arg '{argument}' for queue '{name}' in vhost '/': {rest}"
        );
        assert_eq!(
            connection.channel().call(declare(received)).unwrap_err(),
            channel_closed(406, expected)
        );
        connection.channel().delete_queue(&name);
    }
}

/// Check 31. What is not refused has its effect, which is the matter of other modules.
#[test]
fn every_integer_type_and_the_largest_values_are_taken() {
    use AMQPValue::{
        LongInt, LongLongInt, LongUInt, ShortInt, ShortShortInt, ShortShortUInt, ShortUInt,
    };
    let broker = Broker::start();
    let channel = broker.channel();
    for value in [
        LongLongInt(5),
        LongInt(5),
        LongUInt(5),
        ShortInt(5),
        ShortUInt(5),
        ShortShortInt(5),
        ShortShortUInt(5),
    ] {
        channel.exclusive_queue_with(table([("x-max-length", value)]));
    }
    for arguments in [
        table([("x-message-ttl", LongLongInt(315_360_000_000))]),
        table([("x-expires", LongLongInt(315_360_000_000))]),
        table([("x-max-length", LongLongInt(i64::MAX)), ("x-max-length-bytes", LongInt(0))]),
        table([("x-max-priority", LongInt(255))]),
        table([("x-max-priority", LongInt(0))]),
        table([("x-queue-version", LongInt(2))]),
        table([("x-queue-mode", text("lazy"))]),
        table([("x-queue-leader-locator", text("client-local"))]),
        table([("x-queue-type", text("classic"))]),
        table([("x-queue-type", text(""))]),
        table([("x-overflow", text("reject-publish-dlx"))]),
        table([("x-dead-letter-exchange", text("no such exchange"))]),
        table([("x-something-of-mine", AMQPValue::FieldTable(table([])))]),
    ] {
        channel.exclusive_queue_with(arguments);
    }
}

/// Check 31.
#[test]
fn a_bad_argument_is_refused_by_name() {
    use AMQPValue::{Boolean, ByteArray, Double, LongInt, LongLongInt, Timestamp, Void};
    let dlx_missing = "routing_key_but_no_dlx_defined";
    let rows: Vec<(&str, AMQPValue, &str)> = vec![
        ("x-message-ttl", LongInt(-1), "{value_negative,-1}"),
        ("x-message-ttl", text("5"), "\"expected integer, got longstr\""),
        ("x-message-ttl", LongLongInt(315_360_000_001), "{value_too_large,315360000001}"),
        ("x-expires", LongInt(0), "{value_zero,0}"),
        ("x-expires", LongInt(-1), "{value_negative,-1}"),
        ("x-max-length", LongInt(-1), "{value_negative,-1}"),
        ("x-max-length-bytes", LongInt(-1), "{value_negative,-1}"),
        ("x-max-priority", LongInt(256), "{max_value_exceeded,256}"),
        ("x-max-priority", LongInt(-1), "{value_negative,-1}"),
        ("x-overflow", text("x"), "invalid_overflow"),
        ("x-dead-letter-routing-key", text("k"), dlx_missing),
        ("x-queue-type", text("foo"), "\"unsupported queue type 'foo'\""),
        ("x-single-active-consumer", text("yes"), "{unacceptable_type,longstr}"),
        ("x-single-active-consumer", LongInt(1), "{unacceptable_type,signedint}"),
        ("x-expires", text("5"), "\"expected integer, got longstr\""),
        ("x-expires", LongLongInt(315_360_000_001), "{value_too_large,315360000001}"),
        ("x-message-ttl", Boolean(true), "\"expected integer, got bool\""),
        ("x-message-ttl", Double(1.5), "\"expected integer, got double\""),
        ("x-message-ttl", Void, "\"expected integer, got void\""),
        ("x-message-ttl", Timestamp(5), "\"expected integer, got timestamp\""),
        ("x-message-ttl", AMQPValue::FieldTable(table([])), "\"expected integer, got table\""),
        ("x-message-ttl", AMQPValue::FieldArray(vec![].into()), "\"expected integer, got array\""),
        ("x-message-ttl", ByteArray(b"5".to_vec().into()), "\"expected integer, got binary\""),
        ("x-max-length", text("5"), "\"expected integer, got longstr\""),
        ("x-max-priority", text("5"), "\"expected integer, got longstr\""),
        ("x-overflow", LongInt(5), "{unacceptable_type,signedint}"),
        ("x-queue-type", LongInt(5), "{unacceptable_type,signedint}"),
        ("x-queue-type", text("CLASSIC"), "\"unsupported queue type 'CLASSIC'\""),
        ("x-queue-version", LongInt(1), "\"unsupported queue version '1'\""),
        ("x-queue-version", text("2"), "\"expected integer, got longstr\""),
        ("x-queue-leader-locator", text("x"), "invalid_queue_locator_arg"),
    ];
    let broker = Broker::start();
    for (argument, value, why) in rows {
        let name = broker.name("q");
        let declare = queue::Declare {
            queue: name.as_str().into(),
            exclusive: true,
            arguments: table([(argument, value)]),
            ..Default::default()
        };
        let expected = format!(
            "PRECONDITION_FAILED - invalid arg '{argument}' for queue '{name}' in vhost '/': {why}"
        );
        assert_eq!(broker.channel().call(declare).unwrap_err(), channel_closed(406, expected));
    }
}

/// Check 31. This one is read before the others, with other words.
#[test]
fn a_dead_letter_exchange_that_is_no_name_is_refused() {
    use AMQPValue::{Boolean, LongInt, Void};
    let broker = Broker::start();
    for (value, kind) in [(LongInt(5), "signedint"), (Boolean(true), "bool"), (Void, "void")] {
        let name = broker.name("q");
        let declare = queue::Declare {
            queue: name.as_str().into(),
            exclusive: true,
            arguments: table([("x-dead-letter-exchange", value)]),
            ..Default::default()
        };
        let expected = format!(
            "PRECONDITION_FAILED - invalid type '{kind}' for arg 'x-dead-letter-exchange' in queue '{name}' in vhost '/'"
        );
        assert_eq!(broker.channel().call(declare).unwrap_err(), channel_closed(406, expected));
    }
    let name = broker.name("q");
    let declare = queue::Declare {
        queue: name.as_str().into(),
        exclusive: true,
        arguments: table([
            ("x-dead-letter-exchange", text("")),
            ("x-dead-letter-routing-key", LongInt(5)),
        ]),
        ..Default::default()
    };
    let expected = format!(
        "PRECONDITION_FAILED - invalid arg 'x-dead-letter-routing-key' for queue '{name}' in vhost '/': \
         {{unacceptable_type,signedint}}"
    );
    assert_eq!(broker.channel().call(declare).unwrap_err(), channel_closed(406, expected));
}
