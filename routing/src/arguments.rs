//! The arguments of a binding or an exchange: an AMQP field table that is cheap to clone and can be
//! compared. `binding.rs` compares whole tables, since the arguments are part of a binding's
//! identity; `exchange/headers.rs` groups bindings by them.

use std::cmp::Ordering;
use std::ops::Deref;
use std::sync::{Arc, LazyLock};

use amq_protocol::types::{AMQPValue, FieldTable};

/// A shared, immutable field table.
///
/// Two are equal when every field has the same name, type and value: RabbitMQ compares the
/// arguments of bindings this way, so an unbind has to name the types that the bind named. Unlike
/// `FieldTable`'s own equality a NaN equals itself, or such a binding could never be removed.
#[derive(Clone, Debug)]
pub struct Arguments(Arc<FieldTable>);

/// Most bindings and exchanges have none, and share this.
static NONE: LazyLock<Arc<FieldTable>> = LazyLock::new(Arc::default);

impl Arguments {
    /// The value of the argument `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&AMQPValue> {
        self.0.inner().get(name)
    }
}

impl Default for Arguments {
    fn default() -> Self {
        Self(Arc::clone(&NONE))
    }
}

impl From<FieldTable> for Arguments {
    fn from(table: FieldTable) -> Self {
        if table.inner().is_empty() { Self::default() } else { Self(Arc::new(table)) }
    }
}

impl Deref for Arguments {
    type Target = FieldTable;

    fn deref(&self) -> &FieldTable {
        &self.0
    }
}

impl Ord for Arguments {
    fn cmp(&self, other: &Self) -> Ordering {
        if Arc::ptr_eq(&self.0, &other.0) {
            return Ordering::Equal;
        }
        compare_tables(&self.0, &other.0)
    }
}

impl PartialOrd for Arguments {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Arguments {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Arguments {}

/// RabbitMQ's name for the type of a field value, as it appears in reply texts:
/// `invalid type 'long' for arg 'alternate-exchange' ...`.
#[must_use]
pub fn type_name(value: &AMQPValue) -> &'static str {
    match value {
        AMQPValue::Boolean(_) => "bool",
        AMQPValue::ShortShortInt(_) => "byte",
        AMQPValue::ShortShortUInt(_) => "unsignedbyte",
        AMQPValue::ShortInt(_) => "short",
        AMQPValue::ShortUInt(_) => "unsignedshort",
        AMQPValue::LongInt(_) => "signedint",
        AMQPValue::LongUInt(_) => "unsignedint",
        AMQPValue::LongLongInt(_) => "long",
        AMQPValue::Float(_) => "float",
        AMQPValue::Double(_) => "double",
        AMQPValue::DecimalValue(_) => "decimal",
        // RabbitMQ has no short string in tables; a client library that offers one means a string.
        AMQPValue::ShortString(_) | AMQPValue::LongString(_) => "longstr",
        AMQPValue::FieldArray(_) => "array",
        AMQPValue::Timestamp(_) => "timestamp",
        AMQPValue::FieldTable(_) => "table",
        AMQPValue::ByteArray(_) => "binary",
        AMQPValue::Void => "void",
    }
}

fn compare_tables(a: &FieldTable, b: &FieldTable) -> Ordering {
    let (mut a, mut b) = (a.into_iter(), b.into_iter());
    loop {
        match (a.next(), b.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some((a_name, a_value)), Some((b_name, b_value))) => {
                let order = a_name.cmp(b_name).then_with(|| compare_values(a_value, b_value));
                if order.is_ne() {
                    return order;
                }
            }
        }
    }
}

/// A total order over field values: by type, then by value. Which order it is means nothing; that
/// there is one lets bindings live in ordered sets.
pub(crate) fn compare_values(a: &AMQPValue, b: &AMQPValue) -> Ordering {
    use AMQPValue as V;
    match (a, b) {
        (V::Boolean(a), V::Boolean(b)) => a.cmp(b),
        (V::ShortShortInt(a), V::ShortShortInt(b)) => a.cmp(b),
        (V::ShortShortUInt(a), V::ShortShortUInt(b)) => a.cmp(b),
        (V::ShortInt(a), V::ShortInt(b)) => a.cmp(b),
        (V::ShortUInt(a), V::ShortUInt(b)) => a.cmp(b),
        (V::LongInt(a), V::LongInt(b)) => a.cmp(b),
        (V::LongUInt(a), V::LongUInt(b)) => a.cmp(b),
        (V::LongLongInt(a), V::LongLongInt(b)) => a.cmp(b),
        (V::Float(a), V::Float(b)) => a.total_cmp(b),
        (V::Double(a), V::Double(b)) => a.total_cmp(b),
        (V::DecimalValue(a), V::DecimalValue(b)) => (a.scale, a.value).cmp(&(b.scale, b.value)),
        (V::ShortString(a), V::ShortString(b)) => a.cmp(b),
        (V::LongString(a), V::LongString(b)) => a.cmp(b),
        (V::FieldArray(a), V::FieldArray(b)) => compare_arrays(a.as_slice(), b.as_slice()),
        (V::Timestamp(a), V::Timestamp(b)) => a.cmp(b),
        (V::FieldTable(a), V::FieldTable(b)) => compare_tables(a, b),
        (V::ByteArray(a), V::ByteArray(b)) => a.as_slice().cmp(b.as_slice()),
        // The types differ, or both values are void.
        (a, b) => a.get_type().get_id().cmp(&b.get_type().get_id()),
    }
}

fn compare_arrays(a: &[AMQPValue], b: &[AMQPValue]) -> Ordering {
    a.iter()
        .zip(b)
        .map(|(a, b)| compare_values(a, b))
        .find(|order| order.is_ne())
        .unwrap_or_else(|| a.len().cmp(&b.len()))
}
