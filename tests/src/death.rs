//! What dead-lettering writes into a message, read as strictly as a client would that counts on the types. Used by the
//! tests of dead letters, delivery limits and retries.

use amq_protocol::types::{AMQPValue, FieldTable};

use crate::client::Message;

/// One entry of `x-death`: what happened to a message in one queue for one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Death {
    /// `rejected`, `expired`, `maxlen` or `delivery_limit`.
    pub reason: String,
    /// The queue it left.
    pub queue: String,
    /// How often it left that queue for that reason.
    pub count: i64,
    /// The exchange it had come from the first time.
    pub exchange: String,
    /// The routing key it had then, followed by its `CC`.
    pub routing_keys: Vec<String>,
    /// When that happened first, in seconds since 1970.
    pub time_secs: u64,
    /// The `expiration` it had, if it had one.
    pub original_expiration: Option<String>,
}

/// The entries of `x-death`, the most recent event first; empty without the header. Panics when a type is not RabbitMQ's.
pub fn deaths(message: &Message) -> Vec<Death> {
    match message.header("x-death") {
        None => Vec::new(),
        Some(AMQPValue::FieldArray(entries)) => entries.as_slice().iter().map(death).collect(),
        Some(other) => panic!("x-death is {other:?}"),
    }
}

/// Reasons and queues of all entries, for a test that is about nothing else.
pub fn reasons(message: &Message) -> Vec<(String, String, i64)> {
    deaths(message).into_iter().map(|death| (death.reason, death.queue, death.count)).collect()
}

/// Reason, queue and exchange of `x-first-death-*` or `x-last-death-*`; `which` is `first` or `last`.
pub fn marks(message: &Message, which: &str) -> Option<(String, String, String)> {
    let mark = |part: &str| message.text_header(&format!("x-{which}-death-{part}"));
    Some((mark("reason")?, mark("queue")?, mark("exchange")?))
}

fn death(entry: &AMQPValue) -> Death {
    let AMQPValue::FieldTable(table) = entry else {
        panic!("an entry of x-death is {entry:?}");
    };
    let known =
        ["count", "exchange", "original-expiration", "queue", "reason", "routing-keys", "time"];
    for name in table.inner().keys() {
        assert!(known.contains(&name.as_str()), "x-death has {name}");
    }
    Death {
        reason: text(table, "reason"),
        queue: text(table, "queue"),
        count: match field(table, "count") {
            AMQPValue::LongLongInt(count) => *count,
            other => panic!("count of x-death is {other:?}"),
        },
        exchange: text(table, "exchange"),
        routing_keys: match field(table, "routing-keys") {
            AMQPValue::FieldArray(keys) => keys.as_slice().iter().map(long_string).collect(),
            other => panic!("routing-keys of x-death is {other:?}"),
        },
        time_secs: match field(table, "time") {
            AMQPValue::Timestamp(secs) => *secs,
            other => panic!("time of x-death is {other:?}"),
        },
        original_expiration: table.inner().get("original-expiration").map(long_string),
    }
}

fn field<'a>(table: &'a FieldTable, name: &str) -> &'a AMQPValue {
    table.inner().get(name).unwrap_or_else(|| panic!("x-death has no {name}: {table:?}"))
}

fn text(table: &FieldTable, name: &str) -> String {
    long_string(field(table, name))
}

fn long_string(value: &AMQPValue) -> String {
    match value {
        AMQPValue::LongString(text) => text.to_string(),
        other => panic!("expected a long string in x-death, got {other:?}"),
    }
}
