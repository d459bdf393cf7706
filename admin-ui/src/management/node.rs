//! The node itself: what it is, and its totals. `/api/overview` asks it.

use std::net::IpAddr;

use async_trait::async_trait;

use super::{Error, Object};

/// What does not depend on traffic.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct NodeView {
    /// `Leveret`.
    pub product_name: String,
    /// The version of this broker.
    pub product_version: String,
    /// The RabbitMQ version whose behaviour clients may expect: some refuse to start below 3.10.
    pub rabbitmq_version: String,
    /// As set, or made from the node's name.
    pub cluster_name: String,
    /// The node's name, `name@host`.
    pub node: String,
    /// The queue type of vhosts that set none.
    pub default_queue_type: String,
    /// The types of exchange that can be declared.
    pub exchange_types: Vec<ExchangeType>,
    /// Where it listens.
    pub listeners: Vec<Listener>,
    /// Further keys of the overview, such as `message_stats` and `churn_rates`, as they are to be sent.
    pub extra: Object,
}

/// A type of exchange that can be declared.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ExchangeType {
    /// The type's name, such as `x-consistent-hash`.
    pub name: String,
    /// One line for people.
    pub description: String,
}

/// An address at which the node listens.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Listener {
    /// RabbitMQ's name of the protocol: `amqp`, `amqp/ssl`, `http`.
    pub protocol: String,
    /// The address it is bound to, possibly unspecified.
    pub ip_address: IpAddr,
    /// The port it is bound to.
    pub port: u16,
}

/// How many there are of each.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Totals {
    /// Open connections.
    pub connections: u64,
    /// Open channels.
    pub channels: u64,
    /// Queues.
    pub queues: u64,
    /// Exchanges, the default ones included.
    pub exchanges: u64,
    /// Consumers.
    pub consumers: u64,
    /// Messages in queues that wait for a consumer.
    pub messages_ready: u64,
    /// Messages that consumers have not acknowledged.
    pub messages_unacknowledged: u64,
}

/// The node.
#[async_trait]
pub trait Node: Send + Sync + 'static {
    /// What the node is.
    async fn node(&self) -> Result<NodeView, Error>;

    /// Totals of one vhost, or of the whole node.
    async fn totals(&self, vhost: Option<&str>) -> Result<Totals, Error>;
}
