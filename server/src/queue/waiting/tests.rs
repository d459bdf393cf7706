//! What waits, one behaviour at a time; `queue/model.rs` has it mixed.

use leveret_persistence::Message;

use super::super::entry::Entry;
use super::super::testing::COMMITTED;
use super::*;

const LATER: Ticket = Ticket::nth(2);

fn kept(id: MessageId, ticket: Option<Ticket>) -> Kept {
    let message = Message::new(b"", b"", b"", b"body");
    Entry { ticket, ..Entry::published(id, message, ticket.is_some()) }.into()
}

fn tried(kept: Kept, retries: u32) -> Kept {
    let mark = Mark { redelivered: true, acquired: 1, deliveries: retries, retries, ..kept.mark };
    Kept { mark, ..kept }
}

fn waiting(messages: impl IntoIterator<Item = (u64, Kept)>) -> Waiting {
    let mut waiting = Waiting::default();
    messages.into_iter().for_each(|(due_ms, kept)| waiting.add(due_ms, kept));
    waiting
}

fn due(waiting: &mut Waiting, now_ms: u64) -> Vec<MessageId> {
    std::iter::from_fn(|| waiting.take_due(now_ms, COMMITTED)).map(|kept| kept.id).collect()
}

#[test]
fn messages_are_due_in_the_order_of_their_times_and_of_their_ids_at_one_time() {
    let mut waiting =
        waiting([(30, 1), (10, 4), (20, 2), (10, 3)].map(|(due_ms, id)| (due_ms, kept(id, None))));
    assert_eq!(waiting.next_due(), Some(10));
    assert_eq!(due(&mut waiting, 9), [] as [u64; 0]);
    assert_eq!(due(&mut waiting, 10), [3, 4]);
    assert_eq!((waiting.len(), waiting.next_due()), (2, Some(20)));
    assert_eq!(due(&mut waiting, u64::MAX), [2, 1]);
    assert_eq!((waiting.len(), waiting.bytes(), waiting.next_due()), (0, 0, None));
}

#[test]
fn what_is_not_yet_in_the_store_comes_back_as_it_was() {
    for ticket in [None, Some(LATER)] {
        let mut waiting = waiting([(10, tried(kept(1, ticket), 2))]);
        let back = waiting.take_due(10, COMMITTED).unwrap();
        assert!(back.message.is_some());
        assert_eq!((back.ticket, back.mark.retries), (ticket, 2));
    }
}

#[test]
fn memory_lets_go_what_the_store_has_and_gives_it_the_rest_once() {
    let mut waiting = waiting([
        (10, tried(kept(1, Some(COMMITTED)), 3)),
        (20, kept(2, Some(LATER))),
        (30, tried(kept(3, None), 1)),
    ]);
    let a_message = waiting.bytes() / 3;
    let writing = |waiting: &mut Waiting, committed| {
        let unstored = waiting.page_out(committed);
        unstored.into_iter().map(|(id, _)| id).collect::<Vec<_>>()
    };
    assert_eq!(writing(&mut waiting, COMMITTED), [3]);
    assert_eq!(waiting.bytes(), 2 * a_message);
    waiting.page_out_submitted(&[3], LATER);
    assert_eq!(writing(&mut waiting, COMMITTED), [] as [u64; 0]);
    assert_eq!(writing(&mut waiting, LATER), [] as [u64; 0]);
    assert_eq!((waiting.bytes(), waiting.len()), (0, 3));

    let mark = |durable| Mark { durable, ..Mark::default() };
    let tried = |durable, retries| {
        let counts = Mark { redelivered: true, acquired: 1, deliveries: retries, ..mark(durable) };
        Mark { retries, ..counts }
    };
    for (id, mark, body_len) in
        [(1, tried(true, 3), 4), (2, mark(true), 0), (3, tried(false, 1), 4)]
    {
        let kept = waiting.take_due(u64::MAX, LATER).unwrap();
        assert!(kept.message.is_none());
        assert_eq!((kept.id, kept.ticket, kept.mark), (id, Some(LATER), mark));
        assert_eq!(kept.body_len, body_len, "{id}");
    }
}

#[test]
fn one_can_be_taken_out_before_its_time_but_only_by_its_time() {
    let mut waiting = waiting([(10, kept(1, None)), (20, kept(2, None))]);
    assert!(waiting.remove(10, 2, COMMITTED).is_none());
    assert_eq!(waiting.remove(20, 2, COMMITTED).map(|kept| kept.id), Some(2));
    assert!(waiting.remove(20, 2, COMMITTED).is_none());
    assert_eq!(due(&mut waiting, 10), [1]);
}

#[test]
fn the_list_is_in_the_order_of_time_with_the_number_of_tries() {
    let waiting =
        waiting([(30, kept(1, None)), (10, tried(kept(2, None), 5)), (20, kept(3, None))]);
    let list = |offset, limit| waiting.list(offset, limit).collect::<Vec<_>>();
    assert_eq!(list(0, 9), [(10, 2, 5), (20, 3, 0), (30, 1, 0)]);
    assert_eq!(list(1, 1), [(20, 3, 0)]);
    assert_eq!(list(3, 9), []);
}

#[test]
fn a_purge_names_what_the_store_has_or_will_have() {
    let mut waiting =
        waiting([(10, kept(1, None)), (20, kept(2, Some(LATER))), (30, kept(3, Some(COMMITTED)))]);
    waiting.page_out(COMMITTED);
    let (stored, count) = waiting.purge();
    assert_eq!((stored.iter().collect::<Vec<_>>(), count), (vec![2, 3], 3));
    assert_eq!((waiting.len(), waiting.bytes()), (0, 0));
}
