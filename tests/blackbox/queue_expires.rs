//! Promise: a queue with `x-expires` that nobody uses for that long goes away, and one that is used stays.

use std::time::{Duration, Instant};

use leveret_tests::broker::Broker;
use leveret_tests::client::Channel;
use leveret_tests::dead_letters::DeadLetters;
use leveret_tests::{AMQPValue, basic, exchange, queue, table, wait};

const EXPIRES_MS: i32 = 200;
const EXPIRES: Duration = Duration::from_millis(200);

fn declaration(name: &str) -> queue::Declare {
    queue::Declare {
        queue: name.into(),
        durable: true,
        arguments: table([("x-expires", AMQPValue::LongInt(EXPIRES_MS))]),
        ..Default::default()
    }
}

/// Whether a queue is there, asked in a way that is no use of it, as a passive declare would be. Empties it.
fn exists(broker: &Broker, name: &str) -> bool {
    match broker.channel().call(queue::Purge { queue: name.into(), ..Default::default() }) {
        Ok(_) => true,
        Err(closed) => {
            let expected = format!("NOT_FOUND - no queue '{name}' in vhost '/'");
            assert_eq!((closed.code, closed.text), (404, expected));
            false
        }
    }
}

fn wait_gone(broker: &Broker, name: &str) {
    wait::until("the queue has expired", || (!exists(broker, name)).then_some(()));
}

/// Waits until an auto-delete exchange is deleted, with the last queue that is bound to it.
fn wait_exchange_gone(broker: &Broker, name: &str) {
    wait::until("the last binding has gone", || {
        let passive =
            exchange::Declare { exchange: name.into(), passive: true, ..Default::default() };
        broker.channel().call(passive).err()
    });
}

/// Uses a queue again and again for three of its lives; how it is used is given. It must be there still.
fn stays_with(use_it: impl Fn(&Channel, &str)) {
    let broker = Broker::start();
    let channel = broker.channel();
    let name = broker.name("q");
    channel.declare(declaration(&name));
    let start = Instant::now();
    let mut last = start;
    while start.elapsed() < EXPIRES * 3 {
        wait::until("a fifth of its life", || (last.elapsed() > EXPIRES / 5).then_some(()));
        last = Instant::now();
        use_it(&channel, &name);
    }
    assert!(exists(&broker, &name));
    channel.delete_queue(&name);
}

/// Check 32.
#[test]
fn an_unused_queue_goes_and_not_before_its_time() {
    let broker = Broker::start();
    let name = broker.name("q");
    let start = Instant::now();
    broker.channel().declare(declaration(&name));
    wait_gone(&broker, &name);
    assert!(start.elapsed() >= EXPIRES - Duration::from_millis(1), "{:?}", start.elapsed());
}

/// Check 32.
#[test]
fn declaring_it_again_is_a_use() {
    stays_with(|channel, name| {
        channel.declare(declaration(name));
    });
    stays_with(|channel, name| {
        channel.counts(name).unwrap();
    });
}

/// Check 32.
#[test]
fn asking_it_for_a_message_is_a_use_even_in_vain() {
    stays_with(|channel, name| assert_eq!(channel.get(name), None));
}

/// Check 32.
#[test]
fn publishing_is_not_a_use() {
    let broker = Broker::start();
    let channel = broker.channel();
    let name = broker.name("q");
    channel.declare(declaration(&name));
    wait::until("the queue expires although messages come", || {
        channel.publish("", &name, "m");
        (!exists(&broker, &name)).then_some(())
    });
}

/// Check 32.
#[test]
fn a_consumer_keeps_it_and_its_end_starts_the_clock() {
    let broker = Broker::start();
    let channel = broker.channel();
    let (used, unused) = (broker.name("used"), broker.name("unused"));
    for name in [&used, &unused] {
        channel.declare(declaration(name));
    }
    channel.consume(&used, "c");
    wait_gone(&broker, &unused);
    assert!(exists(&broker, &used));
    let start = Instant::now();
    channel.call(basic::Cancel { consumer_tag: "c".into(), ..Default::default() }).unwrap();
    wait_gone(&broker, &used);
    assert!(start.elapsed() >= EXPIRES - Duration::from_millis(1), "{:?}", start.elapsed());
}

/// Check 32.
#[test]
fn it_goes_with_its_messages_also_those_that_are_unacknowledged() {
    let broker = Broker::start();
    let dead = DeadLetters::with(&broker, [("x-expires", AMQPValue::LongInt(EXPIRES_MS))]);
    dead.channel.fill(&dead.source, &["unacknowledged", "ready"]);
    let held = dead.channel.get_unacked(&dead.source);
    let exchange = broker.name("x");
    dead.channel.exchange_with(&exchange, "fanout", table([])).unwrap();
    dead.channel.bind(&dead.source, &exchange, "");
    wait_exchange_gone(&broker, &exchange);
    // A late acknowledgement is no mistake, and nothing was dead-lettered.
    dead.channel.ack(held.delivery_tag);
    dead.channel.fill(&dead.target, &["the first to come"]);
    assert_eq!(dead.next().body, "the first to come");
}

#[test]
fn its_bindings_go_with_it() {
    let broker = Broker::start();
    let channel = broker.channel();
    let (name, exchange) = (broker.name("q"), broker.name("x"));
    channel.exchange_with(&exchange, "fanout", table([])).unwrap();
    channel.declare(declaration(&name));
    channel.bind(&name, &exchange, "");
    wait_gone(&broker, &name);
    wait_exchange_gone(&broker, &exchange);
}
