//! A binding and when two are the same. Built by the server from `queue.bind` and `exchange.bind`,
//! kept by `graph.rs`.

use std::sync::Arc;

use crate::{Arguments, Name};

/// Where a binding leads.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Destination {
    /// A queue: the message is delivered.
    Queue(Name),
    /// An exchange: the message is routed on (RabbitMQ's exchange-to-exchange bindings).
    Exchange(Name),
}

impl Destination {
    /// The name of the queue or exchange.
    #[must_use]
    pub fn name(&self) -> &Name {
        match self {
            Self::Queue(name) | Self::Exchange(name) => name,
        }
    }
}

/// A rule of a source exchange: messages that match go to the destination.
///
/// Two bindings are the same iff all four fields are equal. The same key with other arguments is a
/// second binding, as in RabbitMQ, and has to be removed on its own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Binding {
    /// The exchange that messages come from.
    pub source: Name,
    /// The queue or exchange that they go to.
    pub destination: Destination,
    /// The binding key; what it means is up to the type of the source. At most 255 bytes on the
    /// wire.
    pub routing_key: Arc<str>,
    /// The arguments; only a headers exchange looks at them.
    pub arguments: Arguments,
}
