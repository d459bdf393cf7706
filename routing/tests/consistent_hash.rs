//! The consistent hash exchange: what is hashed, how weights share, and who keeps which keys.

use std::collections::BTreeMap;

use amq_protocol::types::{AMQPValue, FieldTable};
use leveret_routing::ExchangeType::{ConsistentHash, Fanout};
use leveret_routing::{Exchange, Graph, Headers, Route};
use proptest::prelude::*;

use crate::support::{
    Content, bind, binding, binding_with, exchange, graph, longstr, one, plain, queue, routed,
    routed_to_one, routed_with, sorted_queues, table, with_alternate, with_arguments,
};

const QUEUES: [&str; 5] = ["q1", "q2", "q3", "q4", "q5"];

fn hashing(argument: &str, value: &str) -> Exchange {
    with_arguments("x", ConsistentHash, &[(argument, longstr(value))]).unwrap()
}

/// The exchange bound to the queues with these weights, in this order.
fn bound(exchange: Exchange, weights: &[(&str, u32)]) -> Graph {
    let mut graph = graph([exchange], &QUEUES);
    for (name, weight) in weights {
        bind(&mut graph, "x", queue(name), &weight.to_string());
    }
    graph
}

fn weighted(weights: &[(&str, u32)]) -> Graph {
    bound(plain("x", ConsistentHash), weights)
}

/// How many of the keys `0`, `1`, ... each queue gets.
fn counts(graph: &Graph, keys: u32) -> BTreeMap<String, u32> {
    let mut counts = BTreeMap::new();
    for key in 0..keys {
        *counts.entry(routed_to_one(graph, "x", &key.to_string())).or_default() += 1;
    }
    counts
}

/// Checks that each queue got its part of `keys`, give or take six standard deviations and a few:
/// the parts of the lightest are too small for the bell curve.
fn assert_shares(counts: &BTreeMap<String, u32>, keys: u32, weights: &[(&str, u32)]) {
    let total: u32 = weights.iter().map(|(_, weight)| weight).sum();
    for (name, weight) in weights {
        let part = f64::from(*weight) / f64::from(total);
        let count = f64::from(counts.get(*name).copied().unwrap_or_default());
        let (expected, variance) = (part * f64::from(keys), part * (1.0 - part) * f64::from(keys));
        let off = (count - expected).abs();
        assert!(off <= 6.0 * variance.sqrt() + 5.0, "{name} of {weights:?}: {counts:?}");
    }
}

#[test]
fn a_binding_key_is_a_weight_as_erlang_reads_integers() {
    for accepted in ["1", "10000", "+5", "05", "000000000000000000000000010000"] {
        let mut graph = weighted(&[]);
        bind(&mut graph, "x", queue("q1"), accepted);
        assert_eq!(routed(&graph, "x", "key"), ["q1"], "{accepted:?}");
    }
}

/// The texts are RabbitMQ's, as it printed them.
#[test]
fn any_other_binding_key_is_refused() {
    const LOW: &str = "The binding key must be greater than 0";
    const HIGH: &str = "The binding key must not exceed 10000";
    let integer = |printed: &str| format!("The binding key must be an integer: <<{printed}>>");
    let mut graph = weighted(&[]);
    for (key, text) in [
        ("0", LOW.to_owned()),
        ("-0", LOW.to_owned()),
        ("-1", LOW.to_owned()),
        ("-99999999999999999999", LOW.to_owned()),
        ("10001", HIGH.to_owned()),
        ("99999999999999999999", HIGH.to_owned()),
        ("", integer("")),
        ("a", integer("\"a\"")),
        ("+", integer("\"+\"")),
        ("+-1", integer("\"+-1\"")),
        (" 5", integer("\" 5\"")),
        ("5 ", integer("\"5 \"")),
        ("1.5", integer("\"1.5\"")),
        ("1_0", integer("\"1_0\"")),
        ("0x10", integer("\"0x10\"")),
        ("a\"b\\c", integer("\"a\\\"b\\\\c\"")),
        ("\u{e9}", integer("\"\u{e9}\"/utf8")),
        ("\u{663}", integer("\"\u{663}\"/utf8")),
        ("\u{1}", integer("1")),
    ] {
        let error = graph.bind(binding("x", queue("q1"), key)).unwrap_err();
        assert_eq!(error.to_string(), text, "{key:?}");
    }
    assert_eq!(graph.bindings_of_source("x").count(), 0);
}

#[test]
fn what_is_hashed_is_checked_when_the_exchange_is_declared() {
    const TWO: &str = "hash-header and hash-property are mutually exclusive";
    let number = AMQPValue::LongInt(5);
    for (arguments, text) in [
        (&[("hash-header", longstr("h")), ("hash-property", longstr("message_id"))][..], TWO),
        (&[("hash-header", longstr("h")), ("hash-property", longstr("foo"))], TWO),
        (&[("hash-property", longstr("foo"))], "Unsupported property: foo"),
        (&[("hash-property", longstr("message-id"))], "Unsupported property: message-id"),
        (&[("hash-header", number.clone())], "invalid type 'signedint' for arg 'hash-header'"),
        (&[("hash-property", number)], "invalid type 'signedint' for arg 'hash-property'"),
    ] {
        let error = with_arguments("x", ConsistentHash, arguments).unwrap_err();
        assert_eq!(error.to_string(), text);
        assert!(with_arguments("x", Fanout, arguments).is_ok(), "means nothing there");
    }
}

