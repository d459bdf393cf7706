//! Reading messages back, on a reader's own connections: one to the durable file, one to the
//! page-out file.

use std::path::Path;

use rusqlite::{CachedStatement, Connection};

use super::connection::{files, open_reader};
use super::convert::{message, read_error, sql_id};
use crate::error::{OpenError, ReadError};
use crate::ids::MessageId;
use crate::message::Message;
use crate::store::{Found, Reader};

/// Ids with fewer others between them are read in one scan. A row that is skipped costs less than
/// a descent from the root, and neighbours mostly share a page.
const SCAN_GAP_IDS: u64 = 8;

/// A reader of both files.
pub(super) struct SqliteReader {
    durable: Connection,
    paged: Connection,
}

impl SqliteReader {
    pub(super) fn open(dir: &Path) -> Result<Self, OpenError> {
        Ok(Self {
            durable: open_reader(&dir.join(files::DURABLE))?,
            paged: open_reader(&dir.join(files::PAGED))?,
        })
    }
}

impl Reader for SqliteReader {
    fn read(&mut self, ids: &[MessageId], bytes_max: usize) -> Result<Found, ReadError> {
        let mut found = read_file(&mut self.durable, ids, bytes_max)?;
        let looked_at = match found.stopped_at {
            Some(last) => ids.partition_point(|id| *id <= last),
            None => ids.len(),
        };
        let ids = ids.get(..looked_at).unwrap_or(ids);
        if found.messages.len() < ids.len() {
            let missing = without(ids, &found.messages);
            let paged = read_file(&mut self.paged, &missing, bytes_max)?;
            if let Some(last) = paged.stopped_at {
                found.messages.retain(|(id, _)| *id < last);
                found.stopped_at = paged.stopped_at;
            }
            if !paged.messages.is_empty() {
                found.messages.extend(paged.messages);
                found.messages.sort_unstable_by_key(|(id, _)| *id);
            }
        }
        Ok(found)
    }
}

/// The ids that were not found; both lists increase.
fn without(ids: &[MessageId], found: &[(MessageId, Message)]) -> Vec<MessageId> {
    let mut found = found.iter().map(|(id, _)| *id).peekable();
    ids.iter().copied().filter(|id| found.next_if_eq(id).is_none()).collect()
}

fn read_file(
    connection: &mut Connection,
    ids: &[MessageId],
    bytes_max: usize,
) -> Result<Found, ReadError> {
    let sql_error = |error: rusqlite::Error| read_error(&error);
    let transaction = connection.transaction().map_err(sql_error)?;
    let mut reading = Reading { found: Found::default(), bytes_left: bytes_max };
    reading.found.messages.reserve(ids.len());
    {
        let mut statement = transaction
            .prepare_cached(
                "SELECT id, arrived, flags, exchange, routing_key, properties, body FROM message \
                 WHERE id BETWEEN ?1 AND ?2 ORDER BY id",
            )
            .map_err(sql_error)?;
        for span in ids.chunk_by(|a, b| b - a <= SCAN_GAP_IDS) {
            reading.span(&mut statement, span)?;
            if reading.found.stopped_at.is_some() {
                break;
            }
        }
    }
    transaction.commit().map_err(sql_error)?;
    Ok(reading.found)
}

/// A read of one file under way.
struct Reading {
    found: Found,
    bytes_left: usize,
}

impl Reading {
    fn span(
        &mut self,
        statement: &mut CachedStatement<'_>,
        ids: &[MessageId],
    ) -> Result<(), ReadError> {
        let sql_error = |error: rusqlite::Error| read_error(&error);
        let (Some(first), Some(last)) = (ids.first(), ids.last()) else { return Ok(()) };
        let mut wanted = ids.iter().copied().peekable();
        let mut rows = statement.query([sql_id(*first), sql_id(*last)]).map_err(sql_error)?;
        while let Some(row) = rows.next().map_err(sql_error)? {
            let id = row.get::<_, i64>(0).map_err(sql_error)?.unsigned_abs();
            while wanted.next_if(|next| *next < id).is_some() {}
            if wanted.next_if_eq(&id).is_none() {
                continue;
            }
            let message = message(row, 1).map_err(sql_error)?;
            let message = message.ok_or_else(|| ReadError::Damaged(format!("message {id}")))?;
            self.bytes_left = self.bytes_left.saturating_sub(message.size());
            self.found.messages.push((id, message));
            if self.bytes_left == 0 {
                self.found.stopped_at = Some(id);
                break;
            }
        }
        Ok(())
    }
}
