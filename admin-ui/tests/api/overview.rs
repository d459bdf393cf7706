//! `/api/overview`.

use leveret_admin_ui::management::QueueView;
use serde_json::json;

use crate::broker::{Broker, assert_has_keys, keys};

/// What RabbitMQ's overview has and clients read, statistics apart.
const KEYS: [&str; 23] = [
    "churn_rates",
    "cluster_name",
    "cluster_tags",
    "contexts",
    "default_queue_type",
    "disable_stats",
    "enable_queue_totals",
    "erlang_full_version",
    "erlang_version",
    "exchange_types",
    "listeners",
    "management_version",
    "message_stats",
    "node",
    "node_tags",
    "object_totals",
    "product_name",
    "product_version",
    "queue_totals",
    "rabbitmq_version",
    "rates_mode",
    "sample_retention_policies",
    "statistics_db_event_queue",
];

fn with_queues() -> Broker {
    let broker = Broker::new();
    for vhost in ["/", "a/b"] {
        let queue = QueueView { vhost: vhost.into(), name: "q".into(), ..QueueView::default() };
        broker.fake.state().add_queue(queue);
    }
    broker
}

#[tokio::test]
async fn a_monitor_sees_the_node_and_all_totals() {
    let broker = with_queues();
    for user in ["admin", "monitor"] {
        let overview = broker.ask(&format!("{user} GET /overview"), "").await.json();
        assert_has_keys(&overview, &KEYS);
        assert_eq!(overview["node"], "leveret@test");
        assert_eq!(overview["object_totals"]["queues"], 2);
        assert_eq!(overview["queue_totals"]["messages"], 3);
        let listener = json!({
            "node": "leveret@test", "protocol": "amqp", "ip_address": "::", "port": 5672,
            "socket_opts": {},
        });
        assert_eq!(overview["listeners"], json!([listener]));
        assert_eq!(
            overview["exchange_types"],
            json!([{"name": "direct", "description": "by routing key", "enabled": true}])
        );
    }
}

#[tokio::test]
async fn others_see_their_vhosts_only() {
    let broker = with_queues();
    let overview = broker.ask("manager GET /overview", "").await.json();
    let keys = keys(&overview);
    assert!(!["node", "listeners", "contexts"].iter().any(|key| keys.contains(key)), "{keys:?}");
    assert_eq!(overview["object_totals"]["queues"], 1);
    assert_eq!(overview["object_totals"]["exchanges"], 1);
}

#[tokio::test]
async fn columns_choose_keys() {
    let expected = json!({"object_totals": {"queues": 2}, "node": "leveret@test"});
    let broker = with_queues();
    assert_eq!(broker.get("/overview?columns=object_totals.queues,node").await, expected);
}
