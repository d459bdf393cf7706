//! The codec against `amq_protocol`: the same bytes out, the same judgement in; and against bytes that
//! mean nothing. One file for each module; called by the test runner.

mod arbitrary;
mod content;
mod death;
mod field_table;
mod field_value;
mod frame;
mod method;
mod properties;

use amq_protocol::frame::{AMQPFrame, WriteContext, gen_frame};

/// The bytes `amq_protocol` writes for `frame`.
fn encoded(frame: &AMQPFrame) -> Vec<u8> {
    gen_frame(frame)(WriteContext::from(Vec::new())).unwrap().write
}

/// The payload of the one frame that `frame` consists of.
fn payload(frame: &[u8]) -> &[u8] {
    &frame[super::frame::FRAME_HEADER_LEN..frame.len() - 1]
}
