//! Rows of a message table: writing them and deleting those that nobody holds any more. The
//! durable log and the page-out file both have such a table.

use std::fmt::Write as _;
use std::ops::RangeInclusive;

use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use rusqlite::{Connection, ToSql};

use super::convert::{Text, sql_id};
use super::index::Index;
use super::runs::{BLOCK_LEN, BlockId, id_at};
use crate::change::{Publish, Queues};
use crate::ids::QueueId;
use crate::stamp::Stamp;

/// Rows that are deleted at a time when a whole block is more than the budget.
const SLICE_ROWS: u32 = 64;

/// Writes messages with the queues they were published to. Their ids increase, so that the rows
/// are appended to the table.
pub(super) fn insert(connection: &Connection, publishes: &[Publish]) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO message \
             (id, queues, arrived, flags, exchange, routing_key, properties, body) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?;
    let mut column = QueuesColumn::default();
    for Publish { id, message, queues, .. } in publishes {
        column.set(queues);
        let Stamp { arrived_ms, flags } = message.stamp();
        statement.execute((
            sql_id(*id),
            &column,
            sql_id(arrived_ms),
            flags,
            Text(message.exchange()),
            Text(message.routing_key()),
            message.properties(),
            message.body(),
        ))?;
    }
    Ok(())
}

/// Writes messages that may be there already: an id always stands for the same message.
pub(super) fn insert_again(connection: &Connection, publishes: &[Publish]) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "INSERT OR IGNORE INTO message \
             (id, arrived, flags, exchange, routing_key, properties, body) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    for Publish { id, message, .. } in publishes {
        let Stamp { arrived_ms, flags } = message.stamp();
        statement.execute((
            sql_id(*id),
            sql_id(arrived_ms),
            flags,
            Text(message.exchange()),
            Text(message.routing_key()),
            message.properties(),
            message.body(),
        ))?;
    }
    Ok(())
}

/// The queues of a message as one column: an integer, or a JSON array of several. Kept from one
/// message to the next, which often goes to the same queues.
#[derive(Default)]
struct QueuesColumn<'a> {
    queues: &'a [QueueId],
    text: String,
}

impl<'a> QueuesColumn<'a> {
    fn set(&mut self, queues: &'a Queues) {
        let queues = queues.as_slice();
        if self.queues == queues {
            return;
        }
        self.queues = queues;
        self.text.clear();
        for queue in queues {
            let separator = if self.text.is_empty() { '[' } else { ',' };
            write!(self.text, "{separator}{queue}").expect("writing to a string does not fail");
        }
        self.text.push(']');
    }
}

impl ToSql for QueuesColumn<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self.queues {
            [one] => ToSqlOutput::Owned(Value::Integer(i64::from(one.0))),
            _ => ToSqlOutput::Borrowed(ValueRef::Text(self.text.as_bytes())),
        })
    }
}

/// Deletes the rows of blocks that nobody holds anything of, lowest first, as long as they are
/// below `end` and the budget of bytes lasts. Blocks whose last row went are reported to `gone`.
pub(super) fn sweep(
    connection: &Connection,
    index: &mut Index,
    end: BlockId,
    budget_bytes: u64,
    mut gone: impl FnMut(BlockId),
) -> rusqlite::Result<()> {
    let mut spent = 0;
    while let Some((block, bytes)) = index.first_empty().filter(|(block, _)| *block < end) {
        if spent >= budget_bytes {
            return Ok(());
        }
        let all_gone = if bytes > budget_bytes {
            spent += bytes / u64::from(BLOCK_LEN) * u64::from(SLICE_ROWS);
            delete_slice(connection, block)?
        } else {
            spent += bytes;
            delete(connection, block, 0, BLOCK_LEN - 1)?;
            true
        };
        if all_gone {
            index.forget(block);
            gone(block);
        }
    }
    Ok(())
}

/// Deletes the rows of a block that nobody holds and notes it in the index. Returns their places.
pub(super) fn prune(
    connection: &Connection,
    index: &mut Index,
    block: BlockId,
) -> rusqlite::Result<Vec<RangeInclusive<u16>>> {
    let Some(entry) = index.block_mut(block) else {
        return Ok(Vec::new());
    };
    let (held, gaps) = entry.runs.unheld();
    for gap in &gaps {
        delete(connection, block, *gap.start(), *gap.end())?;
    }
    entry.pruned(u64::from(held));
    Ok(gaps)
}

fn delete(connection: &Connection, block: BlockId, first: u16, last: u16) -> rusqlite::Result<()> {
    connection
        .prepare_cached("DELETE FROM message WHERE id BETWEEN ?1 AND ?2")?
        .execute([sql_id(id_at(block, first)), sql_id(id_at(block, last))])
        .map(|_| ())
}

/// Deletes the first few rows of a block; returns whether those were the last.
fn delete_slice(connection: &Connection, block: BlockId) -> rusqlite::Result<bool> {
    let deleted = connection
        .prepare_cached(
            "DELETE FROM message WHERE id IN \
             (SELECT id FROM message WHERE id BETWEEN ?1 AND ?2 ORDER BY id LIMIT ?3)",
        )?
        .execute((sql_id(id_at(block, 0)), sql_id(id_at(block, BLOCK_LEN - 1)), SLICE_ROWS))?;
    Ok(deleted < SLICE_ROWS as usize)
}
