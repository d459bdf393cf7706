//! The SQLite file as others see it: the `sqlite3` program, the owner of the disk. What
//! docs/store.md shows is run here.

mod support;

use std::path::Path;
use std::time::{Duration, Instant};

use leveret_persistence::{
    Change, Gathered, Message, MessageId, OpenError, ParameterRecord, Publish, QueueId,
    QueueRecord, Queues, ReadError, Scanned, sqlite,
};
use rusqlite::Connection;
use support::{
    Backend, Sqlite, apply, backlog, clean_up, commit, declare, publish, put_progress, queue,
    remember, settle, stamp,
};

const DATABASE: &str = "leveret.db";

fn count(directory: &Path, table: &str) -> u64 {
    let database = Connection::open(directory.join(DATABASE)).expect("opens beside the store");
    let sql = format!("SELECT count(*) FROM {table}");
    let count: i64 = database.query_row(&sql, [], |row| row.get(0)).expect("counts");
    count.unsigned_abs()
}

/// Messages in every stage: in closed blocks, settled since they were listed, and in open blocks.
fn fill(backend: &Sqlite) -> Box<dyn leveret_persistence::Store> {
    let (mut store, _) = backend.open();
    declare(&mut *store, &[1, 2, 3]);
    for first in (1..9_000).step_by(300) {
        let publishes = (first..first + 300).map(|id| match id % 5 {
            0 => publish(id, &[1, 2]),
            _ => publish(id, &[1]),
        });
        let retried = put_progress(1, (first..first + 300).step_by(15));
        commit(&mut *store, publishes.collect(), vec![retried]);
        apply(&mut *store);
    }
    let waiting = QueueRecord { keeps_for: "orders".to_owned(), ..queue(4) };
    let policy = ParameterRecord {
        vhost: "/".to_owned(),
        component: "policy".to_owned(),
        name: "short".to_owned(),
        value: r#"{"pattern":"^queue","definition":{"max-length":9}}"#.to_owned(),
        updated_ms: 0,
    };
    let changes = vec![
        Change::PutQueue(waiting),
        Change::PutParameter(policy),
        remember("/ orders", &[("order 17", 0)]),
    ];
    commit(&mut *store, vec![], changes);
    commit(
        &mut *store,
        vec![],
        vec![settle(1, 0..=500), settle(1, 900..=1_500), settle(2, 0..=8_500)],
    );
    apply(&mut *store);
    store
}

#[test]
fn the_view_of_entries_says_what_a_restart_recovers() {
    let backend = Sqlite::new();
    let store = fill(&backend);
    let database = Connection::open(backend.0.path().join(DATABASE)).expect("opens");
    let mut statement =
        database.prepare("SELECT queue, message FROM entry ORDER BY queue, message").unwrap();
    let seen: Vec<(u32, i64)> = statement
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    drop(store);
    let (_store, recovered) = backend.open();
    let recovered: Vec<(u32, i64)> = backlog(&recovered)
        .into_iter()
        .flat_map(|(queue, ids)| ids.into_iter().map(move |id| (queue, id.cast_signed())))
        .collect();
    assert_eq!(seen, recovered);
    assert!(seen.len() > 7_000);
}

#[test]
fn the_queries_of_the_documentation_run_while_the_store_is_open() {
    let page =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/store.md"));
    let page = page.expect("the documentation is there");
    let backend = Sqlite::new();
    let mut store = fill(&backend);
    let database = Connection::open(backend.0.path().join(DATABASE)).expect("opens");
    let mut queries = 0;
    for block in page.split("```sql\n").skip(1) {
        let block = block.split("```").next().unwrap();
        for sql in block.split(";\n").filter(|sql| !sql.trim().is_empty()) {
            let mut statement =
                database.prepare(sql).unwrap_or_else(|error| panic!("{error}: {sql}"));
            let mut rows = statement.query([]).unwrap();
            let mut found = 0;
            while rows.next().unwrap_or_else(|error| panic!("{error}: {sql}")).is_some() {
                found += 1;
            }
            assert!(found > 0, "nothing found by {sql}");
            queries += 1;
        }
    }
    assert!(queries >= 5);
    commit(&mut *store, vec![publish(20_000, &[1])], vec![]);
}

#[test]
fn every_table_the_documentation_names_exists_and_none_is_missing() {
    let page =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/store.md"));
    let page = page.expect("the documentation is there");
    let backend = Sqlite::new();
    let _store = backend.open();
    let database = Connection::open(backend.0.path().join(DATABASE)).expect("opens");
    let mut statement =
        database.prepare("SELECT name FROM sqlite_schema WHERE type IN ('table', 'view')").unwrap();
    let names = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
    for name in names.map(Result::unwrap) {
        assert!(page.contains(&format!("| `{name}`")), "docs/store.md does not mention {name}");
    }
}

#[test]
fn the_tables_follow_the_journal_though_nothing_more_is_committed() {
    let backend = Sqlite::new();
    let (mut store, _) = backend.open();
    declare(&mut *store, &[1]);
    commit(&mut *store, vec![publish(1, &[1]), publish(2, &[1])], vec![]);
    let deadline = Instant::now() + Duration::from_secs(20);
    while count(backend.0.path(), "queue_message") < 2 {
        assert!(Instant::now() < deadline, "nothing has come into the tables");
        std::thread::yield_now();
    }
}

