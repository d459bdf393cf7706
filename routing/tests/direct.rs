//! The direct exchange, and the default exchange, which is one without bindings.

use leveret_routing::{BindError, ExchangeType, Graph, NoExchange, Route};

use crate::support::{
    bind, binding, binding_with, exchange, graph, longstr, plain, queue, routed, sorted_queues,
};

#[test]
fn the_routing_key_has_to_equal_the_binding_key() {
    let mut graph = graph([], &["q1", "q2", "q3"]);
    bind(&mut graph, "amq.direct", queue("q1"), "red");
    bind(&mut graph, "amq.direct", queue("q2"), "red");
    bind(&mut graph, "amq.direct", queue("q3"), "");
    bind(&mut graph, "amq.direct", queue("q3"), "#");
    for (routing_key, expected) in [
        ("red", vec!["q1", "q2"]),
        ("Red", vec![]),
        ("re", vec![]),
        ("red.", vec![]),
        ("", vec!["q3"]),
        ("#", vec!["q3"]),
    ] {
        assert_eq!(routed(&graph, "amq.direct", routing_key), expected, "key {routing_key:?}");
    }
}

#[test]
fn a_queue_bound_many_times_gets_one_copy() {
    let mut graph = graph([], &["q"]);
    for color in ["red", "blue"] {
        let arguments = [("color", longstr(color))];
        let binding = binding_with("amq.direct", queue("q"), "key", &arguments);
        assert_eq!(graph.bind(binding), Ok(true));
    }
    assert_eq!(routed(&graph, "amq.direct", "key"), ["q"]);
}

#[test]
fn several_routing_keys_reach_the_queues_of_each_once() {
    let mut graph = graph([], &["q1", "q2", "q3"]);
    bind(&mut graph, "amq.direct", queue("q1"), "to");
    bind(&mut graph, "amq.direct", queue("q1"), "cc");
    bind(&mut graph, "amq.direct", queue("q2"), "cc");
    bind(&mut graph, "amq.direct", queue("q3"), "other");
    let mut route = Route::new();
    graph.route_keys("amq.direct", &["to", "cc"], &(), &mut route).unwrap();
    assert_eq!(sorted_queues(&route), ["q1", "q2"]);
}

#[test]
fn the_default_exchange_routes_to_the_queue_named_by_the_key() {
    let graph = graph([], &["q1", "q2"]);
    assert_eq!(routed(&graph, "", "q1"), ["q1"]);
    assert_eq!(routed(&graph, "", "q3"), [""; 0]);
    let mut route = Route::new();
    graph.route_keys("", &["q1", "q2", "q1", "q3"], &(), &mut route).unwrap();
    assert_eq!(sorted_queues(&route), ["q1", "q2"]);
}

#[test]
fn the_default_exchange_can_be_neither_end_of_a_binding() {
    let mut graph = graph([plain("x", ExchangeType::Fanout)], &["q"]);
    assert_eq!(graph.bind(binding("", queue("q"), "q")), Err(BindError::DefaultExchange));
    assert_eq!(graph.bind(binding("x", exchange(""), "q")), Err(BindError::DefaultExchange));
}

#[test]
fn an_unknown_exchange_is_an_error_and_leaves_the_route_empty() {
    let graph = graph([], &["q"]);
    let mut route = Route::new();
    graph.route("", "q", &(), &mut route).unwrap();
    assert_eq!(graph.route("nowhere", "q", &(), &mut route), Err(NoExchange));
    assert!(route.queues().is_empty());
}

#[test]
fn a_snapshot_routes_as_it_did_when_it_was_taken() {
    let mut graph: Graph = graph([], &["q1", "q2"]);
    bind(&mut graph, "amq.direct", queue("q1"), "key");
    let snapshot = graph.clone();
    graph.unbind(&binding("amq.direct", queue("q1"), "key"));
    bind(&mut graph, "amq.direct", queue("q2"), "key");
    graph.remove_queue("q1");
    assert_eq!(routed(&snapshot, "amq.direct", "key"), ["q1"]);
    assert_eq!(routed(&snapshot, "", "q1"), ["q1"]);
    assert_eq!(routed(&graph, "amq.direct", "key"), ["q2"]);
}
