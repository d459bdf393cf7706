//! Promise: users come, change and go while the broker runs (check 84).

use leveret_tests::broker::Broker;
use leveret_tests::client::Connection;
use leveret_tests::closed::{Closed, connection_closed};
use leveret_tests::http::Answer;
use leveret_tests::operator::{PASSWORD, User, Vhost};
use leveret_tests::{BasicProperties, Value, json};

/// `secret` as RabbitMQ keeps it: base64 of a salt of four octets and the hash of salt and password.
const HASHES: [(&str, &str); 3] = [
    ("rabbit_password_hashing_sha256", "UWwhC32yMAfbix/sSMEL3d613RUR+dcRuDo6XIEaMX6weN9w"),
    (
        "rabbit_password_hashing_sha512",
        "UWwhC2aoyvMNT0HrWQYoeFnzzitisVi2Oi9GhL/XpVxvrm1+1DQJ2UNmEJ9tPoqyAxQBWTcOzU1iYy3tUzze6sFfbTU=",
    ),
    ("rabbit_password_hashing_md5", "UWwhC9AQyZ5FiLe21ND5TvDhb8s="),
];

/// A vhost, and a user who may do everything in it.
fn setting(broker: &Broker) -> (Vhost, User) {
    let (vhost, user) = (Vhost::new(broker), User::new(broker));
    vhost.permit(user.name(), [".*", ".*", ".*"]);
    (vhost, user)
}

/// What a client is told whose name or password is wrong.
fn login_refused() -> Closed {
    connection_closed(
        403,
        "ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN. \
         For details see the broker logfile.",
    )
}

#[test]
fn a_changed_password_counts_for_the_next_login() {
    let broker = Broker::start();
    let (vhost, user) = setting(&broker);
    let connection = vhost.login(user.name(), PASSWORD).unwrap();
    assert_eq!(user.put(&json!({ "password": "changed", "tags": "" })), 204);
    assert_eq!(vhost.login(user.name(), PASSWORD).unwrap_err(), login_refused());
    vhost.login(user.name(), "changed").unwrap();
    connection.channel().exclusive_queue();
}

#[test]
fn an_unknown_user_is_told_the_same_as_one_with_a_wrong_password() {
    let broker = Broker::start();
    let (vhost, user) = setting(&broker);
    for (name, password) in [(user.name(), "wrong"), ("no-such-user", PASSWORD), ("", "")] {
        assert_eq!(vhost.login(name, password).unwrap_err(), login_refused(), "{name}");
    }
}

/// A user without a password is for other ways of logging in; a blank one is never right.
#[test]
fn without_a_password_or_with_a_blank_one_nobody_logs_in() {
    let broker = Broker::start();
    let (vhost, user) = setting(&broker);
    for without in [
        json!({ "tags": "" }),
        json!({ "password_hash": "", "tags": "" }),
        json!({ "password": "", "tags": "" }),
    ] {
        assert_eq!(user.put(&without), 204, "{without}");
        for password in ["", PASSWORD] {
            assert_eq!(vhost.login(user.name(), password).unwrap_err(), login_refused());
        }
    }
}

#[test]
fn password_hashes_of_rabbitmq_are_taken_as_they_are() {
    let broker = Broker::start();
    let (vhost, user) = setting(&broker);
    for (algorithm, hash) in HASHES {
        let body = json!({ "password_hash": hash, "hashing_algorithm": algorithm, "tags": "" });
        assert_eq!(user.put(&body), 204, "{algorithm}");
        let shown = broker.http().get(&["users", user.name()]).body;
        assert_eq!([&shown["password_hash"], &shown["hashing_algorithm"]], [hash, algorithm]);
        vhost.login(user.name(), PASSWORD).unwrap();
        assert_eq!(vhost.login(user.name(), "wrong").unwrap_err(), login_refused(), "{algorithm}");
    }
}

#[test]
fn deleting_a_user_closes_its_connections() {
    let broker = Broker::start();
    let (vhost, user) = setting(&broker);
    let (connection, other) = (vhost.login(user.name(), PASSWORD).unwrap(), vhost.connect());
    assert_eq!(broker.http().delete(&["users", user.name()]), Answer::empty(204));
    let text = format!("CONNECTION_FORCED - user '{}' is deleted", user.name());
    assert_eq!(connection.closed(), connection_closed(320, text));
    assert_eq!(vhost.login(user.name(), PASSWORD).unwrap_err(), login_refused());
    other.channel().exclusive_queue();
}

#[test]
fn a_user_made_again_has_none_of_its_old_permissions() {
    let broker = Broker::start();
    let (vhost, user) = setting(&broker);
    let topic = json!({ "exchange": "amq.topic", "write": "", "read": "" });
    broker.http().put(&["topic-permissions", vhost.name(), user.name()], &topic);
    broker.http().delete(&["users", user.name()]);
    assert_eq!(user.put(&json!({ "password": PASSWORD, "tags": "" })), 201);
    for permissions in ["permissions", "topic-permissions"] {
        assert_eq!(broker.http().get(&["users", user.name(), permissions]).body, json!([]));
    }
    let text = format!(
        "NOT_ALLOWED - access to vhost '{}' refused for user '{}'",
        vhost.name(),
        user.name()
    );
    assert_eq!(vhost.login(user.name(), PASSWORD).unwrap_err(), connection_closed(530, text));
}

