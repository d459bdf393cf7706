//! Promise: a policy that means nothing is refused in RabbitMQ's words, and one that is taken can be read back (check 60).

use leveret_tests::broker::Broker;
use leveret_tests::http::Answer;
use leveret_tests::operator::Vhost;
use leveret_tests::{Value, json};

/// Definitions, and why each is refused.
const BAD_DEFINITIONS: [(&str, &str); 27] = [
    (r#"{}"#, "no policy provided"),
    (r#"{"nope":1}"#, r#"[{<<"nope">>,1}] are not recognised policy settings"#),
    (
        r#"{"nope":1,"max-length":2,"other":"x"}"#,
        r#"[{<<"nope">>,1},{<<"other">>,<<"x">>}] are not recognised policy settings"#,
    ),
    (r#"{"message-ttl":-1}"#, "-1 is not a valid message TTL"),
    (r#"{"message-ttl":"5"}"#, r#"<<"5">> is not a valid message TTL"#),
    (r#"{"message-ttl":1.5}"#, "1.5 is not a valid message TTL"),
    (r#"{"expires":0}"#, "0 is not a valid queue expiry"),
    (r#"{"expires":"5"}"#, r#"<<"5">> is not a valid queue expiry"#),
    (r#"{"max-length":-1}"#, "-1 is not a valid maximum length"),
    (r#"{"max-length":"5"}"#, r#"<<"5">> is not a valid maximum length"#),
    (r#"{"max-length":null}"#, "null is not a valid maximum length"),
    (r#"{"max-length-bytes":-1}"#, "-1 is not a valid maximum length in bytes"),
    (r#"{"max-length":1,"max-length-bytes":-2}"#, "-2 is not a valid maximum length in bytes"),
    (r#"{"overflow":"x"}"#, r#"<<"x">> is not a valid overflow value"#),
    (r#"{"overflow":1}"#, "1 is not a valid overflow value"),
    (r#"{"dead-letter-exchange":1}"#, "1 is not a valid dead letter exchange name"),
    (r#"{"dead-letter-routing-key":1}"#, "1 is not a valid dead letter routing key"),
    (r#"{"dead-letter-strategy":"x"}"#, r#"<<"x">> is not a valid dead letter strategy"#),
    (r#"{"delivery-limit":"x"}"#, r#"<<"x">> is not a valid delivery limit"#),
    (r#"{"delivery-limit":1.5}"#, "1.5 is not a valid delivery limit"),
    (r#"{"alternate-exchange":1}"#, "1 is not a valid alternate exchange name"),
    (r#"{"consumer-timeout":-1}"#, "-1 is not a valid consumer timeout"),
    (r#"{"consumer-timeout":"x"}"#, r#"<<"x">> is not a valid consumer timeout"#),
    (r#"{"queue-version":"2"}"#, r#"<<"2">> is not a valid queue-version value"#),
    (r#"{"queue-leader-locator":"x"}"#, r#"<<"x">> is not a valid queue leader locator value"#),
    (
        r#"{"federation-upstream":7}"#,
        r#"[{<<"federation-upstream">>,7}] are not recognised policy settings"#,
    ),
    (r#"{"ha-mode":true}"#, r#"[{<<"ha-mode">>,true}] are not recognised policy settings"#),
];

/// Definitions that mean something, or that RabbitMQ takes all the same.
const GOOD_DEFINITIONS: [&str; 20] = [
    r#"{"message-ttl":0}"#,
    r#"{"message-ttl":315360000001}"#,
    r#"{"expires":1}"#,
    r#"{"max-length":0}"#,
    r#"{"max-length-bytes":0}"#,
    r#"{"overflow":"drop-head"}"#,
    r#"{"overflow":"reject-publish"}"#,
    r#"{"overflow":"reject-publish-dlx"}"#,
    r#"{"dead-letter-exchange":""}"#,
    r#"{"dead-letter-routing-key":"k"}"#,
    r#"{"dead-letter-strategy":"at-least-once"}"#,
    r#"{"delivery-limit":-1}"#,
    r#"{"alternate-exchange":""}"#,
    r#"{"consumer-timeout":0}"#,
    r#"{"queue-mode":"lazy"}"#,
    r#"{"queue-version":2}"#,
    r#"{"queue-leader-locator":"balanced"}"#,
    r#"{"max-age":"1D"}"#,
    r#"{"max-in-memory-length":1}"#,
    r#"{"target-group-size":3}"#,
];

/// What an operator policy may not set, though a policy may.
const NOT_FOR_OPERATORS: [(&str, &str); 4] = [
    (r#"{"dead-letter-exchange":"x"}"#, r#"{<<"dead-letter-exchange">>,<<"x">>}"#),
    (r#"{"dead-letter-routing-key":"k"}"#, r#"{<<"dead-letter-routing-key">>,<<"k">>}"#),
    (r#"{"alternate-exchange":"x"}"#, r#"{<<"alternate-exchange">>,<<"x">>}"#),
    (r#"{"consumer-timeout":5}"#, r#"{<<"consumer-timeout">>,5}"#),
];

/// What it may set.
const FOR_OPERATORS: [&str; 6] = [
    r#"{"message-ttl":5}"#,
    r#"{"expires":5000}"#,
    r#"{"max-length":5}"#,
    r#"{"max-length-bytes":5}"#,
    r#"{"overflow":"reject-publish"}"#,
    r#"{"delivery-limit":5}"#,
];

const COLLECTIONS: [&str; 2] = ["policies", "operator-policies"];

fn parsed(json: &str) -> Value {
    serde_json::from_str(json).unwrap()
}

/// Sets a policy of this definition.
fn put_definition(broker: &Broker, vhost: &Vhost, collection: &str, definition: &str) -> Answer {
    let policy = json!({ "pattern": "^none$", "definition": parsed(definition) });
    broker.http().put(&[collection, vhost.name(), "p"], &policy)
}

#[test]
fn a_definition_that_means_nothing_is_refused_with_the_reason() {
    let broker = Broker::start();
    let vhost = Vhost::new(&broker);
    for (definition, reason) in BAD_DEFINITIONS {
        let answer = put_definition(&broker, &vhost, "policies", definition);
        assert_eq!(answer, Answer::invalid(reason), "{definition}");
    }
    let path = ["policies", vhost.name(), "p"];
    assert_eq!(broker.http().get(&path), Answer::not_found(), "a refused policy was set");
}

#[test]
fn every_definition_rabbitmq_knows_is_taken_and_can_be_read() {
    let broker = Broker::start();
    let vhost = Vhost::new(&broker);
    for definition in GOOD_DEFINITIONS {
        let answer = put_definition(&broker, &vhost, "policies", definition);
        assert!(matches!(answer.status, 201 | 204), "{definition}: {answer:?}");
        let set = broker.http().get(&["policies", vhost.name(), "p"]);
        assert_eq!(set.body["definition"], parsed(definition));
    }
}

#[test]
fn an_operator_policy_has_fewer_settings() {
    let broker = Broker::start();
    let vhost = Vhost::new(&broker);
    for (definition, term) in NOT_FOR_OPERATORS {
        let reason = format!("[{term}] are not recognised policy settings");
        let answer = put_definition(&broker, &vhost, "operator-policies", definition);
        assert_eq!(answer, Answer::invalid(&reason), "{definition}");
    }
    for definition in FOR_OPERATORS {
        let answer = put_definition(&broker, &vhost, "operator-policies", definition);
        assert!(matches!(answer.status, 201 | 204), "{definition}: {answer:?}");
    }
}

#[test]
fn pattern_priority_and_apply_to_are_checked_too() {
    let broker = Broker::start();
    let vhost = Vhost::new(&broker);
    let apply_to = "apply-to 'x' unrecognised; should be one of: 'queues', 'classic_queues',  'quorum_queues', \
        'streams', 'exchanges', or 'all'";
    let cases = [
        (json!({ "pattern": 5 }), "pattern should be a binary but was 5"),
        (json!({ "pattern": "a".repeat(1025) }), "pattern must not exceed 1024 bytes"),
        (json!({ "priority": "3" }), "priority should be a number, actually was <<\"3\">>"),
        (json!({ "apply-to": "x" }), apply_to),
        (
            json!({ "pattern": 5, "priority": "x" }),
            "pattern should be a binary but was 5\npriority should be a number, actually was <<\"x\">>",
        ),
    ];
    for collection in COLLECTIONS {
        for (changed, reason) in &cases {
            let mut policy = json!({ "pattern": "^none$", "definition": { "max-length": 1 } });
            policy.as_object_mut().unwrap().extend(changed.as_object().unwrap().clone());
            let answer = broker.http().put(&[collection, vhost.name(), "p"], &policy);
            assert_eq!(answer, Answer::invalid(reason), "{changed}");
        }
    }
}

/// The rest of the reason is the words of the regular expression library.
#[test]
fn a_pattern_that_is_no_regular_expression_is_refused() {
    let broker = Broker::start();
    let vhost = Vhost::new(&broker);
    for pattern in ["(", "["] {
        let policy = json!({ "pattern": pattern, "definition": { "max-length": 1 } });
        let answer = broker.http().put(&["policies", vhost.name(), "p"], &policy);
        assert_eq!(answer.status, 400);
        let reason = answer.body["reason"].as_str().unwrap();
        let start = "Validation failed\n\npattern should be regular expression but is invalid: ";
        assert!(reason.starts_with(start), "{reason}");
    }
}

#[test]
fn a_body_that_lacks_something_is_refused() {
    let broker = Broker::start();
    let vhost = Vhost::new(&broker);
    let cases = [
        (r#"{"pattern":"x"}"#, "[{key_missing,definition}]"),
        (r#"{"definition":{"max-length":1}}"#, "[{key_missing,pattern}]"),
        ("{", "not_json"),
        ("[]", "not_json"),
    ];
    for collection in COLLECTIONS {
        for (body, reason) in cases {
            let answer = broker.http().send("PUT", &[collection, vhost.name(), "p"], body);
            assert_eq!(answer, Answer::bad_request(reason), "{body}");
        }
    }
    // Neither an object: RabbitMQ answers with 500 and no reason.
    for definition in [json!("x"), json!([])] {
        let policy = json!({ "pattern": "x", "definition": definition });
        let answer = broker.http().put(&["policies", vhost.name(), "p"], &policy);
        assert_eq!(answer.status, if broker.is_rabbitmq() { 500 } else { 400 }, "{definition}");
    }
}

#[test]
fn a_policy_is_created_changed_read_and_deleted() {
    let broker = Broker::start();
    let (http, vhost) = (broker.http(), Vhost::new(&broker));
    for collection in COLLECTIONS {
        let (path, other) = ([collection, vhost.name(), "p/q"], [collection, vhost.name(), "r"]);
        let body = json!({ "pattern": "^q", "definition": { "max-length": 5 }, "unknown": 1 });
        assert_eq!(http.put(&path, &body), Answer::empty(201));
        assert_eq!(http.put(&path, &body), Answer::empty(204));
        let mut expected = json!({
            "vhost": vhost.name(),
            "name": "p/q",
            "pattern": "^q",
            "apply-to": "all",
            "definition": { "max-length": 5 },
            "priority": 0,
        });
        assert_eq!(http.get(&path).body, expected);
        let body = json!({
            "pattern": "",
            "definition": { "max-length": 7 },
            "priority": -2,
            "apply-to": "queues",
        });
        assert_eq!(http.put(&path, &body), Answer::empty(204));
        expected.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
        assert_eq!(http.get(&path).body, expected);
        assert_eq!(http.get(&[collection, vhost.name()]).body, json!([expected]));
        assert_eq!(http.delete(&other), Answer::not_found());
        assert_eq!(http.delete(&path), Answer::empty(204));
        assert_eq!(http.delete(&path), Answer::not_found());
        assert_eq!(http.get(&path), Answer::not_found());
        assert_eq!(http.get(&[collection, vhost.name()]).body, json!([]));
    }
}

#[test]
fn a_vhost_that_does_not_exist_has_no_policies() {
    let broker = Broker::start();
    let (http, vhost) = (broker.http(), broker.name("no-vhost"));
    for collection in COLLECTIONS {
        let body = json!({ "pattern": "", "definition": { "max-length": 5 } });
        let refused = Answer::error(404, "not_found", "vhost_not_found");
        assert_eq!(http.put(&[collection, &vhost, "p"], &body), refused);
        assert_eq!(http.get(&[collection, &vhost]), Answer::not_found());
        assert_eq!(http.delete(&[collection, &vhost, "p"]), Answer::not_found());
    }
}
