//! Short ways to write down topologies and messages; used by every test file.

use amq_protocol::types::{AMQPValue, FieldTable};
use leveret_routing::{
    Arguments, BindError, Binding, Declared, Destination, Exchange, ExchangeType, Graph, Headers,
    Name, Removed, Route,
};

pub(crate) fn queue(name: &str) -> Destination {
    Destination::Queue(Name::from(name))
}

pub(crate) fn exchange(name: &str) -> Destination {
    Destination::Exchange(Name::from(name))
}

pub(crate) fn longstr(text: &str) -> AMQPValue {
    AMQPValue::LongString(text.into())
}

pub(crate) fn table(fields: &[(&str, AMQPValue)]) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in fields {
        table.insert((*name).into(), value.clone());
    }
    table
}

pub(crate) fn binding(source: &str, destination: Destination, routing_key: &str) -> Binding {
    binding_with(source, destination, routing_key, &[])
}

pub(crate) fn binding_with(
    source: &str,
    destination: Destination,
    routing_key: &str,
    arguments: &[(&str, AMQPValue)],
) -> Binding {
    let arguments = Arguments::from(table(arguments));
    Binding { source: source.into(), destination, routing_key: routing_key.into(), arguments }
}

/// A durable exchange without flags or arguments.
pub(crate) fn plain(name: &str, kind: ExchangeType) -> Exchange {
    Exchange::new(name, kind, true, false, false, Arguments::default()).unwrap()
}

pub(crate) fn auto_delete(name: &str, kind: ExchangeType) -> Exchange {
    changed(plain(name, kind), |exchange| exchange.auto_delete = true)
}

pub(crate) fn changed(mut exchange: Exchange, change: impl FnOnce(&mut Exchange)) -> Exchange {
    change(&mut exchange);
    exchange
}

pub(crate) fn with_alternate(name: &str, kind: ExchangeType, alternate: &str) -> Exchange {
    let arguments = table(&[("alternate-exchange", longstr(alternate))]);
    Exchange::new(name, kind, true, false, false, arguments).unwrap()
}

/// A graph with these exchanges and queues besides the predeclared ones.
pub(crate) fn graph(exchanges: impl IntoIterator<Item = Exchange>, queues: &[&str]) -> Graph {
    let mut graph = Graph::new();
    for exchange in exchanges {
        assert_eq!(graph.declare_exchange(exchange), Ok(Declared::New));
    }
    for name in queues {
        graph.add_queue((*name).into());
    }
    graph
}

/// Adds a binding that has to be new.
pub(crate) fn bind(graph: &mut Graph, source: &str, destination: Destination, routing_key: &str) {
    let bound: Result<bool, BindError> = graph.bind(binding(source, destination, routing_key));
    assert_eq!(bound, Ok(true));
}

/// The queues that a message without headers reaches, sorted.
pub(crate) fn routed(graph: &Graph, exchange: &str, routing_key: &str) -> Vec<String> {
    routed_with(graph, exchange, routing_key, &())
}

/// The queues that a message reaches, sorted. Each is there as often as it gets a copy.
pub(crate) fn routed_with(
    graph: &Graph,
    exchange: &str,
    routing_key: &str,
    headers: &dyn Headers,
) -> Vec<String> {
    let mut route = Route::new();
    graph.route(exchange, routing_key, headers, &mut route).unwrap();
    sorted_queues(&route)
}

pub(crate) fn sorted_queues(route: &Route) -> Vec<String> {
    let mut queues: Vec<String> = route.queues().iter().map(|name| name.to_string()).collect();
    queues.sort();
    queues
}

/// The names of the removed exchanges, in the order reported.
pub(crate) fn exchange_names(removed: &Removed) -> Vec<&str> {
    removed.exchanges.iter().map(|exchange| &*exchange.name).collect()
}