/// A connection keeps the tags that its user had at the login.
#[test]
fn a_tag_counts_from_the_next_login() {
    let broker = Broker::start();
    let (vhost, user) = setting(&broker);
    let before = vhost.login(user.name(), PASSWORD).unwrap();
    assert_eq!(user.put(&json!({ "password": PASSWORD, "tags": "impersonator" })), 204);
    let publish = |connection: &Connection| {
        let channel = connection.channel();
        let queue = channel.exclusive_queue();
        let properties = BasicProperties::default().with_user_id("another".into());
        channel.publish_with("", &queue, properties, "m");
        channel.counts(&queue).map(drop)
    };
    let refused = publish(&before).unwrap_err();
    assert_eq!(refused.code, 406, "{refused:?}");
    publish(&vhost.login(user.name(), PASSWORD).unwrap()).unwrap();
}

#[test]
fn tags_are_a_list_or_a_text_with_commas() {
    let broker = Broker::start();
    let user = User::new(&broker);
    let cases = [
        (json!("administrator, monitoring"), json!(["administrator", "monitoring"])),
        (json!(["management", "of my own"]), json!(["management", "of my own"])),
        (json!(""), json!([])),
        (json!([]), json!([])),
    ];
    for (tags, shown) in cases {
        assert_eq!(user.put(&json!({ "password": PASSWORD, "tags": tags })), 204);
        assert_eq!(broker.http().get(&["users", user.name()]).body["tags"], shown, "{tags}");
    }
}

#[test]
fn what_makes_no_user_is_refused() {
    let broker = Broker::start();
    let (http, user) = (broker.http(), User::new(&broker));
    let tags: Vec<String> = (0..33).map(|number| format!("t{number}")).collect();
    let cases = [
        (json!({ "password": "p" }), "tags_not_present"),
        (json!({}), "tags_not_present"),
        (
            json!({ "password": "p", "password_hash": "x", "tags": "" }),
            "both_password_and_password_hash_are_provided",
        ),
        (json!({ "password": "p", "tags": tags }), "A user can have at most 32 tags (received 33)"),
    ];
    for (body, reason) in cases {
        let answer = http.put(&["users", user.name()], &body);
        assert_eq!(answer, Answer::bad_request(reason), "{body}");
    }
    let not_base64 = json!({ "password_hash": "!!!", "tags": "" });
    assert_eq!(http.put(&["users", user.name()], &not_base64).status, 400);
    assert_eq!(http.send("PUT", &["users", user.name()], "x"), Answer::bad_request("not_json"));
}

#[test]
fn a_user_can_be_read_and_an_unknown_one_not() {
    let broker = Broker::start();
    let (http, user) = (broker.http(), User::with_tags(&broker, "management"));
    let mut shown = http.get(&["users", user.name()]).body;
    for key in ["password_hash", "hashing_algorithm"] {
        let value = shown.as_object_mut().unwrap().remove(key);
        assert!(value.is_some_and(|value| value.as_str().is_some_and(|text| !text.is_empty())));
    }
    let expected = json!({ "name": user.name(), "tags": ["management"], "limits": {} });
    assert_eq!(shown, expected);
    let listed = http.get(&["users"]).body;
    let is_ours = |listed: &&Value| listed["name"] == user.name();
    assert!(listed.as_array().unwrap().iter().any(|listed| is_ours(&listed)));
    assert_eq!(http.get(&["users", "no-such-user"]), Answer::not_found());
    assert_eq!(http.delete(&["users", "no-such-user"]), Answer::not_found());
    assert_eq!(http.get(&["users", "no-such-user", "permissions"]), Answer::not_found());
}

#[test]
fn permissions_are_set_read_and_deleted() {
    let broker = Broker::start();
    let (http, vhost, user) = (broker.http(), Vhost::new(&broker), User::new(&broker));
    let path = ["permissions", vhost.name(), user.name()];
    let body = json!({ "configure": "c", "write": "w", "read": "r" });
    assert_eq!(http.get(&path), Answer::not_found());
    assert_eq!(http.put(&path, &body), Answer::empty(201));
    assert_eq!(http.put(&path, &body), Answer::empty(204));
    let shown = json!({
        "user": user.name(), "vhost": vhost.name(), "configure": "c", "write": "w", "read": "r"
    });
    assert_eq!(http.get(&path).body, shown);
    assert_eq!(http.get(&["users", user.name(), "permissions"]).body, json!([shown]));
    let of_vhost = http.get(&["vhosts", vhost.name(), "permissions"]).body;
    assert!(of_vhost.as_array().unwrap().contains(&shown), "{of_vhost}");
    assert_eq!(http.delete(&path), Answer::empty(204));
    assert_eq!(http.delete(&path), Answer::not_found());
}

#[test]
fn what_makes_no_permission_is_refused() {
    let broker = Broker::start();
    let (http, vhost, user) = (broker.http(), Vhost::new(&broker), User::new(&broker));
    let path = ["permissions", vhost.name(), user.name()];
    let whole = json!({ "configure": "", "write": "", "read": "" });
    for key in ["configure", "write", "read"] {
        let mut body = whole.clone();
        body.as_object_mut().unwrap().remove(key);
        let reason = format!("[{{key_missing,{key}}}]");
        assert_eq!(http.put(&path, &body), Answer::bad_request(&reason));
        // RabbitMQ's reason is an array of Erlang's making.
        body[key] = json!("(");
        assert_eq!(http.put(&path, &body).status, 400, "{key}");
    }
    let unknown = Answer::bad_request("vhost_or_user_not_found");
    assert_eq!(http.put(&["permissions", "no-such-vhost", user.name()], &whole), unknown);
    assert_eq!(http.put(&["permissions", vhost.name(), "no-such-user"], &whole), unknown);
    assert_eq!(http.get(&path), Answer::not_found());
}
