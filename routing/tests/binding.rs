//! Binding and unbinding: identity, errors, listings.

use std::slice;

use amq_protocol::types::AMQPValue;
use leveret_routing::ExchangeType::Fanout;
use leveret_routing::{BindError, Binding};

use crate::support::{bind, binding, binding_with, exchange, graph, longstr, plain, queue};

#[test]
fn binding_twice_is_one_binding() {
    let mut graph = graph([], &["q"]);
    bind(&mut graph, "amq.topic", queue("q"), "key");
    assert_eq!(graph.bind(binding("amq.topic", queue("q"), "key")), Ok(false));
    assert_eq!(graph.unbind(&binding("amq.topic", queue("q"), "key")).bindings.len(), 1);
    assert_eq!(graph.bindings().count(), 0);
}

#[test]
fn other_arguments_make_another_binding_and_unbind_has_to_name_them() {
    let nan = AMQPValue::Double(f64::NAN);
    let variants: Vec<Binding> = [
        vec![],
        vec![("a", longstr("1"))],
        vec![("a", AMQPValue::LongInt(1))],
        vec![("a", AMQPValue::LongLongInt(1))],
        vec![("a", nan)],
        vec![("b", longstr("1"))],
        vec![("a", longstr("1")), ("b", longstr("1"))],
    ]
    .iter()
    .map(|arguments| binding_with("amq.direct", queue("q"), "key", arguments))
    .collect();
    let mut graph = graph([], &["q"]);
    for variant in &variants {
        assert_eq!(graph.bind(variant.clone()), Ok(true), "{variant:?}");
        assert_eq!(graph.bind(variant.clone()), Ok(false), "{variant:?}");
    }
    for variant in &variants {
        assert_eq!(graph.unbind(variant).bindings, slice::from_ref(variant));
    }
    assert_eq!(graph.bindings().count(), 0);
}

#[test]
fn both_ends_have_to_exist_and_the_source_is_checked_first() {
    let mut graph = graph([plain("x", Fanout)], &["q"]);
    for (binding, error) in [
        (binding("nowhere", queue("none"), ""), BindError::NoExchange("nowhere".into())),
        (binding("x", queue("none"), ""), BindError::NoQueue("none".into())),
        (binding("x", exchange("q"), ""), BindError::NoExchange("q".into())),
        (binding("x", queue("x"), ""), BindError::NoQueue("x".into())),
    ] {
        assert_eq!(graph.bind(binding), Err(error));
    }
    assert_eq!(graph.bindings().count(), 0);
}

#[test]
fn a_queue_and_an_exchange_may_share_a_name() {
    let mut graph = graph([plain("same", Fanout)], &["same"]);
    bind(&mut graph, "amq.fanout", queue("same"), "");
    bind(&mut graph, "amq.fanout", exchange("same"), "");
    assert_eq!(graph.bindings_of_destination(&queue("same")).count(), 1);
    assert_eq!(graph.remove_queue("same").bindings, [binding("amq.fanout", queue("same"), "")]);
    assert_eq!(graph.bindings_of_destination(&exchange("same")).count(), 1);
}

#[test]
fn bindings_are_listed_whole_and_by_either_end() {
    let mut graph = graph([plain("x", Fanout)], &["q1", "q2"]);
    bind(&mut graph, "x", queue("q2"), "");
    bind(&mut graph, "x", queue("q1"), "b");
    bind(&mut graph, "amq.fanout", exchange("x"), "");
    bind(&mut graph, "x", queue("q1"), "a");
    let to_x = binding("amq.fanout", exchange("x"), "");
    let from_x = [
        binding("x", queue("q1"), "a"),
        binding("x", queue("q1"), "b"),
        binding("x", queue("q2"), ""),
    ];
    let all: Vec<Binding> = graph.bindings().cloned().collect();
    assert_eq!(all, [&[to_x.clone()][..], &from_x].concat());
    assert_eq!(graph.bindings_of_source("x").cloned().collect::<Vec<_>>(), from_x);
    assert_eq!(graph.bindings_of_source("nowhere").count(), 0);
    let to_q1: Vec<Binding> = graph.bindings_of_destination(&queue("q1")).cloned().collect();
    assert_eq!(to_q1, from_x[..2]);
    assert_eq!(graph.bindings_of_destination(&exchange("x")).cloned().collect::<Vec<_>>(), [to_x]);
}
