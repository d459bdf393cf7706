//! Promise: a vhost and a user have no more connections, queues and channels than the operator allows (check 86).

use leveret_tests::broker::Broker;
use leveret_tests::client::{Channel, Connection};
use leveret_tests::closed::{Closed, channel_closed, connection_closed};
use leveret_tests::http::Answer;
use leveret_tests::operator::{PASSWORD, User, Vhost};
use leveret_tests::{json, queue, table, text, wait};

/// A vhost, and a user who may do everything in it.
fn setting(broker: &Broker) -> (Vhost, User) {
    let (vhost, user) = (Vhost::new(broker), User::new(broker));
    vhost.permit(user.name(), [".*", ".*", ".*"]);
    (vhost, user)
}

fn vhost_is_full(vhost: &Vhost, user: &str, limit: i64) -> Closed {
    let text = format!(
        "NOT_ALLOWED - access to vhost '{}' refused for user '{user}': connection limit ({limit}) is reached",
        vhost.name()
    );
    connection_closed(530, text)
}

fn user_has_enough(user: &User, limit: i64) -> Closed {
    let text = format!(
        "NOT_ALLOWED - connection refused for user '{}': user connection limit ({limit}) is reached",
        user.name()
    );
    connection_closed(530, text)
}

/// Logs in until it is let in: RabbitMQ counts a connection for a moment after the client has closed its socket.
fn until_let_in(vhost: &Vhost, user: &User) -> Connection {
    wait::until("a closed connection no longer counts", || vhost.login(user.name(), PASSWORD).ok())
}

#[test]
fn a_vhost_has_no_more_connections_than_its_limit() {
    let broker = Broker::start();
    let (vhost, user) = setting(&broker);
    let login = || vhost.login(user.name(), PASSWORD);
    vhost.limit("max-connections", 0);
    assert_eq!(login().unwrap_err(), vhost_is_full(&vhost, user.name(), 0));
    vhost.limit("max-connections", 2);
    let (first, _second) = (login().unwrap(), vhost.connect());
    assert_eq!(login().unwrap_err(), vhost_is_full(&vhost, user.name(), 2));
    assert_eq!(vhost.login("guest", "guest").unwrap_err(), vhost_is_full(&vhost, "guest", 2));
    broker.connect();
    first.close();
    drop(first);
    let _third = until_let_in(&vhost, &user);
    vhost.limit("max-connections", -1);
    login().unwrap();
}

#[test]
fn a_lowered_limit_closes_nothing() {
    let broker = Broker::start();
    let (vhost, user) = setting(&broker);
    let connections = [(); 2].map(|()| vhost.login(user.name(), PASSWORD).unwrap());
    vhost.limit("max-connections", 1);
    user.limit("max-connections", 1);
    user.limit("max-channels", 1);
    let login = vhost.login(user.name(), PASSWORD);
    assert_eq!(login.unwrap_err(), vhost_is_full(&vhost, user.name(), 1));
    connections[1].channel().exclusive_queue();
}

#[test]
fn the_limit_of_a_vhost_is_told_before_its_permission() {
    let broker = Broker::start();
    let (vhost, user) = (Vhost::new(&broker), User::new(&broker));
    vhost.limit("max-connections", 0);
    user.limit("max-connections", 0);
    let closed = vhost.login(user.name(), PASSWORD).unwrap_err();
    assert_eq!(closed, vhost_is_full(&vhost, user.name(), 0));
}

#[test]
fn a_user_has_no_more_connections_than_its_limit() {
    let broker = Broker::start();
    let (vhost, user) = setting(&broker);
    let other_vhost = Vhost::new(&broker);
    other_vhost.permit(user.name(), [".*", ".*", ".*"]);
    user.limit("max-connections", 0);
    let login = || vhost.login(user.name(), PASSWORD);
    assert_eq!(login().unwrap_err(), user_has_enough(&user, 0));
    user.limit("max-connections", 2);
    let (first, _second) = (login().unwrap(), other_vhost.login(user.name(), PASSWORD).unwrap());
    assert_eq!(login().unwrap_err(), user_has_enough(&user, 2));
    vhost.connect();
    first.close();
    drop(first);
    let _third = until_let_in(&vhost, &user);
    user.limit("max-connections", -1);
    login().unwrap();
}

