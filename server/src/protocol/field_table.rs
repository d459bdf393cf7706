//! Field tables as bytes (specification section 4.2.5.5, with the value types RabbitMQ reads):
//! checked before anyone decodes them, and searched without decoding them. Called by `method` and
//! `properties`.
//!
//! `amq_protocol` decodes tables by recursion and without a limit: a frame of nested tables would
//! overflow the stack, and one of empty values would grow a hundredfold in memory. So whatever
//! comes from a peer passes [`check`] first.

use super::fault::Fault;
use super::reply_code::ReplyCode;
use super::wire::Reader;
use amq_protocol::types::AMQPValue;
use amq_protocol::types::parsing::parse_value;

/// How deep tables and arrays may nest. RabbitMQ's own deepest header, `x-death`, has three levels.
pub const TABLE_DEPTH_MAX: usize = 32;
/// How many values one table may hold, those of nested tables included. A value may be two octets
/// on the wire and about a hundred once decoded, so this bounds the memory of a decoded table to
/// some megabytes.
pub const TABLE_VALUES_MAX: usize = 65_536;

/// Why bytes are not a field table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MalformedTable {
    /// A length points past the end.
    #[error("field table is cut off")]
    Truncated,
    /// A value type that neither the specification nor RabbitMQ has.
    #[error("field table has a value of unknown type {0}")]
    UnknownType(u8),
    /// A field name that is not text.
    #[error("field table has a name that is not UTF-8")]
    NameNotUtf8,
    /// More than [`TABLE_DEPTH_MAX`] levels.
    #[error("field table is nested more than {TABLE_DEPTH_MAX} levels deep")]
    TooDeep,
    /// More than [`TABLE_VALUES_MAX`] values.
    #[error("field table has more than {TABLE_VALUES_MAX} values")]
    TooManyValues,
}

impl From<MalformedTable> for Fault {
    fn from(error: MalformedTable) -> Self {
        Self::new(ReplyCode::SyntaxError, error.to_string())
    }
}

/// Checks the whole of a table: lengths, value types, names, depth and number of values. `fields`
/// is the table without the four octets of its length. What passes, `amq_protocol` decodes.
///
/// # Errors
/// The first thing that is wrong, in the order of the bytes.
pub fn check(fields: &[u8]) -> Result<(), MalformedTable> {
    let mut values_left = TABLE_VALUES_MAX;
    check_values(fields, Names::Present, TABLE_DEPTH_MAX, &mut values_left)
}

/// One field of a table, undecoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field<'a> {
    /// The name.
    pub name: &'a [u8],
    /// The value with its type octet in front.
    pub value: &'a [u8],
    /// The whole field.
    pub whole: &'a [u8],
}

impl Field<'_> {
    /// The decoded value; `None` when the table it is from has not passed [`check`] and would not.
    #[must_use]
    pub fn decode(&self) -> Option<AMQPValue> {
        let (rest, value) = parse_value(self.value).ok()?;
        rest.is_empty().then_some(value)
    }
}

/// The fields at the top level of a table, in their order. Stops at the first malformed one.
pub fn fields(fields: &[u8]) -> impl Iterator<Item = Field<'_>> {
    let mut reader = Reader::new(fields);
    std::iter::from_fn(move || {
        let start = reader.position();
        let name = reader.short_string()?;
        let value_start = reader.position();
        let value_type = reader.u8()?;
        skip_value(&mut reader, value_type).ok()?;
        let end = reader.position();
        Some(Field { name, value: fields.get(value_start..end)?, whole: fields.get(start..end)? })
    })
}

/// The values of an array, in their order, each with its type octet in front. Stops at the first
/// malformed one.
pub(super) fn typed_values(array: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut reader = Reader::new(array);
    std::iter::from_fn(move || {
        let start = reader.position();
        let value_type = reader.u8()?;
        skip_value(&mut reader, value_type).ok()?;
        array.get(start..reader.position())
    })
}

/// Whether values have names: the difference between a table and an array.
#[derive(Clone, Copy)]
enum Names {
    Present,
    Absent,
}

fn check_values(
    bytes: &[u8],
    names: Names,
    depth_left: usize,
    values_left: &mut usize,
) -> Result<(), MalformedTable> {
    let depth_left = depth_left.checked_sub(1).ok_or(MalformedTable::TooDeep)?;
    let mut reader = Reader::new(bytes);
    while !reader.is_empty() {
        *values_left = values_left.checked_sub(1).ok_or(MalformedTable::TooManyValues)?;
        if let Names::Present = names {
            let name = reader.short_string().ok_or(MalformedTable::Truncated)?;
            std::str::from_utf8(name).map_err(|_| MalformedTable::NameNotUtf8)?;
        }
        let value_type = reader.u8().ok_or(MalformedTable::Truncated)?;
        match skip_value(&mut reader, value_type)? {
            Skipped::Plain => {}
            Skipped::Table(inner) => check_values(inner, Names::Present, depth_left, values_left)?,
            Skipped::Array(inner) => check_values(inner, Names::Absent, depth_left, values_left)?,
        }
    }
    Ok(())
}

/// What was passed over: nothing with values of its own, or the inside of a table or an array.
enum Skipped<'a> {
    Plain,
    Table(&'a [u8]),
    Array(&'a [u8]),
}

fn skip_value<'a>(reader: &mut Reader<'a>, value_type: u8) -> Result<Skipped<'a>, MalformedTable> {
    let len = match value_type {
        b'V' => 0,
        b't' | b'b' | b'B' => 1,
        b's' | b'U' | b'u' => 2,
        b'I' | b'i' | b'f' => 4,
        b'D' => 5,
        b'l' | b'L' | b'd' | b'T' => 8,
        b'S' | b'x' | b'F' | b'A' => {
            let inner = reader.long_string().ok_or(MalformedTable::Truncated)?;
            return Ok(match value_type {
                b'F' => Skipped::Table(inner),
                b'A' => Skipped::Array(inner),
                _ => Skipped::Plain,
            });
        }
        unknown => return Err(MalformedTable::UnknownType(unknown)),
    };
    reader.bytes(len).ok_or(MalformedTable::Truncated)?;
    Ok(Skipped::Plain)
}
