//! Promise: a client that is slow, silent or greedy costs itself, and nobody else.

use std::time::{Duration, Instant};

use leveret_tests::broker::Broker;
use leveret_tests::wire::{PROTOCOL_HEADER, Received, Wire};
use leveret_tests::{BasicProperties, queue, wait};

#[test]
fn a_client_that_never_speaks_is_dropped_after_the_handshake_timeout() {
    let broker = Broker::leveret(&["--handshake-timeout", "1"]);
    let mut silent = Wire::connect(broker.address());
    let mut stuck = Wire::connect(broker.address());
    stuck.send_bytes(&PROTOCOL_HEADER).unwrap();
    stuck.receive_method();
    let before = Instant::now();
    assert_eq!(silent.receive(), Received::End);
    stuck.drain();
    let elapsed = before.elapsed();
    assert!(elapsed < Duration::from_secs(5), "after {elapsed:?}");
    broker.channel().exclusive_queue();
}

/// Octet by octet is speaking, but it is not a handshake.
#[test]
fn a_client_that_speaks_too_slowly_is_dropped_too() {
    let broker = Broker::leveret(&["--handshake-timeout", "1"]);
    let mut slow = Wire::connect(broker.address());
    let mut octets = PROTOCOL_HEADER.iter().cycle();
    wait::until("the slow client is dropped", || {
        let sent = slow.send_bytes(&[*octets.next()?]);
        let answer = slow.receive_within(Duration::from_millis(300));
        (sent.is_err() || answer == Some(Received::End)).then_some(())
    });
}

/// The publisher is not held up, other consumers are served, and the broker's memory stays bounded.
#[test]
fn a_consumer_that_does_not_read_its_socket_holds_up_no_one() {
    const BODY_LEN: usize = 100_000;
    const COUNT: usize = 2000;
    let broker = Broker::leveret(&[]);
    let deaf = broker.channel();
    let queue = broker.name("q");
    deaf.declare(queue::Declare { queue: queue.as_str().into(), ..Default::default() });
    deaf.consume_no_ack(&queue, "deaf");

    let publisher = broker.channel();
    publisher.confirm_select();
    let body = "x".repeat(BODY_LEN);
    for _ in 0..COUNT {
        publisher.publish("", &queue, &body);
    }
    assert_eq!(publisher.confirms(1, COUNT as u64), [0; 0]);
    assert!(resident_bytes(broker.pid()) < 500_000_000, "{} bytes", resident_bytes(broker.pid()));

    let hearing = broker.channel();
    hearing.prefetch(10);
    hearing.consume(&queue, "hearing");
    for _ in 0..100 {
        let delivery_tag = hearing.delivery().delivery_tag;
        hearing.ack(delivery_tag);
    }
}

#[test]
fn a_publisher_that_outruns_the_disk_is_slowed_down_and_loses_nothing() {
    const COUNT: u64 = 20_000;
    let broker = Broker::leveret(&[]);
    let channel = broker.channel();
    channel.declare(queue::Declare { queue: "q".into(), durable: true, ..Default::default() });
    channel.confirm_select();
    let body = "x".repeat(10_000);
    for _ in 0..COUNT {
        channel.publish_with("", "q", BasicProperties::default().with_delivery_mode(2), &body);
    }
    assert_eq!(channel.confirms(1, COUNT), [0; 0]);
    assert_eq!(u64::from(channel.counts("q").unwrap().0), COUNT);
    assert!(resident_bytes(broker.pid()) < 500_000_000, "{} bytes", resident_bytes(broker.pid()));
}

#[test]
fn a_thousand_connections_and_channels_are_nothing_special() {
    let broker = Broker::leveret(&[]);
    let connections: Vec<_> = (0..500).map(|_| broker.connect()).collect();
    let channels: Vec<_> =
        connections.iter().map(leveret_tests::client::Connection::channel).collect();
    let queue = channels[0].exclusive_queue();
    for channel in &channels {
        channel.publish("", &queue, "m");
    }
    wait::until("all have published", || {
        (channels[0].counts(&queue).unwrap().0 == 500).then_some(())
    });
}

/// The resident memory of a process, from Linux's `/proc`.
fn resident_bytes(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let kilobytes = status.lines().find_map(|line| {
        line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok()
    });
    kilobytes.unwrap() * 1024
}
