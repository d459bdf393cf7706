use PolicyKind::{Operator, User};
use QueueType::{Classic, Quorum};
use proptest::prelude::*;
use serde_json::json;

use super::*;

/// What RabbitMQ says about a key that it does not know.
const UNKNOWN: &str = "are not recognised policy settings";

fn parse(kind: PolicyKind, value: &Value) -> Result<Policy, String> {
    Policy::parse(kind, "p", value, 0)
}

/// The reason why a policy with this definition is refused.
fn refusal(kind: PolicyKind, definition: &Value) -> Option<String> {
    parse(kind, &json!({"pattern": "", "definition": definition})).err()
}

/// Policies of these names and values, put in this order at 1, 2, 3 ...
fn policies(each: &[(PolicyKind, &str, Value)]) -> Policies {
    let mut policies = Policies::default();
    for ((kind, name, value), updated_ms) in each.iter().zip(1..) {
        policies.put(*kind, Policy::parse(*kind, name, value, updated_ms).unwrap());
    }
    policies
}

/// The policy that an object follows, by name.
fn followed(policies: &Policies, name: &str, object: Object) -> Option<String> {
    policies.effective(name, object).policy.map(|name| name.to_string())
}

#[test]
fn a_policy_comes_back_with_nothing_left_out() {
    let all = json!({
        "pattern": "^a", "definition": {"max-length": 1}, "priority": 1.5, "apply-to": "streams"
    });
    let table = [
        (all.clone(), all),
        (
            json!({"pattern": "", "definition": {"expires": 1}, "nope": 1}),
            json!({"pattern": "", "definition": {"expires": 1}, "priority": 0, "apply-to": "all"}),
        ),
        (
            json!({"pattern": "", "definition": {"expires": 1}, "priority": 2.0}),
            json!({"pattern": "", "definition": {"expires": 1}, "priority": 2.0, "apply-to": "all"}),
        ),
    ];
    for (value, expected) in table {
        assert_eq!(parse(User, &value).unwrap().to_value(), expected);
    }
}

#[test]
fn what_is_wrong_beside_the_definition_is_refused_in_rabbitmqs_words() {
    let apply_to = "apply-to 'x' unrecognised; should be one of: 'queues', 'classic_queues',  \
                    'quorum_queues', 'streams', 'exchanges', or 'all'";
    let regex = "pattern should be regular expression but is invalid:";
    let with = |key: &str, value: Value| {
        let mut policy = json!({"pattern": "", "definition": {"expires": 1}});
        policy[key] = value;
        policy
    };
    let table = [
        (json!({"pattern": ""}), "Key \"definition\" not found in p"),
        (json!({"definition": {"expires": 1}}), "Key \"pattern\" not found in p"),
        (json!(5), "Key \"definition\" not found in p\nKey \"pattern\" not found in p"),
        (with("definition", json!([1])), "definition must be a dictionary: [1]"),
        (with("pattern", json!(5)), "pattern should be a binary but was 5"),
        (with("pattern", json!("é".repeat(513))), "pattern must not exceed 1024 bytes"),
        (with("pattern", json!("(")), &format!("{regex} unclosed group")),
        (
            with("pattern", json!("(a{1000}){1000}")),
            &format!("{regex} Compiled regex exceeds size limit of 1048576 bytes."),
        ),
        (with("priority", json!("3")), "priority should be a number, actually was <<\"3\">>"),
        (with("priority", json!(null)), "priority should be a number, actually was null"),
        (with("apply-to", json!("x")), apply_to),
        (with("apply-to", json!(5)), &apply_to.replace("'x'", "'5'")),
        (
            json!({
                "pattern": 5, "priority": "x", "apply-to": "x", "definition": {"expires": 0}
            }),
            &format!(
                "0 is not a valid queue expiry\n{apply_to}\npattern should be a binary but was 5\n\
                 priority should be a number, actually was <<\"x\">>"
            ),
        ),
    ];
    for (policy, reason) in table {
        assert_eq!(parse(User, &policy).unwrap_err(), reason, "{policy}");
    }
}

