//! Where one frame ends and the next begins (specification section 4.2.3), and what is wrong with
//! bytes that are no frame. Called by the connection task for every read.

use super::fault::Fault;
use super::reply_code::ReplyCode;
use std::fmt::{self, Write};
use std::ops::Range;

/// The last octet of every frame.
pub const FRAME_END: u8 = 0xCE;
/// Octets of a frame that are not payload: kind, channel, size and the end marker.
pub const FRAME_OVERHEAD: u32 = 8;
/// Octets before the payload.
pub const FRAME_HEADER_LEN: usize = 7;
/// The smallest frame-max that may be negotiated, as in RabbitMQ since 4.1.
pub const FRAME_MIN_SIZE: u32 = 8192;
/// A whole heartbeat frame.
pub const HEARTBEAT: [u8; 8] = [FrameKind::Heartbeat as u8, 0, 0, 0, 0, 0, 0, FRAME_END];
/// What a client of AMQP 0-9-1 sends first.
pub const PROTOCOL_HEADER: [u8; 8] = *b"AMQP\x00\x00\x09\x01";

/// A method payload begins with class and method.
const METHOD_PAYLOAD_MIN: u32 = 4;
/// A content header begins with class, weight and body size.
const HEADER_PAYLOAD_MIN: u32 = 12;
/// How much too large a payload may be. RabbitMQ forgives one frame overhead, because quite a few
/// clients are off by one or by eight.
const FRAME_SIZE_FUDGE: u32 = FRAME_OVERHEAD;

/// The four kinds of frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum FrameKind {
    /// A method, with its arguments.
    Method = 1,
    /// The size and the properties of a content.
    Header = 2,
    /// A part of a content's body.
    Body = 3,
    /// A sign of life.
    Heartbeat = 8,
}

impl FrameKind {
    /// The kind of a frame whose first octet is `octet` and whose payload has `size` octets; `None`
    /// when there is no such kind or when the payload cannot be one of that kind, which RabbitMQ
    /// does not tell apart.
    #[inline]
    fn of(octet: u8, size: u32) -> Option<Self> {
        match octet {
            1 if size >= METHOD_PAYLOAD_MIN => Some(Self::Method),
            2 if size >= HEADER_PAYLOAD_MIN => Some(Self::Header),
            3 => Some(Self::Body),
            8 if size == 0 => Some(Self::Heartbeat),
            _ => None,
        }
    }
}

/// One whole frame in a buffer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// What it carries.
    pub kind: FrameKind,
    /// The channel it is for.
    pub channel: u16,
    /// Where the payload is in the buffer.
    pub payload: Range<usize>,
    /// The first octet after the frame.
    pub end: usize,
}

impl Frame {
    /// The frame that begins at `buf[from]`, where [`next_frame`] has found one before: it is not
    /// judged again. `None` where the bytes end.
    #[inline]
    #[must_use]
    pub fn at(buf: &[u8], from: usize) -> Option<Self> {
        let ([octet, channel_high, channel_low, a, b, c, d], _) =
            buf.get(from..)?.split_first_chunk()?;
        let kind = match octet {
            1 => FrameKind::Method,
            2 => FrameKind::Header,
            3 => FrameKind::Body,
            _ => FrameKind::Heartbeat,
        };
        let channel = u16::from_be_bytes([*channel_high, *channel_low]);
        Some(Self::new(kind, channel, from, u32::from_be_bytes([*a, *b, *c, *d])))
    }

    #[inline]
    fn new(kind: FrameKind, channel: u16, from: usize, size: u32) -> Self {
        let start = from + FRAME_HEADER_LEN;
        let payload = start..start + size as usize;
        let end = payload.end + 1;
        Self { kind, channel, payload, end }
    }
}

