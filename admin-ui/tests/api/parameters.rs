//! `/api/parameters` and `/api/global-parameters`.

use serde_json::json;

use crate::broker::Broker;

const POLICY: &str = r#"{"pattern":"^q","definition":{"max-length":5}}"#;

#[tokio::test]
async fn a_parameter_is_created_changed_and_deleted() {
    let not_found = json!({"error": "Object Not Found", "reason": "Not Found"});
    let refused = |reason: &str| json!({"error": "bad_request", "reason": reason});
    let parameter =
        json!({"value": {"a": [1]}, "vhost": "a/b", "component": "shovel", "name": "s"});
    let body = r#"{"value":{"a":[1]}}"#;
    Broker::new()
        .check(&[
            ("admin GET /parameters/shovel/a%2Fb/s", "", 404, not_found.clone()),
            ("admin PUT /parameters/shovel/a%2Fb/s", body, 201, json!(null)),
            ("admin PUT /parameters/shovel/a%2Fb/s", body, 204, json!(null)),
            ("admin GET /parameters/shovel/a%2Fb/s", "", 200, parameter.clone()),
            ("admin GET /parameters", "", 200, json!([parameter])),
            ("admin GET /parameters/shovel", "", 200, json!([parameter])),
            ("admin GET /parameters/shovel/a%2Fb", "", 200, json!([parameter])),
            ("admin GET /parameters/shovel/%2F", "", 200, json!([])),
            ("admin GET /parameters/nope", "", 200, json!([])),
            ("admin GET /parameters/shovel/none", "", 404, not_found.clone()),
            ("admin PUT /parameters/shovel/a%2Fb/s", "{}", 400, refused("[{key_missing,value}]")),
            ("admin PUT /parameters/nope/%2F/s", body, 400, refused("no component: nope")),
            (
                "admin PUT /parameters/shovel/none/s",
                body,
                404,
                json!({"error": "not_found", "reason": "vhost_not_found"}),
            ),
            ("admin DELETE /parameters/shovel/a%2Fb/s", "", 204, json!(null)),
            ("admin DELETE /parameters/shovel/a%2Fb/s", "", 404, not_found),
        ])
        .await;
}

#[tokio::test]
async fn policies_and_limits_are_seen_as_parameters() {
    let broker = Broker::new();
    broker
        .check_statuses(&[
            ("admin PUT /policies/%2F/p", POLICY, 201),
            ("admin PUT /operator-policies/%2F/o", POLICY, 201),
            ("admin PUT /vhost-limits/a%2Fb/max-queues", r#"{"value":5}"#, 204),
        ])
        .await;
    let value =
        json!({"pattern": "^q", "apply-to": "all", "definition": {"max-length": 5}, "priority": 0});
    let policy = json!({"value": value, "vhost": "/", "component": "policy", "name": "p"});
    let operator =
        json!({"value": value, "vhost": "/", "component": "operator_policy", "name": "o"});
    let limits = json!({"value": {"max-queues": 5}, "vhost": "a/b", "component": "vhost-limits", "name": "limits"});
    let not_found = json!({"error": "Object Not Found", "reason": "Not Found"});
    broker
        .check(&[
            ("admin GET /parameters", "", 200, json!([operator, limits])),
            ("maker GET /parameters", "", 200, json!([limits])),
            ("admin GET /parameters/policy", "", 200, json!([policy])),
            ("admin GET /parameters/policy/%2F/p", "", 200, policy),
            ("admin GET /parameters/policy/%2F/o", "", 404, not_found.clone()),
            ("admin GET /parameters/operator_policy/%2F", "", 200, json!([operator])),
            ("admin GET /parameters/vhost-limits/a%2Fb/limits", "", 200, limits),
            ("admin GET /parameters/vhost-limits/none", "", 404, not_found),
        ])
        .await;
    // Whether they are changed so is the broker's business.
    let line = |method: &str| format!("maker {method} /parameters/policy/a%2Fb/p");
    let refused = |reason: &str| json!({"error": "bad_request", "reason": reason});
    broker
        .check(&[
            (&line("PUT"), r#"{"value":{}}"#, 400, refused("no component: policy")),
            (&line("DELETE"), "", 400, refused("not by this method")),
        ])
        .await;
}

#[tokio::test]
async fn a_global_parameter_is_created_changed_and_deleted() {
    let not_found = json!({"error": "Object Not Found", "reason": "Not Found"});
    let missing = json!({"error": "bad_request", "reason": "[{key_missing,value}]"});
    Broker::new()
        .check(&[
            ("maker PUT /global-parameters/g", r#"{"value":null}"#, 201, json!(null)),
            ("maker PUT /global-parameters/g", r#"{"value":"x"}"#, 204, json!(null)),
            ("maker GET /global-parameters/g", "", 200, json!({"name": "g", "value": "x"})),
            ("maker GET /global-parameters", "", 200, json!([{"name": "g", "value": "x"}])),
            ("maker PUT /global-parameters/g", "{}", 400, missing),
            ("maker DELETE /global-parameters/g", "", 204, json!(null)),
            ("maker DELETE /global-parameters/g", "", 404, not_found.clone()),
            ("maker GET /global-parameters/g", "", 404, not_found),
        ])
        .await;
}

#[tokio::test]
async fn parameters_are_for_policymakers() {
    let broker = Broker::new();
    let refused =
        json!({"error": "not_authorised", "reason": "User not authorised to access object"});
    for user in ["manager", "monitor"] {
        for request in [
            "GET /parameters",
            "GET /parameters/shovel",
            "GET /parameters/shovel/a%2Fb",
            "PUT /parameters/shovel/a%2Fb/s",
            "DELETE /parameters/shovel/a%2Fb/s",
            "GET /global-parameters",
            "PUT /global-parameters/g",
            "DELETE /global-parameters/g",
        ] {
            broker.check(&[(&format!("{user} {request}"), "{}", 401, refused.clone())]).await;
        }
    }
    broker.check_statuses(&[("maker PUT /parameters/shovel/%2F/s", r#"{"value":1}"#, 404)]).await;
}