#[test]
fn each_key_takes_its_values_and_refuses_others_in_rabbitmqs_words() {
    let retry_type = "is not a valid delayed retry type. Must be one of: all, failed, returned, \
                      disabled";
    let delay =
        |which| format!("is not a valid delayed retry {which} delay. Must be a positive integer");
    let text = |what: &str| format!("is not a valid {what}");
    let numbers = |min: i64, what: &str| {
        (
            vec![json!(min), json!(i64::MAX)],
            vec![json!(min - 1), json!(1.5), json!(true)],
            text(what),
        )
    };
    let texts = |what: &str| (vec![json!("x"), json!("")], vec![json!(1), json!(null)], text(what));
    let words = |words: &[&str], what: &str| {
        let bad = vec![json!("x"), json!(1), json!(null)];
        (words.iter().map(|word| json!(word)).collect(), bad, text(what))
    };
    let table: Vec<(&str, (Vec<Value>, Vec<Value>, String))> = vec![
        ("alternate-exchange", texts("alternate exchange name")),
        ("consumer-disconnected-timeout", numbers(0, "consumer disconnected timeout")),
        ("consumer-timeout", numbers(0, "consumer timeout")),
        ("dead-letter-exchange", texts("dead letter exchange name")),
        ("dead-letter-routing-key", texts("dead letter routing key")),
        ("dead-letter-strategy", words(&["at-most-once", "at-least-once"], "dead letter strategy")),
        ("delayed-retry-max", (vec![json!(1)], vec![json!(0), json!("x")], delay("maximum"))),
        ("delayed-retry-min", (vec![json!(1)], vec![json!(0), json!("x")], delay("minimum"))),
        (
            "delayed-retry-type",
            (vec![json!("disabled")], vec![json!("x"), json!(1)], retry_type.to_owned()),
        ),
        (
            "delivery-limit",
            (vec![json!(-5), json!(0)], vec![json!("x"), json!(1.5)], text("delivery limit")),
        ),
        ("expires", numbers(1, "queue expiry")),
        ("initial-cluster-size", numbers(0, "cluster size")),
        (
            "max-age",
            (
                ["1Y", "1M", "1D", "01h", "1m", "1s"].map(|age| json!(age)).to_vec(),
                ["", "h", "5", "-1h", "+1h", " 1h", "1.5h", "1w"].map(|age| json!(age)).to_vec(),
                text("max age"),
            ),
        ),
        ("max-in-memory-bytes", numbers(0, "maximum memory in bytes")),
        ("max-in-memory-length", numbers(0, "maximum memory in bytes")),
        ("max-length", numbers(0, "maximum length")),
        ("max-length-bytes", numbers(0, "maximum length in bytes")),
        ("message-ttl", numbers(0, "message TTL")),
        (
            "overflow",
            words(&["drop-head", "reject-publish", "reject-publish-dlx"], "overflow value"),
        ),
        (
            "queue-leader-locator",
            words(
                &["client-local", "balanced", "random", "least-leaders"],
                "queue leader locator value",
            ),
        ),
        ("queue-mode", words(&["default", "lazy"], "queue-mode value")),
        (
            "queue-version",
            (
                vec![json!(1), json!(2)],
                vec![json!(0), json!(3), json!("2")],
                text("queue-version value"),
            ),
        ),
        (
            "stream-filter-size-bytes",
            (
                vec![json!(16), json!(255)],
                vec![json!(15), json!(256), json!("x")],
                text("filter size. Valid range is 16-255"),
            ),
        ),
        (
            "stream-max-segment-size-bytes",
            (vec![json!(0)], vec![json!(-1), json!(3_000_000_001_u64)], text("segment size")),
        ),
        ("target-group-size", numbers(1, "qq target count value")),
    ];
    for (key, (good, bad, reason)) in table {
        for value in good {
            assert_eq!(refusal(User, &json!({key: value})), None, "{key} {value}");
        }
        for value in bad {
            let reason = format!("{} {reason}", erlang_term(&value));
            assert_eq!(refusal(User, &json!({key: value})), Some(reason), "{key} {value}");
        }
    }
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
        let reason = format!("{} {UNKNOWN}", erlang_term(&definition));
        assert_eq!(refusal(Operator, &definition), Some(reason));
    }
}

