//! What holds for every answer: paths, methods, `Accept`, bodies.

use axum::http::{HeaderValue, StatusCode, header};
use serde_json::json;

use crate::broker::{Broker, request};

#[tokio::test]
async fn unknown_paths_and_methods_are_refused() {
    let broker = Broker::new();
    let not_found = json!({"error": "Object Not Found", "reason": "Not Found"});
    broker
        .check(&[
            ("admin GET /nope", "", 404, not_found.clone()),
            ("admin GET /queues/%2F/q/nope", "", 404, not_found.clone()),
            ("admin GET /vhosts/a%FFb", "", 404, not_found.clone()),
            ("admin GET /queues/a%FFb", "", 404, not_found),
            ("admin POST /whoami", "", 405, json!(null)),
        ])
        .await;
    let answer = broker.ask("admin POST /whoami", "").await;
    assert_eq!(answer.headers[header::ALLOW], "GET,HEAD");
}

#[tokio::test]
async fn options_lists_the_methods_without_credentials() {
    let broker = Broker::new();
    let mut options = request("x OPTIONS /users/u", "");
    options.headers_mut().remove(header::AUTHORIZATION);
    let answer = broker.send(options).await;
    assert_eq!((answer.status, answer.text.as_str()), (StatusCode::OK, ""));
    assert_eq!(answer.headers[header::ALLOW], "GET,HEAD,PUT,DELETE");
}

#[tokio::test]
async fn a_trailing_slash_changes_nothing() {
    let broker = Broker::new();
    for path in ["/users", "/permissions", "/vhosts", "/queues/%2F", "/whoami"] {
        assert_eq!(broker.get(path).await, broker.get(&format!("{path}/")).await, "{path}");
    }
}

#[tokio::test]
async fn only_json_is_served_and_always_as_json() {
    let broker = Broker::new();
    let table = [
        ("*/*", 200),
        ("application/json", 200),
        ("application/bert, application/json;q=0.1", 200),
        ("text/html,*/*;q=0.8", 200),
        ("text/html", 406),
        ("application/jsonx", 406),
    ];
    for (accept, status) in table {
        let mut request = request("admin GET /whoami", "");
        request.headers_mut().insert(header::ACCEPT, HeaderValue::from_static(accept));
        let answer = broker.send(request).await;
        assert_eq!(answer.status.as_u16(), status, "{accept}");
        match status {
            200 => assert_eq!(answer.headers[header::CONTENT_TYPE], "application/json"),
            _ => assert_eq!(answer.text, ""),
        }
    }
    let answer = broker.ask("admin GET /queues", "").await;
    assert_eq!(answer.headers[header::CONTENT_TYPE], "application/json");
    assert_eq!(answer.headers[header::CACHE_CONTROL], "no-cache");
}

#[tokio::test]
async fn a_body_is_an_object_or_nothing() {
    let broker = Broker::new();
    let not_json = json!({"error": "bad_request", "reason": "not_json"});
    broker
        .check(&[
            ("admin PUT /vhosts/v", "", 201, json!(null)),
            ("admin PUT /vhosts/v", "null", 204, json!(null)),
            ("admin PUT /vhosts/v", "undefined", 204, json!(null)),
            ("admin PUT /vhosts/v", " {} ", 204, json!(null)),
            ("admin PUT /vhosts/v", r#"{"name":"v","unknown":[1]}"#, 204, json!(null)),
            ("admin PUT /vhosts/v", "xx", 400, not_json.clone()),
            ("admin PUT /vhosts/v", "[]", 400, not_json.clone()),
            ("admin PUT /vhosts/v", "5", 400, not_json.clone()),
            ("admin PUT /vhosts/v", r#"{"a":1} {"#, 400, not_json),
        ])
        .await;
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_refused_whether_or_not_its_length_is_given() {
    let broker = Broker::new();
    let body = format!(r#"{{"description":"{}"}}"#, "x".repeat(20_000_000));
    let expected =
        json!({"error": "bad_request", "reason": "Exceeded HTTP request body size limit"});
    broker.check(&[("admin PUT /vhosts/v", &body, 400, expected.clone())]).await;
    let mut announced = request("admin PUT /vhosts/v", "{}");
    announced.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from_static("20000001"));
    let answer = broker.send(announced).await;
    assert_eq!((answer.status, answer.json()), (StatusCode::BAD_REQUEST, expected));
}

#[tokio::test]
async fn deeply_nested_json_is_refused() {
    let broker = Broker::new();
    let body = format!(r#"{{"tags":{}"#, "[".repeat(100_000));
    broker.check_statuses(&[("admin PUT /vhosts/v", &body, 400)]).await;
}
