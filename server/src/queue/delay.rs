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

/// The value of the header.
pub(crate) fn of_properties(properties: &Properties<'_>) -> Option<i64> {
    properties.header_field(X_DELAY.as_bytes())?.view().integer()
}

fn header(properties: &[u8]) -> Option<i64> {
    of_properties(&Properties::parse(properties).ok()?)
}

#[cfg(test)]
mod tests {
    use amq_protocol::types::AMQPValue;

    use super::super::testing::with_header;
    use super::*;

    #[test]
    fn a_message_is_due_after_its_delay_from_its_arrival() {
        let huge = DELAY_MAX_MS.cast_signed() + 1;
        for (value, expected) in [
            (AMQPValue::LongInt(500), 1500),
            (AMQPValue::ShortShortInt(5), 1005),
            (AMQPValue::LongLongInt(huge), 1000 + DELAY_MAX_MS),
            (AMQPValue::LongLongInt(i64::MAX), 1000 + DELAY_MAX_MS),
            (AMQPValue::LongInt(0), 1000),
            (AMQPValue::LongInt(-500), 1000),
            (AMQPValue::LongLongInt(i64::MIN), 1000),
            (AMQPValue::Boolean(true), 1000),
        ] {
            let properties = with_header(X_DELAY, value.clone());
            let stamp = Stamp { arrived_ms: 1000, flags: 0 };
            let message = Message::new(b"", b"", &properties, b"").stamped(stamp);
            assert_eq!(due_ms(&message), expected, "{value:?}");
        }
        let stamp = Stamp { arrived_ms: 1000, flags: 0 };
        assert_eq!(due_of(stamp, &[0, 0]), 1000, "without headers");
        assert_eq!(due_of(stamp, &[]), 1000, "what cannot be read");
    }

    #[test]
    fn only_a_positive_delay_waits() {
        for (value, expected) in
            [(1, Some(1)), (0, None), (-1, None), (i64::MIN, None), (i64::MAX, Some(DELAY_MAX_MS))]
        {
            assert_eq!(delay_ms(value), expected, "{value}");
        }
    }

    #[test]
    fn a_delivered_message_has_its_delay_negated_so_that_it_waits_but_once() {
        for (delay, expected) in [(500, -500), (-500, 500), (i64::MIN, i64::MAX)] {
            let properties = with_header(X_DELAY, AMQPValue::LongLongInt(delay));
            let negated = negated(&properties);
            let header = Properties::parse(&negated).unwrap().header(X_DELAY);
            assert_eq!(header, Some(AMQPValue::LongLongInt(expected)));
        }
        for properties in [vec![0, 0], with_header("other", AMQPValue::LongInt(5))] {
            assert_eq!(negated(&properties), properties);
        }
    }
}