#[test]
fn a_pattern_is_found_anywhere_and_minds_the_case() {
    let table = [
        ("", "a", true),
        ("b", "abc", true),
        ("^b", "abc", false),
        ("^ab", "abc", true),
        ("B", "abc", false),
        ("(?i)B", "abc", true),
        ("^amq\\.gen", "amq.gen-1", true),
    ];
    for (pattern, name, follows) in table {
        let value = json!({"pattern": pattern, "definition": {"expires": 1}});
        let policies = policies(&[(User, "p", value)]);
        let followed = followed(&policies, name, Object::Queue(Classic));
        assert_eq!(followed.is_some(), follows, "{pattern} {name}");
    }
}

#[test]
fn a_policy_is_for_the_objects_that_apply_to_names() {
    let objects = [Object::Queue(Classic), Object::Queue(Quorum), Object::Exchange];
    let table = [
        ("all", [true, true, true]),
        ("queues", [true, true, false]),
        ("classic_queues", [true, false, false]),
        ("quorum_queues", [false, true, false]),
        ("streams", [false, false, false]),
        ("exchanges", [false, false, true]),
    ];
    for (apply_to, expected) in table {
        let value = json!({"pattern": "", "definition": {"expires": 1}, "apply-to": apply_to});
        let policies = policies(&[(User, "p", value.clone()), (Operator, "o", value)]);
        let user = objects.map(|object| policies.effective("a", object).policy.is_some());
        let operator =
            objects.map(|object| policies.effective("a", object).operator_policy.is_some());
        assert_eq!((user, operator), (expected, expected), "{apply_to}");
    }
}

#[test]
fn a_policy_with_a_key_that_the_queue_does_not_know_has_no_effect_at_all() {
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
        let policies = policies(&[(User, "p", json!({"pattern": "", "definition": definition}))]);
        let limited = [Classic, Quorum].map(|kind| {
            let effective = policies.for_queue("a", kind);
            assert_eq!(effective.policy.is_some(), effective != Effective::default());
            effective.definition.contains_key("max-length")
        });
        assert_eq!(limited, expected, "{definition}");
        assert!(policies.for_exchange("a").policy.is_some(), "{definition}");
    }
}

#[test]
fn the_greatest_priority_wins_among_those_that_fit_and_of_equals_the_first_by_name() {
    let with = |priority: Value, key: &str, pattern: &str| json!({"pattern": pattern, "priority": priority, "definition": {key: 1}});
    let policies = policies(&[
        (User, "z-low", with(json!(-1), "expires", "")),
        (User, "c-equal", with(json!(1), "expires", "^q")),
        (User, "b-equal", with(json!(1.0), "expires", "^q")),
        (User, "d-fraction", with(json!(1.5), "expires", "^q-1")),
        (User, "a-unfit", with(json!(9), "initial-cluster-size", "")),
        (Operator, "o-high", with(json!(10), "expires", "")),
    ]);
    let table = [("a", "z-low"), ("q-2", "b-equal"), ("q-1", "d-fraction")];
    for (name, expected) in table {
        let followed = followed(&policies, name, Object::Queue(Classic));
        assert_eq!(followed.as_deref(), Some(expected), "{name}");
    }
    assert_eq!(followed(&policies, "a", Object::Exchange).as_deref(), Some("a-unfit"));
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
        let policies = policies(&[
            (User, "p", json!({"pattern": "", "definition": user})),
            (Operator, "o", json!({"pattern": "", "definition": operator})),
        ]);
        let effective = policies.for_queue("a", Quorum);
        assert_eq!(Value::Object(effective.definition), expected, "{user} {operator}");
    }
}

