//! Promise: a channel fails alone, and its number can be used again.

use amq_protocol::frame::AMQPFrame;
use leveret_tests::broker::Broker;
use leveret_tests::closed::{channel_closed, connection_closed};
use leveret_tests::login::Login;
use leveret_tests::wire::Wire;
use leveret_tests::{AMQPClass, access, channel, connection, queue};

/// Check 7.
#[test]
fn a_second_open_of_a_channel_closes_the_connection() {
    let broker = Broker::start();
    let connection = broker.connect();
    connection.channel().send(channel::Open {});
    assert_eq!(
        connection.closed(),
        connection_closed(504, "CHANNEL_ERROR - second 'channel.open' seen")
    );
}

/// Check 7.
#[test]
fn a_method_on_a_channel_that_is_not_open_closes_the_connection() {
    let broker = Broker::start();
    let connection = broker.connect();
    connection.unopened_channel(7).send(queue::Declare::default());
    assert_eq!(
        connection.closed(),
        connection_closed(504, "CHANNEL_ERROR - expected 'channel.open'")
    );
}

/// Check 8.
#[test]
fn one_channel_more_than_channel_max_closes_the_connection() {
    let broker = Broker::start();
    let login = Login { channel_max: Some(3), ..Login::default() };
    let connection = login.open(broker.address()).unwrap();
    let mut open: Vec<_> = (1..=3).map(|number| connection.open_channel(number).unwrap()).collect();
    open.remove(1).close();
    connection.open_channel(2).unwrap();
    assert_eq!(
        connection.open_channel(4).unwrap_err(),
        connection_closed(
            530,
            "NOT_ALLOWED - number of channels opened (3) has reached the negotiated channel_max (3)"
        )
    );
}

/// Check 10.
#[test]
fn a_soft_error_closes_only_its_channel_and_the_number_can_be_opened_again() {
    let broker = Broker::start();
    let connection = broker.connect();
    let (failing, other) = (connection.channel(), connection.channel());
    assert_eq!(
        failing.counts("leveret-test-no-such-queue").unwrap_err(),
        channel_closed(404, "NOT_FOUND - no queue 'leveret-test-no-such-queue' in vhost '/'")
    );
    other.exclusive_queue();
    connection.open_channel(failing.number()).unwrap().exclusive_queue();
}

/// Check 10.
#[test]
fn what_is_in_flight_for_a_failed_channel_is_ignored_until_close_ok() {
    let broker = Broker::start();
    let mut wire = Wire::connect(broker.address());
    Login::default().start(&mut wire);
    Login::default().tune(&mut wire).unwrap();
    wire.send_method(0, connection::Open { virtual_host: "/".into() });
    wire.receive_method();
    wire.send_method(1, channel::Open {});
    wire.receive_method();

    let name = broker.name("never");
    let missing = queue::Declare {
        queue: broker.name("missing").into(),
        passive: true,
        ..Default::default()
    };
    wire.send_method(1, missing);
    let (_, method) = wire.receive_method();
    let AMQPClass::Channel(channel::AMQPMethod::Close(close)) = method else {
        panic!("expected channel.close, got {method:?}")
    };
    // The method that failed: queue.declare.
    assert_eq!((close.reply_code, close.class_id, close.method_id), (404, 50, 10));
    wire.send_method(1, queue::Declare { queue: name.as_str().into(), ..Default::default() });
    wire.send_method(1, channel::CloseOk {});
    wire.send_method(1, channel::Open {});
    let (_, method) = wire.receive_method();
    assert!(matches!(method, AMQPClass::Channel(channel::AMQPMethod::OpenOk(_))), "{method:?}");
    wire.send(&AMQPFrame::Heartbeat);

    assert_eq!(broker.channel().counts(&name).unwrap_err().code, 404);
}

#[test]
fn a_channel_close_is_answered_and_its_consumers_are_gone() {
    let broker = Broker::start();
    let connection = broker.connect();
    let (watching, closing) = (connection.channel(), connection.channel());
    let queue = watching.exclusive_queue();
    closing.consume(&queue, "c");
    assert_eq!(watching.counts(&queue).unwrap(), (0, 1));
    closing.close();
    leveret_tests::wait::until("the consumer is gone", || {
        (watching.counts(&queue).unwrap() == (0, 0)).then_some(())
    });
}

#[test]
fn flow_active_is_confirmed_and_flow_inactive_is_not_implemented() {
    let broker = Broker::start();
    let connection = broker.connect();
    let channel = connection.channel();
    assert!(channel.call(channel::Flow { active: true }).unwrap().active);
    assert_eq!(
        channel.call(channel::Flow { active: false }).unwrap_err(),
        connection_closed(540, "NOT_IMPLEMENTED - active=false")
    );
}

/// A class of AMQP 0-8 that old clients still send.
#[test]
fn access_request_is_granted() {
    let broker = Broker::start();
    broker.channel().call(access::Request::default()).unwrap();
}
