//! Promise: a message does not outlive its time in a queue, and is not lost before.

use std::time::{Duration, Instant};

use leveret_tests::broker::Broker;
use leveret_tests::client::Channel;
use leveret_tests::dead_letters::DeadLetters;
use leveret_tests::death::reasons;
use leveret_tests::{AMQPValue, BasicProperties, table};

/// A time to live that no test waits for.
const LONG: &str = "600000";

/// How late a message may expire. RabbitMQ takes up to 60 ms; the rest is for a busy machine.
const LATENESS: Duration = Duration::from_millis(500);

fn plain() -> BasicProperties {
    BasicProperties::default()
}

fn expiring(expiration: &str) -> BasicProperties {
    plain().with_expiration(expiration.into())
}

fn ttl(ttl_ms: i32) -> (&'static str, AMQPValue) {
    ("x-message-ttl", AMQPValue::LongInt(ttl_ms))
}

/// A queue with a TTL and a channel in confirm mode that owns it.
fn queue_with_ttl(broker: &Broker, ttl_ms: i32) -> (Channel, String) {
    let channel = broker.channel();
    channel.confirm_select();
    let queue = channel.exclusive_queue_with(table([ttl(ttl_ms)]));
    (channel, queue)
}

/// Check 54.
#[test]
fn the_smaller_of_both_times_counts() {
    let broker = Broker::start();
    for (queue_ms, message, expected_ms) in
        [(100, None, 100), (100, Some(LONG), 100), (600_000, Some("100"), 100)]
    {
        let dead = DeadLetters::with(&broker, [ttl(queue_ms)]);
        let published = Instant::now();
        dead.publish(message.map_or_else(plain, expiring), "m");
        let died = dead.next();
        let age = published.elapsed();
        assert_eq!(reasons(&died), [("expired".into(), dead.source.clone(), 1)]);
        let expected = Duration::from_millis(expected_ms);
        // A millisecond less: the clocks of both sides count whole ones.
        let window = expected - Duration::from_millis(1)..expected + LATENESS;
        assert!(window.contains(&age), "{queue_ms} and {message:?}: {age:?}");
    }
}

/// Check 54.
#[test]
fn messages_expire_one_by_one_in_their_order() {
    let broker = Broker::start();
    let dead = DeadLetters::with(&broker, [ttl(60)]);
    let sent: Vec<String> = (0..50).map(|number| number.to_string()).collect();
    for body in &sent {
        dead.publish(plain(), body);
    }
    assert_eq!(dead.bodies(50), sent);
}

/// Check 54.
#[test]
fn an_expired_message_is_neither_counted_nor_got() {
    let broker = Broker::start();
    let (channel, queue) = queue_with_ttl(&broker, 50);
    channel.fill(&queue, &["m"]);
    channel.wait_ready(&queue, 0);
    assert_eq!(channel.get(&queue), None);
}

/// Check 54. Nobody consumes, so nobody looks at the queue: it expires all the same.
#[test]
fn the_publish_of_a_message_that_expires_is_confirmed() {
    let broker = Broker::start();
    let (channel, queue) = queue_with_ttl(&broker, 1);
    for _ in 0..20 {
        channel.fill(&queue, &["m"]);
    }
    channel.wait_ready(&queue, 0);
}

/// Check 54.
#[test]
fn a_time_of_0_means_now_or_never() {
    let broker = Broker::start();
    let channel = broker.channel();
    channel.confirm_select();
    let rows = [
        (channel.exclusive_queue_with(table([ttl(0)])), plain()),
        (channel.exclusive_queue(), expiring("0")),
    ];
    for (queue, properties) in rows {
        assert!(channel.publish_and_wait("", &queue, properties.clone(), "nobody waits"));
        assert_eq!(channel.get(&queue), None);
        channel.consume(&queue, &queue);
        channel.publish_with("", &queue, properties, "somebody waits");
        let message = channel.delivery();
        assert_eq!(message.body, "somebody waits");
        assert!(channel.confirm().2);
        // Put back, it would have to wait.
        channel.requeue(message.delivery_tag);
        channel.expect_silence(&queue);
    }
}

/// Check 54.
#[test]
fn a_consumer_that_is_busy_does_not_wait_for_a_message_with_a_time_of_0() {
    let broker = Broker::start();
    let (channel, queue) = queue_with_ttl(&broker, 0);
    channel.prefetch(1);
    channel.consume(&queue, "busy");
    channel.publish("", &queue, "taken");
    let taken = channel.delivery();
    assert!(channel.confirm().2);
    assert!(channel.publish_and_wait("", &queue, plain(), "dropped"));
    // Leveret's queues hear of publishes and of acknowledgements on two ways: an answer says that they have heard.
    channel.wait_ready(&queue, 0);
    channel.ack(taken.delivery_tag);
    channel.wait_ready(&queue, 0);
    channel.publish("", &queue, "taken too");
    assert_eq!(channel.delivery().body, "taken too");
}

