//! `/api/exchanges`.

use serde_json::{Value, json};

use crate::broker::{Broker, assert_has_keys};

#[tokio::test]
async fn an_exchange_is_declared_and_deleted() {
    let not_found = json!({"error": "Object Not Found", "reason": "Not Found"});
    let body = r#"{"type":"topic","durable":"true","auto_delete":"false","internal":true,
        "arguments":{"alternate-exchange":"x","n":1,"f":1.5}}"#;
    let exchange = json!({
        "vhost": "a/b", "name": "e/1", "type": "topic", "durable": true, "auto_delete": false,
        "internal": true, "arguments": {"alternate-exchange": "x", "n": 1, "f": 1.5},
        "incoming": [], "outgoing": [],
    });
    Broker::new()
        .check(&[
            ("manager GET /exchanges/a%2Fb/e%2F1", "", 404, not_found.clone()),
            ("manager PUT /exchanges/a%2Fb/e%2F1", body, 201, json!(null)),
            ("manager PUT /exchanges/a%2Fb/e%2F1", body, 204, json!(null)),
            ("manager GET /exchanges/a%2Fb/e%2F1", "", 200, exchange),
            ("manager DELETE /exchanges/a%2Fb/e%2F1", "", 204, json!(null)),
            ("manager DELETE /exchanges/a%2Fb/e%2F1", "", 404, not_found),
        ])
        .await;
}

#[tokio::test]
async fn what_is_not_said_is_direct_and_not_durable() {
    let broker = Broker::new();
    for body in ["", "{}", r#"{"arguments":[]}"#, r#"{"durable":null,"type":null}"#] {
        broker.ask("admin PUT /exchanges/%2F/e", body).await;
        let exchange = broker.get("/exchanges/%2F/e?columns=type,durable,arguments").await;
        assert_eq!(
            exchange,
            json!({"type": "direct", "durable": false, "arguments": {}}),
            "{body}"
        );
    }
}

#[tokio::test]
async fn wrong_declarations_are_refused() {
    let broker = Broker::new();
    let refused = |reason: &str| json!({"error": "bad_request", "reason": reason});
    let access = json!({"error": "not_authorised", "reason": "Access refused."});
    broker
        .check(&[
            (
                "admin PUT /exchanges/%2F/e",
                r#"{"durable":"maybe"}"#,
                400,
                refused("durable should be a boolean"),
            ),
            (
                "admin PUT /exchanges/%2F/e",
                r#"{"arguments":5}"#,
                400,
                refused("arguments should be an object"),
            ),
            (
                "admin PUT /exchanges/%2F/e",
                r#"{"arguments":[1]}"#,
                400,
                refused("arguments should be an object"),
            ),
            ("admin PUT /exchanges/%2F/amq.x", "{}", 401, access.clone()),
            // An administrator may see every vhost, but act in it only with permissions.
            (
                "admin GET /exchanges/a%2Fb/none",
                "",
                404,
                json!({"error": "Object Not Found", "reason": "Not Found"}),
            ),
            ("admin PUT /exchanges/a%2Fb/e", "{}", 401, access),
            (
                "admin PUT /exchanges/none/e",
                "{}",
                404,
                json!({"error": "not_found", "reason": "vhost_not_found"}),
            ),
        ])
        .await;
}

#[tokio::test]
async fn the_default_exchange_is_amq_default_in_a_path() {
    let broker = Broker::new();
    let exchange = broker.get("/exchanges/%2F/amq.default").await;
    assert_eq!((&exchange["name"], &exchange["type"]), (&json!(""), &json!("direct")));
}

#[tokio::test]
async fn if_unused_spares_an_exchange_in_use() {
    let broker = Broker::new();
    let in_use = json!({"error": "bad_request", "reason": "exchange 'used' in vhost '/' in use"});
    broker
        .check(&[
            ("admin PUT /exchanges/%2F/used", "", 201, json!(null)),
            ("admin DELETE /exchanges/%2F/used?if-unused=true", "", 400, in_use),
            ("admin DELETE /exchanges/%2F/used?if-unused=false", "", 204, json!(null)),
        ])
        .await;
}

