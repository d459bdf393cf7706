//! The definition tables: one statement per change, and the lists that a start reads.

use rusqlite::{Connection, Params, Row, params};

use super::convert::sql_id;
use crate::change::Change;
use crate::ids::QueueId;
use crate::records::{
    BindingRecord, Definitions, ExchangeRecord, PermissionRecord, QueueRecord, UserRecord,
    VhostRecord,
};

/// Writes a change of the definitions. Of the others nothing is written: they belong to other
/// tables. Of a deleted queue only the record is deleted here.
pub(super) fn apply(connection: &Connection, change: &Change) -> rusqlite::Result<()> {
    match change {
        Change::Settle { .. }
        | Change::PutProgress { .. }
        | Change::Remember { .. }
        | Change::Forget { .. }
        | Change::ForgetOwner { .. } => Ok(()),
        Change::PutVhost(vhost) => {
            run(connection, "INSERT OR REPLACE INTO vhost (name) VALUES (?1)", [&vhost.name])
        }
        Change::DeleteVhost { name } => {
            run(connection, "DELETE FROM vhost WHERE name = ?1", [name])
        }
        Change::PutUser(user) => run(
            connection,
            "INSERT OR REPLACE INTO user (name, password_hash, hashing_algorithm, tags) \
             VALUES (?1, ?2, ?3, ?4)",
            [&user.name, &user.password_hash, &user.hashing_algorithm, &user.tags],
        ),
        Change::DeleteUser { name } => run(connection, "DELETE FROM user WHERE name = ?1", [name]),
        Change::PutPermission(permission) => put_permission(connection, permission),
        Change::DeletePermission { user, vhost } => {
            run(connection, "DELETE FROM permission WHERE user = ?1 AND vhost = ?2", [user, vhost])
        }
        Change::PutExchange(exchange) => put_exchange(connection, exchange),
        Change::DeleteExchange { vhost, name } => {
            run(connection, "DELETE FROM exchange WHERE vhost = ?1 AND name = ?2", [vhost, name])
        }
        Change::PutQueue(queue) => put_queue(connection, queue),
        Change::DeleteQueue(QueueId(id)) => {
            run(connection, "DELETE FROM queue WHERE id = ?1", [id])
        }
        Change::PutBinding(binding) => run(
            connection,
            "INSERT OR IGNORE INTO binding VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            binding_values(binding),
        ),
        Change::DeleteBinding(binding) => run(
            connection,
            "DELETE FROM binding WHERE vhost = ?1 AND source = ?2 AND destination_kind = ?3 \
             AND destination = ?4 AND routing_key = ?5 AND arguments = ?6",
            binding_values(binding),
        ),
        Change::DeliveredTo { queue, id } => run(
            connection,
            "UPDATE queue SET delivered_to = ?2 WHERE id = ?1",
            params![queue.0, sql_id(*id)],
        ),
    }
}

/// Reads all definitions, each list in the order of its keys.
pub(super) fn load(connection: &Connection) -> rusqlite::Result<Definitions> {
    Ok(Definitions {
        vhosts: list(connection, "SELECT name FROM vhost ORDER BY name", |row| {
            Ok(VhostRecord { name: row.get(0)? })
        })?,
        users: list(connection, "SELECT * FROM user ORDER BY name", |row| {
            Ok(UserRecord {
                name: row.get("name")?,
                password_hash: row.get("password_hash")?,
                hashing_algorithm: row.get("hashing_algorithm")?,
                tags: row.get("tags")?,
            })
        })?,
        permissions: list(connection, "SELECT * FROM permission ORDER BY user, vhost", |row| {
            Ok(PermissionRecord {
                user: row.get("user")?,
                vhost: row.get("vhost")?,
                configure: row.get("configure")?,
                write: row.get("write")?,
                read: row.get("read")?,
            })
        })?,
        exchanges: list(connection, "SELECT * FROM exchange ORDER BY vhost, name", exchange)?,
        queues: list(connection, "SELECT * FROM queue ORDER BY id", queue)?,
        bindings: list(
            connection,
            "SELECT * FROM binding ORDER BY vhost, source, destination_kind, destination, \
             routing_key, arguments",
            binding,
        )?,
    })
}

fn put_permission(connection: &Connection, record: &PermissionRecord) -> rusqlite::Result<()> {
    run(
        connection,
        "INSERT OR REPLACE INTO permission VALUES (?1, ?2, ?3, ?4, ?5)",
        [&record.user, &record.vhost, &record.configure, &record.write, &record.read],
    )
}

fn put_exchange(connection: &Connection, record: &ExchangeRecord) -> rusqlite::Result<()> {
    run(
        connection,
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

fn put_queue(connection: &Connection, record: &QueueRecord) -> rusqlite::Result<()> {
    run(
        connection,
        "INSERT OR REPLACE INTO queue \
             (id, vhost, name, durable, auto_delete, arguments, delivered_to) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            record.id.0,
            record.vhost,
            record.name,
            record.durable,
            record.auto_delete,
            record.arguments,
            sql_id(record.delivered_to)
        ],
    )?;
    run(
        connection,
        "UPDATE meta SET value = max(value, ?1) WHERE name = 'next_queue_id'",
        [i64::from(record.id.0) + 1],
    )
}

fn binding_values(binding: &BindingRecord) -> [&str; 6] {
    let BindingRecord { vhost, source, destination_kind, destination, routing_key, arguments } =
        binding;
    [vhost, source, destination_kind, destination, routing_key, arguments]
}

fn exchange(row: &Row<'_>) -> rusqlite::Result<ExchangeRecord> {
    Ok(ExchangeRecord {
        vhost: row.get("vhost")?,
        name: row.get("name")?,
        kind: row.get("kind")?,
        durable: row.get("durable")?,
        auto_delete: row.get("auto_delete")?,
        internal: row.get("internal")?,
        arguments: row.get("arguments")?,
    })
}

fn queue(row: &Row<'_>) -> rusqlite::Result<QueueRecord> {
    Ok(QueueRecord {
        id: QueueId(row.get("id")?),
        vhost: row.get("vhost")?,
        name: row.get("name")?,
        durable: row.get("durable")?,
        auto_delete: row.get("auto_delete")?,
        arguments: row.get("arguments")?,
        delivered_to: row.get::<_, i64>("delivered_to")?.unsigned_abs(),
    })
}

fn binding(row: &Row<'_>) -> rusqlite::Result<BindingRecord> {
    Ok(BindingRecord {
        vhost: row.get("vhost")?,
        source: row.get("source")?,
        destination_kind: row.get("destination_kind")?,
        destination: row.get("destination")?,
        routing_key: row.get("routing_key")?,
        arguments: row.get("arguments")?,
    })
}

fn run(connection: &Connection, sql: &str, values: impl Params) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute(values).map(|_| ())
}

fn list<T>(
    connection: &Connection,
    sql: &str,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    connection.prepare(sql)?.query_map([], read)?.collect()
}
