//! Declaring exchanges.

use amq_protocol::types::AMQPValue;
use leveret_routing::ExchangeType::{Direct, Fanout, Headers, Topic};
use leveret_routing::{Declared, Exchange, ExchangeType, Graph};

use crate::support::{auto_delete, changed, graph, longstr, plain, table, with_alternate};

#[test]
fn a_new_graph_has_the_predeclared_exchanges_in_the_order_of_their_names() {
    let graph = Graph::new();
    let found: Vec<_> = graph
        .exchanges()
        .map(|exchange| (&*exchange.name, exchange.kind, exchange.internal))
        .collect();
    assert_eq!(
        found,
        [
            ("", Direct, false),
            ("amq.direct", Direct, false),
            ("amq.fanout", Fanout, false),
            ("amq.headers", Headers, false),
            ("amq.match", Headers, false),
            ("amq.rabbitmq.trace", Topic, true),
            ("amq.topic", Topic, false),
        ]
    );
    assert!(graph.exchanges().all(|exchange| exchange.durable && !exchange.auto_delete));
}

#[test]
fn declaring_again_with_equivalent_properties_is_the_existing_exchange() {
    let unknown_argument = table(&[("x-whatever", AMQPValue::LongInt(1))]);
    let other_arguments = Exchange::new("x", Topic, true, false, false, unknown_argument).unwrap();
    let mut graph = graph([plain("x", Topic)], &[]);
    assert_eq!(graph.declare_exchange(plain("x", Topic)), Ok(Declared::Existing));
    assert_eq!(graph.declare_exchange(other_arguments), Ok(Declared::Existing));
    assert_eq!(graph.declare_exchange(plain("amq.topic", Topic)), Ok(Declared::Existing));
}

#[test]
fn declaring_differently_names_the_first_property_that_differs() {
    let internal = changed(plain("x", Direct), |exchange| exchange.internal = true);
    let transient = changed(auto_delete("x", Direct), |exchange| exchange.durable = false);
    for (current, received, text) in [
        (
            plain("x", Direct),
            changed(plain("x", Fanout), |exchange| exchange.durable = false),
            "inequivalent arg 'type': received 'fanout' but current is 'direct'",
        ),
        (
            plain("x", Direct),
            transient,
            "inequivalent arg 'durable': received 'false' but current is 'true'",
        ),
        (
            plain("x", Direct),
            auto_delete("x", Direct),
            "inequivalent arg 'auto_delete': received 'true' but current is 'false'",
        ),
        (
            internal,
            plain("x", Direct),
            "inequivalent arg 'internal': received 'false' but current is 'true'",
        ),
        (
            with_alternate("x", Direct, "old"),
            with_alternate("x", Direct, "new"),
            "inequivalent arg 'alternate-exchange': received 'new' but current is 'old'",
        ),
        (
            plain("x", Direct),
            with_alternate("x", Direct, "new"),
            "inequivalent arg 'alternate-exchange': \
             received the value 'new' of type 'longstr' but current is none",
        ),
        (
            with_alternate("x", Direct, "old"),
            plain("x", Direct),
            "inequivalent arg 'alternate-exchange': \
             received none but current is the value 'old' of type 'longstr'",
        ),
    ] {
        let mut graph = graph([current.clone()], &[]);
        let error = graph.declare_exchange(received).unwrap_err();
        assert_eq!(error.to_string(), text);
        assert_eq!(graph.exchange("x"), Some(&current), "it stays as it was");
    }
}

#[test]
fn an_exchange_type_is_read_from_its_name() {
    for kind in ExchangeType::ALL {
        assert_eq!(kind.as_str().parse::<ExchangeType>(), Ok(kind));
    }
    for name in ["", "Direct", "x-foo", "consistent-hash"] {
        assert!(name.parse::<ExchangeType>().is_err(), "{name:?}");
    }
}

#[test]
fn the_alternate_exchange_is_read_from_the_arguments() {
    let arguments = table(&[("alternate-exchange", longstr("other"))]);
    let exchange = Exchange::new("x", Direct, true, false, false, arguments).unwrap();
    assert_eq!(exchange.alternate().map(|name| &**name), Some("other"));
    assert_eq!(plain("x", Direct).alternate(), None);
}
