//! What a queue tells its task and its clients; `queue/model.rs` has the same under random commands.

use super::super::dispatch::Moment;
use super::super::lane::Next;
use super::super::testing::{COMMITTED, spec};
use super::*;
use crate::limits::{CONSUMER_WINDOW_BYTES, CONSUMER_WINDOW_MESSAGES, QUEUE_FLOW_MESSAGES};
use crate::queue::unacked::DeliveryRange;

const CHANNEL: ChannelId = ChannelId { serial: 1, number: 1 };
const ALL: &[DeliveryRange] = &[DeliveryRange { first: 0, last: u64::MAX }];
const NOW: Moment = Moment { now_ms: 1000, committed: COMMITTED, memory_limit: usize::MAX };

fn queue(rules: Rules) -> State {
    State::new(rules, Backlog::default(), 0)
}

/// A queue after a restart, of whose messages only the ids are known.
fn recovered(ids: impl IntoIterator<Item = MessageId>) -> State {
    let backlog = Backlog::new(ids.into_iter().collect(), 0, &[]);
    State::new(Rules::default(), backlog, 0)
}

/// Publishes durable messages with these ids, each of one byte.
fn publish(state: &mut State, ids: impl IntoIterator<Item = MessageId>) {
    let entries = ids.into_iter().map(|id| Entry {
        ticket: Some(COMMITTED),
        ..Entry::published(id, Message::new(b"", b"", b"", b"x"), true)
    });
    state.publish(entries.collect());
}

fn consume(state: &mut State, id: u64, no_ack: bool) {
    state.consume(ConsumerSpec { no_ack, ..spec(id, CHANNEL) }).unwrap();
}

/// Delivers with this much memory; returns the ids.
fn deliver(state: &mut State, memory_limit: usize) -> Vec<MessageId> {
    let mut ids = Vec::new();
    state.dispatch(Moment { memory_limit, ..NOW });
    state.flush(|_, deliveries| ids.extend(deliveries.iter().map(|delivery| delivery.id)));
    ids
}

#[test]
fn a_get_takes_the_next_message_and_counts_the_rest() {
    let mut state = queue(Rules::default());
    publish(&mut state, [1, 2]);
    for (expected, left) in [(1, 1), (2, 0)] {
        let Got::Message(delivery, after) = state.get(CHANNEL, false, NOW) else {
            panic!("{expected} is ready")
        };
        assert_eq!((delivery.id, after), (expected, left));
    }
    assert!(matches!(state.get(CHANNEL, false, NOW), Got::Empty));
    assert_eq!((state.ready_count(), state.unacked_count()), (0, 2));
}

#[test]
fn the_store_is_told_of_every_message_that_leaves_unless_a_transaction_did() {
    // The outcome, whether a transaction told the store of what is acknowledged, and how many messages the queue tells of.
    for (outcome, stored, told) in [
        (Outcome::Ack, false, 3),
        (Outcome::Reject, false, 3),
        (Outcome::Requeue, false, 0),
        (Outcome::Ack, true, 0),
        (Outcome::Reject, true, 3),
        (Outcome::Requeue, true, 0),
        (Outcome::RequeueFailed, false, 0),
        (Outcome::RequeueFailed, true, 0),
    ] {
        let mut state = queue(Rules::default());
        publish(&mut state, 1..=3);
        consume(&mut state, 1, false);
        assert_eq!(deliver(&mut state, usize::MAX), [1, 2, 3]);
        assert!(state.effects.settled.is_empty());
        state.settle(CHANNEL, ALL, outcome, stored, NOW.now_ms);
        assert_eq!(state.effects.settled.len(), told, "{outcome:?} {stored}");
        let requeues = matches!(outcome, Outcome::Requeue | Outcome::RequeueFailed);
        let back = if requeues { 3 } else { 0 };
        assert_eq!((state.ready_count(), state.unacked_count()), (back, 0));
    }
}

