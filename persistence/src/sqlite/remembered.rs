//! The table `remembered`: keys by owner, numbered in the order in which they were put. Called by
//! the store inside of its transactions.

use std::collections::HashMap;
use std::path::Path;

use rusqlite::Connection;

use super::convert::sql_id;
use super::recovery::{number, rows};
use crate::error::OpenError;
use crate::remembered::RememberedKey;

/// What numbers the keys.
#[derive(Debug)]
pub(super) struct Remembered {
    next: u64,
}

impl Remembered {
    /// Reads the table; returns also the keys of each owner, oldest first.
    pub(super) fn load(
        connection: &Connection,
        path: &Path,
    ) -> Result<(Self, HashMap<String, Vec<RememberedKey>>), OpenError> {
        let mut keys: HashMap<String, Vec<RememberedKey>> = HashMap::new();
        let mut newest = 0;
        let sql = "SELECT number, owner, key, until FROM remembered ORDER BY number";
        rows(connection, path, sql, |row| {
            newest = number(row, 0)?;
            let owner = row.get_ref(1)?.as_str()?;
            let key = RememberedKey { key: row.get(2)?, until_ms: number(row, 3)? };
            match keys.get_mut(owner) {
                Some(keys) => keys.push(key),
                None => {
                    keys.insert(owner.to_owned(), vec![key]);
                }
            }
            Ok(Ok(()))
        })?;
        Ok((Self { next: newest + 1 }, keys))
    }

    /// Writes keys; one that is there already becomes the newest.
    pub(super) fn put(
        &mut self,
        connection: &Connection,
        owner: &str,
        keys: &[RememberedKey],
    ) -> rusqlite::Result<()> {
        let mut statement = connection.prepare_cached(
            "INSERT OR REPLACE INTO remembered (owner, key, number, until) \
             VALUES (?1, ?2, ?3, ?4)",
        )?;
        for RememberedKey { key, until_ms } in keys {
            statement.execute((owner, key, sql_id(self.next), sql_id(*until_ms)))?;
            self.next += 1;
        }
        Ok(())
    }
}

/// Deletes some keys of an owner.
pub(super) fn forget(
    connection: &Connection,
    owner: &str,
    keys: &[Vec<u8>],
) -> rusqlite::Result<()> {
    let mut statement =
        connection.prepare_cached("DELETE FROM remembered WHERE owner = ?1 AND key = ?2")?;
    keys.iter().try_for_each(|key| statement.execute((owner, key)).map(|_| ()))
}

/// Deletes all keys of an owner.
pub(super) fn forget_owner(connection: &Connection, owner: &str) -> rusqlite::Result<()> {
    connection
        .prepare_cached("DELETE FROM remembered WHERE owner = ?1")?
        .execute([owner])
        .map(|_| ())
}
