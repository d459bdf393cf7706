//! Promise: `*` stands for exactly one word and `#` for any number of words, wherever they are.

use std::collections::BTreeMap;

use leveret_tests::broker::Broker;
use leveret_tests::client::Channel;
use leveret_tests::queue;

/// Routing keys, and which of the patterns below match them, one column a key.
const KEYS: [&str; 8] = ["", "red", "red.car", "car.red", "red.big.car", "a.b.c.d", "red.red", "."];

/// A binding key, and `x` where the key of that column matches. The empty key is no words at all; `.` is two empty words.
const PATTERNS: [(&str, &str); 24] = [
    ("#", "xxxxxxxx"),
    ("#.#", "xxxxxxxx"),
    ("", "x-------"),
    ("*", "-x------"),
    ("*.#", "-xxxxxxx"),
    ("#.*", "-xxxxxxx"),
    ("#.*.#", "-xxxxxxx"),
    ("*.*", "--xx--xx"),
    ("*.*.#", "--xxxxxx"),
    ("*.*.*", "----x---"),
    ("#.*.*.#.*", "----xx--"),
    ("red", "-x------"),
    ("red.#", "-xx-x-x-"),
    ("#.red", "-x-x--x-"),
    ("#.red.#", "-xxxx-x-"),
    ("red.*", "--x---x-"),
    ("*.red", "---x--x-"),
    ("red.#.car", "--x-x---"),
    ("red.*.car", "----x---"),
    ("#.car", "--x-x---"),
    ("red.#.red", "------x-"),
    ("a.#.b.#.d", "-----x--"),
    ("red.car", "--x-----"),
    ("r*", "--------"),
];

fn bind_all(channel: &Channel, exchange: &str) -> BTreeMap<&'static str, String> {
    PATTERNS
        .iter()
        .map(|(pattern, _)| {
            let queue = channel.exclusive_queue();
            channel.bind(&queue, exchange, pattern);
            (*pattern, queue)
        })
        .collect()
}

fn matching(
    channel: &Channel,
    exchange: &str,
    queues: &BTreeMap<&'static str, String>,
) -> Vec<String> {
    for key in KEYS {
        channel.publish(exchange, key, key);
    }
    PATTERNS
        .iter()
        .map(|(pattern, _)| {
            let mut got = Vec::new();
            while let Some(message) = channel.get(&queues[pattern]) {
                got.push(message.body);
            }
            let row: String = KEYS
                .iter()
                .map(|key| if got.iter().any(|body| body == key) { 'x' } else { '-' })
                .collect();
            assert_eq!(
                row.matches('x').count(),
                got.len(),
                "{pattern} got a copy too many: {got:?}"
            );
            row
        })
        .collect()
}

/// Check 19.
#[test]
fn every_pattern_matches_what_it_should_and_nothing_else() {
    let broker = Broker::start();
    let channel = broker.channel();
    let exchange = broker.name("x");
    channel.declare_exchange(&exchange, "topic");
    let queues = bind_all(&channel, &exchange);
    let found = matching(&channel, &exchange, &queues);
    for ((pattern, expected), found) in PATTERNS.iter().zip(found) {
        assert_eq!(&found, expected, "pattern {pattern:?} over {KEYS:?}");
    }
}

/// Check 19: taking a binding away takes nothing away from the others that share its words.
#[test]
fn an_unbound_pattern_stops_matching_and_the_others_go_on() {
    let broker = Broker::start();
    let channel = broker.channel();
    let exchange = broker.name("x");
    channel.declare_exchange(&exchange, "topic");
    let queues = bind_all(&channel, &exchange);
    let unbound = ["#", "red.#", "*.*", "", "red.#.car", "a.#.b.#.d"];
    for pattern in unbound {
        channel
            .call(queue::Unbind {
                queue: queues[pattern].as_str().into(),
                exchange: exchange.as_str().into(),
                routing_key: pattern.into(),
                ..Default::default()
            })
            .unwrap();
    }
    let found = matching(&channel, &exchange, &queues);
    for ((pattern, row), found) in PATTERNS.iter().zip(found) {
        let expected = if unbound.contains(pattern) { "--------" } else { row };
        assert_eq!(found, expected, "pattern {pattern:?} over {KEYS:?}");
    }
}

#[test]
fn a_queue_that_several_patterns_match_gets_one_copy() {
    let broker = Broker::start();
    let channel = broker.channel();
    let (exchange, queue) = (broker.name("x"), channel.exclusive_queue());
    channel.declare_exchange(&exchange, "topic");
    for pattern in ["#", "a.*", "*.b", "a.b"] {
        channel.bind(&queue, &exchange, pattern);
    }
    channel.publish(&exchange, "a.b", "once");
    assert_eq!(channel.get(&queue).unwrap().body, "once");
    assert_eq!(channel.get(&queue), None);
}
