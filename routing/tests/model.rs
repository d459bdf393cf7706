//! Random sequences of topology changes, and messages in between: the graph has to answer as the
//! naive implementation does, report exactly what it removed, and leave its snapshots alone.

use std::collections::BTreeSet;

use amq_protocol::types::{AMQPValue, FieldTable};
use leveret_routing::{
    Arguments, Binding, Destination, Exchange, ExchangeType, Graph, Name, Removed, Route,
};
use proptest::prelude::*;
use proptest::sample::select;

use crate::naive::Naive;
use crate::support::{Content, longstr, table};

#[derive(Clone, Debug)]
enum Change {
    DeclareExchange(Exchange),
    DeleteExchange {
        name: String,
        if_unused: bool,
    },
    AddQueue(String),
    RemoveQueue(String),
    Bind(Binding),
    Unbind(Binding),
    /// Unbinds one that exists: the one at this position, counted round.
    UnbindExisting(usize),
}

#[derive(Clone, Debug)]
struct Message {
    exchange: String,
    routing_keys: Vec<String>,
    content: Content,
}

fn exchange_name() -> impl Strategy<Value = String> {
    let predeclared = vec!["", "amq.direct", "amq.fanout", "amq.topic", "amq.headers"];
    prop_oneof![3 => "x[0-5]", 1 => select(predeclared).prop_map(str::to_owned)]
}

fn queue_name() -> impl Strategy<Value = String> {
    "q[0-5]"
}

/// All types but the random ones, whose answers there is nothing to compare with.
fn kind() -> impl Strategy<Value = ExchangeType> {
    let kinds = ExchangeType::ALL.into_iter();
    select(
        kinds
            .filter(|kind| !matches!(kind, ExchangeType::Random | ExchangeType::LocalRandom))
            .collect::<Vec<_>>(),
    )
}

/// What a consistent hash exchange hashes.
fn hash_on() -> impl Strategy<Value = Option<(&'static str, &'static str)>> {
    prop::option::of(select(vec![
        ("hash-header", "h0"),
        ("hash-property", "correlation_id"),
        ("hash-property", "message_id"),
        ("hash-property", "timestamp"),
    ]))
}

fn exchange() -> impl Strategy<Value = Exchange> {
    let alternate = prop::option::weighted(0.3, exchange_name());
    let kinds = (kind(), kind().prop_filter("waits once", |k| *k != ExchangeType::DelayedMessage));
    ("x[0-5]", kinds, any::<bool>(), alternate, hash_on()).prop_map(
        |(name, (kind, delayed_type), auto_delete, alternate, hash_on)| {
            let mut arguments = table(&[("x-delayed-type", longstr(delayed_type.as_str()))]);
            let alternate = alternate.as_deref().map(|name| ("alternate-exchange", name));
            for (name, value) in alternate.into_iter().chain(hash_on) {
                arguments.insert(name.into(), longstr(value));
            }
            Exchange::new(name, kind, true, auto_delete, false, arguments).unwrap()
        },
    )
}

fn key(word: &'static str) -> impl Strategy<Value = String> {
    prop::collection::vec(word, 0..4).prop_map(|words| words.join("."))
}

fn value() -> impl Strategy<Value = AMQPValue> {
    select(vec![
        AMQPValue::Void,
        AMQPValue::LongInt(1),
        AMQPValue::LongLongInt(1),
        AMQPValue::Timestamp(2),
        AMQPValue::ShortShortUInt(2),
        AMQPValue::Boolean(true),
        longstr("a"),
        longstr("b"),
    ])
}

fn fields() -> impl Strategy<Value = FieldTable> {
    prop::collection::btree_map("h[0-2]|x-h", value(), 0..4).prop_map(|fields| {
        let mut table = FieldTable::default();
        for (name, value) in fields {
            table.insert(name.into(), value);
        }
        table
    })
}

fn arguments() -> impl Strategy<Value = Arguments> {
    let x_match = select(vec!["all", "any", "all-with-x", "any-with-x"]);
    (fields(), prop::option::of(x_match)).prop_map(|(mut table, x_match)| {
        if let Some(x_match) = x_match {
            table.insert("x-match".into(), longstr(x_match));
        }
        table.into()
    })
}

