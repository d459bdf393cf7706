//! What time does to a queue, one behaviour at a time; `queue/model.rs` has it mixed.

use std::sync::Arc;

use amq_protocol::protocol::BasicProperties;
use amq_protocol::types::AMQPValue;
use leveret_persistence::MessageId;

use super::super::consumers::{ConsumerId, ConsumerSpec};
use super::super::recovered::Backlog;
use super::super::retry::Schedule;
use super::super::rules::{DeadLetter, Rules};
use super::super::state::{Got, Outcome};
use super::super::testing::{COMMITTED, at, channel, message, spec};
use super::super::unacked::DeliveryRange;
use super::*;
use crate::limits::{QUEUE_DYING_MAX, RELAY_RETRY_MS};

/// When the messages of these tests arrive.
const BEGIN_MS: u64 = 1000;

fn queue(rules: Rules) -> State {
    State::new(rules, Backlog::default(), BEGIN_MS)
}

fn dead_letter() -> Option<DeadLetter> {
    Some(DeadLetter { exchange: "dead".into(), routing_key: None })
}

/// Publishes durable messages, each with its id, its priority and its expiration in milliseconds.
fn publish(state: &mut State, messages: impl IntoIterator<Item = (MessageId, u8, Option<u64>)>) {
    let entries = messages.into_iter().map(|(id, priority, expiration_ms)| {
        let mut properties = BasicProperties::default().with_priority(priority);
        if let Some(ms) = expiration_ms {
            properties = properties.with_expiration(ms.to_string().into());
        }
        let message = message(BEGIN_MS, &properties, b"x");
        Entry { ticket: Some(COMMITTED), ..Entry::published(id, message, true) }
    });
    state.publish(entries.collect());
}

fn plain(ids: impl IntoIterator<Item = MessageId>) -> Vec<(MessageId, u8, Option<u64>)> {
    ids.into_iter().map(|id| (id, 0, None)).collect()
}

/// Dispatches at this time; returns what was delivered.
fn deliver(state: &mut State, now_ms: u64) -> Vec<MessageId> {
    state.dispatch(at(now_ms));
    let mut ids = Vec::new();
    state.flush(|_, deliveries| ids.extend(deliveries.iter().map(|delivery| delivery.id)));
    ids
}

/// The same with a store that answers at once.
fn deliver_reading(state: &mut State, now_ms: u64) -> Vec<MessageId> {
    let mut ids = deliver(state, now_ms);
    let asked = std::mem::take(&mut state.effects.load);
    if !asked.is_empty() {
        let message = message(BEGIN_MS, &BasicProperties::default(), b"x");
        let found = asked.iter().map(|id| (*id, message.clone())).collect();
        assert_eq!(state.loaded(&asked, found, COMMITTED), [] as [u64; 0]);
        ids.extend(deliver(state, now_ms));
    }
    ids
}

fn settle(state: &mut State, number: u64, outcome: Outcome, now_ms: u64) {
    let range = DeliveryRange { first: number, last: number };
    state.settle(channel(1), &[range], outcome, false, now_ms);
}

/// What sets off for other queues, and why.
fn leaving(state: &mut State, now_ms: u64) -> Vec<(MessageId, Fate)> {
    let leaving = state.take_leaving(now_ms);
    leaving.iter().map(|leaving| (leaving.entry.id, leaving.fate)).collect()
}

#[test]
fn the_smaller_of_the_queues_ttl_and_the_messages_own_counts() {
    for (ttl_ms, expiration_ms, expected) in [
        (None, None, None),
        (Some(50), None, Some(50)),
        (None, Some(30), Some(30)),
        (Some(50), Some(30), Some(30)),
        (Some(20), Some(30), Some(20)),
    ] {
        let mut state = queue(Rules { ttl_ms, ..Rules::default() });
        publish(&mut state, [(1, 0, expiration_ms)]);
        deliver(&mut state, BEGIN_MS);
        let deadline = expected.map(|ms| BEGIN_MS + ms);
        assert_eq!(state.next_deadline(), deadline, "{ttl_ms:?} {expiration_ms:?}");
        if let Some(deadline) = deadline {
            deliver(&mut state, deadline - 1);
            assert_eq!((state.ready_count(), state.counts().expired), (1, 0));
            deliver(&mut state, deadline);
            assert_eq!((state.ready_count(), state.counts().expired), (0, 1));
            assert_eq!(state.effects.settled, [1]);
            assert_eq!(state.next_deadline(), None);
        }
    }
}

