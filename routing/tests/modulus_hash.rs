//! The modulus hash exchange.

use std::collections::BTreeSet;

use leveret_routing::ExchangeType::{Fanout, ModulusHash};
use leveret_routing::{Graph, Route};

use crate::support::{
    bind, binding_with, exchange, graph, longstr, plain, queue, routed, routed_to_one,
    sorted_queues, with_alternate,
};

const QUEUES: [&str; 4] = ["q1", "q2", "q3", "q4"];

fn bound(queues: &[&str]) -> Graph {
    let mut graph = graph([plain("x", ModulusHash)], &QUEUES);
    for (n, name) in queues.iter().enumerate() {
        bind(&mut graph, "x", queue(name), &format!("ignored {n}"));
    }
    graph
}

#[test]
fn a_key_leads_to_one_queue_and_keys_to_all_of_them_evenly() {
    let graph = bound(&QUEUES);
    let mut counts = [0_u32; 4];
    for n in 0..8_000 {
        let to = routed_to_one(&graph, "x", &format!("key {n}"));
        counts[QUEUES.iter().position(|name| *name == to).unwrap()] += 1;
    }
    // 2,000 each; five standard deviations are 194.
    assert!(counts.iter().all(|count| count.abs_diff(2_000) < 194), "{counts:?}");
}

#[test]
fn the_order_in_which_queues_were_bound_does_not_matter() {
    let (one, other) = (bound(&QUEUES), bound(&["q3", "q1", "q4", "q2"]));
    for n in 0..100 {
        let key = format!("key {n}");
        assert_eq!(routed(&one, "x", &key), routed(&other, "x", &key));
    }
}

/// Where keys lead is part of what a version promises to the next.
#[test]
fn keys_lead_where_they_have_always_led() {
    let graph = bound(&QUEUES);
    let found =
        ["", "a", "b", "order.1", "order.2", "order.3"].map(|key| routed_to_one(&graph, "x", key));
    assert_eq!(found, ["q2", "q2", "q1", "q4", "q4", "q2"]);
}

/// Measured with RabbitMQ 4.3: four bindings of one queue and one of another share 4 to 1.
#[test]
fn every_binding_of_a_queue_counts() {
    let mut graph = bound(&["q1", "q2"]);
    for value in ["a", "b", "c"] {
        let more = binding_with("x", queue("q1"), "ignored", &[("v", longstr(value))]);
        assert_eq!(graph.bind(more), Ok(true));
    }
    let to_first =
        (0..5_000).filter(|n| routed_to_one(&graph, "x", &n.to_string()) == "q1").count();
    assert!(to_first.abs_diff(4_000) < 142, "{to_first}");
}

#[test]
fn all_the_keys_of_a_message_are_hashed_together() {
    let graph = bound(&QUEUES);
    let mut route = Route::new();
    let mut reached = BTreeSet::new();
    for n in 0..50 {
        graph.route_keys("x", &["same", &format!("cc {n}")], &(), &mut route).unwrap();
        assert_eq!(route.queues().len(), 1);
        reached.extend(sorted_queues(&route));
    }
    assert_eq!(reached.len(), 4);
}

#[test]
fn it_leads_to_exchanges_too_and_to_the_alternate_when_nothing_is_bound() {
    let exchanges = [with_alternate("x", ModulusHash, "amq.fanout"), plain("next", Fanout)];
    let mut graph = graph(exchanges, &["q", "lost"]);
    bind(&mut graph, "amq.fanout", queue("lost"), "");
    bind(&mut graph, "next", queue("q"), "");
    assert_eq!(routed(&graph, "x", "key"), ["lost"]);
    bind(&mut graph, "x", exchange("next"), "");
    assert_eq!(routed(&graph, "x", "key"), ["q"]);
}

#[test]
fn its_answers_may_be_remembered() {
    let mut route = Route::new();
    bound(&QUEUES).route("x", "key", &(), &mut route).unwrap();
    assert!(route.cacheable());
}
