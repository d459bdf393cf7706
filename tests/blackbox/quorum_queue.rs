//! Promise: a quorum queue keeps messages in order of priority and arrival, and its limits, as a classic queue does.
//!
//! How it is declared is the matter of `quorum_queue_declare`, counting failed deliveries that of `delivery_limit`, losing slow
//! consumers that of `consumer_timeout`.

use leveret_tests::broker::Broker;
use leveret_tests::closed::{channel_closed, connection_closed};
use leveret_tests::dead_letters::to_queue;
use leveret_tests::{AMQPValue, BasicProperties, basic, queue, table, text};

fn plain() -> BasicProperties {
    BasicProperties::default()
}

fn quorum(name: &str) -> queue::Declare {
    queue::Declare {
        queue: name.into(),
        durable: true,
        arguments: table([("x-queue-type", text("quorum"))]),
        ..Default::default()
    }
}

/// Check 34.
#[test]
fn it_cannot_be_deleted_under_a_condition() {
    let broker = Broker::start();
    let channel = broker.channel();
    let name = broker.name("q");
    channel.declare(quorum(&name));
    for (if_unused, if_empty, flag) in
        [(true, false, "if-unused"), (false, true, "if-empty"), (true, true, "if-unused")]
    {
        let delete =
            queue::Delete { queue: name.as_str().into(), if_unused, if_empty, nowait: false };
        let expected = format!(
            "NOT_IMPLEMENTED - cannot delete queue '{name}' in vhost '/'. queue.delete operations \
             with {flag} flag set are not supported by quorum queues"
        );
        let connection = broker.connect();
        assert_eq!(
            connection.channel().call(delete).unwrap_err(),
            connection_closed(540, expected)
        );
    }
    channel.delete_queue(&name);
}

#[test]
fn messages_come_in_order_and_what_is_put_back_comes_first() {
    let broker = Broker::start();
    let channel = broker.channel();
    channel.confirm_select();
    let name = broker.name("q");
    channel.declare(quorum(&name));
    let sent: Vec<String> = (0..50).map(|number| number.to_string()).collect();
    for body in &sent {
        channel.publish_with("", &name, plain().with_delivery_mode(2), body);
    }
    assert_eq!(channel.confirms(1, 50), [0; 0]);
    channel.wait_ready(&name, 50);
    let tags: Vec<u64> = (0..3).map(|_| channel.get_unacked(&name).delivery_tag).collect();
    channel.requeue(tags[1]);
    channel.requeue(tags[0]);
    channel.requeue(tags[2]);
    channel.wait_ready(&name, 50);
    let mut found = channel.drain(&name);
    assert_eq!(found.len(), 50);
    // RabbitMQ gives back in the order in which they were put back, Leveret in the order of the queue.
    found.get_mut(..3).unwrap().sort_unstable();
    assert_eq!(found, sent);
    channel.delete_queue(&name);
}

/// A message without a priority has priority 4 here.
#[test]
fn it_always_has_priorities() {
    let broker = Broker::start();
    let channel = broker.channel();
    channel.confirm_select();
    let name = broker.name("q");
    channel.declare(quorum(&name));
    for (body, priority) in [
        ("none", None),
        ("0", Some(0)),
        ("1", Some(1)),
        ("4", Some(4)),
        ("5", Some(5)),
        ("9", Some(9)),
    ] {
        let properties = priority.map_or_else(plain, |priority| plain().with_priority(priority));
        assert!(channel.publish_and_wait("", &name, properties, body));
    }
    channel.wait_ready(&name, 6);
    assert_eq!(channel.drain(&name), ["9", "5", "none", "4", "1", "0"]);
    channel.delete_queue(&name);
}

/// Check 55. RabbitMQ notices one message too late that it is full.
#[test]
fn a_full_one_refuses_what_comes_or_drops_the_oldest() {
    let broker = Broker::start();
    let channel = broker.channel();
    channel.confirm_select();
    let target = channel.exclusive_queue();
    for overflow in ["drop-head", "reject-publish"] {
        let name = broker.name("q");
        let mut arguments = to_queue(&target);
        arguments.insert("x-max-length".into(), AMQPValue::LongInt(2));
        arguments.insert("x-overflow".into(), text(overflow));
        channel.quorum_queue(&name, arguments).unwrap();
        let taken = ["1", "2", "3", "4", "5"]
            .map(|body| channel.publish_and_wait("", &name, plain(), body));
        if overflow == "drop-head" {
            assert_eq!(taken, [true; 5]);
            channel.wait_ready(&target, 3);
            assert_eq!(channel.drain(&target), ["1", "2", "3"]);
            assert_eq!(channel.drain(&name), ["4", "5"]);
        } else {
            assert_eq!(taken, [true, true, broker.is_rabbitmq(), false, false]);
            assert_eq!(channel.get(&target), None);
        }
        channel.delete_queue(&name);
    }
}

/// Check 54.
#[test]
fn messages_expire_and_are_dead_lettered() {
    let broker = Broker::start();
    let channel = broker.channel();
    channel.confirm_select();
    let target = channel.exclusive_queue();
    channel.consume_no_ack(&target, "dead-letters");
    let name = broker.name("q");
    let mut arguments = to_queue(&target);
    arguments.insert("x-message-ttl".into(), AMQPValue::LongInt(80));
    channel.quorum_queue(&name, arguments).unwrap();
    channel.fill(&name, &["1", "2"]);
    assert_eq!(channel.bodies(2), ["1", "2"]);
    channel.delete_queue(&name);
}

/// Check 50.
#[test]
fn basic_get_is_locked_out_by_a_single_active_consumer() {
    let broker = Broker::start();
    let channel = broker.channel();
    let name = broker.name("q");
    channel
        .quorum_queue(&name, table([("x-single-active-consumer", AMQPValue::Boolean(true))]))
        .unwrap();
    let expected = format!(
        "RESOURCE_LOCKED - cannot obtain access to locked queue '{name}' in vhost '/'. basic.get operations \
         are not supported by <<\"quorum\">> queues with single active consumer"
    );
    let closed = broker.channel().try_get(&name, true).unwrap_err();
    if broker.is_rabbitmq() {
        assert_eq!(closed, channel_closed(405, expected));
    } else {
        // The same without the signs of its language.
        let plain = expected.replace("<<\"quorum\">>", "quorum");
        assert!(closed.code == 405 && [expected, plain].contains(&closed.text), "{closed:?}");
    }
    channel.delete_queue(&name);
}

#[test]
fn it_counts_what_is_ready_and_is_purged_like_any_other() {
    let broker = Broker::start();
    let channel = broker.channel();
    channel.confirm_select();
    let name = broker.name("q");
    channel.declare(quorum(&name));
    channel.fill(&name, &["1", "2", "3"]);
    channel.wait_ready(&name, 3);
    let held = channel.get_unacked(&name);
    channel.wait_ready(&name, 2);
    let purge = queue::Purge { queue: name.as_str().into(), ..Default::default() };
    assert_eq!(channel.call(purge).unwrap().message_count, 2);
    channel.send(basic::Reject { delivery_tag: held.delivery_tag, requeue: true });
    channel.wait_ready(&name, 1);
    channel.delete_queue(&name);
}
