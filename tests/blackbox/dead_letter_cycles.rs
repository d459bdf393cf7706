//! Promise: a message that nobody rejects does not go round between dead-letter queues; one that is rejected may.

use leveret_tests::broker::Broker;
use leveret_tests::dead_letters::to_queue;
use leveret_tests::death::reasons;
use leveret_tests::{AMQPValue, queue};

/// Check 58.
#[test]
fn a_queue_may_be_its_own_dead_letter_queue_for_what_is_rejected() {
    let broker = Broker::start();
    let channel = broker.channel();
    channel.confirm_select();
    let source = broker.name("q");
    channel.declare(queue::Declare {
        queue: source.as_str().into(),
        exclusive: true,
        arguments: to_queue(&source),
        ..Default::default()
    });
    channel.fill(&source, &["1", "2"]);
    for rounds in 1..=3 {
        let message = channel.get_unacked(&source);
        assert_eq!(message.body, "1");
        channel.reject(message.delivery_tag, false);
        channel.wait_ready(&source, 2);
        // It is at the end now; the other one makes way.
        let other = channel.get_unacked(&source);
        assert_eq!(other.body, "2");
        channel.reject(other.delivery_tag, false);
        channel.wait_ready(&source, 2);
        let back = channel.get_unacked(&source);
        assert_eq!(reasons(&back), [("rejected".into(), source.clone(), rounds)]);
        channel.requeue(back.delivery_tag);
    }
}

/// Check 58.
#[test]
fn a_cycle_of_nothing_but_expiry_is_cut() {
    let broker = Broker::start();
    let channel = broker.channel();
    channel.confirm_select();
    let (one, two) = (broker.name("one"), broker.name("two"));
    for (queue, next) in [(&one, &two), (&two, &one)] {
        let mut arguments = to_queue(next);
        arguments.insert("x-message-ttl".into(), AMQPValue::LongInt(30));
        channel.declare(queue::Declare {
            queue: queue.as_str().into(),
            exclusive: true,
            arguments,
            ..Default::default()
        });
    }
    channel.fill(&one, &["m"]);
    channel.wait_ready(&two, 1);
    channel.wait_ready(&two, 0);
    // It would enter the first queue before anything that is published now.
    channel.fill(&one, &["later"]);
    assert_eq!(channel.drain(&one), ["later"]);
    assert_eq!(channel.drain(&two), [""; 0]);
}

/// Check 58.
#[test]
fn a_cycle_of_nothing_but_full_queues_is_cut() {
    let broker = Broker::start();
    let channel = broker.channel();
    channel.confirm_select();
    let queue = broker.name("q");
    let mut arguments = to_queue(&queue);
    arguments.insert("x-max-length".into(), AMQPValue::LongInt(1));
    channel.declare(queue::Declare {
        queue: queue.as_str().into(),
        exclusive: true,
        arguments,
        ..Default::default()
    });
    channel.fill(&queue, &["1", "2", "3"]);
    channel.wait_ready(&queue, 1);
    assert_eq!(channel.drain(&queue), ["3"]);
}

/// Check 58.
#[test]
fn a_cycle_with_a_rejection_goes_on() {
    let broker = Broker::start();
    let channel = broker.channel();
    channel.confirm_select();
    let (work, wait) = (broker.name("work"), broker.name("wait"));
    let declare = |queue: &str, next: &str, ttl: Option<i32>| {
        let mut arguments = to_queue(next);
        if let Some(ttl_ms) = ttl {
            arguments.insert("x-message-ttl".into(), AMQPValue::LongInt(ttl_ms));
        }
        channel.declare(queue::Declare {
            queue: queue.into(),
            exclusive: true,
            arguments,
            ..Default::default()
        });
    };
    declare(&work, &wait, None);
    declare(&wait, &work, Some(20));
    channel.consume(&work, "worker");
    channel.publish("", &work, "m");
    for rounds in 0..4 {
        let message = channel.delivery();
        let expected = [("expired", &wait), ("rejected", &work)]
            .map(|(reason, queue)| (reason.to_string(), queue.clone(), rounds));
        assert_eq!(reasons(&message), if rounds == 0 { vec![] } else { expected.to_vec() });
        channel.reject(message.delivery_tag, false);
    }
}
