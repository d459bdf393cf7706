//! Reading messages back, on a reader's own connections: one to the durable file, one to the
//! page-out file.

use std::path::Path;

use rusqlite::{CachedStatement, Connection};

use super::connection::{files, open_reader};
use super::convert::{message, read_error, sql_id};
use crate::error::{OpenError, ReadError};
use crate::ids::MessageId;
use crate::message::Message;
use crate::store::Reader;

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
    fn read(&mut self, ids: &[MessageId]) -> Result<Vec<(MessageId, Message)>, ReadError> {
        let mut found = read_file(&mut self.durable, ids)?;
        if found.len() < ids.len() {
            let missing = without(ids, &found);
            let paged = read_file(&mut self.paged, &missing)?;
            if !paged.is_empty() {
                found.extend(paged);
                found.sort_unstable_by_key(|(id, _)| *id);
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
) -> Result<Vec<(MessageId, Message)>, ReadError> {
    let sql_error = |error: rusqlite::Error| read_error(&error);
    // One transaction: otherwise every statement locks and unlocks the file.
    let transaction = connection.transaction().map_err(sql_error)?;
    let mut found = Vec::with_capacity(ids.len());
    {
        let mut statement = transaction
            .prepare_cached(
                "SELECT id, exchange, routing_key, properties, body FROM message \
                 WHERE id BETWEEN ?1 AND ?2 ORDER BY id",
            )
            .map_err(sql_error)?;
        for span in ids.chunk_by(|a, b| b - a <= SCAN_GAP_IDS) {
            read_span(&mut statement, span, &mut found)?;
        }
    }
    transaction.commit().map_err(sql_error)?;
    Ok(found)
}

fn read_span(
    statement: &mut CachedStatement<'_>,
    ids: &[MessageId],
    found: &mut Vec<(MessageId, Message)>,
) -> Result<(), ReadError> {
    let sql_error = |error: rusqlite::Error| read_error(&error);
    let (Some(first), Some(last)) = (ids.first(), ids.last()) else {
        return Ok(());
    };
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
        found.push((id, message));
    }
    Ok(())
}
