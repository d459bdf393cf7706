//! Deaths as RabbitMQ 4.3 was seen to write them: names, types and order; and what a client's own
//! headers of the same names are worth.

use super::arbitrary::{damage, properties, table};
use crate::protocol::death::{
    DEATH_ROUTING_KEYS_BYTES_MAX, DEATHS_BYTES_MAX, Death, DeathRecord, Reason, deaths, is_cycle,
    with_death,
};
use crate::protocol::field_table::fields;
use crate::protocol::field_value::{Value, values};
use crate::protocol::properties::Properties;
use crate::protocol::rewrite::with_header_number;
use amq_protocol::frame::WriteContext;
use amq_protocol::protocol::BasicProperties;
use amq_protocol::protocol::basic::gen_properties;
use amq_protocol::types::{AMQPValue, FieldTable};
use proptest::collection::vec;
use proptest::prelude::*;

const NO_PROPERTIES: &[u8] = &[0, 0];

fn encoded(properties: &BasicProperties) -> Vec<u8> {
    gen_properties(properties)(WriteContext::from(Vec::new())).unwrap().write
}

fn with_headers<'a>(headers: impl IntoIterator<Item = (&'a str, AMQPValue)>) -> BasicProperties {
    let mut table = FieldTable::default();
    for (name, value) in headers {
        table.insert(name.into(), value);
    }
    BasicProperties::default().with_headers(table)
}

fn text(text: &str) -> AMQPValue {
    AMQPValue::LongString(text.into())
}

fn death<'a>(queue: &'a str, reason: Reason) -> Death<'a> {
    let routing_keys = vec!["key".to_owned(), "copy".to_owned()];
    Death { queue, reason, exchange: "x", routing_keys, time_secs: 7 }
}

/// What dies in each of these queues, one after the other.
fn dies(raw: &[u8], ways: &[(&str, Reason)]) -> Vec<u8> {
    let first = raw.to_vec();
    let mut trusted = false;
    ways.iter().fold(first, |raw, (queue, reason)| {
        let dead = with_death(&raw, trusted, &death(queue, *reason));
        trusted = true;
        dead
    })
}

/// Every field with its type, those of tables within arrays too.
fn shape(fields_raw: &[u8], out: &mut Vec<String>) {
    for field in fields(fields_raw) {
        let kind = char::from(field.value[0]);
        let name = std::str::from_utf8(field.name).unwrap();
        match field.view() {
            Value::Integer(number) => out.push(format!("{name} {kind} {number}")),
            Value::Timestamp(secs) => out.push(format!("{name} {kind} {secs}")),
            Value::Text(_) => out.push(format!("{name} {kind} {}", field.view().text().unwrap())),
            Value::Array(array) => {
                out.push(format!("{name} {kind}"));
                for value in values(array) {
                    match value {
                        Value::Table(inner) => shape(inner, out),
                        value => out.push(format!("- {}", value.text().unwrap())),
                    }
                }
            }
            value => panic!("{name}: {value:?}"),
        }
    }
}

fn headers_of(raw: &[u8]) -> Vec<String> {
    let mut out = Vec::new();
    shape(Properties::parse(raw).unwrap().headers_raw().unwrap(), &mut out);
    out
}

fn ways(raw: &[u8]) -> Vec<(String, &'static str, u64)> {
    deaths(raw, true).into_iter().map(|d| (d.queue, d.reason.as_str(), d.count)).collect()
}

fn way(queue: &str, reason: Reason, count: u64) -> (String, &'static str, u64) {
    (queue.to_owned(), reason.as_str(), count)
}

#[test]
fn a_first_death_is_written_as_rabbitmq_does() {
    let properties =
        with_headers([("a", AMQPValue::LongInt(1)), ("BCC", text("b")), ("z", text("zz"))]);
    let properties = properties.with_expiration("050".into()).with_priority(3);
    let dead = with_death(&encoded(&properties), false, &death("q", Reason::Expired));
    let expected = [
        "a I 1",
        "x-death A",
        "original-expiration S 50",
        "count l 1",
        "reason S expired",
        "queue S q",
        "time T 7",
        "exchange S x",
        "routing-keys A",
        "- key",
        "- copy",
        "x-first-death-exchange S x",
        "x-first-death-queue S q",
        "x-first-death-reason S expired",
        "x-last-death-exchange S x",
        "x-last-death-queue S q",
        "x-last-death-reason S expired",
        "z S zz",
    ];
    assert_eq!(headers_of(&dead), expected);
    let dead = Properties::parse(&dead).unwrap();
    assert_eq!((dead.expiration(), dead.priority()), (None, Some(3)));
}

#[test]
fn a_message_without_properties_gets_headers_and_no_original_expiration() {
    let dead = with_death(NO_PROPERTIES, false, &death("q", Reason::Rejected));
    let headers = headers_of(&dead);
    assert_eq!(headers[..2], ["x-death A", "count l 1"]);
    assert_eq!(dead[..2], [0x20, 0]);
}

