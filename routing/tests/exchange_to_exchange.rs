//! Exchange-to-exchange bindings.

use leveret_routing::ExchangeType::{Direct, Fanout, Topic};

use crate::support::{bind, exchange, graph, plain, queue, routed};

#[test]
fn a_message_passes_each_exchange_by_its_own_rule() {
    let mut graph = graph([plain("logs", Topic), plain("all", Fanout)], &["errors", "audit"]);
    bind(&mut graph, "all", exchange("logs"), "ignored");
    bind(&mut graph, "logs", queue("errors"), "*.error");
    bind(&mut graph, "all", queue("audit"), "");
    assert_eq!(routed(&graph, "all", "db.error"), ["audit", "errors"]);
    assert_eq!(routed(&graph, "all", "db.info"), ["audit"]);
    assert_eq!(routed(&graph, "logs", "db.error"), ["errors"]);
}

#[test]
fn a_cycle_ends_and_yields_one_copy() {
    let mut graph =
        graph([plain("a", Fanout), plain("b", Fanout), plain("c", Direct)], &["q", "r"]);
    bind(&mut graph, "a", exchange("b"), "");
    bind(&mut graph, "b", exchange("c"), "");
    bind(&mut graph, "c", exchange("a"), "key");
    bind(&mut graph, "a", exchange("a"), "");
    bind(&mut graph, "a", queue("q"), "");
    bind(&mut graph, "b", queue("q"), "");
    bind(&mut graph, "c", queue("r"), "key");
    for source in ["a", "b", "c"] {
        assert_eq!(routed(&graph, source, "key"), ["q", "r"], "from {source}");
    }
}

#[test]
fn two_ways_to_an_exchange_count_once() {
    let mut graph =
        graph([plain("left", Fanout), plain("right", Fanout), plain("end", Fanout)], &["q"]);
    for side in ["left", "right"] {
        bind(&mut graph, "amq.fanout", exchange(side), "");
        bind(&mut graph, side, exchange("end"), "");
        bind(&mut graph, side, queue("q"), "");
    }
    bind(&mut graph, "end", queue("q"), "");
    assert_eq!(routed(&graph, "amq.fanout", ""), ["q"]);
}

#[test]
fn a_long_chain_is_followed_to_its_end() {
    let names: Vec<String> = (0..200).map(|n| format!("x{n}")).collect();
    let mut graph = graph(names.iter().map(|name| plain(name, Fanout)), &["q"]);
    for pair in names.windows(2) {
        bind(&mut graph, &pair[0], exchange(&pair[1]), "");
    }
    bind(&mut graph, &names[199], queue("q"), "");
    assert_eq!(routed(&graph, "x0", ""), ["q"]);
}
