//! Promise: an exclusive queue belongs to one connection and ends with it.

use leveret_tests::broker::Broker;
use leveret_tests::client::Channel;
use leveret_tests::closed::{Closed, channel_closed};
use leveret_tests::{basic, queue};

fn locked(queue: &str) -> Closed {
    channel_closed(
        405,
        // The reply text is cut at 255 octets.
        format!(
            "RESOURCE_LOCKED - cannot obtain exclusive access to locked queue '{queue}' in vhost '/'. It could be \
             originally declared on another connection or the exclusive property value does not match that of the \
             original declaration."
        )
        .chars()
        .take(255)
        .collect::<String>(),
    )
}

/// Not a name from the broker: those are refused as reserved before anything else is looked at.
fn declare_named(broker: &Broker, owner: &Channel) -> String {
    let queue = broker.name("exclusive").into();
    owner.declare(queue::Declare { queue, exclusive: true, ..Default::default() })
}

type Attempt = fn(&Channel, &str) -> Option<Closed>;

/// What another connection may try.
const ATTEMPTS: [(&str, Attempt); 7] = [
    ("declare", |other, queue| {
        let queue = queue.into();
        other.call(queue::Declare { queue, exclusive: true, ..Default::default() }).err()
    }),
    ("passive declare", |other, queue| other.counts(queue).err()),
    ("consume", |other, queue| {
        other.try_consume(basic::Consume { queue: queue.into(), ..Default::default() }).err()
    }),
    ("get", |other, queue| other.try_get(queue, true).err()),
    ("purge", |other, queue| {
        other.call(queue::Purge { queue: queue.into(), ..Default::default() }).err()
    }),
    ("bind", |other, queue| {
        let (queue, exchange) = (queue.into(), "amq.direct".into());
        other.call(queue::Bind { queue, exchange, ..Default::default() }).err()
    }),
    ("delete", |other, queue| {
        other.call(queue::Delete { queue: queue.into(), ..Default::default() }).err()
    }),
];

/// Check 29.
#[test]
fn no_other_connection_may_touch_it() {
    let broker = Broker::start();
    let owner = broker.connect();
    let queue = declare_named(&broker, &owner.channel());
    for (what, attempt) in ATTEMPTS {
        assert_eq!(attempt(&broker.channel(), &queue), Some(locked(&queue)), "{what}");
    }
    // Publishing to it is what a reply queue is for.
    let other = broker.channel();
    other.confirm_select();
    other.publish("", &queue, "reply");
    other.confirms(1, 1);
    assert_eq!(owner.channel().get(&queue).unwrap().body, "reply");
}

/// Check 29.
#[test]
fn any_channel_of_its_connection_may_use_it() {
    let broker = Broker::start();
    let owner = broker.connect();
    let queue = declare_named(&broker, &owner.channel());
    owner.channel().consume(&queue, "c");
    let closed =
        owner.channel().call(queue::Declare { queue: queue.as_str().into(), ..Default::default() });
    assert_eq!(closed.unwrap_err(), locked(&queue), "not exclusive the second time");
}

/// Check 29. Clients rely on it: they connect again at once and declare the same name.
#[test]
fn it_is_gone_before_close_ok_is_sent() {
    let broker = Broker::start();
    for _ in 0..20 {
        let owner = broker.connect();
        let queue = owner.channel().exclusive_queue();
        owner.close();
        let closed = broker.channel().counts(&queue).unwrap_err();
        assert_eq!(closed.code, 404, "{closed:?}");
    }
}

#[test]
fn it_is_gone_after_the_socket_broke() {
    let broker = Broker::start();
    let owner = broker.connect();
    let name = declare_named(&broker, &owner.channel());
    drop(owner);
    leveret_tests::wait::until("the queue is gone", || {
        broker.channel().counts(&name).is_err_and(|closed| closed.code == 404).then_some(())
    });
}
