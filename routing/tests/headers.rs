//! The headers exchange: which headers fulfil which arguments.

use std::borrow::Cow;
use std::cell::Cell;
use std::slice;

use amq_protocol::types::{AMQPValue, DecimalValue, FieldArray, FieldTable};
use leveret_routing::{BindError, ExchangeType, Headers, Route};

use crate::support::{
    bind, binding_with, exchange, graph, longstr, plain, queue, routed, routed_with, table,
};

type Fields<'a> = &'a [(&'a str, AMQPValue)];

fn int(value: i32) -> AMQPValue {
    AMQPValue::LongInt(value)
}

fn matches(arguments: Fields<'_>, headers: Fields<'_>) -> bool {
    let mut graph = graph([], &["q"]);
    let binding = binding_with("amq.headers", queue("q"), "", arguments);
    assert_eq!(graph.bind(binding.clone()), Ok(true));
    let routed_once = routed_with(&graph, "amq.headers", "", &table(headers));
    graph.unbind(&binding);
    assert!(routed_with(&graph, "amq.headers", "", &table(headers)).is_empty());
    routed_once == ["q"]
}

#[test]
fn x_match_chooses_all_or_any_and_whether_x_headers_count() {
    let (one, two, x) = (("one", int(1)), ("two", int(2)), ("x-three", int(3)));
    // The headers of the messages, then for each x-match which of them match a binding on all
    // three.
    let messages: [Fields<'_>; 7] = [
        &[],
        slice::from_ref(&one),
        slice::from_ref(&x),
        &[one.clone(), two.clone()],
        &[one.clone(), x.clone()],
        &[one.clone(), two.clone(), x.clone()],
        &[("one", int(9)), two.clone(), x.clone()],
    ];
    for (x_match, expected) in [
        (None, [false, false, false, true, false, true, false]),
        (Some("all"), [false, false, false, true, false, true, false]),
        (Some("any"), [false, true, false, true, true, true, true]),
        (Some("all-with-x"), [false, false, false, false, false, true, false]),
        (Some("any-with-x"), [false, true, true, true, true, true, true]),
    ] {
        let mut arguments = vec![one.clone(), two.clone(), x.clone()];
        arguments.extend(x_match.map(|x_match| ("x-match", longstr(x_match))));
        for (headers, expected) in messages.iter().zip(expected) {
            assert_eq!(matches(&arguments, headers), expected, "{x_match:?} of {headers:?}");
        }
    }
}

#[test]
fn without_conditions_all_matches_every_message_and_any_none() {
    for (x_match, x_header, expected) in [
        ("all", false, true),
        ("all-with-x", false, true),
        ("any", false, false),
        ("any-with-x", false, false),
        ("all", true, true),
        ("any", true, false),
        ("all-with-x", true, false),
        ("any-with-x", true, false),
    ] {
        let mut arguments = vec![("x-match", longstr(x_match))];
        if x_header {
            arguments.push(("x-only", int(1)));
        }
        for headers in [&[][..], &[("other", int(1))]] {
            assert_eq!(matches(&arguments, headers), expected, "{arguments:?}");
        }
    }
}

#[test]
fn a_message_without_headers_matches_only_what_has_no_conditions() {
    let mut graph = graph([], &["always", "sometimes"]);
    bind(&mut graph, "amq.headers", queue("always"), "");
    let arguments = [("one", AMQPValue::Void)];
    graph.bind(binding_with("amq.headers", queue("sometimes"), "", &arguments)).unwrap();
    assert_eq!(routed(&graph, "amq.headers", ""), ["always"]);
}

#[test]
fn values_are_compared_without_their_types() {
    let array = |values: &[AMQPValue]| AMQPValue::FieldArray(FieldArray::from(values.to_vec()));
    let nested = |value| AMQPValue::FieldTable(table(&[("key", value)]));
    let decimal = |scale, value| AMQPValue::DecimalValue(DecimalValue { scale, value });
    for (expected_value, actual, expected) in [
        (AMQPValue::Void, int(7), true),
        (AMQPValue::Void, AMQPValue::Void, true),
        (int(7), AMQPValue::Void, false),
        (int(7), AMQPValue::LongLongInt(7), true),
        (int(7), AMQPValue::ShortShortUInt(7), true),
        (int(7), AMQPValue::Timestamp(7), true),
        (int(-1), AMQPValue::ShortShortInt(-1), true),
        (int(-1), AMQPValue::Timestamp(u64::MAX), false),
        (int(7), AMQPValue::Double(7.0), false),
        (int(7), longstr("7"), false),
        (int(1), AMQPValue::Boolean(true), false),
        (AMQPValue::Boolean(true), AMQPValue::Boolean(true), true),
        (AMQPValue::Float(0.5), AMQPValue::Double(0.5), true),
        (AMQPValue::Double(f64::NAN), AMQPValue::Double(f64::NAN), true),
        (longstr("a"), AMQPValue::ByteArray(b"a".as_slice().into()), true),
        (longstr("a"), longstr("A"), false),
        (decimal(2, 150), decimal(2, 150), true),
        (decimal(2, 150), decimal(1, 15), false),
        (array(&[int(1)]), array(&[int(1)]), true),
        (array(&[int(1)]), array(&[AMQPValue::LongLongInt(1)]), false),
        (array(&[int(1)]), array(&[int(1), int(2)]), false),
        (nested(int(1)), nested(int(1)), true),
        (nested(int(1)), nested(int(2)), false),
    ] {
        for x_match in ["all", "any"] {
            let arguments = [("h", expected_value.clone()), ("x-match", longstr(x_match))];
            assert_eq!(matches(&arguments, &[("h", actual.clone())]), expected, "{arguments:?}");
        }
    }
}

#[test]
fn header_names_are_case_sensitive() {
    assert!(!matches(&[("Format", longstr("pdf"))], &[("format", longstr("pdf"))]));
}

#[test]
fn a_bad_x_match_is_refused_with_rabbitmqs_text() {
    let mut graph = graph([], &["q"]);
    for (x_match, text) in [
        (
            longstr("foo"),
            "Invalid x-match field value <<\"foo\">>; expected all, any, all-with-x, or any-with-x",
        ),
        (
            AMQPValue::ShortShortInt(1),
            "Invalid x-match field type byte (value 1); expected longstr",
        ),
        (
            AMQPValue::Boolean(true),
            "Invalid x-match field type bool (value true); expected longstr",
        ),
    ] {
        let binding = binding_with("amq.match", queue("q"), "", &[("x-match", x_match.clone())]);
        let error: BindError = graph.bind(binding).unwrap_err();
        assert_eq!(error.to_string(), text);
        let elsewhere = binding_with("amq.topic", queue("q"), "", &[("x-match", x_match)]);
        assert_eq!(graph.bind(elsewhere), Ok(true), "only a headers exchange looks at x-match");
    }
}

#[test]
fn among_many_bindings_exactly_the_fulfilled_ones_match() {
    let names: Vec<String> = (0..300).map(|n| format!("q{n:03}")).collect();
    let queues: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut graph = graph([], &queues);
    for (n, name) in (0..).zip(&queues) {
        let x_match = if n % 2 == 0 { "all" } else { "any" };
        let arguments =
            [("shared", longstr("same")), ("id", int(n / 2)), ("x-match", longstr(x_match))];
        graph.bind(binding_with("amq.headers", queue(name), "", &arguments)).unwrap();
    }
    let headers = table(&[("id", int(7)), ("shared", longstr("other"))]);
    assert_eq!(routed_with(&graph, "amq.headers", "", &headers), ["q015"]);
    let headers = table(&[("id", int(7)), ("shared", longstr("same"))]);
    let routed = routed_with(&graph, "amq.headers", "", &headers);
    assert_eq!(routed.len(), 151, "every any, and one all");
    assert!(routed.contains(&"q014".to_owned()));
}

/// Counts how often it is asked.
struct CountedHeaders(Cell<usize>);

impl Headers for CountedHeaders {
    fn table(&self) -> Option<Cow<'_, FieldTable>> {
        self.0.set(self.0.get() + 1);
        None
    }
}

#[test]
fn headers_are_decoded_once_and_only_for_a_headers_exchange() {
    let mut graph = graph([plain("second", ExchangeType::Headers)], &["q"]);
    bind(&mut graph, "amq.fanout", queue("q"), "");
    bind(&mut graph, "amq.headers", exchange("second"), "");
    for (exchange, decoded, cacheable) in [("amq.fanout", 0, true), ("amq.headers", 1, false)] {
        let headers = CountedHeaders(Cell::new(0));
        let mut route = Route::new();
        graph.route(exchange, "", &headers, &mut route).unwrap();
        assert_eq!(headers.0.get(), decoded, "{exchange}");
        assert_eq!(route.cacheable(), cacheable, "{exchange}");
    }
}
