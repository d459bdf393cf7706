//! Promise: a transaction happens at commit, all of it, or not at all.

use leveret_tests::broker::Broker;
use leveret_tests::closed::channel_closed;
use leveret_tests::{basic, confirm, tx};

/// Check 40.
#[test]
fn publishes_are_visible_after_the_commit() {
    let broker = Broker::start();
    let connection = broker.connect();
    let (channel, watching) = (connection.channel(), connection.channel());
    let queue = channel.exclusive_queue();
    channel.call(tx::Select {}).unwrap();
    for body in ["1", "2"] {
        channel.publish("", &queue, body);
    }
    assert_eq!(channel.counts(&queue).unwrap(), (0, 0), "on the channel itself");
    assert_eq!(watching.get(&queue), None, "on another");
    channel.call(tx::Commit {}).unwrap();
    assert_eq!(watching.get(&queue).unwrap().body, "1");
    assert_eq!(watching.get(&queue).unwrap().body, "2");
}

/// Check 40.
#[test]
fn a_mandatory_message_is_returned_at_the_commit() {
    let broker = Broker::start();
    let channel = broker.channel();
    let queue = channel.exclusive_queue();
    channel.call(tx::Select {}).unwrap();
    channel.publish_mandatory("", "nowhere", "back");
    channel.expect_silence(&queue);
    channel.call(tx::Commit {}).unwrap();
    assert_eq!(channel.returned().body, "back");
}

/// Check 40.
#[test]
fn rollback_drops_publishes_and_acks() {
    let broker = Broker::start();
    let connection = broker.connect();
    let (channel, other) = (connection.channel(), connection.channel());
    let queue = channel.exclusive_queue();
    other.publish("", &queue, "kept");
    other.counts(&queue).unwrap();
    channel.call(tx::Select {}).unwrap();
    let kept = channel.get_unacked(&queue);
    channel.ack(kept.delivery_tag);
    channel.publish("", &queue, "dropped");
    channel.call(tx::Rollback {}).unwrap();
    assert_eq!(other.get(&queue), None, "the publish is gone and the message still unacked");

    // The ack was taken back, so the tag is still good.
    channel.ack(kept.delivery_tag);
    channel.call(tx::Commit {}).unwrap();
    channel.close();
    assert_eq!(other.get(&queue), None, "acked at last");
}

/// Check 40.
#[test]
fn an_ack_counts_from_the_commit_on() {
    let broker = Broker::start();
    let connection = broker.connect();
    let other = connection.channel();
    let queue = other.exclusive_queue();
    for commit in [true, false] {
        other.publish("", &queue, "m");
        let channel = connection.channel();
        channel.call(tx::Select {}).unwrap();
        other.counts(&queue).unwrap();
        let message = channel.get_unacked(&queue);
        channel.ack(message.delivery_tag);
        if commit {
            channel.call(tx::Commit {}).unwrap();
        }
        channel.close();
        let left = leveret_tests::wait::until("the close has reached the queue", || {
            let ready = other.counts(&queue).unwrap().0;
            (ready == u32::from(!commit)).then_some(ready)
        });
        assert_eq!(left, u32::from(!commit));
    }
    assert!(other.get(&queue).unwrap().redelivered);
}

/// Check 40.
#[test]
fn commit_and_rollback_need_a_transaction() {
    let broker = Broker::start();
    let expected = channel_closed(406, "PRECONDITION_FAILED - channel is not transactional");
    assert_eq!(broker.channel().call(tx::Commit {}).unwrap_err(), expected);
    assert_eq!(broker.channel().call(tx::Rollback {}).unwrap_err(), expected);
}

/// Check 40.
#[test]
fn a_channel_has_transactions_or_confirms_and_not_both() {
    let broker = Broker::start();
    let channel = broker.channel();
    channel.confirm_select();
    assert_eq!(
        channel.call(tx::Select {}).unwrap_err(),
        channel_closed(406, "PRECONDITION_FAILED - cannot switch from confirm to tx mode")
    );
    let channel = broker.channel();
    channel.call(tx::Select {}).unwrap();
    channel.call(tx::Select {}).unwrap();
    assert_eq!(
        channel.call(confirm::Select::default()).unwrap_err(),
        channel_closed(406, "PRECONDITION_FAILED - cannot switch from tx to confirm mode")
    );
}

#[test]
fn a_commit_covers_several_queues_and_keeps_their_order() {
    let broker = Broker::start();
    let channel = broker.channel();
    let (one, two) = (channel.exclusive_queue(), channel.exclusive_queue());
    channel.call(tx::Select {}).unwrap();
    for number in 0..100 {
        let queue = if number % 2 == 0 { &one } else { &two };
        channel.publish("", queue, &number.to_string());
    }
    channel.call(tx::Commit {}).unwrap();
    for number in 0..100 {
        let queue = if number % 2 == 0 { &one } else { &two };
        assert_eq!(channel.get(queue).unwrap().body, number.to_string());
    }
}

#[test]
fn an_unknown_delivery_tag_is_noticed_before_the_commit() {
    let broker = Broker::start();
    let channel = broker.channel();
    channel.call(tx::Select {}).unwrap();
    channel.send(basic::Ack { delivery_tag: 99, multiple: false });
    assert_eq!(
        channel.closed(),
        channel_closed(406, "PRECONDITION_FAILED - unknown delivery tag 99")
    );
}

#[test]
fn a_transaction_that_is_never_committed_leaves_nothing() {
    let broker = Broker::start();
    let connection = broker.connect();
    let (channel, watching) = (connection.channel(), connection.channel());
    let queue = watching.exclusive_queue();
    channel.call(tx::Select {}).unwrap();
    channel.publish("", &queue, "never");
    channel.close();
    assert_eq!(watching.get(&queue), None);
}
