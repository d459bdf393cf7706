//! Promise: a message that a queue gives up goes to the queue's dead-letter exchange, once, and is otherwise gone.
//!
//! What it carries then is the matter of `dead_letter_headers`, whether it may come back that of `dead_letter_cycles`.

use leveret_tests::broker::Broker;
use leveret_tests::dead_letters::{DeadLetters, to_queue};
use leveret_tests::death::reasons;
use leveret_tests::{AMQPValue, BasicProperties, FieldArray, basic, exchange, queue, table, text};

fn plain() -> BasicProperties {
    BasicProperties::default()
}

fn expiring(expiration: &str) -> BasicProperties {
    plain().with_expiration(expiration.into())
}

/// Check 56.
#[test]
fn a_rejected_message_is_dead_lettered_and_a_requeued_one_is_not() {
    let broker = Broker::start();
    let dead = DeadLetters::with(&broker, []);
    let channel = &dead.channel;
    channel.fill(&dead.source, &["rejected", "nacked", "back"]);
    channel.reject(channel.get_unacked(&dead.source).delivery_tag, false);
    let nacked = channel.get_unacked(&dead.source);
    channel.send(basic::Nack {
        delivery_tag: nacked.delivery_tag,
        multiple: false,
        requeue: false,
    });
    channel.requeue(channel.get_unacked(&dead.source).delivery_tag);
    channel.reject(channel.get_unacked(&dead.source).delivery_tag, true);
    assert_eq!(dead.bodies(2), ["rejected", "nacked"]);
    dead.channel.ack(channel.get_unacked(&dead.source).delivery_tag);
    dead.expect_no_more();
    assert_eq!(channel.get(&dead.source), None);
}

/// Check 56.
#[test]
fn what_is_refused_together_dies_in_order() {
    let broker = Broker::start();
    let dead = DeadLetters::with(&broker, []);
    let sent: Vec<String> = (0..100).map(|number| number.to_string()).collect();
    for body in &sent {
        dead.channel.publish("", &dead.source, body);
    }
    dead.channel.confirms(1, 100);
    let mut last = 0;
    for _ in 0..100 {
        last = dead.channel.get_unacked(&dead.source).delivery_tag;
    }
    dead.reject_up_to(last);
    assert_eq!(dead.bodies(100), sent);
    dead.expect_no_more();
}

/// Check 56.
#[test]
fn an_expired_message_is_dead_lettered() {
    let broker = Broker::start();
    let dead = DeadLetters::with(&broker, [("x-message-ttl", AMQPValue::LongInt(80))]);
    dead.publish(plain(), "by the queue");
    dead.publish(plain(), "the next");
    assert_eq!(dead.bodies(2), ["by the queue", "the next"]);
    dead.publish(expiring("20"), "by itself");
    assert_eq!(dead.next().body, "by itself");
    assert_eq!(dead.channel.get(&dead.source), None);
}

/// Check 55.
#[test]
fn a_message_that_a_full_queue_drops_is_dead_lettered() {
    let broker = Broker::start();
    let dead = DeadLetters::with(&broker, [("x-max-length", AMQPValue::LongInt(2))]);
    dead.channel.fill(&dead.source, &["1", "2", "3", "4", "5"]);
    assert_eq!(dead.bodies(3), ["1", "2", "3"]);
    assert_eq!(dead.channel.drain(&dead.source), ["4", "5"]);
}

/// Check 55.
#[test]
fn a_message_that_a_full_queue_refuses_is_dead_lettered_if_it_says_so() {
    let broker = Broker::start();
    let overflow = ("x-overflow", text("reject-publish-dlx"));
    let dead = DeadLetters::with(&broker, [("x-max-length", AMQPValue::LongInt(1)), overflow]);
    dead.publish(plain(), "kept");
    assert!(!dead.channel.publish_and_wait("", &dead.source, plain(), "refused"));
    let refused = dead.next();
    assert_eq!(refused.body, "refused");
    assert_eq!(reasons(&refused), [("maxlen".into(), dead.source.clone(), 1)]);
    assert_eq!(dead.channel.drain(&dead.source), ["kept"]);
}

