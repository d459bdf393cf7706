//! The hot path inwards, written by hand: what a publisher sends for each message, and what a
//! consumer acknowledges it with. Called by the connection and its channels, once or more a message;
//! the way out is in [`delivery`](super::delivery).
//!
//! `amq_protocol` decodes a publish through owned strings, which costs several times what the bytes
//! need. The tests hold every function here to its judgement.

use super::fault::Fault;
use super::method::{BASIC_ACK, BASIC_PUBLISH, malformed};
use super::reply_code::ReplyCode;
use super::wire::Reader;
use std::ops::Range;

/// The class of every content: `basic`.
pub const BASIC_CLASS: u16 = 60;
/// The largest body a content header may announce, in bytes; RabbitMQ's bound below any configured
/// one.
pub const BODY_SIZE_MAX: u64 = 512 * 1024 * 1024;

/// `basic.publish`. The ranges are within the payload it was decoded from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishMethod {
    /// The exchange; empty for the default one.
    pub exchange: Range<usize>,
    /// The routing key.
    pub routing_key: Range<usize>,
    /// Whether the message comes back when no queue takes it.
    pub mandatory: bool,
    /// Whether it comes back when no consumer takes it; RabbitMQ refuses this with 540.
    pub immediate: bool,
}

/// The content header of a publish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentHeader {
    /// The bytes of body that follow, at most [`BODY_SIZE_MAX`].
    pub body_size: u64,
    /// The properties within the payload, from their flags on, unchecked: see
    /// [`Properties`](super::properties::Properties).
    pub properties: Range<usize>,
}

/// Decodes the payload of a method frame whose [`method_id`](super::method::method_id) is
/// [`BASIC_PUBLISH`].
///
/// # Errors
/// 501 FRAME_ERROR for a name that is not UTF-8, 502 SYNTAX_ERROR for bytes missing or left over.
pub fn decode_publish(payload: &[u8]) -> Result<PublishMethod, Fault> {
    let Some(publish) = publish_arguments(payload) else {
        return Err(malformed("basic.publish").with_method(BASIC_PUBLISH));
    };
    for name in [&publish.exchange, &publish.routing_key] {
        check_name(payload.get(name.clone()).unwrap_or_default())?;
    }
    Ok(publish)
}

/// As [`decode_publish`], for who checks the names ([`check_name`]) before using them: a publisher
/// mostly repeats names that were checked. `None` for bytes missing or left over.
#[inline]
#[must_use]
pub fn publish_arguments(payload: &[u8]) -> Option<PublishMethod> {
    let mut reader = Reader::new(payload);
    // Class, method and the reserved short that was once an access ticket.
    reader.bytes(6)?;
    let exchange = reader.short_string()?;
    let exchange_end = reader.position();
    let routing_key = reader.short_string()?;
    let routing_key_end = reader.position();
    let bits = reader.u8()?;
    reader.is_empty().then(|| PublishMethod {
        exchange: exchange_end - exchange.len()..exchange_end,
        routing_key: routing_key_end - routing_key.len()..routing_key_end,
        mandatory: bits & 0b01 != 0,
        immediate: bits & 0b10 != 0,
    })
}

/// An exchange's name or a routing key of a publish as text.
///
/// # Errors
/// 501 FRAME_ERROR if it is not UTF-8.
pub fn check_name(name: &[u8]) -> Result<&str, Fault> {
    std::str::from_utf8(name).map_err(|_| Fault::malformed_utf8().with_method(BASIC_PUBLISH))
}

/// Decodes the payload of the header frame that follows a publish.
///
/// # Errors
/// 505 UNEXPECTED_FRAME for a header of another class than `basic` or with a weight, which the
/// specification wants to be 0; 501 FRAME_ERROR for a body over [`BODY_SIZE_MAX`]. All in
/// RabbitMQ's words.
#[inline]
pub fn decode_content_header(payload: &[u8]) -> Result<ContentHeader, Fault> {
    let mut reader = Reader::new(payload);
    let (Some(class_id), Some(weight), Some(body_size)) =
        (reader.u16(), reader.u16(), reader.u64())
    else {
        return Err(expected_content_header());
    };
    if weight != 0 {
        return Err(expected_content_header());
    }
    if class_id != BASIC_CLASS {
        let text =
            format!("expected content header for class 60, got one for class {class_id} instead");
        return Err(Fault::new(ReplyCode::UnexpectedFrame, text).with_method(BASIC_PUBLISH));
    }
    if body_size > BODY_SIZE_MAX {
        let text =
            format!("content body size {body_size} exceeds maximum allowed size {BODY_SIZE_MAX}");
        return Err(Fault::new(ReplyCode::FrameError, text).with_method(BASIC_PUBLISH));
    }
    Ok(ContentHeader { body_size, properties: reader.position()..payload.len() })
}

/// Decodes the payload of a method frame whose [`method_id`](super::method::method_id) is
/// [`BASIC_ACK`]: the delivery tag, and whether all before it are meant too.
///
/// # Errors
/// 502 SYNTAX_ERROR for bytes missing or left over.
pub fn decode_ack(payload: &[u8]) -> Result<(u64, bool), Fault> {
    let read = || {
        let mut reader = Reader::new(payload);
        reader.bytes(4)?;
        let delivery_tag = reader.u64()?;
        let bits = reader.u8()?;
        reader.is_empty().then_some((delivery_tag, bits & 1 != 0))
    };
    read().ok_or_else(|| malformed("basic.ack").with_method(BASIC_ACK))
}

/// 505: a header or body frame where a method was due.
#[must_use]
pub fn expected_method() -> Fault {
    Fault::new(ReplyCode::UnexpectedFrame, "expected method frame, got non method frame instead")
}

/// 505: a method or body frame between a publish and its content header.
#[must_use]
pub fn expected_content_header() -> Fault {
    Fault::new(
        ReplyCode::UnexpectedFrame,
        "expected content header for class 60, got non content header frame instead",
    )
    .with_method(BASIC_PUBLISH)
}

/// 505: a method or header frame while a body is incomplete.
#[must_use]
pub fn expected_content_body() -> Fault {
    Fault::new(
        ReplyCode::UnexpectedFrame,
        "expected content body, got non content body frame instead",
    )
    .with_method(BASIC_PUBLISH)
}

/// 501: a body frame with more than what remains of the announced body.
#[must_use]
pub fn body_exceeds_content() -> Fault {
    Fault::new(ReplyCode::FrameError, "content body frame exceeds remaining content size")
        .with_method(BASIC_PUBLISH)
}
