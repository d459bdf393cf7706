//! The three parts of the lane messages, one behaviour at a time; `queue/model.rs` has them mixed.

use super::super::entry::NEVER;
use super::*;

const COMMITTED: Ticket = Ticket::nth(1);
const LATER: Ticket = Ticket::nth(2);

/// A message with a body of one byte.
fn entry(id: MessageId, ticket: Option<Ticket>) -> Entry {
    let message = Message::new(b"", b"", b"", b"x");
    Entry { ticket, ..Entry::published(id, message, ticket.is_some()) }
}

fn transient(id: MessageId) -> Entry {
    entry(id, None)
}

fn stored(id: MessageId) -> Entry {
    entry(id, Some(COMMITTED))
}

/// The same as one that a consumer has given back.
fn redelivered(entry: Entry) -> Entry {
    Entry { mark: Mark { redelivered: true, ..entry.mark }, ..entry }
}

/// What is known of a message that only the store has.
fn paged(id: MessageId, mark: Mark) -> Kept {
    Kept { id, message: None, ticket: Some(COMMITTED), mark, body_len: 1 }
}

/// The backlog of a restart, of which nothing but the ids is known.
fn recovered(ids: impl IntoIterator<Item = MessageId>, delivered_to: MessageId) -> Lane {
    Lane::recovered(ids.into_iter().collect(), delivered_to, HashMap::new(), None)
}

fn lane(entries: impl IntoIterator<Item = Entry>) -> Lane {
    let mut lane = Lane::default();
    entries.into_iter().for_each(|entry| lane.push(entry));
    lane
}

/// Memory for this many messages of [`entry`].
fn memory_for(messages: usize) -> usize {
    messages * transient(1).cost()
}

fn load(lane: &mut Lane) {
    let asked = lane.wanted();
    let found = asked.iter().map(|id| (*id, entry(*id, None).message)).collect();
    assert_eq!(lane.loaded(&asked, found, COMMITTED, |_| NEVER), [] as [u64; 0]);
}

/// Takes everything, with a store that has everything: ids, and whether they are redelivered.
fn take_all(lane: &mut Lane) -> Vec<(MessageId, bool)> {
    let mut taken = Vec::new();
    loop {
        match lane.pop() {
            Next::Message(entry) => taken.push((entry.id, entry.mark.redelivered)),
            Next::InStore => load(lane),
            Next::Empty => {
                assert_eq!((lane.len(), lane.bytes()), (0, 0));
                return taken;
            }
        }
    }
}

fn take_ids(lane: &mut Lane) -> Vec<MessageId> {
    take_all(lane).into_iter().map(|(id, _)| id).collect()
}

fn next_id(lane: &mut Lane) -> Option<MessageId> {
    match lane.pop() {
        Next::Message(entry) => Some(entry.id),
        Next::InStore | Next::Empty => None,
    }
}

#[test]
fn messages_leave_in_the_order_of_their_ids() {
    for arrival in [[1, 2, 3, 4], [4, 3, 2, 1], [2, 4, 1, 3], [3, 4, 1, 2]] {
        assert_eq!(take_ids(&mut lane(arrival.map(transient))), [1, 2, 3, 4], "{arrival:?}");
    }
}

#[test]
fn a_message_goes_back_to_its_old_place_in_whatever_part_that_is() {
    for id in [1, 3, 5, 7, 9] {
        for only_in_store in [false, true] {
            // 2 in the head, 4 and 6 paged out, 8 in the tail.
            let mut lane = lane([2, 4, 6].map(stored));
            assert!(lane.page_out(0, COMMITTED).is_empty());
            lane.push(stored(8));
            if only_in_store {
                lane.requeue_paged(&paged(
                    id,
                    Mark { durable: true, redelivered: true, ..Mark::default() },
                ));
            } else {
                lane.requeue(redelivered(stored(id)));
            }
            assert_eq!(lane.len(), 5);
            let mut expected = vec![(2, false), (4, false), (6, false), (8, false), (id, true)];
            expected.sort_unstable();
            assert_eq!(take_all(&mut lane), expected, "{id} {only_in_store}");
        }
    }
}

