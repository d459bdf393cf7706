//! Promise: what a user may do through the management API depends on its tags, and on its permissions as over AMQP
//! (check 89).

use leveret_tests::broker::Broker;
use leveret_tests::client::Channel;
use leveret_tests::http::{Answer, Http};
use leveret_tests::operator::{PASSWORD, User, Vhost};
use leveret_tests::{json, queue};

/// What a user is told who may log in but not do this.
fn not_authorised(reason: &str) -> Answer {
    Answer::error(401, "not_authorised", reason)
}

/// A vhost, and a user with these tags who may do everything in it.
fn setting(broker: &Broker, tags: &str) -> (Vhost, User) {
    let (vhost, user) = (Vhost::new(broker), User::with_tags(broker, tags));
    vhost.permit(user.name(), [".*", ".*", ".*"]);
    (vhost, user)
}

#[test]
fn a_wrong_password_is_told_from_a_missing_tag() {
    let broker = Broker::start();
    let user = User::new(&broker);
    for (name, password) in [(user.name(), "wrong"), ("no-such-user", PASSWORD)] {
        let answer = broker.http().login(name, password).get(&["whoami"]);
        assert_eq!(answer, Answer::error(401, "not_authorized", "Not_Authorized"), "{name}");
    }
    for path in ["whoami", "overview", "queues"] {
        assert_eq!(user.http().get(&[path]), not_authorised("Not management user"), "{path}");
    }
    let manager = User::with_tags(&broker, "management");
    let who = manager.http().get(&["whoami"]).body;
    assert_eq!([&who["name"], &who["tags"]], [&json!(manager.name()), &json!(["management"])]);
}

/// The API must not be slower to hear of a change than AMQP.
#[test]
fn a_changed_password_and_a_changed_tag_count_at_once() {
    let broker = Broker::start();
    let user = User::with_tags(&broker, "management");
    assert_eq!(user.http().get(&["whoami"]).status, 200);
    assert_eq!(user.put(&json!({ "password": "changed", "tags": "management" })), 204);
    assert_eq!(user.http().get(&["whoami"]).status, 401);
    let http = broker.http().login(user.name(), "changed");
    assert_eq!(http.get(&["whoami"]).status, 200);
    assert_eq!(user.put(&json!({ "password": "changed", "tags": "" })), 204);
    assert_eq!(http.get(&["whoami"]), not_authorised("Not management user"));
}

/// Something that is set through the API.
type Set = fn(&Http, &str) -> Answer;

#[test]
fn each_kind_of_definition_needs_its_tag() {
    let broker = Broker::start();
    let cases: [(&str, Set, [u16; 4]); 5] = [
        (
            "policies",
            |http, vhost| {
                let policy = json!({ "pattern": "^none$", "definition": { "max-length": 1 } });
                http.put(&["policies", vhost, "p"], &policy)
            },
            [401, 401, 201, 201],
        ),
        (
            "operator-policies",
            |http, vhost| {
                let policy = json!({ "pattern": "^none$", "definition": { "max-length": 1 } });
                http.put(&["operator-policies", vhost, "p"], &policy)
            },
            [401, 401, 401, 201],
        ),
        (
            "vhost-limits",
            |http, vhost| http.put(&["vhost-limits", vhost, "max-queues"], &json!({ "value": 9 })),
            [401, 401, 401, 204],
        ),
        (
            "vhosts",
            |http, vhost| http.put(&["vhosts", vhost], &json!({ "description": "d" })),
            [401, 401, 401, 204],
        ),
        ("users", |http, _| http.get(&["users"]), [401, 401, 401, 200]),
    ];
    let tags = ["management", "monitoring", "policymaker", "administrator"];
    for (what, set, expected) in cases {
        let statuses = tags.map(|tag| {
            let (vhost, user) = setting(&broker, tag);
            set(&user.http(), vhost.name()).status
        });
        assert_eq!(statuses, expected, "{what} for {tags:?}");
    }
}

#[test]
fn the_refusals_name_the_tag() {
    let broker = Broker::start();
    let (vhost, user) = setting(&broker, "management");
    let policy = json!({ "pattern": "^none$", "definition": { "max-length": 1 } });
    let http = user.http();
    let answer = http.put(&["policies", vhost.name(), "p"], &policy);
    assert_eq!(answer, not_authorised("User not authorised to access object"));
    let answer = http.put(&["operator-policies", vhost.name(), "p"], &policy);
    assert_eq!(answer, not_authorised("Not administrator user"));
    assert_eq!(http.get(&["users"]), not_authorised("Not administrator user"));
    assert_eq!(http.get(&["policies", vhost.name()]).body, json!([]), "reading is allowed");
}

#[test]
fn a_vhost_without_a_permission_is_not_there() {
    let broker = Broker::start();
    let (vhost, user) = (Vhost::new(&broker), User::with_tags(&broker, "policymaker"));
    let hidden = Answer::error(404, "not_found", "Not Found");
    for collection in ["queues", "exchanges", "policies", "operator-policies"] {
        assert_eq!(user.http().get(&[collection, vhost.name()]), hidden, "{collection}");
    }
    let queue = json!({ "durable": true });
    assert_eq!(user.http().put(&["queues", vhost.name(), "q"], &queue), hidden);
    let policy = json!({ "pattern": "^none$", "definition": { "max-length": 1 } });
    assert_eq!(user.http().put(&["policies", vhost.name(), "p"], &policy), hidden);
    assert_eq!(user.http().get(&["queues"]).body, json!([]));
}

/// A queue made by `guest`.
fn declare(channel: &Channel, queue: &str) {
    channel.declare(queue::Declare { queue: queue.into(), durable: true, ..Default::default() });
}

#[test]
fn queues_and_exchanges_need_the_permissions_of_amqp() {
    let broker = Broker::start();
    let (vhost, user) = setting(&broker, "management");
    declare(&vhost.channel(), "q");
    vhost.permit(user.name(), ["^mine", "^mine", "^mine"]);
    let (http, name) = (user.http(), vhost.name());
    let refused = not_authorised("Access refused.");
    assert_eq!(http.put(&["queues", name, "other"], &json!({ "durable": true })), refused);
    assert_eq!(http.put(&["exchanges", name, "other"], &json!({ "type": "fanout" })), refused);
    assert_eq!(http.delete(&["queues", name, "q"]), refused);
    assert_eq!(http.delete(&["queues", name, "q", "contents"]), refused);
    assert_eq!(http.put(&["queues", name, "mine"], &json!({ "durable": true })).status, 201);
    let message = json!({
        "properties": {}, "routing_key": "k", "payload": "m", "payload_encoding": "string"
    });
    let path = ["exchanges", name, "amq.topic", "publish"];
    let answer = http.send("POST", &path, &message.to_string());
    let reason = format!(
        "403 ACCESS_REFUSED - write access to exchange 'amq.topic' in vhost '{name}' refused for user '{}'",
        user.name()
    );
    assert_eq!(answer, Answer::bad_request(&reason));
    vhost.permit(user.name(), ["", ".*", ""]);
    assert_eq!(http.send("POST", &path, &message.to_string()).body, json!({ "routed": false }));
}
