//! Every method off the hot path, through `amq_protocol`. Called by connection and channel for each
//! method frame that `content` does not handle.
//!
//! `amq_protocol` answers an unknown method and a malformed one alike, and recurses into tables; so
//! a method is looked up and its leading arguments are checked here before it is decoded.

use super::fault::Fault;
use super::field_table;
use super::frame::{FRAME_END, FRAME_HEADER_LEN, FrameKind};
use super::reply_code::ReplyCode;
use super::wire::Reader;
use amq_protocol::frame::WriteContext;
use amq_protocol::protocol::{AMQPClass, gen_class, parse_class};
use bytes::{BufMut, BytesMut};

/// Class and method number, as they stand at the beginning of a method payload and in a close.
pub type MethodId = (u16, u16);

/// `basic.publish`, decoded by [`content::decode_publish`](super::content::decode_publish).
pub const BASIC_PUBLISH: MethodId = (60, 40);
/// `basic.ack`, decoded by [`content::decode_ack`](super::content::decode_ack).
pub const BASIC_ACK: MethodId = (60, 80);

/// An argument as far as it must be checked here.
#[derive(Debug, Clone, Copy)]
enum Argument {
    Octet,
    Short,
    ShortString,
    Table,
}
use Argument::{Octet, Short, ShortString, Table};

/// One row a method: numbers, name, and the arguments up to the last one that `amq_protocol` must
/// not be trusted with (a table, which it recurses into) or whose error it does not tell (a short
/// string, which must be UTF-8).
type Row = (MethodId, &'static str, &'static [Argument]);

const METHODS: &[Row] = &[
    ((10, 10), "connection.start", &[Octet, Octet, Table]),
    ((10, 11), "connection.start-ok", &[Table, ShortString]),
    ((10, 20), "connection.secure", &[]),
    ((10, 21), "connection.secure-ok", &[]),
    ((10, 30), "connection.tune", &[]),
    ((10, 31), "connection.tune-ok", &[]),
    ((10, 40), "connection.open", &[ShortString, ShortString]),
    ((10, 41), "connection.open-ok", &[ShortString]),
    ((10, 50), "connection.close", &[Short, ShortString]),
    ((10, 51), "connection.close-ok", &[]),
    ((10, 60), "connection.blocked", &[ShortString]),
    ((10, 61), "connection.unblocked", &[]),
    ((10, 70), "connection.update-secret", &[]),
    ((10, 71), "connection.update-secret-ok", &[]),
    ((20, 10), "channel.open", &[ShortString]),
    ((20, 11), "channel.open-ok", &[]),
    ((20, 20), "channel.flow", &[]),
    ((20, 21), "channel.flow-ok", &[]),
    ((20, 40), "channel.close", &[Short, ShortString]),
    ((20, 41), "channel.close-ok", &[]),
    ((30, 10), "access.request", &[ShortString]),
    ((30, 11), "access.request-ok", &[]),
    ((40, 10), "exchange.declare", &[Short, ShortString, ShortString, Octet, Table]),
    ((40, 11), "exchange.declare-ok", &[]),
    ((40, 20), "exchange.delete", &[Short, ShortString]),
    ((40, 21), "exchange.delete-ok", &[]),
    ((40, 30), "exchange.bind", &[Short, ShortString, ShortString, ShortString, Octet, Table]),
    ((40, 31), "exchange.bind-ok", &[]),
    ((40, 40), "exchange.unbind", &[Short, ShortString, ShortString, ShortString, Octet, Table]),
    ((40, 51), "exchange.unbind-ok", &[]),
    ((50, 10), "queue.declare", &[Short, ShortString, Octet, Table]),
    ((50, 11), "queue.declare-ok", &[ShortString]),
    ((50, 20), "queue.bind", &[Short, ShortString, ShortString, ShortString, Octet, Table]),
    ((50, 21), "queue.bind-ok", &[]),
    ((50, 30), "queue.purge", &[Short, ShortString]),
    ((50, 31), "queue.purge-ok", &[]),
    ((50, 40), "queue.delete", &[Short, ShortString]),
    ((50, 41), "queue.delete-ok", &[]),
    ((50, 50), "queue.unbind", &[Short, ShortString, ShortString, ShortString, Table]),
    ((50, 51), "queue.unbind-ok", &[]),
    ((60, 10), "basic.qos", &[]),
    ((60, 11), "basic.qos-ok", &[]),
    ((60, 20), "basic.consume", &[Short, ShortString, ShortString, Octet, Table]),
    ((60, 21), "basic.consume-ok", &[ShortString]),
    ((60, 30), "basic.cancel", &[ShortString]),
    ((60, 31), "basic.cancel-ok", &[ShortString]),
    (BASIC_PUBLISH, "basic.publish", &[Short, ShortString, ShortString]),
    ((60, 50), "basic.return", &[Short, ShortString, ShortString, ShortString]),
    ((60, 60), "basic.deliver", &[ShortString]),
    ((60, 70), "basic.get", &[Short, ShortString]),
    ((60, 71), "basic.get-ok", &[]),
    ((60, 72), "basic.get-empty", &[ShortString]),
    (BASIC_ACK, "basic.ack", &[]),
    ((60, 90), "basic.reject", &[]),
    ((60, 100), "basic.recover-async", &[]),
    ((60, 110), "basic.recover", &[]),
    ((60, 111), "basic.recover-ok", &[]),
    ((60, 120), "basic.nack", &[]),
    ((85, 10), "confirm.select", &[]),
    ((85, 11), "confirm.select-ok", &[]),
    ((90, 10), "tx.select", &[]),
    ((90, 11), "tx.select-ok", &[]),
    ((90, 20), "tx.commit", &[]),
    ((90, 21), "tx.commit-ok", &[]),
    ((90, 30), "tx.rollback", &[]),
    ((90, 31), "tx.rollback-ok", &[]),
];

