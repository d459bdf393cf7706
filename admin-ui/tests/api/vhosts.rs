//! `/api/vhosts`.

use serde_json::{Value, json};

use crate::broker::{Broker, assert_has_keys};

#[tokio::test]
async fn a_vhost_is_created_changed_and_deleted() {
    let broker = Broker::new();
    let not_found = json!({"error": "Object Not Found", "reason": "Not Found"});
    let type_refused = json!({"error": "bad_request", "reason": "nope is not a valid queue type"});
    let settings =
        r#"{"description":"d","tags":"a, b","default_queue_type":"quorum","tracing":"true"}"#;
    broker
        .check(&[
            ("admin GET /vhosts/c%2Fd", "", 404, not_found.clone()),
            ("admin PUT /vhosts/c%2Fd", settings, 201, json!(null)),
            ("admin PUT /vhosts/c%2Fd", settings, 204, json!(null)),
            ("admin PUT /vhosts/c%2Fd", r#"{"default_queue_type":"nope"}"#, 400, type_refused),
        ])
        .await;
    let vhost = broker.get("/vhosts/c%2Fd").await;
    let expected = json!({
        "name": "c/d", "description": "d", "tags": ["a", "b"], "default_queue_type": "quorum",
        "metadata": {"description": "d", "tags": ["a", "b"], "default_queue_type": "quorum"},
        "tracing": true, "protected_from_deletion": false,
        "messages": 0, "messages_ready": 0, "messages_unacknowledged": 0,
    });
    assert_eq!(vhost, expected);
    broker
        .check(&[
            ("admin PUT /vhosts/c%2Fd", "", 204, json!(null)),
            (
                "admin GET /vhosts/c%2Fd?columns=description,tags",
                "",
                200,
                json!({"description": "", "tags": []}),
            ),
            ("admin DELETE /vhosts/c%2Fd", "", 204, json!(null)),
            ("admin DELETE /vhosts/c%2Fd", "", 404, not_found),
        ])
        .await;
}

#[tokio::test]
async fn a_vhost_is_protected_from_deletion_until_it_is_no_longer() {
    let not_found = json!({"error": "Object Not Found", "reason": "Not Found"});
    let refused = json!({"error": "precondition_failed", "reason": "a/b is protected"});
    let line = |method: &str| format!("admin {method} /vhosts/a%2Fb/deletion/protection");
    let shown = |protected: bool| json!({ "protected_from_deletion": protected });
    let shows = "admin GET /vhosts/a%2Fb?columns=protected_from_deletion";
    let broker = Broker::new();
    broker
        .check(&[
            (&line("POST"), "", 204, json!(null)),
            (&line("POST"), "", 204, json!(null)),
            (shows, "", 200, shown(true)),
            ("admin DELETE /vhosts/a%2Fb", "", 412, refused),
            (&line("DELETE"), "", 204, json!(null)),
            (shows, "", 200, shown(false)),
            ("admin DELETE /vhosts/a%2Fb", "", 204, json!(null)),
            (&line("POST"), "", 404, not_found.clone()),
            (&line("DELETE"), "", 404, not_found),
        ])
        .await;
    broker.check_statuses(&[("maker POST /vhosts/%2F/deletion/protection", "", 401)]).await;
}

#[tokio::test]
async fn a_vhost_has_the_keys_that_rabbitmq_gives_it() {
    let keys = [
        "name",
        "description",
        "tags",
        "default_queue_type",
        "metadata",
        "tracing",
        "messages",
        "messages_ready",
        "messages_unacknowledged",
        "protected_from_deletion",
    ];
    let vhosts = Broker::new().get("/vhosts").await;
    assert_has_keys(&vhosts[0], &keys);
    assert_eq!(vhosts[0]["default_queue_type"], "undefined");
}

#[tokio::test]
async fn wrong_fields_are_refused_with_a_reason_that_is_a_string() {
    let broker = Broker::new();
    let bodies = [
        r#"{"description":5}"#,
        r#"{"tags":5}"#,
        r#"{"tags":[5]}"#,
        r#"{"tracing":"maybe"}"#,
        r#"{"default_queue_type":[]}"#,
    ];
    for body in bodies {
        let answer = broker.ask("admin PUT /vhosts/v", body).await;
        assert_eq!(answer.status.as_u16(), 400, "{body}");
        assert_eq!(answer.json()["error"], "bad_request", "{body}");
        assert!(answer.json()["reason"].is_string(), "{body}");
    }
}

#[tokio::test]
async fn who_may_see_and_change_vhosts() {
    let broker = Broker::new();
    let names = |value: &Value| {
        let list = value.as_array().unwrap();
        list.iter().map(|vhost| vhost["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    for (user, expected) in [
        ("admin", vec!["/", "a/b"]),
        ("monitor", vec!["/", "a/b"]),
        ("manager", vec!["a/b"]),
        ("maker", vec!["a/b"]),
    ] {
        let list = broker.ask(&format!("{user} GET /vhosts"), "").await.json();
        assert_eq!(names(&list), expected, "{user}");
    }
    let refused = json!({"error": "not_authorised", "reason": "Not administrator user"});
    for user in ["maker", "monitor", "manager"] {
        for request in [
            "GET /vhosts/a%2Fb",
            "PUT /vhosts/v",
            "DELETE /vhosts/a%2Fb",
            "GET /vhosts/a%2Fb/permissions",
        ] {
            broker.check(&[(&format!("{user} {request}"), "", 401, refused.clone())]).await;
        }
    }
}

#[tokio::test]
async fn permissions_of_a_vhost() {
    let broker = Broker::new();
    let expected =
        json!([{"user": "admin", "vhost": "/", "configure": ".*", "write": ".*", "read": ".*"}]);
    assert_eq!(broker.get("/vhosts/%2F/permissions").await, expected);
    assert_eq!(broker.get("/vhosts/%2F/topic-permissions").await, json!([]));
    broker
        .check_statuses(&[
            ("admin GET /vhosts/none/permissions", "", 404),
            ("admin GET /vhosts/none/topic-permissions", "", 404),
        ])
        .await;
}

#[tokio::test]
async fn vhosts_come_in_pages() {
    let page = Broker::new().get("/vhosts?page=1&name=A%2F&columns=name").await;
    assert_eq!(page["items"], json!([{"name": "a/b"}]));
    assert_eq!((&page["total_count"], &page["filtered_count"]), (&json!(2), &json!(1)));
}
