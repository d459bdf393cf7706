//! What the black-box tests stand on: a broker process, a socket, and an AMQP client that hides nothing.
//!
//! The tests know an address and nothing of Leveret's own types, so the same tests run against RabbitMQ, which is
//! how we know that they ask for the right thing. Called by `tests/blackbox`.
//!
//! - [`broker`] starts, kills and restarts the broker under test, or points at a RabbitMQ that runs already
//! - [`wire`] is one socket: frames and bytes as they are, in the order they come
//! - [`client`] is a connection and its channels on top of it; [`method`] pairs each request with its reply
//! - [`http`] is the management API; [`operator`] makes vhosts and users for a test, and takes them away again
//! - [`closed`] is how the broker said no; [`death`] reads what dead-lettering left in a message,
//!   [`dead_letters`] is where messages die
//! - [`wait`] waits for what has no event

pub mod broker;
pub mod client;
pub mod closed;
pub mod dead_letters;
pub mod death;
pub mod http;
pub mod login;
pub mod method;
pub mod operator;
pub mod wait;
pub mod wire;

pub use amq_protocol::protocol::{
    AMQPClass, BasicProperties, access, basic, channel, confirm, connection, exchange, queue, tx,
};
pub use amq_protocol::types::{AMQPValue, FieldArray, FieldTable, LongString, ShortString};
pub use serde_json::{Value, json};

/// A table of arguments or headers from pairs of a name and a value.
pub fn table<const N: usize>(entries: [(&str, AMQPValue); N]) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in entries {
        table.insert(name.into(), value);
    }
    table
}

/// A text value as clients send it: a long string.
pub fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}
