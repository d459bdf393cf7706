//! Splits what the socket gave into frames without copying, and reads by offset the few that come by
//! the million. Everything else goes through `amq_protocol` (`link`).

use crate::error::Error;

/// Bytes before a frame's payload: type, channel, size.
const HEAD: usize = 7;
pub(crate) const END: u8 = 0xCE;
/// What a connection needs until it carries load; `grow` makes room for that.
const FIRST_CAPACITY: usize = 4 * 1024;

pub(crate) const METHOD: u8 = 1;
pub(crate) const HEADER: u8 = 2;
pub(crate) const BODY: u8 = 3;

/// One whole frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    /// 1 method, 2 header, 3 body, 8 heartbeat.
    pub(crate) kind: u8,
    /// Its payload.
    pub(crate) payload: &'a [u8],
    /// All of it, for a decoder that wants the whole frame.
    pub(crate) bytes: &'a [u8],
}

/// The read buffer of one connection.
#[derive(Debug)]
pub(crate) struct Input {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// The largest payload allowed.
    max_frame: usize,
}

impl Input {
    /// An empty buffer that refuses frames of more than `frame_max` bytes.
    pub(crate) fn new(frame_max: usize) -> Self {
        Self { buffer: vec![0; FIRST_CAPACITY], start: 0, end: 0, max_frame: frame_max }
    }

    /// Changes the limit, once it is negotiated.
    pub(crate) fn set_frame_max(&mut self, frame_max: usize) {
        self.max_frame = frame_max;
    }

    /// Makes room for `capacity` bytes, so that one read takes what is there.
    pub(crate) fn grow(&mut self, capacity: usize) {
        if self.buffer.len() < capacity {
            self.buffer.resize(capacity, 0);
        }
    }

    /// Free space for the next read; never empty. Moves what is left over to the front.
    pub(crate) fn spare(&mut self) -> &mut [u8] {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.end == self.buffer.len() {
            self.buffer.resize(self.end * 2, 0);
        }
        self.buffer.get_mut(self.end..).unwrap_or_default()
    }

    /// Says that a read put `count` bytes into the spare space.
    pub(crate) fn advance(&mut self, count: usize) {
        self.end += count;
    }

    /// The next whole frame; `None` if more bytes are needed.
    pub(crate) fn next(&mut self) -> Result<Option<Frame<'_>>, Error> {
        let held = self.buffer.get(self.start..self.end).unwrap_or_default();
        let Some(&[kind, _, _, size @ ..]) = held.first_chunk::<HEAD>() else {
            return Ok(None);
        };
        // u32 to usize: lossless on every platform this runs on.
        let size = u32::from_be_bytes(size) as usize;
        // By the payload alone: some brokers do not count head and end.
        if size > self.max_frame {
            let limit = self.max_frame;
            return Err(Error::Protocol(format!(
                "a frame of {size} bytes, above frame_max {limit}"
            )));
        }
        let whole = HEAD + size + 1;
        let Some(bytes) = held.get(..whole) else {
            return Ok(None);
        };
        let (Some(payload), Some(&END)) = (bytes.get(HEAD..whole - 1), bytes.last()) else {
            return Err(Error::Protocol("a frame without its end octet 0xCE".to_owned()));
        };
        self.start += whole;
        Ok(Some(Frame { kind, payload, bytes }))
    }
}

/// The methods read by offset; anything else is `Other`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    /// `basic.deliver`.
    Deliver { tag: u64, redelivered: bool },
    /// `basic.ack` from the broker: a confirm.
    Ack { tag: u64, multiple: bool },
    /// `basic.nack` from the broker: not taken.
    Nack { tag: u64, multiple: bool },
    /// `basic.return`: header and body follow.
    Return,
    /// Not one of the above; decode it with `amq_protocol`.
    Other,
}

/// Reads class and method id and the fields this tool needs.
pub(crate) fn method(payload: &[u8]) -> Option<Method> {
    let (id, arguments) = payload.split_first_chunk::<4>()?;
    Some(match u32::from_be_bytes(*id) {
        0x003C_003C => {
            let (consumer_tag_len, rest) = arguments.split_first()?;
            let (tag, rest) = rest.get(usize::from(*consumer_tag_len)..)?.split_first_chunk()?;
            Method::Deliver { tag: u64::from_be_bytes(*tag), redelivered: rest.first()? & 1 != 0 }
        }
        0x003C_0050 => {
            let (tag, flags) = arguments.split_first_chunk()?;
            Method::Ack { tag: u64::from_be_bytes(*tag), multiple: flags.first()? & 1 != 0 }
        }
        0x003C_0078 => {
            let (tag, flags) = arguments.split_first_chunk()?;
            Method::Nack { tag: u64::from_be_bytes(*tag), multiple: flags.first()? & 1 != 0 }
        }
        0x003C_0032 => Method::Return,
        _ => Method::Other,
    })
}

/// The body size in a content header's payload.
pub(crate) fn body_size(payload: &[u8]) -> Option<u64> {
    let (size, _) = payload.get(4..)?.split_first_chunk()?;
    Some(u64::from_be_bytes(*size))
}

/// The exchange and the routing key of a `basic.publish`, as its two short strings; `None` for any other payload.
pub(crate) fn published_names(payload: &[u8]) -> Option<&[u8]> {
    // Class and method, a reserved number, the names, the flags.
    let (_flags, names) = payload.strip_prefix(&[0, 60, 0, 40])?.get(2..)?.split_last()?;
    Some(names)
}

