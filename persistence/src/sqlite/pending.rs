//! What the journal has and the tables have not: kept in memory until it is applied. Most messages
//! are consumed before, and then nothing of them is written to the tables. The store adds to it,
//! `applier.rs` takes the oldest from it, readers look into it first.

use std::collections::{BTreeMap, VecDeque};
use std::ops::RangeInclusive;
use std::time::Instant;

use super::runs::{BlockId, block_of};
use crate::change::{Change, Publish};
use crate::ids::{MessageId, QueueId};
use crate::message::Message;
use crate::progress::Progress;

/// Weight at which a segment gets no more: what is taken at a time is a few of them.
const SEGMENT_WEIGHT: usize = 2 << 20;

/// Everything that is to be applied, oldest first.
#[derive(Debug, Default)]
pub(super) struct Pending {
    segments: VecDeque<Segment>,
    weight: usize,
    /// How many segments have been taken and are not applied yet. They get no more.
    taken: usize,
}

/// A stretch of the journal.
#[derive(Debug)]
pub(super) struct Segment {
    /// By block and id. One that was settled since has no queue any more and keeps its place, so
    /// that settling costs no moving.
    publishes: BTreeMap<BlockId, Vec<Publish>>,
    /// What happened to messages that are in the tables, in order.
    before: Vec<Change>,
    /// The other changes, in order.
    after: Vec<Change>,
    /// The lowest and the highest id that were published: most look-ups are for others.
    lowest: MessageId,
    highest: MessageId,
    published: usize,
    /// Where the journal goes on behind it.
    end: u64,
    weight: usize,
    since: Instant,
}

/// What is written to the tables as one transaction: first the changes `before`, then the
/// publishes, by increasing id, then the changes `after`.
///
/// What happens to messages that are in the tables comes first, because it may name ids between
/// theirs whose messages came later. To pending messages a settle has happened when it came.
#[derive(Debug, Default)]
pub(super) struct Portion {
    pub(super) before: Vec<Change>,
    pub(super) publishes: Vec<Publish>,
    pub(super) after: Vec<Change>,
    /// How many were published, with those that are not there any more.
    pub(super) published: usize,
    /// The highest id of them.
    pub(super) highest: MessageId,
    /// Where the journal goes on behind it.
    pub(super) end: u64,
}

impl Pending {
    /// Adds a commit, with increasing ids, of which `bytes` were written to the journal, up to
    /// `end`.
    pub(super) fn add(
        &mut self,
        publishes: Vec<Publish>,
        changes: Vec<Change>,
        bytes: usize,
        end: u64,
    ) {
        let weight = bytes + publishes.len() * size_of::<Publish>();
        self.weight += weight;
        self.open_segment();
        let segment = self.newest();
        segment.weight += weight;
        segment.end = end;
        segment.add(publishes);
        for change in changes {
            self.add_change(change);
        }
    }

    fn add_change(&mut self, change: Change) {
        match change {
            Change::Settle { queue, ref ids } => {
                ids.iter().for_each(|ids| self.settle(queue, ids));
                self.newest().before.push(change);
            }
            Change::PutProgress { queue, progress } => {
                let is_pending = |progress: &Progress| self.find(progress.id).is_some();
                let (after, before): (Vec<_>, Vec<_>) = progress.into_iter().partition(is_pending);
                let segment = self.newest();
                for (list, progress) in [(&mut segment.before, before), (&mut segment.after, after)]
                {
                    if !progress.is_empty() {
                        list.push(Change::PutProgress { queue, progress });
                    }
                }
            }
            _ => {
                if let Change::DeleteQueue(queue) = change {
                    self.settle(queue, &(0..=MessageId::MAX));
                }
                self.newest().after.push(change);
            }
        }
    }

    /// Sees to it that the newest segment may get more. A commit goes into one segment, however
    /// long it is, since segments are what is applied together.
    fn open_segment(&mut self) {
        let is_open = self.segments.len() > self.taken
            && self.segments.back().is_some_and(|last| last.weight < SEGMENT_WEIGHT);
        if !is_open {
            self.segments.push_back(Segment::new());
        }
    }

    fn newest(&mut self) -> &mut Segment {
        self.segments.back_mut().expect("there is one while a commit is added")
    }

    /// Takes a queue out of the messages of a range.
    fn settle(&mut self, queue: QueueId, ids: &RangeInclusive<MessageId>) {
        if ids.is_empty() {
            return;
        }
        for segment in &mut self.segments {
            segment.settle(queue, ids);
        }
    }

    /// A message, if a queue holds it and it is not in the tables.
    pub(super) fn find(&self, id: MessageId) -> Option<&Message> {
        self.segments.iter().find_map(|segment| segment.find(id))
    }

    /// What it costs in memory.
    pub(super) fn weight(&self) -> usize {
        self.weight
    }

