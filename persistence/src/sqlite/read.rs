//! Reading messages back: from what is not in the tables yet, and on a reader's own connections,
//! one to the durable file, one to the page-out file.

use std::path::Path;
use std::sync::Arc;

use rusqlite::{Connection, Row};

use super::applier::Shared;
use super::connection::{files, open_reader};
use super::convert::{message, read_error, sql_id, stamp};
use crate::error::{OpenError, ReadError};
use crate::ids::MessageId;
use crate::store::{Found, Reader, Scanned};

/// Ids with fewer others between them are read in one go. A row that is skipped costs less than
/// a descent from the root, and neighbours mostly share a page.
const SKIP_IDS_MAX: u64 = 8;

/// A reader of both files, and of what is in neither yet.
pub(super) struct SqliteReader {
    pending: Arc<Shared>,
    durable: Connection,
    paged: Connection,
}

impl SqliteReader {
    pub(super) fn open(dir: &Path, pending: Arc<Shared>) -> Result<Self, OpenError> {
        Ok(Self {
            pending,
            durable: open_reader(&dir.join(files::DURABLE))?,
            paged: open_reader(&dir.join(files::PAGED))?,
        })
    }
}

impl Reader for SqliteReader {
    fn read(&mut self, ids: &[MessageId], bytes_max: usize) -> Result<Found, ReadError> {
        // What is pending comes first: it may go to the file between two looks, but never back.
        let mut found = read_pending(&self.pending, ids, bytes_max);
        for file in [&mut self.durable, &mut self.paged] {
            let missing = missing(ids, &found);
            if missing.is_empty() {
                break;
            }
            let more = read_file(file, &missing, bytes_max)?;
            if let Some(last) = more.stopped_at {
                found.messages.retain(|(id, _)| *id < last);
                found.stopped_at = more.stopped_at;
            }
            merge(&mut found.messages, more.messages, |(id, _)| *id);
        }
        Ok(found)
    }

    fn scan(&mut self, ids: &[MessageId]) -> Result<Vec<Scanned>, ReadError> {
        let mut found = scan_pending(&self.pending, ids);
        for file in [&mut self.durable, &mut self.paged] {
            let missing = without(ids, found.iter().map(|scanned| scanned.id));
            if missing.is_empty() {
                break;
            }
            merge(&mut found, scan_file(file, &missing)?, |scanned| scanned.id);
        }
        Ok(found)
    }
}

/// The ids that are still to be looked for: not found, and not behind where it was enough.
fn missing(ids: &[MessageId], found: &Found) -> Vec<MessageId> {
    let looked_at = match found.stopped_at {
        Some(last) => ids.partition_point(|id| *id <= last),
        None => ids.len(),
    };
    without(ids.get(..looked_at).unwrap_or(ids), found.messages.iter().map(|(id, _)| *id))
}

/// The ids that were not found; both increase.
fn without(ids: &[MessageId], found: impl Iterator<Item = MessageId>) -> Vec<MessageId> {
    let mut found = found.peekable();
    ids.iter().copied().filter(|id| found.next_if_eq(id).is_none()).collect()
}

/// Adds what was found elsewhere, in id order.
fn merge<T>(found: &mut Vec<T>, more: Vec<T>, id: impl Fn(&T) -> MessageId) {
    if found.is_empty() {
        *found = more;
    } else if !more.is_empty() {
        found.extend(more);
        found.sort_unstable_by_key(id);
    }
}

/// Copies, so that a message which a queue keeps does not keep the commit that it came with.
fn read_pending(pending: &Shared, ids: &[MessageId], bytes_max: usize) -> Found {
    let mut found = Found::default();
    let mut bytes_left = bytes_max;
    let state = pending.lock();
    for id in ids {
        let Some(message) = state.pending.find(*id) else { continue };
        bytes_left = bytes_left.saturating_sub(message.size());
        found.messages.push((*id, message.compact()));
        if bytes_left == 0 {
            found.stopped_at = Some(*id);
            break;
        }
    }
    found
}

fn scan_pending(pending: &Shared, ids: &[MessageId]) -> Vec<Scanned> {
    let state = pending.lock();
    let scan = |id: &MessageId| {
        let message = state.pending.find(*id)?;
        let (properties, body_len) = (message.properties().to_vec(), message.body().len() as u64);
        Some(Scanned { id: *id, stamp: message.stamp(), properties, body_len })
    };
    ids.iter().filter_map(scan).collect()
}

fn read_file(
    connection: &mut Connection,
    ids: &[MessageId],
    bytes_max: usize,
) -> Result<Found, ReadError> {
    let sql = "SELECT id, arrived, flags, exchange, routing_key, properties, body FROM message \
               WHERE id BETWEEN ?1 AND ?2 ORDER BY id";
    let mut found = Found::default();
    found.messages.reserve(ids.len());
    let mut bytes_left = bytes_max;
    each_row(connection, sql, ids, |id, row| {
        let Some(message) = message(row, 1)? else {
            return Ok(Next::Damaged);
        };
        bytes_left = bytes_left.saturating_sub(message.size());
        found.messages.push((id, message));
        if bytes_left > 0 {
            return Ok(Next::Row);
        }
        found.stopped_at = Some(id);
        Ok(Next::Stop)
    })?;
    Ok(found)
}

/// Reads what lies before the bodies. SQLite knows a body's length without reading it.
fn scan_file(connection: &mut Connection, ids: &[MessageId]) -> Result<Vec<Scanned>, ReadError> {
    let sql = "SELECT id, arrived, flags, properties, length(body) FROM message \
               WHERE id BETWEEN ?1 AND ?2 ORDER BY id";
    let mut found = Vec::with_capacity(ids.len());
    each_row(connection, sql, ids, |id, row| {
        let Some(stamp) = stamp(row, 1)? else {
            return Ok(Next::Damaged);
        };
        let body_len = row.get::<_, i64>(4)?.unsigned_abs();
        found.push(Scanned { id, stamp, properties: row.get(3)?, body_len });
        Ok(Next::Row)
    })?;
    Ok(found)
}

/// What comes after a row.
enum Next {
    /// The next one.
    Row,
    /// Nothing, because it is enough.
    Stop,
    /// Nothing, because the row does not hold what was written.
    Damaged,
}

/// Calls `each` with the rows of the given ids, which increase.
fn each_row(
    connection: &mut Connection,
    sql: &str,
    ids: &[MessageId],
    mut each: impl FnMut(MessageId, &Row<'_>) -> rusqlite::Result<Next>,
) -> Result<(), ReadError> {
    let sql_error = |error: rusqlite::Error| read_error(&error);
    let transaction = connection.transaction().map_err(sql_error)?;
    let mut statement = transaction.prepare_cached(sql).map_err(sql_error)?;
    for span in ids.chunk_by(|a, b| b - a <= SKIP_IDS_MAX) {
        let (Some(first), Some(last)) = (span.first(), span.last()) else { continue };
        let mut wanted = span.iter().copied().peekable();
        let mut rows = statement.query([sql_id(*first), sql_id(*last)]).map_err(sql_error)?;
        while let Some(row) = rows.next().map_err(sql_error)? {
            let id = row.get::<_, i64>(0).map_err(sql_error)?.unsigned_abs();
            while wanted.next_if(|next| *next < id).is_some() {}
            if wanted.next_if_eq(&id).is_none() {
                continue;
            }
            match each(id, row).map_err(sql_error)? {
                Next::Row => {}
                Next::Stop => return Ok(()),
                Next::Damaged => return Err(ReadError::Damaged(format!("message {id}"))),
            }
        }
    }
    drop(statement);
    transaction.commit().map_err(sql_error)
}
