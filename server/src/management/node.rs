//! The node itself, and its totals.

use async_trait::async_trait;
use leveret_admin_ui::management::{Error, ExchangeType, Node, NodeView, Object, Totals};

use super::Managed;
use crate::vhost::Vhost;

/// The release whose behaviour this broker follows. Clients that look at the version of the API want one they know.
const RABBITMQ_VERSION: &str = "4.3.6";

/// The type of queues that are declared without one, in vhosts that name none.
pub(super) const DEFAULT_QUEUE_TYPE: &str = "classic";

/// The name of the global parameter that RabbitMQ keeps a cluster's name in.
const CLUSTER_NAME: &str = "cluster_name";

/// What can be declared, with a line for people.
const EXCHANGE_TYPES: [(&str, &str); 10] = [
    ("direct", "Routes to the queues bound with the message's routing key"),
    ("fanout", "Routes to all queues bound"),
    ("headers", "Routes by the message's headers"),
    ("topic", "Routes to the queues bound with a pattern that the routing key matches"),
    ("x-consistent-hash", "Spreads messages by a hash, each key always to the same queue"),
    ("x-delayed-message", "Routes later, after the time in the header x-delay"),
    ("x-local-random", "Routes to one queue of this node at random"),
    ("x-modulus-hash", "Spreads messages by a hash of the routing key modulo the number of queues"),
    ("x-random", "Routes to one of the queues bound, at random"),
    (
        "x-recent-history",
        "Routes to all queues bound, and the last messages to those that come later",
    ),
];

#[async_trait]
impl Node for Managed {
    async fn node(&self) -> Result<NodeView, Error> {
        let node = &self.node;
        let named = node.registry.now().global_parameters.get(CLUSTER_NAME).cloned();
        let named = named.and_then(|name| name.as_str().map(str::to_owned));
        let types = EXCHANGE_TYPES.iter().map(|&(name, description)| ExchangeType {
            name: name.to_owned(),
            description: description.to_owned(),
        });
        Ok(NodeView {
            product_name: "Leveret".to_owned(),
            product_version: env!("CARGO_PKG_VERSION").to_owned(),
            rabbitmq_version: RABBITMQ_VERSION.to_owned(),
            cluster_name: named.unwrap_or_else(|| node.cluster_name.clone()),
            node: node.cluster_name.clone(),
            default_queue_type: DEFAULT_QUEUE_TYPE.to_owned(),
            exchange_types: types.collect(),
            listeners: self.listeners.clone(),
            extra: Object::new(),
        })
    }

    async fn totals(&self, vhost: Option<&str>) -> Result<Totals, Error> {
        let open = self.node.connections.totals(vhost);
        let mut totals = Totals {
            connections: open.connections as u64,
            channels: open.channels as u64,
            ..Totals::default()
        };
        for vhost in self.vhosts_of(vhost)? {
            let messages = messages(&vhost).await;
            let topology = vhost.topology();
            totals.queues += topology.queues.len() as u64;
            totals.exchanges += topology.graph.exchanges().count() as u64;
            totals.consumers += messages.consumers;
            totals.messages_ready += messages.ready;
            totals.messages_unacknowledged += messages.unacknowledged;
        }
        Ok(totals)
    }
}

/// What the queues of a vhost have.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Messages {
    pub(super) ready: u64,
    pub(super) unacknowledged: u64,
    pub(super) consumers: u64,
}

/// Asks all queues of a vhost. Those that end meanwhile have nothing.
pub(super) async fn messages(vhost: &Vhost) -> Messages {
    let queues: Vec<_> = vhost.topology().queues.values().cloned().collect();
    let mut messages = Messages::default();
    for queue in queues {
        let status = queue.status(false).await;
        let status = status.unwrap_or_default();
        messages.ready += status.ready as u64;
        messages.unacknowledged += status.unacked as u64;
        messages.consumers += status.consumers as u64;
    }
    messages
}
