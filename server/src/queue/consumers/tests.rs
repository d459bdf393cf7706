//! Whose turn it is, choice by choice; `queue/model.rs` has them mixed.

use super::super::testing::{self, channel};
use super::*;

/// A consumer on the channel of its own number that acknowledges without a limit, but for what `change` says.
fn spec(id: u64, change: impl FnOnce(&mut ConsumerSpec)) -> ConsumerSpec {
    let mut spec = testing::spec(id, channel(id));
    change(&mut spec);
    spec
}

fn consumers(specs: impl IntoIterator<Item = ConsumerSpec>) -> Consumers {
    let mut consumers = Consumers::new(false);
    join(&mut consumers, specs);
    consumers
}

fn join(consumers: &mut Consumers, specs: impl IntoIterator<Item = ConsumerSpec>) {
    for spec in specs {
        consumers.add(spec).unwrap();
    }
}

/// Who gets the next messages, at most `count`, each of one byte.
fn turns(consumers: &mut Consumers, count: usize) -> Vec<u64> {
    std::iter::from_fn(|| consumers.take_turn(1)).map(|turn| turn.consumer.0).take(count).collect()
}

#[test]
fn equal_consumers_take_turns() {
    let mut consumers = consumers((1..=3).map(|id| spec(id, |_| {})));
    assert_eq!(turns(&mut consumers, 7), [1, 2, 3, 1, 2, 3, 1]);
    join(&mut consumers, [spec(4, |_| {})]);
    assert_eq!(turns(&mut consumers, 4), [2, 3, 1, 4]);
}

#[test]
fn higher_priorities_come_first_while_they_have_room() {
    let mut consumers = consumers([
        spec(1, |_| {}),
        spec(2, |spec| (spec.priority, spec.prefetch) = (5, 2)),
        spec(3, |spec| spec.priority = -1),
        spec(4, |spec| (spec.priority, spec.prefetch) = (5, 1)),
    ]);
    assert_eq!(turns(&mut consumers, 6), [2, 4, 2, 1, 1, 1]);
    consumers.settled(ConsumerId(2), 1);
    assert_eq!(turns(&mut consumers, 3), [2, 1, 1]);
}

#[test]
fn prefetch_limits_what_a_consumer_holds_unless_it_does_not_acknowledge() {
    for (no_ack, prefetch, expected) in
        [(false, 1, 1), (false, 3, 3), (false, 0, 100), (true, 3, 100)]
    {
        let mut consumers = consumers([spec(1, |spec| {
            (spec.no_ack, spec.prefetch) = (no_ack, prefetch);
        })]);
        assert_eq!(turns(&mut consumers, 100).len(), expected, "{no_ack} {prefetch}");
    }
}

#[test]
fn a_settled_delivery_makes_room_for_one_more() {
    let mut consumers = consumers([spec(1, |spec| spec.prefetch = 3)]);
    assert_eq!(turns(&mut consumers, 9).len(), 3);
    assert!(!consumers.any_has_room());
    consumers.settled(ConsumerId(1), 2);
    assert!(consumers.any_has_room());
    assert_eq!(turns(&mut consumers, 9).len(), 2);
}

#[test]
fn a_full_window_passes_a_consumer_over_until_its_connection_has_read() {
    // Bytes a message, and how many of them the window takes.
    for (bytes, room) in [
        (1, CONSUMER_WINDOW_MESSAGES),
        (CONSUMER_WINDOW_BYTES / 2, 2),
        (CONSUMER_WINDOW_BYTES / 2 + 1, 2),
        (CONSUMER_WINDOW_BYTES - 1, 2),
        (2 * CONSUMER_WINDOW_BYTES, 1),
    ] {
        let mut consumers = consumers([spec(1, |spec| spec.no_ack = true)]);
        for sent in 0..room {
            assert!(consumers.take_turn(bytes).is_some(), "{bytes} {sent}");
        }
        assert!(consumers.take_turn(bytes).is_none(), "{bytes}");
        consumers.window_freed(ConsumerId(1), 1, bytes);
        assert!(consumers.take_turn(bytes).is_some(), "{bytes}");
        assert!(consumers.take_turn(bytes).is_none(), "{bytes}");
    }
}

