//! The durable backend: one SQLite file for what must survive, one beside it for what is only
//! paged out. Here: opening, and the transaction around each commit. `log.rs` decides what a
//! commit writes about messages, `definitions.rs` about everything else.

mod checkpoint;
mod connection;
mod convert;
mod definitions;
mod index;
mod log;
mod messages;
mod paged;
mod progress;
mod read;
mod recovery;
mod remembered;
mod runs;
mod schema;

use std::collections::HashSet;
use std::fs::File;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, TransactionBehavior};

use crate::change::{Change, Publish};
use crate::error::{CommitError, OpenError};
use crate::gather::Gathered;
use crate::ids::{MessageId, NextIds, QueueId};
use crate::store::{Reader, Recovered, Store, Upkeep};
use checkpoint::Checkpointer;
use connection::{Sync, checkpoint, files, lock, open_writer};
use convert::{commit_error, open_error, open_io_error, sql_id};
use log::Log;
use paged::Paged;
use progress::ProgressRows;
use read::SqliteReader;
use remembered::Remembered;

/// Ids by which `meta.next_message_id` runs ahead of the ids that were written.
const ID_RESERVE: u64 = 1 << 20;
/// What one call of upkeep does at most.
const UPKEEP_BLOCKS: usize = 64;
const UPKEEP_SWEEP_BYTES: u64 = 4 << 20;

/// A store in a directory of its own.
pub struct SqliteStore {
    dir: PathBuf,
    /// Stops before the writer's connection is closed: fields are dropped in this order.
    checkpointer: Checkpointer,
    connection: Connection,
    paged: Paged,
    log: Log,
    remembered: Remembered,
    /// What `meta.next_message_id` says.
    id_ceiling: MessageId,
    checkpointed: bool,
    /// Released by the operating system when the process ends, however it ends.
    _lock: File,
}

/// Opens the store in `dir`, which is created if it is missing.
///
/// # Errors
/// See [`OpenError`]. Opening a store that another process has open is refused and changes
/// nothing.
pub fn open(dir: &Path) -> Result<(SqliteStore, Recovered), OpenError> {
    std::fs::create_dir_all(dir).map_err(|error| open_io_error(dir, &error))?;
    let lock = lock(dir)?;
    let path = dir.join(files::DURABLE);
    let mut connection = open_writer(&path, Sync::EveryCommit)?;
    schema::migrate(&mut connection, &path)?;
    let definitions = definitions::load(&connection).map_err(|error| open_error(&path, &error))?;
    let mut log = recovery::load(&connection, &path)?;
    let (numbering, remembered) = Remembered::load(&connection, &path)?;
    let clean = recovery::meta(&connection, &path, "clean")? == 1;
    let id_ceiling = recovery::meta(&connection, &path, "next_message_id")?;
    let next_queue = recovery::meta(&connection, &path, "next_queue_id")?;
    let next_queue = next_queue
        .try_into()
        .map_err(|_| OpenError::Damaged("next_queue_id is out of range".to_owned()))?;

    let mut backlog = log.index.backlog();
    let known: HashSet<QueueId> = definitions.queues.iter().map(|queue| queue.id).collect();
    let orphans: Vec<QueueId> =
        backlog.keys().copied().filter(|queue| !known.contains(queue)).collect();
    for queue in &orphans {
        backlog.remove(queue);
        log.settle_for_good(*queue);
    }
    let (rows, progress) = ProgressRows::load(&connection, &path, &log.index)?;
    log.progress = rows;
    begin_run(&mut connection, &mut log).map_err(|error| open_error(&path, &error))?;

    let recovered = Recovered {
        definitions,
        backlog,
        progress,
        remembered,
        next: NextIds { message: id_ceiling, queue: QueueId(next_queue) },
        clean,
    };
    let store = SqliteStore {
        dir: dir.to_owned(),
        checkpointer: Checkpointer::start(&path, &mut connection)?,
        connection,
        paged: Paged::create(dir)?,
        log,
        remembered: numbering,
        id_ceiling,
        checkpointed: true,
        _lock: lock,
    };
    Ok((store, recovered))
}

/// From here on a stop is unclean until it is known to be clean.
fn begin_run(connection: &mut Connection, log: &mut Log) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    log.finish(&transaction)?;
    transaction.execute("UPDATE meta SET value = 0 WHERE name = 'clean'", [])?;
    transaction.commit()
}

