//! Promise: `x-modulus-hash` sends equal routing keys to the same queue, as long as the bindings stay.

use std::collections::BTreeMap;

use leveret_tests::broker::Broker;
use leveret_tests::client::Channel;
use leveret_tests::table;

const KEYS: usize = 300;

/// Publishes one message for each key, and says what each queue got.
fn spread(channel: &Channel, exchange: &str, queues: &[String]) -> BTreeMap<String, Vec<String>> {
    for number in 0..KEYS {
        let key = format!("key {number}");
        assert!(channel.publish_and_wait(exchange, &key, Default::default(), &key));
    }
    let spread: BTreeMap<_, _> =
        queues.iter().map(|queue| (queue.clone(), channel.drain(queue))).collect();
    assert_eq!(spread.values().map(Vec::len).sum::<usize>(), KEYS, "each key has one queue");
    spread
}

#[test]
fn equal_keys_go_to_the_same_queue_and_every_queue_has_a_share() {
    let broker = Broker::start();
    let channel = broker.channel();
    channel.confirm_select();
    let exchange = broker.name("x");
    channel.exchange_with(&exchange, "x-modulus-hash", table([])).unwrap();
    let queues: Vec<String> = (0..3).map(|_| channel.exclusive_queue()).collect();
    // The binding key has no meaning, and may be anything.
    for (queue, key) in queues.iter().zip(["", "a", "#"]) {
        channel.bind(queue, &exchange, key);
    }
    let first = spread(&channel, &exchange, &queues);
    assert!(first.values().all(|keys| keys.len() > KEYS / 6), "{first:?}");
    assert_eq!(spread(&channel, &exchange, &queues), first);
}

#[test]
fn one_queue_gets_everything_and_none_nothing() {
    let broker = Broker::start();
    let channel = broker.channel();
    channel.confirm_select();
    let exchange = broker.name("x");
    channel.exchange_with(&exchange, "x-modulus-hash", table([])).unwrap();
    channel.publish_mandatory(&exchange, "k", "nowhere");
    assert_eq!(channel.returned().body, "nowhere");
    assert!(channel.confirm().2);
    let queue = channel.exclusive_queue();
    channel.bind(&queue, &exchange, "");
    spread(&channel, &exchange, &[queue]);
}
