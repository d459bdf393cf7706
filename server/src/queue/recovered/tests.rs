//! What a restart makes of what the store has kept.

use amq_protocol::protocol::BasicProperties;
use amq_protocol::types::AMQPValue;
use leveret_persistence::{Message, Stamp};

use super::super::entry::NEVER;
use super::super::lane::Next;
use super::super::testing::{COMMITTED, raw, with_header};
use super::*;

fn came_back(id: MessageId, deliveries: u32, retries: u32, due_ms: u64) -> Progress {
    Progress { id, deliveries, retries, due_ms }
}

fn scanned(id: MessageId, properties: Vec<u8>, body_len: u64) -> Scanned {
    let stamp = Stamp { arrived_ms: 1000, flags: 0 };
    Scanned { id, stamp, properties, body_len }
}

fn with_priority(priority: u8) -> Vec<u8> {
    raw(&BasicProperties::default().with_priority(priority))
}

/// Takes everything in order, with a store that has everything.
fn take_all(mut ready: Ready) -> Vec<(MessageId, Mark)> {
    let mut taken = Vec::new();
    loop {
        match ready.pop() {
            Next::Message(entry) => taken.push((entry.id, entry.mark)),
            Next::Empty => return taken,
            Next::InStore => {
                let (priority, asked) = ready.wanted().unwrap();
                let message = Message::new(b"", b"", b"", b"x");
                let found = asked.iter().map(|id| (*id, message.clone())).collect();
                ready.loaded(priority, &asked, found, COMMITTED, |_| NEVER);
            }
        }
    }
}

fn waits(waiting: &Waiting) -> Vec<(u64, MessageId, u32)> {
    waiting.list(0, usize::MAX).collect()
}

#[test]
fn what_came_back_is_remembered_and_what_waits_is_not_ready() {
    let progress = [
        came_back(2, 1, 0, 0),
        came_back(3, 2, 2, 5000),
        came_back(4, 1, 1, 0),
        came_back(99, 1, 1, 5000),
    ];
    let plain = Mark { durable: true, redelivered: true, ..Mark::default() };
    let expected = [
        (1, plain),
        (2, Mark { acquired: 1, deliveries: 1, ..plain }),
        (4, Mark { acquired: 1, deliveries: 1, retries: 1, ..plain }),
        (5, Mark { redelivered: false, ..plain }),
    ];
    let scan = || {
        let mut backlog = Backlog::to_scan(4, &progress);
        let messages: Vec<_> = (1..=5).map(|id| scanned(id, vec![0, 0], 10)).collect();
        // In as many reads as it takes.
        messages.chunks(2).for_each(|some| backlog.scanned(&Rules::default(), some));
        backlog
    };
    for backlog in [Backlog::new((1..=5).collect(), 4, &progress), scan()] {
        let (ready, waiting) = backlog.into_parts();
        assert_eq!(waits(&waiting), [(5000, 3, 2)], "99 is not of this queue any more");
        assert_eq!(take_all(ready), expected);
    }
}

#[test]
fn a_queue_with_priorities_finds_its_lanes_again() {
    let rules = Rules { max_priority: 3, default_priority: 1, ..Rules::default() };
    assert!(Backlog::needs_scan(&rules));
    let mut backlog = Backlog::to_scan(0, &[came_back(3, 1, 1, 9000)]);
    backlog.scanned(
        &rules,
        &[
            scanned(1, vec![0, 0], 10),
            scanned(2, with_priority(3), 10),
            scanned(3, with_priority(2), 10),
            scanned(4, with_priority(9), 10),
            scanned(5, with_priority(0), 10),
        ],
    );
    let (ready, mut waiting) = backlog.into_parts();
    assert_eq!(ready.body_bytes(), 40, "what waits does not count");
    let order: Vec<_> = take_all(ready).into_iter().map(|(id, mark)| (id, mark.priority)).collect();
    assert_eq!(order, [(2, 3), (4, 3), (1, 1), (5, 0)]);
    let kept = waiting.take_due(9000, COMMITTED).unwrap();
    assert_eq!((kept.id, kept.mark.priority, kept.body_len), (3, 2, 10));
}

#[test]
fn the_sizes_of_bodies_are_known_only_if_they_were_looked_at() {
    let plain = Backlog::new((1..=3).collect(), 0, &[]);
    assert!(plain.into_parts().0.unmeasured().is_some());
    let rules = Rules { max_length_bytes: Some(100), ..Rules::default() };
    assert!(Backlog::needs_scan(&rules));
    assert!(!Backlog::needs_scan(&Rules::default()));
    let mut backlog = Backlog::to_scan(0, &[]);
    backlog.scanned(&rules, &[scanned(1, vec![0, 0], 10), scanned(2, vec![0, 0], 32)]);
    let (ready, _) = backlog.into_parts();
    assert!(ready.unmeasured().is_none());
    assert_eq!((ready.len(), ready.body_bytes()), (2, 42));
}

#[test]
fn what_a_delayed_exchange_keeps_waits_for_its_time() {
    let rules = Rules { keeps: Keeps::UntilDue, ..Rules::default() };
    assert!(Backlog::needs_scan(&rules));
    let mut backlog = Backlog::to_scan(0, &[]);
    let delayed = |ms| with_header(delay::X_DELAY, AMQPValue::LongInt(ms));
    backlog.scanned(&rules, &[scanned(1, delayed(500), 1), scanned(2, delayed(200), 1)]);
    let (ready, waiting) = backlog.into_parts();
    assert_eq!(ready.len(), 0);
    assert_eq!(waits(&waiting), [(1200, 2, 0), (1500, 1, 0)]);
}
