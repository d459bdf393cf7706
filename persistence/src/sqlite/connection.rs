//! Opening the files of a store: the lock, and the settings of each connection.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::convert::{open_error, open_io_error};
use crate::error::OpenError;

/// The names of the files in a store's directory.
pub(super) mod files {
    /// The tables.
    pub(in super::super) const DURABLE: &str = "leveret.db";
    /// What is committed and not in the tables yet.
    pub(in super::super) const JOURNAL: &str = "leveret.journal";
    /// What queues paged out; made anew at every start.
    pub(in super::super) const PAGED: &str = "paged.db";
    /// Held locked while the store is open.
    pub(in super::super) const LOCK: &str = "leveret.lock";
}

/// Bytes of a page. See docs/decisions/0001-store-layout.md for what was measured.
const PAGE_BYTES: u32 = 16_384;
/// Pages of write-ahead log after which a commit copies them into the file, where no thread does
/// it: 16 MiB.
const CHECKPOINT_PAGES: u32 = 1_024;
/// Page cache of a writer, in KiB as SQLite wants it: negative. What a commit appends is never
/// looked at again, so that more gains nothing.
const WRITER_CACHE_KIB: i32 = -4_096;
/// Page cache of a reader. Messages are read once, so only the inner pages are worth keeping.
const READER_CACHE_KIB: i32 = -1_024;
/// How long to wait for another program that holds a lock on the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// When a commit reaches stable storage.
#[derive(Copy, Clone)]
pub(super) enum Sync {
    /// Before it returns.
    EveryCommit,
    /// Whenever the operating system writes it.
    Never,
}

/// Takes the directory for this process. The operating system releases the lock when the process
/// ends, however it ends.
pub(super) fn lock(dir: &Path) -> Result<File, OpenError> {
    let path = dir.join(files::LOCK);
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(|error| open_io_error(&path, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse(dir.to_owned())),
        Err(TryLockError::Error(error)) => Err(open_io_error(&path, &error)),
    }
}

/// Opens the one connection that writes to a file, which is created if it is missing.
pub(super) fn open_writer(path: &Path, sync: Sync) -> Result<Connection, OpenError> {
    let sql_error = |error: rusqlite::Error| open_error(path, &error);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(sql_error)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(sql_error)?;
    connection.set_prepared_statement_cache_capacity(64);
    // The page size counts only for a new file, and only before it has a journal mode.
    connection.pragma_update(None, "page_size", PAGE_BYTES).map_err(sql_error)?;
    let mode: String = connection
        .pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))
        .map_err(sql_error)?;
    if mode != "wal" {
        return Err(OpenError::Io(format!("{}: no write-ahead log here", path.display())));
    }
    let synchronous = match sync {
        Sync::EveryCommit => "FULL",
        Sync::Never => "OFF",
    };
    connection.pragma_update(None, "synchronous", synchronous).map_err(sql_error)?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES).map_err(sql_error)?;
    connection.pragma_update(None, "cache_size", WRITER_CACHE_KIB).map_err(sql_error)?;
    Ok(connection)
}

/// Opens a connection that reads a file which a writer has open.
pub(super) fn open_reader(path: &Path) -> Result<Connection, OpenError> {
    let sql_error = |error: rusqlite::Error| open_error(path, &error);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(sql_error)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(sql_error)?;
    connection.pragma_update(None, "cache_size", READER_CACHE_KIB).map_err(sql_error)?;
    Ok(connection)
}

/// Opens a connection that only copies the write-ahead log into the file.
pub(super) fn open_checkpointer(path: &Path) -> Result<Connection, OpenError> {
    let sql_error = |error: rusqlite::Error| open_error(path, &error);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(sql_error)?;
    connection.pragma_update(None, "synchronous", "FULL").map_err(sql_error)?;
    Ok(connection)
}

/// Copies the write-ahead log into the file, as far as readers allow.
pub(super) fn checkpoint(connection: &Connection, mode: &str) -> rusqlite::Result<()> {
    connection.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |_| Ok(()))
}