fn binding() -> impl Strategy<Value = Binding> {
    let destination = prop_oneof![
        2 => queue_name().prop_map(|name| Destination::Queue(name.into())),
        1 => exchange_name().prop_map(|name| Destination::Exchange(name.into())),
    ];
    // A weight is a key like any other where it means nothing.
    let routing_key = prop_oneof![key("[ab*#]"), (1..4_u32).prop_map(|weight| weight.to_string())];
    (exchange_name(), destination, routing_key, arguments()).prop_map(
        |(source, destination, routing_key, arguments)| Binding {
            source: source.into(),
            destination,
            routing_key: routing_key.into(),
            arguments,
        },
    )
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        4 => exchange().prop_map(Change::DeclareExchange),
        1 => (exchange_name(), any::<bool>())
            .prop_map(|(name, if_unused)| Change::DeleteExchange { name, if_unused }),
        4 => queue_name().prop_map(Change::AddQueue),
        1 => queue_name().prop_map(Change::RemoveQueue),
        12 => binding().prop_map(Change::Bind),
        1 => binding().prop_map(Change::Unbind),
        3 => any::<usize>().prop_map(Change::UnbindExisting),
    ]
}

fn message() -> impl Strategy<Value = Message> {
    let routing_keys = prop::collection::vec(prop_oneof![key("[abc]"), queue_name()], 1..3);
    (exchange_name(), routing_keys, content())
        .prop_map(|(exchange, routing_keys, content)| Message { exchange, routing_keys, content })
}

fn content() -> impl Strategy<Value = Content> {
    let id = || prop::option::of(prop::collection::vec(any::<u8>(), 0..4));
    (fields(), id(), id(), prop::option::of(0..4_u64), prop::bool::weighted(0.3)).prop_map(
        |(headers, correlation_id, message_id, timestamp, delayed)| Content {
            headers,
            correlation_id,
            message_id,
            timestamp,
            delayed,
        },
    )
}

/// The exchanges and bindings of a topology, as sets that can be compared.
fn inventory<'a>(
    exchanges: impl IntoIterator<Item = &'a Exchange>,
    bindings: impl IntoIterator<Item = &'a Binding>,
) -> (BTreeSet<Name>, BTreeSet<Binding>) {
    (
        exchanges.into_iter().map(|exchange| exchange.name.clone()).collect(),
        bindings.into_iter().cloned().collect(),
    )
}

/// Makes the change in both; returns what the graph said it removed.
fn apply(change: Change, graph: &mut Graph, naive: &mut Naive) -> Removed {
    match change {
        Change::DeclareExchange(exchange) => {
            if graph.declare_exchange(exchange.clone()) == Ok(leveret_routing::Declared::New) {
                naive.exchanges.push(exchange);
            }
            Removed::default()
        }
        Change::DeleteExchange { name, if_unused } => {
            let Ok(removed) = graph.delete_exchange(&name, if_unused) else {
                let used = naive.bindings.iter().any(|binding| *binding.source == *name);
                assert!(name.is_empty() || name.starts_with("amq.") || (if_unused && used));
                return Removed::default();
            };
            naive.remove_exchange(&name);
            removed
        }
        Change::AddQueue(name) => {
            graph.add_queue(name.as_str().into());
            if !naive.queues.contains(&name) {
                naive.queues.push(name);
            }
            Removed::default()
        }
        Change::RemoveQueue(name) => {
            naive.remove_queue(&name);
            graph.remove_queue(&name)
        }
        Change::Bind(binding) => {
            if let Ok(new) = graph.bind(binding.clone()) {
                assert_eq!(new, !naive.bindings.contains(&binding));
                if new {
                    naive.bindings.push(binding);
                }
            }
            Removed::default()
        }
        Change::Unbind(binding) => {
            naive.remove_bindings(|other| *other == binding);
            graph.unbind(&binding)
        }
        Change::UnbindExisting(position) => {
            let Some(last) = naive.bindings.len().checked_sub(1) else {
                return Removed::default();
            };
            let binding = naive.bindings[position % (last + 1)].clone();
            naive.remove_bindings(|other| *other == binding);
            graph.unbind(&binding)
        }
    }
}