#[test]
fn the_limit_of_a_channel_holds_over_all_its_consumers_that_acknowledge() {
    let limit = Arc::new(ChannelLimit::default());
    limit.set(3);
    let on_channel = |id, no_ack| {
        spec(id, |spec| {
            (spec.channel, spec.no_ack) = (channel(1), no_ack);
            spec.channel_limit = Arc::clone(&limit);
        })
    };
    let mut consumers = consumers([on_channel(1, false), on_channel(2, false)]);
    assert_eq!(turns(&mut consumers, 9), [1, 2, 1]);

    consumers.settled(ConsumerId(1), 1);
    assert_eq!(turns(&mut consumers, 9), [] as [u64; 0], "the channel has not counted it yet");
    limit.release(1);
    consumers.channel_freed(channel(2));
    assert_eq!(turns(&mut consumers, 9), [] as [u64; 0], "another channel");
    consumers.channel_freed(channel(1));
    assert_eq!(turns(&mut consumers, 9), [1]);

    join(&mut consumers, [on_channel(3, true), spec(4, |spec| spec.prefetch = 1)]);
    assert_eq!(turns(&mut consumers, 4), [3, 4, 3, 3]);
    limit.set(0);
    consumers.channel_freed(channel(1));
    assert_eq!(turns(&mut consumers, 4), [3, 1, 2, 3]);
}

#[test]
fn an_exclusive_consumer_is_the_only_one() {
    let refused = Err(ConsumeError::InExclusiveUse);
    // Single active; whether the first and the second are exclusive, and what the second one hears.
    for (single_active, first, second, expected) in [
        (false, false, false, Ok(())),
        (false, false, true, refused),
        (false, true, false, refused),
        (false, true, true, refused),
        (true, false, false, Ok(())),
        (true, false, true, refused),
    ] {
        let mut consumers = Consumers::new(single_active);
        join(&mut consumers, [spec(1, |spec| spec.exclusive = first)]);
        let heard = consumers.add(spec(2, |spec| spec.exclusive = second));
        assert_eq!(heard, expected, "{single_active} {first} {second}");
        assert_eq!(consumers.len(), 1 + usize::from(expected.is_ok()));

        consumers.remove(|spec| spec.id == ConsumerId(1));
        consumers.remove(|spec| spec.id == ConsumerId(2));
        assert!(consumers.is_empty());
        join(&mut consumers, [spec(3, |_| {})]);
    }
    let alone = spec(1, |spec| spec.exclusive = true);
    assert_eq!(Consumers::new(true).add(alone), refused, "not with a single active consumer");
}

#[test]
fn the_active_consumer_stays_until_it_leaves() {
    let mut consumers = Consumers::new(true);
    join(
        &mut consumers,
        [
            spec(1, |spec| spec.prefetch = 2),
            spec(2, |_| {}),
            spec(3, |spec| spec.priority = 9),
            spec(4, |spec| spec.priority = 9),
        ],
    );
    assert_eq!(turns(&mut consumers, 5), [1, 1], "nobody helps out while it is full");
    consumers.settled(ConsumerId(1), 1);
    assert_eq!(turns(&mut consumers, 5), [1]);
    consumers.remove(|spec| spec.id == ConsumerId(2));
    consumers.settled(ConsumerId(1), 1);
    assert_eq!(turns(&mut consumers, 5), [1], "another one that leaves changes nothing");
    consumers.remove(|spec| spec.id == ConsumerId(1));
    assert_eq!(turns(&mut consumers, 2), [3, 3], "priority first, then registration");
    consumers.remove(|spec| spec.priority == 9);
    assert!(!consumers.any_has_room() && consumers.is_empty());
    join(&mut consumers, [spec(5, |_| {})]);
    assert_eq!(turns(&mut consumers, 1), [5]);
}

#[test]
fn a_consumer_that_leaves_loses_its_turn_and_its_priority_is_forgotten() {
    let mut consumers = consumers([spec(0, |_| {})]);
    for id in 1..100 {
        let priority = i64::try_from(id).unwrap();
        join(&mut consumers, [spec(id, |spec| spec.priority = priority)]);
        assert_eq!(turns(&mut consumers, 1), [id]);
        let gone = consumers.remove(|spec| spec.id == ConsumerId(id));
        assert_eq!(gone.len(), 1);
    }
    assert_eq!(turns(&mut consumers, 2), [0, 0]);
    assert_eq!(consumers.rings.len(), 1);
}

#[test]
fn a_consumer_is_behind_when_only_its_window_is_full_and_it_has_not_stalled() {
    let full = CONSUMER_WINDOW_BYTES;
    let mut consumers = consumers([spec(1, |spec| spec.prefetch = 2)]);
    assert!(!consumers.any_behind());
    consumers.take_turn(full).unwrap();
    assert!(consumers.any_behind());
    consumers.stall();
    assert!(!consumers.any_behind());
    consumers.window_freed(ConsumerId(1), 1, full);
    consumers.take_turn(full).unwrap();
    assert!(!consumers.any_behind(), "its prefetch is used up too");
    consumers.settled(ConsumerId(1), 1);
    assert!(consumers.any_behind());

    let mut single = Consumers::new(true);
    join(&mut single, [spec(1, |_| {}), spec(2, |_| {})]);
    single.take_turn(full).unwrap();
    assert!(single.any_behind());
    single.remove(|spec| spec.id == ConsumerId(1));
    assert!(!single.any_behind());
}

