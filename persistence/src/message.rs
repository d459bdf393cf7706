//! A message as it is carried and stored: four opaque parts of one shared allocation.
//!
//! The connection makes messages out of slices of its read buffer, queues keep them, backends
//! write the parts and make new messages of what they read back.

use std::fmt;
use std::ops::Range;

use bytes::{Bytes, BytesMut};

use crate::stamp::{PackedStamp, Stamp};

/// The longest exchange name or routing key in bytes (an AMQP short string).
pub const NAME_LEN_MAX: usize = 255;

/// The longest encoded properties in bytes. AMQP bounds them too: they lie in one frame.
pub const PROPERTIES_LEN_MAX: usize = (1 << 24) - 1;

/// A message: exchange, routing key, encoded properties and body, and its [`Stamp`].
///
/// All four are slices of one [`Bytes`]; a clone costs one reference count. The names are UTF-8
/// (checked by whoever made the message), properties and body are never looked at here.
#[derive(Clone)]
pub struct Message {
    raw: Bytes,
    /// Where the parts begin in `raw`.
    exchange: u32,
    routing_key: u32,
    properties: u32,
    body: u32,
    body_len: u32,
    /// Three bytes, so that the message with its stamp is one cache line.
    properties_len: [u8; 3],
    exchange_len: u8,
    routing_key_len: u8,
    stamp: PackedStamp,
}

impl Message {
    /// Copies the parts into one allocation of their own size.
    ///
    /// # Panics
    /// If a part is longer than [`Message::try_new`] takes; use that for parts that were not
    /// checked before.
    #[must_use]
    pub fn new(exchange: &[u8], routing_key: &[u8], properties: &[u8], body: &[u8]) -> Self {
        Self::try_new(exchange, routing_key, properties, body)
            .expect("names are short strings, properties fit a frame, and a body is below 4 GiB")
    }

    /// As [`Message::new`]; `None` if a name is longer than [`NAME_LEN_MAX`], the properties are
    /// longer than [`PROPERTIES_LEN_MAX`], or the body has 4 GiB or more.
    #[must_use]
    pub fn try_new(
        exchange: &[u8],
        routing_key: &[u8],
        properties: &[u8],
        body: &[u8],
    ) -> Option<Self> {
        let size = exchange.len() + routing_key.len() + properties.len() + body.len();
        let mut raw = BytesMut::with_capacity(size);
        let mut append = |part: &[u8]| {
            let start = raw.len();
            raw.extend_from_slice(part);
            start..raw.len()
        };
        let ranges = [append(exchange), append(routing_key), append(properties), append(body)];
        let [exchange, routing_key, properties, body] = ranges;
        Self::from_slices(raw.freeze(), exchange, routing_key, properties, body)
    }

    /// A message of four slices of a read buffer, which it keeps alive.
    ///
    /// `None` if a range is not inside of `raw`, starts past 4 GiB, or is longer than
    /// [`Message::try_new`] takes.
    #[must_use]
    #[inline]
    pub fn from_slices(
        raw: Bytes,
        exchange: Range<usize>,
        routing_key: Range<usize>,
        properties: Range<usize>,
        body: Range<usize>,
    ) -> Option<Self> {
        let places = [&exchange, &routing_key, &properties, &body];
        if places.iter().any(|place| place.start > place.end || place.end > raw.len()) {
            return None;
        }
        let [low, middle, high, 0] = u32::try_from(properties.len()).ok()?.to_le_bytes() else {
            return None;
        };
        Some(Self {
            exchange: u32::try_from(exchange.start).ok()?,
            routing_key: u32::try_from(routing_key.start).ok()?,
            properties: u32::try_from(properties.start).ok()?,
            body: u32::try_from(body.start).ok()?,
            body_len: u32::try_from(body.len()).ok()?,
            properties_len: [low, middle, high],
            exchange_len: u8::try_from(exchange.len()).ok()?,
            routing_key_len: u8::try_from(routing_key.len()).ok()?,
            stamp: PackedStamp::default(),
            raw,
        })
    }

    /// Sets its stamp; a new one has the default stamp.
    #[inline]
    pub fn set_stamp(&mut self, stamp: Stamp) {
        self.stamp = stamp.into();
    }

    /// The same message with another stamp.
    #[must_use]
    #[inline]
    pub fn stamped(mut self, stamp: Stamp) -> Self {
        self.stamp = stamp.into();
        self
    }

    /// When it arrived, and what the broker notes of it.
    #[must_use]
    #[inline]
    pub fn stamp(&self) -> Stamp {
        self.stamp.into()
    }

    /// The flags of its stamp.
    #[inline]
    #[must_use]
    pub fn flags(&self) -> u8 {
        self.stamp.flags
    }

    /// The name of the exchange it was published to; empty for the default exchange.
    #[must_use]
    #[inline]
    pub fn exchange(&self) -> &[u8] {
        self.part(self.exchange, self.exchange_len.into())
    }

    /// The routing key it was published with.
    #[must_use]
    #[inline]
    pub fn routing_key(&self) -> &[u8] {
        self.part(self.routing_key, self.routing_key_len.into())
    }

    /// The properties as the content header carried them.
    #[must_use]
    #[inline]
    pub fn properties(&self) -> &[u8] {
        self.part(self.properties, self.properties_len())
    }

    /// The body.
    #[must_use]
    #[inline]
    pub fn body(&self) -> &[u8] {
        self.part(self.body, self.body_len as usize)
    }