/// All its connections together. The connection that asks for one more is closed.
#[test]
fn a_user_has_no_more_channels_than_its_limit() {
    let broker = Broker::start();
    let (vhost, user) = setting(&broker);
    let login = || vhost.login(user.name(), PASSWORD).unwrap();
    let refused = |limit: i64| {
        let text = format!(
            "NOT_ALLOWED - number of channels opened for user '{}' has reached the maximum allowed user \
             limit of {limit}",
            user.name()
        );
        connection_closed(530, text)
    };
    user.limit("max-channels", 2);
    let (one, other) = (login(), login());
    let _kept = one.channel();
    other.channel().close();
    wait::until("a closed channel no longer counts", || {
        let connection = login();
        connection.open_channel(1).is_ok().then(|| connection.close())
    });
    let second = one.channel();
    assert_eq!(other.open_channel(1).unwrap_err(), refused(2));
    second.exclusive_queue();
    user.limit("max-channels", 0);
    assert_eq!(login().open_channel(1).unwrap_err(), refused(0));
    user.limit("max-channels", -1);
    login().channel();
}

fn declare(channel: &Channel, name: &str) -> Result<(), Closed> {
    let declare = queue::Declare { queue: name.into(), durable: true, ..Default::default() };
    channel.call(declare).map(drop)
}

#[test]
fn a_vhost_has_no_more_queues_than_its_limit() {
    let broker = Broker::start();
    let vhost = Vhost::new(&broker);
    let connection = vhost.connect();
    let refused = |queue: &str, limit: i64| {
        let text = format!(
            "PRECONDITION_FAILED - cannot declare queue '{queue}': queue limit in vhost '{}' ({limit}) is \
             reached",
            vhost.name()
        );
        Err(channel_closed(406, text))
    };
    vhost.limit("max-queues", 0);
    assert_eq!(declare(&connection.channel(), "q"), refused("q", 0));
    vhost.limit("max-queues", 2);
    for queue in ["q", "r"] {
        declare(&connection.channel(), queue).unwrap();
    }
    assert_eq!(declare(&connection.channel(), "s"), refused("s", 2));
    let quorum = queue::Declare {
        queue: "s".into(),
        durable: true,
        arguments: table([("x-queue-type", text("quorum"))]),
        ..Default::default()
    };
    assert_eq!(connection.channel().call(quorum).map(drop), refused("s", 2));
    connection.channel().delete_queue("r");
    declare(&connection.channel(), "s").unwrap();
    vhost.limit("max-queues", -1);
    declare(&connection.channel(), "r").unwrap();
}

#[test]
fn a_queue_that_exists_can_be_declared_at_the_limit() {
    let broker = Broker::start();
    let vhost = Vhost::new(&broker);
    let channel = vhost.channel();
    declare(&channel, "q").unwrap();
    vhost.limit("max-queues", 1);
    declare(&channel, "q").unwrap();
    channel.counts("q").unwrap();
    let transient = queue::Declare { queue: "q".into(), ..Default::default() };
    let text = format!(
        "PRECONDITION_FAILED - inequivalent arg 'durable' for queue 'q' in vhost '{}': received 'false' but \
         current is 'true'",
        vhost.name()
    );
    assert_eq!(channel.call(transient).unwrap_err(), channel_closed(406, text));
}

/// The refusal names the queue as the broker would have.
#[test]
fn a_queue_that_the_broker_names_counts_too() {
    let broker = Broker::start();
    let vhost = Vhost::new(&broker);
    vhost.limit("max-queues", 0);
    let exclusive = queue::Declare { exclusive: true, ..Default::default() };
    let closed = vhost.channel().call(exclusive).unwrap_err();
    assert_eq!(closed.code, 406);
    let start = "PRECONDITION_FAILED - cannot declare queue 'amq.gen-";
    let end = format!("': queue limit in vhost '{}' (0) is reached", vhost.name());
    assert!(closed.text.starts_with(start) && closed.text.ends_with(&end), "{closed:?}");
}

/// Without the code's name, which is AMQP's.
#[test]
fn the_management_api_says_the_same() {
    let broker = Broker::start();
    let vhost = Vhost::new(&broker);
    vhost.limit("max-queues", 0);
    let answer = broker.http().put(&["queues", vhost.name(), "q"], &json!({ "durable": true }));
    let reason =
        format!("cannot declare queue 'q': queue limit in vhost '{}' (0) is reached", vhost.name());
    assert_eq!(answer, Answer::bad_request(&reason));
}

