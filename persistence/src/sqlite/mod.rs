//! The durable backend: a journal that every commit is written to, one SQLite file that what must
//! survive is brought into soon after, and one beside it for what is only paged out. Here: opening,
//! and which way a commit goes. `journal.rs` says when it is durable, `pending.rs` and `applier.rs`
//! what reaches the tables and when, `log.rs` and `definitions.rs` what is written there.

mod applier;
mod checkpoint;
mod connection;
mod convert;
mod definitions;
mod durable;
mod index;
mod journal;
mod log;
mod messages;
mod paged;
mod pending;
mod progress;
mod read;
mod record;
mod recovery;
mod remembered;
mod runs;
mod schema;

use std::fs::File;
use std::hash::{BuildHasher as _, RandomState};
use std::path::{Path, PathBuf};

use crate::change::{Change, Publish};
use crate::error::{CommitError, OpenError};
use crate::gather::Gathered;
use crate::ids::{MessageId, NextIds};
use crate::store::{Reader, Recovered, Store, Upkeep};
use applier::Applier;
use connection::{files, lock};
use convert::{commit_error, commit_io_error, open_error, open_io_error};
use durable::{Durable, Loaded};
use journal::Journal;
use paged::Paged;
use pending::Pending;
use read::SqliteReader;

/// What one call of upkeep deletes of what was paged out, at most.
const UPKEEP_SWEEP_BYTES: u64 = 4 << 20;
/// How much of the journal a start applies at a time.
const REPLAY_WEIGHT: usize = 16 << 20;

/// A store in a directory of its own.
pub struct SqliteStore {
    dir: PathBuf,
    /// Has the tables. Stops before the directory is unlocked: fields are dropped in this order.
    applier: Applier,
    journal: Journal,
    paged: Paged,
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
    let sql_error = |error: rusqlite::Error| open_error(&path, &error);
    let (mut durable, mut loaded) = Durable::open(&path)?;
    let mut journal = Journal::open(dir, loaded.journal, loaded.clean)?;
    if replay(&mut journal, &mut durable, &path)? {
        // What was loaded lacks what was applied.
        drop(durable);
        (durable, loaded) = Durable::open(&path)?;
    }
    let Loaded { definitions, progress, remembered, next, clean, .. } = loaded;
    let backlog = durable.backlog(&definitions);
    // An integer of SQL is 63 bits long, and no run has the epoch 0.
    let epoch = RandomState::new().hash_one(&path) >> 1 | 1;
    durable.begin_run(epoch).map_err(sql_error)?;
    journal.restart(epoch);
    let recovered = Recovered { definitions, backlog, progress, remembered, next, clean };
    let store = SqliteStore {
        dir: dir.to_owned(),
        applier: Applier::start(durable)?,
        journal,
        paged: Paged::create(dir)?,
        _lock: lock,
    };
    Ok((store, recovered))
}

/// Applies what the journal has and the tables have not. Returns whether that was anything.
fn replay(journal: &mut Journal, durable: &mut Durable, path: &Path) -> Result<bool, OpenError> {
    let mut pending = Pending::default();
    let (mut any, mut last) = (false, false);
    while !last {
        let position = journal.position();
        if let Some((publishes, changes)) = journal.replay()? {
            let end = journal.position();
            let bytes = usize::try_from(end - position).unwrap_or(usize::MAX);
            pending.add(publishes, changes, bytes, end);
            any = true;
        } else {
            last = true;
        }
        if (last || pending.weight() >= REPLAY_WEIGHT)
            && let Some(portion) = pending.take(usize::MAX)
        {
            durable.apply(&portion).map_err(|error| open_error(path, &error))?;
            drop(pending.applied());
        }
    }
    Ok(any)
}

impl SqliteStore {
    fn commit_durable(
        &mut self,
        publishes: &[Publish],
        changes: &[Change],
    ) -> Result<(), CommitError> {
        if publishes.is_empty() && changes.is_empty() {
            return Ok(());
        }
        let record = if self.applier.is_behind(publishes)? {
            None
        } else {
            self.journal.encode(publishes, changes)
        };
        let Some(record) = record else {
            let position = self.journal.position();
            return self.applier.commit(publishes.to_vec(), changes.to_vec(), position);
        };
        let bytes = record.bytes.len();
        self.applier.wait_for_room(self.journal.position(), bytes)?;
        self.journal.append(&record.bytes).map_err(|error| commit_io_error(&error))?;
        self.applier.add(record.publishes, changes.to_vec(), bytes, self.journal.position());
        Ok(())
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
}

impl Store for SqliteStore {
    fn commit(&mut self, gathered: &Gathered) -> Result<(), CommitError> {
        self.commit_paged(gathered.paged(), gathered.changes())
            .map_err(|error| commit_error(&error))?;
        self.commit_durable(gathered.publishes(), gathered.changes())
    }

