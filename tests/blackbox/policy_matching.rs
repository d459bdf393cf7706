//! Promise: of all policies one applies to a queue or exchange, the one with the highest priority that fits; and it is
//! reconciled with the arguments in RabbitMQ's way (check 80).

use leveret_tests::broker::Broker;
use leveret_tests::client::Channel;
use leveret_tests::operator::Vhost;
use leveret_tests::{AMQPValue, FieldTable, Value, exchange, json, queue, table, text, wait};

/// A durable queue.
pub(crate) fn declare(channel: &Channel, queue: &str, arguments: FieldTable) {
    channel.declare(queue::Declare {
        queue: queue.into(),
        durable: true,
        arguments,
        ..Default::default()
    });
}

/// The argument that makes it a quorum queue.
fn quorum() -> FieldTable {
    table([("x-queue-type", text("quorum"))])
}

fn integer(value: i32) -> AMQPValue {
    AMQPValue::LongInt(value)
}

/// How many of nine messages an empty queue keeps: its length limit, or 9.
pub(crate) fn limit_in_effect(channel: &Channel, queue: &str) -> usize {
    channel.fill(queue, &["1", "2", "3", "4", "5", "6", "7", "8", "9"]);
    channel.drain(queue).len()
}

#[test]
fn a_pattern_is_a_regular_expression_found_anywhere_in_the_name() {
    let broker = Broker::start();
    let (vhost, channel) = Vhost::with_channel(&broker);
    let names = ["orders", "new-orders", "orders.eu", "Orders", "order"];
    for name in names {
        declare(&channel, name, FieldTable::default());
    }
    let cases = [
        ("orders", [true, true, true, false, false]),
        ("^orders", [true, false, true, false, false]),
        ("^orders$", [true, false, false, false, false]),
        ("^(new-)?orders$", [true, true, false, false, false]),
        ("(?i)orders", [true, true, true, true, false]),
        ("rders?[.]?$", [true, true, false, true, true]),
        ("", [true; 5]),
    ];
    for (pattern, expected) in cases {
        vhost.policy("p", &json!({ "pattern": pattern, "definition": { "max-length": 2 } }));
        let limited = names.map(|name| limit_in_effect(&channel, name) == 2);
        assert_eq!(limited, expected, "{pattern}");
    }
}

/// Policies are not merged with each other: what the winner does not set is not set.
#[test]
fn the_highest_priority_wins_alone() {
    let broker = Broker::start();
    let (vhost, channel) = Vhost::with_channel(&broker);
    declare(&channel, "q", FieldTable::default());
    let policy = |priority: i32, definition: Value| json!({ "pattern": "^q$", "priority": priority, "definition": definition });
    vhost.policy("low", &policy(-1, json!({ "max-length": 2 })));
    assert_eq!(limit_in_effect(&channel, "q"), 2);
    vhost.policy("middle", &policy(1, json!({ "max-length": 5 })));
    assert_eq!(limit_in_effect(&channel, "q"), 5);
    vhost.policy("high", &policy(7, json!({ "message-ttl": 3_600_000 })));
    assert_eq!(limit_in_effect(&channel, "q"), 9);
    vhost.delete_policy("high");
    assert_eq!(limit_in_effect(&channel, "q"), 5);
    vhost.policy("low", &policy(3, json!({ "max-length": 2 })));
    assert_eq!(limit_in_effect(&channel, "q"), 2, "the priority was raised");
    vhost.delete_policy("low");
    vhost.delete_policy("middle");
    assert_eq!(limit_in_effect(&channel, "q"), 9);
}

