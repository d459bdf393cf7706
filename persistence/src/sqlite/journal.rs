//! The journal: a file in which every commit is written first, one record after the other, round
//! and round. A commit is durable when its record is synced; the tables follow (`pending.rs`). The
//! store appends to it, and a start reads what the tables lack.
//!
//! The file is written ahead with zeros the first time round and never truncated, since a sync of
//! blocks that the file has already takes little more than half the time of one that extends it.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use super::connection::files;
use super::convert::open_io_error;
use super::record::{self, BLOCK_BYTES, Place, Record};
use crate::change::{Change, Publish};
use crate::error::OpenError;

/// Bytes of the file once it has been filled: what the tables may lack at most.
pub(super) const CAPACITY: usize = 32 << 20;
const CAPACITY_U64: u64 = CAPACITY as u64;
/// The longest record: one that is longer goes to the tables at once, and so do the ones before it.
pub(super) const RECORD_BYTES_MAX: usize = 8 << 20;
/// Zeros that a record takes along where none were written ahead: at the very beginning, or where
/// commits are faster than the thread.
const GROW_BYTES: u64 = 1 << 20;
/// How little may be left of what was written ahead before a thread writes more, and how much.
const GROW_AHEAD_AT: u64 = 512 << 10;
const GROW_AHEAD_BYTES: u64 = 8 << 20;
/// How much is written ahead at a time.
const FILL_BYTES: usize = 256 << 10;

/// The epoch before the first run.
const NO_EPOCH: u64 = 0;

/// The file, and where in it the next record goes.
pub(super) struct Journal {
    path: PathBuf,
    file: Arc<File>,
    /// Bytes that the file has...
    len: u64,
    /// ...and a thread that makes them more, with how many there are when it has ended.
    growing: Option<(JoinHandle<io::Result<()>>, u64)>,
    /// Where the next record goes.
    head: Place,
}

impl Journal {
    /// Opens the file in `dir` to read on at `head`. It is created if it is missing and nothing
    /// of it is needed: before the first run and after one that `was_closed`.
    pub(super) fn open(dir: &Path, head: Place, was_closed: bool) -> Result<Self, OpenError> {
        let path = dir.join(files::JOURNAL);
        if !was_closed && head.epoch != NO_EPOCH && !path.exists() {
            return Err(OpenError::Damaged(format!(
                "{} is missing, and the last stop was not clean: what was committed last is in it; \
                 to start without, create an empty file of that name",
                path.display()
            )));
        }
        let open = || {
            let file =
                File::options().read(true).write(true).create(true).truncate(false).open(&path)?;
            // The name has to survive as well as what is written.
            File::open(dir)?.sync_all()?;
            let len = file.metadata()?.len();
            Ok((file, len))
        };
        let (file, len) = open().map_err(|error| open_io_error(&path, &error))?;
        Ok(Self { path, file: Arc::new(file), len, growing: None, head })
    }

    /// Begins anew: what is in the file means nothing any more.
    pub(super) fn restart(&mut self, epoch: u64) {
        self.head = Place { epoch, position: 0 };
    }

    /// Bytes that this run has written.
    pub(super) fn position(&self) -> u64 {
        self.head.position
    }

    /// The next record, if the commit is one for the journal.
    pub(super) fn encode(&self, publishes: &[Publish], changes: &[Change]) -> Option<Record> {
        record::encode(self.head, publishes, changes, RECORD_BYTES_MAX)
    }

    /// Writes the next record, for which there must be room, and returns once it is on stable
    /// storage.
    pub(super) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let at = self.head.position % CAPACITY_U64;
        self.grow((at + bytes.len() as u64).min(CAPACITY_U64))?;
        let to_end = usize::try_from(CAPACITY_U64 - at).unwrap_or(usize::MAX);
        let (first, rest) = bytes.split_at_checked(to_end).unwrap_or((bytes, &[]));
        self.file.write_all_at(first, at)?;
        if !rest.is_empty() {
            self.file.write_all_at(rest, 0)?;
        }
        self.file.sync_data()?;
        self.head.position += bytes.len() as u64;
        Ok(())
    }

    /// Sees to it that the file reaches to `end`, and a little further before long. The sync of the
    /// record that follows makes it durable as well.
    fn grow(&mut self, end: u64) -> io::Result<()> {
        if self.growing.as_ref().is_some_and(|(thread, _)| end > self.len || thread.is_finished())
            && let Some((thread, len)) = self.growing.take()
        {
            thread.join().expect("writing zeros does not panic")?;
            self.len = len;
        }
        if end > self.len {
            let len = (end + GROW_BYTES).min(CAPACITY_U64);
            fill(&self.file, self.len, len)?;
            self.len = len;
        }
        let is_short = self.len < CAPACITY_U64 && end + GROW_AHEAD_AT > self.len;
        if is_short && self.growing.is_none() {
            let (file, from) = (Arc::clone(&self.file), self.len);
            let to = (from + GROW_AHEAD_BYTES).min(CAPACITY_U64);
            let thread = std::thread::Builder::new().name("journal".to_owned());
            // Without a thread the next record has to do it.
            let thread = thread.spawn(move || fill(&file, from, to));
            self.growing = thread.ok().map(|thread| (thread, to));
        }
        Ok(())
    }

    /// Reads the next record that a run before this one has written and steps over it; `None`
    /// after the last whole one.
    pub(super) fn replay(&mut self) -> Result<Option<Content>, OpenError> {
        let bytes = self.read_record().map_err(|error| open_io_error(&self.path, &error))?;
        let Some(bytes) = bytes.filter(|bytes| record::is_whole(bytes)) else {
            return Ok(None);
        };
        let position = self.head.position;
        self.head.position += bytes.len() as u64;
        record::decode(&bytes)
            .map(Some)
            .ok_or_else(|| OpenError::Damaged(format!("the journal's record at {position}")))
    }

    fn read_record(&self) -> io::Result<Option<Vec<u8>>> {
        let start = self.read(BLOCK_BYTES)?;
        let len = record::record_len(&start, self.head).filter(|len| *len <= RECORD_BYTES_MAX);
        Ok(match len {
            Some(len) => Some(self.read(len)?),
            None => None,
        })
    }

    /// The bytes from the head on, fewer if the file ends before.
    fn read(&self, len: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; len];
        let mut done = 0;
        while let Some(rest) = bytes.get_mut(done..).filter(|rest| !rest.is_empty()) {
            let at = (self.head.position + done as u64) % CAPACITY_U64;
            let to_end = usize::try_from(CAPACITY_U64 - at).unwrap_or(usize::MAX);
            let until = rest.len().min(to_end);
            let read = match rest.get_mut(..until) {
                Some(rest) => self.file.read_at(rest, at)?,
                None => 0,
            };
            if read == 0 {
                break;
            }
            done += read;
        }
        bytes.truncate(done);
        Ok(bytes)
    }
}