    /// The body as a slice that shares this message's allocation.
    #[must_use]
    pub fn body_bytes(&self) -> Bytes {
        self.raw.slice(self.body as usize..self.body as usize + self.body_len as usize)
    }

    /// Bytes of the four parts together.
    #[must_use]
    #[inline]
    pub fn size(&self) -> usize {
        let names = usize::from(self.exchange_len) + usize::from(self.routing_key_len);
        names + self.properties_len() + self.body_len as usize
    }

    /// Bytes of the buffer that it keeps alive: the read that it came in, or its own.
    #[inline]
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.raw.len()
    }

    /// Whether both are slices of the same buffer.
    #[inline]
    #[must_use]
    pub fn shares_with(&self, other: &Self) -> bool {
        self.raw.as_ptr() == other.raw.as_ptr() && self.raw.len() == other.raw.len()
    }

    /// The same message in an allocation of its own size, so that it does not keep a whole read
    /// buffer alive.
    #[must_use]
    pub fn compact(&self) -> Self {
        if self.raw.len() == self.size() {
            return self.clone();
        }
        let copy = Self::new(self.exchange(), self.routing_key(), self.properties(), self.body());
        Self { stamp: self.stamp, ..copy }
    }

    /// The same message over a copy of its parts, which lie in `raw` from `start` on, one after
    /// the other. `None` if they reach beyond its end.
    pub(crate) fn moved_to(&self, raw: Bytes, start: usize) -> Option<Self> {
        let mut end = start;
        let mut after = |len: usize| {
            let start = end;
            end += len;
            start..end
        };
        let exchange = after(self.exchange_len.into());
        let routing_key = after(self.routing_key_len.into());
        let properties = after(self.properties_len());
        let body = after(self.body_len as usize);
        let moved = Self::from_slices(raw, exchange, routing_key, properties, body)?;
        Some(Self { stamp: self.stamp, ..moved })
    }

    #[inline]
    fn properties_len(&self) -> usize {
        let [low, middle, high] = self.properties_len;
        u32::from_le_bytes([low, middle, high, 0]) as usize
    }

    #[inline]
    fn part(&self, start: u32, len: usize) -> &[u8] {
        let place = start as usize..start as usize + len;
        self.raw.get(place).expect("a part was checked to lie inside when it was made")
    }
}

/// Two messages are equal when their four parts are, whenever they arrived.
impl PartialEq for Message {
    fn eq(&self, other: &Self) -> bool {
        self.body() == other.body()
            && self.properties() == other.properties()
            && self.routing_key() == other.routing_key()
            && self.exchange() == other.exchange()
    }
}

impl Eq for Message {}

/// Names, stamp and lengths only: bodies are private and may be large.
impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("exchange", &String::from_utf8_lossy(self.exchange()))
            .field("routing_key", &String::from_utf8_lossy(self.routing_key()))
            .field("stamp", &self.stamp())
            .field("properties_len", &self.properties_len())
            .field("body_len", &self.body_len)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_cache_line() {
        assert_eq!(size_of::<Message>(), 64);
    }

    #[test]
    fn slices_and_copies_give_the_same_parts() {
        let raw = Bytes::from_static(b"..exkeyPPbodybody..");
        let sliced = Message::from_slices(raw, 2..4, 4..7, 7..9, 9..17).unwrap();
        let copied = Message::new(b"ex", b"key", b"PP", b"bodybody");
        for message in [&sliced, &copied, &sliced.compact()] {
            assert_eq!(message.exchange(), b"ex");
            assert_eq!(message.routing_key(), b"key");
            assert_eq!(message.properties(), b"PP");
            assert_eq!(message.body(), b"bodybody");
            assert_eq!(message.body_bytes(), &b"bodybody"[..]);
            assert_eq!(message.size(), 15);
        }
        assert_eq!(sliced, copied);
    }

    #[test]
    fn a_stamp_stays_with_its_message() {
        let message = Message::new(b"ex", b"key", b"PP", b"body");
        assert_eq!(message.stamp(), Stamp::default());
        let stamp = Stamp { arrived_ms: 1_795_379_430_123, flags: 3 };
        let stamped = message.clone().stamped(stamp);
        assert_eq!(stamped.stamp(), stamp);
        assert_eq!(stamped.compact().stamp(), stamp);
        assert_eq!(stamped, message);
    }

    #[test]
    fn ranges_outside_of_the_buffer_and_long_parts_are_refused() {
        let raw = Bytes::from(vec![b'x'; 600]);
        let make =
            |exchange, key, body| Message::from_slices(raw.clone(), exchange, key, 0..0, body);
        assert!(make(0..255, 0..255, 0..600).is_some());
        assert!(make(0..256, 0..1, 0..1).is_none(), "exchange name too long");
        assert!(make(0..1, 0..256, 0..1).is_none(), "routing key too long");
        assert!(make(0..1, 0..1, 0..601).is_none(), "past the end");
        let backwards = Range { start: 5, end: 4 };
        assert!(make(0..1, 0..1, backwards).is_none(), "a range that ends before it starts");

        let long = vec![0; PROPERTIES_LEN_MAX + 1];
        assert!(Message::try_new(b"", b"", &long, b"").is_none(), "properties too long");
        let longest = Message::try_new(b"", b"", &long[1..], b"body").unwrap();
        assert_eq!(longest.properties().len(), PROPERTIES_LEN_MAX);
        assert_eq!(longest.body(), b"body");
    }
}
