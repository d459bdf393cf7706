//! What an argument and a policy say together, setting by setting.

use serde_json::json;

use super::*;
use QueueType::{Classic, Quorum};

fn arguments(pairs: &[(&str, AMQPValue)]) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in pairs {
        table.insert((*name).into(), value.clone());
    }
    table
}

fn policy(definition: &Value) -> Effective {
    let definition = definition.as_object().unwrap().clone();
    Effective { definition, since_ms: 7, ..Effective::default() }
}

fn merged(kind: QueueType, pairs: &[(&str, AMQPValue)], definition: &Value) -> Rules {
    rules(&arguments(pairs), kind, false, &policy(definition))
}

fn int(value: i64) -> AMQPValue {
    AMQPValue::LongLongInt(value)
}

fn text_of(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

/// Reads one number of the rules.
type Number = fn(&Rules) -> Option<u64>;

#[test]
fn of_two_numbers_the_smaller_counts() {
    let numbers: [(&str, &str, QueueType, Number); 4] = [
        ("x-expires", "expires", Classic, |rules| rules.expires_ms),
        ("x-max-length", "max-length", Classic, |rules| rules.max_length),
        ("x-max-length-bytes", "max-length-bytes", Quorum, |rules| rules.max_length_bytes),
        ("x-consumer-timeout", "consumer-timeout", Quorum, |rules| rules.consumer_timeout_ms),
    ];
    for (name, key, kind, read) in numbers {
        for (argument, policy, expected) in [
            (None, None, None),
            (Some(5), None, Some(5)),
            (None, Some(6), Some(6)),
            (Some(5), Some(6), Some(5)),
            (Some(6), Some(5), Some(5)),
        ] {
            let pairs: Vec<_> = argument.map(|value| (name, int(value))).into_iter().collect();
            let definition = policy.map_or(json!({}), |value: i64| json!({ key: value }));
            let rules = merged(kind, &pairs, &definition);
            assert_eq!(read(&rules), expected, "{name} {argument:?} {policy:?}");
        }
    }
}

#[test]
fn a_ttl_of_a_policy_is_for_what_came_after_it() {
    let rules = merged(Classic, &[("x-message-ttl", int(50))], &json!({ "message-ttl": 20 }));
    assert_eq!(rules.ttl_ms, Some(50));
    assert_eq!(rules.policy_ttl, Some(PolicyTtl { ms: 20, since_ms: 7 }));
    let rules = merged(Classic, &[], &json!({}));
    assert_eq!((rules.ttl_ms, rules.policy_ttl), (None, None));
}

#[test]
fn a_delivery_limit_is_of_quorum_queues_and_negative_for_none() {
    for (kind, argument, policy, expected) in [
        (Classic, None, Some(5), None),
        (Quorum, None, None, Some(20)),
        (Quorum, Some(3), None, Some(3)),
        (Quorum, Some(0), None, Some(0)),
        (Quorum, Some(-1), None, None),
        (Quorum, None, Some(4), Some(4)),
        (Quorum, Some(3), Some(4), Some(3)),
        (Quorum, Some(5), Some(4), Some(4)),
        (Quorum, Some(-1), Some(4), Some(4)),
        (Quorum, Some(5), Some(-1), Some(5)),
        (Quorum, Some(-1), Some(-1), None),
    ] {
        let pairs: Vec<_> =
            argument.map(|value| ("x-delivery-limit", int(value))).into_iter().collect();
        let definition = policy.map_or(json!({}), |value: i64| json!({ "delivery-limit": value }));
        let rules = merged(kind, &pairs, &definition);
        assert_eq!(rules.delivery_limit, expected, "{kind:?} {argument:?} {policy:?}");
    }
    // RabbitMQ takes any value, and goes by its default if it is no number.
    let rules = merged(Quorum, &[("x-delivery-limit", text_of("x"))], &json!({}));
    assert_eq!(rules.delivery_limit, Some(20));
}

#[test]
fn of_two_dead_letter_settings_the_argument_counts_each_for_itself() {
    let read = |pairs: &[(&str, AMQPValue)], definition| {
        let dead_letter = merged(Classic, pairs, &definition).dead_letter;
        dead_letter
            .map(|found| (found.exchange.to_string(), found.routing_key.map(|key| key.to_string())))
    };
    let own = ("x-dead-letter-exchange", text_of("own"));
    let own_key = ("x-dead-letter-routing-key", text_of("own-key"));
    let both = json!({ "dead-letter-exchange": "policy", "dead-letter-routing-key": "policy-key" });
    let found =
        |exchange: &str, key: Option<&str>| Some((exchange.to_owned(), key.map(str::to_owned)));
    assert_eq!(read(&[], json!({})), None);
    assert_eq!(read(std::slice::from_ref(&own), json!({})), found("own", None));
    assert_eq!(read(&[], both.clone()), found("policy", Some("policy-key")));
    assert_eq!(read(std::slice::from_ref(&own), both.clone()), found("own", Some("policy-key")));
    assert_eq!(read(&[own, own_key], both), found("own", Some("own-key")));
    let default_exchange = ("x-dead-letter-exchange", text_of(""));
    assert_eq!(read(&[default_exchange], json!({})), found("", None));
    assert_eq!(read(&[], json!({ "dead-letter-routing-key": "key" })), None);
}

#[test]
fn of_two_overflows_the_argument_counts_on_classic_and_the_policy_on_quorum_queues() {
    use Overflow::{DropHead, RejectPublish, RejectPublishDlx};
    let (refuse, dlx, drop) = ("reject-publish", "reject-publish-dlx", "drop-head");
    for (kind, argument, policy, expected) in [
        (Classic, None, None, DropHead),
        (Classic, Some(refuse), None, RejectPublish),
        (Classic, Some(dlx), None, RejectPublishDlx),
        (Classic, None, Some(refuse), RejectPublish),
        (Classic, Some(drop), Some(refuse), DropHead),
        (Classic, Some(refuse), Some(drop), RejectPublish),
        (Quorum, Some(refuse), None, RejectPublish),
        (Quorum, Some(drop), Some(refuse), RejectPublish),
        (Quorum, Some(refuse), Some(drop), DropHead),
        (Quorum, Some(dlx), None, DropHead),
    ] {
        let pairs: Vec<_> =
            argument.map(|value| ("x-overflow", text_of(value))).into_iter().collect();
        let definition = policy.map_or(json!({}), |value| json!({ "overflow": value }));
        let rules = merged(kind, &pairs, &definition);
        assert_eq!(rules.overflow, expected, "{kind:?} {argument:?} {policy:?}");
    }
}

#[test]
fn priorities_are_asked_for_on_classic_and_always_there_on_quorum_queues() {
    for (kind, argument, expected) in [
        (Classic, None, (0, 0)),
        (Classic, Some(0), (0, 0)),
        (Classic, Some(10), (10, 0)),
        (Classic, Some(255), (255, 0)),
        (Quorum, None, (31, 4)),
    ] {
        let pairs: Vec<_> =
            argument.map(|value| ("x-max-priority", int(value))).into_iter().collect();
        let rules = merged(kind, &pairs, &json!({}));
        assert_eq!((rules.max_priority, rules.default_priority), expected);
        assert_eq!(rules.counts_acquired, kind == Quorum);
    }
}

#[test]
fn retry_delays_come_from_the_argument_or_else_from_the_policy() {
    let first_delay = |pairs: &[(&str, AMQPValue)], definition| {
        let retry = merged(Classic, pairs, &definition).retry;
        retry.and_then(|schedule| schedule.delay(0, 0)).map(|delay| delay.as_millis())
    };
    let argument = ("x-retry-delays", text_of("5ms,9ms"));
    assert_eq!(first_delay(&[], json!({})), None);
    assert_eq!(first_delay(std::slice::from_ref(&argument), json!({})), Some(5));
    assert_eq!(first_delay(&[], json!({ "retry-delays": "7ms" })), Some(7));
    assert_eq!(first_delay(&[], json!({ "retry-delays": [8, "1s"] })), Some(8));
    assert_eq!(first_delay(&[argument], json!({ "retry-delays": "7ms" })), Some(5));
}

#[test]
fn flags_and_headers_are_the_arguments_alone() {
    let active = |value| merged(Classic, &[("x-single-active-consumer", value)], &json!({}));
    assert!(active(AMQPValue::Boolean(true)).single_active_consumer);
    assert!(!active(AMQPValue::Boolean(false)).single_active_consumer);
    for (value, expected) in [
        (None, None),
        (Some(AMQPValue::Boolean(false)), None),
        (Some(AMQPValue::Boolean(true)), Some("x-group-id")),
        (Some(text_of("")), Some("x-group-id")),
        (Some(text_of("tenant")), Some("tenant")),
    ] {
        let pairs: Vec<_> =
            value.map(|value| ("x-message-group-header", value)).into_iter().collect();
        let rules = merged(Classic, &pairs, &json!({}));
        assert_eq!(rules.group_header.as_deref(), expected);
    }
    assert!(rules(&FieldTable::default(), Classic, true, &Effective::default()).auto_delete);
}
