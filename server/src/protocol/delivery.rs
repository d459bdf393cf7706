//! The hot path outwards, written by hand: what a consumer gets for each message, and what a
//! publisher gets for its own: deliver, get-ok, return, and the confirms. Called by the connection
//! and its channels, once a message; the way in is in [`content`](super::content).
//!
//! `amq_protocol` encodes a deliver through nested closures, which costs several times what the
//! bytes need. The tests hold every function here to its bytes.

use super::content::BASIC_CLASS;
use super::frame::{FRAME_END, FRAME_HEADER_LEN, FRAME_OVERHEAD, FrameKind};
use super::method::{BASIC_ACK, MethodId};
use super::reply_code::ReplyCode;
use super::wire::SHORT_STRING_MAX;
use bytes::{BufMut, BytesMut};
use std::ops::Range;

const BASIC_RETURN: MethodId = (BASIC_CLASS, 50);
const BASIC_DELIVER: MethodId = (BASIC_CLASS, 60);
const BASIC_GET_OK: MethodId = (BASIC_CLASS, 71);
const BASIC_NACK: MethodId = (BASIC_CLASS, 120);

/// What a message is made of, as the publisher sent it.
#[derive(Debug, Clone, Copy)]
pub struct Content<'a> {
    /// The properties from their flags on.
    pub properties: &'a [u8],
    /// The body.
    pub body: &'a [u8],
}

/// The arguments of `basic.deliver`. No text is longer than 255 bytes; each came from a short
/// string.
#[derive(Debug, Clone, Copy)]
pub struct Deliver<'a> {
    /// The consumer.
    pub consumer_tag: &'a str,
    /// The tag to acknowledge.
    pub delivery_tag: u64,
    /// Whether it may have been delivered before.
    pub redelivered: bool,
    /// The exchange it was published to.
    pub exchange: &'a [u8],
    /// The routing key it was published with.
    pub routing_key: &'a [u8],
}

impl Deliver<'_> {
    fn arguments_len(&self) -> usize {
        3 + self.consumer_tag.len() + self.exchange.len() + self.routing_key.len() + 9
    }
}

/// The arguments of `basic.get-ok`. No text is longer than 255 bytes.
#[derive(Debug, Clone, Copy)]
pub struct GetOk<'a> {
    /// The tag to acknowledge.
    pub delivery_tag: u64,
    /// Whether it may have been delivered before.
    pub redelivered: bool,
    /// The exchange it was published to.
    pub exchange: &'a [u8],
    /// The routing key it was published with.
    pub routing_key: &'a [u8],
    /// How many messages are still ready in the queue.
    pub message_count: u32,
}

/// The arguments of `basic.return`; the reply text is the name of the code, as in RabbitMQ. No text
/// is longer than 255 bytes.
#[derive(Debug, Clone, Copy)]
pub struct Return<'a> {
    /// Why: [`ReplyCode::NoRoute`].
    pub reply_code: ReplyCode,
    /// The exchange it was published to.
    pub exchange: &'a [u8],
    /// The routing key it was published with.
    pub routing_key: &'a [u8],
}

/// Appends `basic.deliver`, the content header and the body, in frames of at most `frame_max`
/// octets (0: no limit).
#[inline]
pub fn encode_deliver(
    out: &mut BytesMut,
    channel: u16,
    deliver: &Deliver<'_>,
    content: Content<'_>,
    frame_max: u32,
) {
    reserve_body(out, deliver.arguments_len(), content, frame_max);
    encode_deliver_head(out, channel, deliver, content);
    put_body(out, channel, content.body, frame_max);
}

/// Appends what [`encode_deliver`] does, without the body: [`body_frames`] says what has to follow.
#[inline]
pub fn encode_deliver_head(
    out: &mut BytesMut,
    channel: u16,
    deliver: &Deliver<'_>,
    content: Content<'_>,
) {
    let method = (BASIC_DELIVER, deliver.arguments_len());
    put_head(out, channel, method, content, |arguments| {
        arguments.short_string(deliver.consumer_tag.as_bytes());
        arguments.tag(deliver.delivery_tag, deliver.redelivered);
        arguments.short_string(deliver.exchange);
        arguments.short_string(deliver.routing_key);
    });
}

