//! The node at a glance. Who may not monitor it is not told its name and addresses.

use serde_json::{Value, json};

use super::object;
use crate::management::{NodeView, Object, Totals};

/// The overview, for a monitor or for anyone else. `totals` are of what the caller may see.
pub(crate) fn overview(node: NodeView, totals: Totals, monitor: bool) -> Object {
    let exchange_types: Vec<Value> = node
        .exchange_types
        .iter()
        .map(|kind| json!({ "name": kind.name, "description": kind.description, "enabled": true }))
        .collect();
    let messages = totals.messages_ready.saturating_add(totals.messages_unacknowledged);
    let mut json = object(json!({
        "product_name": node.product_name,
        "product_version": node.product_version,
        "rabbitmq_version": node.rabbitmq_version,
        "management_version": node.rabbitmq_version,
        // Typed clients want these two, whatever they say.
        "erlang_version": "none",
        "erlang_full_version": "none",
        "cluster_name": node.cluster_name,
        "cluster_tags": {},
        "node_tags": {},
        "rates_mode": "basic",
        "sample_retention_policies": { "global": [], "basic": [], "detailed": [] },
        "disable_stats": false,
        "enable_queue_totals": false,
        "default_queue_type": node.default_queue_type,
        "exchange_types": exchange_types,
        "message_stats": {},
        "churn_rates": {},
        "queue_totals": {
            "messages": messages,
            "messages_ready": totals.messages_ready,
            "messages_unacknowledged": totals.messages_unacknowledged,
        },
        "object_totals": {
            "connections": totals.connections,
            "channels": totals.channels,
            "exchanges": totals.exchanges,
            "queues": totals.queues,
            "consumers": totals.consumers,
        },
        "statistics_db_event_queue": 0,
    }));
    json.extend(node.extra);
    if monitor {
        let listeners: Vec<Value> = node
            .listeners
            .iter()
            .map(|listener| {
                json!({
                    "node": node.node,
                    "protocol": listener.protocol,
                    "ip_address": listener.ip_address,
                    "port": listener.port,
                    "socket_opts": {},
                })
            })
            .collect();
        json.insert("listeners".into(), listeners.into());
        json.insert("contexts".into(), json!([]));
        json.insert("node".into(), node.node.into());
    }
    json
}