/// The bindings have to be found from both ends.
fn check_listings(graph: &Graph, naive: &Naive) {
    let exchanges = naive.exchanges.iter().map(|exchange| exchange.name.clone());
    let ends: Vec<Destination> = exchanges
        .map(Destination::Exchange)
        .chain(naive.queues.iter().map(|name| Destination::Queue(name.as_str().into())))
        .collect();
    let by_destination = ends.iter().flat_map(|end| graph.bindings_of_destination(end));
    let by_source = ends.iter().flat_map(|end| match end {
        Destination::Exchange(name) => graph.bindings_of_source(name).collect(),
        Destination::Queue(_) => Vec::new(),
    });
    let expected: BTreeSet<&Binding> = naive.bindings.iter().collect();
    assert_eq!(by_destination.collect::<BTreeSet<_>>(), expected);
    assert_eq!(by_source.collect::<BTreeSet<_>>(), expected);
}

/// Removes all that was added. Nothing may be left of it, not even where routing would not look.
fn check_emptied(mut graph: Graph, naive: &Naive) {
    for binding in &naive.bindings {
        graph.unbind(binding);
    }
    for name in &naive.queues {
        graph.remove_queue(name);
    }
    for exchange in naive.exchanges.iter().filter(|exchange| exchange.name.starts_with('x')) {
        graph.delete_exchange(&exchange.name, true).unwrap();
    }
    assert_eq!(format!("{graph:?}"), format!("{:?}", Graph::new()));
}

/// The names as a set. Each has to be there once.
fn names(list: &[Name]) -> BTreeSet<String> {
    let names: BTreeSet<String> = list.iter().map(|name| name.to_string()).collect();
    assert_eq!(names.len(), list.len(), "{list:?}");
    names
}

fn check_routes(graph: &Graph, naive: &Naive, messages: &[Message]) {
    let mut route = Route::new();
    for message in messages {
        let keys: Vec<&str> = message.routing_keys.iter().map(String::as_str).collect();
        let known = graph.route_keys(&message.exchange, &keys, &message.content, &mut route);
        assert_eq!(known.is_ok(), naive.exchanges.iter().any(|x| *x.name == *message.exchange));
        if known.is_ok() {
            let expected = naive.route(&message.exchange, &keys, &message.content);
            assert_eq!(names(route.queues()), expected.queues, "{message:?}");
            assert_eq!(names(route.delaying()), expected.delaying, "{message:?}");
            assert_eq!(names(route.remembering()), expected.remembering, "{message:?}");
        }
    }
}

proptest! {
    #[test]
    fn the_graph_does_what_the_naive_implementation_does(
        changes in prop::collection::vec((change(), prop::bool::weighted(0.1)), 1..80),
        messages in prop::collection::vec(message(), 1..12),
    ) {
        let mut graph = Graph::new();
        let exchanges = graph.exchanges().cloned().collect();
        let mut naive = Naive { exchanges, ..Naive::default() };
        let mut snapshots = Vec::new();
        for (change, snapshot) in changes {
            let before = inventory(graph.exchanges(), graph.bindings());
            let removed = apply(change, &mut graph, &mut naive);
            let after = inventory(graph.exchanges(), graph.bindings());
            prop_assert_eq!(&after, &inventory(&naive.exchanges, &naive.bindings));

            let gone = inventory(&removed.exchanges, &removed.bindings);
            prop_assert_eq!(gone.0.len(), removed.exchanges.len(), "an exchange is reported once");
            prop_assert_eq!(gone.1.len(), removed.bindings.len(), "a binding is reported once");
            if !removed.bindings.is_empty() || !removed.exchanges.is_empty() {
                prop_assert_eq!(gone.0, &before.0 - &after.0);
                prop_assert_eq!(gone.1, &before.1 - &after.1);
            }
            if snapshot {
                snapshots.push((graph.clone(), naive.clone()));
            }
        }
        snapshots.push((graph, naive));
        for (graph, naive) in snapshots {
            check_routes(&graph, &naive, &messages);
            check_listings(&graph, &naive);
            check_emptied(graph, &naive);
        }
    }
}
