//! `/api/vhost-limits` and `/api/user-limits`.

use serde_json::json;

use crate::broker::Broker;

#[tokio::test]
async fn limits_of_a_vhost_are_set_and_removed() {
    let refused = |reason: &str| json!({"error": "bad_request", "reason": reason});
    let no_vhost = json!({"error": "not_found", "reason": "vhost_not_found"});
    let limits = json!([{"vhost": "a/b", "value": {"max-queues": 5}}]);
    Broker::new()
        .check(&[
            ("admin PUT /vhost-limits/a%2Fb/max-queues", r#"{"value":5}"#, 204, json!(null)),
            ("admin GET /vhost-limits", "", 200, limits.clone()),
            ("admin GET /vhost-limits/a%2Fb", "", 200, limits),
            ("admin GET /vhost-limits/%2F", "", 200, json!([])),
            (
                "admin GET /vhost-limits/none",
                "",
                404,
                json!({"error": "Object Not Found", "reason": "Not Found"}),
            ),
            (
                "admin PUT /vhost-limits/a%2Fb/max-queues",
                "{}",
                400,
                refused("[{key_missing,value}]"),
            ),
            (
                "admin PUT /vhost-limits/a%2Fb/max-queues",
                r#"{"value":"x"}"#,
                400,
                refused("no limit: max-queues \"x\""),
            ),
            (
                "admin PUT /vhost-limits/a%2Fb/max-queues",
                r#"{"value":null}"#,
                400,
                refused("no limit: max-queues null"),
            ),
            (
                "admin PUT /vhost-limits/a%2Fb/nope",
                r#"{"value":1}"#,
                400,
                refused("no limit: nope 1"),
            ),
            ("admin PUT /vhost-limits/none/max-queues", r#"{"value":1}"#, 404, no_vhost.clone()),
            ("admin DELETE /vhost-limits/none/max-queues", "", 404, no_vhost),
            ("admin DELETE /vhost-limits/a%2Fb/max-queues", "", 204, json!(null)),
            ("admin DELETE /vhost-limits/a%2Fb/max-queues", "", 204, json!(null)),
            ("admin DELETE /vhost-limits/a%2Fb/nope", "", 204, json!(null)),
            ("admin GET /vhost-limits", "", 200, json!([])),
        ])
        .await;
}

#[tokio::test]
async fn who_may_see_and_change_limits_of_vhosts() {
    let broker = Broker::new();
    broker
        .check_statuses(&[
            ("admin PUT /vhost-limits/%2F/max-queues", r#"{"value":5}"#, 204),
            ("manager GET /vhost-limits/a%2Fb", "", 200),
            ("manager GET /vhost-limits/%2F", "", 404),
            ("monitor GET /vhost-limits/%2F", "", 200),
            ("maker PUT /vhost-limits/a%2Fb/max-queues", r#"{"value":5}"#, 401),
            ("maker DELETE /vhost-limits/a%2Fb/max-queues", "", 401),
        ])
        .await;
    for (user, seen) in [("manager", 0), ("maker", 0), ("monitor", 1), ("admin", 1)] {
        let list = broker.ask(&format!("{user} GET /vhost-limits"), "").await.json();
        assert_eq!(list.as_array().unwrap().len(), seen, "{user}");
    }
}

#[tokio::test]
async fn limits_of_a_user_are_set_and_removed() {
    let refused = |reason: &str| json!({"error": "bad_request", "reason": reason});
    let limits = json!([{"user": "app", "value": {"max-channels": 5}}]);
    let broker = Broker::new();
    broker
        .check(&[
            ("admin PUT /user-limits/app/max-channels", r#"{"value":5}"#, 204, json!(null)),
            ("admin GET /user-limits", "", 200, limits.clone()),
            ("admin GET /user-limits/app", "", 200, limits),
            ("admin GET /user-limits/admin", "", 200, json!([])),
            (
                "admin GET /user-limits/none",
                "",
                404,
                json!({"error": "Object Not Found", "reason": "Not Found"}),
            ),
            (
                "admin GET /users/app?columns=limits",
                "",
                200,
                json!({"limits": {"max-channels": 5}}),
            ),
            (
                "admin PUT /user-limits/none/max-channels",
                r#"{"value":5}"#,
                400,
                refused("no_such_user"),
            ),
            (
                "admin PUT /user-limits/app/max-queues",
                r#"{"value":5}"#,
                400,
                refused("no limit: max-queues 5"),
            ),
            ("admin DELETE /user-limits/app/max-channels", "", 204, json!(null)),
            ("admin DELETE /user-limits/app/max-channels", "", 204, json!(null)),
            ("admin GET /user-limits", "", 200, json!([])),
        ])
        .await;
}

#[tokio::test]
async fn who_may_see_and_change_limits_of_users() {
    Broker::new()
        .check_statuses(&[
            ("manager GET /user-limits", "", 401),
            ("monitor GET /user-limits", "", 401),
            ("manager GET /user-limits/manager", "", 200),
            ("manager GET /user-limits/admin", "", 401),
            ("monitor GET /user-limits/admin", "", 200),
            ("maker PUT /user-limits/maker/max-channels", r#"{"value":5}"#, 401),
            ("maker DELETE /user-limits/maker/max-channels", "", 401),
        ])
        .await;
}