#[test]
fn a_delivery_that_needs_no_acknowledgement_leaves_at_once() {
    let mut state = queue(Rules::default());
    publish(&mut state, 1..=3);
    consume(&mut state, 1, true);
    assert_eq!(deliver(&mut state, usize::MAX), [1, 2, 3]);
    assert_eq!(state.effects.settled, [1, 2, 3]);
    assert_eq!((state.ready_count(), state.unacked_count(), state.memory()), (0, 0, 0));
}

#[test]
fn memory_holds_no_unsettled_message_that_the_store_has_when_it_is_short() {
    for (memory_limit, kept) in [(usize::MAX, 3), (0, 0)] {
        let mut state = queue(Rules::default());
        publish(&mut state, 1..=3);
        let a_message = state.memory() / 3;
        consume(&mut state, 1, false);
        assert_eq!(deliver(&mut state, memory_limit), [1, 2, 3]);
        assert_eq!(state.memory(), kept * a_message, "{memory_limit}");
        state.close_channel(CHANNEL, NOW.now_ms);
        assert_eq!((state.ready_count(), state.unacked_count()), (3, 0));
        assert_eq!(state.memory(), kept * a_message, "{memory_limit}");
    }
}

#[test]
fn one_read_at_a_time_and_another_one_after_a_failure() {
    let mut state = recovered(1..=3);
    assert!(matches!(state.get(CHANNEL, true, NOW), Got::Loading));
    assert_eq!(std::mem::take(&mut state.effects.load), [1, 2, 3]);
    assert!(matches!(state.get(CHANNEL, true, NOW), Got::Loading));
    assert!(state.effects.load.is_empty());
    state.load_failed();
    assert!(matches!(state.get(CHANNEL, true, NOW), Got::Loading));
    assert_eq!(state.effects.load, [1, 2, 3]);
}

#[test]
fn without_a_consumer_that_has_room_only_the_next_message_is_read_to_know_when_it_expires() {
    let mut state = recovered(1..=3);
    assert!(deliver(&mut state, usize::MAX).is_empty());
    assert_eq!(std::mem::take(&mut state.effects.load), [1]);
    let found = vec![(1, Message::new(b"", b"", b"", b"x"))];
    assert_eq!(state.loaded(&[1], found, COMMITTED), [] as [u64; 0]);
    assert!(deliver(&mut state, 0).is_empty());
    assert!(state.effects.load.is_empty());
    consume(&mut state, 1, false);
    assert_eq!(deliver(&mut state, usize::MAX), [1]);
    assert_eq!(state.effects.load, [2, 3]);
}

#[test]
fn a_channel_that_has_settled_everything_is_forgotten() {
    let mut state = queue(Rules::default());
    publish(&mut state, 1..=2);
    for _ in 0..2 {
        assert!(matches!(state.get(CHANNEL, false, NOW), Got::Message(..)));
    }
    for (number, left) in [(1, 1), (0, 0)] {
        let range = DeliveryRange { first: number, last: number };
        state.settle(CHANNEL, &[range], Outcome::Ack, false, NOW.now_ms);
        assert_eq!(state.sessions.len(), left);
    }
    state.settle(CHANNEL, ALL, Outcome::Ack, false, NOW.now_ms);
    assert_eq!(state.effects.settled, [2, 1]);
}

#[test]
fn an_auto_delete_queue_is_abandoned_when_its_last_consumer_leaves() {
    let mut state = queue(Rules { auto_delete: true, ..Rules::default() });
    assert!(!state.is_abandoned(), "it never had one");
    consume(&mut state, 1, false);
    consume(&mut state, 2, false);
    state.cancel(ConsumerId(1), NOW.now_ms);
    assert!(!state.is_abandoned());
    state.close_channel(CHANNEL, NOW.now_ms);
    assert!(state.is_abandoned());

    let mut kept = queue(Rules::default());
    consume(&mut kept, 1, false);
    kept.cancel(ConsumerId(1), NOW.now_ms);
    assert!(!kept.is_abandoned());
}

