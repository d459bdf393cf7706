//! What goes with what is deleted.

use leveret_routing::ExchangeType::{Direct, Fanout};
use leveret_routing::{DeleteError, Removed};

use crate::support::{
    auto_delete, bind, binding, exchange, exchange_names, graph, plain, queue, routed,
};

#[test]
fn an_auto_delete_exchange_goes_with_its_last_binding_and_not_before_its_first() {
    let mut graph = graph([auto_delete("x", Direct)], &["q1", "q2"]);
    assert!(graph.exchange("x").is_some(), "it had no binding yet");
    graph.unbind(&binding("x", queue("q1"), "never bound"));
    assert!(graph.exchange("x").is_some(), "nothing was removed");
    bind(&mut graph, "x", queue("q1"), "");
    bind(&mut graph, "x", queue("q2"), "");
    assert_eq!(exchange_names(&graph.unbind(&binding("x", queue("q1"), ""))), [""; 0]);
    assert_eq!(exchange_names(&graph.unbind(&binding("x", queue("q2"), ""))), ["x"]);
    assert!(graph.exchange("x").is_none());
}

#[test]
fn being_a_destination_does_not_keep_it_nor_make_it_go() {
    let mut graph = graph([auto_delete("x", Direct)], &["q"]);
    bind(&mut graph, "amq.fanout", exchange("x"), "");
    graph.unbind(&binding("amq.fanout", exchange("x"), ""));
    assert!(graph.exchange("x").is_some());
    bind(&mut graph, "amq.fanout", exchange("x"), "");
    bind(&mut graph, "x", queue("q"), "");
    let removed = graph.unbind(&binding("x", queue("q"), ""));
    assert_eq!(exchange_names(&removed), ["x"]);
    assert_eq!(removed.bindings.len(), 2, "the one to x goes too");
    assert_eq!(graph.bindings().count(), 0);
}

#[test]
fn deleting_a_queue_takes_its_bindings_and_cascades_through_auto_delete_exchanges() {
    let exchanges =
        [auto_delete("outer", Fanout), auto_delete("inner", Fanout), auto_delete("kept", Fanout)];
    let mut graph = graph(exchanges, &["q", "other"]);
    bind(&mut graph, "outer", exchange("inner"), "");
    bind(&mut graph, "inner", queue("q"), "1");
    bind(&mut graph, "inner", queue("q"), "2");
    bind(&mut graph, "kept", queue("q"), "");
    bind(&mut graph, "kept", queue("other"), "");
    let removed = graph.remove_queue("q");
    assert_eq!(exchange_names(&removed), ["inner", "outer"]);
    assert_eq!(removed.bindings.len(), 4);
    assert_eq!(
        graph.bindings().cloned().collect::<Vec<_>>(),
        [binding("kept", queue("other"), "")]
    );
    assert_eq!(routed(&graph, "", "q"), [""; 0]);
}

#[test]
fn a_cycle_of_auto_delete_exchanges_goes_as_a_whole() {
    let mut graph = graph([auto_delete("a", Fanout), auto_delete("b", Fanout)], &[]);
    bind(&mut graph, "a", exchange("b"), "");
    bind(&mut graph, "b", exchange("a"), "");
    bind(&mut graph, "a", exchange("a"), "");
    let removed = graph.delete_exchange("a", false).unwrap();
    assert_eq!(exchange_names(&removed), ["a", "b"]);
    assert_eq!(removed.bindings.len(), 3);
    assert_eq!(graph.bindings().count(), 0);
}

#[test]
fn deleting_an_exchange_removes_the_bindings_on_both_sides() {
    let mut graph = graph([plain("x", Fanout)], &["q"]);
    bind(&mut graph, "amq.fanout", exchange("x"), "");
    bind(&mut graph, "x", queue("q"), "");
    bind(&mut graph, "amq.topic", queue("q"), "#");
    let removed = graph.delete_exchange("x", false).unwrap();
    assert_eq!(removed.bindings.len(), 2);
    assert_eq!(exchange_names(&removed), ["x"]);
    assert_eq!(routed(&graph, "amq.fanout", ""), [""; 0]);
    assert_eq!(graph.bindings_of_destination(&queue("q")).count(), 1);
}

#[test]
fn if_unused_refuses_an_exchange_that_is_the_source_of_a_binding() {
    let mut graph = graph([plain("x", Fanout)], &["q"]);
    bind(&mut graph, "x", queue("q"), "");
    assert_eq!(graph.delete_exchange("x", true), Err(DeleteError::InUse));
    graph.unbind(&binding("x", queue("q"), ""));
    bind(&mut graph, "amq.fanout", exchange("x"), "");
    assert_eq!(exchange_names(&graph.delete_exchange("x", true).unwrap()), ["x"]);
}

#[test]
fn deleting_what_does_not_exist_succeeds() {
    let mut graph = graph([], &[]);
    assert_eq!(graph.delete_exchange("x", true), Ok(Removed::default()));
    assert_eq!(graph.remove_queue("q"), Removed::default());
    assert_eq!(graph.unbind(&binding("x", queue("q"), "")), Removed::default());
}

#[test]
fn predeclared_exchanges_cannot_be_deleted() {
    let mut graph = graph([], &[]);
    assert_eq!(graph.delete_exchange("", false), Err(DeleteError::DefaultExchange));
    assert_eq!(graph.delete_exchange("amq.topic", false), Err(DeleteError::SystemExchange));
}