#[test]
fn apply_to_chooses_among_queue_types_and_exchanges() {
    let broker = Broker::start();
    let (vhost, channel) = Vhost::with_channel(&broker);
    declare(&channel, "classic", FieldTable::default());
    declare(&channel, "quorum", quorum());
    channel.declare_exchange("exchange", "fanout");
    let cases = [
        ("all", [true, true, true]),
        ("queues", [true, true, false]),
        ("classic_queues", [true, false, false]),
        ("quorum_queues", [false, true, false]),
        ("streams", [false, false, false]),
        ("exchanges", [false, false, true]),
    ];
    for (apply_to, expected) in cases {
        let definition = json!({ "max-length": 2, "alternate-exchange": "amq.fanout" });
        let policy = json!({ "pattern": "", "apply-to": apply_to, "definition": definition });
        vhost.policy("p", &policy);
        let limited = ["classic", "quorum"].map(|queue| limit_in_effect(&channel, queue) == 2);
        let exchange = broker.http().get(&["exchanges", vhost.name(), "exchange"]).body;
        assert_eq!([limited[0], limited[1], exchange["policy"] == "p"], expected, "{apply_to}");
    }
}

/// It is passed over as a whole, and then the next one that fits applies.
#[test]
fn a_policy_with_a_setting_that_the_queue_type_does_not_have_is_passed_over() {
    let broker = Broker::start();
    let (vhost, channel) = Vhost::with_channel(&broker);
    declare(&channel, "classic", FieldTable::default());
    declare(&channel, "quorum", quorum());
    vhost.policy("low", &json!({ "pattern": "", "definition": { "max-length": 5 } }));
    let cases = [
        (json!({ "delivery-limit": 3 }), [5, 2]),
        (json!({ "dead-letter-strategy": "at-most-once" }), [5, 2]),
        (json!({ "max-in-memory-length": 3 }), [5, 2]),
        (json!({ "target-group-size": 3 }), [5, 2]),
        (json!({ "queue-mode": "lazy" }), [2, 5]),
        (json!({ "max-age": "1D" }), [5, 5]),
        (json!({ "consumer-timeout": 3_600_000 }), [2, 2]),
        (json!({ "alternate-exchange": "x" }), [2, 2]),
    ];
    for (mut definition, expected) in cases {
        definition["max-length"] = json!(2);
        let policy = json!({ "pattern": "", "priority": 1, "definition": definition });
        vhost.policy("high", &policy);
        let limits = ["classic", "quorum"].map(|queue| limit_in_effect(&channel, queue));
        assert_eq!(limits, expected, "{definition}");
    }
}

#[test]
fn of_two_lengths_the_smaller_counts() {
    let broker = Broker::start();
    let (vhost, channel) = Vhost::with_channel(&broker);
    for (name, mut arguments) in [("classic", FieldTable::default()), ("quorum", quorum())] {
        arguments.insert("x-max-length".into(), integer(3));
        declare(&channel, name, arguments);
        for (policy, expected) in [(5, 3), (2, 2), (3, 3)] {
            vhost.policy("p", &json!({ "pattern": name, "definition": { "max-length": policy } }));
            assert_eq!(limit_in_effect(&channel, name), expected, "{name} and {policy}");
        }
    }
}

#[test]
fn of_two_times_to_live_the_smaller_counts() {
    let broker = Broker::start();
    let (vhost, channel) = Vhost::with_channel(&broker);
    for (name, argument, policy) in [("argument", 50, 3_600_000), ("policy", 3_600_000, 50)] {
        declare(&channel, name, table([("x-message-ttl", integer(argument))]));
        vhost.policy(name, &json!({ "pattern": name, "definition": { "message-ttl": policy } }));
        channel.fill(name, &["m"]);
        channel.wait_ready(name, 0);
    }
}

#[test]
fn of_two_expiries_the_smaller_counts() {
    let broker = Broker::start();
    let (vhost, channel) = Vhost::with_channel(&broker);
    for (name, argument, policy) in [("argument", 50, 3_600_000), ("policy", 3_600_000, 50)] {
        vhost.policy(name, &json!({ "pattern": name, "definition": { "expires": policy } }));
        declare(&channel, name, table([("x-expires", integer(argument))]));
        let path = ["queues", vhost.name(), name];
        wait::until("the queue expires", || (broker.http().get(&path).status == 404).then_some(()));
    }
}

