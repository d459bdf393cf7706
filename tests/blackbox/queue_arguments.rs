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

/// Check 31. The arguments whose behaviour is not part of this yet are still checked.
#[test]
fn a_bad_argument_is_refused_by_name() {
    use AMQPValue::{LongInt, LongLongInt};
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