/// Check 55.
#[test]
fn a_message_that_a_full_queue_refuses_is_otherwise_not_dead_lettered() {
    let broker = Broker::start();
    let overflow = ("x-overflow", text("reject-publish"));
    let dead = DeadLetters::with(&broker, [("x-max-length", AMQPValue::LongInt(1)), overflow]);
    dead.publish(plain(), "kept");
    assert!(!dead.channel.publish_and_wait("", &dead.source, plain(), "refused"));
    assert_eq!(dead.channel.drain(&dead.source), ["kept"]);
    dead.expect_no_more();
}

#[test]
fn acknowledging_purging_and_deleting_are_not_deaths() {
    let broker = Broker::start();
    let dead = DeadLetters::with(&broker, []);
    let channel = &dead.channel;
    channel.fill(&dead.source, &["acknowledged", "taken", "purged", "requeued by close"]);
    channel.ack(channel.get_unacked(&dead.source).delivery_tag);
    assert_eq!(channel.get(&dead.source).unwrap().body, "taken");
    channel.ack(channel.get_unacked(&dead.source).delivery_tag);
    let other = dead.connection.channel();
    other.get_unacked(&dead.source);
    other.close();
    channel.wait_ready(&dead.source, 1);
    let purged = channel
        .call(queue::Purge { queue: dead.source.as_str().into(), ..Default::default() })
        .unwrap();
    assert_eq!(purged.message_count, 1);
    dead.expect_no_more();

    let doomed = channel.exclusive_queue_with(to_queue(&dead.target));
    channel.fill(&doomed, &["in a deleted queue"]);
    channel.delete_queue(&doomed);
    dead.expect_no_more();
}

/// Check 56.
#[test]
fn without_a_key_of_its_own_the_queue_keeps_the_routing_key() {
    let broker = Broker::start();
    let channel = broker.channel();
    channel.confirm_select();
    let dlx = broker.name("dlx");
    channel.exchange_with(&dlx, "direct", table([])).unwrap();
    let target = channel.exclusive_queue();
    let source = channel.exclusive_queue_with(table([("x-dead-letter-exchange", text(&dlx))]));
    channel.bind(&target, &dlx, &source);
    channel.fill(&source, &["m"]);
    channel.consume_no_ack(&target, "dead-letters");
    channel.reject(channel.get_unacked(&source).delivery_tag, false);
    let message = channel.delivery();
    assert_eq!((message.exchange, message.routing_key), (dlx, source));
}

/// Check 56. The `BCC` header has been taken off by then, but the message still has its keys.
#[test]
fn the_keys_in_cc_and_bcc_route_again_unless_the_queue_has_a_key_of_its_own() {
    let broker = Broker::start();
    for own_key in [false, true] {
        let channel = broker.channel();
        channel.confirm_select();
        let dlx = broker.name("dlx");
        channel.exchange_with(&dlx, "direct", table([])).unwrap();
        let mut arguments = table([("x-dead-letter-exchange", text(&dlx))]);
        if own_key {
            arguments.insert("x-dead-letter-routing-key".into(), text("own"));
        }
        let source = channel.exclusive_queue_with(arguments);
        let targets = [source.as_str(), "cc", "bcc", "own"].map(|key| {
            let queue = channel.exclusive_queue();
            channel.bind(&queue, &dlx, key);
            queue
        });
        let keys = |key| AMQPValue::FieldArray(FieldArray::from(vec![text(key)]));
        let headers = table([("CC", keys("cc")), ("BCC", keys("bcc"))]);
        assert!(channel.publish_and_wait("", &source, plain().with_headers(headers), "m"));
        channel.reject(channel.get_unacked(&source).delivery_tag, false);
        let expected = if own_key { [0, 0, 0, 1] } else { [1, 1, 1, 0] };
        for (queue, count) in targets.iter().zip(expected) {
            channel.wait_ready(queue, count);
        }
    }
}

