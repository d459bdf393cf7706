//! What is written beside messages. Messages of 1 KiB that wait until they are due: publishing
//! them, starting again, scanning them, and letting them go; `MESSAGES` sets how many. And keys
//! that are remembered, as many as a large memory for duplicates has.

use std::ops::Range;
use std::time::Instant;

use leveret_persistence::{
    Change, Gathered, MessageId, Progress, QueueId, RememberedKey, Store, sqlite,
};

use super::backlog::{clean_up, messages, settle};
use super::{Bench, report};

/// Keys that are remembered at a time: with a new one the oldest is forgotten.
const KEYS: u64 = 100_000;

pub(super) fn measure() {
    let messages = messages();
    println!("  {messages} messages of 1 KiB that wait");
    let mut bench = Bench::new(1024, 1);
    let started = Instant::now();
    while bench.next <= messages {
        let ids = bench.next..bench.next + 1000;
        bench.commit(1000, 1, vec![wait(ids)]);
    }
    report("publish and put progress, 1,000 a commit", messages, started.elapsed());
    let Bench { store, directory, .. } = bench;
    drop(store);

    let started = Instant::now();
    let (mut store, recovered) = sqlite::open(directory.path()).expect("opens");
    println!("    start after a crash: {:?}", started.elapsed());
    let ids: Vec<MessageId> =
        recovered.progress[&QueueId(1)].iter().map(|progress| progress.id).collect();
    assert_eq!(ids.len() as u64, messages);

    let mut reader = store.reader().expect("opens");
    let started = Instant::now();
    for ids in ids.chunks(1000) {
        assert_eq!(reader.scan(ids).expect("scans").len(), ids.len());
    }
    report("scan", messages, started.elapsed());
    settle(&mut store, &ids);
    clean_up(&mut store);
    remember_and_forget();
}

fn remember_and_forget() {
    println!("  {KEYS} keys of 16 B");
    let Bench { mut store, directory, .. } = Bench::new(0, 1);
    let mut write = |keys: Range<u64>| {
        let forget = keys.start.saturating_sub(KEYS)..keys.end.saturating_sub(KEYS);
        let forget = forget.map(key).collect();
        let changes =
            vec![remember(keys), Change::Forget { owner: "orders".to_owned(), keys: forget }];
        store.commit(&Gathered::new(Vec::new(), changes)).expect("commits");
    };
    (0..KEYS).step_by(1000).for_each(|first| write(first..first + 1000));
    let started = Instant::now();
    (KEYS..2 * KEYS).step_by(1000).for_each(|first| write(first..first + 1000));
    report("remember one and forget one, 1,000 a commit", KEYS, started.elapsed());
    drop(store);

    let started = Instant::now();
    let (_store, recovered) = sqlite::open(directory.path()).expect("opens");
    println!("    start after a crash: {:?}", started.elapsed());
    assert_eq!(recovered.remembered["orders"].len() as u64, KEYS);
}

fn wait(ids: Range<MessageId>) -> Change {
    let progress = |id| Progress { id, deliveries: 1, retries: 1, due_ms: 1_795_379_430_000 + id };
    Change::PutProgress { queue: QueueId(1), progress: ids.map(progress).collect() }
}

fn remember(numbers: Range<u64>) -> Change {
    let keys = numbers.map(|number| RememberedKey { key: key(number), until_ms: 0 });
    Change::Remember { owner: "orders".to_owned(), keys: keys.collect() }
}

/// Keys in no order, as random ones are.
fn key(number: u64) -> Vec<u8> {
    number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes().repeat(2)
}
