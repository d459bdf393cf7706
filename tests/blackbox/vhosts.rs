//! Promise: vhosts come, change and go while the broker runs, with everything that is in them (check 85).

use leveret_tests::broker::Broker;
use leveret_tests::client::Channel;
use leveret_tests::closed::{channel_closed, connection_closed};
use leveret_tests::http::Answer;
use leveret_tests::operator::{PASSWORD, User, Vhost};
use leveret_tests::{FieldTable, Value, json, queue, table, text};

/// The description, tags and default queue type that the API shows.
fn metadata(broker: &Broker, vhost: &Vhost) -> Value {
    let shown = broker.http().get(&["vhosts", vhost.name()]).body;
    assert_eq!(shown["name"], vhost.name());
    let keys = ["description", "tags", "default_queue_type"];
    for key in keys {
        assert_eq!(shown[key], shown["metadata"][key], "{key}");
    }
    json!(keys.map(|key| shown[key].clone()))
}

#[test]
fn a_vhost_has_a_description_tags_and_a_default_queue_type() {
    let broker = Broker::start();
    let http = broker.http();
    let vhost = Vhost::new(&broker);
    assert_eq!(metadata(&broker, &vhost), json!(["", [], "classic"]));
    let body = json!({ "description": "d", "tags": "a,b", "default_queue_type": "quorum" });
    assert_eq!(http.put(&["vhosts", vhost.name()], &body), Answer::empty(204));
    assert_eq!(metadata(&broker, &vhost), json!(["d", ["a", "b"], "quorum"]));
    let body = json!({ "tags": ["c"] });
    assert_eq!(http.put(&["vhosts", vhost.name()], &body), Answer::empty(204));
    assert_eq!(metadata(&broker, &vhost), json!(["", ["c"], "classic"]), "all is replaced");
    assert_eq!(http.send("PUT", &["vhosts", vhost.name()], ""), Answer::empty(204));
}

#[test]
fn a_vhost_has_any_name() {
    let broker = Broker::start();
    let http = broker.http();
    let name = broker.name("a/b c%+\u{e9}");
    assert_eq!(http.put(&["vhosts", &name], &json!({})), Answer::empty(201));
    assert_eq!(http.get(&["vhosts", &name]).body["name"], name);
    let names = |vhosts: &Value| -> Vec<String> {
        let vhosts = vhosts.as_array().unwrap().iter();
        vhosts.map(|vhost| vhost["name"].as_str().unwrap().to_string()).collect()
    };
    assert!(names(&http.get(&["vhosts"]).body).contains(&name));
    assert_eq!(http.delete(&["vhosts", &name]), Answer::empty(204));
    assert_eq!(http.delete(&["vhosts", &name]), Answer::not_found());
    assert_eq!(http.get(&["vhosts", &name]), Answer::not_found());
    assert!(!names(&http.get(&["vhosts"]).body).contains(&name));
}

#[test]
fn a_vhost_that_is_protected_is_not_deleted() {
    let broker = Broker::start();
    let http = broker.http();
    let name = broker.name("vhost");
    let (vhost, protection) = (["vhosts", &name], ["vhosts", &name, "deletion", "protection"]);
    assert_eq!(http.put(&vhost, &json!({})), Answer::empty(201));
    let is_protected = || http.get(&vhost).body["protected_from_deletion"].clone();
    assert_eq!(is_protected(), false);
    for _ in 0..2 {
        assert_eq!(http.send("POST", &protection, ""), Answer::empty(204));
    }
    assert_eq!(is_protected(), true);
    let reason =
        format!("Refusing to delete virtual host '{name}' because it is protected from deletion");
    assert_eq!(http.delete(&vhost), Answer::error(412, "precondition_failed", &reason));
    assert_eq!(http.delete(&protection), Answer::empty(204));
    assert_eq!(is_protected(), false);
    assert_eq!(http.delete(&vhost), Answer::empty(204));
}

#[test]
fn an_unknown_default_queue_type_is_refused_and_makes_no_vhost() {
    let broker = Broker::start();
    let (http, name) = (broker.http(), broker.name("vhost"));
    let refused = Answer::bad_request("nope is not a valid queue type");
    let body = json!({ "default_queue_type": "nope" });
    assert_eq!(http.put(&["vhosts", &name], &body), refused);
    assert_eq!(http.get(&["vhosts", &name]), Answer::not_found());
    assert_eq!(http.send("PUT", &["vhosts", &name], "["), Answer::bad_request("not_json"));
}

