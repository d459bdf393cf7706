//! The tables, their version, and how a file of an older version becomes one of this version.
//! docs/store.md explains them to people who open the file with the `sqlite3` program.

use rusqlite::Connection;

use super::convert;
use crate::error::OpenError;

/// Marks the file as ours: "LEVT" as a number, shown by the `file` program.
const APPLICATION_ID: i32 = 0x4c45_5654;

/// The steps from an empty file to the current schema; the version of a file is the number of
/// steps it has taken. A released step is never edited: changes are new steps.
const STEPS: &[&str] = &[
    include_str!("schema/1.sql"),
    include_str!("schema/2.sql"),
    include_str!("schema/3.sql"),
    include_str!("schema/4.sql"),
];

/// Brings the file to the current version.
pub(super) fn migrate(
    connection: &mut Connection,
    path: &std::path::Path,
) -> Result<(), OpenError> {
    migrate_with(connection, path, STEPS)
}

fn migrate_with(
    connection: &mut Connection,
    path: &std::path::Path,
    steps: &[&str],
) -> Result<(), OpenError> {
    let known = u32::try_from(steps.len()).expect("a handful of steps");
    let transaction = connection
        .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)
        .map_err(|error| convert::open_error(path, &error))?;
    let open_error = |error: rusqlite::Error| convert::open_error(path, &error);
    let number =
        |name: &str| transaction.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    let application_id = number("application_id").map_err(open_error)?;
    let found = number("user_version").map_err(open_error)?;
    let found = u32::try_from(found).map_err(|_| OpenError::NotAStore(path.to_owned()))?;
    if application_id != APPLICATION_ID && !(application_id == 0 && is_empty(&transaction, path)?) {
        return Err(OpenError::NotAStore(path.to_owned()));
    }
    if found > known {
        return Err(OpenError::Newer { found, known });
    }
    if found == known {
        return Ok(());
    }
    for step in steps.iter().skip(found as usize) {
        transaction.execute_batch(step).map_err(open_error)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID).map_err(open_error)?;
    transaction.pragma_update(None, "user_version", known).map_err(open_error)?;
    transaction.commit().map_err(open_error)?;
    tracing::info!(from = found, to = known, "store schema migrated");
    Ok(())
}

fn is_empty(connection: &Connection, path: &std::path::Path) -> Result<bool, OpenError> {
    connection
        .query_row("SELECT NOT EXISTS (SELECT 1 FROM sqlite_schema)", [], |row| row.get(0))
        .map_err(|error| convert::open_error(path, &error))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn version(connection: &Connection) -> u32 {
        connection.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
    }

    #[test]
    fn a_file_takes_only_the_steps_it_has_not_taken() {
        let mut connection = Connection::open_in_memory().unwrap();
        let path = Path::new("store");
        migrate_with(&mut connection, path, &["CREATE TABLE a (x)"]).unwrap();
        let steps = ["CREATE TABLE a (x)", "CREATE TABLE b (x)", "INSERT INTO b VALUES (7)"];
        migrate_with(&mut connection, path, &steps).unwrap();
        migrate_with(&mut connection, path, &steps).unwrap();
        assert_eq!(version(&connection), 3);
        let rows: u32 =
            connection.query_row("SELECT count(*) FROM b", [], |row| row.get(0)).unwrap();
        assert_eq!(rows, 1);
    }

    #[test]
    fn a_failing_step_changes_nothing() {
        let mut connection = Connection::open_in_memory().unwrap();
        let path = Path::new("store");
        migrate_with(&mut connection, path, &["CREATE TABLE a (x)"]).unwrap();
        let steps = ["CREATE TABLE a (x)", "CREATE TABLE b (x)", "this is not SQL"];
        assert!(migrate_with(&mut connection, path, &steps).is_err());
        assert_eq!(version(&connection), 1);
        assert!(connection.prepare("SELECT * FROM b").is_err());
    }

    #[test]
    fn a_newer_file_is_refused() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection, Path::new("store")).unwrap();
        connection.pragma_update(None, "user_version", 99).unwrap();
        let error = migrate(&mut connection, Path::new("store")).unwrap_err();
        assert!(matches!(error, OpenError::Newer { found: 99, known: 4 }), "{error}");
    }

    #[test]
    fn a_database_of_another_program_is_refused() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("CREATE TABLE accounts (name TEXT)").unwrap();
        let error = migrate(&mut connection, Path::new("store")).unwrap_err();
        assert!(matches!(error, OpenError::NotAStore(_)), "{error}");
    }
}
