//! Alternate exchanges.

use amq_protocol::types::AMQPValue;
use leveret_routing::ExchangeType::{Direct, Fanout};
use leveret_routing::{Exchange, Route};

use crate::support::{
    bind, exchange, graph, plain, queue, routed, sorted_queues, table, with_alternate,
};

#[test]
fn it_takes_what_nothing_matched_and_nothing_else() {
    let exchanges = [with_alternate("orders", Direct, "unrouted"), plain("unrouted", Fanout)];
    let mut graph = graph(exchanges, &["new", "lost"]);
    bind(&mut graph, "orders", queue("new"), "new");
    bind(&mut graph, "unrouted", queue("lost"), "");
    assert_eq!(routed(&graph, "orders", "new"), ["new"]);
    assert_eq!(routed(&graph, "orders", "old"), ["lost"]);
}

#[test]
fn one_matching_key_of_several_is_enough_to_leave_it_out() {
    let exchanges = [with_alternate("orders", Direct, "amq.fanout")];
    let mut graph = graph(exchanges, &["new", "lost"]);
    bind(&mut graph, "orders", queue("new"), "new");
    bind(&mut graph, "amq.fanout", queue("lost"), "");
    let mut route = Route::new();
    graph.route_keys("orders", &["old", "new"], &(), &mut route).unwrap();
    assert_eq!(sorted_queues(&route), ["new"]);
}

#[test]
fn a_missing_one_means_unroutable_until_it_is_declared() {
    let mut graph = graph([with_alternate("orders", Direct, "unrouted")], &["lost"]);
    assert_eq!(routed(&graph, "orders", "old"), [""; 0]);
    graph.declare_exchange(plain("unrouted", Fanout)).unwrap();
    bind(&mut graph, "unrouted", queue("lost"), "");
    assert_eq!(routed(&graph, "orders", "old"), ["lost"]);
    graph.delete_exchange("unrouted", false).unwrap();
    assert_eq!(routed(&graph, "orders", "old"), [""; 0]);
}

#[test]
fn a_chain_of_them_is_followed_and_a_cycle_ends() {
    let exchanges = [
        with_alternate("a", Direct, "b"),
        with_alternate("b", Direct, "c"),
        with_alternate("c", Direct, "a"),
    ];
    let mut graph = graph(exchanges, &["q"]);
    assert_eq!(routed(&graph, "a", "key"), [""; 0]);
    bind(&mut graph, "c", queue("q"), "key");
    assert_eq!(routed(&graph, "a", "key"), ["q"]);
}

#[test]
fn it_may_be_the_default_exchange() {
    let graph = graph([with_alternate("orders", Direct, "")], &["q"]);
    assert_eq!(routed(&graph, "orders", "q"), ["q"]);
}

/// RabbitMQ asks whether the exchange itself matched anything, not whether a queue was reached.
#[test]
fn a_match_that_leads_nowhere_is_still_a_match() {
    let exchanges = [with_alternate("first", Fanout, "amq.fanout"), plain("empty", Direct)];
    let mut graph = graph(exchanges, &["lost"]);
    bind(&mut graph, "amq.fanout", queue("lost"), "");
    bind(&mut graph, "first", exchange("empty"), "");
    assert_eq!(routed(&graph, "first", "key"), [""; 0]);
}

#[test]
fn an_exchange_on_the_way_uses_its_own() {
    let exchanges = [plain("first", Fanout), with_alternate("second", Direct, "amq.fanout")];
    let mut graph = graph(exchanges, &["found", "lost"]);
    bind(&mut graph, "first", queue("found"), "");
    bind(&mut graph, "first", exchange("second"), "");
    bind(&mut graph, "amq.fanout", queue("lost"), "");
    assert_eq!(routed(&graph, "first", "key"), ["found", "lost"]);
}

#[test]
fn its_name_has_to_be_a_string() {
    let arguments = table(&[("alternate-exchange", AMQPValue::LongLongInt(1))]);
    let error = Exchange::new("x", Direct, true, false, false, arguments).unwrap_err();
    assert_eq!(error.to_string(), "invalid type 'long' for arg 'alternate-exchange'");
}

#[test]
fn one_from_a_policy_counts_unless_the_exchange_names_its_own() {
    let exchanges = [
        plain("orders", Direct),
        with_alternate("declared", Direct, "first"),
        plain("first", Fanout),
        plain("second", Fanout),
    ];
    let mut graph = graph(exchanges, &["q1", "q2"]);
    bind(&mut graph, "first", queue("q1"), "");
    bind(&mut graph, "second", queue("q2"), "");
    for (alternate, of_orders) in
        [(Some("first"), vec!["q1"]), (Some("second"), vec!["q2"]), (None, vec![])]
    {
        for exchange in ["orders", "declared"] {
            graph.set_policy_alternate(exchange, alternate.map(Into::into));
        }
        assert_eq!(routed(&graph, "orders", "key"), of_orders, "policy {alternate:?}");
        assert_eq!(routed(&graph, "declared", "key"), ["q1"], "policy {alternate:?}");
    }
}

#[test]
fn one_from_a_policy_changes_no_snapshot_and_goes_with_the_exchange() {
    let mut graph = graph([plain("orders", Direct)], &["q"]);
    bind(&mut graph, "amq.fanout", queue("q"), "");
    let snapshot = graph.clone();
    graph.set_policy_alternate("orders", Some("amq.fanout".into()));
    graph.set_policy_alternate("missing", Some("amq.fanout".into()));
    assert_eq!(routed(&snapshot, "orders", "key"), [""; 0]);
    assert_eq!(routed(&graph, "orders", "key"), ["q"]);
    graph.declare_exchange(plain("orders", Direct)).unwrap();
    assert_eq!(routed(&graph, "orders", "key"), ["q"], "equivalent to the one that was declared");

    graph.delete_exchange("orders", false).unwrap();
    for name in ["orders", "missing"] {
        graph.declare_exchange(plain(name, Direct)).unwrap();
        assert_eq!(routed(&graph, name, "key"), [""; 0]);
    }
}