#[tokio::test]
async fn lists_hold_the_vhosts_that_the_caller_may_open() {
    let broker = Broker::new();
    let not_found = json!({"error": "not_found", "reason": "Not Found"});
    let one = |vhost: &str| json!({"vhost": vhost, "name": ""});
    broker
        .check(&[
            ("admin GET /exchanges?columns=vhost,name", "", 200, json!([one("/"), one("a/b")])),
            ("monitor GET /exchanges?columns=vhost,name", "", 200, json!([one("a/b")])),
            ("manager GET /exchanges/a%2Fb?columns=vhost,name", "", 200, json!([one("a/b")])),
            ("manager GET /exchanges/%2F", "", 404, not_found.clone()),
            ("manager GET /exchanges/none", "", 404, not_found.clone()),
            ("monitor GET /exchanges/%2F/amq.default", "", 404, not_found),
        ])
        .await;
    let exchanges = broker.get("/exchanges").await;
    let keys = ["name", "vhost", "type", "durable", "auto_delete", "internal", "arguments"];
    assert_has_keys(&exchanges[0], &keys);
    assert!(exchanges.as_array().unwrap().iter().all(|one| !has_null(one)));
}

fn has_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.iter().any(has_null),
        Value::Object(object) => object.values().any(has_null),
        _ => false,
    }
}

#[tokio::test]
async fn a_message_is_published() {
    let broker = Broker::new();
    let text = r#"{"properties":{"delivery_mode":2},"routing_key":"q","payload":"abc","payload_encoding":"string"}"#;
    let binary =
        r#"{"properties":[],"routing_key":"none","payload":"/wA=","payload_encoding":"base64"}"#;
    broker
        .check(&[
            ("admin PUT /queues/%2F/q", "{}", 201, json!(null)),
            ("admin POST /exchanges/%2F/amq.default/publish", text, 200, json!({"routed": true})),
            (
                "admin POST /exchanges/%2F/amq.default/publish",
                binary,
                200,
                json!({"routed": false}),
            ),
        ])
        .await;
    let published = std::mem::take(&mut broker.fake.state().published);
    assert_eq!(published[0].properties["delivery_mode"], json!(2));
    let payloads: Vec<&[u8]> = published.iter().map(|one| one.payload.as_ref()).collect();
    assert_eq!(payloads, [&b"abc"[..], &[0xff, 0]]);
}

#[tokio::test]
async fn what_cannot_be_published_is_refused() {
    let refused = |reason: &str| json!({"error": "bad_request", "reason": reason});
    let missing = "[{key_missing,routing_key},{key_missing,properties},{key_missing,payload},\
                   {key_missing,payload_encoding}]";
    let with = |properties: &str, payload: &str, encoding: &str| {
        format!(
            r#"{{"properties":{properties},"routing_key":"k","payload":{payload},"payload_encoding":"{encoding}"}}"#
        )
    };
    let line = "admin POST /exchanges/%2F/amq.default/publish";
    let no_exchange = json!({"error": "not_found", "reason": "exchange_not_found"});
    Broker::new()
        .check(&[
            (line, "{}", 400, refused(missing)),
            (line, &with("{}", "\"x\"", "nope"), 400, refused("unsupported_encoding")),
            (line, &with("{}", "\"!!\"", "base64"), 400, refused("not_base64")),
            (line, &with("5", "\"x\"", "string"), 400, refused("properties should be an object")),
            (line, &with("{}", "5", "string"), 400, refused("payload should be a string")),
            (
                "admin POST /exchanges/%2F/none/publish",
                &with("{}", "\"x\"", "string"),
                404,
                no_exchange,
            ),
            (
                "manager POST /exchanges/%2F/none/publish",
                &with("{}", "\"x\"", "string"),
                404,
                json!({"error": "not_found", "reason": "Not Found"}),
            ),
        ])
        .await;
}
