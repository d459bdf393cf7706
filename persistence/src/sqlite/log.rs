//! The durable messages: what a commit writes about them, and when the notes on them are brought
//! up to date. Called by the store inside of its transactions. docs/decisions/0001-store-layout.md
//! has the reasons.
//!
//! A publish appends one row to `message` and nothing else. A settle only adds to the commit's
//! row of `settled`. Everything else follows later and in bulk: a block that gets no more
//! messages is listed in `block`, and listed again when enough was settled in it; a block that
//! nobody holds anything of is deleted as one range.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::fmt::Write as _;
use std::ops::RangeInclusive;

use rusqlite::Connection;

use super::convert::sql_id;
use super::index::Index;
use super::messages;
use super::progress::ProgressRows;
use super::runs::{BlockId, block_of};
use crate::change::Publish;
use crate::ids::{MessageId, QueueId};
use crate::progress::Progress;

/// A block is open while it is one of the newest that got messages: connections that reserved
/// their ids earlier may still hand them in. Later is right as well, only dearer.
const OPEN_BLOCKS: u64 = 4;
/// Blocks that may wait to be listed again, and commits that `settled` may go back, before
/// commits pay for it.
const STALE_BLOCKS_MAX: usize = 1024;
const SETTLED_ROWS_MAX: u64 = 4096;
/// Blocks that one commit lists again beyond these bounds.
const RELISTED_PER_COMMIT: usize = 16;
/// Rows of `settled` that are deleted at a time, at least: deleting one in every commit would
/// cost a statement in every commit.
const SETTLED_TRIM_ROWS: u64 = 64;
/// Garbage that a commit deletes, beside twice what it published.
const SWEEP_BYTES_PER_COMMIT: u64 = 1 << 20;

/// A row of `settled`; they are numbered by commit.
type SettledId = u64;

/// The tables `message`, `block`, `settled` and `progress`, and what is known of them in memory.
#[derive(Debug, Default)]
pub(super) struct Log {
    pub(super) index: Index,
    pub(super) progress: ProgressRows,
    /// The newest block that got a message.
    newest: BlockId,
    /// Blocks with rows of messages and none in `block`.
    unlisted: BTreeSet<BlockId>,
    /// What `meta.first_open` says.
    first_open: BlockId,
    /// The oldest row of `settled` that a block's listing lacks...
    stale_since: HashMap<BlockId, SettledId>,
    /// ...and the same by age. May hold blocks that were listed or forgotten since.
    stale: VecDeque<(SettledId, BlockId)>,
    /// The rows of `settled` that there are.
    settled: std::ops::Range<SettledId>,
    /// Of the current commit: the row of `settled`, listed blocks that got messages after all,
    /// blocks to prune, bytes published.
    settled_now: String,
    revived: BTreeSet<BlockId>,
    wasteful: BTreeSet<BlockId>,
    published_bytes: u64,
}

impl Log {
    /// Over what was recovered: the index without the effect of `settled`, the blocks of it that
    /// have no row in `block`, and the range of ids in `settled`.
    pub(super) fn recovered(
        index: Index,
        unlisted: BTreeSet<BlockId>,
        first_open: BlockId,
        settled: std::ops::Range<SettledId>,
    ) -> Self {
        let newest = index.blocks().last().map_or(0, |(block, _)| block);
        Self { index, newest, unlisted, first_open, settled, ..Self::default() }
    }

    /// Applies a row of `settled` that was found at start.
    pub(super) fn replay(
        &mut self,
        row: SettledId,
        queue: QueueId,
        ids: &RangeInclusive<MessageId>,
    ) {
        let (stale_since, stale) = (&mut self.stale_since, &mut self.stale);
        self.index.remove(
            queue,
            ids,
            |_, _| (),
            |block, _| mark_stale(stale_since, stale, row, block),
        );
    }

    /// Writes messages, whose ids increase.
    pub(super) fn publish(
        &mut self,
        connection: &Connection,
        publishes: &[Publish],
    ) -> rusqlite::Result<()> {
        messages::insert(connection, publishes)?;
        for publishes in publishes.chunk_by(|a, b| block_of(a.id) == block_of(b.id)) {
            let Some(first) = publishes.first() else {
                continue;
            };
            let block = block_of(first.id);
            if self.index.add(block, publishes) {
                self.unlisted.insert(block);
            } else if !self.unlisted.contains(&block) {
                self.revived.insert(block);
            }
            self.newest = self.newest.max(block);
        }
        self.published_bytes +=
            publishes.iter().map(|publish| publish.message.size() as u64).sum::<u64>();
        Ok(())
    }

