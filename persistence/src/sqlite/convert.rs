//! Between SQLite's types and ours: ids as signed integers, parts of messages as values, errors
//! by cause. Used by every file of this backend.

use std::path::Path;

use rusqlite::ffi::ErrorCode;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Row, ToSql};

use crate::error::{CommitError, OpenError, ReadError};
use crate::message::Message;
use crate::stamp::Stamp;

/// An id or a time as SQL has it. Ids stay below 2^63; an open upper bound becomes the highest
/// integer.
pub(super) fn sql_id(id: u64) -> i64 {
    i64::try_from(id).unwrap_or(i64::MAX)
}

/// A name: text by contract, bound without checking it once more.
pub(super) struct Text<'a>(pub(super) &'a [u8]);

impl ToSql for Text<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(ValueRef::Text(self.0)))
    }
}

/// The message in the columns from `at` on: arrived, flags, exchange, routing key, properties,
/// body. `None` if they do not hold what was written.
pub(super) fn message(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<Message>> {
    let part = |column| row.get_ref(column).map(|value| value.as_bytes().ok());
    let parts = (part(at + 2)?, part(at + 3)?, part(at + 4)?, part(at + 5)?);
    let (Some(exchange), Some(routing_key), Some(properties), Some(body)) = parts else {
        return Ok(None);
    };
    let message = Message::try_new(exchange, routing_key, properties, body);
    Ok(message.zip(stamp(row, at)?).map(|(message, stamp)| message.stamped(stamp)))
}

/// The stamp in the columns from `at` on: arrived, flags. `None` if they do not hold one.
pub(super) fn stamp(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<Stamp>> {
    let arrived_ms = row.get::<_, i64>(at)?.unsigned_abs();
    let flags = u8::try_from(row.get::<_, i64>(at + 1)?);
    Ok(flags.ok().map(|flags| Stamp { arrived_ms, flags }))
}

/// A failed write, by cause.
pub(super) fn commit_error(error: &rusqlite::Error) -> CommitError {
    let text = error.to_string();
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => CommitError::DiskFull(text),
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => CommitError::ReadOnly(text),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => CommitError::Locked(text),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => CommitError::Damaged(text),
        _ => CommitError::Io(text),
    }
}

/// A failed write to the journal, by cause.
pub(super) fn commit_io_error(error: &std::io::Error) -> CommitError {
    let text = format!("journal: {error}");
    match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
            CommitError::DiskFull(text)
        }
        std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => {
            CommitError::ReadOnly(text)
        }
        _ => CommitError::Io(text),
    }
}

/// A failed opening, by cause.
pub(super) fn open_error(path: &Path, error: &rusqlite::Error) -> OpenError {
    let text = error.to_string();
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => OpenError::DiskFull(text),
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => OpenError::ReadOnly(text),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            OpenError::InUse(path.to_owned())
        }
        Some(ErrorCode::NotADatabase) => OpenError::NotAStore(path.to_owned()),
        Some(ErrorCode::DatabaseCorrupt) => OpenError::Damaged(text),
        _ => OpenError::Io(text),
    }
}

/// A file operation that failed while opening, by cause.
pub(super) fn open_io_error(path: &Path, error: &std::io::Error) -> OpenError {
    let text = format!("{}: {error}", path.display());
    match error.kind() {
        std::io::ErrorKind::StorageFull => OpenError::DiskFull(text),
        std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => {
            OpenError::ReadOnly(text)
        }
        _ => OpenError::Io(text),
    }
}

/// A failed read, by cause.
pub(super) fn read_error(error: &rusqlite::Error) -> ReadError {
    let text = error.to_string();
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => ReadError::Damaged(text),
        _ => ReadError::Io(text),
    }
}
