//! What an exchange may ask of a message besides its routing key: its headers and a few properties,
//! when they are decoded, and when a header's value equals the one a binding asks for. Called by
//! `route.rs` and the rules in `exchange/`.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::sync::Arc;

use amq_protocol::types::{AMQPValue, FieldTable};

use crate::arguments::compare_values;

/// The headers and properties of a message that is being routed.
///
/// They arrive encoded, and only some exchanges need them decoded, so each is asked for when it is
/// needed. What has a default is absent unless the implementation says otherwise.
pub trait Headers {
    /// The decoded headers, or `None` when the message has none. Called at most once per route, and
    /// only when a headers exchange is reached, or a consistent hash exchange with `hash-header`.
    fn table(&self) -> Option<Cow<'_, FieldTable>>;

    /// The property `correlation-id`, for a consistent hash exchange. Often a binary UUID.
    fn correlation_id(&self) -> Option<&[u8]> {
        None
    }

    /// The property `message-id`, for a consistent hash exchange.
    fn message_id(&self) -> Option<&[u8]> {
        None
    }

    /// The property `timestamp`, for a consistent hash exchange.
    fn timestamp(&self) -> Option<u64> {
        None
    }

    /// Whether the message has to wait at a delayed exchange, and is not there because its wait is
    /// over. Called when such an exchange is reached; see
    /// [`Route::delaying`](crate::Route::delaying).
    fn delayed(&self) -> bool {
        false
    }
}

/// A message without headers.
impl Headers for () {
    fn table(&self) -> Option<Cow<'_, FieldTable>> {
        None
    }
}

impl Headers for FieldTable {
    fn table(&self) -> Option<Cow<'_, FieldTable>> {
        Some(Cow::Borrowed(self))
    }
}

/// A header's value, comparable as RabbitMQ compares it: the type tag does not count, so an integer
/// equals the same integer of any width, a timestamp is an integer, and a string equals the same
/// bytes in a byte array. An integer never equals a float, and inside arrays and tables the types
/// do count.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum HeaderValue {
    Void,
    Boolean(bool),
    /// Wide enough for every integer type and for timestamps, which are unsigned.
    Integer(i128),
    /// The bits of a double: there is no order among floats that a map could use.
    Float(u64),
    Decimal(u8, u32),
    Bytes(Arc<[u8]>),
    Nested(ExactValue),
}

impl From<&AMQPValue> for HeaderValue {
    fn from(value: &AMQPValue) -> Self {
        match value {
            AMQPValue::Void => Self::Void,
            AMQPValue::Boolean(value) => Self::Boolean(*value),
            AMQPValue::ShortShortInt(value) => Self::Integer((*value).into()),
            AMQPValue::ShortShortUInt(value) => Self::Integer((*value).into()),
            AMQPValue::ShortInt(value) => Self::Integer((*value).into()),
            AMQPValue::ShortUInt(value) => Self::Integer((*value).into()),
            AMQPValue::LongInt(value) => Self::Integer((*value).into()),
            AMQPValue::LongUInt(value) => Self::Integer((*value).into()),
            AMQPValue::LongLongInt(value) => Self::Integer((*value).into()),
            AMQPValue::Timestamp(value) => Self::Integer((*value).into()),
            AMQPValue::Float(value) => Self::Float(f64::from(*value).to_bits()),
            AMQPValue::Double(value) => Self::Float(value.to_bits()),
            AMQPValue::DecimalValue(value) => Self::Decimal(value.scale, value.value),
            AMQPValue::ShortString(value) => Self::Bytes(value.as_str().as_bytes().into()),
            AMQPValue::LongString(value) => Self::Bytes(value.as_bytes().into()),
            AMQPValue::ByteArray(value) => Self::Bytes(value.as_slice().into()),
            AMQPValue::FieldArray(_) | AMQPValue::FieldTable(_) => {
                Self::Nested(ExactValue(value.clone()))
            }
        }
    }
}

/// An array or a table, which equals only itself, types included.
#[derive(Clone, Debug)]
pub(crate) struct ExactValue(AMQPValue);

impl Ord for ExactValue {
    fn cmp(&self, other: &Self) -> Ordering {
        compare_values(&self.0, &other.0)
    }
}

impl PartialOrd for ExactValue {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for ExactValue {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for ExactValue {}
