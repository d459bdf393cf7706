//! Which queues get this message?
//!
//! The exchanges, queues and bindings of one virtual host form a [`Graph`]; [`Graph::route`] walks
//! it. The server changes a graph when topology changes and shares a clone with every publisher. A
//! clone is O(1) and a change copies only the path to what it changes, so a large topology
//! costs neither of them much.
//!
//! ```text
//!   route(exchange, routing key, headers)
//!     │
//!     ▼          ┌────────────────────────── exchange-to-exchange binding ───┐
//!   exchange ──▶ rule of its type ──▶ targets ──┬─▶ queue (each once)        │
//!     ▲   │      (exchange/<type>.rs)           └─▶ exchange ────────────────┤
//!     │   └── the rule matched nothing ──▶ alternate exchange ───────────────┤
//!     └──────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! The crate is pure: no clock, no I/O, and no randomness but what the caller's seed gives. Waiting
//! at a delayed exchange, and keeping what a recent history exchange keeps, are the server's work
//! too: a [`Route`] says which of those a message has reached. Permissions, the `internal` flag and
//! the limits of names belong to the server, which asks before it calls.

mod arguments;
mod binding;
mod error;
mod exchange;
mod graph;
mod hash;
mod headers;
mod message;
mod names;
mod random;
mod route;
mod targets;
mod term;

use std::sync::Arc;

pub use arguments::{Arguments, type_name};
pub use binding::{Binding, Destination};
pub use error::{BindError, DeclareError, DeleteError, InvalidArgument, NoExchange, Property};
pub use exchange::{Deduplication, Exchange, ExchangeType, UnknownExchangeType};
pub use graph::{Declared, Graph, Removed};
pub use headers::Headers;
pub use route::Route;

/// The name of an exchange or a queue. At most 255 bytes on the wire; the server checks that.
pub type Name = Arc<str>;
