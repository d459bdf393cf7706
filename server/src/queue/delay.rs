//! When a message of a delayed exchange is due: its header `x-delay`, in milliseconds from its arrival, as the delayed message
//! plugin of RabbitMQ has it.

use leveret_persistence::{Message, Stamp};

use crate::limits::DELAY_MAX_MS;
use crate::protocol::properties::Properties;
use crate::protocol::rewrite::with_header_number;

/// The header with the delay. Delivered messages have it negated, so that no other delayed exchange delays them again.
pub(crate) const X_DELAY: &str = "x-delay";

/// How long a message with this value of the header waits, in milliseconds; none if it does not.
pub(crate) fn delay_ms(value: i64) -> Option<u64> {
    let delay = u64::try_from(value).ok().filter(|delay| *delay > 0)?;
    Some(delay.min(DELAY_MAX_MS))
}

/// When a message is due, in milliseconds since the Unix epoch.
pub(crate) fn due_ms(message: &Message) -> u64 {
    due_of(message.stamp(), message.properties())
}

/// The same from its parts.
pub(crate) fn due_of(stamp: Stamp, properties: &[u8]) -> u64 {
    stamp.arrived_ms.saturating_add(header(properties).and_then(delay_ms).unwrap_or(0))
}

/// The properties of a message whose delay is over.
pub(crate) fn negated(properties: &[u8]) -> Vec<u8> {
    match header(properties) {
        Some(delay) => with_header_number(properties, X_DELAY, delay.saturating_neg()),
        None => properties.to_vec(),
    }
}

fn header(properties: &[u8]) -> Option<i64> {
    let properties = Properties::parse(properties).ok()?;
    let mut fields = properties.header_fields();
    fields.find(|field| field.name == X_DELAY.as_bytes())?.view().integer()
}
