//! Promise: a user does what its permissions say, and is refused everything else in RabbitMQ's words (check 61).
//!
//! What the user of these tests may do with a queue or an exchange stands in its name, after the colon: `c` is
//! configure, `w` write and `r` read.

use leveret_tests::broker::Broker;
use leveret_tests::client::Channel;
use leveret_tests::closed::{Closed, connection_closed};
use leveret_tests::operator::{PASSWORD, User, Vhost};
use leveret_tests::{BasicProperties, basic, exchange, queue, table, text};

/// What the user may configure, write and read.
const LIMITED: [&str; 3] = [":.*c", ":.*w", ":.*r"];
/// A queue `q:` and an exchange `x:` exist for each of these.
const RIGHTS: [&str; 7] = ["", "c", "w", "r", "wr", "cr", "cw"];

/// Does something to the queue or exchange of this name.
type Attempt = fn(&Channel, &str) -> Result<(), Closed>;

/// The vhost of a test, with the queues and exchanges.
struct Setting {
    vhost: Vhost,
    user: User,
}

impl Setting {
    fn new(broker: &Broker) -> Self {
        let setting = Self { vhost: Vhost::new(broker), user: User::new(broker) };
        setting.vhost.permit(setting.user.name(), LIMITED);
        let guest = setting.vhost.channel();
        for rights in RIGHTS {
            let queue = format!("q:{rights}");
            guest.declare(queue::Declare { queue: queue.into(), ..Default::default() });
            guest.declare_exchange(&format!("x:{rights}"), "fanout");
        }
        setting
    }

    /// A channel of the user.
    fn channel(&self) -> Channel {
        self.vhost.channel_of(&self.user)
    }

    fn refused(&self, right: &str, resource: &str) -> Closed {
        self.vhost.access_refused(right, resource, self.user.name())
    }
}

