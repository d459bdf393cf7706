//! Measures the SQLite backend; docs/decisions/0001-store-layout.md quotes it.
//!
//! `cargo bench -p leveret-persistence --bench store -- <scenario>...` runs the named scenarios
//! (all of them without a name), each for a few seconds, in a temporary directory (`TMPDIR`).
//! Every commit is durable. `MESSAGES` sets the size of the backlogs.
#![expect(clippy::print_stdout, reason = "a report is what this program is for")]
#![expect(clippy::indexing_slicing, reason = "a benchmark that is wrong may stop")]

mod backlog;
mod segments;
mod waiting;

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use leveret_persistence::{
    Change, Gathered, Message, MessageId, Publish, QueueId, QueueRecord, Queues, Recovered, Stamp,
    Store, sqlite,
};
use tempfile::TempDir;

/// How long a scenario without a given size runs.
const RUN: Duration = Duration::from_secs(3);
/// How many messages lie between a publish and its settle.
const DEPTH: usize = 10_000;

type Scenario = (&'static str, fn());

const SCENARIOS: &[Scenario] = &[
    ("publish", publish_only),
    ("through", through),
    ("queues", through_many_queues),
    ("fanout", fan_out),
    ("backlog", backlog::measure),
    ("segments", segments::compare),
    ("waiting", waiting::measure),
];

fn main() {
    let named: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    for (name, run) in SCENARIOS {
        if named.is_empty() || named.iter().any(|wanted| wanted == name) {
            println!("{name}");
            run();
        }
    }
}

fn publish_only() {
    for (size, batch) in [(16, 1000), (1024, 1000), (1024, 100), (65_536, 10), (1024, 1)] {
        let mut bench = Bench::new(size, 1);
        let label = format!("{size} B, {batch} a commit");
        bench.run(&label, |bench| bench.commit(batch, 1, Vec::new()));
    }
}

fn through() {
    for (size, scattered) in [(16, false), (16, true), (1024, false), (1024, true)] {
        let mut bench = Bench::new(size, 1);
        let label = format!("{size} B, {} settles", if scattered { "scattered" } else { "range" });
        let mut held: VecDeque<MessageId> = VecDeque::new();
        bench.run(&label, |bench| {
            let mut changes = Vec::new();
            if held.len() >= DEPTH {
                // Scattered: every other id now, its neighbour one commit later.
                let mut ids: Vec<MessageId> = held.drain(..1000).collect();
                if scattered {
                    let late: Vec<MessageId> = ids.iter().copied().skip(1).step_by(2).collect();
                    ids.retain(|id| !late.contains(id));
                    late.into_iter().rev().for_each(|id| held.push_front(id));
                }
                changes.push(Change::Settle { queue: QueueId(1), ids: ranges(&ids) });
            }
            held.extend(bench.next..bench.next + 1000);
            bench.commit(1000, 1, changes);
        });
    }
}

fn through_many_queues() {
    for size in [16, 1024] {
        for queues in [1, 10, 100, 1000] {
            let mut bench = Bench::new(size, queues);
            bench.run(&format!("{size} B, {queues} queues"), |bench| {
                let settled = bench.next.saturating_sub(DEPTH as u64);
                let changes = bench.settle_each_queue(settled, 1000);
                bench.commit(1000, 1, changes);
            });
        }
    }
}

fn fan_out() {
    for size in [16, 1024] {
        let mut bench = Bench::new(size, 10);
        bench.run(&format!("{size} B to 10 queues, 100 a commit"), |bench| {
            let settled = bench.next.saturating_sub(DEPTH as u64);
            let ids = settled..=settled + 99;
            let settle = |queue| Change::Settle { queue: QueueId(queue), ids: vec![ids.clone()] };
            let changes = if settled > 0 { (1..=10).map(settle).collect() } else { Vec::new() };
            bench.commit(100, 10, changes);
        });
    }
}

/// A store being filled.
struct Bench {
    store: sqlite::SqliteStore,
    body: Vec<u8>,
    queues: u32,
    next: MessageId,
    directory: TempDir,
}

impl Bench {
    fn new(size: usize, queues: u32) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let (mut store, Recovered { next, .. }) = sqlite::open(directory.path()).expect("opens");
        let records = (1..=queues).map(|queue| {
            Change::PutQueue(QueueRecord {
                id: QueueId(queue),
                vhost: "/".to_owned(),
                name: format!("queue-{queue}"),
                durable: true,
                auto_delete: false,
                arguments: "{}".to_owned(),
                delivered_to: 0,
                keeps_for: String::new(),
            })
        });
        store.commit(&Gathered::new(Vec::new(), records.collect())).expect("commits");
        Self { store, body: vec![b'x'; size], queues, next: next.message, directory }
    }

    /// Publishes to the queues in turn, `fan_out` of them each.
    fn commit(&mut self, count: u64, fan_out: u32, changes: Vec<Change>) {
        let publishes = (self.next..self.next + count).map(|id| Publish {
            id,
            message: Message::new(b"orders", b"orders.eu.new", &[0; 14], &self.body)
                .stamped(Stamp { arrived_ms: 1_795_379_430_000 + id, flags: 0 }),
            queues: if fan_out == 1 {
                Queues::One(self.queue_of(id))
            } else {
                (1..=fan_out).map(QueueId).collect()
            },
            durable: true,
        });
        let gathered = Gathered::new(publishes.collect(), changes);
        self.store.commit(&gathered).expect("commits");
        self.next += count;
    }

    fn queue_of(&self, id: MessageId) -> QueueId {
        QueueId(1 + u32::try_from(id % u64::from(self.queues)).expect("below the queue count"))
    }

    /// Settles `count` messages from `first` on, each in its queue.
    fn settle_each_queue(&self, first: MessageId, count: u64) -> Vec<Change> {
        if first == 0 {
            return Vec::new();
        }
        let queues = u64::from(self.queues);
        let settle = |offset| {
            let ids: Vec<MessageId> =
                (first + offset..first + count).step_by(self.queues as usize).collect();
            Change::Settle { queue: self.queue_of(first + offset), ids: ranges(&ids) }
        };
        (0..queues.min(count)).map(settle).collect()
    }

    /// Repeats a commit for a while and reports messages a second.
    fn run(&mut self, label: &str, mut commit: impl FnMut(&mut Self)) {
        // The first turn of the write-ahead log also grows its file: not the steady state.
        let warm_up = Instant::now();
        while warm_up.elapsed() < RUN / 3 {
            commit(self);
        }
        let (first, started, cpu) = (self.next, Instant::now(), cpu_time());
        let mut latencies = Vec::new();
        while started.elapsed() < RUN {
            let commit_started = Instant::now();
            commit(self);
            latencies.push(commit_started.elapsed());
        }
        latencies.sort_unstable();
        let count = self.next - first;
        let micros = (cpu_time() - cpu).as_secs_f64() * 1e6 / count as f64;
        let percentile = |share: usize| latencies[latencies.len() * share / 1000];
        report(label, count, started.elapsed());
        println!(
            "      CPU {micros:.2} us a message; commit p50 {:?} p99 {:?} max {:?}",
            percentile(500),
            percentile(990),
            percentile(999)
        );
    }
}

fn report(label: &str, count: u64, elapsed: Duration) {
    println!("    {label}: {:.0} msg/s", count as f64 / elapsed.as_secs_f64());
}

/// Increasing ids as ranges.
fn ranges(ids: &[MessageId]) -> Vec<RangeInclusive<MessageId>> {
    ids.chunk_by(|a, b| a + 1 == *b).map(|run| run[0]..=run[run.len() - 1]).collect()
}

/// CPU time of this process, from the kernel's table in ticks of 10 ms.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    let ticks = |index: usize| -> u64 {
        fields.get(index).and_then(|field| field.parse().ok()).unwrap_or(0)
    };
    Duration::from_millis(10 * (ticks(11) + ticks(12)))
}