#[test]
fn the_limits_of_a_vhost_are_set_read_and_deleted() {
    let broker = Broker::start();
    let (http, vhost) = (broker.http(), Vhost::new(&broker));
    let shown = |value| json!([{ "vhost": vhost.name(), "value": value }]);
    let path = |name| ["vhost-limits", vhost.name(), name];
    assert_eq!(http.get(&path("")[..2]).body, json!([]));
    let value = json!({ "value": 5 });
    assert_eq!(http.put(&path("max-queues"), &value), Answer::empty(204));
    assert_eq!(http.put(&path("max-connections"), &json!({ "value": -1 })), Answer::empty(204));
    let both = shown(json!({ "max-queues": 5, "max-connections": -1 }));
    assert_eq!(http.get(&path("")[..2]).body, both);
    let all = http.get(&["vhost-limits"]).body;
    assert!(all.as_array().unwrap().contains(&both[0]), "{all}");
    assert_eq!(http.delete(&path("max-connections")), Answer::empty(204));
    assert_eq!(http.get(&path("")[..2]).body, shown(json!({ "max-queues": 5 })));
    for _ in 0..2 {
        assert_eq!(http.delete(&path("max-queues")), Answer::empty(204));
    }
    assert_eq!(http.get(&path("")[..2]).body, json!([]));
    let no_vhost = Answer::error(404, "not_found", "vhost_not_found");
    assert_eq!(http.put(&["vhost-limits", "no-such-vhost", "max-queues"], &value), no_vhost);
}

#[test]
fn the_limits_of_a_user_are_set_read_and_deleted() {
    let broker = Broker::start();
    let (http, user) = (broker.http(), User::new(&broker));
    let path = |name| ["user-limits", user.name(), name];
    assert_eq!(http.get(&path("")[..2]).body, json!([]));
    assert_eq!(http.put(&path("max-channels"), &json!({ "value": 5 })), Answer::empty(204));
    let shown = json!({ "user": user.name(), "value": { "max-channels": 5 } });
    assert_eq!(http.get(&path("")[..2]).body, json!([shown]));
    assert_eq!(http.get(&["users", user.name()]).body["limits"], shown["value"]);
    let all = http.get(&["user-limits"]).body;
    assert!(all.as_array().unwrap().contains(&shown), "{all}");
    for _ in 0..2 {
        assert_eq!(http.delete(&path("max-channels")), Answer::empty(204));
    }
    assert_eq!(http.get(&path("")[..2]).body, json!([]));
    assert_eq!(http.get(&["user-limits", "no-such-user"]), Answer::not_found());
}

#[test]
fn what_makes_no_limit_is_refused() {
    let broker = Broker::start();
    let (http, vhost, user) = (broker.http(), Vhost::new(&broker), User::new(&broker));
    let of_vhost = |name: &str, body| http.put(&["vhost-limits", vhost.name(), name], &body);
    let of_user = |name: &str, body| http.put(&["user-limits", user.name(), name], &body);
    for (value, term) in [(json!("5"), "<<\"5\">>"), (json!(1.5), "1.5")] {
        let reason = |limit: &str| format!("{limit} should be a number, actually was {term}");
        let refused = Answer::invalid(&reason("max-queues"));
        assert_eq!(of_vhost("max-queues", json!({ "value": value })), refused);
        let refused = Answer::bad_request(&reason("max-channels"));
        assert_eq!(of_user("max-channels", json!({ "value": value })), refused);
    }
    let unknown =
        |scope: &str, limit: &str| format!("Unrecognised terms [{{<<\"{limit}\">>,5}}] in {scope}");
    let five = json!({ "value": 5 });
    let refused = Answer::invalid(&unknown("limits", "max-channels"));
    assert_eq!(of_vhost("max-channels", five.clone()), refused);
    let refused = Answer::bad_request(&unknown("user-limits", "max-queues"));
    assert_eq!(of_user("max-queues", five), refused);
    let missing = Answer::bad_request("[{key_missing,value}]");
    assert_eq!(of_vhost("max-queues", json!({})), missing);
    assert_eq!(of_user("max-channels", json!({})), missing);
    // RabbitMQ's reason is an array of Erlang's making.
    let no_user = ["user-limits", "no-such-user", "max-channels"];
    assert_eq!(http.put(&no_user, &json!({ "value": 5 })).status, 400);
}
