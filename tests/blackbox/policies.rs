//! Promise: a policy takes effect on the queues and exchanges that exist, at once, and its end undoes it (check 60).

use leveret_tests::broker::Broker;
use leveret_tests::client::Channel;
use leveret_tests::operator::Vhost;
use leveret_tests::{FieldTable, Value, basic, json, queue, table, text, wait};

/// What the tests publish.
const FIVE: [&str; 5] = ["1", "2", "3", "4", "5"];

/// A durable queue of the default type.
fn declare(channel: &Channel, queue: &str) {
    channel.declare(queue::Declare { queue: queue.into(), durable: true, ..Default::default() });
}

/// A policy for the queue or exchange of this very name.
fn policy_for(name: &str, definition: &Value) -> Value {
    json!({ "pattern": format!("^{name}$"), "definition": definition })
}

#[test]
fn a_shorter_queue_drops_its_oldest_messages_at_once() {
    let broker = Broker::start();
    let (vhost, channel) = Vhost::with_channel(&broker);
    declare(&channel, "q");
    channel.fill("q", &FIVE);
    vhost.policy("p", &policy_for("q", &json!({ "max-length": 2 })));
    channel.wait_ready("q", 2);
    assert_eq!(channel.drain("q"), ["4", "5"]);
    channel.fill("q", &FIVE);
    assert_eq!(channel.drain("q"), ["4", "5"]);
    vhost.policy("p", &policy_for("q", &json!({ "max-length": 3 })));
    channel.fill("q", &FIVE);
    assert_eq!(channel.drain("q"), ["3", "4", "5"], "a changed policy counts");
    vhost.delete_policy("p");
    channel.fill("q", &FIVE);
    assert_eq!(channel.drain("q"), FIVE);
}

#[test]
fn a_limit_in_bytes_counts_bodies() {
    let broker = Broker::start();
    let (vhost, channel) = Vhost::with_channel(&broker);
    declare(&channel, "q");
    channel.fill("q", &["aaaa", "bb", "ccc"]);
    vhost.policy("p", &policy_for("q", &json!({ "max-length-bytes": 5 })));
    channel.wait_ready("q", 2);
    channel.fill("q", &["d"]);
    assert_eq!(channel.drain("q"), ["ccc", "d"]);
}

#[test]
fn a_queue_declared_later_gets_the_policy_too() {
    let broker = Broker::start();
    let (vhost, channel) = Vhost::with_channel(&broker);
    vhost.policy("p", &policy_for("q", &json!({ "max-length": 2 })));
    declare(&channel, "q");
    channel.fill("q", &FIVE);
    assert_eq!(channel.drain("q"), ["4", "5"]);
}

#[test]
fn overflow_reject_publish_refuses_publishes() {
    let broker = Broker::start();
    let (vhost, channel) = Vhost::with_channel(&broker);
    declare(&channel, "q");
    let definition = json!({ "max-length": 1, "overflow": "reject-publish" });
    vhost.policy("p", &policy_for("q", &definition));
    let publish = |body| channel.publish_and_wait("", "q", Default::default(), body);
    assert_eq!([publish("1"), publish("2"), publish("3")], [true, false, false]);
    vhost.delete_policy("p");
    assert!(publish("4"));
    assert_eq!(channel.drain("q"), ["1", "4"]);
}

/// A message keeps the time to live that it was published with: a policy changes it for later ones only.
#[test]
fn a_message_ttl_is_given_at_the_publish() {
    let broker = Broker::start();
    let (vhost, channel) = Vhost::with_channel(&broker);
    for queue in ["q", "late"] {
        declare(&channel, queue);
    }
    channel.fill("q", &["before"]);
    let ttl = |milliseconds: u32| json!({ "pattern": "^(q|late)$", "definition": { "message-ttl": milliseconds } });
    vhost.policy("p", &ttl(3_600_000));
    channel.fill("q", &["long"]);
    vhost.policy("p", &ttl(50));
    channel.fill("q", &["short"]);
    vhost.delete_policy("p");
    channel.fill("q", &["after"]);
    vhost.policy("p", &ttl(50));
    // This one is published last of those that expire, and is alone in its queue.
    channel.fill("late", &["short"]);
    channel.wait_ready("late", 0);
    assert_eq!(channel.drain("q"), ["before", "long", "after"]);
}

/// The end of the policy does not save what was published under it.
#[test]
fn a_message_published_under_a_ttl_expires_after_the_policy_has_gone() {
    let broker = Broker::start();
    let (vhost, channel) = Vhost::with_channel(&broker);
    declare(&channel, "q");
    vhost.policy("p", &policy_for("q", &json!({ "message-ttl": 1_000 })));
    channel.fill("q", &["m"]);
    vhost.delete_policy("p");
    assert_eq!(channel.counts("q"), Ok((1, 0)));
    channel.wait_ready("q", 0);
}

#[test]
fn an_unused_queue_expires_by_policy_and_is_saved_by_its_end() {
    let broker = Broker::start();
    let (vhost, channel) = Vhost::with_channel(&broker);
    for queue in ["saved", "expires"] {
        declare(&channel, queue);
        vhost.policy(queue, &policy_for(queue, &json!({ "expires": 1_000 })));
    }
    vhost.delete_policy("saved");
    let path = ["queues", vhost.name(), "expires"];
    wait::until("the queue expires", || (broker.http().get(&path).status == 404).then_some(()));
    assert_eq!(channel.counts("saved"), Ok((0, 0)));
}