#[test]
fn a_queue_that_is_in_use_or_not_empty_may_be_kept() {
    let refused = |refusal| Err(refusal);
    let (in_use, not_empty) = (refused(DeleteRefusal::InUse), refused(DeleteRefusal::NotEmpty));
    // Messages and consumers; what if-unused, if-empty and both hear.
    for (messages, consumers, if_unused, if_empty, both) in [
        (0, 0, Ok(()), Ok(()), Ok(())),
        (0, 1, in_use, Ok(()), in_use),
        (1, 0, Ok(()), not_empty, not_empty),
        (1, 1, in_use, not_empty, not_empty),
    ] {
        let mut state = queue(Rules::default());
        publish(&mut state, 1..=messages);
        (1..=consumers).for_each(|id| consume(&mut state, id, false));
        assert_eq!(state.may_delete(false, false), Ok(()));
        assert_eq!(state.may_delete(true, false), if_unused, "{messages} {consumers}");
        assert_eq!(state.may_delete(false, true), if_empty, "{messages} {consumers}");
        assert_eq!(state.may_delete(true, true), both, "{messages} {consumers}");
    }
}

#[test]
fn a_deleted_queue_counts_its_ready_messages_and_cancels_its_consumers() {
    let mut state = queue(Rules::default());
    consume(&mut state, 1, false);
    publish(&mut state, 1..=2);
    deliver(&mut state, usize::MAX);
    consume(&mut state, 2, false);
    publish(&mut state, 3..=5);
    assert_eq!(state.delete(), 3);
    let cancelled = state.effects.cancelled.iter().map(|spec| spec.id.0).collect::<Vec<_>>();
    assert_eq!(cancelled, [1, 2]);
    assert_eq!(state.consumer_count(), 0);
}

#[test]
fn publishes_wait_for_consumers_that_lag_behind_a_long_queue_but_not_for_stalled_ones() {
    let window = u64::from(CONSUMER_WINDOW_MESSAGES);
    let long = QUEUE_FLOW_MESSAGES as u64;
    for (messages, consumers, expected) in
        [(long + window, 1, true), (long + window - 1, 1, false), (long + window, 0, false)]
    {
        let mut state = queue(Rules::default());
        (1..=consumers).for_each(|id| consume(&mut state, id, true));
        publish(&mut state, 1..=messages);
        deliver(&mut state, usize::MAX);
        assert_eq!(state.is_ahead_of_consumers(), expected, "{messages} {consumers}");
        state.stall_consumers();
        assert!(!state.is_ahead_of_consumers());
        state.window_freed(ConsumerId(1), 1, CONSUMER_WINDOW_BYTES);
        deliver(&mut state, usize::MAX);
        let behind = state.is_ahead_of_consumers();
        assert_eq!(behind, expected && messages > long + window, "{messages} {consumers}");
    }
}

#[test]
fn messages_of_publishers_that_overtake_each_other_are_delivered_in_the_order_of_their_ids() {
    for (max_priority, commands) in [
        (0, vec![(10..20), (1..5), (30..40), (20..30), (5..10)]),
        (5, vec![(5..8), (1..5), (9..10), (8..9)]),
    ] {
        let mut state = queue(Rules { max_priority, ..Rules::default() });
        let last = commands.iter().map(|ids| ids.end).max().unwrap();
        for ids in commands {
            publish(&mut state, ids);
        }
        let ready: Vec<MessageId> = state.peek().into_iter().map(|(id, _)| id).collect();
        assert_eq!(ready, (1..last).collect::<Vec<_>>());
        let mut taken = Vec::new();
        while let Next::Message(entry) = state.ready.pop() {
            taken.push(entry.id);
        }
        assert_eq!(taken, ready);
        assert_eq!(state.memory(), 0);
    }
}