#[test]
fn another_death_goes_in_front_and_the_first_one_is_kept_in_the_headers() {
    let dead = dies(NO_PROPERTIES, &[("a", Reason::Expired), ("b", Reason::MaxLen)]);
    assert_eq!(ways(&dead), [way("b", Reason::MaxLen, 1), way("a", Reason::Expired, 1)]);
    let headers = headers_of(&dead);
    for expected in [
        "x-first-death-queue S a",
        "x-first-death-reason S expired",
        "x-last-death-queue S b",
        "x-last-death-reason S maxlen",
    ] {
        assert!(headers.iter().any(|header| header == expected), "{expected} in {headers:?}");
    }
}

#[test]
fn a_repeated_death_is_counted_moves_to_the_front_and_tells_of_the_first_time() {
    let properties = encoded(&BasicProperties::default().with_expiration("50".into()));
    let twice = dies(&properties, &[("a", Reason::Expired), ("b", Reason::Rejected)]);
    let later = Death {
        queue: "a",
        reason: Reason::Expired,
        exchange: "dlx",
        routing_keys: vec!["other".to_owned()],
        time_secs: 99,
    };
    let dead = with_death(&twice, true, &later);
    let record = DeathRecord {
        queue: "a".to_owned(),
        reason: Reason::Expired,
        count: 2,
        exchange: "x".to_owned(),
        routing_keys: vec!["key".to_owned(), "copy".to_owned()],
        time_secs: 7,
        original_expiration: Some("50".to_owned()),
    };
    assert_eq!(deaths(&dead, true)[0], record);
    assert_eq!(ways(&dead), [way("a", Reason::Expired, 2), way("b", Reason::Rejected, 1)]);
    let last_exchange = "x-last-death-exchange S dlx".to_owned();
    assert!(headers_of(&dead).contains(&last_exchange));
}

#[test]
fn one_queue_and_two_reasons_are_two_records() {
    let dead = dies(NO_PROPERTIES, &[("a", Reason::DeliveryLimit), ("a", Reason::Rejected)]);
    assert_eq!(ways(&dead), [way("a", Reason::Rejected, 1), way("a", Reason::DeliveryLimit, 1)]);
}

#[test]
fn what_a_client_says_about_deaths_is_not_counted_and_is_replaced() {
    let dead_before = dies(NO_PROPERTIES, &[("a", Reason::Expired), ("b", Reason::Expired)]);
    assert_eq!(deaths(&dead_before, false), []);
    let dead = with_death(&dead_before, false, &death("q", Reason::Rejected));
    let fresh = with_death(NO_PROPERTIES, false, &death("q", Reason::Rejected));
    assert_eq!(dead, fresh);
}

#[test]
fn cc_stays_and_bcc_goes() {
    let copies = AMQPValue::FieldArray(vec![text("copy")].into());
    let properties = encoded(&with_headers([("CC", copies.clone()), ("BCC", copies)]));
    let dead = with_death(&properties, false, &death("q", Reason::Expired));
    let dead = Properties::parse(&dead).unwrap();
    assert!(dead.header("CC").is_some());
    assert_eq!(dead.header("BCC"), None);
}

#[test]
fn a_circle_is_cut_unless_somebody_rejected_since() {
    use Reason::{DeliveryLimit, Expired, MaxLen, Rejected};
    // The deaths so far, and whether RabbitMQ drops the message on its way into queue a.
    let table = [
        (vec![], false),
        (vec![("b", Expired)], false),
        (vec![("a", Expired)], true),
        (vec![("a", Rejected)], false),
        (vec![("a", Expired), ("b", MaxLen)], true),
        (vec![("a", Expired), ("b", Rejected)], false),
        // The reject was before the circle.
        (vec![("a", Rejected), ("a", MaxLen)], true),
        (vec![("c", Rejected), ("a", DeliveryLimit), ("b", Expired)], true),
    ];
    for (past, expected) in table {
        let dead = dies(NO_PROPERTIES, &past);
        assert_eq!(is_cycle(&deaths(&dead, true), "a"), expected, "{past:?}");
    }
}

#[test]
fn a_history_without_end_forgets_its_oldest_deaths() {
    let mut dead = NO_PROPERTIES.to_vec();
    let name = "n".repeat(240);
    for number in 0..600 {
        let queue = format!("{name}{number}");
        dead = with_death(&dead, number > 0, &death(&queue, Reason::Expired));
    }
    let records = deaths(&dead, true);
    assert_eq!(records[0].queue, format!("{name}599"));
    assert!(records.len() > 100 && records.len() < 600, "{}", records.len());
    assert!(dead.len() < DEATHS_BYTES_MAX + 8 * 1024, "{}", dead.len());
    assert!(headers_of(&dead).contains(&format!("x-first-death-queue S {name}0")));
}

