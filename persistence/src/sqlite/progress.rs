//! The table `progress`: written when a queue says so, deleted together with the rows of messages.
//! Part of the log, which knows who holds what and when rows go.
//!
//! Settling an entry leaves its row behind. Such a row means nothing, since a message does not
//! come back to a queue that settled it, and it goes with its block at the latest.

use std::collections::{BTreeSet, HashMap};
use std::ops::RangeInclusive;
use std::path::Path;

use rusqlite::Connection;

use super::convert::sql_id;
use super::index::Index;
use super::recovery::{number, rows};
use super::runs::{BLOCK_LEN, BlockId, block_of, id_at};
use crate::error::OpenError;
use crate::ids::QueueId;
use crate::progress::Progress;

/// Which blocks have rows: for the others, which are most, nothing needs to be deleted.
#[derive(Debug, Default)]
pub(super) struct ProgressRows {
    blocks: BTreeSet<BlockId>,
}

impl ProgressRows {
    /// Reads the table; returns also the progress of what `index` says is held.
    pub(super) fn load(
        connection: &Connection,
        path: &Path,
        index: &Index,
    ) -> Result<(Self, HashMap<QueueId, Vec<Progress>>), OpenError> {
        let mut blocks = BTreeSet::new();
        let mut held: HashMap<QueueId, Vec<Progress>> = HashMap::new();
        let sql = "SELECT message, queue, deliveries, retries, due FROM progress \
                   ORDER BY message, queue";
        rows(connection, path, sql, |row| {
            let (id, due_ms) = (number(row, 0)?, number(row, 4)?);
            let small = |column| number(row, column).map(|value| u32::try_from(value).ok());
            let (Some(queue), Some(deliveries), Some(retries)) = (small(1)?, small(2)?, small(3)?)
            else {
                return Ok(Err(format!("progress of message {id}")));
            };
            blocks.insert(block_of(id));
            if index.holds(QueueId(queue), id) {
                let progress = Progress { id, deliveries, retries, due_ms };
                held.entry(QueueId(queue)).or_default().push(progress);
            }
            Ok(Ok(()))
        })?;
        Ok((Self { blocks }, held))
    }

    /// Writes the progress of those messages that the queue holds.
    pub(super) fn put(
        &mut self,
        connection: &Connection,
        index: &Index,
        queue: QueueId,
        progress: &[Progress],
    ) -> rusqlite::Result<()> {
        let mut statement = connection.prepare_cached(
            "INSERT OR REPLACE INTO progress (message, queue, deliveries, retries, due) \
             VALUES (?1, ?2, ?3, ?4, ?5)",
        )?;
        for Progress { id, deliveries, retries, due_ms } in progress {
            if index.holds(queue, *id) {
                let (message, due) = (sql_id(*id), sql_id(*due_ms));
                statement.execute((message, queue.0, deliveries, retries, due))?;
                self.blocks.insert(block_of(*id));
            }
        }
        Ok(())
    }

    /// Deletes the rows of messages at some places of a block.
    pub(super) fn prune(
        &mut self,
        connection: &Connection,
        block: BlockId,
        gaps: &[RangeInclusive<u16>],
    ) -> rusqlite::Result<()> {
        if !self.blocks.contains(&block) {
            return Ok(());
        }
        let mut delete =
            connection.prepare_cached("DELETE FROM progress WHERE message BETWEEN ?1 AND ?2")?;
        for gap in gaps {
            delete
                .execute([sql_id(id_at(block, *gap.start())), sql_id(id_at(block, *gap.end()))])?;
        }
        Ok(())
    }

    /// Deletes the rows of a block whose messages are gone.
    pub(super) fn delete(
        &mut self,
        connection: &Connection,
        block: BlockId,
    ) -> rusqlite::Result<()> {
        self.prune(connection, block, &[0..=BLOCK_LEN - 1])?;
        self.blocks.remove(&block);
        Ok(())
    }
}
