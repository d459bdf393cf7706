//! Promise: a queue with `x-message-group-header` gives the messages of a group to one consumer at a time and in order, while
//! other groups go to other consumers (check 70).

use std::collections::HashMap;
use std::sync::{Barrier, Mutex};
use std::thread;

use leveret_tests::broker::Broker;
use leveret_tests::client::{Channel, Message};
use leveret_tests::{AMQPClass, AMQPValue, BasicProperties, basic, queue, table, text};

fn in_group(header: &str, group: &str) -> BasicProperties {
    BasicProperties::default().with_headers(table([(header, text(group))]))
}

/// Declares the queue `q` and fills it: each message is `<group><number>`, and its group the first letter.
fn queue_of(channel: &Channel, bodies: &[&str]) {
    channel.declare(queue::Declare {
        queue: "q".into(),
        durable: true,
        arguments: table([("x-message-group-header", text("group"))]),
        ..Default::default()
    });
    channel.confirm_select();
    for body in bodies {
        let properties = in_group("group", body.get(..1).unwrap());
        assert!(channel.publish_and_wait("", "q", properties, body));
    }
}

/// A consumer of `q` on a connection of its own.
fn consumer(broker: &Broker, prefetch: u16) -> Channel {
    let channel = broker.channel();
    channel.prefetch(prefetch);
    channel.consume("q", "c");
    channel
}

fn bodies(messages: &[Message]) -> Vec<&str> {
    messages.iter().map(|message| message.body.as_str()).collect()
}

#[test]
fn a_group_stays_with_a_consumer_and_others_go_elsewhere() {
    let broker = Broker::leveret(&[]);
    let owner = broker.channel();
    queue_of(&owner, &["a1", "a2", "b1", "a3", "b2"]);
    let one = consumer(&broker, 1);
    let a1 = one.delivery();
    assert_eq!(a1.body, "a1");
    // The next of the group waits for its consumer; the next group does not.
    let two = consumer(&broker, 2);
    assert_eq!(two.bodies(2), ["b1", "b2"]);
    one.expect_silence("q");
    one.ack(a1.delivery_tag);
    let a2 = one.delivery();
    assert_eq!(a2.body, "a2");
    one.ack(a2.delivery_tag);
    assert_eq!(one.delivery().body, "a3");
}

#[test]
fn a_group_that_nobody_holds_goes_to_whoever_has_room() {
    let broker = Broker::leveret(&[]);
    let owner = broker.channel();
    queue_of(&owner, &["a1", "b1", "a2"]);
    let one = consumer(&broker, 2);
    let (a1, b1) = (one.delivery(), one.delivery());
    assert_eq!(bodies(&[a1.clone(), b1]), ["a1", "b1"]);
    let two = consumer(&broker, 1);
    two.expect_silence("q");
    one.call(basic::Cancel { consumer_tag: "c".into(), ..Default::default() }).unwrap();
    one.ack(a1.delivery_tag);
    assert_eq!(two.delivery().body, "a2");
}

#[test]
fn a_consumer_may_have_many_messages_of_a_group() {
    let broker = Broker::leveret(&[]);
    let owner = broker.channel();
    queue_of(&owner, &["a1", "a2", "b1", "a3"]);
    let one = consumer(&broker, 10);
    assert_eq!(one.bodies(4), ["a1", "a2", "b1", "a3"]);
}

#[test]
fn messages_without_a_group_go_to_anyone() {
    let broker = Broker::leveret(&[]);
    let owner = broker.channel();
    queue_of(&owner, &["a1"]);
    let (one, two) = (consumer(&broker, 1), consumer(&broker, 2));
    let a1 = one.delivery();
    owner.fill("q", &["free 1", "free 2"]);
    assert_eq!(two.bodies(2), ["free 1", "free 2"]);
    one.ack(a1.delivery_tag);
}

#[test]
fn when_its_consumer_goes_a_group_goes_to_another_from_where_it_was() {
    let broker = Broker::leveret(&[]);
    let owner = broker.channel();
    queue_of(&owner, &["a1", "a2", "a3", "a4"]);
    let one = consumer(&broker, 3);
    let first = one.delivery();
    assert_eq!(one.bodies(2), ["a2", "a3"]);
    one.ack(first.delivery_tag);
    assert_eq!(one.delivery().body, "a4");
    let properties = in_group("group", "a");
    assert!(owner.publish_and_wait("", "q", properties, "a5"));
    let two = consumer(&broker, 10);
    two.expect_silence("q");
    one.close();
    let rest: Vec<Message> = (0..4).map(|_| two.delivery()).collect();
    assert_eq!(bodies(&rest), ["a2", "a3", "a4", "a5"]);
    let redelivered: Vec<bool> = rest.iter().map(|message| message.redelivered).collect();
    assert_eq!(redelivered, [true, true, true, false]);
}

#[test]
fn a_message_that_is_put_back_comes_before_the_rest_of_its_group() {
    let broker = Broker::leveret(&[]);
    let owner = broker.channel();
    queue_of(&owner, &["a1", "a2", "a3"]);
    let one = consumer(&broker, 1);
    let a1 = one.delivery();
    one.requeue(a1.delivery_tag);
    let mut seen = Vec::new();
    for _ in 0..3 {
        let message = one.delivery();
        one.ack(message.delivery_tag);
        seen.push(message);
    }
    assert_eq!(bodies(&seen), ["a1", "a2", "a3"]);
}