    /// When the oldest of it was added.
    pub(super) fn since(&self) -> Option<Instant> {
        self.segments.front().map(|segment| segment.since)
    }

    /// Takes the oldest segments, up to `count`; `None` if there are none. They stay here, for
    /// readers, until [`Pending::applied`].
    pub(super) fn take(&mut self, count: usize) -> Option<Portion> {
        if self.segments.is_empty() {
            return None;
        }
        let mut portion = Portion::default();
        self.taken = count.min(self.segments.len());
        for segment in self.segments.iter_mut().take(self.taken) {
            portion.before.append(&mut segment.before);
            portion.after.append(&mut segment.after);
            portion.published += segment.published;
            portion.highest = portion.highest.max(segment.highest);
            portion.end = segment.end;
            let held = segment.publishes.values().flatten().filter(|p| !p.queues.is_empty());
            portion.publishes.extend(held.cloned());
        }
        portion.publishes.sort_by_key(|publish| publish.id);
        Some(portion)
    }

    /// Forgets what was taken: it is in the tables. Returns it, to be dropped outside of locks.
    pub(super) fn applied(&mut self) -> Vec<Segment> {
        let applied: Vec<Segment> = self.segments.drain(..self.taken).collect();
        self.taken = 0;
        self.weight -= applied.iter().map(|segment| segment.weight).sum::<usize>();
        applied
    }
}

impl Segment {
    fn new() -> Self {
        Self {
            publishes: BTreeMap::new(),
            before: Vec::new(),
            after: Vec::new(),
            lowest: MessageId::MAX,
            highest: 0,
            published: 0,
            end: 0,
            weight: 0,
            since: Instant::now(),
        }
    }

    fn add(&mut self, publishes: Vec<Publish>) {
        self.published += publishes.len();
        if let (Some(first), Some(last)) = (publishes.first(), publishes.last()) {
            self.lowest = self.lowest.min(first.id);
            self.highest = self.highest.max(last.id);
        }
        let mut publishes = publishes.into_iter().peekable();
        while let Some(first) = publishes.next() {
            let block = block_of(first.id);
            let list = self.publishes.entry(block).or_default();
            let is_sorted = list.last().is_none_or(|last| last.id < first.id);
            list.push(first);
            while let Some(next) = publishes.next_if(|next| block_of(next.id) == block) {
                list.push(next);
            }
            if !is_sorted {
                // A connection that reserved its ids earlier than another has handed them in later.
                list.sort_by_key(|publish| publish.id);
            }
        }
    }

    fn settle(&mut self, queue: QueueId, ids: &RangeInclusive<MessageId>) {
        if *ids.end() < self.lowest || self.highest < *ids.start() {
            return;
        }
        let blocks = block_of(*ids.start())..=block_of(*ids.end());
        for list in self.publishes.range_mut(blocks).map(|(_, list)| list) {
            let start = list.partition_point(|publish| publish.id < *ids.start());
            for publish in list.iter_mut().skip(start) {
                if publish.id > *ids.end() {
                    break;
                }
                publish.queues.remove(queue);
            }
        }
    }

