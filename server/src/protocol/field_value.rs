//! Header values read where they are: told apart by their type, without a copy of table or text.
//! Called by publish and queue, which look for several headers in one walk over
//! [`Properties::header_fields`](super::properties::Properties::header_fields), and by
//! dead-lettering.
//!
//! Any bytes may be read; what passed [`check`](super::field_table::check) is read completely.

use super::field_table::{self, Field};
use super::wire::Reader;

/// A value, as far as the broker acts on values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value<'a> {
    /// An integer of any width, signed or not; every one that can be written fits.
    Integer(i64),
    /// `true` or `false`.
    Boolean(bool),
    /// A long string: text if the publisher kept to the specification, which nobody has checked.
    Text(&'a [u8]),
    /// Seconds since 1970.
    Timestamp(u64),
    /// The values of an array, for [`values`].
    Array(&'a [u8]),
    /// The fields of a table, for [`fields`](field_table::fields).
    Table(&'a [u8]),
    /// A float, a decimal, a byte array, nothing at all, or what is malformed.
    Other,
}

impl<'a> Value<'a> {
    /// Reads a value that is preceded by its type octet.
    #[must_use]
    pub fn read(typed: &'a [u8]) -> Self {
        let mut reader = Reader::new(typed);
        reader.u8().and_then(|kind| read_untyped(&mut reader, kind)).unwrap_or(Self::Other)
    }

    /// The integer, whatever its width; `None` for other types.
    #[must_use]
    pub fn integer(self) -> Option<i64> {
        match self {
            Self::Integer(number) => Some(number),
            _ => None,
        }
    }

    /// The integer if it is not negative.
    #[must_use]
    pub fn unsigned(self) -> Option<u64> {
        self.integer().and_then(|number| number.try_into().ok())
    }

    /// The long string if it is UTF-8; `None` for other types.
    #[must_use]
    pub fn text(self) -> Option<&'a str> {
        match self {
            Self::Text(bytes) => std::str::from_utf8(bytes).ok(),
            _ => None,
        }
    }
}

impl<'a> Field<'a> {
    /// The value, without decoding it.
    #[must_use]
    pub fn view(&self) -> Value<'a> {
        Value::read(self.value)
    }
}

/// The values of an array, in their order. Stops at the first malformed one.
pub fn values(array: &[u8]) -> impl Iterator<Item = Value<'_>> {
    field_table::typed_values(array).map(Value::read)
}

/// As `amq_protocol` tells the types apart: `U` and `s` are RabbitMQ's short, `l` and `L` its long.
fn read_untyped<'a>(reader: &mut Reader<'a>, kind: u8) -> Option<Value<'a>> {
    Some(match kind {
        b't' => Value::Boolean(reader.u8()? != 0),
        b'b' => Value::Integer(reader.u8()?.cast_signed().into()),
        b'B' => Value::Integer(reader.u8()?.into()),
        b's' | b'U' => Value::Integer(reader.u16()?.cast_signed().into()),
        b'u' => Value::Integer(reader.u16()?.into()),
        b'I' => Value::Integer(reader.u32()?.cast_signed().into()),
        b'i' => Value::Integer(reader.u32()?.into()),
        b'l' | b'L' => Value::Integer(reader.u64()?.cast_signed()),
        b'T' => Value::Timestamp(reader.u64()?),
        b'S' => Value::Text(reader.long_string()?),
        b'A' => Value::Array(reader.long_string()?),
        b'F' => Value::Table(reader.long_string()?),
        _ => Value::Other,
    })
}