#[test]
fn queues_share_the_keys_by_weight() {
    for weights in [
        &[("q1", 1), ("q2", 1)][..],
        &[("q1", 1), ("q2", 2), ("q3", 1)],
        &[("q1", 1), ("q2", 1), ("q3", 1), ("q4", 1), ("q5", 1)],
        &[("q1", 10), ("q2", 1)],
        &[("q1", 10_000), ("q2", 10_000), ("q3", 1)],
        &[("q1", 3), ("q2", 5), ("q3", 7), ("q4", 3)],
    ] {
        assert_shares(&counts(&weighted(weights), 10_000), 10_000, weights);
    }
}

/// As in RabbitMQ a queue's second binding adds nothing. There the first one counts; here it is the
/// lowest weight, which does not depend on what a restart forgets.
#[test]
fn one_binding_of_a_queue_counts_the_one_with_the_lowest_weight() {
    let mut graph = weighted(&[("q1", 1), ("q2", 1)]);
    let equal = counts(&graph, 1_000);
    let same = binding_with("x", queue("q1"), "1", &[("a", longstr("b"))]);
    assert_eq!(graph.bind(same.clone()), Ok(true));
    bind(&mut graph, "x", queue("q1"), "9");
    assert_eq!(counts(&graph, 1_000), equal);

    graph.unbind(&binding("x", queue("q1"), "1"));
    assert_eq!(counts(&graph, 1_000), equal, "there is another one of weight 1");
    graph.unbind(&same);
    assert_shares(&counts(&graph, 1_000), 1_000, &[("q1", 9), ("q2", 1)]);
    graph.unbind(&binding("x", queue("q1"), "9"));
    assert_eq!(counts(&graph, 1_000), [("q2".to_owned(), 1_000)].into());
}

/// Where keys lead is part of what a version promises to the next: whoever relies on one queue
/// seeing all messages of a customer relies on it through an update.
#[test]
fn keys_lead_where_they_have_always_led() {
    let graph = weighted(&[("q1", 1), ("q2", 1), ("q3", 2), ("q4", 2)]);
    let found =
        ["", "a", "b", "order.1", "order.2", "order.3"].map(|key| routed_to_one(&graph, "x", key));
    assert_eq!(found, ["q1", "q4", "q1", "q4", "q3", "q2"]);
}

#[test]
fn of_several_routing_keys_the_published_one_is_hashed() {
    let graph = weighted(&[("q1", 1), ("q2", 1), ("q3", 1)]);
    let published = routed(&graph, "x", "same");
    let mut route = Route::new();
    for n in 0..50 {
        graph.route_keys("x", &["same", &format!("cc {n}")], &(), &mut route).unwrap();
        assert_eq!(sorted_queues(&route), published);
    }
}

/// What the value of the header leads to; its type does not count.
#[test]
fn a_header_is_hashed_by_its_text() {
    let graph = bound(hashing("hash-header", "h"), &QUEUES.map(|name| (name, 1)));
    let to = |value: AMQPValue| one(routed_with(&graph, "x", "key", &table(&[("h", value)])));
    for n in 0..100_i32 {
        let text = to(longstr(&n.to_string()));
        assert_eq!(to(AMQPValue::LongInt(n)), text);
        assert_eq!(to(AMQPValue::LongLongInt(n.into())), text);
        assert_eq!(to(AMQPValue::Timestamp(n.unsigned_abs().into())), text);
        assert_eq!(to(AMQPValue::ByteArray(n.to_string().into_bytes().into())), text);
    }
    assert_eq!(to(AMQPValue::Boolean(true)), to(longstr("true")));
    let distinct = |value: &dyn Fn(i32) -> AMQPValue| {
        let reached: Vec<String> = (0..100).map(|n| to(value(n))).collect();
        QUEUES.iter().all(|name| reached.iter().any(|queue| queue == name))
    };
    assert!(distinct(&|n| AMQPValue::FieldArray(vec![AMQPValue::LongInt(n)].into())));
    assert!(distinct(&|n| AMQPValue::FieldTable(table(&[("a", AMQPValue::LongInt(n))]))));
    assert!(distinct(&|n| AMQPValue::Double(n.into())));
}

type WithValue = fn(u64) -> Content;