#[test]
fn a_mandatory_message_that_expires_at_once_is_not_returned() {
    let broker = Broker::start();
    let (channel, queue) = queue_with_ttl(&broker, 0);
    channel.publish_mandatory("", &queue, "m");
    assert_eq!(channel.confirm(), (1, false, true));
    channel.expect_silence(&queue);
}

/// Check 54.
#[test]
fn a_message_with_a_time_of_its_own_waits_behind_the_head() {
    let broker = Broker::start();
    let dead = DeadLetters::with(&broker, []);
    dead.publish(plain(), "head");
    dead.publish(expiring("20"), "behind");
    // A queue beside it tells that the time is over.
    let clock = DeadLetters::with(&broker, []);
    clock.publish(expiring("60"), "tick");
    clock.next();
    assert_eq!(dead.channel.counts(&dead.source).unwrap().0, 2, "it is still counted");
    assert_eq!(dead.channel.get(&dead.source).unwrap().body, "head");
    assert_eq!(dead.next().body, "behind");
    assert_eq!(dead.channel.get(&dead.source), None);
}

/// Check 54.
#[test]
fn a_later_message_may_expire_before_the_others_once_it_is_the_head() {
    let broker = Broker::start();
    let dead = DeadLetters::with(&broker, []);
    dead.publish(plain(), "1");
    for (expiration, body) in [("20", "2"), (LONG, "3"), ("20", "4")] {
        dead.publish(expiring(expiration), body);
    }
    assert_eq!(dead.channel.get(&dead.source).unwrap().body, "1");
    assert_eq!(dead.next().body, "2");
    assert_eq!(dead.channel.get(&dead.source).unwrap().body, "3");
    assert_eq!(dead.next().body, "4");
}

/// Check 54.
#[test]
fn an_unacknowledged_message_does_not_expire_until_it_is_put_back() {
    let broker = Broker::start();
    let dead = DeadLetters::with(&broker, [ttl(80)]);
    dead.publish(plain(), "held");
    let held = dead.channel.get_unacked(&dead.source);
    dead.publish(plain(), "waiting");
    assert_eq!(dead.next().body, "waiting", "which came later and has expired");
    dead.channel.requeue(held.delivery_tag);
    let died = dead.next();
    assert_eq!(died.body, "held");
    assert_eq!(reasons(&died), [("expired".into(), dead.source.clone(), 1)]);
}

/// Check 54.
#[test]
fn an_unacknowledged_message_whose_time_is_over_can_still_be_rejected_or_acknowledged() {
    let broker = Broker::start();
    let dead = DeadLetters::with(&broker, [ttl(50)]);
    dead.channel.fill(&dead.source, &["acknowledged", "rejected", "clock"]);
    let acknowledged = dead.channel.get_unacked(&dead.source);
    let rejected = dead.channel.get_unacked(&dead.source);
    assert_eq!(dead.next().body, "clock");
    dead.channel.ack(acknowledged.delivery_tag);
    dead.channel.reject(rejected.delivery_tag, false);
    let died = dead.next();
    assert_eq!(died.body, "rejected");
    assert_eq!(reasons(&died), [("rejected".into(), dead.source.clone(), 1)]);
}

/// Check 54.
#[test]
fn putting_a_message_back_does_not_prolong_its_time() {
    let broker = Broker::start();
    let dead = DeadLetters::with(&broker, [ttl(300)]);
    let published = Instant::now();
    dead.publish(plain(), "m");
    let mut rounds = 0;
    while let Some(message) = dead.channel.try_get(&dead.source, false).unwrap() {
        dead.channel.requeue(message.delivery_tag);
        rounds += 1;
    }
    assert_eq!(dead.next().body, "m");
    let age = published.elapsed();
    assert!(rounds > 1 && age < Duration::from_millis(300) + LATENESS, "{rounds}, {age:?}");
}

/// Check 54. The first queue's time does not go along, and the second has one of its own.
#[test]
fn a_message_in_several_queues_expires_in_each_by_itself() {
    let broker = Broker::start();
    let (channel, short) = queue_with_ttl(&broker, 40);
    let long = channel.exclusive_queue();
    let exchange = broker.name("x");
    channel.exchange_with(&exchange, "fanout", table([])).unwrap();
    channel.bind(&short, &exchange, "");
    channel.bind(&long, &exchange, "");
    assert!(channel.publish_and_wait(&exchange, "", plain(), "m"));
    channel.wait_ready(&short, 0);
    assert_eq!(channel.drain(&long), ["m"]);
}

#[test]
fn a_consumer_gets_what_is_alive_and_its_expiration_as_it_was_published() {
    let broker = Broker::start();
    let channel = broker.channel();
    channel.confirm_select();
    let queue = channel.exclusive_queue();
    assert!(channel.publish_and_wait("", &queue, expiring("20"), "dead"));
    channel.wait_ready(&queue, 0);
    assert!(channel.publish_and_wait("", &queue, expiring(LONG), "alive"));
    channel.consume_no_ack(&queue, "c");
    let message = channel.delivery();
    assert_eq!((message.body.as_str(), message.redelivered), ("alive", false));
    assert_eq!(message.properties, expiring(LONG));
}