#[test]
fn a_default_type_of_stream_makes_streams_and_in_leveret_nothing_else_instead() {
    let broker = Broker::start();
    let vhost = Vhost::with_metadata(&broker, &json!({ "default_queue_type": "stream" }));
    let declare = |durable| queue::Declare { queue: "q".into(), durable, ..Default::default() };
    let declared = vhost.channel().call(declare(true));
    match declared {
        Ok(_) => assert!(broker.is_rabbitmq()),
        Err(closed) => assert_eq!((closed.code, broker.is_rabbitmq()), (406, false), "{closed:?}"),
    }
    let classic =
        queue::Declare { arguments: table([("x-queue-type", text("classic"))]), ..declare(true) };
    vhost.channel().declare(queue::Declare { queue: "c".into(), ..classic });
}

/// Of an administrator who makes it through the API.
#[test]
fn a_new_vhost_belongs_to_who_made_it() {
    let broker = Broker::start();
    let (http, name) = (broker.http(), broker.name("vhost"));
    assert_eq!(http.put(&["vhosts", &name], &json!({})), Answer::empty(201));
    let permission = http.get(&["permissions", &name, "guest"]);
    http.delete(&["vhosts", &name]);
    let all = json!({
        "user": "guest", "vhost": name, "configure": ".*", "write": ".*", "read": ".*"
    });
    assert_eq!(permission.body, all);
}

#[test]
fn names_in_one_vhost_mean_nothing_in_another() {
    let broker = Broker::start();
    let (one, other) = (Vhost::new(&broker), Vhost::new(&broker));
    let declare = queue::Declare { queue: "q".into(), durable: true, ..Default::default() };
    one.channel().declare(declare);
    let missing = format!("NOT_FOUND - no queue 'q' in vhost '{}'", other.name());
    assert_eq!(other.channel().counts("q").unwrap_err(), channel_closed(404, missing));
}

#[test]
fn deleting_a_vhost_closes_its_connections_and_leaves_others() {
    let broker = Broker::start();
    let (vhost, user, elsewhere) = (Vhost::new(&broker), User::new(&broker), broker.connect());
    vhost.permit(user.name(), [".*", ".*", ".*"]);
    let connections = [vhost.connect(), vhost.login(user.name(), PASSWORD).unwrap()];
    assert_eq!(broker.http().delete(&["vhosts", vhost.name()]), Answer::empty(204));
    let forced = |state: &str| {
        let text = format!("CONNECTION_FORCED - vhost '{}' is {state}", vhost.name());
        connection_closed(320, text)
    };
    for connection in connections {
        let closed = connection.closed();
        // RabbitMQ first stops the vhost: a connection that is quick to notice says so.
        let is_stopped = broker.is_rabbitmq() && closed == forced("down");
        assert!(is_stopped || closed == forced("deleted"), "{closed:?}");
    }
    let text = format!("NOT_ALLOWED - vhost {} not found", vhost.name());
    assert_eq!(vhost.login("guest", "guest").unwrap_err(), connection_closed(530, text));
    elsewhere.channel().exclusive_queue();
}

#[test]
fn a_vhost_made_again_is_empty() {
    let broker = Broker::start();
    let (http, vhost, user) = (broker.http(), Vhost::new(&broker), User::new(&broker));
    vhost.permit(user.name(), [".*", ".*", ".*"]);
    vhost.limit("max-queues", 100);
    vhost.policy("p", &json!({ "pattern": "", "definition": { "max-length": 1 } }));
    vhost.operator_policy("o", &json!({ "pattern": "", "definition": { "max-length": 1 } }));
    let topic = json!({ "exchange": "amq.topic", "write": "", "read": "" });
    http.put(&["topic-permissions", vhost.name(), user.name()], &topic);
    let channel = vhost.channel();
    channel.confirm_select();
    channel.declare_exchange("x", "fanout");
    channel.declare(queue::Declare { queue: "q".into(), durable: true, ..Default::default() });
    channel.bind("q", "x", "");
    channel.fill("q", &["m"]);

    assert_eq!(http.delete(&["vhosts", vhost.name()]), Answer::empty(204));
    assert_eq!(http.put(&["vhosts", vhost.name()], &json!({})), Answer::empty(201));
    for collection in ["policies", "operator-policies", "vhost-limits", "queues"] {
        assert_eq!(http.get(&[collection, vhost.name()]).body, json!([]), "{collection}");
    }
    let user_permissions = ["permissions", "topic-permissions"];
    for collection in user_permissions {
        let path = [collection, vhost.name(), user.name()];
        assert_eq!(http.get(&path), Answer::not_found(), "{collection}");
    }
    vhost.permit("guest", [".*", ".*", ".*"]);
    assert_eq!(vhost.channel().counts("q").unwrap_err().code, 404);
    let channel = vhost.channel();
    channel.confirm_select();
    channel.declare(queue::Declare { queue: "q".into(), durable: true, ..Default::default() });
    channel.fill("q", &["1", "2"]);
    assert_eq!(channel.drain("q"), ["1", "2"]);
}

