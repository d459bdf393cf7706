use PolicyKind::{Operator, User};
use QueueType::{Classic, Quorum};
use serde_json::json;

use super::*;

/// What RabbitMQ says about a key that it does not know.
const UNKNOWN: &str = "are not recognised policy settings";

fn map(value: &Value) -> &Map<String, Value> {
    value.as_object().unwrap()
}

/// The reason why a policy may not have this definition.
fn refusal(kind: PolicyKind, definition: &Value) -> Option<String> {
    check(kind, map(definition)).err()
}

/// Each key, values that it takes, values that it does not, and the end of the reason.
#[rustfmt::skip] // One row a line: it is read as a table.
const VALUES: &[(&str, &str, &str, &str)] = &[
    ("alternate-exchange", r#"["x", ""]"#, r#"[1, true, null, [], {}]"#, "alternate exchange name"),
    ("consumer-disconnected-timeout", r#"[0, 1]"#, r#"[-1, 1.5, "1"]"#, "consumer disconnected timeout"),
    ("consumer-timeout", r#"[0, 1]"#, r#"[-1, 1.5, "1"]"#, "consumer timeout"),
    ("dead-letter-exchange", r#"["x", ""]"#, r#"[1, null]"#, "dead letter exchange name"),
    ("dead-letter-routing-key", r#"["x", ""]"#, r#"[1, null]"#, "dead letter routing key"),
    ("dead-letter-strategy", r#"["at-most-once", "at-least-once"]"#, r#"["x", 1]"#, "dead letter strategy"),
    ("delayed-retry-max", r#"[1]"#, r#"[0, "1"]"#, "delayed retry maximum delay. Must be a positive integer"),
    ("delayed-retry-min", r#"[1]"#, r#"[0, "1"]"#, "delayed retry minimum delay. Must be a positive integer"),
    ("delayed-retry-type", r#"["disabled"]"#, r#"["x", 1]"#, "delayed retry type. Must be one of: all, failed, returned, disabled"),
    ("delivery-limit", r#"[-5, 0, 5]"#, r#"["1", 1.5]"#, "delivery limit"),
    ("expires", r#"[1, 315360000001]"#, r#"[0, -1, "1"]"#, "queue expiry"),
    ("initial-cluster-size", r#"[0, 3]"#, r#"[-1, "1"]"#, "cluster size"),
    ("max-age", r#"["1Y", "1M", "1D", "01h", "1m", "1s"]"#, r#"["h", "5", "-1h", "+1h", " 1h", "1.5h", "1w", 5]"#, "max age"),
    ("max-in-memory-bytes", r#"[0]"#, r#"[-1, "1"]"#, "maximum memory in bytes"),
    ("max-in-memory-length", r#"[0]"#, r#"[-1, "1"]"#, "maximum memory in bytes"),
    ("max-length", r#"[0, 9223372036854775807]"#, r#"[-1, 1.5, -1.0, "5", null, true, [1]]"#, "maximum length"),
    ("max-length-bytes", r#"[0, 1]"#, r#"[-1, "1"]"#, "maximum length in bytes"),
    ("message-ttl", r#"[0, 315360000001]"#, r#"[-1, "1"]"#, "message TTL"),
    ("overflow", r#"["drop-head", "reject-publish", "reject-publish-dlx"]"#, r#"["x", 1, null]"#, "overflow value"),
    ("queue-leader-locator", r#"["client-local", "balanced", "random", "least-leaders"]"#, r#"["min-masters", 1]"#, "queue leader locator value"),
    ("queue-mode", r#"["default", "lazy"]"#, r#"["x", 1]"#, "queue-mode value"),
    ("queue-version", r#"[1, 2]"#, r#"[0, 3, "2", 1.5]"#, "queue-version value"),
    ("stream-filter-size-bytes", r#"[16, 255]"#, r#"[15, 256, "x"]"#, "filter size. Valid range is 16-255"),
    ("stream-max-segment-size-bytes", r#"[0, 3000000000]"#, r#"[-1, 3000000001, "x"]"#, "segment size"),
    ("target-group-size", r#"[1, 3]"#, r#"[0, -1, "x", 1.5]"#, "qq target count value"),
];

#[test]
fn each_key_takes_its_values_and_refuses_others_in_rabbitmqs_words() {
    let values = |text: &str| serde_json::from_str::<Vec<Value>>(text).unwrap();
    for (key, good, bad, reason) in VALUES {
        for value in values(good) {
            assert_eq!(refusal(User, &json!({*key: value})), None, "{key} {value}");
        }
        for value in values(bad) {
            let reason = format!("{} is not a valid {reason}", erlang_term(&value));
            assert_eq!(refusal(User, &json!({*key: value})), Some(reason), "{key} {value}");
        }
    }
    // The two others have reasons of their own.
    let tested = VALUES.iter().map(|row| row.0).chain(["queue-master-locator", "retry-delays"]);
    let (mut tested, keys): (Vec<_>, Vec<_>) =
        (tested.collect(), KEYS.iter().map(|key| key.name).collect());
    tested.sort_unstable();
    assert_eq!(tested, keys);
}

#[test]
fn a_definition_is_refused_for_the_first_thing_that_is_wrong_with_it() {
    let table = [
        (json!({}), "no policy provided"),
        (json!({"message-ttl": -1, "expires": -1}), "-1 is not a valid queue expiry"),
        (json!({"aa": 1, "message-ttl": -1}), "-1 is not a valid message TTL"),
        (
            json!({"zz": "x", "aa": 1}),
            &format!("[{{<<\"aa\">>,1}},{{<<\"zz\">>,<<\"x\">>}}] {UNKNOWN}"),
        ),
        (
            json!({"queue-master-locator": "x"}),
            "use of deprecated queue-master-locator argument is not permitted",
        ),
        (
            json!({"delayed-retry-type": "failed", "aa": 1}),
            "delayed-retry-min is required when delayed-retry-type is failed",
        ),
        (
            json!({"delayed-retry-min": 10, "delayed-retry-max": 5}),
            "delayed-retry-max (5) must not be smaller than delayed-retry-min (10)",
        ),
        (
            json!({"retry-delays": "1s,soon"}),
            "retry-delays: 'soon' is not a delay: a whole number, \
          then ms, s, m, h, d or nothing for milliseconds",
        ),
        (json!({"retry-delays": []}), "retry-delays: has no delay"),
    ];
    for (definition, reason) in table {
        assert_eq!(refusal(User, &definition).as_deref(), Some(reason), "{definition}");
    }
    for definition in [
        json!({"retry-delays": "1s,10s"}),
        json!({"retry-delays": [1000, "10s"]}),
        json!({"delayed-retry-type": "all", "delayed-retry-min": 5, "delayed-retry-max": 5}),
    ] {
        assert_eq!(refusal(User, &definition), None, "{definition}");
    }
}

#[test]
fn operators_set_limits_and_nothing_else() {
    let limits = json!({
        "delayed-retry-max": 1, "delayed-retry-min": 1, "delayed-retry-type": "all",
        "delivery-limit": 1, "expires": 1, "max-in-memory-bytes": 1, "max-in-memory-length": 1,
        "max-length": 1, "max-length-bytes": 1, "message-ttl": 1, "overflow": "drop-head",
        "queue-version": 2, "target-group-size": 1,
    });
    assert_eq!(refusal(Operator, &limits), None);
    let others = json!({
        "alternate-exchange": "x", "consumer-disconnected-timeout": 1, "consumer-timeout": 1,
        "dead-letter-exchange": "x", "dead-letter-routing-key": "x",
        "dead-letter-strategy": "at-most-once", "initial-cluster-size": 1, "max-age": "1h",
        "queue-leader-locator": "balanced", "queue-mode": "lazy", "retry-delays": "1s",
        "stream-filter-size-bytes": 16, "stream-max-segment-size-bytes": 1,
    });
    for (key, value) in others.as_object().unwrap() {
        let definition = json!({key: value});
        assert_eq!(refusal(User, &definition), None, "{definition}");
        let reason = format!("{} {UNKNOWN}", erlang_proplist(map(&definition)));
        assert_eq!(refusal(Operator, &definition), Some(reason));
    }
}

#[test]
fn an_operator_policy_tightens_what_users_say() {
    let table = [
        (json!({"max-length": 5}), json!({"max-length": 3}), json!({"max-length": 3})),
        (json!({"max-length": 3}), json!({"max-length": 5}), json!({"max-length": 3})),
        (json!({"message-ttl": 9}), json!({"message-ttl": 0}), json!({"message-ttl": 0})),
        (json!({"delivery-limit": -1}), json!({"delivery-limit": 5}), json!({"delivery-limit": 5})),
        (json!({"delivery-limit": 7}), json!({"delivery-limit": -5}), json!({"delivery-limit": 7})),
        (json!({"delivery-limit": 7}), json!({"delivery-limit": 3}), json!({"delivery-limit": 3})),
        (json!({"delivery-limit": 3}), json!({"delivery-limit": 7}), json!({"delivery-limit": 3})),
        (
            json!({"target-group-size": 3, "delayed-retry-min": 1, "delayed-retry-max": 9}),
            json!({"target-group-size": 5, "delayed-retry-min": 2, "delayed-retry-max": 8}),
            json!({"target-group-size": 5, "delayed-retry-min": 2, "delayed-retry-max": 8}),
        ),
        (
            json!({"target-group-size": 5, "delayed-retry-min": 2, "delayed-retry-max": 8}),
            json!({"target-group-size": 3, "delayed-retry-min": 1, "delayed-retry-max": 9}),
            json!({"target-group-size": 5, "delayed-retry-min": 2, "delayed-retry-max": 8}),
        ),
        (
            json!({"overflow": "drop-head", "queue-version": 2}),
            json!({"overflow": "reject-publish", "queue-version": 1}),
            json!({"overflow": "reject-publish", "queue-version": 1}),
        ),
        (
            json!({"dead-letter-exchange": "x", "max-length": 2}),
            json!({"expires": 9}),
            json!({"dead-letter-exchange": "x", "max-length": 2, "expires": 9}),
        ),
    ];
    for (user, operator, expected) in table {
        let in_force = merged(map(&user).clone(), map(&operator));
        assert_eq!(Value::Object(in_force), expected, "{user} {operator}");
    }
}

#[test]
fn a_definition_fits_if_the_queue_knows_all_of_its_keys() {
    let neither = [
        json!({"max-age": "1h"}),
        json!({"stream-max-segment-size-bytes": 1}),
        json!({"initial-cluster-size": 1}),
    ];
    let quorum_only = [
        json!({"max-in-memory-length": 1}),
        json!({"max-in-memory-bytes": 1}),
        json!({"dead-letter-strategy": "at-most-once"}),
        json!({"delivery-limit": 1}),
        json!({"target-group-size": 1}),
    ];
    let both = [
        json!({"consumer-timeout": 1}),
        json!({"delayed-retry-min": 1}),
        json!({"alternate-exchange": "x"}),
        json!({"overflow": "reject-publish-dlx"}),
        json!({"queue-version": 2}),
        json!({"stream-filter-size-bytes": 16}),
        json!({"queue-leader-locator": "balanced"}),
        json!({"retry-delays": "1s"}),
    ];
    let table = neither.into_iter().map(|key| (key, [false, false]));
    let table = table.chain(quorum_only.into_iter().map(|key| (key, [false, true])));
    let table = table.chain(both.into_iter().map(|key| (key, [true, true])));
    let table = table.chain([(json!({"queue-mode": "lazy"}), [true, false])]);
    for (mut definition, expected) in table {
        definition["max-length"] = json!(2);
        let fits = [Classic, Quorum].map(|queue| all_fit(map(&definition), queue));
        assert_eq!(fits, expected, "{definition}");
    }
}
