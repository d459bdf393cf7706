//! Vhosts and parameters: what is set rather than declared.

use rusqlite::{Connection, params};

use super::{list, run};
use crate::records::{GlobalParameterRecord, ParameterRecord, VhostRecord};
use crate::sqlite::convert::sql_id;

pub(super) fn put_vhost(db: &Connection, record: &VhostRecord) -> rusqlite::Result<()> {
    let VhostRecord { name, description, tags, default_queue_type, protected } = record;
    run(
        db,
        "INSERT OR REPLACE INTO vhost VALUES (?1, ?2, ?3, ?4, ?5)",
        params![name, description, tags, default_queue_type, protected],
    )
}

pub(super) fn vhosts(db: &Connection) -> rusqlite::Result<Vec<VhostRecord>> {
    list(db, "SELECT * FROM vhost ORDER BY name", |row| {
        Ok(VhostRecord {
            name: row.get("name")?,
            description: row.get("description")?,
            tags: row.get("tags")?,
            default_queue_type: row.get("default_queue_type")?,
            protected: row.get("protected")?,
        })
    })
}

pub(super) fn put_parameter(db: &Connection, record: &ParameterRecord) -> rusqlite::Result<()> {
    let ParameterRecord { vhost, component, name, value, updated_ms } = record;
    run(
        db,
        "INSERT OR REPLACE INTO parameter VALUES (?1, ?2, ?3, ?4, ?5)",
        params![vhost, component, name, value, sql_id(*updated_ms)],
    )
}

pub(super) fn parameters(db: &Connection) -> rusqlite::Result<Vec<ParameterRecord>> {
    list(db, "SELECT * FROM parameter ORDER BY vhost, component, name", |row| {
        Ok(ParameterRecord {
            vhost: row.get("vhost")?,
            component: row.get("component")?,
            name: row.get("name")?,
            value: row.get("value")?,
            updated_ms: row.get::<_, i64>("updated")?.unsigned_abs(),
        })
    })
}

pub(super) fn put_global_parameter(
    db: &Connection,
    record: &GlobalParameterRecord,
) -> rusqlite::Result<()> {
    run(
        db,
        "INSERT OR REPLACE INTO global_parameter VALUES (?1, ?2)",
        [&record.name, &record.value],
    )
}

pub(super) fn global_parameters(db: &Connection) -> rusqlite::Result<Vec<GlobalParameterRecord>> {
    list(db, "SELECT * FROM global_parameter ORDER BY name", |row| {
        Ok(GlobalParameterRecord { name: row.get("name")?, value: row.get("value")? })
    })
}
