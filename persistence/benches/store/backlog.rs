//! A backlog of 1 KiB messages: filling, starting again, reading one queue back, settling it,
//! deleting all queues and cleaning up. `MESSAGES` sets its size.

use std::time::{Duration, Instant};

use leveret_persistence::{Change, Gathered, MessageId, QueueId, Store, Upkeep, sqlite};

use super::{Bench, ranges, report};

/// How many messages of one queue are read back.
const READ_BACK_MAX: usize = 200_000;

pub(super) fn measure() {
    let messages = messages();
    for queues in [1, 1000] {
        println!("  {messages} messages of 1 KiB in {queues} queues");
        let mut bench = Bench::new(1024, queues);
        let before = resident_kib();
        let started = Instant::now();
        while bench.next < messages {
            bench.commit(1000, 1, Vec::new());
        }
        report("fill", messages, started.elapsed());
        println!("    index and caches: {} KiB", resident_kib().saturating_sub(before));
        let Bench { store, directory, .. } = bench;
        drop(store);

        let started = Instant::now();
        let (mut store, recovered) = sqlite::open(directory.path()).expect("opens");
        println!("    start after a crash: {:?}", started.elapsed());
        let backlog = &recovered.backlog[&QueueId(1)];
        let ids: Vec<MessageId> = backlog.iter().take(READ_BACK_MAX).collect();
        read_back_and_settle(&mut store, &ids);

        let started = Instant::now();
        store
            .commit(&Gathered::new(Vec::new(), vec![Change::DeleteQueue(QueueId(1))]))
            .expect("commits");
        println!("    delete the queue: {:?}", started.elapsed());
        let deletes = (2..=queues).map(|queue| Change::DeleteQueue(QueueId(queue))).collect();
        store.commit(&Gathered::new(Vec::new(), deletes)).expect("commits");
        clean_up(&mut store);
    }
}

/// How many messages a backlog has.
pub(super) fn messages() -> u64 {
    std::env::var("MESSAGES").ok().and_then(|text| text.parse().ok()).unwrap_or(1_000_000)
}

fn read_back_and_settle(store: &mut sqlite::SqliteStore, ids: &[MessageId]) {
    let mut reader = store.reader().expect("opens");
    let started = Instant::now();
    for ids in ids.chunks(1000) {
        assert_eq!(reader.read(ids, usize::MAX).expect("reads").messages.len(), ids.len());
    }
    report("read one queue back", ids.len() as u64, started.elapsed());
    settle(store, ids);
}

/// Settles messages of the first queue.
pub(super) fn settle(store: &mut sqlite::SqliteStore, ids: &[MessageId]) {
    let started = Instant::now();
    for ids in ids.chunks(1000) {
        let settle = Change::Settle { queue: QueueId(1), ids: ranges(ids) };
        store.commit(&Gathered::new(Vec::new(), vec![settle])).expect("commits");
    }
    report("settle it, 1,000 a commit", ids.len() as u64, started.elapsed());
}

/// Does all the clean-up there is.
pub(super) fn clean_up(store: &mut sqlite::SqliteStore) {
    let (mut steps, started) = (Vec::new(), Instant::now());
    loop {
        let step = Instant::now();
        let more = store.upkeep().expect("cleans up");
        steps.push(step.elapsed());
        if more == Upkeep::Done {
            break;
        }
    }
    steps.sort_unstable();
    println!(
        "    clean-up after deleting all: {:?}, {} steps, p50 {:?}, longest {:?}",
        started.elapsed(),
        steps.len(),
        steps[steps.len() / 2],
        steps.last().unwrap_or(&Duration::ZERO),
    );
}

/// Memory of this process, from the kernel's table.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
