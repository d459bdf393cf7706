//! Reading and writing the elementary types of the AMQP 0-9-1 grammar (specification section 4.2).
//! Called by the decoders and encoders of this folder only.

use bytes::{BufMut, BytesMut};

/// The longest short string, in bytes: its length is one octet.
pub(super) const SHORT_STRING_MAX: usize = 255;

/// A cursor over received bytes. Every method answers `None` when the bytes run out, and then has
/// read nothing.
#[derive(Debug, Clone)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    total: usize,
}

impl<'a> Reader<'a> {
    #[inline]
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, total: bytes.len() }
    }

    /// How many bytes have been read.
    #[inline]
    pub(super) fn position(&self) -> usize {
        self.total - self.rest.len()
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    #[inline]
    pub(super) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_be_bytes)
    }

    #[inline]
    pub(super) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    #[inline]
    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    #[inline]
    pub(super) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    #[inline]
    pub(super) fn bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(bytes)
    }

    /// The bytes of a short string, which the specification wants to be UTF-8 and which may be
    /// anything.
    #[inline]
    pub(super) fn short_string(&mut self) -> Option<&'a [u8]> {
        let (len, rest) = self.rest.split_first()?;
        let (bytes, rest) = rest.split_at_checked(usize::from(*len))?;
        self.rest = rest;
        Some(bytes)
    }

    /// The bytes of anything that is preceded by its length in four octets: long string, table,
    /// array.
    #[inline]
    pub(super) fn long_string(&mut self) -> Option<&'a [u8]> {
        let (len, rest) = self.rest.split_first_chunk()?;
        let (bytes, rest) = rest.split_at_checked(u32::from_be_bytes(*len) as usize)?;
        self.rest = rest;
        Some(bytes)
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(*array)
    }
}

/// Writes `text` as a short string. What is past 255 bytes is cut off: every caller's text came
/// from a short string or was bounded when it was made, so a longer one is a defect of ours and
/// must not damage the frame.
pub(super) fn put_short_string(out: &mut BytesMut, text: &[u8]) {
    debug_assert!(text.len() <= SHORT_STRING_MAX, "a short string of {} bytes", text.len());
    let text = text.get(..SHORT_STRING_MAX).unwrap_or(text);
    out.put_u8(u8::try_from(text.len()).unwrap_or(u8::MAX));
    out.put_slice(text);
}
