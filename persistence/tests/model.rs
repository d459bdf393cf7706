//! Random publishes, settles, progress, remembered keys, deletions, clean-ups and restarts against a plain map.
#![expect(clippy::indexing_slicing, reason = "a model that is wrong may stop")]

mod support;

use std::collections::{BTreeMap, BTreeSet};

use leveret_persistence::{
    Change, Gathered, Message, MessageId, NextIds, Publish, QueueId, Recovered, Store,
};
use proptest::prelude::*;
use support::{Backend, Memory, Sqlite, clean_up};

const QUEUES: u32 = 4;

#[derive(Clone, Debug)]
enum Step {
    /// Publishes a few messages, leaving out some ids, and settles something in the same commit.
    Commit {
        publishes: Vec<(u64, BTreeSet<u32>, bool)>,
        settles: Vec<(u32, u16, u16)>,
    },
    /// Publishes with an id that was reserved and left out before.
    Late {
        id: prop::sample::Index,
        queue: u32,
    },
    /// Puts progress for the messages after a share of the ids so far, held or not.
    Progress {
        queue: u32,
        from: u16,
        count: u64,
    },
    /// Remembers a key; one in four is forgotten instead.
    Remember {
        key: u8,
        until_ms: u64,
    },
    /// Settles by share of the ids so far.
    Settle {
        queue: u32,
        from: u16,
        to: u16,
    },
    /// Empties a queue by deleting it; the next commit declares it again under a new id.
    Delete {
        queue: u32,
    },
    CleanUp,
    Restart {
        clean: bool,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let queue = 0..QUEUES;
    let queues = prop::collection::btree_set(queue.clone(), 1..=3);
    let gap = prop_oneof![4 => Just(1_u64), 1 => 2..700_u64];
    let publish = (gap, queues, prop::bool::weighted(0.2));
    let settle = (queue.clone(), any::<u16>(), any::<u16>());
    prop_oneof![
        8 => (prop::collection::vec(publish, 0..60), prop::collection::vec(settle, 0..3))
            .prop_map(|(publishes, settles)| Step::Commit { publishes, settles }),
        2 => (any::<prop::sample::Index>(), queue.clone())
            .prop_map(|(id, queue)| Step::Late { id, queue }),
        4 => (queue.clone(), any::<u16>(), any::<u16>())
            .prop_map(|(queue, from, to)| Step::Settle { queue, from, to }),
        4 => (queue.clone(), any::<u16>(), 1..30_u64)
            .prop_map(|(queue, from, count)| Step::Progress { queue, from, count }),
        2 => (any::<u8>(), any::<u32>())
            .prop_map(|(key, until)| Step::Remember { key, until_ms: until.into() }),
        1 => queue.prop_map(|queue| Step::Delete { queue }),
        1 => Just(Step::CleanUp),
        2 => any::<bool>().prop_map(|clean| Step::Restart { clean }),
    ]
}

/// What a store should hold, and the store.
struct Run<'a> {
    backend: &'a dyn Backend,
    store: Option<Box<dyn Store>>,
    next: MessageId,
    next_queue: u32,
    /// The current id of each queue.
    queues: Vec<u32>,
    durable: BTreeSet<(u32, MessageId)>,
    paged: BTreeSet<(u32, MessageId)>,
    progress: BTreeSet<(u32, MessageId)>,
    /// Oldest first, with ends.
    remembered: Vec<(String, u64)>,
    left_out: Vec<MessageId>,
}

impl<'a> Run<'a> {
    fn new(backend: &'a dyn Backend) -> Self {
        let (store, _) = backend.open();
        let mut run = Self {
            backend,
            store: Some(store),
            next: 1,
            next_queue: 1,
            queues: Vec::new(),
            durable: BTreeSet::new(),
            paged: BTreeSet::new(),
            progress: BTreeSet::new(),
            remembered: Vec::new(),
            left_out: Vec::new(),
        };
        (0..QUEUES).for_each(|_| run.declare());
        run
    }

    fn declare(&mut self) {
        self.queues.push(self.next_queue);
        self.next_queue += 1;
        let record = support::queue(self.next_queue - 1);
        self.commit(Vec::new(), vec![Change::PutQueue(record)]);
    }

    fn store(&mut self) -> &mut dyn Store {
        &mut **self.store.as_mut().expect("open but while restarting")
    }

