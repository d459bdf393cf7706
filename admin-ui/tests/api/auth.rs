//! Who gets in: credentials, tags, and what is remembered of a login.

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use serde_json::json;

use crate::broker::{Broker, basic, request, request_from};

fn with(path: &str, headers: &[(&str, &str)]) -> Request<Body> {
    let mut request = Request::builder().uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Body::empty()).unwrap()
}

#[tokio::test]
async fn without_credentials_a_browser_is_asked_and_a_script_is_not() {
    let broker = Broker::new();
    let bare = broker.send(with("/api/whoami", &[])).await;
    assert_eq!((bare.status, bare.text.as_str()), (StatusCode::UNAUTHORIZED, ""));
    assert_eq!(bare.headers[header::WWW_AUTHENTICATE], "Basic realm=\"RabbitMQ Management\"");
    let script = broker.send(with("/api/whoami", &[("sec-fetch-mode", "cors")])).await;
    assert_eq!(script.status, StatusCode::UNAUTHORIZED);
    assert!(!script.headers.contains_key(header::WWW_AUTHENTICATE));
}

#[tokio::test]
async fn wrong_credentials_are_refused_in_the_words_of_rabbitmq() {
    let broker = Broker::new();
    let refused = json!({"error": "not_authorized", "reason": "Not_Authorized"});
    for (name, password) in [("admin", "wrong"), ("nobody", "nobody"), ("admin", "")] {
        let basic = basic(name, password);
        let answer = broker.send(with("/api/whoami", &[("authorization", &basic)])).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{name}");
        assert_eq!(answer.json(), refused, "{name}");
    }
    let remote = request_from("192.0.2.1".parse().unwrap(), "admin GET /whoami", "");
    let answer = broker.send(remote).await;
    let local = json!({"error": "not_authorised", "reason": "User can only log in via localhost"});
    assert_eq!((answer.status, answer.json()), (StatusCode::UNAUTHORIZED, local));
}

#[tokio::test]
async fn a_client_whose_address_is_unknown_is_not_taken_for_a_local_one() {
    let broker = Broker::new();
    let basic = basic("admin", "admin");
    let answer = broker.send(with("/api/whoami", &[("authorization", &basic)])).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn whoami_says_name_and_tags() {
    let answer = json!({"name": "manager", "tags": ["management"], "is_internal_user": true});
    Broker::new().check(&[("manager GET /whoami", "", 200, answer)]).await;
}

#[tokio::test]
async fn every_route_asks_for_credentials_and_a_tag() {
    let broker = Broker::new();
    let paths = [
        "GET /overview",
        "GET /whoami",
        "GET /users",
        "POST /users/bulk-delete",
        "PUT /users/u",
        "GET /users/u/permissions",
        "GET /users/u/topic-permissions",
        "GET /user-limits",
        "GET /user-limits/app",
        "DELETE /user-limits/u/max-channels",
        "GET /permissions",
        "PUT /permissions/%2F/u",
        "GET /topic-permissions",
        "DELETE /topic-permissions/%2F/u",
        "DELETE /topic-permissions/%2F/u/e",
        "GET /vhosts",
        "DELETE /vhosts/%2F",
        "GET /vhosts/%2F/permissions",
        "GET /vhosts/%2F/topic-permissions",
        "GET /vhost-limits",
        "GET /vhost-limits/a%2Fb",
        "PUT /vhost-limits/a%2Fb/max-queues",
        "GET /exchanges",
        "GET /exchanges/a%2Fb",
        "DELETE /exchanges/a%2Fb/e",
        "POST /exchanges/a%2Fb/e/publish",
        "GET /queues",
        "GET /queues/a%2Fb",
        "PUT /queues/a%2Fb/q",
        "DELETE /queues/a%2Fb/q/contents",
        "GET /bindings",
        "GET /bindings/a%2Fb",
        "GET /x/exchanges/a%2Fb/e/delayed",
        "GET /x/queues/a%2Fb/q/retrying",
        "GET /x/queues/a%2Fb/q/publishers",
        "GET /policies",
        "GET /policies/a%2Fb",
        "PUT /policies/a%2Fb/p",
        "GET /operator-policies",
        "GET /operator-policies/a%2Fb",
        "DELETE /operator-policies/a%2Fb/p",
        "GET /parameters",
        "GET /parameters/shovel",
        "GET /parameters/shovel/a%2Fb",
        "PUT /parameters/shovel/a%2Fb/s",
        "GET /global-parameters",
        "DELETE /global-parameters/g",
    ];
    let no_tag = json!({"error": "not_authorised", "reason": "Not management user"});
    for path in paths {
        broker.check(&[(&format!("app {path}"), "", 401, no_tag.clone())]).await;
        let mut anonymous = request(&format!("app {path}"), "");
        anonymous.headers_mut().remove(header::AUTHORIZATION);
        assert_eq!(broker.send(anonymous).await.status, StatusCode::UNAUTHORIZED, "{path}");
    }
}

#[tokio::test]
async fn a_login_is_remembered_until_users_change() {
    let broker = Broker::new();
    let ok = ("manager GET /whoami", "", 200);
    broker.check_statuses(&[ok, ok, ok]).await;
    assert_eq!(broker.fake.state().logins, 1);
    broker.check_statuses(&[("admin DELETE /users/manager", "", 204)]).await;
    broker.check_statuses(&[("manager GET /whoami", "", 401)]).await;
}

#[tokio::test]
async fn a_changed_password_or_tag_holds_at_once() {
    let broker = Broker::new();
    let tags = r#"{"password":"manager","tags":"administrator"}"#;
    let password = r#"{"password":"new","tags":"administrator"}"#;
    broker
        .check_statuses(&[
            ("manager GET /users", "", 401),
            ("admin PUT /users/manager", tags, 204),
            ("manager GET /users", "", 200),
            ("admin PUT /users/manager", password, 204),
            ("manager GET /users", "", 401),
        ])
        .await;
}

#[tokio::test]
async fn a_failed_login_is_not_remembered() {
    let broker = Broker::new();
    let wrong = ("late GET /whoami", "", 401);
    broker.check_statuses(&[wrong, wrong]).await;
    assert_eq!(broker.fake.state().logins, 2);
}

#[tokio::test(start_paused = true)]
async fn a_remembered_login_ends_by_itself() {
    let broker = Broker::new();
    let ok = ("manager GET /whoami", "", 200);
    broker.check_statuses(&[ok]).await;
    tokio::time::advance(std::time::Duration::from_secs(61)).await;
    broker.check_statuses(&[ok]).await;
    assert_eq!(broker.fake.state().logins, 2);
}