#[test]
fn basic_get_passes_over_a_group_that_is_held() {
    let broker = Broker::leveret(&[]);
    let owner = broker.channel();
    queue_of(&owner, &["a1", "a2", "b1"]);
    let one = consumer(&broker, 1);
    let a1 = one.delivery();
    assert_eq!(owner.get_unacked("q").body, "b1");
    assert_eq!(owner.get("q"), None);
    one.ack(a1.delivery_tag);
    assert_eq!(one.delivery().body, "a2");
}

#[test]
fn the_header_is_x_group_id_unless_it_is_named() {
    let broker = Broker::leveret(&[]);
    for argument in [text(""), AMQPValue::Boolean(true)] {
        let owner = broker.channel();
        owner.confirm_select();
        owner.declare(queue::Declare {
            queue: "q".into(),
            arguments: table([("x-message-group-header", argument)]),
            ..Default::default()
        });
        for body in ["a1", "a2", "b1"] {
            let properties = in_group("x-group-id", body.get(..1).unwrap());
            assert!(owner.publish_and_wait("", "q", properties, body));
        }
        let (one, two) = (consumer(&broker, 1), consumer(&broker, 1));
        assert_eq!(one.delivery().body, "a1");
        assert_eq!(two.delivery().body, "b1");
        owner.delete_queue("q");
    }
}

#[test]
fn a_group_survives_a_kill_in_order() {
    let mut broker = Broker::leveret(&[]);
    let channel = broker.channel();
    queue_of(&channel, &[]);
    for number in 0..50 {
        let group = ["a", "b", "c"][number % 3];
        let properties = in_group("group", group).with_delivery_mode(2);
        assert!(channel.publish_and_wait("", "q", properties, &format!("{group}{number}")));
    }
    let one = consumer(&broker, 10);
    one.bodies(10);
    broker.kill();
    broker.restart();
    let (one, two) = (consumer(&broker, 1), consumer(&broker, 1));
    let (first, second) = (one.delivery(), two.delivery());
    assert_eq!(bodies(&[first, second]), ["a0", "b1"]);
}

const GROUPS: usize = 10;
const MESSAGES_PER_GROUP: usize = 40;

/// Who has messages of which group, and how many of each group are done.
#[derive(Default)]
struct Watch {
    held: HashMap<String, (usize, usize)>,
    done: HashMap<String, usize>,
    total: usize,
}

impl Watch {
    fn delivered(&mut self, consumer: usize, message: &Message) {
        let (group, number) = message.body.split_once('.').unwrap();
        let held = self.held.entry(group.to_string()).or_insert((consumer, 0));
        assert!(held.1 == 0 || held.0 == consumer, "group {group} has two consumers");
        let before = self.done.get(group).copied().unwrap_or(0) + held.1;
        assert_eq!(number, before.to_string(), "group {group} is out of order");
        *held = (consumer, held.1 + 1);
    }

    fn settling(&mut self, message: &Message) {
        let (group, _) = message.body.split_once('.').unwrap();
        self.held.get_mut(group).unwrap().1 -= 1;
        *self.done.entry(group.to_string()).or_default() += 1;
        self.total += 1;
    }
}

#[test]
fn every_group_is_in_order_among_many_consumers() {
    let broker = Broker::leveret(&[]);
    let owner = broker.channel();
    queue_of(&owner, &[]);
    let watch = Mutex::new(Watch::default());
    // All consume before the queue is deleted, however late a thread begins.
    let consuming = Barrier::new(5);
    thread::scope(|scope| {
        for number in 0..4 {
            let (broker, watch, consuming) = (&broker, &watch, &consuming);
            scope.spawn(move || {
                let channel = broker.channel();
                channel.prefetch(3);
                channel.consume("q", "c");
                consuming.wait();
                loop {
                    let message = channel.wait_for(|event| match &event.method {
                        AMQPClass::Basic(basic::AMQPMethod::Deliver(_)) => Some(event.message()),
                        AMQPClass::Basic(basic::AMQPMethod::Cancel(_)) => Some(None),
                        _ => None,
                    });
                    let Some(message) = message.unwrap() else {
                        break;
                    };
                    watch.lock().unwrap().delivered(number, &message);
                    thread::yield_now();
                    watch.lock().unwrap().settling(&message);
                    channel.ack(message.delivery_tag);
                }
            });
        }
        consuming.wait();
        for number in 0..MESSAGES_PER_GROUP {
            for group in 0..GROUPS {
                let properties = in_group("group", &group.to_string());
                owner.publish_with("", "q", properties, &format!("{group}.{number}"));
            }
        }
        leveret_tests::wait::until("all messages are done", || {
            (watch.lock().unwrap().total == GROUPS * MESSAGES_PER_GROUP).then_some(())
        });
        // Which tells the consumers that it is over.
        owner.delete_queue("q");
    });
}