/// The body frames of a content, each of at most `frame_max` octets (0: no limit): how it starts, and which part of the body
/// comes then, before the end marker.
pub fn body_frames(
    channel: u16,
    body_len: usize,
    frame_max: u32,
) -> impl Iterator<Item = ([u8; FRAME_HEADER_LEN], Range<usize>)> {
    let max = body_frame_max(frame_max);
    (0..body_len).step_by(max).map(move |from| {
        let part = from..body_len.min(from.saturating_add(max));
        (frame_start(FrameKind::Body, channel, part.len()), part)
    })
}

/// Appends `basic.get-ok`, the content header and the body, in frames of at most `frame_max` octets
/// (0: no limit).
pub fn encode_get_ok(
    out: &mut BytesMut,
    channel: u16,
    get_ok: &GetOk<'_>,
    content: Content<'_>,
    frame_max: u32,
) {
    let arguments_len = 9 + 2 + get_ok.exchange.len() + get_ok.routing_key.len() + 4;
    reserve_body(out, arguments_len, content, frame_max);
    put_head(out, channel, (BASIC_GET_OK, arguments_len), content, |arguments| {
        arguments.tag(get_ok.delivery_tag, get_ok.redelivered);
        arguments.short_string(get_ok.exchange);
        arguments.short_string(get_ok.routing_key);
        arguments.array(get_ok.message_count.to_be_bytes());
    });
    put_body(out, channel, content.body, frame_max);
}

/// Appends `basic.return`, the content header and the body, in frames of at most `frame_max` octets
/// (0: no limit).
pub fn encode_return(
    out: &mut BytesMut,
    channel: u16,
    returned: &Return<'_>,
    content: Content<'_>,
    frame_max: u32,
) {
    let reply_text = returned.reply_code.name().as_bytes();
    let strings = reply_text.len() + returned.exchange.len() + returned.routing_key.len();
    let arguments_len = 2 + 3 + strings;
    reserve_body(out, arguments_len, content, frame_max);
    put_head(out, channel, (BASIC_RETURN, arguments_len), content, |arguments| {
        arguments.array(returned.reply_code.number().to_be_bytes());
        arguments.short_string(reply_text);
        arguments.short_string(returned.exchange);
        arguments.short_string(returned.routing_key);
    });
    put_body(out, channel, content.body, frame_max);
}

/// Appends `basic.ack` to a publisher: the confirm of one publish, or of all up to it.
pub fn encode_ack(out: &mut BytesMut, channel: u16, delivery_tag: u64, multiple: bool) {
    put_confirm(out, channel, BASIC_ACK, delivery_tag, u8::from(multiple));
}

/// Appends `basic.nack` to a publisher. The bit for requeueing says nothing to a publisher, and
/// RabbitMQ leaves it 0.
pub fn encode_nack(out: &mut BytesMut, channel: u16, delivery_tag: u64, multiple: bool) {
    put_confirm(out, channel, BASIC_NACK, delivery_tag, u8::from(multiple));
}

fn put_confirm(out: &mut BytesMut, channel: u16, method: MethodId, delivery_tag: u64, bits: u8) {
    out.put_slice(&method_start(channel, method, 9));
    out.put_u64(delivery_tag);
    out.put_slice(&[bits, FRAME_END]);
}

/// One growth of the buffer for the whole message instead of several on the way.
#[inline]
fn reserve_body(out: &mut BytesMut, arguments_len: usize, content: Content<'_>, frame_max: u32) {
    let body_frames = content.body.len().div_ceil(body_frame_max(frame_max));
    let head = head_len(arguments_len, content.properties);
    out.reserve(head + content.body.len() + body_frames * FRAME_OVERHEAD as usize);
}

