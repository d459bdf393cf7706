//! Files of other versions: an older one becomes one of this version, a newer one is refused.
#![expect(clippy::indexing_slicing, reason = "a test that is wrong may stop")]

mod support;

use leveret_persistence::{Message, MessageId, OpenError, Progress, QueueId, Stamp, sqlite};
use rusqlite::Connection;
use support::{Backend, Sqlite, backlog, remembered};

const DATABASE: &str = "leveret.db";

/// A directory with a file that SQL makes.
fn file_of(fixture: &str) -> Sqlite {
    let backend = Sqlite::new();
    let database = Connection::open(backend.0.path().join(DATABASE)).expect("creates");
    database.execute_batch(fixture).expect("the fixture is SQL");
    backend
}

#[test]
fn a_file_of_version_1_opens() {
    let backend = file_of(include_str!("fixtures/version-1.sql"));
    let (store, recovered) = backend.open();
    assert!(!recovered.clean);
    assert_eq!(recovered.next.message, 1_048_578);
    assert_eq!(recovered.next.queue, QueueId(4));
    assert_eq!(recovered.definitions.vhosts.len(), 1);
    assert_eq!(recovered.definitions.queues.len(), 2);
    assert_eq!(recovered.definitions.queues[0].keeps_for, "");
    let two: Vec<MessageId> = vec![3, 5_002];
    assert_eq!(backlog(&recovered), [(1, vec![2, 5_001, 5_002]), (2, two)].into());
    let mut reader = store.reader().expect("opens");
    let found = reader.read(&[2, 3, 5_001, 5_002], usize::MAX).expect("reads").messages;
    let bodies: Vec<&[u8]> = found.iter().map(|(_, message)| message.body()).collect();
    assert_eq!(bodies, [&b"two"[..], b"three", b"five", b"five"]);
    assert_eq!(found[3].1, Message::new(b"both", b"", b"\0\0", b"five"));
    assert!(found.iter().all(|(_, message)| message.stamp() == Stamp::default()));
}

#[test]
fn a_file_of_version_2_opens() {
    check_version_2(include_str!("fixtures/version-2.sql"), false);
}

#[test]
fn a_file_of_version_3_opens() {
    check_version_2(include_str!("fixtures/version-3.sql"), true);
}

/// What version 3 added is whether a vhost is protected.
fn check_version_2(fixture: &str, is_protected: bool) {
    let backend = file_of(fixture);
    let (store, recovered) = backend.open();
    let expected = [(1, vec![2, 5_002]), (2, vec![3, 5_002]), (4, vec![5_001])];
    assert_eq!(backlog(&recovered), expected.into());
    let progress =
        |id, deliveries, retries, due_ms| vec![Progress { id, deliveries, retries, due_ms }];
    let expected = [
        (QueueId(1), progress(5_002, 2, 1, 0)),
        (QueueId(2), progress(3, 1, 0, 0)),
        (QueueId(4), progress(5_001, 0, 0, 1_795_379_999_000)),
    ];
    assert_eq!(recovered.progress, expected.into());
    let keys = vec![("b", 1_795_379_999_000), ("a", 0)];
    assert_eq!(remembered(&recovered), [("/ orders", keys)].into());
    let definitions = recovered.definitions;
    assert_eq!(definitions.vhosts[0].default_queue_type, "quorum");
    assert_eq!(definitions.vhosts[0].protected, is_protected);
    assert_eq!(definitions.users[0].limits, r#"{"max-channels":9}"#);
    assert_eq!(definitions.topic_permissions[0].read, "^b");
    assert_eq!(definitions.parameters[0].updated_ms, 1_795_379_430_123);
    assert_eq!(definitions.global_parameters[0].value, r#""shop""#);
    assert_eq!(definitions.queues[2].keeps_for, "orders");
    let scanned = store.reader().expect("opens").scan(&[2, 3, 5_001, 5_002]).expect("scans");
    let stamps = scanned.iter().map(|scanned| (scanned.stamp.arrived_ms, scanned.stamp.flags));
    let arrived = 1_795_379_430_123;
    let expected = [(arrived, 1), (0, 0), (arrived + 1, 0), (arrived + 2, 255)];
    assert_eq!(stamps.collect::<Vec<_>>(), expected);
}

#[test]
fn a_file_of_a_newer_version_is_refused_and_not_changed() {
    let backend = Sqlite::new();
    drop(backend.open());
    let path = backend.0.path().join(DATABASE);
    let database = Connection::open(&path).expect("opens");
    database.pragma_update(None, "user_version", 1_000).expect("updates");
    let mode = "wal_checkpoint(TRUNCATE)";
    database.query_row(&format!("PRAGMA {mode}"), [], |_| Ok(())).expect("checkpoints");
    drop(database);
    let before = std::fs::read(&path).expect("reads");
    match sqlite::open(backend.0.path()) {
        Err(OpenError::Newer { found: 1_000, known: 4 }) => {}
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("a newer file was opened"),
    }
    assert_eq!(std::fs::read(&path).expect("reads"), before);
}
