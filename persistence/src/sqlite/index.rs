//! Which queue holds which stored message, in memory: the mirror of what the tables say. Decides
//! when rows have become garbage. The durable log and the page-out file have one each.
//!
//! Settling looks only here, never at the tables, and costs no row of the message it settles.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::RangeInclusive;

use super::runs::{BLOCK_LEN, BlockId, Run, Runs, block_of, id_at, place_of};
use crate::change::Publish;
use crate::ids::{IdSet, MessageId, QueueId};

/// What a row costs on disk besides its parts: cell header, column types, id, stamp.
const ROW_OVERHEAD_BYTES: u64 = 24;

/// Rows that no queue holds are deleted between the others once they take this much...
const WASTE_BYTES_MIN: u64 = 4 << 20;
/// ...and at most one row in this many is still held.
const WASTE_SHARE: u64 = 4;

/// A block: the entries of its ids, and what its rows take.
#[derive(Debug, Default)]
pub(super) struct Block {
    /// Who holds what.
    pub(super) runs: Runs,
    /// Rows in the message table, held or not.
    pub(super) rows: u64,
    /// Bytes of these rows.
    pub(super) bytes: u64,
}

/// All blocks that have entries or rows.
#[derive(Debug, Default)]
pub(super) struct Index {
    blocks: BTreeMap<BlockId, Block>,
    /// Blocks without entries whose rows are still there.
    empty: BTreeSet<BlockId>,
}

impl Index {
    /// Adds the entries of publishes that are all of one block. Returns whether the block is new.
    pub(super) fn add(&mut self, block: BlockId, publishes: &[Publish]) -> bool {
        let mut new = false;
        let entry = self.blocks.entry(block).or_insert_with(|| {
            new = true;
            Block::default()
        });
        for publish in publishes {
            entry.rows += 1;
            entry.bytes += publish.message.size() as u64 + ROW_OVERHEAD_BYTES;
            for queue in publish.queues.as_slice() {
                entry.runs.add(*queue, place_of(publish.id));
            }
        }
        self.empty.remove(&block);
        new
    }

    /// Puts back a block as it was stored.
    pub(super) fn restore(&mut self, block: BlockId, restored: Block) {
        if restored.runs.is_empty() {
            self.empty.insert(block);
        }
        self.blocks.insert(block, restored);
    }

    /// Puts back the entries of one message that is not in a stored block.
    pub(super) fn restore_message(
        &mut self,
        id: MessageId,
        queues: impl Iterator<Item = QueueId>,
        bytes: u64,
    ) {
        let block = self.blocks.entry(block_of(id)).or_default();
        block.rows += 1;
        block.bytes += bytes + ROW_OVERHEAD_BYTES;
        for queue in queues {
            block.runs.add(queue, place_of(id));
        }
    }

    /// Removes a queue's entries with ids in the range. Calls `removed` with the ids of each run
    /// of them, and `touched` for each block that lost some.
    pub(super) fn remove(
        &mut self,
        queue: QueueId,
        ids: &RangeInclusive<MessageId>,
        mut removed: impl FnMut(MessageId, MessageId),
        mut touched: impl FnMut(BlockId, &Block),
    ) {
        let (first, last) = (*ids.start(), *ids.end());
        if first > last {
            return;
        }
        for (id, block) in self.blocks.range_mut(block_of(first)..=block_of(last)) {
            let from = if *id == block_of(first) { place_of(first) } else { 0 };
            let to = if *id == block_of(last) { place_of(last) } else { BLOCK_LEN - 1 };
            let mut any = false;
            block.runs.remove(queue, from..=to, |run| {
                any = true;
                removed(id_at(*id, run.first), id_at(*id, run.last));
            });
            if any {
                if block.runs.is_empty() {
                    self.empty.insert(*id);
                }
                touched(*id, block);
            }
        }
    }

    /// Whether a queue holds a message.
    pub(super) fn holds(&self, queue: QueueId, id: MessageId) -> bool {
        self.blocks.get(&block_of(id)).is_some_and(|block| block.runs.holds(queue, place_of(id)))
    }

    /// A block, if it has entries or rows.
    pub(super) fn block(&self, id: BlockId) -> Option<&Block> {
        self.blocks.get(&id)
    }

    /// A block, if it has entries or rows.
    pub(super) fn block_mut(&mut self, id: BlockId) -> Option<&mut Block> {
        self.blocks.get_mut(&id)
    }

    /// All blocks, by id.
    pub(super) fn blocks(&self) -> impl Iterator<Item = (BlockId, &Block)> {
        self.blocks.iter().map(|(id, block)| (*id, block))
    }

    /// The lowest block that nobody holds anything of, and the bytes of its rows.
    pub(super) fn first_empty(&self) -> Option<(BlockId, u64)> {
        let id = *self.empty.first()?;
        Some((id, self.blocks.get(&id).map_or(0, |block| block.bytes)))
    }

