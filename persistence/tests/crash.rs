//! A process that is killed, and a journal and a write-ahead log with a torn end: what was confirmed
//! is there, and what is there is the state after some commit, never half of one.

mod support;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;

use leveret_persistence::{Change, Committer, Limits, MessageId, Publish, QueueId, sqlite};
use support::{
    Backend, Sqlite, apply, backlog, batch, commit, declare, progressed, publish, put_progress,
    remember, remembered, settle,
};

const CHILD_DIRECTORY: &str = "LEVERET_CRASH_TEST_DIRECTORY";
const PER_COMMIT: u64 = 30;

/// The commits of these tests, by number from 1: each publishes to two queues, puts progress
/// for some of it, remembers one of seven keys, and settles most of what was published a few commits before, in one of them.
fn nth_commit(number: u64) -> (Vec<Publish>, Vec<Change>) {
    let first = first_id(number);
    let publishes = (first..first + PER_COMMIT)
        .map(|id| publish(id, if id.is_multiple_of(3) { &[1, 2] } else { &[1] }))
        .collect();
    let mut changes = vec![
        put_progress(1, progressed_in(first..first + PER_COMMIT)),
        remember("producer", &[(&format!("batch {}", number % 7), number)]),
    ];
    if number > 4 {
        let first = first_id(number - 4);
        changes.push(settle(1, first..=first + PER_COMMIT - 2));
    }
    (publishes, changes)
}

fn first_id(number: u64) -> MessageId {
    1 + (number - 1) * PER_COMMIT
}

/// Of so many ids those that get progress in the first queue.
fn progressed_in(ids: impl IntoIterator<Item = MessageId>) -> Vec<MessageId> {
    ids.into_iter().filter(|id| id.is_multiple_of(5)).collect()
}

/// The backlog after so many commits.
fn state_after(commits: u64) -> BTreeMap<u32, Vec<MessageId>> {
    let published = 1..first_id(commits + 1);
    let settled_to = if commits > 4 { first_id(commits - 3) - 1 } else { 0 };
    let is_left = |id: &MessageId| *id > settled_to || id.is_multiple_of(PER_COMMIT);
    let one: Vec<MessageId> = published.clone().filter(is_left).collect();
    let two: Vec<MessageId> = published.filter(|id| id.is_multiple_of(3)).collect();
    [(1, one), (2, two)].into_iter().filter(|(_, ids)| !ids.is_empty()).collect()
}

/// Opens a store and returns how many commits it holds, which must be a whole number of them.
#[track_caller]
fn commits_in(directory: &Path) -> u64 {
    let (_store, recovered) = sqlite::open(directory).expect("opens after a crash");
    let found = backlog(&recovered);
    let published = found.get(&1).and_then(|ids| ids.last()).copied().unwrap_or(0);
    let commits = published / PER_COMMIT;
    assert_eq!(found, state_after(commits));
    let held = found.get(&1).map(|ids| (1, progressed_in(ids.iter().copied())));
    assert_eq!(progressed(&recovered), held.into_iter().collect());
    let keys: Vec<_> = (1.max(commits.saturating_sub(6))..=commits)
        .map(|number| (format!("batch {}", number % 7), number))
        .collect();
    let keys: Vec<_> = keys.iter().map(|(key, number)| (key.as_str(), *number)).collect();
    let found = remembered(&recovered).remove("producer").unwrap_or_default();
    assert_eq!(found, keys);
    assert!(recovered.next.message > published);
    commits
}

