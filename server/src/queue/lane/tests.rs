//! The three parts of the ready messages, one behaviour at a time; `queue/model.rs` has them mixed.

use super::*;

const COMMITTED: Ticket = Ticket::nth(1);
const LATER: Ticket = Ticket::nth(2);

/// A message with a body of one byte.
fn entry(id: MessageId, ticket: Option<Ticket>) -> Entry {
    let message = Message::new(b"", b"", b"", b"x");
    Entry { id, message, ticket, durable: ticket.is_some(), redelivered: false }
}

fn transient(id: MessageId) -> Entry {
    entry(id, None)
}

fn stored(id: MessageId) -> Entry {
    entry(id, Some(COMMITTED))
}

fn ready(entries: impl IntoIterator<Item = Entry>) -> Ready {
    let mut ready = Ready::default();
    entries.into_iter().for_each(|entry| ready.push(entry));
    ready
}

/// Memory for this many messages of [`entry`].
fn memory_for(messages: usize) -> usize {
    messages * transient(1).cost()
}

fn load(ready: &mut Ready) {
    let asked = ready.wanted();
    let found = asked.iter().map(|id| (*id, entry(*id, None).message)).collect();
    assert_eq!(ready.loaded(&asked, found, COMMITTED), [] as [u64; 0]);
}

/// Takes everything, with a store that has everything: ids, and whether they are redelivered.
fn take_all(ready: &mut Ready) -> Vec<(MessageId, bool)> {
    let mut taken = Vec::new();
    loop {
        match ready.pop() {
            Next::Message(entry) => taken.push((entry.id, entry.redelivered)),
            Next::InStore => load(ready),
            Next::Empty => {
                assert_eq!((ready.len(), ready.bytes()), (0, 0));
                return taken;
            }
        }
    }
}

fn take_ids(ready: &mut Ready) -> Vec<MessageId> {
    take_all(ready).into_iter().map(|(id, _)| id).collect()
}

fn next_id(ready: &mut Ready) -> Option<MessageId> {
    match ready.pop() {
        Next::Message(entry) => Some(entry.id),
        Next::InStore | Next::Empty => None,
    }
}

#[test]
fn messages_leave_in_the_order_of_their_ids() {
    for arrival in [[1, 2, 3, 4], [4, 3, 2, 1], [2, 4, 1, 3], [3, 4, 1, 2]] {
        assert_eq!(take_ids(&mut ready(arrival.map(transient))), [1, 2, 3, 4], "{arrival:?}");
    }
}

#[test]
fn a_message_goes_back_to_its_old_place_in_whatever_part_that_is() {
    for id in [1, 3, 5, 7, 9] {
        for only_in_store in [false, true] {
            // 2 in the head, 4 and 6 paged out, 8 in the tail.
            let mut ready = ready([2, 4, 6].map(stored));
            assert!(ready.page_out(0, COMMITTED).is_empty());
            ready.push(stored(8));
            if only_in_store {
                ready.requeue_paged(id, PagedMark { durable: true, redelivered: true });
            } else {
                ready.requeue(Entry { redelivered: true, ..stored(id) });
            }
            assert_eq!(ready.len(), 5);
            let mut expected = vec![(2, false), (4, false), (6, false), (8, false), (id, true)];
            expected.sort_unstable();
            assert_eq!(take_all(&mut ready), expected, "{id} {only_in_store}");
        }
    }
}

#[test]
fn what_was_given_back_comes_before_a_later_backlog_in_the_store() {
    let mut ready = ready([4, 5, 6].map(stored));
    ready.page_out(0, COMMITTED);
    for id in 1..=3 {
        ready.requeue(transient(id));
    }
    let writing = ready.page_out(0, COMMITTED);
    assert_eq!(writing.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [2, 3]);
    assert_eq!(take_ids(&mut ready), [1, 2, 3, 4, 5, 6]);
}

#[test]
fn what_was_overtaken_comes_before_a_later_backlog_in_the_store() {
    let mut ready = ready([2, 3, 4].map(stored));
    ready.page_out(0, COMMITTED);
    assert_eq!(next_id(&mut ready), Some(2));
    ready.push(transient(1));
    assert_eq!(take_ids(&mut ready), [1, 3, 4]);
}

#[test]
fn memory_is_kept_up_to_the_limit_and_then_half_of_it() {
    for (limit, expected) in [(10, 10), (9, 4), (4, 2), (1, 1), (0, 1)] {
        let mut ready = ready((1..=10).map(stored));
        assert!(ready.page_out(memory_for(limit), COMMITTED).is_empty());
        assert_eq!(ready.bytes(), memory_for(expected), "{limit}");
        assert_eq!(take_ids(&mut ready), (1..=10).collect::<Vec<_>>());
    }
}

#[test]
fn the_head_of_a_long_queue_stays_in_memory() {
    let count = QUEUE_HEAD_MESSAGES as u64 + 100;
    let mut ready = ready((1..=count).map(stored));
    ready.page_out(0, COMMITTED);
    assert_eq!(ready.bytes(), memory_for(QUEUE_HEAD_MESSAGES));
    assert!(ready.wanted().is_empty(), "the head still feeds the consumers");
    assert_eq!(take_ids(&mut ready), (1..=count).collect::<Vec<_>>());
}