/// Attempts it on one queue or exchange for every set of rights: `right` alone decides.
fn needs(right: &str, kind: &str, what: &str, attempt: Attempt) {
    let broker = Broker::start();
    let setting = Setting::new(&broker);
    for rights in RIGHTS {
        let name = format!("{}:{rights}", if kind == "queue" { "q" } else { "x" });
        let expected = if rights.contains(&right[..1]) {
            Ok(())
        } else {
            Err(setting.refused(right, &format!("{kind} '{name}'")))
        };
        assert_eq!(attempt(&setting.channel(), &name), expected, "{what} of {name}");
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
    let broker = Broker::start();
    let setting = Setting::new(&broker);
    let exclusive = || queue::Declare { exclusive: true, ..Default::default() };
    let closed = setting.channel().call(exclusive()).unwrap_err();
    assert_eq!(closed.code, 403, "{closed:?}");
    let start = "ACCESS_REFUSED - configure access to queue 'amq.gen-";
    let end = setting.refused("configure", "queue ''").text;
    let (_, end) = end.split_once("''").unwrap();
    assert!(closed.text.starts_with(start) && closed.text.ends_with(end), "{closed:?}");
    setting.vhost.permit(setting.user.name(), ["^amq\\.gen-", "", ""]);
    setting.channel().declare(exclusive());
}

/// Neither exchange has to exist.
#[test]
fn an_alternate_exchange_needs_write_on_it_and_read_on_the_exchange_that_names_it() {
    let broker = Broker::start();
    let setting = Setting::new(&broker);
    let declare = |exchange: &str, alternate: &str| {
        let declare = exchange::Declare {
            exchange: exchange.into(),
            kind: "fanout".into(),
            arguments: table([("alternate-exchange", text(alternate))]),
            ..Default::default()
        };
        setting.channel().call(declare).map(drop)
    };
    let cases = [
        ("new:r", "x:w", Err(setting.refused("configure", "exchange 'new:r'"))),
        ("new:c", "x:w", Err(setting.refused("read", "exchange 'new:c'"))),
        ("new:cr", "x:r", Err(setting.refused("write", "exchange 'x:r'"))),
        ("new:cr", "missing:r", Err(setting.refused("write", "exchange 'missing:r'"))),
        ("new:cr", "", Err(setting.refused("write", "exchange 'amq.default'"))),
        ("new:cr", "x:w", Ok(())),
        ("newer:cr", "missing:w", Ok(())),
    ];
    for (exchange, alternate, expected) in cases {
        assert_eq!(declare(exchange, alternate), expected, "{exchange} {alternate}");
    }
}

#[test]
fn a_dead_letter_exchange_needs_write_on_it_and_read_on_the_queue() {
    let broker = Broker::start();
    let setting = Setting::new(&broker);
    let declare = |queue: &str, dead_letters: &str| {
        let declare = queue::Declare {
            queue: queue.into(),
            durable: true,
            arguments: table([("x-dead-letter-exchange", text(dead_letters))]),
            ..Default::default()
        };
        setting.channel().call(declare).map(drop)
    };
    let cases = [
        ("new:r", "x:w", Err(setting.refused("configure", "queue 'new:r'"))),
        ("new:c", "x:w", Err(setting.refused("read", "queue 'new:c'"))),
        ("new:cr", "x:r", Err(setting.refused("write", "exchange 'x:r'"))),
        ("new:cr", "missing:r", Err(setting.refused("write", "exchange 'missing:r'"))),
        ("new:cr", "", Err(setting.refused("write", "exchange 'amq.default'"))),
        ("new:cr", "x:w", Ok(())),
        ("newer:cr", "missing:w", Ok(())),
    ];
    for (queue, dead_letters, expected) in cases {
        assert_eq!(declare(queue, dead_letters), expected, "{queue} {dead_letters}");
    }
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
    let broker = Broker::start();
    let setting = Setting::new(&broker);
    let channel = setting.channel();
    channel.publish("", "q:w", "m");
    assert_eq!(channel.closed(), setting.refused("write", "exchange 'amq.default'"));
    setting.vhost.permit(setting.user.name(), ["", "^amq\\.default$", ""]);
    let channel = setting.channel();
    channel.confirm_select();
    assert!(channel.publish_and_wait("", "q:", Default::default(), "m"));
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
    let broker = Broker::start();
    let setting = Setting::new(&broker);
    let queue = |name: &str| setting.channel().counts(name).map(drop);
    let exchange = |name: &str| {
        let passive =
            exchange::Declare { exchange: name.into(), passive: true, ..Default::default() };
        setting.channel().call(passive).map(drop)
    };
    for rights in RIGHTS.iter().filter(|rights| !rights.is_empty()) {
        assert_eq!(queue(&format!("q:{rights}")), Ok(()));
        assert_eq!(exchange(&format!("x:{rights}")), Ok(()));
    }
    assert_eq!(queue("q:"), Err(setting.refused("configure", "queue 'q:'")));
    assert_eq!(exchange("x:"), Err(setting.refused("configure", "exchange 'x:'")));
}

/// Who has no right does not learn what exists.
#[test]
fn a_refusal_comes_before_it_is_looked_whether_there_is_such_a_thing() {
    let broker = Broker::start();
    let setting = Setting::new(&broker);
    let channel = || setting.channel();
    let no_queue = |right| setting.refused(right, "queue 'none'");
    let no_exchange = |right| setting.refused(right, "exchange 'none'");
    assert_eq!(channel().counts("none").unwrap_err(), no_queue("configure"));
    assert_eq!(channel().try_get("none", true).unwrap_err(), no_queue("read"));
    let purge = queue::Purge { queue: "none".into(), ..Default::default() };
    assert_eq!(channel().call(purge).unwrap_err(), no_queue("read"));
    let delete = queue::Delete { queue: "none".into(), ..Default::default() };
    assert_eq!(channel().call(delete).unwrap_err(), no_queue("configure"));
    let delete = exchange::Delete { exchange: "none".into(), ..Default::default() };
    assert_eq!(channel().call(delete).unwrap_err(), no_exchange("configure"));
    assert_eq!(channel().call(bind("none", "x:r")).unwrap_err(), no_queue("write"));
    assert_eq!(channel().call(bind("none:w", "none")).unwrap_err(), no_exchange("read"));
    let publisher = channel();
    publisher.publish("none", "", "m");
    assert_eq!(publisher.closed(), no_exchange("write"));
}

/// Only the answer goes to a queue, which is the replier's business.
#[test]
fn waiting_for_direct_replies_needs_no_right() {
    let broker = Broker::start();
    let setting = Setting::new(&broker);
    setting.channel().consume_no_ack("amq.rabbitmq.reply-to", "replies");
}

/// An empty pattern is not one that is found everywhere.
#[test]
fn an_empty_pattern_permits_nothing() {
    let broker = Broker::start();
    let setting = Setting::new(&broker);
    setting.vhost.permit(setting.user.name(), ["", "", ""]);
    let declare = queue::Declare { queue: "q:c".into(), ..Default::default() };
    let refused = setting.refused("configure", "queue 'q:c'");
    assert_eq!(setting.channel().call(declare).unwrap_err(), refused);
}

#[test]
fn a_vhost_without_a_permission_cannot_be_opened() {
    let broker = Broker::start();
    let setting = Setting::new(&broker);
    let stranger = User::new(&broker);
    let text = format!(
        "NOT_ALLOWED - access to vhost '{}' refused for user '{}'",
        setting.vhost.name(),
        stranger.name()
    );
    assert_eq!(
        setting.vhost.login(stranger.name(), PASSWORD).unwrap_err(),
        connection_closed(530, text)
    );
}

/// Check 42.
#[test]
fn an_impersonator_may_put_another_name_into_user_id() {
    let broker = Broker::start();
    let (vhost, guest) = Vhost::with_channel(&broker);
    let queue = guest.exclusive_queue();
    let actor = User::with_tags(&broker, "monitoring,impersonator");
    vhost.permit(actor.name(), ["", ".*", ""]);
    let channel = vhost.channel_of(&actor);
    channel.confirm_select();
    let properties = BasicProperties::default().with_user_id("another".into());
    assert!(channel.publish_and_wait("", &queue, properties.clone(), "m"));
    assert_eq!(guest.get(&queue).unwrap().properties, properties);
}