#[test]
fn what_was_given_back_comes_before_a_later_backlog_in_the_store() {
    let mut lane = lane([4, 5, 6].map(stored));
    lane.page_out(0, COMMITTED);
    for id in 1..=3 {
        lane.requeue(transient(id));
    }
    let writing = lane.page_out(0, COMMITTED);
    assert_eq!(writing.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [2, 3]);
    assert_eq!(take_ids(&mut lane), [1, 2, 3, 4, 5, 6]);
}

#[test]
fn what_was_overtaken_comes_before_a_later_backlog_in_the_store() {
    let mut lane = lane([2, 3, 4].map(stored));
    lane.page_out(0, COMMITTED);
    assert_eq!(next_id(&mut lane), Some(2));
    lane.push(transient(1));
    assert_eq!(take_ids(&mut lane), [1, 3, 4]);
}

#[test]
fn memory_is_kept_up_to_the_limit_and_then_half_of_it() {
    for (limit, expected) in [(10, 10), (9, 4), (4, 2), (1, 1), (0, 1)] {
        let mut lane = lane((1..=10).map(stored));
        assert!(lane.page_out(memory_for(limit), COMMITTED).is_empty());
        assert_eq!(lane.bytes(), memory_for(expected), "{limit}");
        assert_eq!(take_ids(&mut lane), (1..=10).collect::<Vec<_>>());
    }
}

#[test]
fn the_head_of_a_long_queue_stays_in_memory() {
    let count = QUEUE_HEAD_MESSAGES as u64 + 100;
    let mut lane = lane((1..=count).map(stored));
    lane.page_out(0, COMMITTED);
    assert_eq!(lane.bytes(), memory_for(QUEUE_HEAD_MESSAGES));
    assert!(lane.wanted().is_empty(), "the head still feeds the consumers");
    assert_eq!(take_ids(&mut lane), (1..=count).collect::<Vec<_>>());
}

#[test]
fn only_what_is_committed_leaves_memory() {
    let mut lane = lane([stored(1), stored(2), entry(3, Some(LATER)), stored(4)]);
    assert!(lane.page_out(0, COMMITTED).is_empty());
    assert_eq!(lane.bytes(), memory_for(3), "it leaves in order");
    assert!(lane.page_out(0, LATER).is_empty());
    assert_eq!(lane.bytes(), memory_for(1));
}

#[test]
fn transient_messages_are_written_once_before_they_leave() {
    let mut lane = lane([transient(1), transient(2), redelivered(transient(3))]);
    let writing = lane.page_out(0, COMMITTED).into_iter().map(|(id, _)| id).collect::<Vec<_>>();
    assert_eq!(writing, [2, 3]);
    lane.page_out_submitted(&writing, LATER);
    assert!(lane.page_out(0, COMMITTED).is_empty());
    assert_eq!(lane.bytes(), memory_for(3));
    assert!(lane.page_out(0, LATER).is_empty());
    assert_eq!(lane.bytes(), memory_for(1));
    let (in_store, count) = lane.purge();
    assert_eq!((in_store.iter().collect::<Vec<_>>(), count), (vec![2, 3], 3));
}

#[test]
fn marks_survive_paging() {
    let mark = Mark { durable: true, ..Mark::default() };
    let marks = [
        (1, mark),
        (2, Mark { redelivered: true, ..mark }),
        (3, Mark::default()),
        (4, Mark { redelivered: true, ..Mark::default() }),
        (5, Mark { redelivered: true, acquired: 3, deliveries: 2, retries: 1, ..mark }),
        (6, Mark { redelivered: true, acquired: 1, ..Mark::default() }),
    ];
    let mut lane = lane([stored(0)]);
    for (id, mark) in marks {
        lane.requeue_paged(&paged(id, mark));
    }
    assert_eq!(next_id(&mut lane), Some(0));
    load(&mut lane);
    for (id, mark) in marks {
        let Next::Message(entry) = lane.pop() else { panic!("{id} was loaded") };
        assert_eq!((entry.id, entry.mark), (id, mark));
        assert_eq!(entry.ticket, Some(COMMITTED), "the store is told when it is settled");
    }
}

