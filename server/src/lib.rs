//! The broker: AMQP 0-9-1 for clients, `leveret-routing` to decide, `leveret-persistence` to keep.
//!
//! The way of a message through the modules:
//!
//! | Step | Module |
//! |---|---|
//! | socket bytes to frames | `connection::task`, `connection::frames`, [`protocol`] |
//! | frames to a message | `connection::frames`, or `channel::content` if it came in pieces |
//! | checks and route | `channel::basic`, `vhost::publish` |
//! | which queues take it, where one may refuse | `vhost::admission` |
//! | store and queues, a batch a read | `channel::publish`, `vhost::dispatch` |
//! | order, consumers, prefetch | `queue::state` in `queue::task` |
//! | deliveries, confirms, returns to bytes | `connection::events`, [`protocol`] |
//! | bytes to the socket | `connection::task` |
//!
//! Back come two arrows only: *committed* (store to connection, for confirms) and *settled* (client to channel to queue to store).

mod access;
mod alarms;
mod channel;
mod clock;
mod config;
mod connection;
mod connections;
mod dedup;
mod definitions;
mod erlang_term;
mod limits;
mod management;
mod node;
pub mod protocol;
mod queue;
mod stamp;
mod startup;
mod storage;
mod vhost;

pub use config::Config;
pub use startup::{StartError, run};
