//! The random exchanges, `x-random` and `x-local-random`.

use std::collections::BTreeMap;

use leveret_routing::ExchangeType::{Fanout, LocalRandom, Random};
use leveret_routing::{BindError, Graph, Route};

use crate::support::{
    bind, binding, binding_with, exchange, graph, longstr, plain, queue, routed, sorted_queues,
    with_alternate,
};

/// Both types, bound to three queues.
fn bound() -> Graph {
    let mut graph = graph([plain("any", Random), plain("local", LocalRandom)], &["q1", "q2", "q3"]);
    for name in ["q1", "q2", "q3"] {
        bind(&mut graph, "any", queue(name), "ignored");
        bind(&mut graph, "local", queue(name), "");
    }
    graph
}

/// Where messages with the same key go, one after the other.
fn chosen(graph: &Graph, exchange: &str, route: &mut Route, count: usize) -> Vec<String> {
    let mut chosen = Vec::new();
    for _ in 0..count {
        graph.route(exchange, "key", &(), route).unwrap();
        assert!(!route.cacheable());
        assert_eq!(route.queues().len(), 1);
        chosen.extend(sorted_queues(route));
    }
    chosen
}

fn counts(chosen: Vec<String>) -> BTreeMap<String, u32> {
    let mut counts = BTreeMap::new();
    for queue in chosen {
        *counts.entry(queue).or_default() += 1;
    }
    counts
}

#[test]
fn each_message_goes_to_one_queue_and_all_get_their_share() {
    for exchange in ["any", "local"] {
        let counts = counts(chosen(&bound(), exchange, &mut Route::with_seed(1), 6_000));
        // 2,000 each; five standard deviations are 183.
        assert_eq!(counts.len(), 3);
        assert!(counts.values().all(|count| count.abs_diff(2_000) < 183), "{counts:?}");
    }
}

#[test]
fn the_seed_decides() {
    let with_seed = |seed| chosen(&bound(), "any", &mut Route::with_seed(seed), 50);
    assert_eq!(with_seed(7), with_seed(7));
    assert_ne!(with_seed(7), with_seed(8));
    assert_eq!(with_seed(0), chosen(&bound(), "any", &mut Route::new(), 50));
}

/// Measured with RabbitMQ 4.3, for both types.
#[test]
fn every_binding_of_a_queue_counts() {
    let mut graph = bound();
    for source in ["any", "local"] {
        graph.unbind(&binding(source, queue("q3"), if source == "any" { "ignored" } else { "" }));
        for value in ["a", "b", "c"] {
            let more = binding_with(source, queue("q1"), "", &[("v", longstr(value))]);
            assert_eq!(graph.bind(more), Ok(true));
        }
        let counts = counts(chosen(&graph, source, &mut Route::with_seed(2), 5_000));
        assert!(counts["q1"].abs_diff(4_000) < 142, "{counts:?}");
        assert_eq!(counts["q1"] + counts["q2"], 5_000);
    }
}

#[test]
fn an_unbound_queue_gets_nothing() {
    let mut graph = bound();
    graph.unbind(&binding("any", queue("q2"), "ignored"));
    graph.remove_queue("q3");
    let chosen = chosen(&graph, "any", &mut Route::new(), 20);
    assert!(chosen.iter().all(|name| name == "q1"), "{chosen:?}");
}

/// An exchange is visited once, so it chooses once.
#[test]
fn a_cycle_back_to_it_does_not_choose_again() {
    let mut graph = graph([plain("any", Random), plain("back", Fanout)], &["q1", "q2"]);
    bind(&mut graph, "any", queue("q1"), "");
    bind(&mut graph, "any", exchange("back"), "");
    bind(&mut graph, "back", exchange("any"), "");
    bind(&mut graph, "back", queue("q2"), "");
    let counts = counts(chosen(&graph, "any", &mut Route::new(), 100));
    assert_eq!(counts.len(), 2, "{counts:?}");
}

#[test]
fn with_nothing_bound_the_alternate_exchange_takes_the_message() {
    let exchanges =
        [with_alternate("any", Random, "amq.fanout"), with_alternate("local", LocalRandom, "any")];
    let mut graph = graph(exchanges, &["lost"]);
    assert_eq!(routed(&graph, "local", "key"), [""; 0]);
    bind(&mut graph, "amq.fanout", queue("lost"), "");
    assert_eq!(routed(&graph, "local", "key"), ["lost"]);
}

#[test]
fn a_local_random_exchange_is_bound_to_queues_and_without_a_key() {
    let mut graph = bound();
    graph.add_queue("q4".into());
    for (refused, text) in [
        (binding("local", queue("q4"), "key"), "Non empty binding 'key' key not permitted"),
        (binding("local", exchange("any"), "key"), "Non empty binding 'key' key not permitted"),
        (binding("local", exchange("any"), ""), "Destination not found"),
        (binding("local", queue("q5"), "key"), "no queue 'q5'"),
    ] {
        let error: BindError = graph.bind(refused).unwrap_err();
        assert_eq!(error.to_string(), text);
    }
    assert_eq!(graph.bindings_of_source("local").count(), 3);
}
