//! `/api/queues`.

use axum::http::HeaderValue;
use leveret_admin_ui::management::{Object, QueueView};
use serde_json::json;

use crate::broker::{Broker, assert_has_keys, keys, request};

/// What RabbitMQ says of a queue and clients read, apart from what `extra` brings.
const KEYS: [&str; 19] = [
    "arguments",
    "auto_delete",
    "consumers",
    "durable",
    "effective_policy_definition",
    "exclusive",
    "message_bytes",
    "message_bytes_persistent",
    "message_bytes_ram",
    "message_bytes_ready",
    "message_bytes_unacknowledged",
    "messages",
    "messages_ready",
    "messages_unacknowledged",
    "name",
    "policy",
    "state",
    "type",
    "vhost",
];

fn full() -> QueueView {
    QueueView {
        vhost: "/".into(),
        name: "q".into(),
        queue_type: "classic".into(),
        durable: true,
        state: "running".into(),
        messages_ready: 5,
        messages_unacknowledged: 2,
        message_bytes_ready: 50,
        message_bytes_unacknowledged: 20,
        consumers: 1,
        policy: Some("p".into()),
        extra: Object::from_iter([
            ("memory".to_owned(), json!(9)),
            ("message_stats".to_owned(), json!({"publish": 7, "publish_details": {"rate": 0.5}})),
        ]),
        ..QueueView::default()
    }
}

#[tokio::test]
async fn a_queue_is_shown_with_its_counts_and_what_the_broker_adds() {
    let broker = Broker::new();
    broker.fake.state().add_queue(full());
    let queue = broker.get("/queues/%2F/q").await;
    assert_has_keys(&queue, &KEYS);
    assert_has_keys(
        &queue,
        &["memory", "message_stats", "consumer_details", "deliveries", "incoming"],
    );
    assert_eq!((&queue["messages"], &queue["message_bytes"]), (&json!(7), &json!(70)));
    assert_eq!(queue["message_stats"]["publish_details"]["rate"], json!(0.5));
    // Integers are integers: typed clients do not read 7.0.
    assert!(queue["messages"].is_u64());
    let list = broker.get("/queues").await;
    assert_has_keys(&list[0], &KEYS);
    assert!(!keys(&list[0]).contains("operator_policy"), "no value, no key");
    let columns = broker.get("/queues?columns=name,message_stats.publish,nope").await;
    assert_eq!(columns, json!([{"name": "q", "message_stats": {"publish": 7}}]));
}

#[tokio::test]
async fn a_queue_is_declared_purged_and_deleted() {
    let broker = Broker::new();
    let not_found = json!({"error": "Object Not Found", "reason": "Not Found"});
    let body =
        r#"{"durable":"true","auto_delete":false,"node":"n","arguments":{"x-max-length":5}}"#;
    let inequivalent = json!({"error": "bad_request", "reason": "inequivalent arg 'durable'"});
    let access = json!({"error": "not_authorised", "reason": "Access refused."});
    broker
        .check(&[
            ("manager PUT /queues/a%2Fb/q%2F1", body, 201, json!(null)),
            ("manager PUT /queues/a%2Fb/q%2F1", body, 204, json!(null)),
            ("manager PUT /queues/a%2Fb/q%2F1", "{}", 400, inequivalent),
            (
                "manager GET /queues/a%2Fb/q%2F1?columns=name,durable,arguments",
                "",
                200,
                json!({"name": "q/1", "durable": true, "arguments": {"x-max-length": 5}}),
            ),
            ("manager PUT /queues/a%2Fb/amq.q", "", 401, access.clone()),
            ("admin PUT /queues/a%2Fb/q", "", 401, access),
            (
                "admin PUT /queues/none/q",
                "",
                404,
                json!({"error": "not_found", "reason": "vhost_not_found"}),
            ),
            (
                "manager PUT /queues/%2F/q",
                "",
                404,
                json!({"error": "not_found", "reason": "Not Found"}),
            ),
            ("manager DELETE /queues/a%2Fb/q%2F1/contents", "", 204, json!(null)),
            ("manager DELETE /queues/a%2Fb/none/contents", "", 404, not_found.clone()),
            ("manager DELETE /queues/a%2Fb/q%2F1", "", 204, json!(null)),
            ("manager DELETE /queues/a%2Fb/q%2F1", "", 404, not_found),
        ])
        .await;
}

#[tokio::test]
async fn if_empty_and_if_unused_spare_a_queue() {
    let broker = Broker::new();
    broker.fake.state().add_queue(full());
    let refused = |what: &str| json!({"error": "bad_request", "reason": format!("queue 'q' in vhost '/' {what}")});
    broker
        .check(&[
            ("admin DELETE /queues/%2F/q?if-empty=true", "", 400, refused("not empty")),
            ("admin DELETE /queues/%2F/q?if-unused=true", "", 400, refused("in use")),
            ("admin DELETE /queues/%2F/q/contents", "", 204, json!(null)),
            ("admin DELETE /queues/%2F/q?if-empty=true", "", 204, json!(null)),
        ])
        .await;
}

#[tokio::test]
async fn lists_are_by_vhost_and_may_be_of_the_one_in_a_header() {
    let broker = Broker::new();
    for (vhost, name) in [("a/b", "q1"), ("/", "q2"), ("/", "q1")] {
        let queue = QueueView { vhost: vhost.into(), name: name.into(), ..QueueView::default() };
        broker.fake.state().add_queue(queue);
    }
    let one = |vhost: &str, name: &str| json!({"vhost": vhost, "name": name});
    let all = json!([one("/", "q1"), one("/", "q2"), one("a/b", "q1")]);
    assert_eq!(broker.get("/queues?columns=vhost,name").await, all);
    assert_eq!(broker.get("/queues/a%2Fb?columns=vhost,name").await, json!([one("a/b", "q1")]));
    for (user, vhost, expected) in [
        ("admin", "a/b", json!([one("a/b", "q1")])),
        ("manager", "a/b", json!([one("a/b", "q1")])),
        ("manager", "/", json!({"error": "not_found", "reason": "Not Found"})),
        ("admin", "none", json!({"error": "Object Not Found", "reason": "Not Found"})),
    ] {
        let mut request = request(&format!("{user} GET /queues?columns=vhost,name"), "");
        request.headers_mut().insert("x-vhost", HeaderValue::from_static(vhost));
        assert_eq!(broker.send(request).await.json(), expected, "{user} {vhost}");
    }
}

#[tokio::test]
async fn queues_come_in_pages_filtered_as_keda_asks() {
    let broker = Broker::new();
    for n in 0..120 {
        let queue =
            QueueView { vhost: "/".into(), name: format!("q{n:03}"), ..QueueView::default() };
        broker.fake.state().add_queue(queue);
    }
    let path = "/queues/%2F?page=1&use_regex=true&pagination=false&name=%5Eq00&page_size=100";
    let page = broker.get(path).await;
    assert_eq!((&page["filtered_count"], &page["page_count"]), (&json!(10), &json!(1)));
    let page = broker.get("/queues?page=2&sort=name&sort_reverse=true&columns=name").await;
    assert_eq!((&page["item_count"], &page["items"][0]), (&json!(20), &json!({"name": "q019"})));
}