    fn find(&self, id: MessageId) -> Option<&Message> {
        if id < self.lowest || self.highest < id {
            return None;
        }
        let list = self.publishes.get(&block_of(id))?;
        let at = list.binary_search_by_key(&id, |publish| publish.id).ok()?;
        list.get(at).filter(|publish| !publish.queues.is_empty()).map(|publish| &publish.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn publish(id: MessageId, queues: &[u32]) -> Publish {
        let queues = queues.iter().map(|queue| QueueId(*queue)).collect();
        Publish { id, message: Message::new(b"", b"key", b"", b"body"), queues, durable: true }
    }

    fn settle(queue: u32, ids: RangeInclusive<MessageId>) -> Change {
        Change::Settle { queue: QueueId(queue), ids: vec![ids] }
    }

    fn add(pending: &mut Pending, publishes: Vec<Publish>, changes: Vec<Change>) {
        pending.add(publishes, changes, 100, 100);
    }

    fn ids(portion: &Portion) -> Vec<MessageId> {
        portion.publishes.iter().map(|publish| publish.id).collect()
    }

    #[test]
    fn what_every_queue_has_settled_is_not_taken() {
        let mut pending = Pending::default();
        add(&mut pending, (1_000..1_050).map(|id| publish(id, &[1, 2])).collect(), vec![]);
        add(&mut pending, vec![], vec![settle(1, 1_000..=1_049), settle(2, 1_010..=1_030)]);
        add(&mut pending, vec![], vec![Change::DeleteQueue(QueueId(3)), settle(2, 1_040..=9_999)]);
        let found: Vec<MessageId> = (0..2_000).filter(|id| pending.find(*id).is_some()).collect();
        let expected: Vec<MessageId> = (1_000..1_010).chain(1_031..1_040).collect();
        assert_eq!(found, expected);
        let portion = pending.take(usize::MAX).unwrap();
        assert_eq!(ids(&portion), expected);
        assert!(portion.publishes.iter().all(|publish| publish.queues.as_slice() == [QueueId(2)]));
        assert_eq!((portion.before.len(), portion.after.len()), (3, 1));
        assert_eq!((portion.published, portion.highest, portion.end), (50, 1_049, 100));
    }

    #[test]
    fn a_settle_takes_nothing_that_came_after_it() {
        let mut pending = Pending::default();
        add(&mut pending, vec![publish(1, &[1]), publish(5, &[1])], vec![]);
        add(&mut pending, vec![], vec![settle(1, 0..=9)]);
        add(&mut pending, vec![publish(3, &[1])], vec![]);
        assert_eq!(ids(&pending.take(usize::MAX).unwrap()), [3]);
    }

    #[test]
    fn progress_is_of_messages_that_were_there_when_it_was_put() {
        let mut pending = Pending::default();
        let put = |ids: &[MessageId]| {
            let progress =
                |id: &MessageId| Progress { id: *id, deliveries: 1, retries: 0, due_ms: 0 };
            let progress = ids.iter().map(progress).collect();
            Change::PutProgress { queue: QueueId(1), progress }
        };
        add(&mut pending, vec![publish(1, &[1])], vec![put(&[1, 2, 3])]);
        add(&mut pending, vec![publish(2, &[1])], vec![put(&[2])]);
        let portion = pending.take(usize::MAX).unwrap();
        let list = |changes: &[Change]| format!("{changes:?}");
        assert_eq!(list(&portion.before), list(&[put(&[2, 3])]));
        assert_eq!(list(&portion.after), list(&[put(&[1]), put(&[2])]));
    }

    #[test]
    fn messages_are_taken_by_id_in_whatever_order_they_came() {
        let mut pending = Pending::default();
        for first in [5_000, 1, 3_000, 2] {
            let publishes = (first..first + 2_000).step_by(10).map(|id| publish(id, &[1]));
            add(&mut pending, publishes.collect(), vec![]);
        }
        let ids = ids(&pending.take(usize::MAX).unwrap());
        assert!(ids.is_sorted());
        assert_eq!(ids.len(), 800);
        assert!(ids.iter().all(|id| pending.find(*id).is_some()));
    }

    #[test]
    fn what_is_taken_is_found_until_it_is_applied_and_gets_no_more() {
        let mut pending = Pending::default();
        assert!(pending.take(1).is_none());
        add(&mut pending, vec![publish(1, &[1]), publish(2, &[1])], vec![]);
        assert_eq!(ids(&pending.take(1).unwrap()), [1, 2]);
        add(&mut pending, vec![publish(3, &[1])], vec![settle(1, 2..=2)]);
        let found = |pending: &Pending| [1, 2, 3].map(|id| pending.find(id).is_some());
        assert_eq!(found(&pending), [true, false, true]);
        assert_eq!(pending.applied().len(), 1);
        assert_eq!(found(&pending), [false, false, true]);
        let rest = pending.take(usize::MAX).unwrap();
        assert_eq!((ids(&rest), rest.before.len()), (vec![3], 1), "2 is in the tables by now");
        drop(pending.applied());
        assert_eq!((pending.weight(), pending.since()), (0, None));
    }

    #[test]
    fn a_long_stretch_is_taken_piece_by_piece() {
        let mut pending = Pending::default();
        for id in 0..10 {
            pending.add(vec![publish(id, &[1])], vec![], SEGMENT_WEIGHT / 2, id + 1);
        }
        let portion = pending.take(1).unwrap();
        assert_eq!((ids(&portion), portion.end), (vec![0, 1], 2));
        drop(pending.applied());
        let portion = pending.take(3).unwrap();
        assert_eq!((ids(&portion), portion.end), ((2..8).collect(), 8));
    }

    #[test]
    fn a_long_commit_is_taken_as_a_whole() {
        let mut pending = Pending::default();
        let progress = Progress { id: 1, deliveries: 1, retries: 0, due_ms: 0 };
        let put = Change::PutProgress { queue: QueueId(1), progress: vec![progress] };
        let changes = vec![settle(2, 7..=7), put, Change::DeleteQueue(QueueId(3))];
        pending.add(vec![publish(1, &[1])], changes, 2 * SEGMENT_WEIGHT, 9);
        pending.add(vec![publish(2, &[1])], vec![], 1, 10);
        let portion = pending.take(1).unwrap();
        assert_eq!((ids(&portion), portion.end), (vec![1], 9));
        assert_eq!((portion.before.len(), portion.after.len()), (1, 2));
        drop(pending.applied());
        assert_eq!(pending.take(1).unwrap().end, 10);
    }
}
