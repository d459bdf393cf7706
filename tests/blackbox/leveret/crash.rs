//! Promise: a SIGKILL at any instant loses nothing that was confirmed, brings back nothing whose acknowledgement was
//! committed, and gives nothing a second time without marking it.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread;

use leveret_tests::broker::Broker;
use leveret_tests::client::{Channel, Message};
use leveret_tests::closed::Closed;
use leveret_tests::login::Login;
use leveret_tests::wait::DEADLINE;
use leveret_tests::{AMQPClass, BasicProperties, basic, queue, tx};

/// Publishes outstanding at any time.
const WINDOW: u64 = 200;
/// Deliveries that the consumer acknowledges in one transaction.
const ACK_BATCH: usize = 25;
/// A queue that is consumed while messages come in.
const BUSY: &str = "busy";
/// A queue that is only filled; it is bound to the same exchange.
const BACKLOG: &str = "backlog";

/// What was published. Messages are numbered, and carry their number as body.
#[derive(Default)]
struct Published {
    next: u64,
    confirmed: BTreeSet<u64>,
}

/// What was received from the busy queue.
#[derive(Default)]
struct Received {
    delivered: BTreeSet<u64>,
    /// Acknowledged in a transaction whose commit-ok arrived.
    settled: BTreeSet<u64>,
}

impl Received {
    fn take(&mut self, message: &Message) -> u64 {
        let number = message.body.parse().expect("bodies are numbers");
        assert!(!self.settled.contains(&number), "{number} was acknowledged and came back");
        let first_time = self.delivered.insert(number);
        assert!(first_time || message.redelivered, "{number} came again and was not marked");
        number
    }
}

/// Check 39, again and again under load. `LEVERET_CRASH_ROUNDS` sets how often.
#[test]
fn every_promise_holds_over_many_kills_under_load() {
    let rounds: u64 = std::env::var("LEVERET_CRASH_ROUNDS")
        .map_or(30, |rounds| rounds.parse().expect("LEVERET_CRASH_ROUNDS is a number"));
    let mut broker = Broker::leveret(&[]);
    let channel = broker.channel();
    for queue in [BUSY, BACKLOG] {
        channel.declare(queue::Declare {
            queue: queue.into(),
            durable: true,
            ..Default::default()
        });
        channel.bind(queue, "amq.fanout", "");
    }
    let mut published = Published::default();
    let mut received = Received::default();
    for round in 0..rounds {
        let address = broker.address();
        let (ready, consuming) = mpsc::channel();
        let consumer = thread::spawn(move || {
            let closed = consume_until_closed(address, &ready, &mut received);
            (closed, received)
        });
        consuming.recv_timeout(DEADLINE).expect("the consumer starts");
        // The kill comes after another number of confirms each time, with as many as the window under way.
        publish_until_confirmed(&broker, &mut published, 50 + round * 997 % 1500);
        broker.kill();
        let (closed, after) = consumer.join().expect("the consumer found nothing wrong");
        assert_eq!(closed, Closed::socket(), "round {round}");
        received = after;
        broker.restart();
    }
    check_what_is_left(&broker, &published, received);
}

/// Publishes to both queues until `count` more are confirmed.
fn publish_until_confirmed(broker: &Broker, published: &mut Published, count: u64) {
    let channel = broker.channel();
    channel.confirm_select();
    let first = published.next;
    let mut open = BTreeSet::new();
    let mut confirmed = 0;
    while confirmed < count {
        while (open.len() as u64) < WINDOW {
            let properties = BasicProperties::default().with_delivery_mode(2);
            channel.publish_with("amq.fanout", "", properties, &published.next.to_string());
            open.insert(published.next);
            published.next += 1;
        }
        let (tag, multiple, acked) = channel.confirm();
        assert!(acked, "the broker refused a message");
        // Confirms count from 1 on each channel.
        let number = first + tag - 1;
        let settled: Vec<u64> =
            if multiple { open.range(..=number).copied().collect() } else { vec![number] };
        for number in settled {
            assert!(open.remove(&number), "{number} was confirmed twice");
            published.confirmed.insert(number);
            confirmed += 1;
        }
    }
}

/// Consumes the busy queue, acknowledging in transactions, until the broker dies.
fn consume_until_closed(
    address: SocketAddr,
    ready: &mpsc::Sender<()>,
    received: &mut Received,
) -> Closed {
    let channel = match Login::default().open(address) {
        Ok(connection) => connection.channel(),
        Err(closed) => return closed,
    };
    let Err(closed) = consume(&channel, ready, received);
    closed
}

fn consume(
    channel: &Channel,
    ready: &mpsc::Sender<()>,
    received: &mut Received,
) -> Result<Infallible, Closed> {
    channel.call(tx::Select {})?;
    channel.call(basic::Qos { prefetch_count: 100, ..Default::default() })?;
    channel.try_consume(basic::Consume { queue: BUSY.into(), ..Default::default() })?;
    ready.send(()).expect("the test waits for this");
    loop {
        let mut batch = Vec::new();
        let mut last = 0;
        for _ in 0..ACK_BATCH {
            let message = channel.wait_for(|event| match event.method {
                AMQPClass::Basic(basic::AMQPMethod::Deliver(_)) => event.message(),
                _ => None,
            })?;
            last = message.delivery_tag;
            batch.push(received.take(&message));
        }
        channel.send(basic::Ack { delivery_tag: last, multiple: true });
        channel.call(tx::Commit {})?;
        received.settled.extend(batch);
    }
}

/// Both queues are emptied after the last restart: nothing that was confirmed may be missing from either.
fn check_what_is_left(broker: &Broker, published: &Published, mut received: Received) {
    let channel = broker.channel();
    let mut left = BTreeSet::new();
    while let Some(message) = channel.get(BUSY) {
        left.insert(received.take(&message));
    }
    let missing: Vec<_> = published.confirmed.difference(&received.delivered).collect();
    assert!(missing.is_empty(), "confirmed and lost from {BUSY}: {missing:?}");

    let mut backlog = Vec::new();
    while let Some(message) = channel.get(BACKLOG) {
        backlog.push(message.body.parse::<u64>().expect("bodies are numbers"));
    }
    assert!(backlog.is_sorted_by(|one, next| one < next), "the backlog is out of order or doubled");
    let backlog = BTreeSet::from_iter(backlog);
    let missing: Vec<_> = published.confirmed.difference(&backlog).collect();
    assert!(missing.is_empty(), "confirmed and lost from {BACKLOG}: {missing:?}");
    // A message and all its queue entries are one transaction: what the store kept for one queue it kept for the other.
    let halves: Vec<_> = left.difference(&backlog).collect();
    assert!(halves.is_empty(), "in {BUSY} and not in {BACKLOG}: {halves:?}");
}
