//! Many batches as one transaction. Decides which publishes need not be written at all, because
//! their queues settled them before the transaction began. Built by the committer, applied by
//! backends.

use std::ops::RangeInclusive;

use roaring::RoaringBitmap;

use crate::change::{Change, Publish};
use crate::ids::{MessageId, QueueId};

/// The publishes and changes of one transaction.
///
/// Publishes are applied first, then the changes in order. That order is right for any mix: a
/// settle always follows its publish, and a publish to a queue that is being deleted is to leave
/// nothing behind.
#[derive(Debug, Default)]
pub struct Gathered {
    publishes: Vec<Publish>,
    paged: Vec<Publish>,
    changes: Vec<Change>,
}

impl Gathered {
    /// Sorts the publishes by id and leaves out what the changes settle.
    #[must_use]
    pub fn new(mut publishes: Vec<Publish>, changes: Vec<Change>) -> Self {
        // Every connection submits increasing ids, so this merges a few sorted runs.
        publishes.sort_by_key(|publish| publish.id);
        for change in &changes {
            match change {
                Change::Settle { queue, ids } => {
                    for range in ids {
                        elide(&mut publishes, *queue, range);
                    }
                }
                Change::DeleteQueue(queue) => elide(&mut publishes, *queue, &(0..=MessageId::MAX)),
                Change::PutProgress { .. }
                | Change::Remember { .. }
                | Change::Forget { .. }
                | Change::ForgetOwner { .. }
                | Change::PutVhost(_)
                | Change::DeleteVhost { .. }
                | Change::PutUser(_)
                | Change::DeleteUser { .. }
                | Change::PutPermission(_)
                | Change::DeletePermission { .. }
                | Change::PutTopicPermission(_)
                | Change::DeleteTopicPermission { .. }
                | Change::PutParameter(_)
                | Change::DeleteParameter { .. }
                | Change::PutGlobalParameter(_)
                | Change::DeleteGlobalParameter { .. }
                | Change::PutExchange(_)
                | Change::DeleteExchange { .. }
                | Change::PutQueue(_)
                | Change::PutBinding(_)
                | Change::DeleteBinding(_)
                | Change::DeliveredTo { .. } => {}
            }
        }
        publishes.retain(|publish| !publish.queues.is_empty());
        let paged = publishes.extract_if(.., |publish| !publish.durable).collect();
        Self { publishes, paged, changes }
    }

    /// The publishes to make durable, by increasing id, each with at least one queue.
    #[must_use]
    pub fn publishes(&self) -> &[Publish] {
        &self.publishes
    }

    /// The publishes that are paged out (`durable: false`), likewise.
    #[must_use]
    pub fn paged(&self) -> &[Publish] {
        &self.paged
    }

    /// The changes, in order.
    #[must_use]
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }
}

/// The queues that were deleted in this run.
///
/// A connection may route by a topology that is a moment old, so a publish can be gathered after
/// the deletion of its queue was committed. Nobody would ever settle such an entry.
#[derive(Debug, Default)]
pub(crate) struct DeletedQueues(RoaringBitmap);

impl DeletedQueues {
    /// Takes the deleted queues out of the publishes, then notes those that the changes delete.
    pub(crate) fn apply(&mut self, publishes: &mut [Publish], changes: &[Change]) {
        if !self.0.is_empty() {
            for publish in publishes {
                let is_deleted = |queue: &&QueueId| self.0.contains(queue.0);
                while let Some(queue) = publish.queues.as_slice().iter().find(is_deleted).copied() {
                    publish.queues.remove(queue);
                }
            }
        }
        for change in changes {
            if let Change::DeleteQueue(queue) = change {
                self.0.insert(queue.0);
            }
        }
    }
}

/// Takes `queue` out of the publishes with an id in `range`.
fn elide(publishes: &mut [Publish], queue: QueueId, range: &RangeInclusive<MessageId>) {
    let start = publishes.partition_point(|publish| publish.id < *range.start());
    for publish in publishes.iter_mut().skip(start) {
        if publish.id > *range.end() {
            break;
        }
        publish.queues.remove(queue);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::Queues;
    use crate::message::Message;

    fn publish(id: MessageId, queues: &[u32]) -> Publish {
        let queues = queues.iter().map(|queue| QueueId(*queue)).collect();
        Publish { id, message: Message::new(b"", b"q", b"", b"body"), queues, durable: true }
    }

    fn settle(queue: u32, ids: RangeInclusive<MessageId>) -> Change {
        Change::Settle { queue: QueueId(queue), ids: vec![ids] }
    }

    #[track_caller]
    fn check(publishes: Vec<Publish>, changes: Vec<Change>, expected: &[(MessageId, &[u32])]) {
        let gathered = Gathered::new(publishes, changes);
        let left: Vec<(MessageId, Vec<u32>)> = gathered
            .publishes()
            .iter()
            .map(|publish| {
                (publish.id, publish.queues.as_slice().iter().map(|queue| queue.0).collect())
            })
            .collect();
        let expected: Vec<(MessageId, Vec<u32>)> =
            expected.iter().map(|(id, queues)| (*id, queues.to_vec())).collect();
        assert_eq!(left, expected);
    }

    #[test]
    fn publishes_are_sorted_by_id() {
        check(
            vec![publish(7, &[1]), publish(8, &[1]), publish(3, &[1])],
            vec![],
            &[(3, &[1]), (7, &[1]), (8, &[1])],
        );
    }

    #[test]
    fn a_publish_settled_by_its_only_queue_is_left_out() {
        check(vec![publish(1, &[1]), publish(2, &[1])], vec![settle(1, 1..=1)], &[(2, &[1])]);
    }

    #[test]
    fn a_publish_settled_by_some_of_its_queues_keeps_the_others() {
        check(
            vec![publish(1, &[1, 2, 3]), publish(2, &[1, 2])],
            vec![settle(1, 0..=9), settle(3, 1..=1)],
            &[(1, &[2]), (2, &[2])],
        );
    }

    #[test]
    fn settles_of_other_queues_and_of_other_ids_change_nothing() {
        check(vec![publish(5, &[1])], vec![settle(2, 5..=5), settle(1, 6..=9)], &[(5, &[1])]);
    }

    #[test]
    fn a_deleted_queue_takes_its_publishes_along() {
        check(
            vec![publish(1, &[1]), publish(2, &[1, 2])],
            vec![Change::DeleteQueue(QueueId(1))],
            &[(2, &[2])],
        );
    }

    #[test]
    fn publishes_to_a_queue_that_was_deleted_before_are_left_out() {
        let mut deleted = DeletedQueues::default();
        deleted.apply(&mut [], &[Change::DeleteQueue(QueueId(1)), Change::DeleteQueue(QueueId(3))]);
        let mut publishes = vec![publish(1, &[1]), publish(2, &[1, 2, 3]), publish(3, &[2])];
        deleted.apply(&mut publishes, &[]);
        check(publishes, vec![], &[(2, &[2]), (3, &[2])]);
    }

    #[test]
    fn queues_are_collected_into_the_smallest_form() {
        let collect = |queues: &[u32]| queues.iter().map(|queue| QueueId(*queue)).collect();
        assert_eq!(collect(&[]), Queues::None);
        assert_eq!(collect(&[4]), Queues::One(QueueId(4)));
        let many: Queues = collect(&[4, 5]);
        assert_eq!(many.as_slice(), [QueueId(4), QueueId(5)]);
    }
}
