//! The arguments of a queue: one row each with its name, the values it takes, the queue types that have it and the policy key
//! that says the same. Validation, equivalence on redeclare, the rules of a queue and the docs read the table. Texts are
//! RabbitMQ's.

use amq_protocol::types::{AMQPValue, FieldTable};
use leveret_routing::type_name;

use super::rules::QueueType;
use crate::limits::EXPIRATION_MAX_MS;
use crate::protocol::{Fault, ReplyCode};
use crate::vhost::refusals::{self, Resource};

/// One argument.
pub(crate) struct Argument {
    /// Its name in `queue.declare`.
    pub(crate) name: &'static str,
    takes: Takes,
    on: On,
    /// The policy key that says the same, and who wins.
    pub(crate) policy: Option<(&'static str, Merge)>,
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
    /// One of these; otherwise RabbitMQ says this.
    OneOf(&'static [&'static str], &'static str),
    /// What [`queue_type`] reads.
    QueueType,
    /// What [`super::retry::Schedule`] reads.
    RetryDelays,
    /// The name of a header, or `true` for the usual one.
    GroupHeader,
    /// RabbitMQ does not look.
    Anything,
}

/// The queue types that have an argument.
#[derive(Clone, Copy, Eq, PartialEq)]
enum On {
    Both,
    Classic,
    Quorum,
    /// Types that are not here: RabbitMQ refuses it on the others.
    Elsewhere,
    /// Leveret's own: RabbitMQ takes it as one that nobody knows.
    Ours,
}

/// What counts where an argument and a policy say something.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Merge {
    /// The smaller number.
    Min,
    /// The smaller number; the greater one if either is negative, that is, without limit.
    MinOrUnlimited,
    /// The argument.
    Argument,
    /// The argument on classic queues, the policy on quorum queues.
    ByType,
}

const MILLISECONDS_MAX: Option<(i64, &str)> =
    Some((EXPIRATION_MAX_MS.cast_signed(), "value_too_large"));

/// Every argument that RabbitMQ knows for any type, and Leveret's own.
pub(crate) const ARGUMENTS: &[Argument] = &[
    row("x-queue-type", Takes::QueueType, On::Both),
    integer("x-message-ttl", 0, MILLISECONDS_MAX, On::Both).policy("message-ttl", Merge::Min),
    integer("x-expires", 1, MILLISECONDS_MAX, On::Both).policy("expires", Merge::Min),
    integer("x-max-length", 0, None, On::Both).policy("max-length", Merge::Min),
    integer("x-max-length-bytes", 0, None, On::Both).policy("max-length-bytes", Merge::Min),
    row(
        "x-overflow",
        Takes::OneOf(&["drop-head", "reject-publish", "reject-publish-dlx"], "invalid_overflow"),
        On::Both,
    )
    .policy("overflow", Merge::ByType),
    row("x-dead-letter-exchange", Takes::Text, On::Both)
        .policy("dead-letter-exchange", Merge::Argument),
    row("x-dead-letter-routing-key", Takes::Text, On::Both)
        .policy("dead-letter-routing-key", Merge::Argument),
    integer("x-max-priority", 0, Some((255, "max_value_exceeded")), On::Classic),
    row("x-single-active-consumer", Takes::Boolean, On::Both),
    row("x-queue-mode", Takes::Anything, On::Classic),
    row("x-queue-version", Takes::Anything, On::Classic),
    row("x-queue-master-locator", Takes::Text, On::Classic),
    row(
        "x-queue-leader-locator",
        Takes::OneOf(
            &["client-local", "balanced", "random", "least-leaders"],
            "invalid_queue_locator_arg",
        ),
        On::Both,
    ),
    row("x-delivery-limit", Takes::Anything, On::Quorum)
        .policy("delivery-limit", Merge::MinOrUnlimited),
    integer("x-consumer-timeout", 0, None, On::Quorum).policy("consumer-timeout", Merge::Min),
    row(
        "x-dead-letter-strategy",
        Takes::OneOf(&["at-most-once", "at-least-once"], "invalid_dlx_strategy"),
        On::Quorum,
    )
    .policy("dead-letter-strategy", Merge::Argument),
    integer("x-consumer-disconnected-timeout", 0, None, On::Quorum),
    integer("x-quorum-initial-group-size", 1, None, On::Quorum),
    integer("x-max-in-memory-length", 0, None, On::Quorum),
    integer("x-max-in-memory-bytes", 0, None, On::Quorum),
    row("x-delayed-retry-type", Takes::Anything, On::Quorum),
    row("x-delayed-retry-min", Takes::Anything, On::Quorum),
    row("x-delayed-retry-max", Takes::Anything, On::Quorum),
    row("x-max-age", Takes::Text, On::Elsewhere),
    integer("x-stream-max-segment-size-bytes", 0, None, On::Elsewhere),
    integer("x-stream-filter-size-bytes", 16, None, On::Elsewhere),
    integer("x-initial-cluster-size", 1, None, On::Elsewhere),
    row("x-retry-delays", Takes::RetryDelays, On::Ours).policy("retry-delays", Merge::Argument),
    row("x-message-group-header", Takes::GroupHeader, On::Ours),
    row("x-message-deduplication", Takes::Boolean, On::Ours),
    row("x-deduplication-header", Takes::Text, On::Ours),
    integer("x-cache-size", 1, None, On::Ours),
    integer("x-cache-ttl", 1, MILLISECONDS_MAX, On::Ours),
];

