//! Promise: when disk or memory runs short, publishers are told and held, and consumers go on (check 63).

use std::fs::File;

use leveret_tests::broker::Broker;
use leveret_tests::client::Connection;
use leveret_tests::login::Login;
use leveret_tests::{AMQPClass, BasicProperties, FieldTable, connection, queue, wait};
use rustix::fs::{FallocateFlags, fallocate, statvfs};
use tempfile::TempDir;

/// More than any disk has, so that the alarm is on from the start.
const NEVER_ENOUGH: &str = "9000000000000000000";
/// A share of the memory that the broker exceeds as soon as it runs: a few kilobytes.
const NEARLY_NOTHING: &str = "0.000001";
/// How far from the limit the free space is kept, on both sides: what other programs write meanwhile must not cross it.
const MARGIN: u64 = 1 << 30;

/// The reason of the next `connection.blocked`.
fn blocked(connection: &Connection) -> String {
    connection
        .control()
        .wait_for(|event| match &event.method {
            AMQPClass::Connection(connection::AMQPMethod::Blocked(blocked)) => {
                Some(blocked.reason.to_string())
            }
            _ => None,
        })
        .unwrap()
}

/// Waits for `connection.unblocked`.
fn unblocked(connection: &Connection) {
    connection
        .control()
        .wait_for(|event| match &event.method {
            AMQPClass::Connection(connection::AMQPMethod::Unblocked(_)) => Some(()),
            _ => None,
        })
        .unwrap();
}

#[test]
fn a_publisher_is_told_that_it_is_blocked_once_it_publishes() {
    let broker = Broker::leveret(&["--disk-free-limit", NEVER_ENOUGH]);
    let connection = broker.connect();
    let channel = connection.channel();
    let queue = channel.exclusive_queue();
    assert!(connection.control().unclaimed().is_empty(), "it has not published yet");
    channel.publish("", &queue, "held");
    assert_eq!(blocked(&connection), "low on disk");
}

#[test]
fn the_reason_names_every_resource_that_is_short() {
    let (disk, memory) =
        (["--disk-free-limit", NEVER_ENOUGH], ["--memory-high-watermark", NEARLY_NOTHING]);
    let cases = [
        ([["--disk-free-limit", "0"], memory].concat(), "low on memory"),
        ([disk, memory].concat(), "low on memory & low on disk"),
    ];
    for (arguments, reason) in cases {
        let broker = Broker::leveret(&arguments);
        let connection = broker.connect();
        connection.channel().publish("", "nowhere", "m");
        assert_eq!(blocked(&connection), reason, "{arguments:?}");
    }
}

#[test]
fn while_memory_is_short_a_queue_can_be_emptied() {
    let mut broker = Broker::leveret(&[]);
    let channel = broker.channel();
    channel.declare(queue::Declare { queue: "q".into(), durable: true, ..Default::default() });
    channel.confirm_select();
    let persistent = BasicProperties::default().with_delivery_mode(2);
    for body in ["1", "2"] {
        assert!(channel.publish_and_wait("", "q", persistent.clone(), body));
    }
    drop(channel);
    broker.stop();
    broker.restart_with(&["--memory-high-watermark", NEARLY_NOTHING]);
    let publisher = broker.connect();
    let channel = publisher.channel();
    channel.publish("", "nowhere", "raises the alarm for this connection");
    assert_eq!(blocked(&publisher), "low on memory");
    channel.publish("", "q", "held");
    let consumer = broker.channel();
    consumer.consume("q", "c");
    for body in ["1", "2"] {
        let delivery = consumer.delivery();
        assert_eq!(delivery.body, body);
        consumer.ack(delivery.delivery_tag);
    }
    consumer.expect_silence("q");
}

#[test]
fn a_blocked_publisher_is_not_read_and_a_consumer_goes_on() {
    let broker = Broker::leveret(&["--disk-free-limit", NEVER_ENOUGH]);
    let (publisher, consumer) = (broker.connect(), broker.channel());
    let queue = broker.name("q");
    consumer.declare(queue::Declare { queue: queue.as_str().into(), ..Default::default() });
    consumer.consume(&queue, "c");
    let channel = publisher.channel();
    channel.publish("", "nowhere", "raises the alarm for this connection");
    publisher.control().next();
    channel.publish("", &queue, "held");
    // What the consumer asks is answered; what the publisher sent is still in its socket.
    consumer.expect_silence(&queue);
    assert_eq!(consumer.counts(&queue).unwrap(), (0, 1));
}

/// It is held all the same. Since its socket is not read, only heartbeats show that it has gone.
#[test]
fn a_client_without_the_capability_is_not_told_and_its_end_is_noticed() {
    let broker = Broker::leveret(&["--disk-free-limit", NEVER_ENOUGH]);
    let capabilities = FieldTable::default();
    let login = Login { capabilities, heartbeat_secs: 1, ..Login::default() };
    let connection = login.open(broker.address()).unwrap();
    let channel = connection.channel();
    let queue = channel.exclusive_queue();
    channel.expect_silence(&queue);
    channel.publish("", &queue, "held");
    assert!(connection.control().unclaimed().is_empty());
    drop((channel, connection));
    wait::until("the held connection's queue is gone", || {
        broker.channel().counts(&queue).is_err_and(|closed| closed.code == 404).then_some(())
    });
}

/// The disk really fills up, and has room again.
#[test]
fn when_the_alarm_ends_the_publisher_is_told_and_what_it_sent_meanwhile_goes_through() {
    let elsewhere = TempDir::new().unwrap();
    let free = || {
        let disk = statvfs(elsewhere.path()).unwrap();
        disk.f_bavail * disk.f_frsize
    };
    let limit = free().checked_sub(MARGIN).expect("there is room");
    let broker = Broker::leveret(&["--disk-free-limit", &limit.to_string()]);
    let (connection, consumer) = (broker.connect(), broker.channel());
    let channel = connection.channel();
    let queue = broker.name("q");
    consumer.declare(queue::Declare { queue: queue.as_str().into(), ..Default::default() });
    channel.confirm_select();
    channel.publish("", &queue, "before");
    assert_eq!(channel.confirms(1, 1), [0; 0]);

    let ballast = broker.data_dir().join("ballast");
    let file = File::create(&ballast).unwrap();
    // Other programs may have freed some since.
    fallocate(&file, FallocateFlags::empty(), 0, free() + MARGIN - limit).unwrap();
    drop(file);
    assert_eq!(blocked(&connection), "low on disk");
    channel.publish("", &queue, "held");
    consumer.consume_no_ack(&queue, "c");
    assert_eq!(consumer.delivery().body, "before");
    consumer.expect_silence(&queue);

    std::fs::remove_file(&ballast).unwrap();
    unblocked(&connection);
    assert_eq!(channel.confirms(2, 2), [0; 0]);
    assert_eq!(consumer.delivery().body, "held");
}