    /// Notes that entries leave a queue. Only what the queue held is written down: if the range
    /// has an id that is published later after all, the note must not settle it.
    pub(super) fn settle(&mut self, queue: QueueId, ids: &RangeInclusive<MessageId>) {
        let mut note = Note { text: &mut self.settled_now, queue, run: None };
        let (stale_since, stale) = (&mut self.stale_since, &mut self.stale);
        let (row, wasteful) = (self.settled.end, &mut self.wasteful);
        self.index.remove(
            queue,
            ids,
            |first, last| note.add(first, last),
            |block, entry| {
                mark_stale(stale_since, stale, row, block);
                if entry.is_waste() {
                    wasteful.insert(block);
                }
            },
        );
        note.flush();
    }

    /// Notes that all entries leave a queue that never gets any again: one note for all of them.
    pub(super) fn settle_for_good(&mut self, queue: QueueId) {
        let (stale_since, stale, row) = (&mut self.stale_since, &mut self.stale, self.settled.end);
        let mut any = false;
        self.index.remove(
            queue,
            &(0..=MessageId::MAX),
            |_, _| any = true,
            |block, _| mark_stale(stale_since, stale, row, block),
        );
        if any {
            let run = Some((0, MessageId::MAX));
            Note { text: &mut self.settled_now, queue, run }.flush();
        }
    }

    /// Notes what has happened to messages in a queue.
    pub(super) fn put_progress(
        &mut self,
        connection: &Connection,
        queue: QueueId,
        progress: &[Progress],
    ) -> rusqlite::Result<()> {
        self.progress.put(connection, &self.index, queue, progress)
    }

    /// Ends a commit: writes its row of `settled` and does its share of the clean-up.
    pub(super) fn finish(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        self.write_settled(connection)?;
        for block in std::mem::take(&mut self.wasteful) {
            self.prune(connection, block)?;
        }
        for block in std::mem::take(&mut self.revived) {
            self.list(connection, block)?;
        }
        self.list_closed(connection)?;
        self.relist_stale(connection)?;
        let budget = SWEEP_BYTES_PER_COMMIT + 2 * std::mem::take(&mut self.published_bytes);
        self.sweep(connection, self.newest.saturating_sub(OPEN_BLOCKS), budget)?;
        self.trim_settled(connection, SETTLED_TRIM_ROWS)?;
        self.note_first_open(connection)
    }

    /// Cleans up outside of commits: first what is garbage, so that it need not be listed.
    pub(super) fn upkeep(
        &mut self,
        connection: &Connection,
        blocks: usize,
        budget_bytes: u64,
    ) -> rusqlite::Result<()> {
        self.sweep(connection, BlockId::MAX, budget_bytes)?;
        if self.index.first_empty().is_none() {
            for _ in 0..blocks {
                let Some(block) = self.oldest_stale() else {
                    break;
                };
                self.list(connection, block)?;
            }
        }
        self.trim_settled(connection, 1)?;
        self.note_first_open(connection)
    }

    /// Whether [`Log::upkeep`] has anything to do.
    pub(super) fn needs_upkeep(&mut self) -> bool {
        self.oldest_stale().is_some()
            || self.index.first_empty().is_some()
            || !self.settled.is_empty()
    }

    fn write_settled(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        if self.settled_now.is_empty() {
            return Ok(());
        }
        let entries = format!("[{}]", self.settled_now);
        connection
            .prepare_cached("INSERT INTO settled (id, entries) VALUES (?1, ?2)")?
            .execute((sql_id(self.settled.end), entries))?;
        self.settled.end += 1;
        self.settled_now.clear();
        Ok(())
    }

    /// Lists the blocks that get no more messages. Those that nobody holds anything of stay
    /// unlisted until they are swept.
    fn list_closed(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let open_from = self.newest.saturating_sub(OPEN_BLOCKS);
        if self.unlisted.first().is_none_or(|first| *first >= open_from) {
            return Ok(());
        }
        let is_held =
            |block: &BlockId| self.index.block(*block).is_some_and(|entry| !entry.runs.is_empty());
        let closed: Vec<BlockId> =
            self.unlisted.range(..open_from).copied().filter(is_held).collect();
        closed.into_iter().try_for_each(|block| self.list(connection, block))
    }

    /// Lists some of the blocks again whose listing lacks the oldest rows of `settled`.
    fn relist_stale(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        for _ in 0..RELISTED_PER_COMMIT {
            let Some(block) = self.oldest_stale() else {
                return Ok(());
            };
            let age = self.stale.front().map_or(0, |(row, _)| self.settled.end - row);
            if self.stale_since.len() <= STALE_BLOCKS_MAX && age <= SETTLED_ROWS_MAX {
                return Ok(());
            }
            self.list(connection, block)?;
        }
        Ok(())
    }

