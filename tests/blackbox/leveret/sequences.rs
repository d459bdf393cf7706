//! Promise: a queue says which messages of a publisher never came, came twice or came late, if the publisher numbers them
//! (headers `x-publisher-id` and `x-sequence`) (check 73).

use leveret_tests::broker::Broker;
use leveret_tests::client::Channel;
use leveret_tests::{AMQPValue, BasicProperties, Value, json, queue, table, text};

fn numbered(publisher: &str, sequence: i64) -> BasicProperties {
    BasicProperties::default().with_headers(table([
        ("x-publisher-id", text(publisher)),
        ("x-sequence", AMQPValue::LongLongInt(sequence)),
    ]))
}

fn publish(channel: &Channel, publisher: &str, numbers: impl IntoIterator<Item = i64>) {
    for number in numbers {
        let properties = numbered(publisher, number);
        assert!(channel.publish_and_wait("", "q", properties, &number.to_string()));
    }
}

fn publishers(broker: &Broker) -> Value {
    let answer = broker.http().get(&["x", "queues", "/", "q", "publishers"]);
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body
}

#[test]
fn gaps_duplicates_and_late_messages_are_counted_for_each_publisher() {
    let broker = Broker::leveret(&[]);
    let channel = broker.channel();
    channel.confirm_select();
    channel.declare(queue::Declare { queue: "q".into(), ..Default::default() });
    assert_eq!(publishers(&broker), json!([]));
    publish(&channel, "in order", 1..=20);
    publish(&channel, "gaps", [1, 2, 5, 6, 9]);
    publish(&channel, "twice", [1, 2, 2, 3, 3, 3]);
    publish(&channel, "late", [1, 2, 4, 5, 3]);
    channel.fill("q", &["without a number"]);
    let row = |publisher: &str, [received, missing, duplicates, reordered, last]: [u64; 5]| {
        json!({
            "publisher": publisher, "received": received, "missing": missing,
            "duplicates": duplicates, "reordered": reordered, "last": last,
        })
    };
    let mut found = publishers(&broker);
    let gaps: Vec<Value> = found
        .as_array_mut()
        .unwrap()
        .iter_mut()
        .map(|publisher| publisher.as_object_mut().unwrap().remove("gaps").unwrap())
        .collect();
    assert_eq!(
        found,
        json!([
            row("gaps", [5, 4, 0, 0, 9]),
            row("in order", [20, 0, 0, 0, 20]),
            row("late", [5, 0, 0, 1, 5]),
            row("twice", [6, 0, 3, 0, 3]),
        ])
    );
    assert_eq!(gaps, [json!([[3, 4], [7, 8]]), json!([]), json!([]), json!([])]);
}

#[test]
fn nothing_is_refused_and_all_is_delivered() {
    let broker = Broker::leveret(&[]);
    let channel = broker.channel();
    channel.confirm_select();
    channel.declare(queue::Declare { queue: "q".into(), ..Default::default() });
    publish(&channel, "p", [1, 1, 7, 3, i64::MAX]);
    let expected = ["1".to_string(), "1".into(), "7".into(), "3".into(), i64::MAX.to_string()];
    assert_eq!(channel.drain("q"), expected);
    // Numbers and names of the wrong type mean nothing.
    for (publisher, sequence) in [
        (text("p"), text("4")),
        (AMQPValue::LongInt(1), AMQPValue::LongInt(1)),
        (text("p"), AMQPValue::LongInt(-1)),
    ] {
        let headers = table([("x-publisher-id", publisher), ("x-sequence", sequence)]);
        let properties = BasicProperties::default().with_headers(headers);
        assert!(channel.publish_and_wait("", "q", properties, "m"));
    }
    assert_eq!(publishers(&broker)[0]["received"], 5);
    assert_eq!(channel.drain("q"), ["m"; 3]);
}