#[test]
fn what_is_in_force_names_its_policies_and_the_time_of_the_later() {
    let value = json!({"pattern": "^q", "definition": {"expires": 9}});
    let mut policies = policies(&[(Operator, "o", value.clone()), (User, "p", value)]);
    assert_eq!(policies.for_queue("a", Classic), Effective::default());
    assert_eq!(policies.for_exchange(""), Effective::default());
    let mut expected = Effective {
        policy: Some("p".into()),
        operator_policy: Some("o".into()),
        definition: json!({"expires": 9}).as_object().unwrap().clone(),
        since_ms: 2,
    };
    assert_eq!(policies.for_queue("q", Classic), expected);
    assert!(policies.remove(User, "p"));
    assert!(!policies.remove(User, "p"));
    (expected.policy, expected.since_ms) = (None, 1);
    assert_eq!(policies.for_queue("q", Classic), expected);
    assert!(policies.remove(Operator, "o"));
    assert_eq!(policies.for_queue("q", Classic), Effective::default());
}

#[test]
fn the_default_exchange_follows_nothing() {
    let value = json!({"pattern": "", "definition": {"alternate-exchange": "x"}});
    let policies = policies(&[(User, "p", value)]);
    assert_eq!(policies.for_exchange(""), Effective::default());
    assert_eq!(policies.for_exchange("amq.direct").policy.as_deref(), Some("p"));
}

#[test]
fn the_two_kinds_are_kept_apart_and_a_policy_replaces_its_namesake() {
    let value = |max: u64| json!({"pattern": "", "definition": {"max-length": max}});
    let policies = policies(&[
        (User, "b", value(1)),
        (User, "a", value(2)),
        (User, "b", value(3)),
        (Operator, "b", value(4)),
    ]);
    let listed = |kind| -> Vec<_> {
        let each = policies.iter(kind);
        each.map(|p| (p.name.to_string(), p.definition["max-length"].clone())).collect()
    };
    assert_eq!(listed(User), [("a".to_owned(), json!(2)), ("b".to_owned(), json!(3))]);
    assert_eq!(listed(Operator), [("b".to_owned(), json!(4))]);
    assert_eq!(policies.get(User, "b").unwrap().updated_ms, 3);
    assert!(policies.get(Operator, "a").is_none());
}

#[test]
fn keys_that_do_nothing_here_are_named() {
    let definition = json!({"queue-mode": "lazy", "max-length": 1, "max-age": "1h"});
    let policy = parse(User, &json!({"pattern": "", "definition": definition})).unwrap();
    assert_eq!(policy.without_effect().collect::<Vec<_>>(), ["max-age", "queue-mode"]);
}

/// Numbers that policies limit things with.
fn limits() -> impl Strategy<Value = Value> {
    const KEYS: [&str; 4] = ["expires", "max-length", "max-length-bytes", "message-ttl"];
    let keys = proptest::sample::subsequence(&KEYS[..], 1..=KEYS.len());
    (keys, proptest::collection::vec(1_u32.., KEYS.len())).prop_map(|(keys, numbers)| {
        keys.into_iter().zip(numbers).map(|(key, number)| (key.to_owned(), json!(number))).collect()
    })
}

proptest! {
    #[test]
    fn no_limit_of_either_side_is_exceeded(user in limits(), operator in limits()) {
        let policies = policies(&[
            (User, "p", json!({"pattern": "", "definition": &user})),
            (Operator, "o", json!({"pattern": "", "definition": &operator})),
        ]);
        let effective = policies.for_queue("a", Classic).definition;
        for (key, limit) in user.as_object().unwrap().iter().chain(operator.as_object().unwrap()) {
            prop_assert!(effective[key].as_u64() <= limit.as_u64(), "{key}");
        }
        // And every limit is somebody's.
        for (key, limit) in &effective {
            prop_assert!(user.get(key) == Some(limit) || operator.get(key) == Some(limit), "{key}");
        }
    }

    #[test]
    fn whatever_is_accepted_comes_back_the_same(
        pattern in "[a-z^$.*()\\[\\]{}\\\\|?+0-9é-]{0,12}",
        priority in any::<f64>(),
        key in "[a-z-]{1,20}",
        value in any::<i64>(),
    ) {
        let value = json!({"pattern": pattern, "priority": priority, "definition": {
            key: value, "max-length": 1,
        }});
        if let Ok(policy) = parse(User, &value) {
            let again = parse(User, &policy.to_value()).unwrap();
            prop_assert_eq!(again.to_value(), policy.to_value());
        }
    }
}