    /// The block that lacks the oldest row of `settled`.
    fn oldest_stale(&mut self) -> Option<BlockId> {
        while let Some((row, block)) = self.stale.front().copied() {
            if self.stale_since.get(&block) == Some(&row) {
                return Some(block);
            }
            self.stale.pop_front();
        }
        None
    }

    /// Writes a block's row as the index has it.
    fn list(&mut self, connection: &Connection, block: BlockId) -> rusqlite::Result<()> {
        self.stale_since.remove(&block);
        if self.index.block(block).is_some_and(|entry| !entry.runs.is_empty() && entry.is_sparse())
        {
            self.prune(connection, block)?;
        }
        let Some(entry) = self.index.block_mut(block) else {
            return Ok(());
        };
        connection
            .prepare_cached(
                "INSERT OR REPLACE INTO block (id, messages, bytes, entries) \
                 VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute((
                sql_id(block),
                sql_id(entry.rows),
                sql_id(entry.bytes),
                entry.runs.to_json(),
            ))?;
        entry.runs.shrink();
        self.unlisted.remove(&block);
        Ok(())
    }

    /// Deletes the rows of a block that nobody holds.
    fn prune(&mut self, connection: &Connection, block: BlockId) -> rusqlite::Result<()> {
        let gaps = messages::prune(connection, &mut self.index, block)?;
        self.progress.prune(connection, block, &gaps)
    }

    /// Deletes blocks that nobody holds anything of.
    fn sweep(
        &mut self,
        connection: &Connection,
        end: BlockId,
        budget_bytes: u64,
    ) -> rusqlite::Result<()> {
        let (mut gone, mut listed) = (Vec::new(), Vec::new());
        let (unlisted, stale_since) = (&mut self.unlisted, &mut self.stale_since);
        messages::sweep(connection, &mut self.index, end, budget_bytes, |block| {
            stale_since.remove(&block);
            gone.push(block);
            if !unlisted.remove(&block) {
                listed.push(block);
            }
        })?;
        gone.into_iter().try_for_each(|block| self.progress.delete(connection, block))?;
        let mut delete = connection.prepare_cached("DELETE FROM block WHERE id = ?1")?;
        listed.into_iter().try_for_each(|block| delete.execute([sql_id(block)]).map(|_| ()))
    }

    /// Deletes the rows of `settled` that every listing has, if they are at least `rows_min`.
    fn trim_settled(&mut self, connection: &Connection, rows_min: u64) -> rusqlite::Result<()> {
        let needed_from = match self.oldest_stale() {
            Some(_) => self.stale.front().map_or(self.settled.end, |(row, _)| *row),
            None => self.settled.end,
        };
        if needed_from - self.settled.start < rows_min {
            return Ok(());
        }
        connection
            .prepare_cached("DELETE FROM settled WHERE id < ?1")?
            .execute([sql_id(needed_from)])?;
        self.settled.start = needed_from;
        Ok(())
    }

    fn note_first_open(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let first_open = self.unlisted.first().copied().unwrap_or(self.newest + 1);
        if first_open != self.first_open {
            connection
                .prepare_cached("UPDATE meta SET value = ?1 WHERE name = 'first_open'")?
                .execute([sql_id(first_open)])?;
            self.first_open = first_open;
        }
        Ok(())
    }
}

/// Collects the ids that left a queue into runs across blocks, and writes them down.
struct Note<'a> {
    text: &'a mut String,
    queue: QueueId,
    run: Option<(MessageId, MessageId)>,
}

impl Note<'_> {
    fn add(&mut self, first: MessageId, last: MessageId) {
        match &mut self.run {
            Some((_, end)) if *end + 1 == first => *end = last,
            _ => {
                self.flush();
                self.run = Some((first, last));
            }
        }
    }

    fn flush(&mut self) {
        if let Some((first, last)) = self.run.take() {
            let comma = if self.text.is_empty() { "" } else { "," };
            let (queue, first, last) = (self.queue, sql_id(first), sql_id(last));
            write!(self.text, "{comma}[{queue},{first},{last}]")
                .expect("writing to a string does not fail");
        }
    }
}

fn mark_stale(
    stale_since: &mut HashMap<BlockId, SettledId>,
    stale: &mut VecDeque<(SettledId, BlockId)>,
    row: SettledId,
    block: BlockId,
) {
    stale_since.entry(block).or_insert_with(|| {
        stale.push_back((row, block));
        row
    });
}
