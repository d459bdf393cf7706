//! Putting a message together from its frames: method, content header, body (specification section 4.2.6). Only for
//! messages that did not arrive whole in one read; those never come here.

use bytes::BytesMut;
use leveret_persistence::Message;

use crate::protocol::Fault;
use crate::protocol::content::{self, PublishMethod};

/// A message that is complete, and what its publisher asked for.
#[derive(Debug)]
pub(crate) struct Published {
    pub(crate) message: Message,
    pub(crate) mandatory: bool,
    pub(crate) immediate: bool,
}

/// What a channel has received of a message.
#[derive(Debug, Default)]
pub(crate) enum Assembly {
    /// Nothing: a method is due.
    #[default]
    Idle,
    /// `basic.publish`: its content header is due.
    Method(Start),
    /// The header too: this much of the body is still due.
    Body(Partial),
}

/// The names of a publish, copied out of the read buffer.
#[derive(Debug)]
pub(crate) struct Start {
    raw: BytesMut,
    exchange_len: usize,
    mandatory: bool,
    immediate: bool,
}

/// A message without the end of its body.
#[derive(Debug)]
pub(crate) struct Partial {
    start: Start,
    key_end: usize,
    properties_end: usize,
    remaining: u64,
    /// The whole body, in bytes.
    body_size: u64,
    /// The body is over the limit: it is read and dropped.
    too_large: bool,
}

/// The largest step in which memory is taken for a body that has only been announced.
const RESERVE_BYTES: u64 = 1024 * 1024;

impl Assembly {
    /// Whether a method may come now.
    pub(crate) fn is_idle(&self) -> bool {
        matches!(self, Assembly::Idle)
    }

    /// The fault of a method that comes now, in the middle of a message.
    pub(crate) fn interrupted(&self) -> Fault {
        match self {
            Assembly::Idle | Assembly::Method(_) => content::expected_content_header(),
            Assembly::Body(_) => content::expected_content_body(),
        }
    }

    /// Takes in `basic.publish`, decoded from `payload`.
    pub(crate) fn method(&mut self, payload: &[u8], publish: &PublishMethod) {
        let exchange = payload.get(publish.exchange.clone()).unwrap_or_default();
        let routing_key = payload.get(publish.routing_key.clone()).unwrap_or_default();
        let mut raw = BytesMut::with_capacity(exchange.len() + routing_key.len() + 64);
        raw.extend_from_slice(exchange);
        raw.extend_from_slice(routing_key);
        let PublishMethod { mandatory, immediate, .. } = *publish;
        *self = Assembly::Method(Start { raw, exchange_len: exchange.len(), mandatory, immediate });
    }

    /// Takes in a content header; gives the message if it has no body.
    pub(crate) fn header(&mut self, payload: &[u8], size_max: u64) -> Result<Outcome, Fault> {
        let mut start = match std::mem::take(self) {
            Assembly::Idle => return Err(content::expected_method()),
            Assembly::Method(start) => start,
            Assembly::Body(_) => return Err(content::expected_content_body()),
        };
        let header = content::decode_content_header(payload)?;
        let key_end = start.raw.len();
        start.raw.extend_from_slice(payload.get(header.properties).unwrap_or_default());
        let properties_end = start.raw.len();
        let too_large = header.body_size > size_max;
        if !too_large {
            let ahead = header.body_size.min(RESERVE_BYTES);
            start.raw.reserve(usize::try_from(ahead).unwrap_or_default());
        }
        let (remaining, body_size) = (header.body_size, header.body_size);
        let partial = Partial { start, key_end, properties_end, remaining, body_size, too_large };
        Ok(self.advance(partial))
    }

    /// Takes in a piece of body; gives the message if it was the last.
    pub(crate) fn body(&mut self, payload: &[u8]) -> Result<Outcome, Fault> {
        let mut partial = match std::mem::take(self) {
            Assembly::Idle => return Err(content::expected_method()),
            Assembly::Method(_) => return Err(content::expected_content_header()),
            Assembly::Body(partial) => partial,
        };
        let remaining = partial.remaining.checked_sub(payload.len() as u64);
        partial.remaining = remaining.ok_or_else(content::body_exceeds_content)?;
        if !partial.too_large {
            partial.start.raw.extend_from_slice(payload);
        }
        Ok(self.advance(partial))
    }

    fn advance(&mut self, partial: Partial) -> Outcome {
        if partial.remaining > 0 {
            *self = Assembly::Body(partial);
            return Outcome::Incomplete;
        }
        if partial.too_large {
            return Outcome::TooLarge(partial.body_size);
        }
        let Partial { start, key_end, properties_end, .. } = partial;
        let Start { raw, exchange_len, mandatory, immediate } = start;
        let end = raw.len();
        let message = Message::from_slices(
            raw.freeze(),
            0..exchange_len,
            exchange_len..key_end,
            key_end..properties_end,
            properties_end..end,
        );
        let message = message.expect("the ranges were measured on this buffer");
        Outcome::Complete(Published { message, mandatory, immediate })
    }
}

/// What a frame has made of a message.
#[derive(Debug)]
pub(crate) enum Outcome {
    Incomplete,
    Complete(Published),
    /// The body is over the limit; it had this many bytes.
    TooLarge(u64),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(assembly: &mut Assembly) {
        let payload = b"xkey";
        let publish =
            PublishMethod { exchange: 0..1, routing_key: 1..4, mandatory: true, immediate: false };
        assembly.method(payload, &publish);
    }

    fn header(body_size: u64) -> Vec<u8> {
        [&60_u16.to_be_bytes()[..], &[0, 0], &body_size.to_be_bytes(), &[0, 0]].concat()
    }

    #[test]
    fn a_message_in_pieces_is_put_together() {
        let mut assembly = Assembly::default();
        start(&mut assembly);
        assert!(matches!(assembly.header(&header(5), 100), Ok(Outcome::Incomplete)));
        assert!(matches!(assembly.body(b"he"), Ok(Outcome::Incomplete)));
        let Ok(Outcome::Complete(published)) = assembly.body(b"llo") else { panic!("incomplete") };
        assert_eq!(published.message.exchange(), b"x");
        assert_eq!(published.message.routing_key(), b"key");
        assert_eq!(published.message.properties(), [0, 0]);
        assert_eq!(published.message.body(), b"hello");
        assert!(published.mandatory && assembly.is_idle());
    }

    #[test]
    fn a_body_over_the_limit_is_dropped_and_its_size_told() {
        let mut assembly = Assembly::default();
        start(&mut assembly);
        assert!(matches!(assembly.header(&header(5), 4), Ok(Outcome::Incomplete)));
        assert!(matches!(assembly.body(b"hello"), Ok(Outcome::TooLarge(5))));
    }

    #[test]
    fn frames_out_of_order_are_faults() {
        let mut assembly = Assembly::default();
        assert!(assembly.header(&header(0), 1).is_err());
        assert!(assembly.body(b"x").is_err());
        start(&mut assembly);
        assert!(assembly.body(b"x").is_err());
        start(&mut assembly);
        assert!(matches!(assembly.header(&header(1), 10), Ok(Outcome::Incomplete)));
        assert!(assembly.body(b"xy").is_err());
    }
}
