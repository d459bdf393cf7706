//! Short ways to write down topologies and messages; used by every test file.

use std::borrow::Cow;

use amq_protocol::types::{AMQPValue, FieldTable};
use leveret_routing::{
    Arguments, BindError, Binding, Declared, Destination, Exchange, ExchangeType, Graph, Headers,
    InvalidArgument, Name, Removed, Route,
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

/// A durable exchange without flags and with these arguments.
pub(crate) fn with_arguments(
    name: &str,
    kind: ExchangeType,
    arguments: &[(&str, AMQPValue)],
) -> Result<Exchange, InvalidArgument> {
    Exchange::new(name, kind, true, false, false, table(arguments))
}

/// What routing may ask of a message.
#[derive(Clone, Debug, Default)]
pub(crate) struct Content {
    pub(crate) headers: FieldTable,
    pub(crate) correlation_id: Option<Vec<u8>>,
    pub(crate) message_id: Option<Vec<u8>>,
    pub(crate) timestamp: Option<u64>,
    pub(crate) delayed: bool,
}

impl Headers for Content {
    fn table(&self) -> Option<Cow<'_, FieldTable>> {
        Some(Cow::Borrowed(&self.headers))
    }

    fn correlation_id(&self) -> Option<&[u8]> {
        self.correlation_id.as_deref()
    }

    fn message_id(&self) -> Option<&[u8]> {
        self.message_id.as_deref()
    }

    fn timestamp(&self) -> Option<u64> {
        self.timestamp
    }

    fn delayed(&self) -> bool {
        self.delayed
    }
}

/// A message that asks for a delay and has nothing else.
pub(crate) fn delayed() -> Content {
    Content { delayed: true, ..Content::default() }
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

/// The one queue that a message without headers reaches.
pub(crate) fn routed_to_one(graph: &Graph, exchange: &str, routing_key: &str) -> String {
    one(routed(graph, exchange, routing_key))
}

pub(crate) fn one(queues: Vec<String>) -> String {
    let [queue] = <[String; 1]>::try_from(queues).unwrap();
    queue
}

pub(crate) fn sorted_queues(route: &Route) -> Vec<String> {
    sorted_names(route.queues())
}

pub(crate) fn sorted_names(names: &[Name]) -> Vec<String> {
    let mut names: Vec<String> = names.iter().map(|name| name.to_string()).collect();
    names.sort();
    names
}

/// The names of the removed exchanges, in the order reported.
pub(crate) fn exchange_names(removed: &Removed) -> Vec<&str> {
    removed.exchanges.iter().map(|exchange| &*exchange.name).collect()
}
