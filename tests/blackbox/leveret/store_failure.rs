//! Promise: when the disk is full the broker says so, confirms nothing that is not stored, and goes on with what needs no
//! disk. What was confirmed before is there after a restart (check 62).

use leveret_tests::broker::Broker;
use leveret_tests::client::Channel;
use leveret_tests::closed::{Closed, channel_closed};
use leveret_tests::{BasicProperties, exchange, queue, tx};

/// The largest file the broker can make: enough to start, and for some messages.
const FILE_SIZE_LIMIT: u64 = 8 << 20;
const BODY_LEN: usize = 50_000;
/// A durable queue.
const QUEUE: &str = "q";

fn refusal() -> Closed {
    channel_closed(
        406,
        "PRECONDITION_FAILED - the broker's store has failed and takes no more writes: see the broker's log, \
         then restart it",
    )
}

fn publish(channel: &Channel, number: usize) {
    let properties = BasicProperties::default().with_delivery_mode(2);
    channel.publish_with("", QUEUE, properties, &format!("{number:0BODY_LEN$}"));
}

/// A broker that has just refused a message for want of room, the channel it was published on, and how many messages it had
/// confirmed until then.
fn broker_with_a_full_disk() -> (Broker, Channel, usize) {
    let broker = Broker::leveret_with_small_files(FILE_SIZE_LIMIT);
    let channel = broker.channel();
    channel.declare(queue::Declare { queue: QUEUE.into(), durable: true, ..Default::default() });
    channel.confirm_select();
    let mut confirmed = 0;
    loop {
        publish(&channel, confirmed);
        let (_, _, acked) = channel.confirm();
        if !acked {
            return (broker, channel, confirmed);
        }
        confirmed += 1;
        assert!(confirmed < 1000, "the store does not mind the limit");
    }
}

#[test]
fn a_publisher_with_confirms_gets_nacks_and_no_ack_any_more() {
    let (_broker, channel, confirmed) = broker_with_a_full_disk();
    let first = confirmed as u64 + 2;
    for number in 0..20 {
        publish(&channel, number);
    }
    assert_eq!(channel.confirms(first, first + 19), Vec::from_iter(first..first + 20));
}

/// More than fit, at once, so that some are stored, some fail and some come too late.
#[test]
fn no_ack_follows_the_first_nack_of_many_publishes_under_way() {
    const COUNT: u64 = 500;
    let broker = Broker::leveret_with_small_files(FILE_SIZE_LIMIT);
    let channel = broker.channel();
    channel.declare(queue::Declare { queue: QUEUE.into(), durable: true, ..Default::default() });
    channel.confirm_select();
    for number in 0..COUNT {
        publish(&channel, usize::try_from(number).unwrap());
    }
    let refused = channel.confirms(1, COUNT);
    let first = *refused.first().expect("some are refused");
    assert_eq!(refused, Vec::from_iter(first..=COUNT));
}

#[test]
fn a_publisher_without_confirms_has_its_channel_closed() {
    let (broker, _, _) = broker_with_a_full_disk();
    let channel = broker.channel();
    publish(&channel, 0);
    assert_eq!(channel.closed(), refusal());
}

#[test]
fn a_commit_is_refused() {
    let (broker, _, _) = broker_with_a_full_disk();
    let channel = broker.channel();
    channel.call(tx::Select {}).unwrap();
    publish(&channel, 0);
    assert_eq!(channel.call(tx::Commit {}).unwrap_err(), refusal());
}

#[test]
fn durable_queues_exchanges_and_bindings_cannot_be_made() {
    let (broker, _, _) = broker_with_a_full_disk();
    let queue = queue::Declare { queue: "new".into(), durable: true, ..Default::default() };
    assert_eq!(broker.channel().call(queue).unwrap_err(), refusal());
    let exchange = exchange::Declare {
        exchange: "new".into(),
        kind: "fanout".into(),
        durable: true,
        ..Default::default()
    };
    assert_eq!(broker.channel().call(exchange).unwrap_err(), refusal());
    let bind =
        queue::Bind { queue: QUEUE.into(), exchange: "amq.fanout".into(), ..Default::default() };
    assert_eq!(broker.channel().call(bind).unwrap_err(), refusal());
}

#[test]
fn transient_messages_go_on() {
    let (broker, publisher, confirmed) = broker_with_a_full_disk();
    let consumer = broker.channel();
    let queue = consumer.exclusive_queue();
    consumer.consume(&queue, "c");
    consumer.bind(&queue, "amq.fanout", "");
    publisher.publish("amq.fanout", "", "m");
    let first = confirmed as u64 + 2;
    publisher.publish("", "nowhere", "to no queue");
    assert_eq!(publisher.confirms(first, first + 1), [0; 0]);
    let message = consumer.delivery();
    assert_eq!(message.body, "m");
    consumer.ack(message.delivery_tag);
    consumer.expect_silence(&queue);
}

#[test]
fn a_transient_message_in_a_durable_queue_is_confirmed() {
    let (_broker, channel, confirmed) = broker_with_a_full_disk();
    channel.publish("", QUEUE, "m");
    let number = confirmed as u64 + 2;
    assert_eq!(channel.confirms(number, number), [0; 0]);
}

#[test]
fn what_was_stored_can_be_consumed() {
    let (broker, _, confirmed) = broker_with_a_full_disk();
    let consumer = broker.channel();
    consumer.prefetch(1);
    consumer.consume(QUEUE, "c");
    for number in 0..confirmed {
        let message = consumer.delivery();
        assert_eq!(message.body.parse(), Ok(number));
        consumer.ack(message.delivery_tag);
    }
}

#[test]
fn every_confirmed_message_is_there_after_a_restart_with_room() {
    type End = fn(&mut Broker);
    // A stop that finds the store failed is no clean one, and its exit status says so.
    let stop: End = |broker| {
        broker.terminate();
        assert_eq!(broker.wait().code(), Some(1), "{}", broker.log());
    };
    for (how, end) in [("SIGTERM", stop), ("SIGKILL", Broker::kill)] {
        let (mut broker, channel, confirmed) = broker_with_a_full_disk();
        drop(channel);
        end(&mut broker);
        broker.restart();
        let channel = broker.channel();
        let bodies: Vec<usize> = std::iter::from_fn(|| channel.get(QUEUE))
            .map(|message| message.body.parse().unwrap())
            .collect();
        assert_eq!(bodies[..confirmed], Vec::from_iter(0..confirmed), "{how}");
        // And it takes new ones.
        channel.confirm_select();
        publish(&channel, 0);
        assert_eq!(channel.confirms(1, 1), [0; 0], "{how}");
    }
}
