//! The page-out file: messages that queues put aside to save memory and that need not survive a
//! restart. The same table of messages in arrival order, without syncs and without any note on
//! who holds what: that is only in memory.

use std::ops::RangeInclusive;
use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::connection::{Sync, files, open_writer};
use super::convert::{open_error, open_io_error};
use super::index::Index;
use super::messages;
use super::runs::{BlockId, block_of};
use crate::change::Publish;
use crate::error::OpenError;
use crate::ids::{MessageId, QueueId};

/// Garbage that a commit deletes, beside twice what it wrote.
const SWEEP_BYTES_PER_COMMIT: u64 = 1 << 20;

/// The file and its index.
pub(super) struct Paged {
    connection: Connection,
    index: Index,
}

impl Paged {
    /// Makes a new, empty file in place of what an earlier run left.
    pub(super) fn create(dir: &Path) -> Result<Self, OpenError> {
        for suffix in ["", "-wal", "-shm"] {
            let path = dir.join(format!("{}{suffix}", files::PAGED));
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(open_io_error(&path, &error));
                }
                _ => {}
            }
        }
        let path = dir.join(files::PAGED);
        let connection = open_writer(&path, Sync::Never)?;
        connection
            .execute_batch(
                "CREATE TABLE message (
                     id INTEGER PRIMARY KEY,
                     arrived INTEGER NOT NULL,
                     flags INTEGER NOT NULL,
                     exchange TEXT NOT NULL,
                     routing_key TEXT NOT NULL,
                     properties BLOB NOT NULL,
                     body BLOB NOT NULL
                 ) STRICT;",
            )
            .map_err(|error| open_error(&path, &error))?;
        Ok(Self { connection, index: Index::default() })
    }

    /// Notes that entries leave a queue.
    pub(super) fn settle(&mut self, queue: QueueId, ids: &RangeInclusive<MessageId>) {
        self.index.remove(queue, ids, |_, _| (), |_, _| ());
    }

    /// Writes messages, whose ids increase, and deletes some garbage.
    pub(super) fn commit(&mut self, publishes: &[Publish]) -> rusqlite::Result<()> {
        if publishes.is_empty() && self.index.first_empty().is_none() {
            return Ok(());
        }
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        messages::insert_again(&transaction, publishes)?;
        for publishes in publishes.chunk_by(|a, b| block_of(a.id) == block_of(b.id)) {
            if let Some(first) = publishes.first() {
                self.index.add(block_of(first.id), publishes);
            }
        }
        let bytes: u64 = publishes.iter().map(|publish| publish.message.size() as u64).sum();
        let budget = SWEEP_BYTES_PER_COMMIT + 2 * bytes;
        messages::sweep(&transaction, &mut self.index, BlockId::MAX, budget, |_| ())?;
        transaction.commit()
    }

    /// Deletes garbage; returns whether there is more.
    pub(super) fn upkeep(&mut self, budget_bytes: u64) -> rusqlite::Result<bool> {
        if self.index.first_empty().is_none() {
            return Ok(false);
        }
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        messages::sweep(&transaction, &mut self.index, BlockId::MAX, budget_bytes, |_| ())?;
        transaction.commit()?;
        Ok(self.index.first_empty().is_some())
    }
}
