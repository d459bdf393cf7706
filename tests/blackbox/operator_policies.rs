//! Promise: an operator policy is merged into the policy of the user and into the arguments, and only ever tightens what
//! they allow (check 81).

use leveret_tests::broker::Broker;
use leveret_tests::operator::Vhost;
use leveret_tests::{AMQPValue, FieldTable, Value, json, table, text, wait};

use crate::policy_matching::{declare, limit_in_effect};

fn policy(pattern: &str, definition: &Value) -> Value {
    json!({ "pattern": format!("^{pattern}$"), "definition": definition })
}

#[test]
fn an_operator_policy_applies_to_existing_queues_at_once_and_its_end_undoes_it() {
    let broker = Broker::start();
    let (vhost, channel) = Vhost::with_channel(&broker);
    declare(&channel, "q", FieldTable::default());
    channel.fill("q", &["1", "2", "3"]);
    vhost.operator_policy("o", &policy("q", &json!({ "max-length": 2 })));
    channel.wait_ready("q", 2);
    assert_eq!(channel.drain("q"), ["2", "3"]);
    vhost.delete_operator_policy("o");
    assert_eq!(limit_in_effect(&channel, "q"), 9);
}

#[test]
fn of_policy_and_operator_policy_the_smaller_length_counts() {
    let broker = Broker::start();
    let (vhost, channel) = Vhost::with_channel(&broker);
    declare(&channel, "q", FieldTable::default());
    for (user, operator, expected) in [(5, 3, 3), (2, 3, 2), (4, 4, 4)] {
        vhost.policy("u", &policy("q", &json!({ "max-length": user })));
        vhost.operator_policy("o", &policy("q", &json!({ "max-length": operator })));
        assert_eq!(limit_in_effect(&channel, "q"), expected, "{user} and {operator}");
    }
    vhost.delete_policy("u");
    assert_eq!(limit_in_effect(&channel, "q"), 4);
}

#[test]
fn of_argument_and_operator_policy_the_smaller_value_counts() {
    let broker = Broker::start();
    let (vhost, channel) = Vhost::with_channel(&broker);
    declare(&channel, "q", table([("x-max-length", AMQPValue::LongInt(3))]));
    for (operator, expected) in [(5, 3), (2, 2)] {
        vhost.operator_policy("o", &policy("q", &json!({ "max-length": operator })));
        assert_eq!(limit_in_effect(&channel, "q"), expected, "{operator}");
    }
    declare(&channel, "ttl", table([("x-message-ttl", AMQPValue::LongInt(3_600_000))]));
    vhost.operator_policy("t", &policy("ttl", &json!({ "message-ttl": 50 })));
    channel.fill("ttl", &["m"]);
    channel.wait_ready("ttl", 0);
}

#[test]
fn an_operator_policy_sets_the_overflow_of_a_policy() {
    let broker = Broker::start();
    let (vhost, channel) = Vhost::with_channel(&broker);
    declare(&channel, "q", FieldTable::default());
    let publish = |body| channel.publish_and_wait("", "q", Default::default(), body);
    vhost.policy("u", &policy("q", &json!({ "max-length": 1, "overflow": "drop-head" })));
    assert_eq!([publish("1"), publish("2")], [true, true]);
    vhost.operator_policy("o", &policy("q", &json!({ "overflow": "reject-publish" })));
    assert_eq!([publish("3"), publish("4")], [false, false]);
    assert_eq!(channel.drain("q"), ["2"]);
}

/// What the operator does not set stays as the policy says, and the reverse.
#[test]
fn policy_and_operator_policy_complete_each_other() {
    let broker = Broker::start();
    let (vhost, channel) = Vhost::with_channel(&broker);
    for queue in ["q", "dead"] {
        declare(&channel, queue, FieldTable::default());
    }
    let dead_letters = json!({ "dead-letter-exchange": "", "dead-letter-routing-key": "dead" });
    vhost.policy("u", &policy("q", &dead_letters));
    vhost.operator_policy("o", &policy("q", &json!({ "max-length": 1 })));
    channel.fill("q", &["1", "2"]);
    channel.wait_ready("dead", 1);
    assert_eq!(channel.drain("dead"), ["1"]);
    assert_eq!(channel.drain("q"), ["2"]);
}

/// One operator policy applies as well: the one with the highest priority that fits.
#[test]
fn the_operator_policy_with_the_highest_priority_that_fits_wins() {
    let broker = Broker::start();
    let (vhost, channel) = Vhost::with_channel(&broker);
    declare(&channel, "q", FieldTable::default());
    let with_priority = |priority: i32, definition: Value| json!({ "pattern": "^q$", "priority": priority, "definition": definition });
    vhost.operator_policy("low", &with_priority(1, json!({ "max-length": 2 })));
    vhost.operator_policy("high", &with_priority(2, json!({ "max-length": 5 })));
    assert_eq!(limit_in_effect(&channel, "q"), 5);
    let quorum_only = json!({ "max-length": 5, "delivery-limit": 3 });
    vhost.operator_policy("high", &with_priority(2, quorum_only));
    assert_eq!(limit_in_effect(&channel, "q"), 2, "a classic queue has no delivery limit");
}

/// What the API shows is what the two say together; arguments are no part of it. RabbitMQ's answer is up to five
/// seconds old.
#[test]
fn a_queue_shows_what_policy_and_operator_policy_say_together() {
    let broker = Broker::start();
    let (vhost, channel) = Vhost::with_channel(&broker);
    let cases = [
        (
            json!({ "max-length": 9, "message-ttl": 7000, "max-length-bytes": 5, "expires": 7_000_000 }),
            json!({ "max-length": 10, "message-ttl": 6000, "max-length-bytes": 4, "expires": 9_000_000 }),
            json!({ "max-length": 9, "message-ttl": 6000, "max-length-bytes": 4, "expires": 7_000_000 }),
        ),
        (
            json!({ "overflow": "drop-head" }),
            json!({ "overflow": "reject-publish", "max-length": 1 }),
            json!({ "overflow": "reject-publish", "max-length": 1 }),
        ),
        (
            json!({ "dead-letter-exchange": "x" }),
            json!({ "delivery-limit": 3 }),
            json!({ "dead-letter-exchange": "x", "delivery-limit": 3 }),
        ),
        // A negative delivery limit is none at all, and tightens nothing.
        (
            json!({ "delivery-limit": -1 }),
            json!({ "delivery-limit": 5 }),
            json!({ "delivery-limit": 5 }),
        ),
        (
            json!({ "delivery-limit": 7 }),
            json!({ "delivery-limit": -5 }),
            json!({ "delivery-limit": 7 }),
        ),
        (
            json!({ "delivery-limit": 7 }),
            json!({ "delivery-limit": 3 }),
            json!({ "delivery-limit": 3 }),
        ),
    ];
    for (number, (user, operator, _)) in cases.iter().enumerate() {
        let queue = format!("q{number}");
        declare(&channel, &queue, table([("x-queue-type", text("quorum"))]));
        vhost.policy(&format!("u{number}"), &policy(&queue, user));
        vhost.operator_policy(&format!("o{number}"), &policy(&queue, operator));
    }
    for (number, (_, _, together)) in cases.iter().enumerate() {
        let path = ["queues", vhost.name(), &format!("q{number}")];
        let policies = [json!(format!("u{number}")), json!(format!("o{number}"))];
        wait::until("the queue shows what applies", || {
            let shown = broker.http().get(&path).body;
            let names = [shown["policy"].clone(), shown["operator_policy"].clone()];
            (names == policies && shown["effective_policy_definition"] == *together).then_some(())
        });
    }
}