    fn reader(&self) -> Result<Box<dyn Reader>, OpenError> {
        Ok(Box::new(SqliteReader::open(&self.dir, self.applier.shared())?))
    }

    fn upkeep(&mut self) -> Result<Upkeep, CommitError> {
        let sql_error = |error: rusqlite::Error| commit_error(&error);
        if self.applier.apply_all()? || self.paged.upkeep(UPKEEP_SWEEP_BYTES).map_err(sql_error)? {
            return Ok(Upkeep::More);
        }
        self.applier.durable().upkeep().map_err(sql_error)
    }

    fn close(self: Box<Self>, next: NextIds) -> Result<(), CommitError> {
        self.applier.apply_all()?;
        let durable = self.applier.stop().expect("only the applier's thread shares the tables");
        durable.close(next).map_err(|error| commit_error(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::Queues;
    use crate::ids::QueueId;
    use crate::message::Message;

    fn queue() -> Change {
        Change::PutQueue(crate::records::QueueRecord {
            id: QueueId(1),
            vhost: "/".to_owned(),
            name: "queue".to_owned(),
            durable: true,
            auto_delete: false,
            arguments: "{}".to_owned(),
            delivered_to: 0,
            keeps_for: String::new(),
        })
    }

    fn publish(id: MessageId, len: usize) -> Publish {
        let message = Message::new(b"", b"queue", b"", &vec![0; len]);
        Publish { id, message, queues: Queues::One(QueueId(1)), durable: true }
    }

    #[test]
    fn a_full_disk_is_its_own_error_and_loses_nothing_committed() {
        let directory = tempfile::tempdir().unwrap();
        let (mut store, _) = open(directory.path()).unwrap();
        store.commit(&Gathered::new(Vec::new(), vec![queue()])).unwrap();
        store.applier.durable().limit_pages(60);
        let mut committed = 0;
        let error = loop {
            store
                .commit(&Gathered::new(vec![publish(committed + 1, 100_000)], Vec::new()))
                .unwrap();
            committed += 1;
            if let Err(error) = store.upkeep() {
                break error;
            }
        };
        assert!(matches!(error, CommitError::DiskFull(_)), "{error}");
        let next = store.commit(&Gathered::new(vec![publish(committed + 1, 100_000)], Vec::new()));
        assert_eq!(next, Err(error));
        assert!(committed > 1);
        drop(store);
        let (_store, recovered) = open(directory.path()).unwrap();
        assert_eq!(recovered.backlog[&QueueId(1)], (1..=committed).collect());
    }

    #[test]
    fn more_than_the_journal_has_room_for_is_applied_meanwhile() {
        let directory = tempfile::tempdir().unwrap();
        let (mut store, _) = open(directory.path()).unwrap();
        store.commit(&Gathered::new(Vec::new(), vec![queue()])).unwrap();
        let mut held = Vec::new();
        let mut first = 1;
        while store.journal.position() < 2 * journal::CAPACITY as u64 {
            let publishes = (first..first + 40).map(|id| publish(id, 100_000)).collect();
            // Of every commit, one message stays and the others go two commits later.
            let settle = Change::Settle {
                queue: QueueId(1),
                ids: vec![first.saturating_sub(80)..=first.saturating_sub(42)],
            };
            store.commit(&Gathered::new(publishes, vec![settle])).unwrap();
            held.push(first + 39);
            first += 40;
        }
        held.extend(first - 80..first - 41);
        held.extend(first - 40..first - 1);
        held.sort_unstable();
        let mut reader = store.reader().unwrap();
        let found = reader.read(&held, usize::MAX).unwrap().messages;
        assert_eq!(found.iter().map(|(id, _)| *id).collect::<Vec<_>>(), held);
        drop(store);
        let (_store, recovered) = open(directory.path()).unwrap();
        assert_eq!(recovered.backlog[&QueueId(1)], held.into_iter().collect());
    }

    #[test]
    fn a_backlog_goes_to_the_tables_at_once_after_a_while() {
        let directory = tempfile::tempdir().unwrap();
        let (mut store, _) = open(directory.path()).unwrap();
        store.commit(&Gathered::new(Vec::new(), vec![queue()])).unwrap();
        let mut reader = store.reader().unwrap();
        let mut committed = 0;
        while committed < 1_500 {
            let publishes = (committed + 1..=committed + 10).map(|id| publish(id, 100_000));
            store.commit(&Gathered::new(publishes.collect(), Vec::new())).unwrap();
            committed += 10;
            // Wherever they are just now.
            let ids = [1, committed / 2, committed - 1];
            assert_eq!(reader.read(&ids, usize::MAX).unwrap().messages.len(), ids.len());
        }
        assert!(store.journal.position() < 90 << 20, "{}", store.journal.position());
        drop(store);
        let (_store, recovered) = open(directory.path()).unwrap();
        assert_eq!(recovered.backlog[&QueueId(1)], (1..=committed).collect());
    }
}