/// Finds the frame that begins at `buf[from]`; `None` when it has not arrived as a whole.
///
/// `frame_max` is the negotiated size of a whole frame in octets, 0 for no limit. Then a frame may
/// announce four gigabytes, so the caller bounds its buffer.
///
/// # Errors
/// 501 FRAME_ERROR for a payload over the limit (as soon as its size is known, so that nothing is
/// gathered for it), for a wrong end marker and for an unknown frame. There is no finding the next
/// frame after one of the first two.
#[inline]
pub fn next_frame(buf: &[u8], from: usize, frame_max: u32) -> Result<Option<Frame>, Fault> {
    let bytes = buf.get(from..).unwrap_or_default();
    let Some(([octet, channel_high, channel_low, a, b, c, d], rest)) = bytes.split_first_chunk()
    else {
        return Ok(None);
    };
    let size = u32::from_be_bytes([*a, *b, *c, *d]);
    if is_too_large(size, frame_max) {
        return Err(frame_too_large(*octet, size, frame_max));
    }
    let Some(end_marker) = rest.get(size as usize) else {
        return Ok(None);
    };
    let kind = FrameKind::of(*octet, size).filter(|_| *end_marker == FRAME_END);
    let Some(kind) = kind else {
        let payload = rest.get(..size as usize).unwrap_or_default();
        return Err(broken_frame(*octet, payload, *end_marker));
    };
    let channel = u16::from_be_bytes([*channel_high, *channel_low]);
    Ok(Some(Frame::new(kind, channel, from, size)))
}

#[inline]
fn is_too_large(size: u32, frame_max: u32) -> bool {
    frame_max != 0
        && size > frame_max.saturating_sub(FRAME_OVERHEAD).saturating_add(FRAME_SIZE_FUDGE)
}

/// 505: a frame that may not come on this channel or in this state, such as a heartbeat on channel
/// 1.
#[must_use]
pub fn unexpected_frame(kind: FrameKind, payload: &[u8]) -> Fault {
    let text = format!("type {}, {}", kind as u8, Octets(payload));
    Fault::new(ReplyCode::UnexpectedFrame, text)
}

#[cold]
fn frame_too_large(octet: u8, size: u32, frame_max: u32) -> Fault {
    let payload_max = frame_max.saturating_sub(FRAME_OVERHEAD);
    frame_error(octet, &[], format_args!("{{frame_too_large,{size},{payload_max}}}"))
}

/// A wrong end marker says that the size was wrong too, so it comes before a wrong kind.
#[cold]
fn broken_frame(octet: u8, payload: &[u8], end_marker: u8) -> Fault {
    if end_marker == FRAME_END {
        frame_error(octet, payload, format_args!("unknown_frame"))
    } else {
        frame_error(octet, payload, format_args!("{{invalid_frame_end_marker,{end_marker}}}"))
    }
}

fn frame_error(octet: u8, payload: &[u8], reason: fmt::Arguments<'_>) -> Fault {
    let text = format!("type {octet}, {}: {reason}", Octets(payload));
    Fault::new(ReplyCode::FrameError, text)
}

/// The beginning of a payload as RabbitMQ shows it: an Erlang binary, in quotes when all of it is
/// printable. Erlang would break a line of more than 80 columns; here it is always one line.
struct Octets<'a>(&'a [u8]);

impl fmt::Display for Octets<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SNIPPET_LEN: usize = 16;
        let (which, octets) = match self.0.get(..SNIPPET_LEN) {
            Some(first) if self.0.len() > SNIPPET_LEN => ("first 16", first),
            _ => ("all", self.0),
        };
        write!(f, "{which} octets = <<")?;
        if !octets.is_empty() && octets.iter().all(|octet| is_printable(*octet)) {
            f.write_char('"')?;
            octets.iter().try_for_each(|octet| write_quoted(f, *octet))?;
            f.write_char('"')?;
        } else {
            for (position, octet) in octets.iter().enumerate() {
                let comma = if position == 0 { "" } else { "," };
                write!(f, "{comma}{octet}")?;
            }
        }
        f.write_str(">>")
    }
}

/// Erlang's printable ASCII: visible characters, space, and the control characters that have an
/// escape of their own.
fn is_printable(octet: u8) -> bool {
    matches!(octet, b' '..=b'~' | 0x08..=0x0D | 0x1B)
}

fn write_quoted(f: &mut fmt::Formatter<'_>, octet: u8) -> fmt::Result {
    let escape = match octet {
        0x08 => 'b',
        b'\t' => 't',
        b'\n' => 'n',
        0x0B => 'v',
        0x0C => 'f',
        b'\r' => 'r',
        0x1B => 'e',
        b'"' => '"',
        b'\\' => '\\',
        visible => return f.write_char(char::from(visible)),
    };
    write!(f, "\\{escape}")
}