#[test]
fn a_killed_process_loses_nothing_that_it_confirmed() {
    let executable = std::env::current_exe().expect("this test has a file");
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut confirmed = 0;
    for lines in [1, 40, 150] {
        let mut child = Command::new(&executable)
            .args(["--exact", "child_that_commits_until_it_is_killed", "--nocapture"])
            .env(CHILD_DIRECTORY, directory.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the child starts");
        let mut output = BufReader::new(child.stdout.take().expect("piped")).lines();
        let mut read = |line: std::io::Result<String>| {
            // The test harness writes to the same output.
            let line = line.expect("text");
            if let Some(number) = line.rsplit("confirmed ").next().and_then(|n| n.parse().ok()) {
                confirmed = number;
            }
        };
        output.by_ref().take(lines + 5).for_each(&mut read);
        child.kill().expect("the child is killed");
        output.for_each(read);
        child.wait().expect("the child ends");
        let found = commits_in(directory.path());
        assert!(
            (confirmed..=confirmed + 1).contains(&found),
            "{confirmed} commits were confirmed, {found} were found",
        );
    }
}

#[test]
fn child_that_commits_until_it_is_killed() {
    let Some(directory) = std::env::var_os(CHILD_DIRECTORY) else {
        return;
    };
    let done = commits_in(Path::new(&directory));
    let (mut store, recovered) = sqlite::open(Path::new(&directory)).expect("opens");
    declare(&mut store, &[1, 2]);
    let (committer, _thread) = Committer::start(Box::new(store), recovered.next, Limits::default());
    for number in done + 1.. {
        let (publishes, changes) = nth_commit(number);
        let (sender, receiver) = mpsc::channel();
        let done = Box::new(move |result| sender.send(result).expect("the test waits"));
        committer.submit(batch(publishes, changes).on_done(done));
        receiver.recv().expect("completes").expect("commits");
        println!("confirmed {number}");
        std::io::stdout().flush().expect("the parent reads");
    }
}

#[test]
fn a_torn_journal_is_read_up_to_a_whole_commit() {
    let backend = Sqlite::new();
    let (mut store, _) = backend.open();
    declare(&mut *store, &[1, 2]);
    let total = 60;
    for number in 1..=total {
        let (publishes, changes) = nth_commit(number);
        commit(&mut *store, publishes, changes);
    }
    drop(store);
    let journal = std::fs::read(backend.0.path().join(JOURNAL)).expect("the journal is there");
    let written = journal.iter().rposition(|byte| *byte != 0).expect("something was written") + 1;
    let mut last = 0;
    let cuts = (0..24).map(|part| written * part / 24);
    for cut in cuts.chain([written - 1, written, journal.len()]) {
        let found = commits_with(backend.0.path(), JOURNAL, &journal[..cut]);
        assert!(found >= last, "{found} commits in {cut} bytes");
        last = found;
    }
    assert_eq!(last, total);
}

#[test]
fn a_torn_log_is_read_up_to_a_whole_commit() {
    let backend = Sqlite::new();
    let (mut store, _) = backend.open();
    declare(&mut *store, &[1, 2]);
    let total = 60;
    for number in 1..=total {
        let (publishes, changes) = nth_commit(number);
        commit(&mut *store, publishes, changes);
        apply(&mut *store);
    }
    // The store stays open: closing it would copy the log into the file.
    let log = std::fs::read(backend.0.path().join(LOG)).expect("the log is there");
    let mut last = 0;
    let cuts = (0..24).map(|part| log.len() * part / 24);
    for cut in cuts.chain([log.len() - 1, log.len()]) {
        let found = commits_with(backend.0.path(), LOG, &log[..cut]);
        assert!(found >= last, "{found} commits in {cut} bytes");
        last = found;
    }
    assert_eq!(last, total);
    // Bytes that never reached the disk, in the middle and near the end.
    for at in [log.len() / 3, log.len() / 2, log.len() - 100] {
        let mut damaged = log.clone();
        damaged[at] ^= 0xff;
        assert!(commits_with(backend.0.path(), LOG, &damaged) < total);
    }
}

const DATABASE: &str = "leveret.db";
const JOURNAL: &str = "leveret.journal";
const LOG: &str = "leveret.db-wal";

/// How many commits the database holds with another journal or write-ahead log.
fn commits_with(directory: &Path, file: &str, bytes: &[u8]) -> u64 {
    let copy = tempfile::tempdir().expect("a temporary directory");
    std::fs::copy(directory.join(DATABASE), copy.path().join(DATABASE)).expect("copies");
    std::fs::write(copy.path().join(JOURNAL), []).expect("writes");
    std::fs::write(copy.path().join(file), bytes).expect("writes");
    commits_in(copy.path())
}

#[test]
fn a_second_process_is_refused_and_changes_nothing() {
    let backend = Sqlite::new();
    let (mut store, _) = backend.open();
    declare(&mut *store, &[1]);
    commit(&mut *store, vec![publish(1, &[1])], vec![]);
    let Err(error) = sqlite::open(backend.0.path()) else { panic!("opened twice") };
    assert!(error.to_string().contains("in use by another process"), "{error}");
    commit(&mut *store, vec![publish(2, &[1])], vec![]);
    drop(store);
    let (_store, recovered) = backend.open();
    assert_eq!(recovered.backlog[&QueueId(1)], support::ids([1, 2]));
}
