//! Promise: every queue is reachable by its name through the default exchange, which cannot be changed.

use leveret_tests::broker::Broker;
use leveret_tests::closed::channel_closed;
use leveret_tests::{exchange, queue};

/// Check 15.
#[test]
fn the_default_exchange_is_not_to_be_touched() {
    let broker = Broker::start();
    let owner = broker.connect();
    let queue = owner.channel().exclusive_queue();
    let refused =
        channel_closed(403, "ACCESS_REFUSED - operation not permitted on the default exchange");
    let name = || queue.as_str().into();

    let bind = queue::Bind { queue: name(), ..Default::default() };
    assert_eq!(owner.channel().call(bind).unwrap_err(), refused, "bind");
    let unbind = queue::Unbind { queue: name(), routing_key: name(), ..Default::default() };
    assert_eq!(owner.channel().call(unbind).unwrap_err(), refused, "unbind");
    assert_eq!(
        owner
            .channel()
            .call(exchange::Declare { kind: "direct".into(), ..Default::default() })
            .unwrap_err(),
        refused,
        "declare"
    );
    let delete = exchange::Delete::default();
    assert_eq!(owner.channel().call(delete).unwrap_err(), refused, "delete");
    let bind = exchange::Bind { destination: "amq.topic".into(), ..Default::default() };
    assert_eq!(owner.channel().call(bind).unwrap_err(), refused, "exchange.bind");
}

/// Check 15.
#[test]
fn the_default_exchange_routes_to_the_queue_the_key_names() {
    let broker = Broker::start();
    let channel = broker.channel();
    let (one, two) = (channel.exclusive_queue(), channel.exclusive_queue());
    channel.publish("", &two, "hello");
    let message = channel.get(&two).unwrap();
    assert_eq!(
        (message.exchange.as_str(), message.routing_key.as_str(), message.body.as_str()),
        ("", two.as_str(), "hello")
    );
    assert_eq!(channel.get(&one), None);
}