#[test]
fn a_message_expires_at_the_head_of_its_priority_and_not_behind_others() {
    let rules = Rules { max_priority: 5, dead_letter: dead_letter(), ..Rules::default() };
    let mut state = queue(rules);
    let short = Some(10);
    publish(&mut state, [(1, 5, None), (2, 5, short), (3, 1, short), (4, 1, None), (5, 1, short)]);
    deliver(&mut state, BEGIN_MS + 10);
    assert_eq!(leaving(&mut state, 0), [(3, Fate::Dead(Reason::Expired))]);
    assert_eq!(state.ready_count(), 4, "2 and 5 have expired behind others");
    let Got::Message(delivery, left) = state.get(channel(1), false, at(BEGIN_MS + 10)) else {
        panic!("1 is ready")
    };
    assert_eq!((delivery.id, left), (1, 3));
    let Got::Message(delivery, left) = state.get(channel(1), false, at(BEGIN_MS + 10)) else {
        panic!("4 is ready")
    };
    assert_eq!((delivery.id, left), (4, 1));
    assert!(matches!(state.get(channel(1), false, at(BEGIN_MS + 10)), Got::Empty));
    assert_eq!(state.counts().expired, 3);
}

#[test]
fn a_ttl_of_zero_is_delivered_at_once_or_never() {
    for has_consumer in [true, false] {
        let mut state = queue(Rules { ttl_ms: Some(0), ..Rules::default() });
        if has_consumer {
            state.consume(ConsumerSpec { prefetch: 1, ..spec(1, channel(1)) }).unwrap();
        }
        publish(&mut state, plain([1, 2]));
        let expected: &[MessageId] = if has_consumer { &[1] } else { &[] };
        assert_eq!(deliver(&mut state, BEGIN_MS), expected);
        assert_eq!(state.ready_count(), 0);
        settle(&mut state, 0, Outcome::Requeue, BEGIN_MS);
        assert_eq!(deliver(&mut state, BEGIN_MS), [] as [u64; 0], "a second time is never");
        assert_eq!((state.ready_count(), state.counts().expired), (0, 2));
    }
}

#[test]
fn what_came_back_keeps_its_time() {
    let mut state = queue(Rules { ttl_ms: Some(50), ..Rules::default() });
    publish(&mut state, plain([1]));
    assert!(matches!(state.get(channel(1), false, at(BEGIN_MS + 40)), Got::Message(..)));
    settle(&mut state, 0, Outcome::Requeue, BEGIN_MS + 45);
    deliver(&mut state, BEGIN_MS + 45);
    assert_eq!(state.next_deadline(), Some(BEGIN_MS + 50));
}

#[test]
fn the_oldest_messages_are_dropped_over_the_length_limit() {
    // The limit in messages and in bytes, and which are left of 1 to 5, each of one byte.
    for (max_length, max_length_bytes, left) in [
        (Some(5), None, 1..6),
        (Some(2), None, 4..6),
        (None, Some(3), 3..6),
        (Some(4), Some(1), 5..6),
        (Some(0), None, 6..6),
        (None, Some(0), 6..6),
    ] {
        let limits = Rules { max_length, max_length_bytes, ..Rules::default() };
        let mut state = queue(Rules { dead_letter: dead_letter(), ..limits });
        publish(&mut state, plain(1..=5));
        deliver(&mut state, BEGIN_MS);
        let ready: Vec<_> = state.peek().into_iter().map(|(id, _)| id).collect();
        assert_eq!(ready, left.clone().collect::<Vec<_>>());
        let dropped: Vec<_> = (1..left.start).map(|id| (id, Fate::Dead(Reason::MaxLen))).collect();
        assert_eq!(leaving(&mut state, BEGIN_MS), dropped);
        assert_eq!(state.counts().dropped, dropped.len() as u64);
    }
}

