//! Promise: what an operator permits or forbids counts for the connections that are open (check 82).
//!
//! RabbitMQ keeps the last twelve answers of each channel, so there a channel goes on with what it did before. In Leveret
//! it does not. What the channel has not done before is checked against the new permissions by both.

use leveret_tests::broker::Broker;
use leveret_tests::client::Channel;
use leveret_tests::closed::Closed;
use leveret_tests::operator::{PASSWORD, User, Vhost};
use leveret_tests::{basic, queue};

const EVERYTHING: [&str; 3] = [".*", ".*", ".*"];

/// A vhost, a user that may do everything in it, and a queue `q`.
fn setting(broker: &Broker) -> (Vhost, User) {
    let (vhost, user) = (Vhost::new(broker), User::new(broker));
    vhost.permit(user.name(), EVERYTHING);
    declare(&vhost.channel(), "q").unwrap();
    (vhost, user)
}

fn declare(channel: &Channel, queue: &str) -> Result<(), Closed> {
    let declare = queue::Declare { queue: queue.into(), durable: true, ..Default::default() };
    channel.call(declare).map(drop)
}

/// Publishes to `q` and says how the broker took it.
fn publish(channel: &Channel) -> Result<(), Closed> {
    channel.publish("", "q", "m");
    channel.call(basic::Qos::default()).map(drop)
}

#[test]
fn what_a_channel_has_not_done_before_is_checked_against_the_new_permissions() {
    let broker = Broker::start();
    let (vhost, user) = setting(&broker);
    let connection = vhost.login(user.name(), PASSWORD).unwrap();
    let channel = connection.channel();
    declare(&channel, "q").unwrap();
    vhost.permit(user.name(), ["", ".*", ".*"]);
    let refused =
        |queue: &str| vhost.access_refused("configure", &format!("queue '{queue}'"), user.name());
    assert_eq!(declare(&connection.channel(), "q").unwrap_err(), refused("q"));
    assert_eq!(declare(&channel, "another").unwrap_err(), refused("another"));
    vhost.permit(user.name(), EVERYTHING);
    declare(&connection.channel(), "another").unwrap();
}

#[test]
fn a_channel_cannot_go_on_publishing_where_it_may_no_longer_write() {
    let broker = Broker::start();
    let (vhost, user) = setting(&broker);
    let channel = vhost.channel_of(&user);
    publish(&channel).unwrap();
    vhost.permit(user.name(), [".*", "", ".*"]);
    let refused = vhost.access_refused("write", "exchange 'amq.default'", user.name());
    let expected = if broker.is_rabbitmq() { Ok(()) } else { Err(refused) };
    assert_eq!(publish(&channel), expected);
}

#[test]
fn a_channel_cannot_go_on_getting_and_declaring_without_the_right() {
    let broker = Broker::start();
    let (vhost, user) = setting(&broker);
    let (getting, declaring) = (vhost.channel_of(&user), vhost.channel_of(&user));
    getting.try_get("q", true).unwrap();
    declare(&declaring, "q").unwrap();
    vhost.permit(user.name(), ["", "", ""]);
    let got = getting.try_get("q", true).map(drop);
    let declared = declare(&declaring, "q");
    if broker.is_rabbitmq() {
        assert_eq!((got, declared), (Ok(()), Ok(())));
    } else {
        let refused = |right| vhost.access_refused(right, "queue 'q'", user.name());
        assert_eq!(got.unwrap_err(), refused("read"));
        assert_eq!(declared.unwrap_err(), refused("configure"));
    }
}

#[test]
fn a_consumer_goes_on_when_the_right_to_read_is_taken() {
    let broker = Broker::start();
    let (vhost, user) = setting(&broker);
    let consumer = vhost.channel_of(&user);
    consumer.consume_no_ack("q", "c");
    vhost.permit(user.name(), ["", "", ""]);
    vhost.channel().publish("", "q", "m");
    assert_eq!(consumer.delivery().body, "m");
}

#[test]
fn a_connection_stays_open_in_a_vhost_in_which_it_may_do_nothing() {
    let broker = Broker::start();
    let (vhost, user) = setting(&broker);
    let connection = vhost.login(user.name(), PASSWORD).unwrap();
    let channel = connection.channel();
    vhost.forbid(user.name());
    channel.call(basic::Qos::default()).unwrap();
    let refused = vhost.access_refused("configure", "queue 'q'", user.name());
    assert_eq!(declare(&connection.channel(), "q").unwrap_err(), refused);
    let closed = vhost.login(user.name(), PASSWORD).unwrap_err();
    assert_eq!(closed.code, 530);
}
