//! What the tests of queues share: messages with the properties that queues look at, consumers, and a moment.

use std::sync::Arc;

use amq_protocol::frame::WriteContext;
use amq_protocol::protocol::BasicProperties;
use amq_protocol::protocol::basic::gen_properties;
use amq_protocol::types::{AMQPValue, FieldTable};
use leveret_persistence::{Message, Stamp, Ticket};

use super::consumers::{ConsumerId, ConsumerSpec};
use super::dispatch::Moment;
use crate::connection::{ChannelId, Outbox};
use crate::stamp;

/// What the store has finished in tests that do not look at it.
pub(super) const COMMITTED: Ticket = Ticket::nth(1);

pub(super) fn channel(serial: u64) -> ChannelId {
    ChannelId { serial, number: 1 }
}

/// A consumer without a limit that acknowledges.
pub(super) fn spec(id: u64, channel: ChannelId) -> ConsumerSpec {
    ConsumerSpec {
        id: ConsumerId(id),
        tag: "consumer".into(),
        channel,
        channel_number: 1,
        outbox: Outbox::new().0,
        no_ack: false,
        exclusive: false,
        priority: 0,
        prefetch: 0,
        timeout_ms: None,
        channel_limit: Arc::default(),
    }
}

/// A time, everything committed, and memory for everything.
pub(super) fn at(now_ms: u64) -> Moment {
    Moment { now_ms, committed: COMMITTED, memory_limit: usize::MAX }
}

/// Raw properties.
pub(super) fn raw(properties: &BasicProperties) -> Vec<u8> {
    gen_properties(properties)(WriteContext::from(Vec::new())).unwrap().write
}

/// Raw properties with one header.
pub(super) fn with_header(name: &str, value: AMQPValue) -> Vec<u8> {
    let mut headers = FieldTable::default();
    headers.insert(name.into(), value);
    raw(&BasicProperties::default().with_headers(headers))
}

/// A message that arrived at this time, with these properties.
pub(super) fn message(arrived_ms: u64, properties: &BasicProperties, body: &[u8]) -> Message {
    let expires = properties.expiration().is_some();
    let flags = if expires { stamp::EXPIRES } else { 0 };
    Message::new(b"", b"", &raw(properties), body).stamped(Stamp { arrived_ms, flags })
}
