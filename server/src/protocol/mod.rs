//! AMQP 0-9-1 on the wire: bytes in, values out. No socket, no clock, no state.
//!
//! | Step | Module | Called by |
//! |---|---|---|
//! | socket bytes to frames | [`frame`] | the connection task |
//! | publish, header, ack | [`content`] | the connection and its channels |
//! | deliver, get-ok, return, confirms | [`delivery`] | the connection and its channels |
//! | every other method | [`method`], through `amq_protocol` | the connection and its channels |
//! | the content properties the broker acts on | [`properties`] | channel, queue, dead-lettering |
//! | the same with one of them changed | [`rewrite`] | channel, dead-lettering |
//! | the headers about a message's deaths | [`death`] | dead-lettering |
//! | tables, before they are decoded | [`field_table`] | method and properties |
//! | one value of a table, without decoding it | [`field_value`] | publish, queue, dead-lettering |
//! | what went wrong, as the peer is told | [`fault`], [`reply_code`] | everyone |
//!
//! Nothing here trusts the peer: every decoder answers arbitrary bytes with a value or a [`Fault`],
//! never with a panic, an overflowed stack or an allocation that is out of proportion to the input.

pub mod content;
pub mod death;
pub mod delivery;
pub mod fault;
pub mod field_table;
pub mod field_value;
mod field_writer;
pub mod frame;
pub mod method;
pub mod properties;
pub mod reply_code;
pub mod rewrite;
#[cfg(test)]
mod tests;
mod wire;

pub use fault::{Fault, Reach};
pub use reply_code::ReplyCode;
