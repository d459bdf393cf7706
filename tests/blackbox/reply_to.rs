//! Promise: with direct reply-to a reply reaches the channel that asked, without a queue of its own.

use leveret_tests::broker::Broker;
use leveret_tests::client::Channel;
use leveret_tests::closed::channel_closed;
use leveret_tests::{BasicProperties, basic};

const PSEUDO_QUEUE: &str = "amq.rabbitmq.reply-to";

fn consume_replies(channel: &Channel, tag: &str) {
    channel.consume_no_ack(PSEUDO_QUEUE, tag);
}

fn ask(channel: &Channel, queue: &str, body: &str) {
    let properties = BasicProperties::default()
        .with_reply_to(PSEUDO_QUEUE.into())
        .with_correlation_id(body.into());
    channel.publish_with("", queue, properties, body);
}

/// Check 52.
#[test]
fn the_reply_reaches_only_the_channel_that_asked() {
    let broker = Broker::start();
    let connection = broker.connect();
    let (asking, other) = (connection.channel(), connection.channel());
    consume_replies(&asking, "r");
    consume_replies(&other, "r");
    let server = broker.channel();
    let queue = server.exclusive_queue();
    ask(&asking, &queue, "question");

    let question = leveret_tests::wait::until("the question arrives", || server.get(&queue));
    let reply_to = question.properties.reply_to().clone().unwrap().to_string();
    assert!(reply_to.starts_with("amq.rabbitmq.reply-to."), "{reply_to}");
    let properties = BasicProperties::default().with_correlation_id("question".into());
    server.publish_with("", &reply_to, properties, "answer");

    let answer = asking.delivery();
    assert_eq!((answer.consumer_tag.as_str(), answer.body.as_str()), ("r", "answer"));
    assert_eq!(answer.exchange, "");
    let own = other.exclusive_queue();
    other.expect_silence(&own);
}

/// Check 52.
#[test]
fn a_reply_to_a_channel_that_has_gone_is_dropped_and_confirmed() {
    let broker = Broker::start();
    let asking = broker.channel();
    consume_replies(&asking, "r");
    let server = broker.channel();
    let queue = server.exclusive_queue();
    ask(&asking, &queue, "question");
    let question = leveret_tests::wait::until("the question arrives", || server.get(&queue));
    let reply_to = question.properties.reply_to().clone().unwrap().to_string();
    asking.close();
    server.confirm_select();
    server.publish("", &reply_to, "too late");
    assert_eq!(server.confirm(), (1, false, true));
}

/// Check 52.
#[test]
fn a_consumer_of_replies_cannot_acknowledge() {
    let broker = Broker::start();
    let consume = basic::Consume { queue: PSEUDO_QUEUE.into(), ..Default::default() };
    assert_eq!(
        broker.channel().try_consume(consume).unwrap_err(),
        channel_closed(406, "PRECONDITION_FAILED - reply consumer cannot acknowledge")
    );
}

/// Check 52.
#[test]
fn a_channel_has_one_consumer_of_replies() {
    let broker = Broker::start();
    let channel = broker.channel();
    consume_replies(&channel, "one");
    let second = basic::Consume {
        queue: PSEUDO_QUEUE.into(),
        consumer_tag: "two".into(),
        no_ack: true,
        ..Default::default()
    };
    assert_eq!(
        channel.try_consume(second).unwrap_err(),
        channel_closed(406, "PRECONDITION_FAILED - reply consumer already set")
    );
}

/// Check 52.
#[test]
fn asking_needs_a_consumer_of_replies_first() {
    let broker = Broker::start();
    let channel = broker.channel();
    ask(&channel, "nowhere", "question");
    assert_eq!(
        channel.closed(),
        channel_closed(406, "PRECONDITION_FAILED - fast reply consumer does not exist")
    );
}

#[test]
fn the_pseudo_queue_can_be_declared_passively_and_cancelled() {
    let broker = Broker::start();
    let channel = broker.channel();
    assert_eq!(channel.counts(PSEUDO_QUEUE).unwrap(), (0, 1));
    consume_replies(&channel, "r");
    channel.call(basic::Cancel { consumer_tag: "r".into(), ..Default::default() }).unwrap();
    consume_replies(&channel, "again");
}