const fn row(name: &'static str, takes: Takes, on: On) -> Argument {
    Argument { name, takes, on, policy: None }
}

const fn integer(
    name: &'static str,
    min: i64,
    max: Option<(i64, &'static str)>,
    on: On,
) -> Argument {
    row(name, Takes::Integer { min, max }, on)
}

impl Argument {
    const fn policy(self, key: &'static str, merge: Merge) -> Argument {
        Argument { policy: Some((key, merge)), ..self }
    }

    /// The row of this name.
    pub(crate) fn named(name: &str) -> Option<&'static Argument> {
        ARGUMENTS.iter().find(|argument| argument.name == name)
    }

    fn is_on(&self, kind: QueueType) -> bool {
        match self.on {
            On::Both | On::Ours => true,
            On::Classic => kind == QueueType::Classic,
            On::Quorum => kind == QueueType::Quorum,
            On::Elsewhere => false,
        }
    }
}

/// The type that the arguments ask for; `default` without one. RabbitMQ takes an empty text and `undefined` as none.
pub(crate) fn queue_type(
    arguments: &FieldTable,
    default: QueueType,
    queue: &str,
    vhost: &str,
) -> Result<QueueType, Fault> {
    let Some(value) = arguments.inner().get("x-queue-type") else {
        return Ok(default);
    };
    let invalid = |reason: &str| {
        let resource = Resource::Queue(queue).in_vhost(vhost);
        let text = format!("invalid arg 'x-queue-type' for {resource}: {reason}");
        Fault::new(ReplyCode::PreconditionFailed, text)
    };
    match text(value).map_err(|reason| invalid(&reason))?.as_str() {
        "" | "undefined" => Ok(default),
        "classic" => Ok(QueueType::Classic),
        "quorum" => Ok(QueueType::Quorum),
        "stream" => Err(no_streams(queue, vhost)),
        other => Err(invalid(&format!("\"unsupported queue type '{other}'\""))),
    }
}

/// A type that RabbitMQ has and this broker has not: to make another instead would be a promise not kept.
pub(crate) fn no_streams(queue: &str, vhost: &str) -> Fault {
    let resource = Resource::Queue(queue).in_vhost(vhost);
    let text = format!(
        "invalid arg 'x-queue-type' for {resource}: streams are not supported by this version: declare a classic or \
         quorum queue"
    );
    Fault::new(ReplyCode::PreconditionFailed, text)
}