#[test]
fn nothing_is_left_when_everything_is_settled() {
    let backend = Sqlite::new();
    let mut store = fill(&backend);
    commit(&mut *store, vec![], vec![settle(1, 0..=20_000), settle(2, 0..=20_000)]);
    clean_up(&mut *store);
    for table in ["message", "block", "settled", "entry", "progress"] {
        assert_eq!(count(backend.0.path(), table), 0, "{table}");
    }
}

#[test]
fn one_stuck_message_does_not_keep_the_bodies_around_it() {
    let backend = Sqlite::new();
    let (mut store, _) = backend.open();
    declare(&mut *store, &[1]);
    let large = |id: MessageId| Publish {
        id,
        message: Message::new(b"", b"key", b"", &vec![b'x'; 20_000]),
        queues: Queues::One(QueueId(1)),
        durable: true,
    };
    // Under load: in the same block, without a pause for cleaning up.
    for first in (1..900).step_by(100) {
        let publishes = (first..first + 100).map(large).collect();
        let changes =
            if first > 1 { vec![settle(1, first.max(4) - 99..=first - 1)] } else { vec![] };
        commit(&mut *store, publishes, changes);
        apply(&mut *store);
        assert!(count(backend.0.path(), "message") < 420);
    }
    // And of small ones, once there is a pause.
    for first in (2_001..9_000).step_by(500) {
        let publishes = (first..first + 500).map(|id| publish(id, &[1])).collect();
        commit(&mut *store, publishes, vec![put_progress(1, first..first + 500)]);
        apply(&mut *store);
    }
    commit(&mut *store, vec![], vec![settle(1, 2..=5_499), settle(1, 5_501..=9_000)]);
    clean_up(&mut *store);
    assert_eq!(count(backend.0.path(), "entry"), 2);
    assert_eq!(count(backend.0.path(), "message"), 2);
    assert_eq!(count(backend.0.path(), "progress"), 1);
}

#[test]
fn neither_a_scan_nor_a_start_touches_the_pages_of_bodies() {
    let backend = Sqlite::new();
    let (mut store, recovered) = backend.open();
    declare(&mut *store, &[1]);
    let large = |id| Publish {
        message: Message::new(b"", b"key", b"properties", &[b'x'; 100_000]).stamped(stamp(id)),
        ..publish(id, &[1])
    };
    commit(&mut *store, (1..=9).map(large).collect(), vec![]);
    store.close(recovered.next).expect("closes");
    // Breaks the chains of pages that bodies lie in: each begins with the number of the next.
    let path = backend.0.path().join(DATABASE);
    let mut file = std::fs::read(&path).expect("reads");
    let bodies = file.chunks_mut(16_384).filter(|page| page[4..].iter().all(|byte| *byte == b'x'));
    assert!(bodies.map(|page| page.fill(0xff)).count() >= 9 * 5);
    std::fs::write(&path, file).expect("writes");

    let (store, recovered) = backend.open();
    assert_eq!(backlog(&recovered), [(1, (1..=9).collect())].into());
    let mut reader = store.reader().expect("opens");
    let ids: Vec<MessageId> = (1..=9).collect();
    let (properties, body_len) = (b"properties".to_vec(), 100_000);
    let scanned = |id| Scanned { id, stamp: stamp(id), properties: properties.clone(), body_len };
    let expected: Vec<Scanned> = ids.iter().copied().map(scanned).collect();
    assert_eq!(reader.scan(&ids), Ok(expected));
    for id in ids {
        assert!(matches!(reader.read(&[id], 1), Err(ReadError::Damaged(_))), "{id}");
    }
}

#[test]
fn what_is_not_a_store_is_refused() {
    let backend = Sqlite::new();
    std::fs::write(backend.0.path().join(DATABASE), vec![b'?'; 5_000]).expect("writes");
    let Err(error) = sqlite::open(backend.0.path()) else { panic!("opened") };
    assert!(matches!(error, OpenError::NotAStore(_)), "{error}");

    let file = backend.0.path().join("file");
    std::fs::write(&file, "").expect("writes");
    let Err(error) = sqlite::open(&file) else { panic!("opened") };
    assert!(matches!(error, OpenError::Io(_)), "{error}");
}

#[test]
fn damaged_notes_are_reported_and_nothing_is_guessed() {
    for sql in [
        "INSERT INTO block VALUES (1, 5, 5, '[[1,0]]')",
        "INSERT INTO settled VALUES (9, 'x')",
        "INSERT INTO message VALUES (9000, 'x', 0, 0, '', '', x'', x'')",
    ] {
        let backend = Sqlite::new();
        drop(backend.open());
        let database = Connection::open(backend.0.path().join(DATABASE)).expect("opens");
        database.execute_batch(sql).expect("inserts");
        drop(database);
        let Err(error) = sqlite::open(backend.0.path()) else { panic!("opened after {sql}") };
        assert!(matches!(error, OpenError::Damaged(_)), "{error}");
    }
}

#[test]
fn a_reader_sees_a_commit_as_soon_as_it_has_returned() {
    let backend = Sqlite::new();
    let (mut store, _) = backend.open();
    declare(&mut *store, &[1]);
    let mut reader = store.reader().expect("opens");
    for id in 1..50 {
        store.commit(&Gathered::new(vec![publish(id, &[1])], vec![])).expect("commits");
        assert_eq!(reader.read(&[id], usize::MAX).expect("reads").messages.len(), 1);
    }
    commit(&mut *store, vec![], vec![Change::DeleteQueue(QueueId(1))]);
}
