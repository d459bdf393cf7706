//! The topic exchange: which keys a pattern matches, and how long it may take.

use leveret_routing::{Binding, Graph};
use proptest::prelude::*;

use crate::naive::topic_matches;
use crate::support::{bind, binding, binding_with, graph, longstr, queue, routed};

/// Every pattern is bound to the queue of the same name.
fn topic_graph(patterns: &[&str]) -> Graph {
    let mut graph = graph([], patterns);
    for pattern in patterns {
        bind(&mut graph, "amq.topic", queue(pattern), pattern);
    }
    graph
}

fn sorted(names: &[&str]) -> Vec<String> {
    let mut names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    names.sort();
    names
}

/// The patterns and keys of RabbitMQ's own test of its topic exchange (`routing_SUITE:topic1`, 27
/// bindings and 12 keys), with the patterns that match each key.
const PATTERNS: [&str; 24] = [
    "a.b.c",
    "a.*.c",
    "a.#.b",
    "a.b.b.c",
    "#",
    "#.#",
    "#.b",
    "*.*",
    "a.*",
    "*.b.c",
    "a.#",
    "a.#.#",
    "b.b.c",
    "a.b.b",
    "a.b",
    "b.c",
    "",
    "*.*.*",
    "drink.one",
    "*.#",
    "#.*.#",
    "*.#.#",
    "*",
    "#.b.#",
];
/// The queue that shares its pattern `a.b.c` with another one.
const SECOND: &str = "a second queue";
/// The queue that is bound twice with one key, which is its name, and two sets of arguments.
const TWICE: &str = "bound-twice";

const EVERYTHING: [&str; 2] = ["#", "#.#"];
const ONE_OR_MORE: [&str; 3] = ["*.#", "#.*.#", "*.#.#"];

fn table_graph() -> Graph {
    let mut graph = topic_graph(&PATTERNS);
    for name in [SECOND, TWICE] {
        graph.add_queue(name.into());
    }
    bind(&mut graph, "amq.topic", queue(SECOND), "a.b.c");
    for value in ["bar", "baz"] {
        assert_eq!(graph.bind(bound_twice(value)), Ok(true));
    }
    assert_eq!(graph.bindings_of_source("amq.topic").count(), 27);
    graph
}

fn bound_twice(value: &str) -> Binding {
    binding_with("amq.topic", queue(TWICE), TWICE, &[("foo", longstr(value))])
}

/// The queues for each key, those that every key but the empty one reaches left out.
fn expected() -> Vec<(&'static str, Vec<&'static str>)> {
    vec![
        ("a.b.c", vec!["a.b.c", SECOND, "a.*.c", "*.b.c", "a.#", "a.#.#", "*.*.*", "#.b.#"]),
        ("a.b", vec!["a.#.b", "#.b", "*.*", "a.*", "a.#", "a.#.#", "a.b", "#.b.#"]),
        ("a.b.b", vec!["a.#.b", "#.b", "a.#", "a.#.#", "a.b.b", "*.*.*", "#.b.#"]),
        ("", vec![""]),
        ("b.c.c", vec!["*.*.*", "#.b.#"]),
        ("a.a.a.a.a", vec!["a.#", "a.#.#"]),
        ("drink.two", vec!["*.*"]),
        ("drink.one", vec!["*.*", "drink.one"]),
        ("b.b.c", vec!["*.b.c", "b.b.c", "*.*.*", "#.b.#"]),
        ("none.of.these.words", vec![]),
        ("word", vec!["*"]),
        ("bound-twice", vec!["*", TWICE]),
    ]
}

/// Compares every key's queues with the table, less those that are `gone`.
fn check_table(graph: &Graph, gone: &[&str]) {
    for (key, matching) in expected() {
        let more: &[&str] = if key.is_empty() { &[] } else { &ONE_OR_MORE };
        let mut queues = [&matching, &EVERYTHING[..], more].concat();
        queues.retain(|queue| !gone.contains(queue));
        assert_eq!(routed(graph, "amq.topic", key), sorted(&queues), "key {key:?}");
    }
}

#[test]
fn the_table_of_patterns_and_keys() {
    check_table(&table_graph(), &[]);
}