#[test]
fn what_a_consumer_takes_does_not_count_against_the_limit_until_it_comes_back() {
    let mut state = queue(Rules { max_length: Some(2), ..Rules::default() });
    state.consume(ConsumerSpec { prefetch: 2, ..spec(1, channel(1)) }).unwrap();
    publish(&mut state, plain(1..=4));
    assert_eq!(deliver(&mut state, BEGIN_MS), [1, 2]);
    assert_eq!(state.ready_count(), 2);
    state.cancel(ConsumerId(1), BEGIN_MS);
    settle(&mut state, 0, Outcome::Requeue, BEGIN_MS);
    settle(&mut state, 1, Outcome::Requeue, BEGIN_MS);
    deliver(&mut state, BEGIN_MS);
    assert_eq!(state.effects.settled, [1, 2], "they went back to their old places");
}

#[test]
fn a_limit_drops_the_highest_priority_first_because_it_is_the_head() {
    let mut state = queue(Rules { max_length: Some(2), max_priority: 5, ..Rules::default() });
    publish(&mut state, [(1, 0, None), (2, 5, None), (3, 0, None)]);
    deliver(&mut state, BEGIN_MS);
    assert_eq!(state.effects.settled, [2]);
}

#[test]
fn a_queue_that_refuses_says_how_much_it_takes() {
    let refuses = Rules { overflow: Overflow::RejectPublish, ..Rules::default() };
    // The limit in messages and in bytes; the room with two messages of one byte in it.
    for (max_length, max_length_bytes, messages, bytes) in [
        (None, None, u64::MAX, u64::MAX),
        (Some(5), None, 3, u64::MAX),
        (Some(1), None, 0, u64::MAX),
        (None, Some(10), u64::MAX, 8),
        (Some(2), Some(1), 0, 0),
    ] {
        let mut state = queue(Rules { max_length, max_length_bytes, ..refuses.clone() });
        publish(&mut state, plain(1..=2));
        deliver(&mut state, BEGIN_MS);
        assert_eq!(state.ready_count(), 2, "it drops nothing");
        let room = state.room();
        assert_eq!((room.direct, room.messages, room.bytes), (0, messages, bytes));
    }
    // What goes straight to a consumer takes no room, unless there is none at all.
    for (max_length, direct) in [(Some(3), 2), (Some(0), 0)] {
        let mut state = queue(Rules { max_length, ..refuses.clone() });
        state.consume(ConsumerSpec { prefetch: 2, ..spec(1, channel(1)) }).unwrap();
        assert_eq!(state.room().direct, direct, "{max_length:?}");
    }
    let dropping = queue(Rules { max_length: Some(1), ..Rules::default() }).room();
    assert_eq!((dropping.messages, dropping.bytes), (u64::MAX, u64::MAX));
}

