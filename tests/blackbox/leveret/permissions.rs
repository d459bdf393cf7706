//! Promise: a user does what its permissions say, and is refused everything else in RabbitMQ's words (check 61).
//!
//! Users are rows of the store, put there while the broker is stopped. What the user `limited` may do with a queue or an
//! exchange stands in its name, after the colon: `c` is configure, `w` write and `r` read.

use leveret_tests::broker::Broker;
use leveret_tests::client::Channel;
use leveret_tests::closed::{Closed, channel_closed, connection_closed};
use leveret_tests::login::Login;
use leveret_tests::{BasicProperties, basic, exchange, queue, table, text};

/// `secret` in the format of RabbitMQ: base64 of a salt of four octets and the SHA-256 of salt and password.
const PASSWORD_HASH: &str = "UWwhC32yMAfbix/sSMEL3d613RUR+dcRuDo6XIEaMX6weN9w";
/// Name, tags, and what may be configured, written and read in the vhost `/`; `None` is no row at all.
const USERS: [(&str, &str, Option<[&str; 3]>); 3] = [
    ("limited", "", Some([":.*c", ":.*w", ":.*r"])),
    ("stranger", "", None),
    ("actor", "monitoring,impersonator", Some(["", ".*", ""])),
];
/// A queue `q:` and an exchange `x:` exist for each of these.
const RIGHTS: [&str; 7] = ["", "c", "w", "r", "wr", "cr", "cw"];

/// Does something to the queue or exchange of this name.
type Attempt = fn(&Channel, &str) -> Result<(), Closed>;

fn broker_with_users() -> Broker {
    let mut broker = Broker::leveret(&[]);
    broker.stop();
    let store = rusqlite::Connection::open(broker.data_dir().join("leveret.db")).unwrap();
    for (user, tags, permissions) in USERS {
        let row = [user, PASSWORD_HASH, "rabbit_password_hashing_sha256", tags];
        store.execute("INSERT INTO user VALUES (?, ?, ?, ?)", row).unwrap();
        if let Some([configure, write, read]) = permissions {
            let row = [user, "/", configure, write, read];
            store.execute("INSERT INTO permission VALUES (?, ?, ?, ?, ?)", row).unwrap();
        }
    }
    drop(store);
    broker.restart();
    let guest = broker.channel();
    for rights in RIGHTS {
        let queue = format!("q:{rights}");
        guest.declare(queue::Declare { queue: queue.into(), ..Default::default() });
        guest.declare_exchange(&format!("x:{rights}"), "fanout");
    }
    broker
}

fn channel_of(broker: &Broker, user: &str) -> Channel {
    Login::plain(user, "secret").open(broker.address()).unwrap().channel()
}

fn refused(right: &str, resource: &str) -> Closed {
    let text = format!(
        "ACCESS_REFUSED - {right} access to {resource} in vhost '/' refused for user 'limited'"
    );
    channel_closed(403, text)
}

/// Attempts it on one queue or exchange for every set of rights: `right` alone decides.
fn needs(right: &str, kind: &str, what: &str, attempt: Attempt) {
    let broker = broker_with_users();
    for rights in RIGHTS {
        let name = format!("{}:{rights}", if kind == "queue" { "q" } else { "x" });
        let expected = if rights.contains(&right[..1]) {
            Ok(())
        } else {
            Err(refused(right, &format!("{kind} '{name}'")))
        };
        assert_eq!(attempt(&channel_of(&broker, "limited"), &name), expected, "{what} of {name}");
    }
}

fn bind(queue: &str, exchange: &str) -> queue::Bind {
    queue::Bind { queue: queue.into(), exchange: exchange.into(), ..Default::default() }
}

fn unbind(queue: &str, exchange: &str) -> queue::Unbind {
    queue::Unbind { queue: queue.into(), exchange: exchange.into(), ..Default::default() }
}

fn bind_exchange(destination: &str, source: &str) -> exchange::Bind {
    exchange::Bind { destination: destination.into(), source: source.into(), ..Default::default() }
}

fn unbind_exchange(destination: &str, source: &str) -> exchange::Unbind {
    exchange::Unbind {
        destination: destination.into(),
        source: source.into(),
        ..Default::default()
    }
}

#[test]
fn declaring_and_deleting_queues_needs_configure() {
    needs("configure", "queue", "declare", |channel, name| {
        let declare = queue::Declare { queue: name.into(), ..Default::default() };
        channel.call(declare).map(drop)
    });
    needs("configure", "queue", "delete", |channel, name| {
        channel.call(queue::Delete { queue: name.into(), ..Default::default() }).map(drop)
    });
}

#[test]
fn declaring_and_deleting_exchanges_needs_configure() {
    needs("configure", "exchange", "declare", |channel, name| {
        let kind = "fanout".into();
        let declare = exchange::Declare { exchange: name.into(), kind, ..Default::default() };
        channel.call(declare).map(drop)
    });
    needs("configure", "exchange", "delete", |channel, name| {
        channel.call(exchange::Delete { exchange: name.into(), ..Default::default() }).map(drop)
    });
}

