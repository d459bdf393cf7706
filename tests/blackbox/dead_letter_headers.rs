//! Promise: a dead letter says in its headers where it died, why, and how often; and nothing else about it changes.

use std::time::{SystemTime, UNIX_EPOCH};

use leveret_tests::broker::Broker;
use leveret_tests::dead_letters::{DeadLetters, to_queue};
use leveret_tests::death::{Death, deaths, marks, reasons};
use leveret_tests::{AMQPValue, BasicProperties, FieldArray, FieldTable, queue, table, text};

fn plain() -> BasicProperties {
    BasicProperties::default()
}

fn array<const N: usize>(values: [&str; N]) -> AMQPValue {
    AMQPValue::FieldArray(FieldArray::from(values.map(text).to_vec()))
}

fn now_secs() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// Check 57.
#[test]
fn one_death_has_one_entry_with_every_field() {
    let broker = Broker::start();
    let dead = DeadLetters::with(&broker, []);
    let before = now_secs();
    dead.publish_and_reject(plain(), "m");
    let message = dead.next();
    let entries = deaths(&message);
    assert_eq!(entries.len(), 1);
    let time_secs = entries[0].time_secs;
    assert!((before..=now_secs()).contains(&time_secs), "{time_secs} is not now, {before}");
    let expected = Death {
        reason: "rejected".into(),
        queue: dead.source.clone(),
        count: 1,
        exchange: String::new(),
        routing_keys: vec![dead.source.clone()],
        time_secs,
        original_expiration: None,
    };
    assert_eq!(entries, [expected]);
    let mark = ("rejected".to_string(), dead.source.clone(), String::new());
    assert_eq!(marks(&message, "first"), Some(mark.clone()));
    assert_eq!(marks(&message, "last"), Some(mark));
    let headers = message.properties.headers().as_ref().unwrap().inner().len();
    assert_eq!(headers, 7, "x-death and six marks: {:?}", message.properties);
}

/// Check 57.
#[test]
fn the_exchange_and_all_routing_keys_are_those_it_was_published_with() {
    let broker = Broker::start();
    let dead = DeadLetters::with(&broker, []);
    let channel = &dead.channel;
    let exchange = broker.name("x");
    channel.exchange_with(&exchange, "topic", table([])).unwrap();
    channel.bind(&dead.source, &exchange, "first.*");
    let headers = table([("CC", array(["second", "third"])), ("BCC", array(["hidden"]))]);
    let properties = plain().with_headers(headers);
    assert!(channel.publish_and_wait(&exchange, "first.key", properties, "m"));
    channel.reject(channel.get_unacked(&dead.source).delivery_tag, false);
    let message = dead.next();
    let death = &deaths(&message)[0];
    assert_eq!(death.exchange, exchange);
    assert_eq!(death.routing_keys, ["first.key", "second", "third"]);
    assert_eq!(message.header("CC"), Some(&array(["second", "third"])));
    assert_eq!(message.header("BCC"), None);
    assert_eq!((message.exchange.as_str(), &message.routing_key), ("", &dead.target));
}

/// Check 57.
#[test]
fn each_reason_has_its_name() {
    let broker = Broker::start();
    let check = |dead: &DeadLetters, reason: &str| {
        let message = dead.next();
        let mark = (reason.to_string(), dead.source.clone(), String::new());
        assert_eq!(reasons(&message), [(reason.into(), dead.source.clone(), 1)]);
        assert_eq!(marks(&message, "first"), Some(mark.clone()), "{reason}");
        assert_eq!(marks(&message, "last"), Some(mark), "{reason}");
    };
    let dead = DeadLetters::with(&broker, []);
    dead.publish_and_reject(plain(), "m");
    check(&dead, "rejected");
    dead.publish(plain().with_expiration("20".into()), "m");
    check(&dead, "expired");

    let dead = DeadLetters::with(&broker, [("x-message-ttl", AMQPValue::LongInt(20))]);
    dead.publish(plain(), "m");
    check(&dead, "expired");

    for limit in ["x-max-length", "x-max-length-bytes"] {
        let dead = DeadLetters::with(&broker, [(limit, AMQPValue::LongInt(1))]);
        dead.channel.fill(&dead.source, &["1", "2"]);
        check(&dead, "maxlen");
    }
}

