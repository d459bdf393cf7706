//! Fields written one after the other, in the order that is wanted: `amq_protocol`'s tables are
//! sorted by name, and RabbitMQ's `x-death` is not. Called by dead-lettering and `rewrite`.

use super::wire::put_short_string;
use bytes::{BufMut, BytesMut};

/// A growing run of fields: a table without the four octets of its length.
#[derive(Debug, Default)]
pub(super) struct FieldWriter {
    fields: BytesMut,
}

impl FieldWriter {
    /// A signed integer of eight octets: the width in which RabbitMQ writes all of its own.
    pub(super) fn long(&mut self, name: &str, number: i64) {
        self.name(name, b'l');
        self.fields.put_i64(number);
    }

    /// Seconds since 1970.
    pub(super) fn timestamp(&mut self, name: &str, secs: u64) {
        self.name(name, b'T');
        self.fields.put_u64(secs);
    }

    /// A long string.
    pub(super) fn text(&mut self, name: &str, text: &str) {
        self.name(name, b'S');
        put_long_string(&mut self.fields, text.as_bytes());
    }

    /// An array of long strings.
    pub(super) fn texts<'a>(&mut self, name: &str, texts: impl IntoIterator<Item = &'a str>) {
        self.array(name, b'S', texts.into_iter().map(str::as_bytes));
    }

    /// An array of tables.
    pub(super) fn tables<'a>(&mut self, name: &str, tables: impl IntoIterator<Item = &'a Self>) {
        self.array(name, b'F', tables.into_iter().map(Self::as_bytes));
    }

    /// The fields so far.
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.fields
    }

    /// An array whose values have one type, that of a value preceded by its length.
    fn array<'a>(&mut self, name: &str, kind: u8, values: impl Iterator<Item = &'a [u8]>) {
        let mut array = BytesMut::new();
        for value in values {
            array.put_u8(kind);
            put_long_string(&mut array, value);
        }
        self.name(name, b'A');
        put_long_string(&mut self.fields, &array);
    }

    fn name(&mut self, name: &str, kind: u8) {
        put_short_string(&mut self.fields, name.as_bytes());
        self.fields.put_u8(kind);
    }
}

fn put_long_string(out: &mut BytesMut, bytes: &[u8]) {
    let len = u32::try_from(bytes.len()).expect("a part of a frame has less than four gigabytes");
    out.put_u32(len);
    out.put_slice(bytes);
}