#[test]
fn bytes_of_body_are_counted_wherever_the_message_is() {
    let mut lane = lane([2, 3, 4].map(stored));
    assert_eq!(lane.body_bytes(), 3);
    lane.page_out(0, COMMITTED);
    lane.push(transient(5));
    lane.requeue_paged(&paged(1, Mark::default()));
    assert_eq!(lane.body_bytes(), 5);
    load(&mut lane);
    assert_eq!(lane.body_bytes(), 5);
    assert_eq!(next_id(&mut lane), Some(1));
    assert_eq!(lane.body_bytes(), 4);
    lane.page_out(0, COMMITTED);
    lane.purge();
    assert_eq!(lane.body_bytes(), 0);
}

#[test]
fn a_recovered_backlog_counts_no_bytes_until_it_is_measured() {
    let mut lane = recovered(1..=3, 0);
    assert_eq!(lane.unmeasured().map(IdSet::len), Some(3));
    load(&mut lane);
    lane.push(transient(4));
    assert_eq!(next_id(&mut lane), Some(1));
    assert_eq!(lane.body_bytes(), 3, "those that are in memory");

    let mut lane = recovered(1..=3, 0);
    lane.measured([(1, 10), (2, 20), (3, 30), (9, 1000)].into_iter());
    assert!(lane.unmeasured().is_none());
    assert_eq!(lane.body_bytes(), 60, "9 is no longer there");
}

#[test]
fn the_next_expiry_is_known_once_the_next_message_is_in_memory() {
    let expiring = |id, expires_ms| Entry { expires_ms, ..stored(id) };
    let mut lane = lane([expiring(2, 20), expiring(3, 10), expiring(4, 40)]);
    assert_eq!(lane.next_expiry(), Some(20), "the one at the head, not the first to expire");
    lane.page_out(0, COMMITTED);
    assert_eq!((lane.next_expiry(), lane.wanted_first()), (Some(20), None));
    lane.requeue_paged(&paged(1, Mark::default()));
    assert_eq!((lane.next_expiry(), lane.wanted_first()), (None, Some(1)));
    let found = vec![(1, transient(1).message)];
    assert_eq!(lane.loaded(&[1], found, COMMITTED, |_| 50), [] as [u64; 0]);
    assert_eq!((lane.next_expiry(), lane.wanted_first()), (Some(50), None));
    assert_eq!(Lane::default().next_expiry(), None);
    assert_eq!(Lane::default().wanted_first(), None);
}

#[test]
fn a_read_is_bounded_and_takes_the_next_messages() {
    let count = 2 * QUEUE_LOAD_MESSAGES as u64;
    let mut lane = recovered(1..=count, 0);
    assert!(matches!(lane.pop(), Next::InStore));
    assert_eq!(lane.wanted(), (1..=QUEUE_LOAD_MESSAGES as u64).collect::<Vec<_>>());
    assert_eq!(take_ids(&mut lane), (1..=count).collect::<Vec<_>>());
}

#[test]
fn an_answer_for_purged_messages_changes_nothing() {
    let mut lane = recovered(1..=3, 0);
    let asked = lane.wanted();
    let (in_store, count) = lane.purge();
    assert_eq!((in_store.len(), count), (3, 3));
    lane.push(transient(4));
    let found = vec![(2, transient(2).message)];
    assert_eq!(lane.loaded(&asked, found, COMMITTED, |_| NEVER), [] as [u64; 0]);
    assert_eq!(take_ids(&mut lane), [4]);
}

#[test]
fn messages_that_the_store_has_lost_are_told_and_block_nothing() {
    let mut lane = recovered(1..=3, 0);
    let asked = lane.wanted();
    let found = vec![(2, transient(2).message)];
    assert_eq!(lane.loaded(&asked, found, COMMITTED, |_| NEVER), [1, 3]);
    assert_eq!(take_ids(&mut lane), [2]);
}

