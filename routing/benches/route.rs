//! What routing one message costs with 10, 1,000 and 100,000 bindings of each exchange type, and
//! what one binding costs while publishers hold a snapshot. Run with `cargo bench -p
//! leveret-routing`.

use std::hint::black_box;

use amq_protocol::types::{AMQPValue, FieldTable};
use divan::Bencher;
use divan::counter::ItemsCount;
use leveret_routing::{Arguments, Binding, Destination, Graph, Headers, Name, Route};

const BINDINGS: [usize; 3] = [10, 1_000, 100_000];

/// Coprime to every count above: stepping by it visits all messages in an order that no cache
/// foresees.
const STRIDE: usize = 7_919;

/// Messages per measurement. Chosen by the first run alone, it would often be one, and measure cold
/// caches.
const SAMPLE_SIZE: u32 = 500;

fn main() {
    divan::main();
}

/// A graph with one queue per binding from `source`.
fn graph(source: &str, count: usize, key: impl Fn(usize) -> String) -> Graph {
    graph_with(source, count, |n| (key(n), FieldTable::default()))
}

fn graph_with(source: &str, count: usize, rule: impl Fn(usize) -> (String, FieldTable)) -> Graph {
    let mut graph = Graph::new();
    for n in 0..count {
        let queue = Name::from(format!("queue-{n}"));
        graph.add_queue(queue.clone());
        let (key, arguments) = rule(n);
        graph.bind(binding(source, queue, &key, arguments)).expect("both ends exist");
    }
    graph
}

fn binding(source: &str, queue: Name, routing_key: &str, arguments: FieldTable) -> Binding {
    Binding {
        source: source.into(),
        destination: Destination::Queue(queue),
        routing_key: routing_key.into(),
        arguments: Arguments::from(arguments),
    }
}

/// Routes the messages one after the other, each of which has to reach `expected` queues.
fn route_all<H: Headers>(
    bencher: Bencher<'_, '_>,
    graph: &Graph,
    exchange: &str,
    messages: &[(String, H)],
    expected: usize,
) {
    let mut route = Route::new();
    let mut next = 0;
    bencher.counter(ItemsCount::new(expected)).bench_local(|| {
        next = (next + STRIDE) % messages.len();
        if let Some((routing_key, headers)) = messages.get(next) {
            let known = graph.route(exchange, black_box(routing_key), headers, &mut route);
            assert!(known.is_ok() && route.queues().len() == expected);
        }
    });
}

fn messages(count: usize, key: impl Fn(usize) -> String) -> Vec<(String, ())> {
    (0..count).map(|n| (key(n), ())).collect()
}

#[divan::bench(args = BINDINGS, sample_size = SAMPLE_SIZE)]
fn default(bencher: Bencher<'_, '_>, count: usize) {
    let key = |n| format!("queue-{n}");
    route_all(bencher, &graph("amq.direct", count, key), "", &messages(count, key), 1);
}

#[divan::bench(args = BINDINGS, sample_size = SAMPLE_SIZE)]
fn direct(bencher: Bencher<'_, '_>, count: usize) {
    let key = |n| format!("customer.{n}");
    route_all(bencher, &graph("amq.direct", count, key), "amq.direct", &messages(count, key), 1);
}

#[divan::bench(args = BINDINGS)]
fn fanout(bencher: Bencher<'_, '_>, count: usize) {
    let graph = graph("amq.fanout", count, |_| String::new());
    route_all(bencher, &graph, "amq.fanout", &messages(1, |_| String::new()), count);
}

/// Five patterns, one of which matches: literals, `*` in the middle and at the end, `#` likewise.
#[divan::bench(args = BINDINGS, sample_size = SAMPLE_SIZE)]
fn topic(bencher: Bencher<'_, '_>, count: usize) {
    let graph = graph("amq.topic", count, |n| match n % 5 {
        0 => format!("shop.{n}.order.created"),
        1 => format!("shop.{n}.*.created"),
        2 => format!("shop.{n}.order.*"),
        3 => format!("shop.#.{n}.created"),
        _ => format!("shop.{n}.#"),
    });
    let key = |n| match n % 5 {
        3 => format!("shop.eu.{n}.created"),
        _ => format!("shop.{n}.order.created"),
    };
    route_all(bencher, &graph, "amq.topic", &messages(count, key), 1);
}

/// Every binding asks for one shared and one own value; one of them gets the message.
#[divan::bench(args = BINDINGS, sample_size = SAMPLE_SIZE)]
fn headers(bencher: Bencher<'_, '_>, count: usize) {
    let fields = |n: usize| {
        let mut table = FieldTable::default();
        table.insert("format".into(), AMQPValue::LongString("pdf".into()));
        table.insert("customer".into(), AMQPValue::LongString(format!("c{n}").into()));
        table
    };
    let graph = graph_with("amq.headers", count, |n| (String::new(), fields(n)));
    let messages: Vec<(String, FieldTable)> =
        (0..count).map(|n| (String::new(), fields(n))).collect();
    route_all(bencher, &graph, "amq.headers", &messages, 1);
}

/// One binding more, while a snapshot of the graph is in use: the price of sharing is paid here.
#[divan::bench(args = BINDINGS, consts = [DIRECT, TOPIC], sample_size = SAMPLE_SIZE)]
fn bind<const TYPE: usize>(bencher: Bencher<'_, '_>, count: usize) {
    let source = if TYPE == DIRECT { "amq.direct" } else { "amq.topic" };
    let graph = graph(source, count, |n| format!("shop.{n}.*"));
    let queue = Name::from("queue-0");
    let new = binding(source, queue, "shop.new.*", FieldTable::default());
    bencher.bench_local(|| {
        let mut next = graph.clone();
        assert!(next.bind(black_box(new.clone())).is_ok());
        next
    });
}

const DIRECT: usize = 0;
const TOPIC: usize = 1;
