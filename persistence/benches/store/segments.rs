//! The alternative layout: one blob a commit holds all of its messages.

use std::time::Instant;

use rusqlite::{Connection, params};

use super::report;

const PER_SEGMENT: u64 = 1_000;
const MESSAGE_LEN: usize = 1024 + 40;

/// Fills such a table with the messages of 1,000 queues and reads one queue back.
pub(super) fn compare() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let database = Connection::open(directory.path().join("segments.db")).expect("opens");
    database
        .execute_batch(
            "PRAGMA page_size=16384; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; \
             PRAGMA wal_autocheckpoint=4096; \
             CREATE TABLE segment (id INTEGER PRIMARY KEY, messages BLOB);",
        )
        .expect("creates");
    let (count, started) = (300_u32, Instant::now());
    for id in 0..i64::from(count) {
        let segment = vec![b'x'; MESSAGE_LEN * 1_000];
        database
            .prepare_cached("INSERT INTO segment VALUES (?1, ?2)")
            .and_then(|mut insert| insert.execute(params![id, segment]))
            .expect("inserts");
    }
    report(
        "segments: publish 1 KiB, 1,000 a commit",
        u64::from(count) * PER_SEGMENT,
        started.elapsed(),
    );
    let (started, mut read) = (Instant::now(), 0);
    let message_len = i64::try_from(MESSAGE_LEN).expect("small");
    for id in 0..i64::from(count) {
        let at = message_len * (id * 7 % 1000) + 1;
        let message: Vec<u8> = database
            .prepare_cached("SELECT substr(messages, ?2, ?3) FROM segment WHERE id = ?1")
            .and_then(|mut select| select.query_row(params![id, at, message_len], |row| row.get(0)))
            .expect("reads");
        assert_eq!(message.len(), MESSAGE_LEN);
        read += 1;
    }
    report("segments: read one of 1,000 queues back", read, started.elapsed());
}