    fn commit(&mut self, publishes: Vec<Publish>, changes: Vec<Change>) {
        self.store().commit(&Gathered::new(publishes, changes)).expect("the commit succeeds");
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Commit { publishes, settles } => {
                let publishes = publishes.into_iter().map(|(gap, queues, paged)| {
                    self.left_out.extend((self.next..self.next + gap - 1).take(3));
                    self.next += gap;
                    let queues: Vec<u32> =
                        queues.iter().map(|queue| self.queues[*queue as usize]).collect();
                    let entries = queues.iter().map(|queue| (*queue, self.next - 1));
                    if paged { &mut self.paged } else { &mut self.durable }.extend(entries);
                    Publish { durable: !paged, ..publish(self.next - 1, &queues) }
                });
                let publishes = publishes.collect();
                let settles = settles.into_iter().map(|(queue, a, b)| self.settle(queue, a, b));
                let settles = settles.collect();
                self.commit(publishes, settles);
            }
            Step::Late { id, queue } if !self.left_out.is_empty() => {
                let id = self.left_out.swap_remove(id.index(self.left_out.len()));
                let queue = self.queues[queue as usize];
                self.durable.insert((queue, id));
                self.commit(vec![publish(id, &[queue])], Vec::new());
            }
            Step::Late { .. } => {}
            Step::Settle { queue, from, to } => {
                let settle = self.settle(queue, from, to);
                self.commit(Vec::new(), vec![settle]);
            }
            Step::Progress { queue, from, count } => {
                let queue = self.queues[queue as usize];
                let from = self.at(from);
                let ids = from..from + count;
                let held = self.durable.range((queue, ids.start)..(queue, ids.end));
                self.progress.extend(held);
                self.commit(Vec::new(), vec![support::put_progress(queue, ids)]);
            }
            Step::Remember { key, until_ms } => self.remember(key, until_ms),
            Step::Delete { queue } => {
                let queue = self.queues.remove(queue as usize);
                self.durable.retain(|(q, _)| *q != queue);
                self.paged.retain(|(q, _)| *q != queue);
                self.commit(Vec::new(), vec![Change::DeleteQueue(QueueId(queue))]);
                self.declare();
            }
            Step::CleanUp => clean_up(self.store()),
            Step::Restart { clean } => self.restart(clean),
        }
    }

    fn remember(&mut self, key: u8, until_ms: u64) {
        let forget = key.is_multiple_of(4);
        let key = format!("key {}", key % 16 / 4);
        self.remembered.retain(|(other, _)| *other != key);
        let change = if forget {
            support::forget("owner", &[&key])
        } else {
            support::remember("owner", &[(&key, until_ms)])
        };
        if !forget {
            self.remembered.push((key, until_ms));
        }
        self.commit(Vec::new(), vec![change]);
    }

    /// The id at a share of the ids so far.
    fn at(&self, share: u16) -> MessageId {
        self.next * u64::from(share) / u64::from(u16::MAX)
    }

    /// A range between two shares of the ids so far, in model and change.
    fn settle(&mut self, queue: u32, a: u16, b: u16) -> Change {
        let ids = self.at(a.min(b))..=self.at(a.max(b));
        let queue = self.queues[queue as usize];
        self.durable.retain(|(q, id)| *q != queue || !ids.contains(id));
        self.paged.retain(|(q, id)| *q != queue || !ids.contains(id));
        Change::Settle { queue: QueueId(queue), ids: vec![ids] }
    }

    fn restart(&mut self, clean: bool) {
        let store = self.store.take().expect("open");
        let next = NextIds { message: self.next, queue: QueueId(self.next_queue) };
        if clean {
            store.close(next).expect("the store closes");
        } else {
            drop(store);
        }
        let (store, recovered) = self.backend.open();
        self.store = Some(store);
        self.paged.clear();
        self.check(&recovered, clean);
        // Ids that were not stored before the restart may be given out again from here on.
        self.next = recovered.next.message;
        self.left_out.clear();
    }

    fn check(&self, recovered: &Recovered, clean: bool) {
        assert_eq!(recovered.clean, clean);
        let mut expected: BTreeMap<u32, Vec<MessageId>> = BTreeMap::new();
        for (queue, id) in &self.durable {
            expected.entry(*queue).or_default().push(*id);
        }
        assert_eq!(support::backlog(recovered), expected);
        let mut expected: BTreeMap<u32, Vec<MessageId>> = BTreeMap::new();
        for (queue, id) in self.progress.intersection(&self.durable) {
            expected.entry(*queue).or_default().push(*id);
        }
        assert_eq!(support::progressed(recovered), expected);
        let keys = support::remembered(recovered).remove("owner").unwrap_or_default();
        let expected = self.remembered.iter().map(|(key, until_ms)| (key.as_str(), *until_ms));
        assert_eq!(keys, expected.collect::<Vec<_>>());
        let highest = self.durable.iter().map(|(_, id)| *id).max().unwrap_or(0);
        assert!(recovered.next.message > highest);
        let queues: Vec<u32> = recovered.definitions.queues.iter().map(|q| q.id.0).collect();
        assert_eq!(queues, self.queues);
        assert!(recovered.next.queue.0 >= self.next_queue);
    }

    fn check_readable(&mut self) {
        let ids: BTreeSet<MessageId> =
            self.durable.iter().chain(&self.paged).map(|(_, id)| *id).collect();
        let ids: Vec<MessageId> = ids.into_iter().collect();
        let mut reader = self.store().reader().expect("the reader opens");
        let found = reader.read(&ids, usize::MAX).expect("the read succeeds").messages;
        assert_eq!(found.len(), ids.len());
        for ((id, message), expected) in found.iter().zip(&ids) {
            assert_eq!((id, message), (expected, &message_of(*expected)));
        }
    }
}

/// Mostly small, now and then large enough for its rows to be deleted piece by piece.
fn message_of(id: MessageId) -> Message {
    let len = if id.is_multiple_of(61) { 100_000 } else { id % 50 };
    Message::new(
        b"",
        &id.to_be_bytes()[6..],
        b"",
        &vec![b'x'; usize::try_from(len).expect("small")],
    )
}

fn publish(id: MessageId, queues: &[u32]) -> Publish {
    let queues = queues.iter().map(|queue| QueueId(*queue)).collect();
    Publish { id, message: message_of(id), queues, durable: true }
}

fn check(backend: &dyn Backend, steps: Vec<Step>) {
    let mut run = Run::new(backend);
    for step in steps {
        run.step(step);
        run.check_readable();
    }
    run.restart(false);
    run.check_readable();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn sqlite_holds_what_a_map_holds(steps in prop::collection::vec(step(), 1..60)) {
        check(&Sqlite::new(), steps);
    }

    #[test]
    fn memory_holds_what_a_map_holds(steps in prop::collection::vec(step(), 1..60)) {
        check(&Memory::default(), steps);
    }
}