/// Declares `queue` without a type.
fn declare(channel: &Channel, queue: queue::Declare) -> String {
    channel.declare(queue)
}

/// Whether declaring `queue` as a queue of this type is a declaration of the same.
fn is_of_type(vhost: &Vhost, declare: &queue::Declare, queue: &str, queue_type: &str) -> bool {
    let again = queue::Declare {
        queue: queue.into(),
        arguments: table([("x-queue-type", text(queue_type))]),
        ..declare.clone()
    };
    vhost.channel().call(again).is_ok()
}

#[test]
fn the_default_queue_type_is_that_of_queues_which_can_have_it() {
    let broker = Broker::start();
    let vhost = Vhost::with_metadata(&broker, &json!({ "default_queue_type": "quorum" }));
    let connection = vhost.connect();
    let durable = queue::Declare { durable: true, ..Default::default() };
    let cases = [
        ("durable", durable.clone(), "quorum"),
        ("transient", queue::Declare::default(), "classic"),
        ("auto-delete", queue::Declare { auto_delete: true, ..durable.clone() }, "classic"),
    ];
    for (name, properties, expected) in cases {
        declare(&connection.channel(), queue::Declare { queue: name.into(), ..properties.clone() });
        for queue_type in ["classic", "quorum"] {
            let is = is_of_type(&vhost, &properties, name, queue_type);
            assert_eq!(is, queue_type == expected, "{name} {queue_type}");
        }
    }
    let exclusive = queue::Declare { exclusive: true, ..durable };
    connection.channel().declare(exclusive);
}

/// A declaration without a type is one of the default type at that time.
#[test]
fn a_changed_default_queue_type_counts_for_the_next_declaration() {
    let broker = Broker::start();
    let vhost = Vhost::new(&broker);
    let connection = vhost.connect();
    let declare = |name: &str, arguments: FieldTable| {
        let declare =
            queue::Declare { queue: name.into(), durable: true, arguments, ..Default::default() };
        connection.channel().call(declare).map(drop)
    };
    let set = |queue_type: &str| {
        let body = json!({ "default_queue_type": queue_type });
        assert_eq!(broker.http().put(&["vhosts", vhost.name()], &body), Answer::empty(204));
    };
    let inequivalent = |name: &str, received: &str, current: &str| {
        let text = format!(
            "PRECONDITION_FAILED - inequivalent arg 'x-queue-type' for queue '{name}' in vhost '{}': \
             received '{received}' but current is '{current}'",
            vhost.name()
        );
        Err(channel_closed(406, text))
    };
    declare("first", table([])).unwrap();
    set("quorum");
    assert_eq!(declare("first", table([])), inequivalent("first", "quorum", "classic"));
    declare("first", table([("x-queue-type", text("classic"))])).unwrap();
    declare("second", table([])).unwrap();
    declare("second", table([("x-queue-type", text("quorum"))])).unwrap();
    set("classic");
    assert_eq!(declare("second", table([])), inequivalent("second", "classic", "quorum"));
    declare("first", table([])).unwrap();
}

#[test]
fn arguments_are_checked_against_the_default_queue_type() {
    let broker = Broker::start();
    let vhost = Vhost::with_metadata(&broker, &json!({ "default_queue_type": "quorum" }));
    let declare = queue::Declare {
        queue: "q".into(),
        durable: true,
        arguments: table([("x-max-priority", leveret_tests::AMQPValue::LongInt(5))]),
        ..Default::default()
    };
    let text = format!(
        "PRECONDITION_FAILED - invalid arg 'x-max-priority' for queue 'q' in vhost '{}' of queue type \
         rabbit_quorum_queue",
        vhost.name()
    );
    assert_eq!(vhost.channel().call(declare).unwrap_err(), channel_closed(406, text));
}