#[test]
fn a_failed_delivery_counts_and_one_too_many_is_dead_lettered() {
    let give_back = |state: &mut State, number, outcome| match outcome {
        Some(outcome) => settle(state, number, outcome, BEGIN_MS),
        None => state.close_channel(channel(1), BEGIN_MS),
    };
    // How it comes back (none: the channel closes), the limit, and the deliveries it gets out of ten.
    for (outcome, limit, expected) in [
        (Some(Outcome::Requeue), Some(2), 10),
        (Some(Outcome::RequeueFailed), None, 10),
        (Some(Outcome::RequeueFailed), Some(2), 3),
        (Some(Outcome::RequeueFailed), Some(0), 1),
        (None, Some(2), 3),
    ] {
        let rules = Rules { delivery_limit: limit, dead_letter: dead_letter(), ..Rules::default() };
        let mut state = queue(rules);
        publish(&mut state, plain([1]));
        let mut deliveries = 0;
        while deliveries < 10
            && let Got::Message(delivery, _) = state.get(channel(1), false, at(BEGIN_MS))
        {
            deliveries += 1;
            give_back(&mut state, delivery.number, outcome);
        }
        assert_eq!(deliveries, expected, "{outcome:?} {limit:?}");
        let dead: &[_] =
            if expected < 10 { &[(1, Fate::Dead(Reason::DeliveryLimit))] } else { &[] };
        assert_eq!(leaving(&mut state, BEGIN_MS), dead);
        let counted = match (outcome, limit) {
            (Some(Outcome::Requeue), _) | (_, None) => 0,
            _ => expected - 1,
        };
        assert_eq!(state.effects.progress.len(), counted, "each is noted, but for the last");
    }
}

#[test]
fn a_rejected_message_waits_by_the_schedule_until_it_has_had_all_its_chances() {
    let schedule = Schedule::parse(&AMQPValue::LongString("5ms,7ms".into())).unwrap();
    let retry = Some(Arc::new(schedule));
    let mut state = queue(Rules { retry, dead_letter: dead_letter(), ..Rules::default() });
    state.consume(spec(1, channel(1))).unwrap();
    publish(&mut state, plain([1]));
    let mut now_ms = BEGIN_MS;
    for (retries, wait_ms) in [(1, 5), (2, 7)] {
        assert_eq!(deliver_reading(&mut state, now_ms), [1]);
        settle(&mut state, 0, Outcome::Reject, now_ms);
        now_ms += wait_ms;
        let noted = std::mem::take(&mut state.effects.progress);
        assert_eq!(noted.len(), 1);
        assert_eq!((noted[0].id, noted[0].retries, noted[0].due_ms), (1, retries, now_ms));
        assert_eq!(deliver(&mut state, now_ms - 1), [] as [u64; 0]);
        assert_eq!((state.waiting().len(), state.next_deadline()), (1, Some(now_ms)));
    }
    // Memory has let it go meanwhile: the queue reads it.
    assert_eq!(deliver_reading(&mut state, now_ms), [1]);
    settle(&mut state, 0, Outcome::Reject, now_ms);
    assert_eq!(leaving(&mut state, now_ms), [(1, Fate::Dead(Reason::DeliveryLimit))]);
    assert_eq!((state.counts().retried, state.counts().over_limit), (2, 1));
}

#[test]
fn a_consumer_that_holds_a_message_for_too_long_loses_it_and_its_place() {
    let mut state = queue(Rules { consumer_timeout_ms: Some(100), ..Rules::default() });
    state.consume(ConsumerSpec { prefetch: 2, ..spec(1, channel(1)) }).unwrap();
    publish(&mut state, plain(1..=2));
    assert_eq!(deliver(&mut state, BEGIN_MS), [1, 2]);
    deliver(&mut state, BEGIN_MS + 50);
    let deadline = state.next_deadline().unwrap();
    assert!(deadline <= BEGIN_MS + 100 + CONSUMER_TIMEOUT_STEP_MS, "{deadline}");
    deliver(&mut state, BEGIN_MS + 100 + CONSUMER_TIMEOUT_STEP_MS);
    let timed_out: Vec<_> = state.effects.timed_out.iter().map(|spec| spec.id.0).collect();
    assert_eq!(timed_out, [1]);
    assert_eq!((state.ready_count(), state.unacked_count(), state.consumer_count()), (2, 0, 0));

    // The channel does not know yet: what it settles late is nobody else's.
    state.consume(spec(2, channel(1))).unwrap();
    assert_eq!(deliver(&mut state, BEGIN_MS + 2000), [1, 2]);
    settle(&mut state, 0, Outcome::Ack, BEGIN_MS + 2000);
    settle(&mut state, 1, Outcome::Reject, BEGIN_MS + 2000);
    assert_eq!(state.unacked_count(), 2);
    assert!(state.effects.settled.is_empty());
}

