//! Delayed exchanges: who waits where, and where it goes when its time has come.

use amq_protocol::types::AMQPValue;
use leveret_routing::ExchangeType::{
    self, ConsistentHash, DelayedMessage, Direct, Fanout, RecentHistory,
};
use leveret_routing::{Exchange, Graph, Route};

use crate::support::{
    bind, binding, delayed, exchange, graph, longstr, plain, queue, routed, sorted_names,
    sorted_queues, with_alternate, with_arguments,
};

fn delaying(name: &str, kind: ExchangeType) -> Exchange {
    with_arguments(name, DelayedMessage, &[("x-delayed-type", longstr(kind.as_str()))]).unwrap()
}

/// The queues that a delayed message reaches at once, and the exchanges where it waits.
fn delayed_route(graph: &Graph, exchange: &str, key: &str) -> (Vec<String>, Vec<String>) {
    let mut route = Route::new();
    graph.route(exchange, key, &delayed(), &mut route).unwrap();
    (sorted_queues(&route), sorted_names(route.delaying()))
}

fn strings(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn a_message_that_asks_for_a_delay_waits_and_goes_on_when_it_is_due() {
    let mut graph = graph([delaying("later", Direct)], &["q1", "q2"]);
    bind(&mut graph, "later", queue("q1"), "a");
    bind(&mut graph, "later", queue("q2"), "b");
    assert_eq!(delayed_route(&graph, "later", "a"), (vec![], strings(&["later"])));
    assert_eq!(routed(&graph, "later", "a"), ["q1"], "no delay, or it is over");
    assert_eq!(routed(&graph, "later", "b"), ["q2"]);
}

#[test]
fn the_argument_of_lavinmq_makes_any_type_wait() {
    let arguments = [("x-delayed-exchange", AMQPValue::Boolean(true))];
    let mut graph = graph([with_arguments("later", Direct, &arguments).unwrap()], &["q"]);
    bind(&mut graph, "later", queue("q"), "key");
    assert!(graph.exchange("later").unwrap().delays());
    assert_eq!(delayed_route(&graph, "later", "key"), (vec![], strings(&["later"])));
    assert_eq!(routed(&graph, "later", "key"), ["q"]);

    let arguments = [("x-delayed-exchange", AMQPValue::Boolean(false))];
    assert!(!with_arguments("x", Direct, &arguments).unwrap().delays());
    assert!(!plain("x", Direct).delays());
    assert!(delaying("x", Direct).delays());
}

#[test]
fn it_waits_whatever_way_it_comes_and_the_others_get_it_at_once() {
    let exchanges = [
        plain("first", Fanout),
        delaying("later", Fanout),
        with_alternate("unrouted", Direct, "later"),
        plain("history", RecentHistory),
    ];
    let mut graph = graph(exchanges, &["now", "then"]);
    bind(&mut graph, "first", queue("now"), "");
    bind(&mut graph, "first", exchange("later"), "");
    bind(&mut graph, "later", queue("then"), "");
    bind(&mut graph, "later", exchange("history"), "");
    bind(&mut graph, "later", exchange("first"), "");
    assert_eq!(delayed_route(&graph, "first", ""), (strings(&["now"]), strings(&["later"])));
    assert_eq!(delayed_route(&graph, "unrouted", ""), (vec![], strings(&["later"])));
    assert_eq!(routed(&graph, "first", ""), ["now", "then"]);
}

#[test]
fn every_delayed_exchange_on_the_way_is_named_once() {
    let exchanges = [delaying("one", Fanout), delaying("two", Fanout)];
    let mut graph = graph(exchanges, &[]);
    for name in ["one", "two"] {
        bind(&mut graph, "amq.fanout", exchange(name), "");
        bind(&mut graph, "amq.fanout", exchange(name), "again");
        bind(&mut graph, name, exchange("amq.fanout"), "");
    }
    assert_eq!(delayed_route(&graph, "amq.fanout", ""), (vec![], strings(&["one", "two"])));
}

#[test]
fn a_message_that_waits_is_left_to_no_alternate_exchange() {
    let arguments =
        [("x-delayed-type", longstr("direct")), ("alternate-exchange", longstr("amq.fanout"))];
    let later = with_arguments("later", DelayedMessage, &arguments).unwrap();
    let mut graph = graph([later], &["lost"]);
    bind(&mut graph, "amq.fanout", queue("lost"), "");
    assert_eq!(delayed_route(&graph, "later", "key"), (vec![], strings(&["later"])));
    assert_eq!(routed(&graph, "later", "key"), ["lost"], "when it is due, nothing matches");
}

#[test]
fn a_recent_history_is_of_messages_that_are_due() {
    let graph = graph([delaying("later", RecentHistory)], &[]);
    let mut route = Route::new();
    graph.route("later", "", &delayed(), &mut route).unwrap();
    assert_eq!(sorted_names(route.remembering()), [""; 0]);
    graph.route("later", "", &(), &mut route).unwrap();
    assert_eq!(sorted_names(route.remembering()), ["later"]);
    assert_eq!(sorted_names(route.delaying()), [""; 0]);
}

/// Or a message with the same key and a delay would not wait.
#[test]
fn its_answers_are_not_to_be_remembered() {
    let graph = graph([delaying("later", Direct)], &[]);
    let mut route = Route::new();
    graph.route("later", "key", &(), &mut route).unwrap();
    assert!(!route.cacheable());
    graph.route("later", "key", &delayed(), &mut route).unwrap();
    assert!(!route.cacheable());
    graph.route("amq.direct", "key", &delayed(), &mut route).unwrap();
    assert!(route.cacheable(), "no delayed exchange took part");
}

#[test]
fn the_type_it_matches_as_is_required_and_checked_with_its_arguments() {
    const MISSING: &str = "Invalid argument, 'x-delayed-type' must be an existing exchange type";
    let two = [
        ("x-delayed-type", longstr("x-consistent-hash")),
        ("hash-header", longstr("h")),
        ("hash-property", longstr("timestamp")),
    ];
    for (arguments, text) in [
        (&[][..], MISSING),
        (&[("x-delayed-type", AMQPValue::LongInt(1))], MISSING),
        (&[("x-delayed-type", longstr("x-delayed-message"))], MISSING),
        (&[("x-delayed-type", longstr("x-foo"))], "unknown exchange type 'x-foo'"),
        (&two, "hash-header and hash-property are mutually exclusive"),
    ] {
        let error = with_arguments("later", DelayedMessage, arguments).unwrap_err();
        assert_eq!(error.to_string(), text, "{arguments:?}");
    }
    let arguments = [("x-delayed-exchange", longstr("true"))];
    let error = with_arguments("later", Direct, &arguments).unwrap_err();
    assert_eq!(error.to_string(), "invalid type 'longstr' for arg 'x-delayed-exchange'");
}

#[test]
fn bindings_are_checked_as_the_type_it_matches_as_does() {
    let mut graph = graph([delaying("later", ConsistentHash)], &["q"]);
    let error = graph.bind(binding("later", queue("q"), "heavy")).unwrap_err();
    assert_eq!(error.to_string(), "The binding key must be an integer: <<\"heavy\">>");
    bind(&mut graph, "later", queue("q"), "1");
    assert_eq!(routed(&graph, "later", "key"), ["q"]);
}