#[test]
fn routing_keys_beyond_their_bound_are_left_out() {
    for key_len in [0, 255] {
        let mut endless = death("q", Reason::Expired);
        endless.routing_keys = vec!["k".repeat(key_len); 1000];
        let dead = with_death(NO_PROPERTIES, false, &endless);
        let kept = &deaths(&dead, true)[0].routing_keys;
        assert_eq!(kept.len(), DEATH_ROUTING_KEYS_BYTES_MAX / (key_len + 5));
    }
}

#[test]
fn a_number_of_the_broker_replaces_what_the_publisher_sent_under_its_name() {
    let properties = encoded(&with_headers([
        ("a", AMQPValue::LongInt(2)),
        ("x-delivery-count", text("mine")),
        ("z", AMQPValue::LongInt(1)),
    ]));
    let expected = ["a I 2", "x-delivery-count l 3", "z I 1"];
    assert_eq!(headers_of(&with_header_number(&properties, "x-delivery-count", 3)), expected);
    let negated = with_header_number(NO_PROPERTIES, "x-delay", -5000);
    assert_eq!(headers_of(&negated), ["x-delay l -5000"]);
}

/// The properties without the headers that a death takes away or writes.
fn without_the_brokers(properties: &BasicProperties) -> BasicProperties {
    let mut kept = FieldTable::default();
    for (name, value) in properties.headers().iter().flatten() {
        let name_text = name.as_str();
        if !name_text.starts_with("x-") && !["CC", "BCC"].contains(&name_text) {
            kept.insert(name.clone(), value.clone());
        }
    }
    properties.clone().with_headers(kept)
}

fn some_death() -> impl Strategy<Value = (u8, Reason)> {
    let reason = prop_oneof![
        Just(Reason::Rejected),
        Just(Reason::Expired),
        Just(Reason::MaxLen),
        Just(Reason::DeliveryLimit),
    ];
    (0..4_u8, reason)
}

proptest! {
    #[test]
    fn the_records_are_the_deaths_counted_and_most_recent_first(
        properties in properties(),
        past in vec(some_death(), 1..20),
    ) {
        let names: Vec<_> = past.iter().map(|(queue, _)| format!("q{queue}")).collect();
        let past: Vec<_> =
            names.iter().zip(&past).map(|(name, (_, reason))| (name.as_str(), *reason)).collect();
        let mut expected: Vec<(String, &str, u64)> = Vec::new();
        for (queue, reason) in &past {
            let same = expected.iter().position(|(q, r, _)| q == queue && *r == reason.as_str());
            let count = same.map_or(0, |index| expected.remove(index).2);
            expected.insert(0, way(queue, *reason, count + 1));
        }
        prop_assert_eq!(ways(&dies(&encoded(&properties), &past)), expected);
    }

    #[test]
    fn the_publishers_other_headers_and_properties_stay(
        properties in properties(),
        headers in table(),
    ) {
        let before = properties.with_headers(headers).with_expiration("1".into());
        let dead = with_death(&encoded(&before), false, &death("q", Reason::MaxLen));
        let after = Properties::parse(&dead).unwrap().decode().unwrap();
        let after = after.with_expiration("1".into());
        prop_assert_eq!(without_the_brokers(&after), without_the_brokers(&before));
    }

    #[test]
    fn damaged_histories_never_panic_and_the_next_death_is_still_written(
        past in vec(some_death(), 1..6),
        damage in damage(),
    ) {
        let names: Vec<_> = past.iter().map(|(queue, _)| format!("q{queue}")).collect();
        let past: Vec<_> =
            names.iter().zip(&past).map(|(name, (_, reason))| (name.as_str(), *reason)).collect();
        let mut dead = dies(NO_PROPERTIES, &past);
        damage.apply(&mut dead);
        let next = with_death(&dead, true, &death("next", Reason::Expired));
        if Properties::parse(&dead).is_ok() {
            prop_assert_eq!(&ways(&next)[0], &way("next", Reason::Expired, 1));
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(
        raw in vec(any::<u8>(), 0..60),
        noise in vec(any::<u8>(), 0..60),
        trusted in any::<bool>(),
    ) {
        let _dead = with_death(&raw, trusted, &death("q", Reason::Expired));
        // An x-death that is anything but the broker's.
        let x_death = AMQPValue::FieldArray(vec![AMQPValue::LongString(noise.into())].into());
        let properties = encoded(&with_headers([("x-death", x_death)]));
        prop_assert_eq!(deaths(&properties, true), []);
        let dead = with_death(&properties, true, &death("q", Reason::Expired));
        prop_assert_eq!(ways(&dead), [way("q", Reason::Expired, 1)]);
    }
}
