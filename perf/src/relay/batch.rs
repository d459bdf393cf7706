//! Publishes turned into deliveries, as bytes: the frames of the content are copied as they came, and only the method is
//! another. Filled by `session` a read at a time, and handed to each consumer that is to have it.

use crate::content::Content;
use crate::error::Error;
use crate::frames::{self, END, Frame, METHOD};
use crate::link::CONSUMER_TAG;
use crate::plan::MAX_SIZE;

/// Deliveries to one set of consumers, numbered when they are sent.
#[derive(Debug, Default)]
pub(super) struct Batch {
    bytes: Vec<u8>,
    /// Where in `bytes` the delivery tag of each message is.
    tags: Vec<usize>,
    /// The message that is being received.
    content: Content,
    /// Whole messages, and the bytes they take. A part of one more may follow.
    messages: usize,
    whole: usize,
}

impl Batch {
    /// Begins a message: `names` are its exchange and its routing key, as in the publish.
    pub(super) fn begin(&mut self, names: &[u8]) -> Result<(), Error> {
        self.content.begin()?;
        // Class and method, consumer tag, delivery tag, redelivered, names: 531 bytes at most.
        let size = 4 + 1 + CONSUMER_TAG.len() + 8 + 1 + names.len();
        let [.., high, low] = size.to_be_bytes();
        let [.., tag_len] = CONSUMER_TAG.len().to_be_bytes();
        self.bytes.extend_from_slice(&[METHOD, 0, 1, 0, 0, high, low, 0, 60, 0, 60, tag_len]);
        self.bytes.extend_from_slice(CONSUMER_TAG.as_bytes());
        self.tags.push(self.bytes.len());
        // The tag, and not redelivered.
        self.bytes.extend_from_slice(&[0; 9]);
        self.bytes.extend_from_slice(names);
        self.bytes.push(END);
        Ok(())
    }

    /// A content header came.
    pub(super) fn header(&mut self, frame: Frame<'_>) -> Result<(), Error> {
        if frames::body_size(frame.payload).is_some_and(|size| size > MAX_SIZE as u64) {
            return Err(Error::Protocol(format!("a body of more than {MAX_SIZE} bytes")));
        }
        let complete = self.content.header(frame.payload)?;
        self.copy(frame, complete);
        Ok(())
    }

    /// A part of the body came.
    pub(super) fn body(&mut self, frame: Frame<'_>) -> Result<(), Error> {
        let complete = self.content.body(frame.payload)?;
        self.copy(frame, complete);
        Ok(())
    }

    fn copy(&mut self, frame: Frame<'_>, complete: bool) {
        self.bytes.extend_from_slice(frame.bytes);
        if complete {
            self.messages += 1;
            self.whole = self.bytes.len();
        }
    }

    /// How many messages are whole.
    pub(super) fn len(&self) -> usize {
        self.messages
    }

    /// The whole messages with delivery tags from `first` on.
    pub(super) fn numbered(&mut self, first: u64) -> &[u8] {
        for (tag, at) in (first..).zip(self.tags.iter().take(self.messages)) {
            if let Some(place) = self.bytes.get_mut(*at..*at + 8) {
                place.copy_from_slice(&tag.to_be_bytes());
            }
        }
        self.bytes.get(..self.whole).unwrap_or_default()
    }

    /// Forgets the whole messages.
    pub(super) fn clear(&mut self) {
        self.bytes.drain(..self.whole);
        self.tags.drain(..self.messages);
        for tag in &mut self.tags {
            *tag -= self.whole;
        }
        (self.messages, self.whole) = (0, 0);
    }
}

#[cfg(test)]
mod tests {
    use amq_protocol::frame::{AMQPContentHeader, AMQPFrame, parse_frame};
    use amq_protocol::protocol::{AMQPClass, basic};

    use super::*;
    use crate::link::push_frame;

    fn frame_bytes(frame: &AMQPFrame) -> Vec<u8> {
        let mut bytes = Vec::new();
        push_frame(&mut bytes, frame).unwrap();
        bytes
    }

    fn frame(bytes: &[u8]) -> Frame<'_> {
        Frame { kind: bytes[0], payload: &bytes[7..bytes.len() - 1], bytes }
    }

    fn header(body_size: u64) -> Vec<u8> {
        let properties = basic::AMQPProperties::default().with_delivery_mode(2);
        frame_bytes(&AMQPFrame::Header(
            1,
            AMQPContentHeader { class_id: 60, body_size, properties },
        ))
    }

    #[test]
    fn a_delivery_has_the_names_and_the_content_of_its_publish() {
        let (header, body) = (header(3), frame_bytes(&AMQPFrame::Body(1, b"abc".to_vec())));
        let mut batch = Batch::default();
        batch.begin(b"\x04logs\x03a.b").unwrap();
        batch.header(frame(&header)).unwrap();
        assert_eq!(batch.len(), 0);
        batch.body(frame(&body)).unwrap();
        let bytes = batch.numbered(7);
        let (rest, method) = parse_frame(bytes).unwrap();
        let expected = basic::Deliver {
            consumer_tag: CONSUMER_TAG.into(),
            delivery_tag: 7,
            redelivered: false,
            exchange: "logs".into(),
            routing_key: "a.b".into(),
        };
        let expected = AMQPClass::Basic(basic::AMQPMethod::Deliver(expected));
        assert_eq!(method, AMQPFrame::Method(1, expected));
        assert_eq!(rest, [header, body].concat());
    }

    #[test]
    fn the_part_of_a_message_stays_until_it_is_whole() {
        let (header, body) = (header(1), frame_bytes(&AMQPFrame::Body(1, b"x".to_vec())));
        let mut batch = Batch::default();
        let one = |batch: &mut Batch| {
            batch.begin(b"\0\x01q").unwrap();
            batch.header(frame(&header)).unwrap();
        };
        one(&mut batch);
        batch.body(frame(&body)).unwrap();
        let first = batch.numbered(1).to_vec();
        one(&mut batch);
        assert_eq!((batch.len(), batch.numbered(1)), (1, first.as_slice()));
        batch.clear();
        assert_eq!((batch.len(), batch.numbered(2)), (0, [].as_slice()));
        batch.body(frame(&body)).unwrap();
        assert_eq!((batch.len(), batch.numbered(1)), (1, first.as_slice()));
    }

    #[test]
    fn a_body_above_the_limit_is_refused() {
        let mut batch = Batch::default();
        batch.begin(b"\0\0").unwrap();
        assert!(batch.header(frame(&header(MAX_SIZE as u64 + 1))).is_err());
    }
}