/// Refuses as RabbitMQ does what a queue of this type cannot be declared with. Arguments that nobody knows are kept and ignored.
pub(crate) fn check(
    arguments: &FieldTable,
    kind: QueueType,
    queue: &str,
    vhost: &str,
) -> Result<(), Fault> {
    for argument in ARGUMENTS {
        let Some(value) = arguments.inner().get(argument.name) else {
            continue;
        };
        let resource = Resource::Queue(queue).in_vhost(vhost);
        let name = argument.name;
        if !argument.is_on(kind) {
            let kind = kind.as_str();
            let text =
                format!("invalid arg '{name}' for {resource} of queue type rabbit_{kind}_queue");
            return Err(Fault::new(ReplyCode::PreconditionFailed, text));
        }
        if name == "x-dead-letter-exchange" && !matches!(value, AMQPValue::LongString(_)) {
            let text =
                format!("invalid type '{}' for arg '{name}' in {resource}", type_name(value));
            return Err(Fault::new(ReplyCode::PreconditionFailed, text));
        }
        if let Err(reason) = argument.check(value) {
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
    Ok(())
}

/// Whether a redeclare names the same arguments. Only those that the queue's type knows are compared, integers by value and
/// not by width; the type is compared first, and as none what the vhost's default is.
pub(crate) fn check_equivalent(
    received: &FieldTable,
    current: &FieldTable,
    types: [QueueType; 2],
    queue: &str,
    vhost: &str,
) -> Result<(), Fault> {
    let [new, old] = types.map(|kind| AMQPValue::LongString(kind.as_str().into()));
    check_same("x-queue-type", Resource::Queue(queue), vhost, Some(&new), Some(&old))?;
    let [_, kind] = types;
    let known = ARGUMENTS.iter().filter(|argument| argument.is_on(kind));
    for argument in known.filter(|argument| argument.name != "x-queue-type") {
        let [new, old] = [received, current].map(|table| table.inner().get(argument.name));
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

impl Argument {
    fn check(&self, value: &AMQPValue) -> Result<(), String> {
        match &self.takes {
            Takes::Integer { min, max } => check_integer(value, *min, *max),
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
                Err((*unknown).to_owned())
            }
            Takes::RetryDelays => match super::retry::Schedule::parse(value) {
                Ok(_) => Ok(()),
                Err(error) => Err(error.to_string()),
            },
            Takes::GroupHeader => match value {
                AMQPValue::Boolean(_) | AMQPValue::LongString(_) => Ok(()),
                other => Err(unacceptable(other)),
            },
            Takes::Anything if self.name == "x-queue-version" => check_version(value),
            Takes::QueueType | Takes::Anything => Ok(()),
        }
    }
}

fn check_integer(
    value: &AMQPValue,
    min: i64,
    max: Option<(i64, &'static str)>,
) -> Result<(), String> {
    let number = integer_of(value)
        .ok_or_else(|| format!("\"expected integer, got {}\"", type_name(value)))?;
    if number == 0 && min == 1 {
        return Err("{value_zero,0}".to_owned());
    }
    if number < min {
        return Err(format!("{{value_negative,{number}}}"));
    }
    match max {
        Some((max, reason)) if number > max => Err(format!("{{{reason},{number}}}")),
        _ => Ok(()),
    }
}

/// RabbitMQ 4.3 has but one version of classic queues left.
fn check_version(value: &AMQPValue) -> Result<(), String> {
    match integer_of(value) {
        Some(2) => Ok(()),
        Some(other) => Err(format!("\"unsupported queue version '{other}'\"")),
        None => Err(format!("\"expected integer, got {}\"", type_name(value))),
    }
}

/// The text of a long string, or RabbitMQ's words for what is none.
pub(crate) fn text(value: &AMQPValue) -> Result<String, String> {
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
        AMQPValue::Float(value) => value.to_string(),
        AMQPValue::Double(value) => value.to_string(),
        other => match integer_of(other) {
            Some(number) => number.to_string(),
            None => format!("{other:?}"),
        },
    }
}

#[cfg(test)]
mod documentation;
#[cfg(test)]
mod tests;
