//! What leaves a queue for another, one behaviour at a time; `queue/model.rs` has it mixed.

use super::super::testing::COMMITTED;
use super::*;

const REJECTED: Fate = Fate::Dead(Reason::Rejected);
const LATER: Ticket = Ticket::nth(2);

fn kept(id: MessageId, body: usize) -> Kept {
    let message = Message::new(b"", b"", b"", &vec![b'x'; body]);
    Entry { ticket: Some(COMMITTED), ..Entry::published(id, message, true) }.into()
}

/// One that only the store has.
fn in_store(id: MessageId) -> Kept {
    Kept { message: None, ..kept(id, 1) }
}

fn dying(messages: impl IntoIterator<Item = Kept>) -> Dying {
    let mut dying = Dying::default();
    messages.into_iter().for_each(|kept| dying.add(kept, REJECTED));
    dying
}

fn ids(leaving: &[Leaving]) -> Vec<MessageId> {
    leaving.iter().map(|leaving| leaving.entry.id).collect()
}

fn load(dying: &mut Dying, now_ms: u64) -> Vec<MessageId> {
    let asked = dying.wanted(now_ms);
    let found = asked.iter().map(|id| (*id, Message::new(b"", b"", b"", b"x"))).collect();
    assert_eq!(dying.loaded(&asked, found), [] as [u64; 0]);
    asked
}

#[test]
fn messages_leave_in_order_one_lot_at_a_time() {
    let count = QUEUE_LOAD_MESSAGES as u64 + 5;
    let mut dying = dying((1..=count).rev().map(|id| kept(id, 1)));
    assert_eq!(dying.next_attempt_ms(), Some(0));
    let first = dying.take(0);
    assert_eq!(ids(&first), (6..=count).rev().collect::<Vec<_>>());
    assert_eq!(
        (dying.len() as u64, dying.next_attempt_ms()),
        (count, None),
        "they are on their way"
    );
    assert!(dying.take(0).is_empty(), "one lot at a time");
    dying.moved(Vec::new(), 0);
    assert_eq!(ids(&dying.take(0)), [5, 4, 3, 2, 1]);
    assert_eq!(dying.bytes(), 0);
    dying.moved(Vec::new(), 0);
    assert_eq!((dying.len(), dying.next_attempt_ms()), (0, None));
}

#[test]
fn a_lot_is_bounded_in_bytes_and_never_empty() {
    for (body, expected) in [(QUEUE_LOAD_BYTES / 2, 2), (QUEUE_LOAD_BYTES * 2, 1)] {
        let mut dying = dying((1..=4).map(|id| kept(id, body)));
        assert_eq!(dying.take(0).len(), expected, "{body}");
    }
}

#[test]
fn what_was_refused_keeps_its_place_and_is_tried_again_later() {
    let mut dying = dying((1..=3).map(|id| kept(id, 1)));
    let bytes = dying.bytes();
    let mut leaving = dying.take(100);
    dying.add(kept(4, 1), Fate::Due);
    leaving.remove(1);
    dying.moved(leaving, 200);
    assert_eq!((dying.len(), dying.bytes()), (3, bytes));
    let again_ms = 200 + RELAY_RETRY_MS;
    assert_eq!(dying.next_attempt_ms(), Some(again_ms));
    assert!(dying.take(again_ms - 1).is_empty());
    let again = dying.take(again_ms);
    assert_eq!(ids(&again), [1, 3, 4]);
    assert_eq!(again.last().map(|leaving| leaving.fate), Some(Fate::Due));
}

#[test]
fn memory_lets_go_what_the_store_has_but_for_the_next_lot() {
    let big = QUEUE_LOAD_BYTES / 2;
    let not_stored = |id, ticket| Kept { ticket, ..kept(id, big) };
    let mut dying = dying([
        kept(1, big),
        kept(2, big),
        kept(3, big),
        not_stored(4, None),
        not_stored(5, Some(LATER)),
    ]);
    let each = dying.bytes() / 5;
    dying.page_out(COMMITTED);
    assert_eq!(dying.bytes(), 4 * each, "3 is in the store; 4 and 5 are not yet");
    assert_eq!(ids(&dying.take(0)), [1, 2]);
    dying.moved(Vec::new(), 0);
    assert_eq!(dying.wanted(0), [3]);
    dying.page_out(LATER);
    load(&mut dying, 0);
    dying.page_out(LATER);
    assert_eq!(ids(&dying.take(0)), [3, 4, 5], "what was read for a lot stays for it");
}

#[test]
fn the_next_message_is_read_first_and_nothing_waits_for_the_clock_meanwhile() {
    let mut dying = dying([7, 8, 2, 3].map(in_store));
    assert_eq!(dying.next_attempt_ms(), None, "it is being read");
    assert_eq!(load(&mut dying, 0), [7, 8], "a read that stops early has the next one");
    assert_eq!(dying.wanted(0), [] as [u64; 0], "there is something to move");
    assert_eq!(ids(&dying.take(0)), [7, 8]);
    assert_eq!(dying.wanted(0), [] as [u64; 0], "one lot at a time");
    dying.moved(Vec::new(), 0);
    assert_eq!(load(&mut dying, 0), [2, 3]);
    assert_eq!(ids(&dying.take(0)), [2, 3]);
}

#[test]
fn nothing_is_read_before_the_next_attempt() {
    let mut dying = dying((1..=3).map(|id| kept(id, QUEUE_LOAD_BYTES)));
    dying.page_out(COMMITTED);
    let refused = dying.take(0);
    dying.moved(refused, 0);
    assert_eq!(dying.wanted(RELAY_RETRY_MS - 1), [] as [u64; 0]);
    assert_eq!(ids(&dying.take(RELAY_RETRY_MS)), [1]);
    dying.moved(Vec::new(), RELAY_RETRY_MS);
    assert_eq!(dying.wanted(RELAY_RETRY_MS), [2, 3]);
}

#[test]
fn messages_that_the_store_has_lost_are_told_and_block_nothing() {
    let mut dying = dying([1, 2, 3].map(in_store));
    let asked = dying.wanted(0);
    let found = vec![(2, Message::new(b"", b"", b"", b"x"))];
    assert_eq!(dying.loaded(&asked, found), [1, 3]);
    assert_eq!(ids(&dying.take(0)), [2]);
}

#[test]
fn too_many_are_full_until_they_have_arrived() {
    let mut dying = dying((1..QUEUE_DYING_MAX as u64).map(|id| kept(id, 1)));
    assert!(!dying.is_full());
    dying.add(kept(0, 1), REJECTED);
    assert!(dying.is_full());
    assert!(!dying.take(0).is_empty());
    assert!(dying.is_full(), "they are on their way");
    dying.moved(Vec::new(), 0);
    assert!(!dying.is_full());
}

#[test]
fn when_there_is_nowhere_to_go_all_but_what_is_on_its_way_is_given_up() {
    let mut dying = dying([kept(1, 1)]);
    assert_eq!(ids(&dying.take(0)), [1]);
    dying.add(kept(2, 1), REJECTED);
    dying.add(in_store(3), REJECTED);
    let given_up: Vec<_> = dying.take_all().iter().map(|kept| kept.id).collect();
    assert_eq!(given_up, [2, 3]);
    assert_eq!((dying.len(), dying.bytes()), (1, 0));
}
