//! The tables: what was applied so far, and the transaction around each application. `log.rs`
//! decides what is written about messages, `definitions.rs` about everything else. Owned by the
//! store and its applier, whichever has it at the moment.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::checkpoint::Checkpointer;
use super::connection::{Sync, checkpoint, open_writer};
use super::convert::{open_error, sql_id};
use super::log::Log;
use super::pending::Portion;
use super::progress::ProgressRows;
use super::record::Place;
use super::remembered::Remembered;
use super::{definitions, recovery, remembered, schema};
use crate::change::Change;
use crate::error::OpenError;
use crate::ids::{IdSet, MessageId, NextIds, QueueId};
use crate::progress::Progress;
use crate::records::Definitions;
use crate::remembered::RememberedKey;
use crate::store::Upkeep;

/// Ids by which `meta.next_message_id` runs ahead of the ids that were written.
const ID_RESERVE: u64 = 1 << 20;
/// What one call of upkeep does at most.
const UPKEEP_BLOCKS: usize = 64;
const UPKEEP_SWEEP_BYTES: u64 = 4 << 20;

/// The file, and what is known of it in memory.
pub(super) struct Durable {
    /// Stops before the connection is closed: fields are dropped in this order.
    checkpointer: Checkpointer,
    connection: Connection,
    log: Log,
    remembered: Remembered,
    /// What `meta.next_message_id` says.
    id_ceiling: MessageId,
    checkpointed: bool,
}

/// What was in the file when it was opened.
pub(super) struct Loaded {
    pub(super) definitions: Definitions,
    pub(super) progress: HashMap<QueueId, Vec<Progress>>,
    pub(super) remembered: HashMap<String, Vec<RememberedKey>>,
    pub(super) next: NextIds,
    pub(super) clean: bool,
    /// Where the journal has what is not in the file.
    pub(super) journal: Place,
}

impl Durable {
    /// Opens the file at `path`, which is created if it is missing.
    pub(super) fn open(path: &Path) -> Result<(Self, Loaded), OpenError> {
        let mut connection = open_writer(path, Sync::EveryCommit)?;
        schema::migrate(&mut connection, path)?;
        let definitions =
            definitions::load(&connection).map_err(|error| open_error(path, &error))?;
        let mut log = recovery::load(&connection, path)?;
        let (numbering, remembered) = Remembered::load(&connection, path)?;
        let (rows, progress) = ProgressRows::load(&connection, path, &log.index)?;
        log.progress = rows;
        let meta = |name| recovery::meta(&connection, path, name);
        let id_ceiling = meta("next_message_id")?;
        let next_queue = meta("next_queue_id")?
            .try_into()
            .map_err(|_| OpenError::Damaged("next_queue_id is out of range".to_owned()))?;
        let loaded = Loaded {
            definitions,
            progress,
            remembered,
            next: NextIds { message: id_ceiling, queue: QueueId(next_queue) },
            clean: meta("clean")? == 1,
            journal: Place { epoch: meta("journal_epoch")?, position: meta("journal_position")? },
        };
        let durable = Self {
            checkpointer: Checkpointer::start(path, &mut connection)?,
            connection,
            log,
            remembered: numbering,
            id_ceiling,
            checkpointed: true,
        };
        Ok((durable, loaded))
    }

    /// The messages of every queue, but for those of queues without a record: they are settled,
    /// with the next transaction.
    pub(super) fn backlog(&mut self, definitions: &Definitions) -> HashMap<QueueId, IdSet> {
        let mut backlog = self.log.index.backlog();
        let known: HashSet<QueueId> = definitions.queues.iter().map(|queue| queue.id).collect();
        let orphans: Vec<QueueId> =
            backlog.keys().copied().filter(|queue| !known.contains(queue)).collect();
        for queue in &orphans {
            backlog.remove(queue);
            self.log.settle_for_good(*queue);
        }
        backlog
    }

    /// From here on a stop is unclean until it is known to be clean, and the journal is one of
    /// `epoch`.
    pub(super) fn begin_run(&mut self, epoch: u64) -> rusqlite::Result<()> {
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        self.log.finish(&transaction)?;
        for (name, value) in [("clean", 0), ("journal_epoch", epoch), ("journal_position", 0)] {
            set_meta(&transaction, name, value)?;
        }
        transaction.commit()
    }

    /// Writes a portion of what was pending, durably and as one transaction.
    pub(super) fn apply(&mut self, portion: &Portion) -> rusqlite::Result<()> {
        self.checkpointed = false;
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if portion.highest >= self.id_ceiling {
            self.id_ceiling = portion.highest + ID_RESERVE;
            set_meta(&transaction, "next_message_id", self.id_ceiling)?;
        }
        let mut tables = Tables {
            connection: &transaction,
            log: &mut self.log,
            remembered: &mut self.remembered,
        };
        portion.before.iter().try_for_each(|change| tables.change(change))?;
        tables.log.publish(&transaction, &portion.publishes)?;
        portion.after.iter().try_for_each(|change| tables.change(change))?;
        self.log.finish(&transaction)?;
        set_meta(&transaction, "journal_position", portion.end)?;
        transaction.commit()
    }

    /// A small piece of clean-up.
    pub(super) fn upkeep(&mut self) -> rusqlite::Result<Upkeep> {
        if self.log.needs_upkeep() {
            let transaction =
                self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            self.log.upkeep(&transaction, UPKEEP_BLOCKS, UPKEEP_SWEEP_BYTES)?;
            transaction.commit()?;
            self.checkpointed = false;
            return Ok(Upkeep::More);
        }
        if !self.checkpointed {
            checkpoint(&self.connection, "PASSIVE")?;
            self.checkpointed = true;
        }
        Ok(Upkeep::Done)
    }

    /// Notes that the stop was clean, and closes the file.
    pub(super) fn close(mut self, next: NextIds) -> rusqlite::Result<()> {
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        set_meta(&transaction, "next_message_id", next.message)?;
        set_meta(&transaction, "next_queue_id", u64::from(next.queue.0))?;
        set_meta(&transaction, "clean", 1)?;
        transaction.commit()?;
        drop(self.checkpointer);
        checkpoint(&self.connection, "TRUNCATE")?;
        self.connection.close().map_err(|(_, error)| error)
    }

    /// Limits the file's size, so that a test can fill it.
    #[cfg(test)]
    pub(super) fn limit_pages(&self, pages: u32) {
        self.connection.pragma_update(None, "max_page_count", pages).unwrap();
    }
}

/// The tables inside of a transaction.
struct Tables<'a> {
    connection: &'a Connection,
    log: &'a mut Log,
    remembered: &'a mut Remembered,
}

impl Tables<'_> {
    fn change(&mut self, change: &Change) -> rusqlite::Result<()> {
        let connection = self.connection;
        match change {
            Change::Settle { queue, ids } => {
                ids.iter().for_each(|ids| self.log.settle(*queue, ids));
                Ok(())
            }
            Change::PutProgress { queue, progress } => {
                self.log.put_progress(connection, *queue, progress)
            }
            Change::Remember { owner, keys } => self.remembered.put(connection, owner, keys),
            Change::Forget { owner, keys } => remembered::forget(connection, owner, keys),
            Change::ForgetOwner { owner } => remembered::forget_owner(connection, owner),
            Change::DeleteQueue(queue) => {
                self.log.settle_for_good(*queue);
                definitions::apply(connection, change)
            }
            _ => definitions::apply(connection, change),
        }
    }
}

fn set_meta(connection: &Connection, name: &str, value: u64) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE meta SET value = ?2 WHERE name = ?1")?
        .execute((name, sql_id(value)))
        .map(|_| ())
}