/// Check 56.
#[test]
fn an_expiration_leaves_the_properties_and_is_remembered() {
    let broker = Broker::start();
    let dead = DeadLetters::with(&broker, []);
    let expiring = |expiration: &str| plain().with_expiration(expiration.into());
    let check = |expiration: &str| {
        let message = dead.next();
        assert_eq!(message.properties.expiration(), &None);
        assert_eq!(deaths(&message)[0].original_expiration.as_deref(), Some(expiration));
    };
    dead.publish(expiring("20"), "expired");
    check("20");
    dead.publish_and_reject(expiring("60000"), "rejected");
    check("60000");

    let both = DeadLetters::with(&broker, [("x-message-ttl", AMQPValue::LongInt(20))]);
    both.publish(expiring("60000"), "expired by the queue");
    let message = both.next();
    assert_eq!(message.properties.expiration(), &None);
    assert_eq!(deaths(&message)[0].original_expiration.as_deref(), Some("60000"));
}

#[test]
fn every_other_property_and_header_stays() {
    let broker = Broker::start();
    let dead = DeadLetters::with(&broker, []);
    let headers = table([
        ("number", AMQPValue::LongInt(-7)),
        ("nested", AMQPValue::FieldTable(table([("array", array(["a", "b"]))]))),
        ("void", AMQPValue::Void),
        ("x-mine", AMQPValue::Boolean(true)),
    ]);
    let properties = plain()
        .with_app_id("app".into())
        .with_content_encoding("gzip".into())
        .with_content_type("text/plain".into())
        .with_correlation_id("c".into())
        .with_delivery_mode(2)
        .with_headers(headers.clone())
        .with_message_id("m".into())
        .with_priority(3)
        .with_reply_to("r".into())
        .with_timestamp(1_700_000_000)
        .with_type("t".into())
        .with_user_id("guest".into());
    let body = "x".repeat(300_000);
    dead.publish_and_reject(properties.clone(), &body);
    let message = dead.next();
    assert!(message.body == body, "{} octets", message.body.len());
    for (name, value) in headers.inner() {
        assert_eq!(message.header(name.as_str()), Some(value), "{}", name.as_str());
    }
    let without = |properties: &BasicProperties| properties.clone().with_headers(table([]));
    assert_eq!(without(&message.properties), without(&properties));
}

/// A chain of queues, each dead-lettering to the next, and the name of the last, where nothing dies.
fn declare(channel: &leveret_tests::client::Channel, name: &str, arguments: FieldTable) {
    channel.declare(queue::Declare {
        queue: name.into(),
        exclusive: true,
        arguments,
        ..Default::default()
    });
}

/// Check 57.
#[test]
fn each_queue_and_reason_has_an_entry_the_latest_first() {
    let broker = Broker::start();
    let channel = broker.channel();
    let [one, two, three, end] = ["one", "two", "three", "end"].map(|label| broker.name(label));
    declare(&channel, &one, to_queue(&two));
    let mut expiring = to_queue(&three);
    expiring.insert("x-message-ttl".into(), AMQPValue::LongInt(20));
    declare(&channel, &two, expiring);
    declare(&channel, &three, to_queue(&end));
    declare(&channel, &end, table([]));
    for queue in [&one, &three] {
        channel.consume(queue, queue);
    }
    channel.consume_no_ack(&end, "end");
    channel.publish("", &one, "m");
    for _ in 0..2 {
        channel.reject(channel.delivery().delivery_tag, false);
    }
    let message = channel.delivery();
    let expected = [("rejected", &three), ("expired", &two), ("rejected", &one)];
    assert_eq!(
        reasons(&message),
        expected.map(|(reason, queue)| (reason.to_string(), queue.clone(), 1))
    );
    // Each entry says under which key the message had come to its queue.
    let keys: Vec<Vec<String>> =
        deaths(&message).into_iter().map(|death| death.routing_keys).collect();
    assert_eq!(keys, [[three.clone()], [two], [one.clone()]]);
    assert_eq!(marks(&message, "first"), Some(("rejected".into(), one, String::new())));
    assert_eq!(marks(&message, "last"), Some(("rejected".into(), three, String::new())));
}

/// Check 57.
#[test]
fn an_entry_counts_up_in_a_cycle_and_keeps_its_first_time() {
    let broker = Broker::start();
    let channel = broker.channel();
    let [work, wait] = ["work", "wait"].map(|label| broker.name(label));
    declare(&channel, &work, to_queue(&wait));
    let mut expiring = to_queue(&work);
    expiring.insert("x-message-ttl".into(), AMQPValue::LongInt(600));
    declare(&channel, &wait, expiring);
    channel.consume(&work, "worker");
    channel.publish("", &work, "m");
    channel.reject(channel.delivery().delivery_tag, false);
    let first = channel.delivery();
    channel.reject(first.delivery_tag, false);
    let second = channel.delivery();
    channel.reject(second.delivery_tag, false);
    let third = channel.delivery();
    for (message, count) in [(&first, 1), (&second, 2), (&third, 3)] {
        let expected = [("expired", &wait), ("rejected", &work)];
        assert_eq!(
            reasons(message),
            expected.map(|(reason, queue)| (reason.to_string(), queue.clone(), count))
        );
        assert_eq!(marks(message, "first"), Some(("rejected".into(), work.clone(), "".into())));
        assert_eq!(marks(message, "last"), Some(("expired".into(), wait.clone(), "".into())));
        let times = |message| deaths(message).iter().map(|death| death.time_secs).collect();
        let (now, then): (Vec<u64>, Vec<u64>) = (times(message), times(&first));
        assert_eq!(now, then, "the time of the first death stays");
    }
}