/// Check 56.
#[test]
fn a_dead_letter_exchange_may_be_missing_when_the_queue_is_declared_and_later() {
    let broker = Broker::start();
    let channel = broker.channel();
    channel.confirm_select();
    let dlx = broker.name("dlx");
    let (source, target) = (
        channel.exclusive_queue_with(table([("x-dead-letter-exchange", text(&dlx))])),
        channel.exclusive_queue(),
    );
    let die = |body: &str| {
        channel.fill(&source, &[body]);
        channel.reject(channel.get_unacked(&source).delivery_tag, false);
        channel.wait_ready(&source, 0);
    };
    channel.consume_no_ack(&target, "dead-letters");
    die("before there is one");
    for round in ["declared late", "declared again"] {
        channel.declare_exchange(&dlx, "fanout");
        channel.bind(&target, &dlx, "");
        die(round);
        assert_eq!(channel.delivery().body, round);
        channel.delete_exchange(&dlx);
        die("after it was deleted");
    }
    channel.expect_silence(&target);
}

#[test]
fn a_dead_letter_that_no_queue_takes_is_gone() {
    let broker = Broker::start();
    let channel = broker.channel();
    channel.confirm_select();
    let source = channel.exclusive_queue_with(to_queue(&broker.name("no-such-queue")));
    channel.fill(&source, &["m"]);
    channel.reject(channel.get_unacked(&source).delivery_tag, false);
    channel.fill(&source, &["later"]);
    assert_eq!(channel.drain(&source), ["later"]);
}

#[test]
fn a_dead_letter_goes_to_every_queue_that_is_bound() {
    let broker = Broker::start();
    let channel = broker.channel();
    channel.confirm_select();
    let dlx = broker.name("dlx");
    let internal = exchange::Declare {
        exchange: dlx.as_str().into(),
        kind: "fanout".into(),
        internal: true,
        auto_delete: true,
        ..Default::default()
    };
    channel.call(internal).unwrap();
    let source = channel.exclusive_queue_with(table([("x-dead-letter-exchange", text(&dlx))]));
    let targets: Vec<String> = (0..3).map(|_| channel.exclusive_queue()).collect();
    for target in &targets {
        channel.bind(target, &dlx, "");
    }
    channel.fill(&source, &["m"]);
    channel.reject(channel.get_unacked(&source).delivery_tag, false);
    for target in &targets {
        channel.wait_ready(target, 1);
        assert_eq!(channel.get(target).unwrap().body, "m");
    }
}

#[test]
fn a_dead_letter_that_its_exchange_cannot_route_takes_the_alternate_exchange() {
    let broker = Broker::start();
    let channel = broker.channel();
    channel.confirm_select();
    let (dlx, alternate) = (broker.name("dlx"), broker.name("alternate"));
    channel.exchange_with(&alternate, "fanout", table([])).unwrap();
    channel
        .exchange_with(&dlx, "direct", table([("alternate-exchange", text(&alternate))]))
        .unwrap();
    let source = channel.exclusive_queue_with(table([("x-dead-letter-exchange", text(&dlx))]));
    let target = channel.exclusive_queue();
    channel.bind(&target, &alternate, "");
    channel.consume_no_ack(&target, "dead-letters");
    channel.fill(&source, &["m"]);
    channel.reject(channel.get_unacked(&source).delivery_tag, false);
    assert_eq!(channel.delivery().body, "m");
    channel.delete_exchange(&dlx);
}

#[test]
fn a_publisher_is_confirmed_whatever_becomes_of_the_message() {
    let broker = Broker::start();
    let dead = DeadLetters::with(&broker, [("x-message-ttl", AMQPValue::LongInt(0))]);
    dead.publish(plain(), "expired at once");
    assert_eq!(dead.next().body, "expired at once");
    let dead = DeadLetters::with(&broker, [("x-max-length", AMQPValue::LongInt(0))]);
    dead.publish(plain(), "dropped at once");
    assert_eq!(dead.next().body, "dropped at once");
}