#[test]
fn a_dead_letter_exchange_counts_at_the_death() {
    let broker = Broker::start();
    let (vhost, channel) = Vhost::with_channel(&broker);
    let definition = json!({ "dead-letter-exchange": "", "dead-letter-routing-key": "dead" });
    for queue in ["q", "dead"] {
        declare(&channel, queue);
    }
    channel.fill("q", &["1", "2", "3"]);
    let dies = || {
        let message = channel.get_unacked("q");
        channel.reject(message.delivery_tag, false);
    };
    dies();
    let second = channel.get_unacked("q");
    vhost.policy("p", &policy_for("q", &definition));
    channel.reject(second.delivery_tag, false);
    channel.wait_ready("dead", 1);
    let death = channel.get("dead").unwrap();
    assert_eq!(death.body, "2", "set while the message was unacknowledged");
    assert_eq!(death.text_header("x-first-death-reason").as_deref(), Some("rejected"));
    vhost.delete_policy("p");
    dies();
    channel.fill("dead", &["sentinel"]);
    assert_eq!(channel.drain("dead"), ["sentinel"]);
}

/// Only `basic.reject` with requeue, a lost channel and a lost connection count as failed deliveries.
#[test]
fn a_delivery_limit_bounds_the_deliveries_of_a_quorum_queue() {
    let broker = Broker::start();
    let (vhost, channel) = Vhost::with_channel(&broker);
    channel.quorum_queue("q", FieldTable::default()).unwrap();
    vhost.policy("p", &policy_for("q", &json!({ "delivery-limit": 1 })));
    channel.fill("q", &["1", "2"]);
    let mut seen = Vec::new();
    while let Some(message) = channel.try_get("q", false).unwrap() {
        seen.push(message.body);
        channel.reject(message.delivery_tag, true);
        channel.expect_silence("q");
    }
    seen.sort();
    assert_eq!(seen, ["1", "1", "2", "2"]);
}

#[test]
fn a_consumer_that_does_not_acknowledge_in_time_is_cancelled() {
    let broker = Broker::start();
    let (vhost, channel) = Vhost::with_channel(&broker);
    channel.quorum_queue("q", FieldTable::default()).unwrap();
    vhost.policy("p", &policy_for("q", &json!({ "consumer-timeout": 300 })));
    channel.fill("q", &["m"]);
    channel.consume("q", "slow");
    channel.delivery();
    assert_eq!(channel.cancelled_by_broker(), "slow");
    channel.wait_ready("q", 1);
}

#[test]
fn an_alternate_exchange_takes_what_is_not_routed() {
    let broker = Broker::start();
    let (vhost, channel) = Vhost::with_channel(&broker);
    for exchange in ["x", "alternate"] {
        channel.declare_exchange(exchange, "fanout");
    }
    declare(&channel, "q");
    channel.bind("q", "alternate", "");
    let publish = |exchange, body| {
        channel.publish_and_wait(exchange, "k", Default::default(), body);
        channel.drain("q")
    };
    assert_eq!(publish("x", "before"), [""; 0]);
    vhost.policy("p", &policy_for("(x|amq.direct)", &json!({ "alternate-exchange": "alternate" })));
    assert_eq!(publish("x", "during"), ["during"]);
    assert_eq!(
        publish("amq.direct", "exchanges of the broker's own too"),
        ["exchanges of the broker's own too"]
    );
    assert_eq!(broker.http().get(&["exchanges", vhost.name(), "x"]).body["policy"], "p");
    vhost.delete_policy("p");
    assert_eq!(publish("x", "after"), [""; 0]);
}

#[test]
fn the_default_exchange_has_no_policy() {
    let broker = Broker::start();
    let (vhost, channel) = Vhost::with_channel(&broker);
    declare(&channel, "q");
    channel.bind("q", "amq.fanout", "");
    let everything = json!({ "pattern": "", "definition": { "alternate-exchange": "amq.fanout" } });
    vhost.policy("p", &everything);
    channel.publish_mandatory("", "nowhere", "m");
    assert_eq!(channel.returned().reply_text, "NO_ROUTE");
    assert_eq!(channel.counts("q"), Ok((0, 0)));
}

#[test]
fn a_queue_that_the_broker_names_gets_a_policy_too() {
    let broker = Broker::start();
    let (vhost, channel) = Vhost::with_channel(&broker);
    let queue = channel.exclusive_queue();
    let policy = json!({ "pattern": "^amq\\.gen-", "definition": { "max-length": 2 } });
    vhost.policy("p", &policy);
    channel.fill(&queue, &FIVE);
    assert_eq!(channel.drain(&queue), ["4", "5"]);
}

/// A consumer that is there takes messages of a queue that may hold none.
#[test]
fn a_length_of_zero_leaves_what_a_consumer_takes_at_once() {
    let broker = Broker::start();
    let (vhost, channel) = Vhost::with_channel(&broker);
    declare(&channel, "q");
    vhost.policy("p", &policy_for("q", &json!({ "max-length": 0 })));
    channel.fill("q", &["dropped"]);
    channel
        .try_consume(basic::Consume { queue: "q".into(), no_ack: true, ..Default::default() })
        .unwrap();
    channel.fill("q", &["taken"]);
    assert_eq!(channel.delivery().body, "taken");
}

/// A dead-letter exchange that the argument names, with a routing key that the policy gives.
#[test]
fn argument_and_policy_complete_each_other() {
    let broker = Broker::start();
    let (vhost, channel) = Vhost::with_channel(&broker);
    declare(&channel, "dead");
    channel.declare(queue::Declare {
        queue: "q".into(),
        durable: true,
        arguments: table([("x-dead-letter-exchange", text(""))]),
        ..Default::default()
    });
    vhost.policy("p", &policy_for("q", &json!({ "dead-letter-routing-key": "dead" })));
    channel.fill("q", &["m"]);
    let message = channel.get_unacked("q");
    channel.reject(message.delivery_tag, false);
    channel.wait_ready("dead", 1);
}
