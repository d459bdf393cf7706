//! The arguments of a queue: one row each with its name, the values it takes and whether they are acted on yet.
//! Validation, equivalence on redeclare and the docs read the table. Texts are RabbitMQ's.

use amq_protocol::types::{AMQPValue, FieldTable};
use leveret_routing::type_name;

use super::state::Rules;
use crate::limits::EXPIRATION_MAX_MS;
use crate::protocol::{Fault, ReplyCode};
use crate::vhost::refusals::{self, Resource};

/// One argument.
pub(crate) struct Argument {
    /// Its name in `queue.declare`.
    pub(crate) name: &'static str,
    takes: Takes,
    /// What the broker does with it.
    effect: Effect,
}

/// The values that an argument takes.
enum Takes {
    /// A number from `min` to `max`; below and above it RabbitMQ has its own words.
    Integer {
        min: i64,
        max: Option<(i64, &'static str)>,
    },
    Boolean,
    Text,
    /// One of these; otherwise this error.
    OneOf(&'static [&'static str], Unknown),
}

/// How RabbitMQ says that a text is none of those it knows.
enum Unknown {
    Atom(&'static str),
    /// `"unsupported queue type 'x'"`
    QueueType,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Effect {
    Full,
    /// Validated, kept, compared on redeclare; without effect in this version: see [`without_effect`].
    Kept,
    /// Without meaning on one node or in this store, as in RabbitMQ itself: nothing to say.
    None,
    /// Known to another queue type only: RabbitMQ refuses it on a classic queue.
    OtherType,
}

const MILLISECONDS_MAX: Option<(i64, &str)> =
    Some((EXPIRATION_MAX_MS.cast_signed(), "value_too_large"));

/// Every argument that RabbitMQ's classic queues know, and those it knows for other types only.
pub(crate) const ARGUMENTS: &[Argument] = &[
    integer("x-message-ttl", 0, MILLISECONDS_MAX, Effect::Kept),
    integer("x-expires", 1, MILLISECONDS_MAX, Effect::Kept),
    integer("x-max-length", 0, None, Effect::Kept),
    integer("x-max-length-bytes", 0, None, Effect::Kept),
    integer("x-max-priority", 0, Some((255, "max_value_exceeded")), Effect::Kept),
    row(
        "x-overflow",
        Takes::OneOf(
            &["drop-head", "reject-publish", "reject-publish-dlx"],
            Unknown::Atom("invalid_overflow"),
        ),
        Effect::Kept,
    ),
    row("x-dead-letter-exchange", Takes::Text, Effect::Kept),
    row("x-dead-letter-routing-key", Takes::Text, Effect::Kept),
    row("x-single-active-consumer", Takes::Boolean, Effect::Full),
    row("x-queue-type", Takes::OneOf(&["classic"], Unknown::QueueType), Effect::Full),
    row(
        "x-queue-mode",
        Takes::OneOf(&["default", "lazy"], Unknown::Atom("invalid_queue_mode")),
        Effect::None,
    ),
    integer("x-queue-version", 1, Some((2, "unsupported_queue_version")), Effect::None),
    row("x-queue-master-locator", Takes::Text, Effect::None),
    row("x-queue-leader-locator", Takes::Text, Effect::None),
    integer("x-delivery-limit", i64::MIN, None, Effect::OtherType),
    integer("x-consumer-timeout", 0, None, Effect::OtherType),
    integer("x-quorum-initial-group-size", 1, None, Effect::OtherType),
    row("x-dead-letter-strategy", Takes::Text, Effect::OtherType),
    row("x-max-age", Takes::Text, Effect::OtherType),
    integer("x-stream-max-segment-size-bytes", 0, None, Effect::OtherType),
    integer("x-stream-filter-size-bytes", 16, None, Effect::OtherType),
    integer("x-initial-cluster-size", 1, None, Effect::OtherType),
];

const fn row(name: &'static str, takes: Takes, effect: Effect) -> Argument {
    Argument { name, takes, effect }
}

const fn integer(
    name: &'static str,
    min: i64,
    max: Option<(i64, &'static str)>,
    effect: Effect,
) -> Argument {
    row(name, Takes::Integer { min, max }, effect)
}

/// The rules that a queue's arguments ask for, or RabbitMQ's refusal. Arguments that nobody knows are kept and ignored.
pub(crate) fn rules(
    arguments: &FieldTable,
    auto_delete: bool,
    queue: &str,
    vhost: &str,
) -> Result<Rules, Fault> {
    for argument in ARGUMENTS {
        let Some(value) = arguments.inner().get(argument.name) else {
            continue;
        };
        let resource = Resource::Queue(queue).in_vhost(vhost);
        let name = argument.name;
        if argument.effect == Effect::OtherType {
            let text =
                format!("invalid arg '{name}' for {resource} of queue type rabbit_classic_queue");
            return Err(Fault::new(ReplyCode::PreconditionFailed, text));
        }
        if name == "x-dead-letter-exchange" && !matches!(value, AMQPValue::LongString(_)) {
            let text =
                format!("invalid type '{}' for arg '{name}' in {resource}", type_name(value));
            return Err(Fault::new(ReplyCode::PreconditionFailed, text));
        }
        if let Err(reason) = argument.takes.check(value) {
            let text = format!("invalid arg '{name}' for {resource}: {reason}");
            return Err(Fault::new(ReplyCode::PreconditionFailed, text));
        }
    }
    if arguments.contains_key("x-dead-letter-routing-key")
        && !arguments.contains_key("x-dead-letter-exchange")
    {
        let resource = Resource::Queue(queue).in_vhost(vhost);
        let text = format!(
            "invalid arg 'x-dead-letter-routing-key' for {resource}: routing_key_but_no_dlx_defined"
        );
        return Err(Fault::new(ReplyCode::PreconditionFailed, text));
    }
    let single_active_consumer =
        matches!(arguments.inner().get("x-single-active-consumer"), Some(AMQPValue::Boolean(true)));
    Ok(Rules { auto_delete, single_active_consumer })
}

/// The arguments of a new queue that are kept and do nothing yet: for the log, so that nobody relies on them.
pub(crate) fn without_effect(arguments: &FieldTable) -> impl Iterator<Item = &'static str> {
    let kept = ARGUMENTS.iter().filter(|argument| argument.effect == Effect::Kept);
    kept.map(|argument| argument.name).filter(|name| arguments.contains_key(name))
}

/// Whether a redeclare names the same arguments. Only those in the table are compared, integers by value and not by width.
pub(crate) fn check_equivalent(
    received: &FieldTable,
    current: &FieldTable,
    queue: &str,
    vhost: &str,
) -> Result<(), Fault> {
    let classic = AMQPValue::LongString("classic".into());
    for argument in ARGUMENTS {
        let [new, old] = [received, current].map(|table| {
            let value = table.inner().get(argument.name);
            // An absent type is the default one.
            value.or_else(|| (argument.name == "x-queue-type").then_some(&classic))
        });
        check_same(argument.name, Resource::Queue(queue), vhost, new, old)?;
    }
    Ok(())
}

/// RabbitMQ's `assert_args_equivalence`: the same value, whatever the width of its integer type.
pub(crate) fn check_same(
    name: &str,
    resource: Resource<'_>,
    vhost: &str,
    received: Option<&AMQPValue>,
    current: Option<&AMQPValue>,
) -> Result<(), Fault> {
    let same = match (received, current) {
        (None, None) => true,
        (Some(new), Some(old)) => match (integer_of(new), integer_of(old)) {
            (Some(new), Some(old)) => new == old,
            _ => new == old,
        },
        _ => false,
    };
    if same {
        return Ok(());
    }
    let both = received.is_some() && current.is_some();
    let [received, current] = [received, current].map(|value| match value {
        None => "none".to_owned(),
        Some(value) if both => format!("'{}'", shown(value)),
        Some(value) => format!("the value '{}' of type '{}'", shown(value), type_name(value)),
    });
    Err(refusals::inequivalent(name, resource, vhost, &received, &current))
}

impl Takes {
    fn check(&self, value: &AMQPValue) -> Result<(), String> {
        match self {
            Takes::Integer { min, max } => {
                let number = integer_of(value)
                    .ok_or_else(|| format!("\"expected integer, got {}\"", type_name(value)))?;
                if number == 0 && *min == 1 {
                    return Err("{value_zero,0}".to_owned());
                }
                if number < *min {
                    return Err(format!("{{value_negative,{number}}}"));
                }
                match max {
                    Some((max, reason)) if number > *max => Err(format!("{{{reason},{number}}}")),
                    _ => Ok(()),
                }
            }
            Takes::Boolean => match value {
                AMQPValue::Boolean(_) => Ok(()),
                other => Err(unacceptable(other)),
            },
            Takes::Text => text(value).map(drop),
            Takes::OneOf(known, unknown) => {
                let text = text(value)?;
                if known.contains(&text.as_str()) {
                    return Ok(());
                }
                Err(match unknown {
                    Unknown::Atom(reason) => (*reason).to_owned(),
                    Unknown::QueueType => format!("\"unsupported queue type '{text}'\""),
                })
            }
        }
    }
}

fn text(value: &AMQPValue) -> Result<String, String> {
    match value {
        AMQPValue::LongString(text) => Ok(String::from_utf8_lossy(text.as_bytes()).into_owned()),
        other => Err(unacceptable(other)),
    }
}

fn unacceptable(value: &AMQPValue) -> String {
    format!("{{unacceptable_type,{}}}", type_name(value))
}

/// The value of any of AMQP's integer types.
pub(crate) fn integer_of(value: &AMQPValue) -> Option<i64> {
    match value {
        AMQPValue::ShortShortInt(v) => Some((*v).into()),
        AMQPValue::ShortShortUInt(v) => Some((*v).into()),
        AMQPValue::ShortInt(v) => Some((*v).into()),
        AMQPValue::ShortUInt(v) => Some((*v).into()),
        AMQPValue::LongInt(v) => Some((*v).into()),
        AMQPValue::LongUInt(v) => Some((*v).into()),
        AMQPValue::LongLongInt(v) => Some(*v),
        _ => None,
    }
}

fn shown(value: &AMQPValue) -> String {
    match value {
        AMQPValue::LongString(text) => String::from_utf8_lossy(text.as_bytes()).into_owned(),
        AMQPValue::Boolean(value) => value.to_string(),
        other => match integer_of(other) {
            Some(number) => number.to_string(),
            None => format!("{other:?}"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(name: &str, value: AMQPValue) -> FieldTable {
        let mut table = FieldTable::default();
        table.insert(name.into(), value);
        table
    }

    #[test]
    fn bad_values_are_refused_in_rabbitmqs_words() {
        let long = |text: &str| AMQPValue::LongString(text.into());
        let prefix = |name: &str| format!("invalid arg '{name}' for queue 'q' in vhost '/'");
        let cases = [
            ("x-message-ttl", AMQPValue::LongInt(-1), ": {value_negative,-1}"),
            ("x-message-ttl", long("5"), ": \"expected integer, got longstr\""),
            ("x-expires", AMQPValue::LongInt(0), ": {value_zero,0}"),
            (
                "x-expires",
                AMQPValue::LongLongInt(315_360_000_001),
                ": {value_too_large,315360000001}",
            ),
            ("x-max-length", AMQPValue::LongInt(-1), ": {value_negative,-1}"),
            ("x-max-priority", AMQPValue::LongInt(300), ": {max_value_exceeded,300}"),
            ("x-overflow", long("x"), ": invalid_overflow"),
            ("x-overflow", AMQPValue::LongInt(1), ": {unacceptable_type,signedint}"),
            ("x-single-active-consumer", long("true"), ": {unacceptable_type,longstr}"),
            ("x-queue-type", long("foo"), ": \"unsupported queue type 'foo'\""),
            ("x-dead-letter-routing-key", long("k"), ": routing_key_but_no_dlx_defined"),
            ("x-delivery-limit", AMQPValue::LongInt(1), " of queue type rabbit_classic_queue"),
        ];
        for (name, value, reason) in cases {
            let fault = rules(&table(name, value), false, "q", "/").unwrap_err();
            assert_eq!(fault.explanation, format!("{}{reason}", prefix(name)));
            assert_eq!(fault.code, ReplyCode::PreconditionFailed);
        }
    }

    #[test]
    fn a_redeclare_compares_known_arguments_by_value() {
        let int = |value| table("x-max-length", AMQPValue::LongInt(value));
        let long = |value| table("x-max-length", AMQPValue::LongLongInt(value));
        let none = FieldTable::default();
        let unknown = table("x-anything", AMQPValue::LongInt(1));
        let classic = table("x-queue-type", AMQPValue::LongString("classic".into()));
        for (received, current) in [(&int(1), &long(1)), (&unknown, &none), (&classic, &none)] {
            check_equivalent(received, current, "q", "/").unwrap();
        }
        let text = |received: &FieldTable, current: &FieldTable| {
            let fault = check_equivalent(received, current, "q", "/").unwrap_err();
            fault.explanation.into_owned()
        };
        let start = "inequivalent arg 'x-max-length' for queue 'q' in vhost '/': received";
        assert_eq!(text(&int(1), &int(2)), format!("{start} '1' but current is '2'"));
        assert_eq!(
            text(&int(1), &none),
            format!("{start} the value '1' of type 'signedint' but current is none")
        );
        assert_eq!(
            text(&none, &long(1)),
            format!("{start} none but current is the value '1' of type 'long'")
        );
    }
}
