//! Exchanges, queues and bindings.

use rusqlite::{Connection, params};

use super::{list, run};
use crate::ids::QueueId;
use crate::records::{BindingRecord, ExchangeRecord, QueueRecord};
use crate::sqlite::convert::sql_id;

pub(super) fn put_exchange(db: &Connection, record: &ExchangeRecord) -> rusqlite::Result<()> {
    run(
        db,
        "INSERT OR REPLACE INTO exchange VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            record.vhost,
            record.name,
            record.kind,
            record.durable,
            record.auto_delete,
            record.internal,
            record.arguments
        ],
    )
}

pub(super) fn exchanges(db: &Connection) -> rusqlite::Result<Vec<ExchangeRecord>> {
    list(db, "SELECT * FROM exchange ORDER BY vhost, name", |row| {
        Ok(ExchangeRecord {
            vhost: row.get("vhost")?,
            name: row.get("name")?,
            kind: row.get("kind")?,
            durable: row.get("durable")?,
            auto_delete: row.get("auto_delete")?,
            internal: row.get("internal")?,
            arguments: row.get("arguments")?,
        })
    })
}

pub(super) fn put_queue(db: &Connection, record: &QueueRecord) -> rusqlite::Result<()> {
    run(
        db,
        "INSERT OR REPLACE INTO queue VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![
            record.id.0,
            record.vhost,
            record.name,
            record.durable,
            record.auto_delete,
            record.arguments,
            sql_id(record.delivered_to),
            record.keeps_for
        ],
    )?;
    run(
        db,
        "UPDATE meta SET value = max(value, ?1) WHERE name = 'next_queue_id'",
        [i64::from(record.id.0) + 1],
    )
}

pub(super) fn queues(db: &Connection) -> rusqlite::Result<Vec<QueueRecord>> {
    list(db, "SELECT * FROM queue ORDER BY id", |row| {
        Ok(QueueRecord {
            id: QueueId(row.get("id")?),
            vhost: row.get("vhost")?,
            name: row.get("name")?,
            durable: row.get("durable")?,
            auto_delete: row.get("auto_delete")?,
            arguments: row.get("arguments")?,
            delivered_to: row.get::<_, i64>("delivered_to")?.unsigned_abs(),
            keeps_for: row.get("keeps_for")?,
        })
    })
}

pub(super) fn put_binding(db: &Connection, record: &BindingRecord) -> rusqlite::Result<()> {
    run(db, "INSERT OR IGNORE INTO binding VALUES (?1, ?2, ?3, ?4, ?5, ?6)", binding_values(record))
}

pub(super) fn delete_binding(db: &Connection, record: &BindingRecord) -> rusqlite::Result<()> {
    run(
        db,
        "DELETE FROM binding WHERE vhost = ?1 AND source = ?2 AND destination_kind = ?3 \
         AND destination = ?4 AND routing_key = ?5 AND arguments = ?6",
        binding_values(record),
    )
}

fn binding_values(binding: &BindingRecord) -> [&str; 6] {
    let BindingRecord { vhost, source, destination_kind, destination, routing_key, arguments } =
        binding;
    [vhost, source, destination_kind, destination, routing_key, arguments]
}

pub(super) fn bindings(db: &Connection) -> rusqlite::Result<Vec<BindingRecord>> {
    let sql = "SELECT * FROM binding ORDER BY vhost, source, destination_kind, destination, \
               routing_key, arguments";
    list(db, sql, |row| {
        Ok(BindingRecord {
            vhost: row.get("vhost")?,
            source: row.get("source")?,
            destination_kind: row.get("destination_kind")?,
            destination: row.get("destination")?,
            routing_key: row.get("routing_key")?,
            arguments: row.get("arguments")?,
        })
    })
}
