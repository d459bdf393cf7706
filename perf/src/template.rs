//! Publishes encoded ahead: a run of identical `basic.publish` frames in which only the stamp changes
//! from message to message. Used by `publisher`.

use amq_protocol::frame::{AMQPContentHeader, AMQPFrame};
use amq_protocol::protocol::AMQPClass;
use amq_protocol::protocol::basic::{self, AMQPProperties, Publish};

use crate::error::Error;
use crate::link::{CHANNEL, push_frame};
use crate::stamp::{STAMP_LEN, Stamp};

/// One system call's worth. Larger ones gain nothing on a loopback socket.
const BATCH_BYTES: usize = 128 * 1024;
/// Octets around a frame's payload.
const FRAME_OVERHEAD: usize = 8;

/// What every message of a publisher has in common.
#[derive(Clone, Debug)]
pub(crate) struct Message<'a> {
    pub(crate) exchange: &'a str,
    pub(crate) routing_key: &'a str,
    pub(crate) size: usize,
    pub(crate) persistent: bool,
    pub(crate) mandatory: bool,
}

/// Encoded messages, to be stamped and written.
#[derive(Debug)]
pub(crate) struct Template {
    bytes: Vec<u8>,
    /// Bytes from one message to the next.
    stride: usize,
    /// Where in a message its stamp is.
    stamp_at: usize,
}

impl Template {
    /// Encodes as many copies as a system call should carry, at most `limit` and at least one.
    pub(crate) fn new(
        message: &Message<'_>,
        frame_max: usize,
        limit: usize,
    ) -> Result<Self, Error> {
        let publish = Publish {
            exchange: message.exchange.into(),
            routing_key: message.routing_key.into(),
            mandatory: message.mandatory,
            immediate: false,
        };
        // A transient message says nothing about its delivery mode, as most clients send it.
        let properties = match message.persistent {
            true => AMQPProperties::default().with_delivery_mode(2),
            false => AMQPProperties::default(),
        };
        let header = AMQPContentHeader { class_id: 60, body_size: message.size as u64, properties };
        let mut one = Vec::new();
        let method = AMQPClass::Basic(basic::AMQPMethod::Publish(publish));
        push_frame(&mut one, &AMQPFrame::Method(CHANNEL, method))?;
        push_frame(&mut one, &AMQPFrame::Header(CHANNEL, header))?;
        let stamp_at = one.len() + FRAME_OVERHEAD - 1;
        for part in vec![b'x'; message.size].chunks(frame_max - FRAME_OVERHEAD) {
            push_frame(&mut one, &AMQPFrame::Body(CHANNEL, part.to_vec()))?;
        }
        let stride = one.len();
        let copies = (BATCH_BYTES / stride).min(limit).max(1);
        Ok(Self { bytes: one.repeat(copies), stride, stamp_at })
    }

    /// How many messages fit in one batch.
    pub(crate) fn capacity(&self) -> usize {
        self.bytes.len() / self.stride
    }

    /// Stamps the first `count` messages (at most the capacity) with ascending numbers from those of
    /// `stamp` on. Returns how many bytes they take.
    pub(crate) fn stamp(&mut self, count: u64, mut stamp: Stamp) -> usize {
        let end = stamp.seq + count;
        let mut bytes = 0;
        for message in self.bytes.chunks_exact_mut(self.stride) {
            if stamp.seq == end {
                break;
            }
            if let Some(place) = message.get_mut(self.stamp_at..self.stamp_at + STAMP_LEN) {
                place.copy_from_slice(&stamp.encode());
            }
            stamp.seq += 1;
            bytes += self.stride;
        }
        bytes
    }

    /// The encoded bytes of `range`.
    pub(crate) fn bytes(&self, range: std::ops::Range<usize>) -> &[u8] {
        self.bytes.get(range).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use amq_protocol::frame::parse_frame;

    use super::*;

    fn check(size: usize, frame_max: usize, limit: usize) -> Vec<Vec<u8>> {
        let message = Message {
            exchange: "logs",
            routing_key: "a.b",
            size,
            persistent: true,
            mandatory: false,
        };
        let mut template = Template::new(&message, frame_max, limit).unwrap();
        let count = template.capacity();
        let stamp = Stamp { run: 7, publisher: 3, seq: 100, at_us: 55 };
        let end = template.stamp(count as u64, stamp);
        let mut rest = template.bytes(0..end);
        let mut bodies = Vec::new();
        while !rest.is_empty() {
            let (after, frame) = parse_frame(rest).unwrap();
            rest = after;
            match frame {
                AMQPFrame::Method(1, AMQPClass::Basic(basic::AMQPMethod::Publish(publish))) => {
                    assert_eq!(
                        (publish.exchange.as_str(), publish.routing_key.as_str()),
                        ("logs", "a.b")
                    );
                    bodies.push(Vec::new());
                }
                AMQPFrame::Header(1, header) => {
                    assert_eq!(header.body_size, size as u64);
                    assert_eq!(header.properties.delivery_mode(), &Some(2));
                }
                AMQPFrame::Body(1, part) => {
                    assert!(part.len() + 8 <= frame_max);
                    bodies.last_mut().unwrap().extend(part);
                }
                other => panic!("{other:?}"),
            }
        }
        for (index, body) in bodies.iter().enumerate() {
            assert_eq!(body.len(), size);
            let expected = Stamp { seq: 100 + index as u64, ..stamp };
            assert_eq!(Stamp::decode(body), Some(expected));
        }
        assert_eq!(bodies.len(), count);
        bodies
    }

    #[test]
    fn a_batch_is_whole_publishes_with_ascending_numbers() {
        assert!(check(16, 131_072, usize::MAX).len() > 1_000);
        assert_eq!(check(16, 131_072, 5).len(), 5);
        assert_eq!(check(1_024, 131_072, 1).len(), 1);
    }

    #[test]
    fn a_body_above_frame_max_is_split() {
        assert_eq!(check(20_000, 4_096, usize::MAX).len(), 6);
        assert_eq!(check(300_000, 131_072, usize::MAX).len(), 1);
    }
}
