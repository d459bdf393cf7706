//! Promise: a direct exchange compares the whole routing key, and a queue gets one copy however often it is bound.

use leveret_tests::broker::Broker;
use leveret_tests::{queue, table, text};

/// Check 18.
#[test]
fn several_matching_bindings_of_one_queue_give_one_copy() {
    let broker = Broker::start();
    let channel = broker.channel();
    let (exchange, queue) = (broker.name("x"), channel.exclusive_queue());
    channel.declare_exchange(&exchange, "direct");
    for number in ["1", "2", "3"] {
        channel
            .call(queue::Bind {
                queue: queue.as_str().into(),
                exchange: exchange.as_str().into(),
                routing_key: "k".into(),
                arguments: table([("number", text(number))]),
                ..Default::default()
            })
            .unwrap();
    }
    channel.publish(&exchange, "k", "once");
    assert_eq!(channel.get(&queue).unwrap().body, "once");
    assert_eq!(channel.get(&queue), None);
}

#[test]
fn the_key_is_compared_octet_by_octet() {
    let broker = Broker::start();
    let channel = broker.channel();
    let (exchange, queue) = (broker.name("x"), channel.exclusive_queue());
    channel.declare_exchange(&exchange, "direct");
    channel.bind(&queue, &exchange, "a.*");
    channel.bind(&queue, &exchange, "");
    let longest = "k".repeat(255);
    channel.bind(&queue, &exchange, &longest);
    for (key, matches) in
        [("a.*", true), ("a.b", false), ("A.*", false), ("", true), ("a", false), (&longest, true)]
    {
        channel.publish(&exchange, key, key);
        assert_eq!(channel.get(&queue).map(|message| message.body), matches.then(|| key.into()));
    }
}

#[test]
fn every_bound_queue_gets_its_own_copy() {
    let broker = Broker::start();
    let channel = broker.channel();
    let exchange = broker.name("x");
    channel.declare_exchange(&exchange, "direct");
    let queues: Vec<String> = (0..5).map(|_| channel.exclusive_queue()).collect();
    for queue in &queues {
        channel.bind(queue, &exchange, "k");
    }
    channel.publish(&exchange, "k", "copy");
    for queue in &queues {
        assert_eq!(channel.get(queue).unwrap().body, "copy");
        assert_eq!(channel.get(queue), None);
    }
}