/// Nothing may be written to the file any more once its next owner reads it.
impl Drop for Journal {
    fn drop(&mut self) {
        if let Some((thread, _)) = self.growing.take() {
            // What it could not write is written when it is needed.
            let _ = thread.join();
        }
    }
}

/// Writes zeros into a part of the file and syncs them, so that the next commit need not. In small
/// steps: a commit meanwhile waits for one of them.
fn fill(file: &File, from: u64, to: u64) -> io::Result<()> {
    let mut at = from;
    while at < to {
        let step = FILL_BYTES.min(usize::try_from(to - at).unwrap_or(usize::MAX));
        file.write_all_at(&vec![0; step], at)?;
        file.sync_data()?;
        at += step as u64;
    }
    Ok(())
}

/// What a record says.
type Content = (Vec<Publish>, Vec<Change>);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::Queues;
    use crate::ids::{MessageId, QueueId};
    use crate::message::Message;

    const START: Place = Place { epoch: 5, position: 0 };

    fn publish(id: MessageId, len: usize) -> Publish {
        let message = Message::new(b"", b"key", b"", &vec![b'x'; len]);
        Publish { id, message, queues: Queues::One(QueueId(1)), durable: true }
    }

    fn append(journal: &mut Journal, id: MessageId, len: usize) {
        let record = journal.encode(&[publish(id, len)], &[]).unwrap();
        journal.append(&record.bytes).unwrap();
    }

    /// The ids of all records from a place on.
    fn replayed(dir: &Path, from: Place) -> Vec<MessageId> {
        let mut journal = Journal::open(dir, from, false).unwrap();
        std::iter::from_fn(|| journal.replay().unwrap())
            .flat_map(|(publishes, _)| publishes.into_iter().map(|publish| publish.id))
            .collect()
    }

    #[test]
    fn records_are_read_from_any_of_them_on_also_where_the_file_begins_again() {
        let directory = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(directory.path(), START, true).unwrap();
        let mut places = Vec::new();
        for id in 0..20 {
            places.push(journal.head);
            append(&mut journal, id, 2_600_000);
        }
        assert!(journal.position() > CAPACITY_U64);
        for from in [19, 15, 10] {
            assert_eq!(
                replayed(directory.path(), places[from]),
                (from as u64..20).collect::<Vec<_>>()
            );
        }
        assert_eq!(replayed(directory.path(), START), [], "overwritten");
        assert_eq!(std::fs::metadata(&journal.path).unwrap().len(), CAPACITY_U64);
    }

    #[test]
    fn what_an_earlier_run_left_is_not_read() {
        let directory = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(directory.path(), START, true).unwrap();
        (0..9).for_each(|id| append(&mut journal, id, 10));
        assert!(journal.len < CAPACITY_U64);
        journal.restart(6);
        (10..12).for_each(|id| append(&mut journal, id, 10));
        assert_eq!(replayed(directory.path(), Place { epoch: 6, position: 0 }), [10, 11]);
    }

    #[test]
    fn a_missing_file_is_made_only_where_nothing_of_it_is_needed() {
        let before_the_first = Place { epoch: NO_EPOCH, position: 0 };
        for (head, was_closed, opens) in
            [(before_the_first, false, true), (START, true, true), (START, false, false)]
        {
            let directory = tempfile::tempdir().unwrap();
            let opened = Journal::open(directory.path(), head, was_closed);
            assert_eq!(opened.is_ok(), opens, "{head:?} {was_closed}");
            assert_eq!(directory.path().join(files::JOURNAL).exists(), opens);
        }
    }

    #[test]
    fn a_torn_record_is_the_end() {
        let directory = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(directory.path(), START, true).unwrap();
        (0..3).for_each(|id| append(&mut journal, id, 9_000));
        for (at, expected) in [(30_000, 2), (20_000, 1), (0, 0)] {
            let mut bytes = std::fs::read(&journal.path).unwrap();
            bytes[at] ^= 1;
            std::fs::write(&journal.path, bytes).unwrap();
            assert_eq!(replayed(directory.path(), START).len(), expected);
        }
        File::options().write(true).open(&journal.path).unwrap().set_len(100).unwrap();
        assert_eq!(replayed(directory.path(), START), []);
    }
}
