//! `/api/x/...`: what waits in delayed exchanges and in queues that retry, and loss detection.

use serde_json::json;

use crate::broker::Broker;

#[tokio::test]
async fn delayed_messages_are_shown_a_window_at_a_time() {
    let broker = Broker::new();
    let page = broker.get("/x/exchanges/%2F/e/delayed?offset=1&limit=1").await;
    let message = json!({
        "id": 1, "due": 1001, "exchange": "e", "routing_key": "k",
        "properties": {"delivery_mode": 2}, "payload_bytes": 3,
    });
    assert_eq!(page, json!({"total": 5, "offset": 1, "messages": [message]}));
    let all = broker.get("/x/exchanges/%2F/e/delayed").await;
    assert_eq!(all["messages"].as_array().unwrap().len(), 5);
}

#[tokio::test]
async fn retrying_messages_say_how_often() {
    let page = Broker::new().get("/x/queues/%2F/q/retrying?limit=1").await;
    assert_eq!(page["messages"][0]["retries"], 2);
}

#[tokio::test]
async fn publishers_are_shown_with_what_is_missing() {
    let publisher = |name: &str| {
        json!({
            "publisher": name, "received": 7, "missing": 3, "gaps": [[2, 3], [5, 5]],
            "duplicates": 1, "reordered": 4, "last": 10,
        })
    };
    let publishers = Broker::new().get("/x/queues/%2F/q/publishers").await;
    assert_eq!(publishers, json!([publisher("a"), publisher("b")]));
}

#[tokio::test]
async fn wrong_windows_and_closed_vhosts_are_refused() {
    let broker = Broker::new();
    broker
        .check_statuses(&[
            ("admin GET /x/exchanges/%2F/e/delayed?offset=-1", "", 400),
            ("admin GET /x/queues/%2F/q/retrying?limit=x", "", 400),
            ("admin GET /x/exchanges/%2F/amq.default/delayed", "", 400),
            ("manager GET /x/exchanges/%2F/e/delayed", "", 404),
            ("manager GET /x/queues/%2F/q/retrying", "", 404),
            ("manager GET /x/queues/%2F/q/publishers", "", 404),
            ("manager GET /x/queues/a%2Fb/q/publishers", "", 200),
        ])
        .await;
}
