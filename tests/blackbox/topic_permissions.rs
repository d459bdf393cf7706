//! Promise: on a topic exchange for which a user has topic permissions, it publishes and binds only with routing keys that
//! they match (check 83).

use leveret_tests::broker::Broker;
use leveret_tests::client::Channel;
use leveret_tests::closed::Closed;
use leveret_tests::http::Answer;
use leveret_tests::operator::{User, Vhost};
use leveret_tests::{AMQPValue, BasicProperties, exchange, json, queue, table, text};

/// The name of a header that adds a routing key, and the key.
type Header<'a> = (&'a str, &'a str);

/// A vhost with the queue `q`, a user that may do everything in it, and its topic permissions.
struct Setting {
    // User and vhost go before the broker that has them: fields are dropped in this order.
    user: User,
    vhost: Vhost,
    broker: Broker,
}

impl Setting {
    /// What the user may write to and read from `amq.topic`.
    fn new(write: &str, read: &str) -> Self {
        let broker = Broker::start();
        let (vhost, user) = (Vhost::new(&broker), User::new(&broker));
        vhost.permit(user.name(), [".*", ".*", ".*"]);
        let declare = queue::Declare { queue: "q".into(), durable: true, ..Default::default() };
        vhost.channel().declare(declare);
        let setting = Self { user, vhost, broker };
        setting.permit(write, read);
        setting
    }

    fn permit(&self, write: &str, read: &str) {
        let permission = json!({ "exchange": "amq.topic", "write": write, "read": read });
        let answer = self.broker.http().put(&self.path(), &permission);
        assert!(matches!(answer.status, 201 | 204), "{answer:?}");
    }

    fn path(&self) -> [&str; 3] {
        ["topic-permissions", self.vhost.name(), self.user.name()]
    }

    fn channel(&self) -> Channel {
        self.vhost.channel_of(&self.user)
    }

    fn refused(&self, right: &str, key: &str) -> Closed {
        let topic = format!("topic '{key}' in exchange 'amq.topic'");
        self.vhost.access_refused(right, &topic, self.user.name())
    }