/// Check 57.
#[test]
fn the_same_queue_has_an_entry_for_each_reason() {
    let broker = Broker::start();
    let channel = broker.channel();
    channel.confirm_select();
    let [one, two] = ["one", "two"].map(|label| broker.name(label));
    declare(&channel, &one, to_queue(&two));
    declare(&channel, &two, to_queue(&one));
    let expiring = plain().with_expiration("20".into());
    assert!(channel.publish_and_wait("", &one, expiring, "m"));
    channel.consume(&two, "two");
    channel.reject(channel.delivery().delivery_tag, false);
    channel.wait_ready(&one, 1);
    channel.reject(channel.get_unacked(&one).delivery_tag, false);
    let message = channel.delivery();
    let expected = [("rejected", &one), ("rejected", &two), ("expired", &one)];
    assert_eq!(
        reasons(&message),
        expected.map(|(reason, queue)| (reason.to_string(), queue.clone(), 1))
    );
    assert_eq!(marks(&message, "first"), Some(("expired".into(), one, String::new())));
}

/// Check 57. These headers are the broker's: what a client writes there is passed on, and replaced by the first death.
#[test]
fn what_a_client_claims_about_deaths_is_not_believed() {
    let broker = Broker::start();
    let dead = DeadLetters::with(&broker, []);
    let claim = table([
        ("count", AMQPValue::LongLongInt(99)),
        ("reason", text("rejected")),
        ("queue", text(&dead.source)),
        ("exchange", text("")),
        ("routing-keys", array(["forged"])),
        ("time", AMQPValue::Timestamp(1)),
    ]);
    let claims = AMQPValue::FieldArray(FieldArray::from(vec![AMQPValue::FieldTable(claim)]));
    let headers = table([
        ("x-death", claims.clone()),
        ("x-first-death-queue", text("forged")),
        ("x-last-death-reason", text("forged")),
        ("x-other", text("kept")),
    ]);
    dead.publish(plain().with_headers(headers.clone()), "m");
    let undead = dead.channel.get_unacked(&dead.source);
    assert_eq!(undead.properties.headers(), &Some(headers), "passed on as it came");
    dead.channel.reject(undead.delivery_tag, false);
    let message = dead.next();
    assert_eq!(reasons(&message), [("rejected".into(), dead.source.clone(), 1)]);
    assert_eq!(deaths(&message)[0].routing_keys, [dead.source.as_str()]);
    let mark = ("rejected".to_string(), dead.source.clone(), String::new());
    assert_eq!(marks(&message, "first"), Some(mark.clone()));
    assert_eq!(marks(&message, "last"), Some(mark));
    assert_eq!(message.header("x-other"), Some(&text("kept")));
}

/// Check 57. A client that publishes a dead letter again starts a new life.
#[test]
fn deaths_do_not_count_on_when_a_client_publishes_the_message_again() {
    let broker = Broker::start();
    let dead = DeadLetters::with(&broker, []);
    dead.publish_and_reject(plain(), "m");
    for _ in 0..2 {
        let message = dead.next();
        assert_eq!(reasons(&message), [("rejected".into(), dead.source.clone(), 1)]);
        dead.publish_and_reject(message.properties, "m");
    }
}

/// Check 57. A value that is not even of the right type must not stop the message either.
#[test]
fn a_forged_death_of_the_wrong_type_does_no_harm() {
    let broker = Broker::start();
    let dead = DeadLetters::with(&broker, []);
    for forged in [
        AMQPValue::LongInt(1),
        text("x"),
        AMQPValue::Void,
        array(["x"]),
        AMQPValue::FieldTable(table([])),
        AMQPValue::FieldArray(FieldArray::from(vec![AMQPValue::FieldTable(table([]))])),
    ] {
        let headers = table([("x-death", forged.clone()), ("x-first-death-reason", forged)]);
        dead.publish_and_reject(plain().with_headers(headers), "m");
        let message = dead.next();
        assert_eq!(reasons(&message), [("rejected".into(), dead.source.clone(), 1)]);
        assert!(marks(&message, "first").is_some());
    }
}
