//! The keys of a policy's definition: one row each with its name, the values it takes, the queues that do not know it, what
//! becomes of it when an operator policy has it too, and whether this broker acts on it. Texts are RabbitMQ's.

#[cfg(test)]
mod tests;

use serde_json::{Map, Value};

use super::PolicyKind;
use crate::erlang_term::{erlang_proplist, erlang_term};
use crate::queue::retry::Schedule;
use crate::queue::rules::QueueType;

/// One key.
pub(super) struct Key {
    /// Its name in the definition.
    name: &'static str,
    takes: Takes,
    /// The queues on which a policy that has this key has no effect at all.
    foreign: &'static [QueueType],
    /// How it goes together with the same key of an operator policy; None: operator policies do not take it.
    operator: Option<Merge>,
    acts: Acts,
}

/// The values that a key takes. The texts complete RabbitMQ's `1 is not a valid ...`.
#[derive(Clone, Copy)]
enum Takes {
    /// A whole number from the first to the second.
    Integer(i64, i64, &'static str),
    Text(&'static str),
    OneOf(&'static [&'static str], &'static str),
    /// A number of years, months, days, hours, minutes or seconds.
    Age(&'static str),
    /// What `x-retry-delays` takes.
    RetryDelays,
    /// Nothing: RabbitMQ refuses the key with this text.
    Nothing(&'static str),
}

/// What is in force when a user's policy and an operator's have the same key.
#[derive(Clone, Copy)]
enum Merge {
    Smaller,
    Greater,
    /// The smaller number; the greater one if either is negative, that is, without limit.
    SmallerOfLimits,
    Operator,
}

/// Whether a key does anything here.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Acts {
    Yes,
    /// Taken so that the definitions of a RabbitMQ can be imported. It is about several nodes, about streams or about how a
    /// queue is stored; RabbitMQ ignores it too; or it is met otherwise: dead letters are always moved in one transaction, and
    /// `retry-delays` says when a message comes again.
    No,
}

const CLASSIC: &[QueueType] = &[QueueType::Classic];
const QUORUM: &[QueueType] = &[QueueType::Quorum];
/// The keys of streams.
const BOTH: &[QueueType] = &[QueueType::Classic, QueueType::Quorum];

/// Every key that RabbitMQ 4.3 knows without plugins, in the order of their names, and `retry-delays`.
#[rustfmt::skip] // One row a line: it is read as a table.
const KEYS: &[Key] = &[
    user("alternate-exchange", Takes::Text("alternate exchange name"), Acts::Yes),
    user("consumer-disconnected-timeout", at_least(0, "consumer disconnected timeout"), Acts::No),
    user("consumer-timeout", at_least(0, "consumer timeout"), Acts::Yes),
    user("dead-letter-exchange", Takes::Text("dead letter exchange name"), Acts::Yes),
    user("dead-letter-routing-key", Takes::Text("dead letter routing key"), Acts::Yes),
    user("dead-letter-strategy", Takes::OneOf(&["at-most-once", "at-least-once"], "dead letter strategy"), Acts::No).foreign_to(CLASSIC),
    both("delayed-retry-max", at_least(1, "delayed retry maximum delay. Must be a positive integer"), Merge::Smaller, Acts::No),
    both("delayed-retry-min", at_least(1, "delayed retry minimum delay. Must be a positive integer"), Merge::Greater, Acts::No),
    both("delayed-retry-type", Takes::OneOf(&["all", "failed", "returned", "disabled"], "delayed retry type. Must be one of: all, failed, returned, disabled"), Merge::Operator, Acts::No),
    both("delivery-limit", at_least(i64::MIN, "delivery limit"), Merge::SmallerOfLimits, Acts::Yes).foreign_to(CLASSIC),
    both("expires", at_least(1, "queue expiry"), Merge::Smaller, Acts::Yes),
    user("initial-cluster-size", at_least(0, "cluster size"), Acts::No).foreign_to(BOTH),
    user("max-age", Takes::Age("max age"), Acts::No).foreign_to(BOTH),
    both("max-in-memory-bytes", at_least(0, "maximum memory in bytes"), Merge::Smaller, Acts::No).foreign_to(CLASSIC),
    both("max-in-memory-length", at_least(0, "maximum memory in bytes"), Merge::Smaller, Acts::No).foreign_to(CLASSIC),
    both("max-length", at_least(0, "maximum length"), Merge::Smaller, Acts::Yes),
    both("max-length-bytes", at_least(0, "maximum length in bytes"), Merge::Smaller, Acts::Yes),
    both("message-ttl", at_least(0, "message TTL"), Merge::Smaller, Acts::Yes),
    both("overflow", Takes::OneOf(&["drop-head", "reject-publish", "reject-publish-dlx"], "overflow value"), Merge::Operator, Acts::Yes),
    user("queue-leader-locator", Takes::OneOf(&["client-local", "balanced", "random", "least-leaders"], "queue leader locator value"), Acts::No),
    both("queue-master-locator", Takes::Nothing("use of deprecated queue-master-locator argument is not permitted"), Merge::Operator, Acts::No),
    user("queue-mode", Takes::OneOf(&["default", "lazy"], "queue-mode value"), Acts::No).foreign_to(QUORUM),
    both("queue-version", Takes::Integer(1, 2, "queue-version value"), Merge::Operator, Acts::No),
    user("retry-delays", Takes::RetryDelays, Acts::Yes),
    user("stream-filter-size-bytes", Takes::Integer(16, 255, "filter size. Valid range is 16-255"), Acts::No),
    user("stream-max-segment-size-bytes", Takes::Integer(0, 3_000_000_000, "segment size"), Acts::No).foreign_to(BOTH),
    both("target-group-size", at_least(1, "qq target count value"), Merge::Greater, Acts::No).foreign_to(CLASSIC),
];

const fn user(name: &'static str, takes: Takes, acts: Acts) -> Key {
    Key { name, takes, foreign: &[], operator: None, acts }
}

const fn both(name: &'static str, takes: Takes, merge: Merge, acts: Acts) -> Key {
    Key { name, takes, foreign: &[], operator: Some(merge), acts }
}

const fn at_least(min: i64, what: &'static str) -> Takes {
    Takes::Integer(min, i64::MAX, what)
}

impl Key {
    const fn foreign_to(self, foreign: &'static [QueueType]) -> Key {
        Key { foreign, ..self }
    }

    fn named(name: &str) -> Option<&'static Key> {
        KEYS.iter().find(|key| key.name == name)
    }

    fn is_for(&self, kind: PolicyKind) -> bool {
        match kind {
            PolicyKind::User => true,
            PolicyKind::Operator => self.operator.is_some(),
        }
    }
}

/// Whether a policy may have this definition; otherwise RabbitMQ's reason. Of several it gives the first by name, and unknown
/// keys after what is wrong with known ones.
pub(super) fn check(kind: PolicyKind, definition: &Map<String, Value>) -> Result<(), String> {
    if definition.is_empty() {
        return Err("no policy provided".to_owned());
    }
    let mut unknown = Vec::new();
    for (name, value) in definition {
        match Key::named(name).filter(|key| key.is_for(kind)) {
            Some(key) => key.takes.check(value)?,
            None => unknown.push((name, value)),
        }
    }
    check_delayed_retry(definition)?;
    if unknown.is_empty() {
        return Ok(());
    }
    Err(format!("{} are not recognised policy settings", erlang_proplist(unknown)))
}

impl Takes {
    fn check(self, value: &Value) -> Result<(), String> {
        let (is_valid, what) = match self {
            Takes::Integer(min, max, what) => {
                (value.as_i64().is_some_and(|number| (min..=max).contains(&number)), what)
            }
            Takes::Text(what) => (value.is_string(), what),
            Takes::OneOf(texts, what) => {
                (value.as_str().is_some_and(|text| texts.contains(&text)), what)
            }
            Takes::Age(what) => (value.as_str().is_some_and(is_age), what),
            Takes::RetryDelays => {
                let schedule = Schedule::parse_json(value);
                return schedule.map(drop).map_err(|error| format!("retry-delays: {error}"));
            }
            Takes::Nothing(reason) => return Err(reason.to_owned()),
        };
        if is_valid {
            return Ok(());
        }
        Err(format!("{} is not a valid {what}", erlang_term(value)))
    }
}

fn is_age(text: &str) -> bool {
    let number = text.strip_suffix(['Y', 'M', 'D', 'h', 'm', 's']);
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
}

/// What the three keys of delayed retries ask of each other.
fn check_delayed_retry(definition: &Map<String, Value>) -> Result<(), String> {
    let min = definition.get("delayed-retry-min").and_then(Value::as_i64);
    let max = definition.get("delayed-retry-max").and_then(Value::as_i64);
    match definition.get("delayed-retry-type").and_then(Value::as_str) {
        Some(when) if when != "disabled" && min.is_none() => {
            return Err(format!("delayed-retry-min is required when delayed-retry-type is {when}"));
        }
        _ => {}
    }
    match (min, max) {
        (Some(min), Some(max)) if max < min => Err(format!(
            "delayed-retry-max ({max}) must not be smaller than delayed-retry-min ({min})"
        )),
        _ => Ok(()),
    }
}

/// Whether a queue of this type knows every key. RabbitMQ ignores a policy with one that it does not know as a whole.
pub(super) fn all_fit(definition: &Map<String, Value>, queue: QueueType) -> bool {
    let mut keys = definition.keys().filter_map(|name| Key::named(name));
    keys.all(|key| !key.foreign.contains(&queue))
}

/// The keys that this broker takes and does not act on.
pub(super) fn without_effect(
    definition: &Map<String, Value>,
) -> impl Iterator<Item = &'static str> {
    let keys = definition.keys().filter_map(|name| Key::named(name));
    keys.filter(|key| key.acts == Acts::No).map(|key| key.name)
}

/// A user's definition under an operator's: what both have goes by [`Merge`], the rest stands beside each other.
pub(super) fn merged(
    mut user: Map<String, Value>,
    operator: &Map<String, Value>,
) -> Map<String, Value> {
    for (name, theirs) in operator {
        let merge = Key::named(name).and_then(|key| key.operator).unwrap_or(Merge::Operator);
        let in_force = match user.get(name) {
            Some(ours) if !merge.is_operator_stricter(ours, theirs) => continue,
            _ => theirs.clone(),
        };
        user.insert(name.clone(), in_force);
    }
    user
}

impl Merge {
    /// Whether the operator's value is the one in force.
    fn is_operator_stricter(self, user: &Value, operator: &Value) -> bool {
        let Some((user, operator)) = user.as_i64().zip(operator.as_i64()) else {
            return true;
        };
        match self {
            Merge::SmallerOfLimits if user < 0 || operator < 0 => operator > user,
            Merge::Smaller | Merge::SmallerOfLimits => operator < user,
            Merge::Greater => operator > user,
            Merge::Operator => true,
        }
    }
}
