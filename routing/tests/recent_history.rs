//! The recent history exchange: it matches like fanout, and routing says that it was passed.

use amq_protocol::types::AMQPValue;
use leveret_routing::ExchangeType::{Direct, Fanout, RecentHistory};
use leveret_routing::Route;

use crate::support::{
    bind, exchange, graph, longstr, plain, queue, routed, sorted_names, sorted_queues, table,
    with_alternate, with_arguments,
};

const LENGTH: &str = "x-recent-history-length";

#[test]
fn it_matches_like_fanout_and_is_to_remember() {
    let mut graph = graph([plain("history", RecentHistory)], &["q1", "q2"]);
    let mut route = Route::new();
    graph.route("history", "key", &(), &mut route).unwrap();
    assert_eq!(sorted_names(route.remembering()), ["history"], "with nobody bound, all the more");

    bind(&mut graph, "history", queue("q1"), "some key");
    bind(&mut graph, "history", queue("q2"), "");
    graph.route("history", "key", &(), &mut route).unwrap();
    assert_eq!(sorted_queues(&route), ["q1", "q2"]);
    assert_eq!(sorted_names(route.remembering()), ["history"]);
    assert!(route.cacheable());

    graph.route("amq.fanout", "key", &(), &mut route).unwrap();
    assert_eq!(sorted_names(route.remembering()), [""; 0], "that was another message");
}

#[test]
fn it_remembers_whatever_way_a_message_comes_and_once() {
    let exchanges = [
        with_alternate("first", Direct, "history"),
        plain("history", RecentHistory),
        plain("other history", RecentHistory),
    ];
    let mut graph = graph(exchanges, &[]);
    bind(&mut graph, "history", exchange("other history"), "");
    bind(&mut graph, "other history", exchange("history"), "");
    let mut route = Route::new();
    for from in ["first", "history"] {
        graph.route(from, "key", &(), &mut route).unwrap();
        assert_eq!(sorted_names(route.remembering()), ["history", "other history"], "from {from}");
    }
}

#[test]
fn with_nothing_bound_the_alternate_exchange_takes_the_message() {
    let mut graph = graph([with_alternate("history", RecentHistory, "amq.fanout")], &["lost"]);
    bind(&mut graph, "amq.fanout", queue("lost"), "");
    assert_eq!(routed(&graph, "history", "key"), ["lost"]);
}

#[test]
fn the_length_is_a_positive_integer_of_any_width_and_20_when_it_is_not_given() {
    assert_eq!(plain("x", RecentHistory).recent_history_length(), Some(20));
    assert_eq!(plain("x", Fanout).recent_history_length(), None);
    for (value, length) in [
        (AMQPValue::ShortShortInt(1), 1),
        (AMQPValue::ShortUInt(300), 300),
        (AMQPValue::LongInt(5), 5),
        (AMQPValue::LongLongInt(1 << 40), 1 << 40),
    ] {
        let history = with_arguments("x", RecentHistory, &[(LENGTH, value)]).unwrap();
        assert_eq!(history.recent_history_length(), Some(length));
    }
}

/// The texts are RabbitMQ's, as it printed them.
#[test]
fn another_length_is_refused() {
    for (value, printed) in [
        (AMQPValue::LongInt(0), "0"),
        (AMQPValue::LongLongInt(-1), "-1"),
        (longstr("a"), "<<\"a\">>"),
        (longstr(""), "<<>>"),
        (AMQPValue::Boolean(true), "true"),
        (AMQPValue::Void, "undefined"),
        (AMQPValue::FieldArray(vec![AMQPValue::LongInt(1)].into()), "[{signedint,1}]"),
        (
            AMQPValue::FieldTable(table(&[("a", AMQPValue::LongInt(1))])),
            "[{<<\"a\">>,signedint,1}]",
        ),
    ] {
        let error = with_arguments("x", RecentHistory, &[(LENGTH, value.clone())]).unwrap_err();
        let text = format!("Invalid argument {printed}, '{LENGTH}' must be a positive integer");
        assert_eq!(error.to_string(), text);
        assert!(with_arguments("x", Fanout, &[(LENGTH, value)]).is_ok(), "means nothing there");
    }
}