    /// Forgets a block whose rows are gone.
    pub(super) fn forget(&mut self, block: BlockId) {
        self.empty.remove(&block);
        self.blocks.remove(&block);
    }

    /// Every queue's messages.
    pub(super) fn backlog(&self) -> HashMap<QueueId, IdSet> {
        let mut backlog: HashMap<QueueId, IdSet> = HashMap::new();
        for (id, block) in &self.blocks {
            for Run { queue, first, last } in block.runs.iter() {
                let ids = backlog.entry(queue).or_default();
                if first == last {
                    ids.insert(id_at(*id, first));
                } else {
                    ids.insert_range(id_at(*id, first)..=id_at(*id, last));
                }
            }
        }
        backlog
    }
}

impl Block {
    /// Whether so much of it is dead and it is so large that its dead rows should go now, not
    /// with the block.
    pub(super) fn is_waste(&self) -> bool {
        self.bytes >= WASTE_BYTES_MIN && !self.runs.is_empty() && self.is_sparse()
    }

    /// Whether few of its rows are still held. Counts entries, which are at least as many as
    /// rows: cheap, and with fan-out only later than need be.
    pub(super) fn is_sparse(&self) -> bool {
        let entries: u64 = self.runs.iter().map(|run| u64::from(run.len())).sum();
        entries * WASTE_SHARE <= self.rows
    }

    /// Notes that all rows are gone but `held`.
    pub(super) fn pruned(&mut self, held: u64) {
        self.bytes = (self.bytes * held).checked_div(self.rows).unwrap_or(0);
        self.rows = held;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Message;

    fn publish(id: MessageId, queues: &[u32]) -> Publish {
        let queues = queues.iter().map(|queue| QueueId(*queue)).collect();
        Publish { id, message: Message::new(b"", b"q", b"", &[0; 99]), queues, durable: true }
    }

    /// The ids that went, and the blocks they were in.
    fn remove(
        index: &mut Index,
        queue: u32,
        ids: RangeInclusive<MessageId>,
    ) -> (Vec<(MessageId, MessageId)>, Vec<BlockId>) {
        let (mut removed, mut touched) = (Vec::new(), Vec::new());
        index.remove(
            QueueId(queue),
            &ids,
            |first, last| removed.push((first, last)),
            |block, _| touched.push(block),
        );
        (removed, touched)
    }

    #[test]
    fn a_block_is_garbage_when_its_last_entry_goes() {
        let mut index = Index::default();
        assert!(index.add(0, &[publish(1, &[1]), publish(2, &[1, 2])]));
        assert!(!index.add(0, &[publish(3, &[2])]));
        assert_eq!(remove(&mut index, 1, 0..=MessageId::MAX), ([(1, 2)].into(), [0].into()));
        assert_eq!(index.first_empty(), None);
        assert_eq!(remove(&mut index, 2, 2..=3), ([(2, 3)].into(), [0].into()));
        assert_eq!(index.first_empty(), Some((0, 3 * (100 + ROW_OVERHEAD_BYTES))));
        index.forget(0);
        assert_eq!(index.first_empty(), None);
        assert!(index.block(0).is_none());
    }

    #[test]
    fn a_late_publish_revives_an_empty_block() {
        let mut index = Index::default();
        index.add(0, &[publish(1, &[1])]);
        remove(&mut index, 1, 1..=1);
        assert!(index.first_empty().is_some());
        index.add(0, &[publish(2, &[1])]);
        assert_eq!(index.first_empty(), None);
    }

    #[test]
    fn a_range_is_removed_from_all_its_blocks_and_only_the_changed_ones_are_reported() {
        let mut index = Index::default();
        for id in [1000, 1030, 5000, 9000] {
            index.add(block_of(id), &[publish(id, &[if id == 5000 { 2 } else { 1 }])]);
        }
        let (removed, touched) = remove(&mut index, 1, 1001..=9000);
        assert_eq!(removed, [(1030, 1030), (9000, 9000)]);
        assert_eq!(touched, [1, 8]);
        for (queue, id, held) in [(1, 1000, true), (1, 1030, false), (2, 5000, true)] {
            assert_eq!(index.holds(QueueId(queue), id), held, "{queue} {id}");
            assert!(!index.holds(QueueId(3 - queue), id), "{id}");
        }
        let backlog = index.backlog();
        assert_eq!(backlog[&QueueId(1)].iter().collect::<Vec<_>>(), [1000]);
        assert_eq!(backlog[&QueueId(2)].iter().collect::<Vec<_>>(), [5000]);
        assert_eq!(remove(&mut index, 1, RangeInclusive::new(2, 1)), (vec![], vec![]));
    }

    #[test]
    fn pruning_scales_the_bytes_with_the_rows() {
        let mut block = Block { rows: 8, bytes: 800, ..Block::default() };
        block.pruned(2);
        assert_eq!((block.rows, block.bytes), (2, 200));
        block.pruned(0);
        block.pruned(0);
        assert_eq!((block.rows, block.bytes), (0, 0));
    }
}