#[test]
fn gathered_deliveries_are_sent_once_and_in_order() {
    let mut consumers = consumers((1..=3).map(|id| spec(id, |_| {})));
    for (consumer, id) in [(1, 10), (2, 11), (1, 12)] {
        let message = Message::new(b"", b"", b"", b"");
        let delivery = Delivery { id, number: 0, redelivered: false, message };
        let turn = consumers.take_turn_of(ConsumerId(consumer), 1).unwrap();
        consumers.gather(turn, delivery);
    }
    for expected in [vec![(1, vec![10, 12]), (2, vec![11])], vec![]] {
        let mut sent = Vec::new();
        consumers.flush(|spec, deliveries| {
            let ids = deliveries.iter().map(|delivery| delivery.id).collect::<Vec<_>>();
            sent.push((spec.id.0, ids));
        });
        assert_eq!(sent, expected);
    }
}

#[test]
fn a_turn_out_of_turn_counts_like_any_other_and_changes_no_order() {
    let one = |spec: &mut ConsumerSpec| spec.prefetch = 2;
    let mut consumers = consumers([spec(1, |_| {}), spec(2, one), spec(3, |_| {})]);
    assert!(consumers.take_turn_of(ConsumerId(2), 1).is_some());
    assert_eq!(turns(&mut consumers, 2), [1, 2]);
    assert!(consumers.take_turn_of(ConsumerId(2), 1).is_none(), "its prefetch is used up");
    assert_eq!(turns(&mut consumers, 3), [3, 1, 3]);
    consumers.settled(ConsumerId(2), 1);
    assert!(consumers.take_turn_of(ConsumerId(2), 1).is_some());
    assert!(consumers.take_turn_of(ConsumerId(9), 1).is_none(), "nobody has that id");
    assert_eq!(turns(&mut consumers, 2), [1, 3], "it has left the ring");

    let limit = Arc::new(ChannelLimit::default());
    limit.set(1);
    join(&mut consumers, [spec(4, |spec| spec.channel_limit = Arc::clone(&limit))]);
    assert!(consumers.take_turn_of(ConsumerId(4), 1).is_some());
    assert!(consumers.take_turn_of(ConsumerId(4), 1).is_none(), "the limit of its channel");
}

#[test]
fn the_capacity_is_what_the_consumers_would_take_now() {
    let window = u64::from(CONSUMER_WINDOW_MESSAGES);
    // Single active; whether each does not acknowledge, and its prefetch; what they would take.
    for (single_active, members, expected) in [
        (false, vec![], 0),
        (false, vec![(false, 3)], 3),
        (false, vec![(true, 3)], window),
        (false, vec![(false, 0)], window),
        (false, vec![(false, 3), (false, 4)], 7),
        (true, vec![(false, 3), (false, 4)], 3),
    ] {
        let mut consumers = Consumers::new(single_active);
        let specs = members.iter().zip(1..);
        join(
            &mut consumers,
            specs.map(|((no_ack, prefetch), id)| {
                spec(id, |spec| (spec.no_ack, spec.prefetch) = (*no_ack, *prefetch))
            }),
        );
        assert_eq!(consumers.capacity(), expected, "{single_active} {members:?}");
        let taken = u64::from(consumers.take_turn(1).is_some());
        assert_eq!(consumers.capacity(), expected - taken, "{single_active} {members:?}");
    }
}

#[test]
fn a_consumers_own_timeout_takes_the_place_of_the_queues() {
    // The queue's and the consumer's; what holds, and whether any deliveries have to be looked at.
    for (queue, own, expected, any) in [
        (None, None, None, false),
        (Some(5), None, Some(5), true),
        (None, Some(7), Some(7), true),
        (Some(5), Some(7), Some(7), true),
    ] {
        let rules = Rules { consumer_timeout_ms: queue, ..Rules::default() };
        let consumers = consumers([spec(1, |spec| spec.timeout_ms = own)]);
        assert_eq!(consumers.timeout(ConsumerId(1), &rules), expected);
        assert_eq!(consumers.timeout(ConsumerId(2), &rules), None, "it has left");
        assert_eq!(consumers.any_timeout(&rules), any);
    }
}
