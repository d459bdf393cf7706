//! `/api/policies` and `/api/operator-policies`.

use serde_json::{Value, json};

use crate::broker::Broker;

const POLICY: &str = r#"{"pattern":"^q","definition":{"max-length":5}}"#;

#[tokio::test]
async fn a_policy_of_either_kind_is_created_changed_and_deleted() {
    for kind in ["policies", "operator-policies"] {
        let broker = Broker::new();
        let line = |method: &str| format!("admin {method} /{kind}/a%2Fb/p%2F1");
        let not_found = json!({"error": "Object Not Found", "reason": "Not Found"});
        let policy = |priority: Value, apply_to: &str| {
            json!({
                "vhost": "a/b", "name": "p/1", "pattern": "^q", "apply-to": apply_to,
                "definition": {"max-length": 5}, "priority": priority,
            })
        };
        let full =
            r#"{"pattern":"^q","definition":{"max-length":5},"priority":7.5,"apply-to":"queues"}"#;
        broker
            .check(&[
                (&line("GET"), "", 404, not_found.clone()),
                (&line("PUT"), POLICY, 201, json!(null)),
                (&line("GET"), "", 200, policy(json!(0), "all")),
                (&line("PUT"), full, 204, json!(null)),
                (&line("GET"), "", 200, policy(json!(7.5), "queues")),
                (&format!("admin GET /{kind}"), "", 200, json!([policy(json!(7.5), "queues")])),
                (
                    &format!("admin GET /{kind}/a%2Fb"),
                    "",
                    200,
                    json!([policy(json!(7.5), "queues")]),
                ),
                (&format!("admin GET /{kind}/%2F"), "", 200, json!([])),
                (&format!("admin GET /{kind}/none"), "", 404, not_found.clone()),
                (&line("DELETE"), "", 204, json!(null)),
                (&line("DELETE"), "", 404, not_found),
            ])
            .await;
    }
}

#[tokio::test]
async fn the_two_kinds_do_not_mix() {
    let broker = Broker::new();
    broker.check_statuses(&[("admin PUT /policies/%2F/p", POLICY, 201)]).await;
    assert_eq!(broker.get("/operator-policies").await, json!([]));
    broker.check_statuses(&[("admin GET /operator-policies/%2F/p", "", 404)]).await;
}

#[tokio::test]
async fn wrong_policies_are_refused() {
    let refused = |reason: &str| json!({"error": "bad_request", "reason": reason});
    let no_vhost = json!({"error": "not_found", "reason": "vhost_not_found"});
    let line = "admin PUT /policies/%2F/p";
    let missing = "[{key_missing,pattern},{key_missing,definition}]";
    // What is in the keys is the broker's business.
    let wrong = r#"{"pattern":5,"definition":{"a":1},"priority":"3"}"#;
    Broker::new()
        .check(&[
            (line, "{}", 400, refused(missing)),
            (line, wrong, 400, refused("no policy: the pattern is 5")),
            ("admin PUT /policies/none/p", POLICY, 404, no_vhost),
        ])
        .await;
}

#[tokio::test]
async fn who_may_see_and_change_policies() {
    let broker = Broker::new();
    broker
        .check_statuses(&[
            ("admin PUT /policies/%2F/p", POLICY, 201),
            // Lists are for anyone with access to the vhost; one policy, and changes, for policymakers.
            ("manager GET /policies/a%2Fb", "", 200),
            ("manager GET /policies/%2F", "", 404),
            ("manager GET /policies/a%2Fb/p", "", 401),
            ("monitor PUT /policies/a%2Fb/p", POLICY, 401),
            ("maker PUT /policies/a%2Fb/p", POLICY, 201),
            ("maker GET /policies/a%2Fb/p", "", 200),
            ("maker PUT /policies/%2F/p", POLICY, 404),
            ("maker DELETE /policies/%2F/p", "", 404),
            ("manager DELETE /policies/a%2Fb/p", "", 401),
            ("manager GET /operator-policies/a%2Fb", "", 200),
            ("maker GET /operator-policies/a%2Fb/p", "", 401),
            ("maker PUT /operator-policies/a%2Fb/p", POLICY, 401),
            ("maker DELETE /operator-policies/a%2Fb/p", "", 401),
        ])
        .await;
    let seen = broker.ask("manager GET /policies?columns=vhost", "").await.json();
    assert_eq!(seen, json!([{"vhost": "a/b"}]));
}