/// The permission is asked for the name that the broker has chosen.
#[test]
fn a_queue_that_the_broker_names_needs_configure_too() {
    let broker = broker_with_users();
    let closed = channel_of(&broker, "limited").call(queue::Declare::default()).unwrap_err();
    assert_eq!(closed.code, 403, "{closed:?}");
    let start = "ACCESS_REFUSED - configure access to queue 'amq.gen-";
    let end = "' in vhost '/' refused for user 'limited'";
    assert!(closed.text.starts_with(start) && closed.text.ends_with(end), "{closed:?}");
}

#[test]
fn an_alternate_exchange_needs_write_on_it_and_read_on_the_exchange_that_names_it() {
    let broker = broker_with_users();
    let declare = |exchange: &str, alternate: &str| {
        channel_of(&broker, "limited").call(exchange::Declare {
            exchange: exchange.into(),
            kind: "fanout".into(),
            arguments: table([("alternate-exchange", text(alternate))]),
            ..Default::default()
        })
    };
    assert_eq!(declare("new:c", "x:w").unwrap_err(), refused("read", "exchange 'new:c'"));
    assert_eq!(declare("new:cr", "x:r").unwrap_err(), refused("write", "exchange 'x:r'"));
    declare("new:cr", "x:w").unwrap();
}

#[test]
fn binding_and_unbinding_needs_write_on_the_destination() {
    needs("write", "queue", "bind", |channel, name| channel.call(bind(name, "x:r")).map(drop));
    needs("write", "queue", "unbind", |channel, name| channel.call(unbind(name, "x:r")).map(drop));
    needs("write", "exchange", "bind", |channel, name| {
        channel.call(bind_exchange(name, "x:r")).map(drop)
    });
    needs("write", "exchange", "unbind", |channel, name| {
        channel.call(unbind_exchange(name, "x:r")).map(drop)
    });
}

#[test]
fn binding_and_unbinding_needs_read_on_the_source() {
    needs("read", "exchange", "bind", |channel, name| channel.call(bind("q:w", name)).map(drop));
    needs("read", "exchange", "unbind", |channel, name| {
        channel.call(unbind("q:w", name)).map(drop)
    });
    needs("read", "exchange", "bind", |channel, name| {
        channel.call(bind_exchange("x:w", name)).map(drop)
    });
    needs("read", "exchange", "unbind", |channel, name| {
        channel.call(unbind_exchange("x:w", name)).map(drop)
    });
}

#[test]
fn publishing_needs_write() {
    needs("write", "exchange", "publish", |channel, name| {
        channel.publish(name, "", "m");
        channel.counts("q:c").map(drop)
    });
}

#[test]
fn publishing_to_a_queue_by_its_name_needs_write_on_amq_default() {
    let broker = broker_with_users();
    let channel = channel_of(&broker, "limited");
    channel.publish("", "q:w", "m");
    assert_eq!(channel.closed(), refused("write", "exchange 'amq.default'"));
    let channel = channel_of(&broker, "actor");
    channel.confirm_select();
    channel.publish("", "q:w", "m");
    assert_eq!(channel.confirms(1, 1), [0; 0]);
}

#[test]
fn consuming_getting_and_purging_needs_read() {
    needs("read", "queue", "consume", |channel, name| {
        channel.try_consume(basic::Consume { queue: name.into(), ..Default::default() }).map(drop)
    });
    needs("read", "queue", "get", |channel, name| channel.try_get(name, true).map(drop));
    needs("read", "queue", "purge", |channel, name| {
        channel.call(queue::Purge { queue: name.into(), ..Default::default() }).map(drop)
    });
}

#[test]
fn a_passive_declare_needs_any_right_at_all() {
    let broker = broker_with_users();
    let queue = |name: &str| channel_of(&broker, "limited").counts(name).map(drop);
    let exchange = |name: &str| {
        let passive =
            exchange::Declare { exchange: name.into(), passive: true, ..Default::default() };
        channel_of(&broker, "limited").call(passive).map(drop)
    };
    for rights in RIGHTS.iter().filter(|rights| !rights.is_empty()) {
        assert_eq!(queue(&format!("q:{rights}")), Ok(()));
        assert_eq!(exchange(&format!("x:{rights}")), Ok(()));
    }
    assert_eq!(queue("q:"), Err(refused("configure", "queue 'q:'")));
    assert_eq!(exchange("x:"), Err(refused("configure", "exchange 'x:'")));
}

#[test]
fn a_vhost_without_a_permission_cannot_be_opened() {
    let broker = broker_with_users();
    assert_eq!(
        Login::plain("stranger", "secret").open(broker.address()).unwrap_err(),
        connection_closed(530, "NOT_ALLOWED - access to vhost '/' refused for user 'stranger'")
    );
}

/// Check 42.
#[test]
fn an_impersonator_may_put_another_name_into_user_id() {
    let broker = broker_with_users();
    let channel = channel_of(&broker, "actor");
    channel.confirm_select();
    let properties = BasicProperties::default().with_user_id("another".into());
    channel.publish_with("", "q:", properties.clone(), "m");
    assert_eq!(channel.confirms(1, 1), [0; 0]);
    assert_eq!(broker.channel().get("q:").unwrap().properties, properties);
}