/// The class and the method of a method payload; `None` when it is too short, which no frame from
/// [`next_frame`](super::frame::next_frame) is.
#[inline]
#[must_use]
pub fn method_id(payload: &[u8]) -> Option<MethodId> {
    let mut reader = Reader::new(payload);
    Some((reader.u16()?, reader.u16()?))
}

/// The name of a method as the specification writes it, such as `queue.declare`; `None` for an
/// unknown one.
#[must_use]
pub fn method_name(id: MethodId) -> Option<&'static str> {
    row(id).map(|(_, name, _)| *name)
}

/// Decodes the payload of a method frame.
///
/// # Errors
/// 541 INTERNAL_ERROR for an unknown class or method, as RabbitMQ answers it; 501 FRAME_ERROR for a
/// name that is not UTF-8; 502 SYNTAX_ERROR for arguments that are cut off, too long or contain a
/// malformed table.
pub fn decode_method(payload: &[u8]) -> Result<AMQPClass, Fault> {
    let id = method_id(payload).ok_or_else(Fault::internal_error)?;
    let (_, name, arguments) = row(id).ok_or_else(|| Fault::internal_error().with_method(id))?;
    check_arguments(payload, arguments, name).map_err(|fault| fault.with_method(id))?;
    match parse_class(payload) {
        Ok(([], method)) => Ok(method),
        _ => Err(malformed(name).with_method(id)),
    }
}

/// Appends a method frame to `out`. Not for the hot path: it builds the payload aside to know its
/// length.
pub fn encode_method(out: &mut BytesMut, channel: u16, method: &AMQPClass) {
    let payload = gen_class(method)(WriteContext::from(Vec::with_capacity(64)))
        .expect("writing to a vector does not fail")
        .write;
    let size = u32::try_from(payload.len()).expect("a method of ours has less than four gigabytes");
    out.reserve(FRAME_HEADER_LEN + payload.len() + 1);
    out.put_u8(FrameKind::Method as u8);
    out.put_u16(channel);
    out.put_u32(size);
    out.put_slice(&payload);
    out.put_u8(FRAME_END);
}

/// 502, with the name of the method whose arguments make no sense.
pub(super) fn malformed(name: &str) -> Fault {
    Fault::new(ReplyCode::SyntaxError, format!("malformed {name}"))
}

fn row(id: MethodId) -> Option<&'static Row> {
    let position = METHODS.binary_search_by_key(&id, |(id, _, _)| *id).ok()?;
    METHODS.get(position)
}

fn check_arguments(payload: &[u8], arguments: &[Argument], name: &str) -> Result<(), Fault> {
    let mut reader = Reader::new(payload);
    let cut_off = || malformed(name);
    reader.bytes(4).ok_or_else(cut_off)?;
    for argument in arguments {
        match argument {
            Octet => drop(reader.u8().ok_or_else(cut_off)?),
            Short => drop(reader.u16().ok_or_else(cut_off)?),
            ShortString => {
                let text = reader.short_string().ok_or_else(cut_off)?;
                std::str::from_utf8(text).map_err(|_| Fault::malformed_utf8())?;
            }
            Table => field_table::check(reader.long_string().ok_or_else(cut_off)?)?,
        }
    }
    Ok(())
}
