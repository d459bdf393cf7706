//! `/api/bindings`.

use leveret_admin_ui::management::{BindingView, DestinationType, Object};
use serde_json::json;

use crate::broker::Broker;

fn binding(vhost: &str, destination_type: DestinationType, routing_key: &str) -> BindingView {
    BindingView {
        vhost: vhost.into(),
        source: "e".into(),
        destination_type,
        destination: "d".into(),
        routing_key: routing_key.into(),
        arguments: Object::new(),
    }
}

#[tokio::test]
async fn bindings_are_listed_with_the_key_that_names_them() {
    let broker = Broker::new();
    broker.fake.state().bindings = vec![
        binding("a/b", DestinationType::Queue, "a/b c"),
        binding("/", DestinationType::Queue, "k"),
        binding("/", DestinationType::Exchange, ""),
    ];
    let expected = |vhost: &str, kind: &str, key: &str, properties_key: &str| {
        json!({
            "source": "e", "vhost": vhost, "destination": "d", "destination_type": kind,
            "routing_key": key, "arguments": {}, "properties_key": properties_key,
        })
    };
    let in_default = [expected("/", "exchange", "", "~"), expected("/", "queue", "k", "k")];
    let in_ab = expected("a/b", "queue", "a/b c", "a%2Fb+c");
    broker
        .check(&[
            ("admin GET /bindings", "", 200, json!([in_default[0], in_default[1], in_ab])),
            ("admin GET /bindings/%2F", "", 200, json!(in_default)),
            ("manager GET /bindings", "", 200, json!([in_ab])),
            (
                "manager GET /bindings/%2F",
                "",
                404,
                json!({"error": "not_found", "reason": "Not Found"}),
            ),
            (
                "admin GET /bindings/none",
                "",
                404,
                json!({"error": "Object Not Found", "reason": "Not Found"}),
            ),
        ])
        .await;
}