#[test]
fn a_purge_names_the_messages_that_the_store_has() {
    let mut lane = lane([stored(1), stored(2), stored(3)]);
    lane.page_out(0, COMMITTED);
    lane.push(transient(4));
    lane.push(entry(5, Some(LATER)));
    let (in_store, count) = lane.purge();
    assert_eq!((in_store.iter().collect::<Vec<_>>(), count), (vec![1, 2, 3, 5], 5));
    assert!(lane.is_empty());
    assert_eq!((lane.len(), lane.bytes()), (0, 0));
}

#[test]
fn a_recovered_backlog_is_redelivered_as_far_as_it_was_delivered() {
    for (delivered_to, expected) in [(0, 0), (2, 2), (3, 3), (9, 3), (MessageId::MAX, 3)] {
        let mut lane = recovered(1..=3, delivered_to);
        assert_eq!((lane.len(), lane.bytes()), (3, 0));
        let redelivered = take_all(&mut lane).into_iter().filter(|(_, redelivered)| *redelivered);
        assert_eq!(redelivered.count(), expected, "{delivered_to}");
    }
}

/// Messages of 100 bytes of body that came in one read of so many bytes.
fn of_one_read(ids: std::ops::Range<MessageId>, bytes: usize) -> Vec<Entry> {
    let read = bytes::Bytes::from(vec![0; bytes]);
    let message = |place: usize| {
        let body = place * 100..(place + 1) * 100;
        Message::from_slices(read.clone(), 0..0, 0..0, 0..0, body).unwrap()
    };
    ids.enumerate().map(|(place, id)| Entry::published(id, message(place), false)).collect()
}

#[test]
fn what_stays_of_a_read_keeps_its_buffer_alive_only_if_it_fills_it() {
    let counted = Entry::published(1, Message::new(b"", b"", b"", &[0; 100]), false).cost();
    // The bytes of the read, how many of its ten messages stay, and whether they are copied.
    for (read, staying, copied) in [
        (10 * counted, 10, false),
        (10 * counted, 9, true),
        (5 * counted, 5, false),
        (5 * counted, 1, true),
        (10 * counted + 1, 10, true),
    ] {
        let mut lane = lane((1..=4).map(stored));
        let entries = of_one_read(5..15, read.max(1000));
        let read = entries[0].message.held_bytes();
        entries.into_iter().skip(10 - staying).for_each(|entry| lane.push(entry));
        lane.compact_from(5);
        let new = lane.head.iter().filter(|entry| entry.id >= 5);
        let held: Vec<usize> = new.map(|entry| entry.message.held_bytes()).collect();
        let expected = if copied { 100 } else { read };
        assert_eq!(held, vec![expected; staying], "{staying} of {read}");
    }
}

#[test]
fn each_read_is_judged_by_what_stays_of_it() {
    let counted = Entry::published(1, Message::new(b"", b"", b"", &[0; 100]), false).cost();
    let mut lane = Lane::default();
    let reads = [(1..5, 4 * counted), (5..6, 4096), (6..9, 3 * counted)];
    for (ids, bytes) in reads {
        of_one_read(ids, bytes).into_iter().for_each(|entry| lane.push(entry));
    }
    lane.compact_from(1);
    let held: Vec<usize> = lane.head.iter().map(|entry| entry.message.held_bytes()).collect();
    let (first, last) = (4 * counted, 3 * counted);
    assert_eq!(held, [first, first, first, first, 100, last, last, last]);
}

#[test]
fn only_the_newest_messages_are_copied() {
    let mut lane = Lane::default();
    of_one_read(1..3, 4096).into_iter().for_each(|entry| lane.push(entry));
    lane.compact_from(2);
    let held: Vec<usize> = lane.head.iter().map(|entry| entry.message.held_bytes()).collect();
    assert_eq!(held, [4096, 100]);
}