#[test]
fn the_dead_letter_arguments_win() {
    let broker = Broker::start();
    let (vhost, channel) = Vhost::with_channel(&broker);
    for queue in ["by-argument", "by-policy"] {
        declare(&channel, queue, FieldTable::default());
    }
    let arguments = table([
        ("x-dead-letter-exchange", text("")),
        ("x-dead-letter-routing-key", text("by-argument")),
    ]);
    declare(&channel, "q", arguments);
    let definition =
        json!({ "dead-letter-exchange": "amq.fanout", "dead-letter-routing-key": "by-policy" });
    channel.bind("by-policy", "amq.fanout", "");
    vhost.policy("p", &json!({ "pattern": "^q$", "definition": definition }));
    channel.fill("q", &["m"]);
    let message = channel.get_unacked("q");
    channel.reject(message.delivery_tag, false);
    channel.wait_ready("by-argument", 1);
    assert_eq!(channel.counts("by-policy"), Ok((0, 0)));
}

/// Whether the last of four publishes to an empty queue of length 1 is refused: a quorum queue may take one too many.
fn refuses(channel: &Channel, queue: &str) -> bool {
    let acked = ["1", "2", "3", "4"]
        .map(|body| channel.publish_and_wait("", queue, Default::default(), body));
    channel.drain(queue);
    !acked[3]
}

/// The argument of a classic queue, the policy of a quorum queue.
#[test]
fn of_two_overflows_the_queue_type_decides() {
    let broker = Broker::start();
    let (vhost, channel) = Vhost::with_channel(&broker);
    for (name, policy_wins) in [("classic", false), ("quorum", true)] {
        for (argument, policy) in [("reject-publish", "drop-head"), ("drop-head", "reject-publish")]
        {
            let queue = format!("{name}-{argument}");
            let arguments = table([
                ("x-queue-type", text(name)),
                ("x-max-length", integer(1)),
                ("x-overflow", text(argument)),
            ]);
            declare(&channel, &queue, arguments);
            assert_eq!(refuses(&channel, &queue), argument == "reject-publish", "{queue}");
            vhost.policy("p", &json!({ "pattern": queue, "definition": { "overflow": policy } }));
            let winner = if policy_wins { policy } else { argument };
            assert_eq!(refuses(&channel, &queue), winner == "reject-publish", "{queue}, {policy}");
        }
    }
}

#[test]
fn the_alternate_exchange_of_the_argument_wins() {
    let broker = Broker::start();
    let (vhost, channel) = Vhost::with_channel(&broker);
    for name in ["by-argument", "by-policy"] {
        channel.declare_exchange(name, "fanout");
        declare(&channel, name, FieldTable::default());
        channel.bind(name, name, "");
    }
    let declare = exchange::Declare {
        exchange: "x".into(),
        kind: "fanout".into(),
        arguments: table([("alternate-exchange", text("by-argument"))]),
        ..Default::default()
    };
    channel.call(declare).unwrap();
    let definition = json!({ "alternate-exchange": "by-policy" });
    vhost.policy("p", &json!({ "pattern": "^x$", "definition": definition }));
    channel.publish_and_wait("x", "", Default::default(), "m");
    assert_eq!(channel.drain("by-argument"), ["m"]);
    assert_eq!(channel.drain("by-policy"), [""; 0]);
}

/// RabbitMQ says so with the statistics of the queue, which are up to five seconds old.
#[test]
fn a_queue_names_the_policy_that_applies() {
    let broker = Broker::start();
    let (vhost, channel) = Vhost::with_channel(&broker);
    for queue in ["with", "without"] {
        declare(&channel, queue, FieldTable::default());
    }
    let definition = json!({ "max-length": 2, "overflow": "drop-head" });
    vhost.policy("p", &json!({ "pattern": "^with$", "definition": definition }));
    for (queue, policy, effective) in
        [("with", json!("p"), definition), ("without", Value::Null, json!({}))]
    {
        let path = ["queues", vhost.name(), queue];
        wait::until("the queue names its policy", || {
            let shown = broker.http().get(&path).body;
            let as_expected =
                shown["policy"] == policy && shown["effective_policy_definition"] == effective;
            as_expected.then_some(())
        });
    }
}