impl SqliteStore {
    fn commit_durable(
        &mut self,
        publishes: &[Publish],
        changes: &[Change],
    ) -> rusqlite::Result<()> {
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if let Some(last) = publishes.last()
            && last.id >= self.id_ceiling
        {
            self.id_ceiling = last.id + ID_RESERVE;
            transaction
                .prepare_cached("UPDATE meta SET value = ?1 WHERE name = 'next_message_id'")?
                .execute([sql_id(self.id_ceiling)])?;
        }
        self.log.publish(&transaction, publishes)?;
        for change in changes {
            match change {
                Change::Settle { queue, ids } => {
                    ids.iter().for_each(|ids| self.log.settle(*queue, ids));
                }
                Change::PutProgress { queue, progress } => {
                    self.log.put_progress(&transaction, *queue, progress)?;
                }
                Change::Remember { owner, keys } => {
                    self.remembered.put(&transaction, owner, keys)?;
                }
                Change::Forget { owner, keys } => remembered::forget(&transaction, owner, keys)?,
                Change::ForgetOwner { owner } => remembered::forget_owner(&transaction, owner)?,
                Change::DeleteQueue(queue) => {
                    self.log.settle_for_good(*queue);
                    definitions::apply(&transaction, change)?;
                }
                _ => definitions::apply(&transaction, change)?,
            }
        }
        self.log.finish(&transaction)?;
        transaction.commit()
    }

    fn commit_paged(&mut self, publishes: &[Publish], changes: &[Change]) -> rusqlite::Result<()> {
        for change in changes {
            match change {
                Change::Settle { queue, ids } => {
                    ids.iter().for_each(|ids| self.paged.settle(*queue, ids));
                }
                Change::DeleteQueue(queue) => self.paged.settle(*queue, &(0..=MessageId::MAX)),
                _ => {}
            }
        }
        self.paged.commit(publishes)
    }

    fn upkeep_step(&mut self) -> rusqlite::Result<Upkeep> {
        if self.log.needs_upkeep() {
            let transaction =
                self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            self.log.upkeep(&transaction, UPKEEP_BLOCKS, UPKEEP_SWEEP_BYTES)?;
            transaction.commit()?;
            self.checkpointed = false;
            return Ok(Upkeep::More);
        }
        if self.paged.upkeep(UPKEEP_SWEEP_BYTES)? {
            return Ok(Upkeep::More);
        }
        if !self.checkpointed {
            checkpoint(&self.connection, "PASSIVE")?;
            self.checkpointed = true;
        }
        Ok(Upkeep::Done)
    }
}

impl Store for SqliteStore {
    fn commit(&mut self, gathered: &Gathered) -> Result<(), CommitError> {
        self.checkpointed = false;
        self.commit_paged(gathered.paged(), gathered.changes())
            .and_then(|()| self.commit_durable(gathered.publishes(), gathered.changes()))
            .map_err(|error| commit_error(&error))
    }

    fn reader(&self) -> Result<Box<dyn Reader>, OpenError> {
        Ok(Box::new(SqliteReader::open(&self.dir)?))
    }

    fn upkeep(&mut self) -> Result<Upkeep, CommitError> {
        self.upkeep_step().map_err(|error| commit_error(&error))
    }

    fn close(mut self: Box<Self>, next: NextIds) -> Result<(), CommitError> {
        let sql_error = |error: rusqlite::Error| commit_error(&error);
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(sql_error)?;
        for (name, value) in [
            ("next_message_id", next.message),
            ("next_queue_id", u64::from(next.queue.0)),
            ("clean", 1),
        ] {
            transaction
                .execute("UPDATE meta SET value = ?2 WHERE name = ?1", (name, sql_id(value)))
                .map_err(sql_error)?;
        }
        transaction.commit().map_err(sql_error)?;
        drop(self.checkpointer);
        checkpoint(&self.connection, "TRUNCATE").map_err(sql_error)?;
        self.connection.close().map_err(|(_, error)| commit_error(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::Queues;
    use crate::message::Message;

    #[test]
    fn a_full_disk_is_its_own_error_and_loses_nothing_committed() {
        let directory = tempfile::tempdir().unwrap();
        let (mut store, _) = open(directory.path()).unwrap();
        let record = crate::records::QueueRecord {
            id: QueueId(1),
            vhost: "/".to_owned(),
            name: "queue".to_owned(),
            durable: true,
            auto_delete: false,
            arguments: "{}".to_owned(),
            delivered_to: 0,
            keeps_for: String::new(),
        };
        store.commit(&Gathered::new(Vec::new(), vec![Change::PutQueue(record)])).unwrap();
        store.connection.pragma_update(None, "max_page_count", 60).unwrap();
        let publish = |id| Publish {
            id,
            message: Message::new(b"", b"queue", b"", &[0; 100_000]),
            queues: Queues::One(QueueId(1)),
            durable: true,
        };
        let mut committed = 0;
        let error = loop {
            match store.commit(&Gathered::new(vec![publish(committed + 1)], Vec::new())) {
                Ok(()) => committed += 1,
                Err(error) => break error,
            }
        };
        assert!(matches!(error, CommitError::DiskFull(_)), "{error}");
        assert!(committed > 0);
        drop(store);
        let (_store, recovered) = open(directory.path()).unwrap();
        assert_eq!(recovered.backlog[&QueueId(1)], (1..=committed).collect());
    }
}
