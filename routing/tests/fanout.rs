//! The fanout exchange.

use leveret_routing::ExchangeType;

use crate::support::{bind, binding, exchange, graph, plain, queue, routed};

#[test]
fn every_queue_gets_one_copy_whatever_the_key() {
    let mut graph = graph([], &["q1", "q2", "q3"]);
    bind(&mut graph, "amq.fanout", queue("q1"), "");
    bind(&mut graph, "amq.fanout", queue("q1"), "again");
    bind(&mut graph, "amq.fanout", queue("q2"), "key");
    for routing_key in ["", "key", "other"] {
        assert_eq!(routed(&graph, "amq.fanout", routing_key), ["q1", "q2"]);
    }
}

#[test]
fn a_queue_stays_until_its_last_binding_goes() {
    let mut graph = graph([], &["q"]);
    bind(&mut graph, "amq.fanout", queue("q"), "one");
    bind(&mut graph, "amq.fanout", queue("q"), "two");
    graph.unbind(&binding("amq.fanout", queue("q"), "one"));
    assert_eq!(routed(&graph, "amq.fanout", ""), ["q"]);
    graph.unbind(&binding("amq.fanout", queue("q"), "two"));
    assert_eq!(routed(&graph, "amq.fanout", ""), [""; 0]);
}

#[test]
fn two_fanouts_to_the_same_thousand_queues_yield_each_once() {
    let names: Vec<String> = (0..1000).map(|n| format!("q{n:03}")).collect();
    let queues: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut graph = graph([plain("other", ExchangeType::Fanout)], &queues);
    for name in &queues {
        bind(&mut graph, "amq.fanout", queue(name), "");
        bind(&mut graph, "other", queue(name), "");
    }
    bind(&mut graph, "amq.fanout", exchange("other"), "");
    assert_eq!(routed(&graph, "amq.fanout", ""), names);
}
