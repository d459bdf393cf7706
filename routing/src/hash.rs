//! The hash of the exchanges that choose by it: `exchange/consistent_hash.rs` and
//! `exchange/modulus_hash.rs`. It is fixed here, and not the standard library's, because the same
//! key has to lead to the same queue after a restart, on another machine, and in the next version.
//!
//! It is the 64-bit FNV-1a hash of the bytes, passed through [`mix`], since FNV leaves the upper
//! bits of short keys nearly alike.

use std::fmt;

use amq_protocol::types::AMQPValue;

/// FNV's offset basis and prime for 64 bits.
const OFFSET_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;

/// Ends each of several parts, so that `ab`, `c` and `a`, `bc` differ: no UTF-8 text has it.
const END_OF_PART: u8 = 0xFF;

/// A hash in the making.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hash(u64);

impl Hash {
    pub(crate) fn new() -> Self {
        Self(OFFSET_BASIS)
    }

    /// The hash of `bytes` alone.
    pub(crate) fn of(bytes: &[u8]) -> u64 {
        let mut hash = Self::new();
        hash.write(bytes);
        hash.finish()
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(PRIME);
        }
    }

    /// Writes one of several parts.
    pub(crate) fn write_part(&mut self, bytes: &[u8]) {
        self.write(bytes);
        self.write(&[END_OF_PART]);
    }

    /// Writes the text of a header's value: its type does not count, so that a customer's number
    /// leads to the same queue whether it was sent as an integer of any width or as a string.
    pub(crate) fn write_value(&mut self, value: &AMQPValue) {
        match value {
            AMQPValue::LongString(text) => self.write(text.as_bytes()),
            AMQPValue::ShortString(text) => self.write(text.as_str().as_bytes()),
            AMQPValue::ByteArray(bytes) => self.write(bytes.as_slice()),
            AMQPValue::Void => {}
            AMQPValue::Boolean(value) => self.write_text(value),
            AMQPValue::ShortShortInt(value) => self.write_text(value),
            AMQPValue::ShortShortUInt(value) => self.write_text(value),
            AMQPValue::ShortInt(value) => self.write_text(value),
            AMQPValue::ShortUInt(value) => self.write_text(value),
            AMQPValue::LongInt(value) => self.write_text(value),
            AMQPValue::LongUInt(value) => self.write_text(value),
            AMQPValue::LongLongInt(value) => self.write_text(value),
            AMQPValue::Timestamp(value) => self.write_text(value),
            AMQPValue::Float(value) => self.write_text(&f64::from(*value)),
            AMQPValue::Double(value) => self.write_text(value),
            AMQPValue::DecimalValue(value) => {
                self.write_text(&format_args!("{}e-{}", value.value, value.scale));
            }
            AMQPValue::FieldArray(values) => {
                for value in values.as_slice() {
                    self.write_value(value);
                    self.write(&[END_OF_PART]);
                }
            }
            AMQPValue::FieldTable(fields) => {
                for (name, value) in fields {
                    self.write_part(name.as_str().as_bytes());
                    self.write_value(value);
                    self.write(&[END_OF_PART]);
                }
            }
        }
    }

    pub(crate) fn write_text(&mut self, text: &dyn fmt::Display) {
        let written = fmt::write(self, format_args!("{text}"));
        debug_assert!(written.is_ok(), "a hash takes all that is written to it");
    }

    pub(crate) fn finish(self) -> u64 {
        mix(self.0)
    }
}

impl fmt::Write for Hash {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.write(text.as_bytes());
        Ok(())
    }
}

/// Spreads every bit of `value` over all bits of the result, and is reversible: the finalizer of
/// SplitMix64.
pub(crate) fn mix(mut value: u64) -> u64 {
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The published test vectors of FNV-1a and SplitMix64: a changed hash would send every key to
    /// another queue.
    #[test]
    fn it_is_fnv_1a_finished_by_splitmix() {
        for (text, fnv) in [
            ("", 0xcbf2_9ce4_8422_2325),
            ("a", 0xaf63_dc4c_8601_ec8c),
            ("foobar", 0x8594_4171_f739_67e8),
        ] {
            assert_eq!(Hash::of(text.as_bytes()), mix(fnv), "{text:?}");
        }
        // The first output of SplitMix64 that was seeded with zero.
        assert_eq!(mix(0x9e37_79b9_7f4a_7c15), 0xe220_a839_7b1d_cdaf);
    }
}
