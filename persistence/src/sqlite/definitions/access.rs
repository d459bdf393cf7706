//! Users and what they may do.

use rusqlite::Connection;

use super::{list, run};
use crate::records::{PermissionRecord, TopicPermissionRecord, UserRecord};

pub(super) fn put_user(db: &Connection, record: &UserRecord) -> rusqlite::Result<()> {
    run(
        db,
        "INSERT OR REPLACE INTO user VALUES (?1, ?2, ?3, ?4, ?5)",
        [
            &record.name,
            &record.password_hash,
            &record.hashing_algorithm,
            &record.tags,
            &record.limits,
        ],
    )
}

pub(super) fn users(db: &Connection) -> rusqlite::Result<Vec<UserRecord>> {
    list(db, "SELECT * FROM user ORDER BY name", |row| {
        Ok(UserRecord {
            name: row.get("name")?,
            password_hash: row.get("password_hash")?,
            hashing_algorithm: row.get("hashing_algorithm")?,
            tags: row.get("tags")?,
            limits: row.get("limits")?,
        })
    })
}

pub(super) fn put_permission(db: &Connection, record: &PermissionRecord) -> rusqlite::Result<()> {
    run(
        db,
        "INSERT OR REPLACE INTO permission VALUES (?1, ?2, ?3, ?4, ?5)",
        [&record.user, &record.vhost, &record.configure, &record.write, &record.read],
    )
}

pub(super) fn permissions(db: &Connection) -> rusqlite::Result<Vec<PermissionRecord>> {
    list(db, "SELECT * FROM permission ORDER BY user, vhost", |row| {
        Ok(PermissionRecord {
            user: row.get("user")?,
            vhost: row.get("vhost")?,
            configure: row.get("configure")?,
            write: row.get("write")?,
            read: row.get("read")?,
        })
    })
}

pub(super) fn put_topic_permission(
    db: &Connection,
    record: &TopicPermissionRecord,
) -> rusqlite::Result<()> {
    run(
        db,
        "INSERT OR REPLACE INTO topic_permission VALUES (?1, ?2, ?3, ?4, ?5)",
        [&record.user, &record.vhost, &record.exchange, &record.write, &record.read],
    )
}

pub(super) fn topic_permissions(db: &Connection) -> rusqlite::Result<Vec<TopicPermissionRecord>> {
    list(db, "SELECT * FROM topic_permission ORDER BY user, vhost, exchange", |row| {
        Ok(TopicPermissionRecord {
            user: row.get("user")?,
            vhost: row.get("vhost")?,
            exchange: row.get("exchange")?,
            write: row.get("write")?,
            read: row.get("read")?,
        })
    })
}