/// Exchange and routing key out of `names`, if they are two short strings of text.
pub(crate) fn split_names(names: &[u8]) -> Option<(&str, &str)> {
    let (exchange_len, rest) = names.split_first()?;
    let (exchange, rest) = rest.split_at_checked(usize::from(*exchange_len))?;
    let (key_len, key) = rest.split_first()?;
    let whole = key.len() == usize::from(*key_len);
    whole.then_some((str::from_utf8(exchange).ok()?, str::from_utf8(key).ok()?))
}

/// Appends a `basic.ack` frame for channel 1.
pub(crate) fn push_ack(output: &mut Vec<u8>, tag: u64, multiple: bool) {
    output.extend_from_slice(&[METHOD, 0, 1, 0, 0, 0, 13, 0, 60, 0, 80]);
    output.extend_from_slice(&tag.to_be_bytes());
    output.extend_from_slice(&[u8::from(multiple), END]);
}

#[cfg(test)]
mod tests {
    use amq_protocol::frame::{AMQPContentHeader, AMQPFrame, WriteContext, gen_frame};
    use amq_protocol::protocol::{AMQPClass, basic};
    use proptest::prelude::*;

    use super::*;

    fn encode(frame: &AMQPFrame) -> Vec<u8> {
        let context = gen_frame(frame)(WriteContext::from(Vec::new())).unwrap();
        context.into_inner().0
    }

    fn encode_method(method: basic::AMQPMethod) -> Vec<u8> {
        encode(&AMQPFrame::Method(1, AMQPClass::Basic(method)))
    }

    fn read(bytes: &[u8], chunk: usize) -> Result<Vec<(u8, Vec<u8>)>, Error> {
        let mut input = Input::new(131_072);
        let mut frames = Vec::new();
        for part in bytes.chunks(chunk) {
            let mut part = part;
            while !part.is_empty() {
                let spare = input.spare();
                let count = part.len().min(spare.len());
                spare[..count].copy_from_slice(&part[..count]);
                part = &part[count..];
                input.advance(count);
            }
            while let Some(frame) = input.next()? {
                frames.push((frame.kind, frame.payload.to_vec()));
            }
        }
        Ok(frames)
    }

    fn only_method(bytes: &[u8]) -> Option<Method> {
        let frames = read(bytes, bytes.len()).unwrap();
        method(&frames[0].1)
    }

    proptest! {
        #[test]
        fn frames_do_not_depend_on_how_the_bytes_arrive(
            bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..9_000), 1..8),
            chunk in 1_usize..5_000,
        ) {
            let bytes: Vec<u8> =
                bodies.iter().flat_map(|body| encode(&AMQPFrame::Body(1, body.clone()))).collect();
            let expected: Vec<_> = bodies.into_iter().map(|body| (BODY, body)).collect();
            prop_assert_eq!(read(&bytes, chunk).unwrap(), expected);
        }

        #[test]
        fn methods_are_read_as_amq_protocol_writes_them(
            tag: u64, flag: bool, name in "[a-z]{0,255}", key in "[a-z.]{0,255}",
        ) {
            let deliver = basic::AMQPMethod::Deliver(basic::Deliver {
                consumer_tag: name.as_str().into(),
                delivery_tag: tag,
                redelivered: flag,
                exchange: key.as_str().into(),
                routing_key: key.as_str().into(),
            });
            let expected = Method::Deliver { tag, redelivered: flag };
            prop_assert_eq!(only_method(&encode_method(deliver)), Some(expected));
            let ack = basic::AMQPMethod::Ack(basic::Ack { delivery_tag: tag, multiple: flag });
            let bytes = encode_method(ack);
            prop_assert_eq!(only_method(&bytes), Some(Method::Ack { tag, multiple: flag }));
            let mut own = Vec::new();
            push_ack(&mut own, tag, flag);
            prop_assert_eq!(own, bytes);
            let nack = basic::Nack { delivery_tag: tag, multiple: flag, requeue: !flag };
            let bytes = encode_method(basic::AMQPMethod::Nack(nack));
            prop_assert_eq!(only_method(&bytes), Some(Method::Nack { tag, multiple: flag }));
        }

        #[test]
        fn names_are_read_as_amq_protocol_writes_them(
            exchange in "[a-zé]{0,60}", key in "[a-z.]{0,255}", mandatory: bool,
        ) {
            let publish = basic::Publish {
                exchange: exchange.as_str().into(),
                routing_key: key.as_str().into(),
                mandatory,
                immediate: false,
            };
            let bytes = encode_method(basic::AMQPMethod::Publish(publish));
            let names = published_names(&bytes[HEAD..bytes.len() - 1]).unwrap();
            prop_assert_eq!(split_names(names), Some((exchange.as_str(), key.as_str())));
        }

        #[test]
        fn arbitrary_bytes_are_refused_or_waited_for(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = read(&bytes, 64);
            let _ = method(&bytes);
            let _ = body_size(&bytes);
            let _ = published_names(&bytes).and_then(split_names);
            let _ = split_names(&bytes);
        }
    }

    #[test]
    fn the_body_size_is_read_from_the_header() {
        let properties = basic::AMQPProperties::default().with_delivery_mode(2);
        let header = AMQPContentHeader { class_id: 60, body_size: 70_000, properties };
        let frames = read(&encode(&AMQPFrame::Header(1, header)), 10).unwrap();
        assert_eq!(body_size(&frames[0].1), Some(70_000));
    }

    #[test]
    fn a_frame_above_frame_max_is_refused_before_it_is_read() {
        assert!(matches!(read(&[3, 0, 1, 0, 2, 0, 1], 7), Err(Error::Protocol(_))));
    }

    #[test]
    fn a_frame_without_end_octet_is_refused() {
        assert!(matches!(read(&[8, 0, 0, 0, 0, 0, 0, 0], 8), Err(Error::Protocol(_))));
    }
}