#[test]
fn a_get_is_not_bound_to_a_time() {
    let mut state = queue(Rules { consumer_timeout_ms: Some(100), ..Rules::default() });
    publish(&mut state, plain([1]));
    assert!(matches!(state.get(channel(1), false, at(BEGIN_MS)), Got::Message(..)));
    deliver(&mut state, BEGIN_MS + 100_000);
    assert_eq!((state.unacked_count(), state.ready_count()), (1, 0));
}

#[test]
fn a_queue_that_nobody_uses_expires() {
    let expires = || Rules { expires_ms: Some(100), ..Rules::default() };
    let mut state = queue(expires());
    assert_eq!(state.next_deadline(), Some(BEGIN_MS + 100));
    assert!(!state.is_unused(BEGIN_MS + 99) && state.is_unused(BEGIN_MS + 100));
    state.used(BEGIN_MS + 50);
    assert!(!state.is_unused(BEGIN_MS + 149) && state.is_unused(BEGIN_MS + 150), "declared again");
    assert!(matches!(state.get(channel(1), false, at(BEGIN_MS + 60)), Got::Empty));
    assert!(!state.is_unused(BEGIN_MS + 159) && state.is_unused(BEGIN_MS + 160), "asked");
    publish(&mut state, plain([1]));
    assert!(state.is_unused(BEGIN_MS + 160), "publishing is no use");
    state.consume(spec(1, channel(1))).unwrap();
    assert!(!state.is_unused(u64::MAX), "it has a consumer");
    state.cancel(ConsumerId(1), BEGIN_MS + 500);
    assert!(!state.is_unused(BEGIN_MS + 599) && state.is_unused(BEGIN_MS + 600));
    state.set_rules(Rules { expires_ms: Some(10), ..Rules::default() }, BEGIN_MS + 550);
    assert!(!state.is_unused(BEGIN_MS + 559) && state.is_unused(BEGIN_MS + 560), "a policy");
    assert!(!queue(Rules::default()).is_unused(u64::MAX));
}

#[test]
fn dead_letters_that_are_refused_are_tried_again_and_block_no_further_ones_for_ever() {
    let rules = Rules { max_length: Some(0), dead_letter: dead_letter(), ..Rules::default() };
    let mut state = queue(rules);
    publish(&mut state, plain(1..=QUEUE_DYING_MAX as u64 + 10));
    deliver(&mut state, BEGIN_MS);
    assert_eq!(state.ready_count(), 10, "no more go than may be on their way");
    let refused = state.take_leaving(BEGIN_MS);
    let count = refused.len();
    state.moved(count, refused, BEGIN_MS);
    assert_eq!(state.next_deadline(), Some(BEGIN_MS + RELAY_RETRY_MS));
    let mut now_ms = BEGIN_MS + RELAY_RETRY_MS;
    while state.next_deadline().is_some() {
        let leaving = state.take_leaving(now_ms);
        state.moved(leaving.len(), Vec::new(), now_ms);
        now_ms += 1;
        deliver(&mut state, now_ms);
    }
    assert_eq!((state.ready_count(), state.memory()), (0, 0));
    assert_eq!(state.counts().dead_lettered, QUEUE_DYING_MAX as u64 + 10);
}

#[test]
fn when_a_policy_takes_the_dead_letter_exchange_away_what_waits_for_it_is_dropped() {
    let rules = Rules { max_length: Some(0), dead_letter: dead_letter(), ..Rules::default() };
    let mut state = queue(rules);
    publish(&mut state, plain(1..=3));
    deliver(&mut state, BEGIN_MS);
    assert!(state.effects.settled.is_empty());
    state.set_rules(Rules { max_length: Some(0), ..Rules::default() }, BEGIN_MS);
    assert_eq!(state.effects.settled, [1, 2, 3]);
    assert!(state.take_leaving(BEGIN_MS).is_empty());
}