/// Appends a method with what `arguments` writes, and the content header, into room that is made
/// once: the buffer is not checked again for each field.
#[inline]
fn put_head(
    out: &mut BytesMut,
    channel: u16,
    (method, arguments_len): (MethodId, usize),
    content: Content<'_>,
    arguments: impl FnOnce(&mut Room<'_>),
) {
    let Content { properties, body } = content;
    let start = out.len();
    out.resize(start + head_len(arguments_len, properties), 0);
    let mut room = Room(out.get_mut(start..).unwrap_or_default());
    room.array(method_start(channel, method, arguments_len));
    arguments(&mut room);
    room.array([FRAME_END]);
    room.array(frame_start(FrameKind::Header, channel, CONTENT_HEADER_LEN + properties.len()));
    let [class_high, class_low] = BASIC_CLASS.to_be_bytes();
    room.array([class_high, class_low, 0, 0]);
    room.array((body.len() as u64).to_be_bytes());
    room.slice(properties);
    room.array([FRAME_END]);
    debug_assert!(room.0.is_empty(), "{} octets too many", room.0.len());
}

/// The octets of a method frame and a content header.
#[inline]
fn head_len(arguments_len: usize, properties: &[u8]) -> usize {
    2 * FRAME_OVERHEAD as usize + 4 + arguments_len + CONTENT_HEADER_LEN + properties.len()
}

#[inline]
fn put_body(out: &mut BytesMut, channel: u16, body: &[u8], frame_max: u32) {
    for part in body.chunks(body_frame_max(frame_max)) {
        out.put_slice(&frame_start(FrameKind::Body, channel, part.len()));
        out.put_slice(part);
        out.put_u8(FRAME_END);
    }
}

/// Class, weight and body size, which come before the properties.
const CONTENT_HEADER_LEN: usize = 12;

/// Room in a buffer that is written from front to back; whoever makes it knows how much is needed.
struct Room<'a>(&'a mut [u8]);

impl Room<'_> {
    #[inline]
    fn slice(&mut self, bytes: &[u8]) {
        let (place, rest) = std::mem::take(&mut self.0).split_at_mut(bytes.len());
        place.copy_from_slice(bytes);
        self.0 = rest;
    }

    #[inline]
    fn array<const N: usize>(&mut self, bytes: [u8; N]) {
        self.slice(&bytes);
    }

    /// As [`put_short_string`](super::wire::put_short_string), for a text that came from a short string.
    #[inline]
    fn short_string(&mut self, text: &[u8]) {
        debug_assert!(text.len() <= SHORT_STRING_MAX, "a short string of {} bytes", text.len());
        self.array([u8::try_from(text.len()).unwrap_or(u8::MAX)]);
        self.slice(text);
    }

    /// A delivery tag, and whether its message was delivered before.
    #[inline]
    fn tag(&mut self, delivery_tag: u64, redelivered: bool) {
        self.array(delivery_tag.to_be_bytes());
        self.array([u8::from(redelivered)]);
    }
}

/// The largest body part of one frame, in bytes; at least one, whatever was negotiated.
fn body_frame_max(frame_max: u32) -> usize {
    let max = if frame_max == 0 { u32::MAX } else { frame_max };
    max.saturating_sub(FRAME_OVERHEAD).max(1) as usize
}

#[inline]
fn method_start(
    channel: u16,
    method: MethodId,
    arguments_len: usize,
) -> [u8; FRAME_HEADER_LEN + 4] {
    let [kind, channel_high, channel_low, a, b, c, d] =
        frame_start(FrameKind::Method, channel, 4 + arguments_len);
    let [class_high, class_low] = method.0.to_be_bytes();
    let [method_high, method_low] = method.1.to_be_bytes();
    [kind, channel_high, channel_low, a, b, c, d, class_high, class_low, method_high, method_low]
}

#[inline]
fn frame_start(kind: FrameKind, channel: u16, size: usize) -> [u8; FRAME_HEADER_LEN] {
    let size = u32::try_from(size).expect("no part of a message has four gigabytes");
    let [channel_high, channel_low] = channel.to_be_bytes();
    let [a, b, c, d] = size.to_be_bytes();
    [kind as u8, channel_high, channel_low, a, b, c, d]
}