    /// Publishes on a channel of its own, and says how the broker took it.
    fn publish(&self, exchange: &str, key: &str, headers: &[Header<'_>]) -> Result<(), Closed> {
        let keys = |key: &str| AMQPValue::FieldArray(vec![text(key)].into());
        let mut arguments = table([]);
        for (name, key) in headers {
            arguments.insert((*name).into(), keys(key));
        }
        let channel = self.channel();
        channel.publish_with(
            exchange,
            key,
            BasicProperties::default().with_headers(arguments),
            "m",
        );
        channel.counts("q").map(drop)
    }
}

fn bind(source: &str, key: &str) -> queue::Bind {
    let (exchange, routing_key) = (source.into(), key.into());
    queue::Bind { queue: "q".into(), exchange, routing_key, ..Default::default() }
}

fn unbind(source: &str, key: &str) -> queue::Unbind {
    let (exchange, routing_key) = (source.into(), key.into());
    queue::Unbind { queue: "q".into(), exchange, routing_key, ..Default::default() }
}

#[test]
fn a_publish_needs_the_right_for_its_routing_key_and_for_every_one_in_cc_and_bcc() {
    let setting = Setting::new("^a\\.", "");
    let write = |key| Err(setting.refused("write", key));
    let cases: [(&str, &[Header<'_>], Result<(), Closed>); 6] = [
        ("a.b", &[], Ok(())),
        ("b.a", &[], write("b.a")),
        ("", &[], write("")),
        ("a.b", &[("CC", "c.c")], write("c.c")),
        ("a.b", &[("BCC", "d.d")], write("d.d")),
        ("a.b", &[("CC", "a.c"), ("BCC", "a.d")], Ok(())),
    ];
    for (key, headers, expected) in cases {
        assert_eq!(setting.publish("amq.topic", key, headers), expected, "{key} {headers:?}");
    }
}

#[test]
fn binding_and_unbinding_needs_the_right_to_read_the_binding_key() {
    let setting = Setting::new("", "^b\\.");
    for key in ["a.b", "#", ""] {
        let refused = setting.refused("read", key);
        assert_eq!(setting.channel().call(bind("amq.topic", key)).unwrap_err(), refused);
        assert_eq!(setting.channel().call(unbind("amq.topic", key)).unwrap_err(), refused);
    }
    setting.channel().call(bind("amq.topic", "b.*")).unwrap();
    setting.channel().call(unbind("amq.topic", "b.*")).unwrap();
}

/// The destination's topic permissions do not matter.
#[test]
fn binding_an_exchange_needs_the_right_on_the_source() {
    let setting = Setting::new("", "^b\\.");
    setting.channel().declare_exchange("other", "topic");
    let bind = |destination: &str, source: &str, key: &str| exchange::Bind {
        destination: destination.into(),
        source: source.into(),
        routing_key: key.into(),
        ..Default::default()
    };
    let refused = setting.refused("read", "a.b");
    assert_eq!(setting.channel().call(bind("other", "amq.topic", "a.b")).unwrap_err(), refused);
    setting.channel().call(bind("other", "amq.topic", "b.b")).unwrap();
    setting.channel().call(bind("amq.topic", "other", "a.b")).unwrap();
}

#[test]
fn other_exchanges_are_free() {
    let setting = Setting::new("^a$", "^a$");
    setting.channel().declare_exchange("other", "topic");
    for exchange in ["other", "amq.direct", "amq.fanout", "amq.headers"] {
        assert_eq!(setting.publish(exchange, "b", &[]), Ok(()), "{exchange}");
        setting.channel().call(bind(exchange, "b")).unwrap();
    }
}

/// On an exchange of another kind than topic they are not looked at, whatever its name.
#[test]
fn topic_permissions_of_a_fanout_exchange_count_for_nothing() {
    let setting = Setting::new(".*", ".*");
    let permission = json!({ "exchange": "amq.fanout", "write": "^a$", "read": "^a$" });
    assert_eq!(setting.broker.http().put(&setting.path(), &permission), Answer::empty(204));
    assert_eq!(setting.publish("amq.fanout", "b", &[]), Ok(()));
    setting.channel().call(bind("amq.fanout", "b")).unwrap();
}

#[test]
fn the_names_of_user_and_vhost_are_put_into_the_pattern() {
    let setting = Setting::new("^{username}-{vhost}\\.", "^{vhost}-{username}$");
    let (user, vhost) = (setting.user.name(), setting.vhost.name());
    assert_eq!(setting.publish("amq.topic", &format!("{user}-{vhost}.k"), &[]), Ok(()));
    let refused = setting.refused("write", "other.k");
    assert_eq!(setting.publish("amq.topic", "other.k", &[]), Err(refused));
    setting.channel().call(bind("amq.topic", &format!("{vhost}-{user}"))).unwrap();
}

/// It is a variable of other protocols: here it stands for itself.
#[test]
fn the_client_id_is_no_variable_in_amqp() {
    let setting = Setting::new("^{client_id}$", "");
    assert_eq!(setting.publish("amq.topic", "{client_id}", &[]), Ok(()));
    let refused = setting.refused("write", "k");
    assert_eq!(setting.publish("amq.topic", "k", &[]), Err(refused));
}

#[test]
fn an_empty_pattern_permits_the_empty_key_only() {
    let setting = Setting::new("", "");
    assert_eq!(setting.publish("amq.topic", "", &[]), Ok(()));
    let refused = setting.refused("write", "k");
    assert_eq!(setting.publish("amq.topic", "k", &[]), Err(refused));
}

#[test]
fn the_permission_of_the_exchange_is_asked_first() {
    let setting = Setting::new("^a$", "^a$");
    setting.vhost.permit(setting.user.name(), [".*", "^q$", "^q$"]);
    let user = setting.user.name();
    let exchange = "exchange 'amq.topic'";
    let refused = setting.vhost.access_refused("write", exchange, user);
    assert_eq!(setting.publish("amq.topic", "b", &[]), Err(refused));
    let refused = setting.vhost.access_refused("read", exchange, user);
    assert_eq!(setting.channel().call(bind("amq.topic", "b")).unwrap_err(), refused);
}

/// RabbitMQ keeps the answers of a channel: there a key that went through goes on to.
#[test]
fn a_change_counts_for_open_channels() {
    let setting = Setting::new("^a", "");
    let channel = setting.channel();
    let publish = |key: &str| {
        channel.publish("amq.topic", key, "m");
        channel.counts("q").map(drop)
    };
    publish("a1").unwrap();
    setting.permit("^b", "");
    publish("b").unwrap();
    let expected = |key| Err(setting.refused("write", key));
    if setting.broker.is_rabbitmq() {
        publish("a1").unwrap();
        assert_eq!(publish("a2"), expected("a2"));
    } else {
        assert_eq!(publish("a1"), expected("a1"));
    }
    assert_eq!(setting.broker.http().delete(&setting.path()), Answer::empty(204));
    assert_eq!(setting.publish("amq.topic", "a2", &[]), Ok(()));
}

#[test]
fn topic_permissions_are_set_read_and_deleted() {
    let setting = Setting::new("^a", "^b");
    let (http, path) = (setting.broker.http(), setting.path());
    let [vhost, user] = [setting.vhost.name(), setting.user.name()];
    let shown = |exchange: &str, write: &str, read: &str| json!({ "user": user, "vhost": vhost, "exchange": exchange, "write": write, "read": read });
    assert_eq!(http.get(&path).body, json!([shown("amq.topic", "^a", "^b")]));
    setting.channel().declare_exchange("other", "topic");
    let body = json!({ "exchange": "other", "write": "w", "read": "r" });
    // What the path names is there already, with another exchange.
    assert_eq!(http.put(&path, &body), Answer::empty(204));
    let both = json!([shown("amq.topic", "^a", "^b"), shown("other", "w", "r")]);
    assert_eq!(http.get(&["users", user, "topic-permissions"]).body, both);
    assert_eq!(http.get(&["vhosts", vhost, "topic-permissions"]).body, both);
    assert_eq!(http.delete(&[path[0], vhost, user, "other"]), Answer::empty(204));
    assert_eq!(http.get(&path).body, json!([shown("amq.topic", "^a", "^b")]));
    assert_eq!(http.delete(&path), Answer::empty(204));
    assert_eq!(http.get(&path), Answer::not_found());
    assert_eq!(http.delete(&path), Answer::not_found());
}

#[test]
fn what_makes_no_topic_permission_is_refused() {
    let setting = Setting::new("^a", "^b");
    let http = setting.broker.http();
    let whole = json!({ "exchange": "amq.topic", "write": "", "read": "" });
    for key in ["exchange", "write", "read"] {
        let mut body = whole.clone();
        body.as_object_mut().unwrap().remove(key);
        let reason = format!("[{{key_missing,{key}}}]");
        assert_eq!(http.put(&setting.path(), &body), Answer::bad_request(&reason));
    }
    let unknown = Answer::bad_request("vhost_or_user_not_found");
    let [collection, vhost, user] = setting.path();
    assert_eq!(http.put(&[collection, "no-such-vhost", user], &whole), unknown);
    assert_eq!(http.put(&[collection, vhost, "no-such-user"], &whole), unknown);
    // What RabbitMQ says of these two is an array of Erlang's making.
    let bad_pattern = json!({ "exchange": "amq.topic", "write": "(", "read": "" });
    let no_exchange = json!({ "exchange": "none", "write": "", "read": "" });
    for body in [bad_pattern, no_exchange] {
        assert_eq!(http.put(&setting.path(), &body).status, 400, "{body}");
    }
}
