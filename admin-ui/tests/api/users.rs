//! `/api/users`.

use serde_json::json;

use crate::broker::Broker;

#[tokio::test]
async fn a_user_is_created_changed_and_deleted() {
    let broker = Broker::new();
    let not_found = json!({"error": "Object Not Found", "reason": "Not Found"});
    let user = |hash: &str, algorithm: &str, tags: &[&str]| json!({"name": "a b", "password_hash": hash, "hashing_algorithm": algorithm, "tags": tags, "limits": {}});
    let hashed = r#"{"password_hash":"aGFzaA==","hashing_algorithm":"rabbit_password_hashing_sha512","tags":""}"#;
    broker
        .check(&[
            ("admin GET /users/a%20b", "", 404, not_found.clone()),
            (
                "admin PUT /users/a%20b",
                r#"{"password":"p","tags":"management, x,"}"#,
                201,
                json!(null),
            ),
            ("admin GET /users/a%20b", "", 200, user("p", "plain", &["management", "x"])),
            (
                "admin PUT /users/a%20b",
                r#"{"password_hash":"aGFzaA==","tags":["x"]}"#,
                204,
                json!(null),
            ),
            ("admin GET /users/a%20b", "", 200, user("aGFzaA==", "default", &["x"])),
            ("admin PUT /users/a%20b", hashed, 204, json!(null)),
            (
                "admin GET /users/a%20b",
                "",
                200,
                user("aGFzaA==", "rabbit_password_hashing_sha512", &[]),
            ),
            ("admin PUT /users/a%20b", r#"{"tags":[]}"#, 204, json!(null)),
            ("admin GET /users/a%20b", "", 200, user("", "none", &[])),
            ("admin DELETE /users/a%20b", "", 204, json!(null)),
            ("admin DELETE /users/a%20b", "", 404, not_found),
        ])
        .await;
}

#[tokio::test]
async fn an_empty_password_or_hash_is_no_password() {
    let broker = Broker::new();
    for body in [
        r#"{"password":"","tags":""}"#,
        r#"{"password_hash":"","tags":""}"#,
        r#"{"password":null,"tags":""}"#,
    ] {
        broker.ask("admin PUT /users/u", body).await;
        assert_eq!(broker.get("/users/u").await["hashing_algorithm"], "none", "{body}");
    }
}

#[tokio::test]
async fn wrong_settings_are_refused() {
    let refused = |reason: &str| json!({"error": "bad_request", "reason": reason});
    let both = r#"{"password":"p","password_hash":"h","tags":""}"#;
    Broker::new()
        .check(&[
            ("admin PUT /users/u", r#"{"password":"p"}"#, 400, refused("tags_not_present")),
            (
                "admin PUT /users/u",
                both,
                400,
                refused("both_password_and_password_hash_are_provided"),
            ),
            (
                "admin PUT /users/u",
                r#"{"password":5,"tags":""}"#,
                400,
                refused("password should be a string"),
            ),
            (
                "admin PUT /users/u",
                r#"{"password":"p","tags":5}"#,
                400,
                refused("tags should be a list of strings"),
            ),
            ("admin POST /users/bulk-delete", "{}", 400, refused("[{key_missing,users}]")),
            (
                "admin POST /users/bulk-delete",
                r#"{"users":5}"#,
                400,
                refused("users should be a list of strings"),
            ),
        ])
        .await;
}

#[tokio::test]
async fn bulk_deletion_passes_over_names_that_do_not_exist() {
    let broker = Broker::new();
    let body = r#"{"users":["app","nobody","maker"]}"#;
    broker.check_statuses(&[("admin POST /users/bulk-delete", body, 204)]).await;
    let left = broker.get("/users?columns=name").await;
    assert_eq!(left, json!([{"name": "admin"}, {"name": "manager"}, {"name": "monitor"}]));
}

#[tokio::test]
async fn only_an_administrator_sees_and_changes_users() {
    let broker = Broker::new();
    let refused = json!({"error": "not_authorised", "reason": "Not administrator user"});
    for user in ["maker", "monitor", "manager"] {
        for request in [
            "GET /users".to_owned(),
            format!("GET /users/{user}"),
            format!("PUT /users/{user}"),
            "DELETE /users/app".to_owned(),
            "POST /users/bulk-delete".to_owned(),
            format!("GET /users/{user}/permissions"),
            format!("GET /users/{user}/topic-permissions"),
        ] {
            broker.check(&[(&format!("{user} {request}"), "{}", 401, refused.clone())]).await;
        }
    }
}

#[tokio::test]
async fn permissions_of_a_user() {
    let broker = Broker::new();
    let topic = r#"{"exchange":"e","write":"w","read":"r"}"#;
    broker.check_statuses(&[("admin PUT /topic-permissions/%2F/app", topic, 201)]).await;
    let permissions = broker.get("/users/app/permissions?columns=vhost,user").await;
    assert_eq!(permissions, json!([{"vhost": "a/b", "user": "app"}]));
    let topics = json!([{"user": "app", "vhost": "/", "exchange": "e", "write": "w", "read": "r"}]);
    assert_eq!(broker.get("/users/app/topic-permissions").await, topics);
    broker
        .check_statuses(&[
            ("admin GET /users/none/permissions", "", 404),
            ("admin GET /users/none/topic-permissions", "", 404),
        ])
        .await;
}

#[tokio::test]
async fn users_come_in_pages() {
    let page = Broker::new().get("/users?page=2&page_size=2&columns=name").await;
    assert_eq!(page["items"], json!([{"name": "maker"}, {"name": "manager"}]));
    assert_eq!((&page["page_count"], &page["total_count"]), (&json!(3), &json!(5)));
}