#[test]
fn unbound_patterns_no_longer_match_and_the_others_still_do() {
    let gone = ["a.b.c", "#", "a.#", "drink.one", "*.#"];
    let mut graph = table_graph();
    for pattern in gone {
        graph.unbind(&binding("amq.topic", queue(pattern), pattern));
    }
    graph.unbind(&bound_twice("baz"));
    check_table(&graph, &gone);
}

#[test]
fn the_empty_key_is_zero_words_and_a_dot_separates_empty_ones() {
    let graph = topic_graph(&["", "#", "#.#", "*", "*.#", ".", "*.*", "a.", "#."]);
    for (key, expected) in [
        ("", &["", "#", "#.#"][..]),
        (".", &["#", "#.#", "*.#", ".", "*.*", "#."]),
        ("a.", &["#", "#.#", "*.#", "*.*", "a.", "#."]),
        ("..", &["#", "#.#", "*.#", "#."]),
    ] {
        assert_eq!(routed(&graph, "amq.topic", key), sorted(expected), "key {key:?}");
    }
}

#[test]
fn wildcards_count_only_as_whole_words() {
    let graph = topic_graph(&["a*", "a#", "*a.b"]);
    assert_eq!(routed(&graph, "amq.topic", "ab"), [""; 0]);
    assert_eq!(routed(&graph, "amq.topic", "a*"), ["a*"]);
    assert_eq!(routed(&graph, "amq.topic", "a#"), ["a#"]);
    assert_eq!(routed(&graph, "amq.topic", "aa.b"), [""; 0]);
}

#[test]
fn a_wildcard_in_a_routing_key_is_a_word_like_any_other() {
    let graph = topic_graph(&["a.b", "*.b", "#.b", "a.*", "#"]);
    assert_eq!(routed(&graph, "amq.topic", "*.b"), sorted(&["*.b", "#.b", "#"]));
    assert_eq!(routed(&graph, "amq.topic", "a.#"), sorted(&["a.*", "#"]));
}

#[test]
fn bindings_that_differ_in_arguments_are_removed_one_by_one() {
    let mut graph = graph([], &["q"]);
    let bindings = ["bar", "baz"]
        .map(|value| binding_with("amq.topic", queue("q"), "args", &[("foo", longstr(value))]));
    for binding in &bindings {
        assert_eq!(graph.bind(binding.clone()), Ok(true));
    }
    assert_eq!(routed(&graph, "amq.topic", "args"), ["q"]);
    graph.unbind(&bindings[0]);
    assert_eq!(routed(&graph, "amq.topic", "args"), ["q"]);
    graph.unbind(&bindings[1]);
    assert_eq!(routed(&graph, "amq.topic", "args"), [""; 0]);
}

/// A walk that tried every way to spread the words over the wildcards would not end in this
/// century.
#[test]
fn nested_wildcards_take_bounded_work() {
    let matching = vec!["#"; 64].join(".a.");
    let failing = format!("{matching}.b");
    let hashes = vec!["#"; 127].join(".");
    let mixed = vec!["#.*"; 60].join(".");
    let graph = topic_graph(&[&matching, &failing, &hashes, &mixed]);
    let key = vec!["a"; 128].join(".");
    assert_eq!(routed(&graph, "amq.topic", &key), sorted(&[&matching, &hashes, &mixed]));
}

prop_compose! {
    /// Few distinct words, so that patterns and keys meet.
    fn key_of(word: &'static str)(words in prop::collection::vec(word, 0..6)) -> String {
        words.join(".")
    }
}

proptest! {
    #[test]
    fn matches_what_a_naive_matcher_matches(
        patterns in prop::collection::btree_set(key_of("[ab#*]|"), 1..40),
        removed in prop::collection::vec(any::<bool>(), 40),
        keys in prop::collection::vec(key_of("[abc]|"), 1..20),
    ) {
        let patterns: Vec<&str> = patterns.iter().map(String::as_str).collect();
        let mut graph = topic_graph(&patterns);
        let mut kept = Vec::new();
        for (pattern, removed) in patterns.iter().zip(removed) {
            if removed {
                graph.unbind(&binding("amq.topic", queue(pattern), pattern));
            } else {
                kept.push(*pattern);
            }
        }
        for key in &keys {
            let matching: Vec<&str> =
                kept.iter().copied().filter(|pattern| topic_matches(pattern, key)).collect();
            prop_assert_eq!(routed(&graph, "amq.topic", key), sorted(&matching), "key {:?}", key);
        }
    }
}
