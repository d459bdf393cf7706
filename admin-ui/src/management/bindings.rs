//! Bindings: `/api/bindings`.

use async_trait::async_trait;

use super::{Error, Object};

/// What a binding leads to.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum DestinationType {
    /// Another exchange.
    Exchange,
    /// A queue.
    Queue,
}

/// A binding.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BindingView {
    /// The vhost's name.
    pub vhost: String,
    /// The exchange's name; empty: the default exchange.
    pub source: String,
    /// What it leads to.
    pub destination_type: DestinationType,
    /// The name of what it leads to.
    pub destination: String,
    /// The routing key or pattern.
    pub routing_key: String,
    /// Arguments.
    pub arguments: Object,
}

/// Bindings.
#[async_trait]
pub trait Bindings: Send + Sync + 'static {
    /// All of a vhost, or of all vhosts, including the ones that every queue has with the default exchange.
    async fn bindings(&self, vhost: Option<&str>) -> Result<Vec<BindingView>, Error>;
}
