//! Promise: a clean stop tells every client, keeps what was confirmed, and ends with status 0.

use leveret_tests::broker::Broker;
use leveret_tests::closed::connection_closed;
use leveret_tests::wire::Wire;
use leveret_tests::{BasicProperties, queue};

#[test]
fn sigterm_closes_every_connection_with_320() {
    let mut broker = Broker::leveret(&[]);
    let connections = [broker.connect(), broker.connect(), broker.connect()];
    connections[0].channel().exclusive_queue();
    // One that is in the middle of its handshake has nothing to be told.
    let _silent = Wire::connect(broker.address());
    broker.terminate();
    for connection in &connections {
        assert_eq!(
            connection.closed(),
            connection_closed(
                320,
                "CONNECTION_FORCED - broker forced connection closure with reason 'shutdown'"
            )
        );
    }
    assert!(broker.wait().success());
}

#[test]
fn a_stop_under_load_keeps_every_confirmed_message() {
    let mut broker = Broker::leveret(&[]);
    let channel = broker.channel();
    channel.declare(queue::Declare { queue: "q".into(), durable: true, ..Default::default() });
    channel.confirm_select();
    for number in 0..5000 {
        let properties = BasicProperties::default().with_delivery_mode(2);
        channel.publish_with("", "q", properties, &number.to_string());
        if number == 2500 {
            channel.confirm();
            broker.terminate();
        }
    }
    assert_eq!(channel.closed().code, 320);
    assert!(broker.wait().success());
    let confirmed = highest_confirm(&channel);
    broker.restart();
    let (ready, _) = broker.channel().counts("q").unwrap();
    assert!(u64::from(ready) >= confirmed, "{confirmed} confirmed, {ready} there");
}

/// The highest number among the confirms in the inbox, which came in order.
fn highest_confirm(channel: &leveret_tests::client::Channel) -> u64 {
    use leveret_tests::{AMQPClass, basic};
    channel
        .unclaimed()
        .iter()
        .filter_map(|event| match &event.method {
            AMQPClass::Basic(basic::AMQPMethod::Ack(ack)) => Some(ack.delivery_tag),
            _ => None,
        })
        .max()
        .unwrap_or(1)
}

#[test]
fn a_client_that_does_not_answer_does_not_hold_up_the_stop() {
    let mut broker = Broker::leveret(&[]);
    let login = leveret_tests::login::Login::default();
    let mut deaf = Wire::connect(broker.address());
    login.start(&mut deaf);
    login.tune(&mut deaf).unwrap();
    deaf.send_method(0, leveret_tests::connection::Open { virtual_host: "/".into() });
    deaf.receive_method();
    broker.stop();
}
