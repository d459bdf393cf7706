//! Promise: a peer that has gone silent is noticed, and one that has not is left alone.

use std::time::{Duration, Instant};

use amq_protocol::frame::AMQPFrame;
use leveret_tests::broker::Broker;
use leveret_tests::closed::Closed;
use leveret_tests::connection;
use leveret_tests::login::Login;
use leveret_tests::wire::{Received, Wire};

fn open_with_heartbeat(broker: &Broker, heartbeat_secs: u16) -> Wire {
    let login = Login { heartbeat_secs, ..Login::default() };
    let mut wire = Wire::connect(broker.address());
    login.start(&mut wire);
    login.tune(&mut wire).unwrap();
    wire.send_method(0, connection::Open { virtual_host: "/".into() });
    wire.receive_method();
    wire
}

/// Check 12.
#[test]
fn a_client_silent_for_two_intervals_loses_its_socket_without_a_word() {
    let broker = Broker::start();
    let login = Login { heartbeat_secs: 1, ..Login::default() };
    let connection = login.open(broker.address()).unwrap();
    let before = Instant::now();
    assert_eq!(connection.closed(), Closed::socket());
    assert!(before.elapsed() >= Duration::from_millis(900), "after {:?}", before.elapsed());
}

/// Check 12.
#[test]
fn the_broker_sends_heartbeats_and_any_octet_of_the_client_keeps_it_alive() {
    let broker = Broker::start();
    let mut wire = open_with_heartbeat(&broker, 1);
    // Each heartbeat of the broker is answered with one of ours; six of them are three times the patience.
    for _ in 0..6 {
        assert_eq!(
            wire.receive_within(Duration::from_secs(3)),
            Some(Received::Frame(AMQPFrame::Heartbeat))
        );
        wire.send(&AMQPFrame::Heartbeat);
    }
}

/// Check 12.
#[test]
fn without_heartbeats_silence_is_fine() {
    let broker = Broker::start();
    let mut wire = open_with_heartbeat(&broker, 0);
    assert_eq!(wire.receive_within(Duration::from_secs(3)), None);
}
