//! Promise: an unacknowledged message goes back to its old place, marked as redelivered.

use leveret_tests::broker::Broker;
use leveret_tests::client::Channel;
use leveret_tests::closed::channel_closed;
use leveret_tests::wait;
use leveret_tests::{basic, queue};

fn publish_numbers(channel: &Channel, queue: &str, count: usize) {
    for number in 1..=count {
        channel.publish("", queue, &number.to_string());
    }
    channel.counts(queue).unwrap();
}

/// Empties the queue: bodies and redelivered flags.
fn rest(channel: &Channel, queue: &str) -> Vec<(String, bool)> {
    std::iter::from_fn(|| channel.get(queue))
        .map(|message| (message.body, message.redelivered))
        .collect()
}

fn marked(bodies: &[&str], redelivered: bool) -> Vec<(String, bool)> {
    bodies.iter().map(|body| (body.to_string(), redelivered)).collect()
}

/// Check 45.
#[test]
fn an_unknown_delivery_tag_closes_the_channel() {
    let broker = Broker::start();
    type Send = fn(&Channel);
    let sends: [(&str, Send); 4] = [
        ("ack", |channel| channel.send(basic::Ack { delivery_tag: 99, multiple: false })),
        ("ack multiple", |channel| channel.send(basic::Ack { delivery_tag: 99, multiple: true })),
        ("nack", |channel| {
            channel.send(basic::Nack { delivery_tag: 99, multiple: false, requeue: true });
        }),
        ("reject", |channel| channel.send(basic::Reject { delivery_tag: 99, requeue: true })),
    ];
    for (what, send) in sends {
        let channel = broker.channel();
        send(&channel);
        let expected = channel_closed(406, "PRECONDITION_FAILED - unknown delivery tag 99");
        assert_eq!(channel.closed(), expected, "{what}");
    }
}

/// Check 45.
#[test]
fn a_delivery_tag_is_good_once() {
    let broker = Broker::start();
    let channel = broker.channel();
    let queue = channel.exclusive_queue();
    publish_numbers(&channel, &queue, 1);
    let message = channel.get_unacked(&queue);
    channel.ack(message.delivery_tag);
    channel.ack(message.delivery_tag);
    assert_eq!(
        channel.closed(),
        channel_closed(406, "PRECONDITION_FAILED - unknown delivery tag 1")
    );
}

/// Check 45.
#[test]
fn a_delivery_that_needs_no_ack_has_no_good_tag() {
    let broker = Broker::start();
    let channel = broker.channel();
    let queue = channel.exclusive_queue();
    publish_numbers(&channel, &queue, 1);
    let message = channel.get(&queue).unwrap();
    channel.ack(message.delivery_tag);
    assert_eq!(channel.closed().code, 406);
}

/// Check 45.
#[test]
fn tag_0_with_multiple_is_all_of_them_and_may_be_none() {
    let broker = Broker::start();
    let channel = broker.channel();
    let queue = channel.exclusive_queue();
    let all = || basic::Ack { delivery_tag: 0, multiple: true };
    channel.send(all());
    publish_numbers(&channel, &queue, 3);
    for _ in 0..3 {
        channel.get_unacked(&queue);
    }
    channel.send(all());
    channel.send(all());
    channel.send(basic::Recover { requeue: true });
    assert_eq!(rest(&channel, &queue), []);
}

/// Check 45.
#[test]
fn multiple_acks_this_tag_and_those_before_it() {
    let broker = Broker::start();
    let channel = broker.channel();
    let queue = channel.exclusive_queue();
    publish_numbers(&channel, &queue, 4);
    let tags: Vec<u64> = (0..4).map(|_| channel.get_unacked(&queue).delivery_tag).collect();
    assert_eq!(tags, [1, 2, 3, 4]);
    channel.send(basic::Ack { delivery_tag: tags[2], multiple: true });
    channel.call(basic::Recover { requeue: true }).unwrap();
    assert_eq!(rest(&channel, &queue), marked(&["4"], true));
}

/// Check 46.
#[test]
fn requeued_messages_are_first_again_and_in_order() {
    let broker = Broker::start();
    let channel = broker.channel();
    let queue = channel.exclusive_queue();
    publish_numbers(&channel, &queue, 5);
    let tags: Vec<u64> = (0..4).map(|_| channel.get_unacked(&queue).delivery_tag).collect();
    channel.send(basic::Nack { delivery_tag: tags[2], multiple: true, requeue: true });
    let mut expected = marked(&["1", "2", "3"], true);
    expected.extend(marked(&["5"], false));
    assert_eq!(rest(&channel, &queue), expected);
    channel.requeue(tags[3]);
    assert_eq!(rest(&channel, &queue), marked(&["4"], true));
}

/// Check 46: one by one, and from the last to the first.
#[test]
fn requeued_messages_take_their_old_places_whatever_the_order_of_the_requeues() {
    let broker = Broker::start();
    let channel = broker.channel();
    let queue = channel.exclusive_queue();
    publish_numbers(&channel, &queue, 4);
    let tags: Vec<u64> = (0..3).map(|_| channel.get_unacked(&queue).delivery_tag).collect();
    for tag in [tags[1], tags[2], tags[0]] {
        channel.send(basic::Reject { delivery_tag: tag, requeue: true });
    }
    channel.counts(&queue).unwrap();
    let mut expected = marked(&["1", "2", "3"], true);
    expected.extend(marked(&["4"], false));
    assert_eq!(rest(&channel, &queue), expected);
}

