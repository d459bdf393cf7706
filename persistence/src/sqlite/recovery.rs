//! Reading a durable file at start: who holds which message. Reads the notes on closed blocks
//! and only the newest rows of messages, so that a large backlog does not mean a long start.

use std::collections::BTreeSet;
use std::path::Path;

use rusqlite::{Connection, Row};

use super::convert::{open_error, sql_id};
use super::index::{Block, Index};
use super::log::Log;
use super::runs::{BlockId, Runs, block_of, id_at, triples};
use crate::error::OpenError;
use crate::ids::{MessageId, QueueId};

/// Reads a fact about the store.
pub(super) fn meta(connection: &Connection, path: &Path, name: &str) -> Result<u64, OpenError> {
    connection
        .query_row("SELECT value FROM meta WHERE name = ?1", [name], |row| row.get::<_, i64>(0))
        .map(i64::unsigned_abs)
        .map_err(|error| open_error(path, &error))
}

/// Reads the tables `block`, `message` (from the first open block on) and `settled`.
pub(super) fn load(connection: &Connection, path: &Path) -> Result<Log, OpenError> {
    let first_open = meta(connection, path, "first_open")?;
    let mut index = Index::default();
    rows(connection, path, "SELECT id, messages, bytes, entries FROM block ORDER BY id", |row| {
        let id = number(row, 0)?;
        let runs = row.get_ref(3)?.as_str().ok().and_then(Runs::from_json);
        let Some(runs) = runs else {
            return Ok(Err(format!("entries of block {id}")));
        };
        index.restore(id, Block { runs, rows: number(row, 1)?, bytes: number(row, 2)? });
        Ok(Ok(()))
    })?;
    let unlisted = load_open(connection, path, first_open, &mut index)?;
    load_settled(connection, path, |settled| Log::recovered(index, unlisted, first_open, settled))
}

/// Reads the messages of blocks without a row, whose own column says who holds them.
fn load_open(
    connection: &Connection,
    path: &Path,
    first_open: BlockId,
    index: &mut Index,
) -> Result<BTreeSet<BlockId>, OpenError> {
    let sql_error = |error: rusqlite::Error| open_error(path, &error);
    let mut statement = connection
        .prepare(
            "SELECT id, queues, length(properties) + length(body) FROM message \
             WHERE id >= ?1 ORDER BY id",
        )
        .map_err(sql_error)?;
    let mut unlisted = BTreeSet::new();
    let mut from = first_open;
    loop {
        let mut rows = statement.query([sql_id(id_at(from, 0))]).map_err(sql_error)?;
        loop {
            let Some(row) = rows.next().map_err(sql_error)? else {
                return Ok(unlisted);
            };
            let id = number(row, 0).map_err(sql_error)?;
            let block = block_of(id);
            if !unlisted.contains(&block) && index.block(block).is_some() {
                // A listed block between open ones: its rows are not looked at.
                from = block + 1;
                break;
            }
            unlisted.insert(block);
            let queues = queues(row).map_err(sql_error)?;
            let queues = queues.ok_or_else(|| damaged(format!("queues of message {id}")))?;
            let bytes = number(row, 2).map_err(sql_error)?;
            index.restore_message(id, queues.into_iter(), bytes);
        }
    }
}

/// Reads `settled` and subtracts it from the log that `make` builds.
fn load_settled(
    connection: &Connection,
    path: &Path,
    make: impl FnOnce(std::ops::Range<u64>) -> Log,
) -> Result<Log, OpenError> {
    let bounds = connection
        .query_row("SELECT min(id), max(id) + 1 FROM settled", [], |row| {
            Ok((row.get::<_, Option<i64>>(0)?, row.get::<_, Option<i64>>(1)?))
        })
        .map_err(|error| open_error(path, &error))?;
    let bound = |bound: Option<i64>| bound.map_or(1, i64::unsigned_abs);
    let mut log = make(bound(bounds.0)..bound(bounds.1));
    rows(connection, path, "SELECT id, entries FROM settled ORDER BY id", |row| {
        let id = number(row, 0)?;
        let Some(runs) = row.get_ref(1)?.as_str().ok().and_then(triples) else {
            return Ok(Err(format!("row {id} of settled")));
        };
        for [queue, first, last] in runs {
            let Ok(queue) = queue.try_into() else {
                return Ok(Err(format!("row {id} of settled")));
            };
            log.replay(id, QueueId(queue), &(first..=last));
        }
        Ok(Ok(()))
    })?;
    Ok(log)
}

/// The queues of a message's row: an integer or a JSON array. `None` if it is neither.
fn queues(row: &Row<'_>) -> rusqlite::Result<Option<Vec<QueueId>>> {
    let value = row.get_ref(1)?;
    if let Ok(queue) = value.as_i64() {
        return Ok(u32::try_from(queue).ok().map(|queue| vec![QueueId(queue)]));
    }
    let list = value.as_str().ok().and_then(|text| text.strip_prefix('[')?.strip_suffix(']'));
    Ok(list.and_then(|list| list.split(',').map(|id| id.parse().ok().map(QueueId)).collect()))
}

/// Calls `each` with the rows of a query; `Err` inside of its result says what is damaged.
pub(super) fn rows(
    connection: &Connection,
    path: &Path,
    sql: &str,
    mut each: impl FnMut(&Row<'_>) -> rusqlite::Result<Result<(), String>>,
) -> Result<(), OpenError> {
    let sql_error = |error: rusqlite::Error| open_error(path, &error);
    let mut statement = connection.prepare(sql).map_err(sql_error)?;
    let mut rows = statement.query([]).map_err(sql_error)?;
    while let Some(row) = rows.next().map_err(sql_error)? {
        each(row).map_err(sql_error)?.map_err(damaged)?;
    }
    Ok(())
}

/// The number in a column; none that this crate writes is negative.
pub(super) fn number(row: &Row<'_>, column: usize) -> rusqlite::Result<MessageId> {
    row.get::<_, i64>(column).map(i64::unsigned_abs)
}

fn damaged(what: String) -> OpenError {
    OpenError::Damaged(what)
}
