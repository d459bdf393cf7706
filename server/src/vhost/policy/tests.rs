use PolicyKind::{Operator, User};
use QueueType::{Classic, Quorum};
use proptest::prelude::*;
use serde_json::json;

use super::*;

fn parse(kind: PolicyKind, value: &Value) -> Result<Policy, String> {
    Policy::parse(kind, "p", value, 0)
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
    let value = |definition| json!({"pattern": "", "definition": definition});
    let policies = policies(&[
        (User, "p", value(json!({"max-length": 2, "delivery-limit": 3}))),
        (Operator, "o", value(json!({"expires": 9, "target-group-size": 3}))),
    ]);
    assert_eq!(policies.for_queue("a", Classic), Effective::default());
    let effective = policies.for_queue("a", Quorum);
    assert_eq!((effective.policy, effective.operator_policy), (Some("p".into()), Some("o".into())));
    assert_eq!(effective.definition.len(), 4);
    // Exchanges do not ask.
    assert_eq!(policies.for_exchange("a").policy.as_deref(), Some("p"));
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
fn what_is_in_force_names_its_policies_and_the_time_of_the_later() {
    let value = json!({"pattern": "^q", "definition": {"expires": 9}});
    let each = [(Operator, "o", value.clone()), (User, "p", value)];
    let both = policies(&each);
    assert_eq!(both.for_queue("a", Classic), Effective::default());
    assert_eq!(both.for_exchange(""), Effective::default());
    let mut expected = Effective {
        policy: Some("p".into()),
        operator_policy: Some("o".into()),
        definition: json!({"expires": 9}).as_object().unwrap().clone(),
        since_ms: 2,
    };
    assert_eq!(both.for_queue("q", Classic), expected);
    (expected.policy, expected.since_ms) = (None, 1);
    assert_eq!(policies(&each[..1]).for_queue("q", Classic), expected);
}

#[test]
fn the_default_exchange_follows_nothing() {
    let value = json!({"pattern": "", "definition": {"alternate-exchange": "x"}});
    let policies = policies(&[(User, "p", value)]);
    assert_eq!(policies.for_exchange(""), Effective::default());
    assert_eq!(policies.for_exchange("amq.direct").policy.as_deref(), Some("p"));
}

#[test]
fn the_two_kinds_are_kept_apart() {
    let value = |max: u64| json!({"pattern": "", "definition": {"max-length": max}});
    let policies =
        policies(&[(User, "b", value(3)), (User, "a", value(2)), (Operator, "b", value(4))]);
    let effective = policies.for_queue("q", Classic);
    // Of "a" and "b", which are equal, the first; the operator's value is greater and changes nothing.
    assert_eq!(effective.policy.as_deref(), Some("a"));
    assert_eq!(effective.operator_policy.as_deref(), Some("b"));
    assert_eq!(effective.definition["max-length"], 2);
}

#[test]
fn a_policy_replaces_its_namesake_of_the_same_kind() {
    let value = |max: u64| json!({"pattern": "", "definition": {"max-length": max}});
    let both = |first, second| policies(&[(first, "p", value(1)), (second, "p", value(2))]);
    for (kinds, expected) in
        [((User, User), 2), ((Operator, Operator), 2), ((User, Operator), 1), ((Operator, User), 1)]
    {
        let effective = both(kinds.0, kinds.1).for_queue("q", Classic);
        assert_eq!(effective.definition["max-length"], expected, "{kinds:?}");
    }
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
        priority in any::<f64>().prop_filter("JSON has no others", |number| number.is_finite()),
        definition in limits(),
    ) {
        let value = json!({
            "pattern": pattern, "priority": priority, "definition": definition, "apply-to": "queues",
        });
        match parse(User, &value) {
            Ok(policy) => prop_assert_eq!(policy.to_value(), value),
            Err(reason) => {
                prop_assert!(reason.starts_with("pattern should be regular expression"), "{reason}");
            }
        }
    }
}