/// Check 46.
#[test]
fn the_requeues_of_two_channels_end_up_in_order() {
    let broker = Broker::start();
    let connection = broker.connect();
    let (one, two) = (connection.channel(), connection.channel());
    let queue = one.exclusive_queue();
    publish_numbers(&one, &queue, 4);
    let tags: Vec<u64> =
        [&one, &two, &one, &two].map(|channel| channel.get_unacked(&queue).delivery_tag).to_vec();
    assert_eq!(tags, [1, 1, 2, 2]);
    let all = || basic::Nack { delivery_tag: 0, multiple: true, requeue: true };
    one.send(all());
    one.counts(&queue).unwrap();
    two.send(all());
    two.counts(&queue).unwrap();
    wait::until("all four are back", || (one.counts(&queue).unwrap().0 == 4).then_some(()));
    assert_eq!(rest(&one, &queue), marked(&["1", "2", "3", "4"], true));
}

#[test]
fn without_requeue_a_rejected_message_is_gone() {
    let broker = Broker::start();
    let channel = broker.channel();
    let queue = channel.exclusive_queue();
    publish_numbers(&channel, &queue, 3);
    for _ in 0..3 {
        channel.get_unacked(&queue);
    }
    channel.send(basic::Reject { delivery_tag: 1, requeue: false });
    channel.send(basic::Nack { delivery_tag: 3, multiple: true, requeue: false });
    channel.call(basic::Recover { requeue: true }).unwrap();
    assert_eq!(rest(&channel, &queue), []);
}

/// Check 47.
#[test]
fn closing_a_channel_requeues_its_messages_in_order() {
    let broker = Broker::start();
    let connection = broker.connect();
    let (closing, watching) = (connection.channel(), connection.channel());
    let queue = watching.exclusive_queue();
    publish_numbers(&watching, &queue, 5);
    closing.prefetch(3);
    closing.consume(&queue, "c");
    assert_eq!(closing.bodies(3), ["1", "2", "3"]);
    closing.ack(2);
    // The ack makes room for the fourth.
    assert_eq!(closing.delivery().body, "4");
    closing.close();
    wait::until("the messages are back", || {
        (watching.counts(&queue).unwrap() == (4, 0)).then_some(())
    });
    let mut expected = marked(&["1", "3", "4"], true);
    expected.extend(marked(&["5"], false));
    assert_eq!(rest(&watching, &queue), expected);
}

/// Check 47.
#[test]
fn a_broken_socket_requeues_messages_in_order() {
    let broker = Broker::start();
    let watching = broker.channel();
    let queue = watching.declare(queue::Declare {
        queue: broker.name("q").into(),
        durable: true,
        ..Default::default()
    });
    publish_numbers(&watching, &queue, 4);
    let leaving = broker.channel();
    leaving.prefetch(3);
    leaving.consume(&queue, "c");
    leaving.bodies(3);
    drop(leaving);
    wait::until("the messages are back", || {
        (watching.counts(&queue).unwrap() == (4, 0)).then_some(())
    });
    let mut expected = marked(&["1", "2", "3"], true);
    expected.extend(marked(&["4"], false));
    assert_eq!(rest(&watching, &queue), expected);
    watching.call(queue::Delete { queue: queue.into(), ..Default::default() }).unwrap();
}

#[test]
fn recover_with_requeue_gives_messages_to_any_consumer_again() {
    let broker = Broker::start();
    let channel = broker.channel();
    let queue = channel.exclusive_queue();
    publish_numbers(&channel, &queue, 2);
    channel.consume(&queue, "c");
    assert_eq!(channel.bodies(2), ["1", "2"]);
    channel.call(basic::Recover { requeue: true }).unwrap();
    let again: Vec<_> = (0..2).map(|_| channel.delivery()).collect();
    assert!(again.iter().all(|message| message.redelivered));
    assert_eq!(again.iter().map(|message| message.body.as_str()).collect::<Vec<_>>(), ["1", "2"]);
    assert_eq!(again.iter().map(|message| message.delivery_tag).collect::<Vec<_>>(), [3, 4]);
}

/// Check 46: it has no answer of its own.
#[test]
fn recover_async_requeues_and_says_nothing() {
    let broker = Broker::start();
    let channel = broker.channel();
    let queue = channel.exclusive_queue();
    publish_numbers(&channel, &queue, 3);
    for _ in 0..2 {
        channel.get_unacked(&queue);
    }
    channel.send(basic::RecoverAsync { requeue: true });
    channel.expect_silence(&queue);
    let mut expected = marked(&["1", "2"], true);
    expected.extend(marked(&["3"], false));
    assert_eq!(rest(&channel, &queue), expected);
}

#[test]
fn recover_without_requeue_is_not_implemented() {
    let broker = Broker::start();
    let connection = broker.connect();
    connection.channel().send(basic::Recover { requeue: false });
    let closed = connection.closed();
    assert_eq!((closed.code, closed.text.as_str()), (540, "NOT_IMPLEMENTED - requeue=false"));
}