/// Each way to hash something else than the routing key, with messages that have different values
/// of it.
fn other_than_keys() -> [(Exchange, WithValue); 4] {
    [
        (hashing("hash-header", "h"), |n| {
            let headers = table(&[("h", longstr(&n.to_string())), ("other", longstr("x"))]);
            Content { headers, ..Content::default() }
        }),
        (hashing("hash-property", "correlation_id"), |n| Content {
            correlation_id: Some(n.to_be_bytes().to_vec()),
            ..Content::default()
        }),
        (hashing("hash-property", "message_id"), |n| Content {
            message_id: Some(n.to_be_bytes().to_vec()),
            ..Content::default()
        }),
        (hashing("hash-property", "timestamp"), |n| Content {
            timestamp: Some(n),
            ..Content::default()
        }),
    ]
}

#[test]
fn a_header_or_a_property_takes_the_place_of_the_routing_key() {
    let weights = [("q1", 1), ("q2", 1), ("q3", 1)];
    for (exchange, with_value) in other_than_keys() {
        let arguments = exchange.arguments.clone();
        let graph = bound(exchange, &weights);
        let mut counts = BTreeMap::new();
        for n in 0..3_000 {
            let content = with_value(n);
            let to = one(routed_with(&graph, "x", "a key", &content));
            assert_eq!(to, one(routed_with(&graph, "x", "another key", &content)));
            *counts.entry(to).or_default() += 1;
        }
        assert_shares(&counts, 3_000, &weights);
        let mut route = Route::new();
        graph.route("x", "key", &with_value(1), &mut route).unwrap();
        assert!(!route.cacheable(), "{arguments:?}");
    }
    let mut route = Route::new();
    weighted(&weights).route("x", "key", &(), &mut route).unwrap();
    assert!(route.cacheable());
}

#[test]
fn messages_without_what_is_hashed_go_to_one_queue() {
    let other_header = table(&[("other", longstr("value"))]);
    let contents: [&dyn Headers; 3] = [&(), &FieldTable::default(), &other_header];
    for (exchange, _) in other_than_keys() {
        let graph = bound(exchange, &[("q1", 1), ("q2", 1), ("q3", 1)]);
        let reached = |n: usize| {
            one(routed_with(&graph, "x", &format!("key {n}"), contents[n % contents.len()]))
        };
        assert!((0..20).all(|n| reached(n) == reached(0)));
    }
}

#[test]
fn a_destination_may_be_an_exchange() {
    let mut graph = graph([plain("x", ConsistentHash), plain("next", Fanout)], &["q1", "q2"]);
    bind(&mut graph, "x", queue("q1"), "1");
    bind(&mut graph, "x", exchange("next"), "3");
    bind(&mut graph, "next", queue("q2"), "");
    assert_shares(&counts(&graph, 4_000), 4_000, &[("q1", 1), ("q2", 3)]);
}

#[test]
fn with_nothing_bound_the_alternate_exchange_takes_the_message() {
    let mut graph = graph([with_alternate("x", ConsistentHash, "amq.fanout")], &["lost"]);
    bind(&mut graph, "amq.fanout", queue("lost"), "");
    assert_eq!(routed(&graph, "x", "key"), ["lost"]);
}

#[test]
fn declaring_it_again_with_something_else_to_hash_is_the_existing_exchange() {
    let mut graph = weighted(&[]);
    let again = graph.declare_exchange(hashing("hash-header", "h"));
    assert_eq!(again, Ok(leveret_routing::Declared::Existing), "as in RabbitMQ");
}

fn weight() -> impl Strategy<Value = u32> {
    prop_oneof![4 => 1..20_u32, 1 => 1..10_001_u32]
}

/// Up to five queues with a weight each.
fn weights() -> impl Strategy<Value = Vec<(&'static str, u32)>> {
    prop::collection::vec(weight(), 1..=QUEUES.len())
        .prop_map(|weights| QUEUES.into_iter().zip(weights).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_weights_share_the_keys(weights in weights()) {
        assert_shares(&counts(&weighted(&weights), 2_000), 2_000, &weights);
    }

    #[test]
    fn who_gets_a_key_depends_on_who_is_bound_and_not_on_how_it_came_to_that(
        (weights, shuffled) in
            weights().prop_flat_map(|weights| (Just(weights.clone()), Just(weights).prop_shuffle())),
        passing in prop::collection::vec((prop::sample::select(QUEUES.to_vec()), weight()), 0..4),
    ) {
        let mut graph = weighted(&shuffled);
        for (name, weight) in passing {
            let arguments = [("passing", longstr(""))];
            let visitor = binding_with("x", queue(name), &weight.to_string(), &arguments);
            graph.bind(visitor.clone()).unwrap();
            graph.unbind(&visitor);
        }
        prop_assert_eq!(counts(&graph, 200), counts(&weighted(&weights), 200));
    }

    #[test]
    fn a_new_queue_takes_only_what_it_keeps_and_one_that_goes_leaves_only_what_it_had(
        weights in weights(),
    ) {
        let all = weighted(&weights);
        let (new, others) = weights.split_last().unwrap();
        let without = weighted(others);
        for key in 0..500 {
            let after = routed_to_one(&all, "x", &key.to_string());
            if after != new.0 {
                prop_assert_eq!(after, routed_to_one(&without, "x", &key.to_string()));
            }
        }
    }
}