#[test]
fn only_what_is_committed_leaves_memory() {
    let mut ready = ready([stored(1), stored(2), entry(3, Some(LATER)), stored(4)]);
    assert!(ready.page_out(0, COMMITTED).is_empty());
    assert_eq!(ready.bytes(), memory_for(3), "it leaves in order");
    assert!(ready.page_out(0, LATER).is_empty());
    assert_eq!(ready.bytes(), memory_for(1));
}

#[test]
fn transient_messages_are_written_once_before_they_leave() {
    let redelivered = Entry { redelivered: true, ..transient(3) };
    let mut ready = ready([transient(1), transient(2), redelivered]);
    let writing = ready.page_out(0, COMMITTED).into_iter().map(|(id, _)| id).collect::<Vec<_>>();
    assert_eq!(writing, [2, 3]);
    ready.page_out_submitted(&writing, LATER);
    assert!(ready.page_out(0, COMMITTED).is_empty());
    assert_eq!(ready.bytes(), memory_for(3));
    assert!(ready.page_out(0, LATER).is_empty());
    assert_eq!(ready.bytes(), memory_for(1));
    let (in_store, count) = ready.purge();
    assert_eq!((in_store.iter().collect::<Vec<_>>(), count), (vec![2, 3], 3));
}

#[test]
fn marks_survive_paging() {
    let marks = [(1, true, false), (2, true, true), (3, false, false), (4, false, true)];
    let mut ready = ready([stored(0)]);
    for (id, durable, redelivered) in marks {
        ready.requeue_paged(id, PagedMark { durable, redelivered });
    }
    assert_eq!(next_id(&mut ready), Some(0));
    load(&mut ready);
    for (id, durable, redelivered) in marks {
        let Next::Message(entry) = ready.pop() else { panic!("{id} was loaded") };
        assert_eq!((entry.id, entry.durable, entry.redelivered), (id, durable, redelivered));
        assert_eq!(entry.ticket, Some(COMMITTED), "the store is told when it is settled");
    }
}

#[test]
fn a_read_is_bounded_and_takes_the_next_messages() {
    let count = 2 * QUEUE_LOAD_MESSAGES as u64;
    let mut ready = Ready::recovered((1..=count).collect(), 0);
    assert!(matches!(ready.pop(), Next::InStore));
    assert_eq!(ready.wanted(), (1..=QUEUE_LOAD_MESSAGES as u64).collect::<Vec<_>>());
    assert_eq!(take_ids(&mut ready), (1..=count).collect::<Vec<_>>());
}

#[test]
fn an_answer_for_purged_messages_changes_nothing() {
    let mut ready = Ready::recovered((1..=3).collect(), 0);
    let asked = ready.wanted();
    let (in_store, count) = ready.purge();
    assert_eq!((in_store.len(), count), (3, 3));
    ready.push(transient(4));
    let found = vec![(2, transient(2).message)];
    assert_eq!(ready.loaded(&asked, found, COMMITTED), [] as [u64; 0]);
    assert_eq!(take_ids(&mut ready), [4]);
}

#[test]
fn messages_that_the_store_has_lost_are_told_and_block_nothing() {
    let mut ready = Ready::recovered((1..=3).collect(), 0);
    let asked = ready.wanted();
    let found = vec![(2, transient(2).message)];
    assert_eq!(ready.loaded(&asked, found, COMMITTED), [1, 3]);
    assert_eq!(take_ids(&mut ready), [2]);
}

#[test]
fn a_purge_names_the_messages_that_the_store_has() {
    let mut ready = ready([stored(1), stored(2), stored(3)]);
    ready.page_out(0, COMMITTED);
    ready.push(transient(4));
    ready.push(entry(5, Some(LATER)));
    let (in_store, count) = ready.purge();
    assert_eq!((in_store.iter().collect::<Vec<_>>(), count), (vec![1, 2, 3, 5], 5));
    assert!(ready.is_empty());
    assert_eq!((ready.len(), ready.bytes()), (0, 0));
}

#[test]
fn a_recovered_backlog_is_redelivered_as_far_as_it_was_delivered() {
    for (delivered_to, expected) in [(0, 0), (2, 2), (3, 3), (9, 3), (MessageId::MAX, 3)] {
        let mut ready = Ready::recovered((1..=3).collect(), delivered_to);
        assert_eq!((ready.len(), ready.bytes()), (3, 0));
        let redelivered = take_all(&mut ready).into_iter().filter(|(_, redelivered)| *redelivered);
        assert_eq!(redelivered.count(), expected, "{delivered_to}");
    }
}

#[test]
fn the_newest_messages_are_copied_out_of_the_buffer_they_came_in() {
    let mut ready = ready((1..=4).map(stored));
    ready.page_out(memory_for(3), COMMITTED);
    ready.push(stored(5));
    let shared = |ready: &Ready| {
        let parts = ready.head.iter().chain(&ready.tail);
        parts.map(|entry| (entry.id, entry.message.body().as_ptr())).collect::<Vec<_>>()
    };
    let before = shared(&ready);
    ready.compact_from(5);
    let moved = before.iter().zip(shared(&ready)).filter(|(old, new)| **old != *new);
    assert_eq!(moved.map(|((id, _), _)| *id).collect::<Vec<_>>(), [5]);
}
