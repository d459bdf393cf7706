//! `/api/permissions` and `/api/topic-permissions`.

use serde_json::json;

use crate::broker::Broker;

#[tokio::test]
async fn permissions_are_given_and_taken() {
    let broker = Broker::new();
    let not_found = json!({"error": "Object Not Found", "reason": "Not Found"});
    let refused = |reason: &str| json!({"error": "bad_request", "reason": reason});
    let all = r#"{"configure":"^c","write":"","read":".*"}"#;
    let permission =
        json!({"user": "app", "vhost": "/", "configure": "^c", "write": "", "read": ".*"});
    let missing = refused("[{key_missing,write},{key_missing,read}]");
    broker
        .check(&[
            ("admin GET /permissions/%2F/app", "", 404, not_found.clone()),
            ("admin PUT /permissions/%2F/app", all, 201, json!(null)),
            ("admin PUT /permissions/%2F/app", all, 204, json!(null)),
            ("admin GET /permissions/%2F/app", "", 200, permission),
            ("admin PUT /permissions/%2F/app", r#"{"configure":""}"#, 400, missing),
            ("admin PUT /permissions/%2F/nobody", all, 400, refused("vhost_or_user_not_found")),
            ("admin PUT /permissions/nowhere/app", all, 400, refused("vhost_or_user_not_found")),
            (
                "admin PUT /permissions/%2F/app",
                r#"{"configure":5,"write":"","read":""}"#,
                400,
                refused("configure should be a string"),
            ),
            ("admin DELETE /permissions/%2F/app", "", 204, json!(null)),
            ("admin DELETE /permissions/%2F/app", "", 404, not_found),
        ])
        .await;
}

#[tokio::test]
async fn permissions_are_listed_by_vhost_and_user() {
    let list = Broker::new().get("/permissions?columns=vhost,user").await;
    let expected = json!([
        {"vhost": "/", "user": "admin"}, {"vhost": "a/b", "user": "app"}, {"vhost": "a/b", "user": "maker"},
        {"vhost": "a/b", "user": "manager"}, {"vhost": "a/b", "user": "monitor"},
    ]);
    assert_eq!(list, expected);
}

#[tokio::test]
async fn topic_permissions_are_one_for_each_exchange() {
    let broker = Broker::new();
    let not_found = json!({"error": "Object Not Found", "reason": "Not Found"});
    let refused = |reason: &str| json!({"error": "bad_request", "reason": reason});
    let of = |exchange: &str| json!({"user": "app", "vhost": "/", "exchange": exchange, "write": "w", "read": "r"});
    let body = |exchange: &str| format!(r#"{{"exchange":"{exchange}","write":"w","read":"r"}}"#);
    let missing = refused("[{key_missing,exchange},{key_missing,write},{key_missing,read}]");
    broker
        .check(&[
            ("admin GET /topic-permissions/%2F/app", "", 404, not_found.clone()),
            ("admin PUT /topic-permissions/%2F/app", &body("e"), 201, json!(null)),
            ("admin PUT /topic-permissions/%2F/app", &body("e"), 204, json!(null)),
            ("admin PUT /topic-permissions/%2F/app", &body("f"), 201, json!(null)),
            ("admin PUT /topic-permissions/%2F/app", &body("g"), 201, json!(null)),
            ("admin PUT /topic-permissions/%2F/app", "{}", 400, missing),
            (
                "admin PUT /topic-permissions/%2F/nobody",
                &body("e"),
                400,
                refused("vhost_or_user_not_found"),
            ),
            ("admin DELETE /topic-permissions/%2F/app/f", "", 204, json!(null)),
            ("admin DELETE /topic-permissions/%2F/app/f", "", 404, not_found.clone()),
            ("admin GET /topic-permissions", "", 200, json!([of("e"), of("g")])),
            ("admin GET /topic-permissions/%2F/app", "", 200, json!([of("e"), of("g")])),
            ("admin DELETE /topic-permissions/%2F/app", "", 204, json!(null)),
            ("admin DELETE /topic-permissions/%2F/app", "", 404, not_found),
        ])
        .await;
}

#[tokio::test]
async fn only_an_administrator_sees_and_changes_permissions() {
    let broker = Broker::new();
    let refused = json!({"error": "not_authorised", "reason": "Not administrator user"});
    for user in ["maker", "monitor", "manager"] {
        for kind in ["permissions", "topic-permissions"] {
            for request in [
                format!("GET /{kind}"),
                format!("GET /{kind}/a%2Fb/{user}"),
                format!("PUT /{kind}/a%2Fb/{user}"),
                format!("DELETE /{kind}/a%2Fb/{user}"),
            ] {
                broker.check(&[(&format!("{user} {request}"), "{}", 401, refused.clone())]).await;
            }
        }
    }
}
