//! The definition tables: one statement per change, and the lists that a start reads. Called by
//! the store inside of its transactions. Here: which statement a change is.

mod access;
mod settings;
mod topology;

use rusqlite::{Connection, Params, Row, params};

use super::convert::sql_id;
use crate::change::Change;
use crate::ids::QueueId;
use crate::records::Definitions;

/// Writes a change of the definitions. Of the others nothing is written: they belong to other
/// tables. Of a deleted queue only the record is deleted here.
pub(super) fn apply(db: &Connection, change: &Change) -> rusqlite::Result<()> {
    match change {
        Change::Settle { .. }
        | Change::PutProgress { .. }
        | Change::Remember { .. }
        | Change::Forget { .. }
        | Change::ForgetOwner { .. } => Ok(()),
        Change::PutVhost(record) => settings::put_vhost(db, record),
        Change::DeleteVhost { name } => run(db, "DELETE FROM vhost WHERE name = ?1", [name]),
        Change::PutUser(record) => access::put_user(db, record),
        Change::DeleteUser { name } => run(db, "DELETE FROM user WHERE name = ?1", [name]),
        Change::PutPermission(record) => access::put_permission(db, record),
        Change::DeletePermission { user, vhost } => {
            run(db, "DELETE FROM permission WHERE user = ?1 AND vhost = ?2", [user, vhost])
        }
        Change::PutTopicPermission(record) => access::put_topic_permission(db, record),
        Change::DeleteTopicPermission { user, vhost, exchange } => run(
            db,
            "DELETE FROM topic_permission WHERE user = ?1 AND vhost = ?2 AND exchange = ?3",
            [user, vhost, exchange],
        ),
        Change::PutParameter(record) => settings::put_parameter(db, record),
        Change::DeleteParameter { vhost, component, name } => run(
            db,
            "DELETE FROM parameter WHERE vhost = ?1 AND component = ?2 AND name = ?3",
            [vhost, component, name],
        ),
        Change::PutGlobalParameter(record) => settings::put_global_parameter(db, record),
        Change::DeleteGlobalParameter { name } => {
            run(db, "DELETE FROM global_parameter WHERE name = ?1", [name])
        }
        Change::PutExchange(record) => topology::put_exchange(db, record),
        Change::DeleteExchange { vhost, name } => {
            run(db, "DELETE FROM exchange WHERE vhost = ?1 AND name = ?2", [vhost, name])
        }
        Change::PutQueue(record) => topology::put_queue(db, record),
        Change::DeleteQueue(QueueId(id)) => run(db, "DELETE FROM queue WHERE id = ?1", [id]),
        Change::PutBinding(record) => topology::put_binding(db, record),
        Change::DeleteBinding(record) => topology::delete_binding(db, record),
        Change::DeliveredTo { queue, id } => run(
            db,
            "UPDATE queue SET delivered_to = ?2 WHERE id = ?1",
            params![queue.0, sql_id(*id)],
        ),
    }
}

/// Reads all definitions, each list in the order of its keys.
pub(super) fn load(db: &Connection) -> rusqlite::Result<Definitions> {
    Ok(Definitions {
        vhosts: settings::vhosts(db)?,
        users: access::users(db)?,
        permissions: access::permissions(db)?,
        topic_permissions: access::topic_permissions(db)?,
        parameters: settings::parameters(db)?,
        global_parameters: settings::global_parameters(db)?,
        exchanges: topology::exchanges(db)?,
        queues: topology::queues(db)?,
        bindings: topology::bindings(db)?,
    })
}

fn run(db: &Connection, sql: &str, values: impl Params) -> rusqlite::Result<()> {
    db.prepare_cached(sql)?.execute(values).map(|_| ())
}

fn list<T>(
    db: &Connection,
    sql: &str,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    db.prepare(sql)?.query_map([], read)?.collect()
}
