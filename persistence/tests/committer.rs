//! The committer over stores that wait, fail or count: gathering, completions, limits, stopping.

mod support;

use std::pin::pin;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use leveret_persistence::memory::{self, MemoryDisk, MemoryStore};
use leveret_persistence::{
    Batch, Change, CommitError, Committer, Gathered, Limits, MessageReader, NextIds, OpenError,
    QueueId, ReadError, Reader, Store, Ticket, Upkeep,
};
use support::{batch, publish, queue, settle};

/// What a commit consisted of: ids published, number of changes.
type Seen = (Vec<u64>, usize);

/// A batch's label and what became of it.
type Completed = (&'static str, Result<Ticket, CommitError>);

/// A store that waits before each commit until the test lets it, and reports what it commits.
struct Gate {
    store: MemoryStore,
    open: Receiver<Result<(), CommitError>>,
    seen: Sender<Seen>,
    upkeep: Sender<()>,
}

impl Store for Gate {
    fn commit(&mut self, gathered: &Gathered) -> Result<(), CommitError> {
        let ids = gathered.publishes().iter().map(|publish| publish.id).collect();
        self.seen.send((ids, gathered.changes().len())).expect("the test listens");
        self.open.recv().expect("the test answers")?;
        self.store.commit(gathered)
    }

    fn reader(&self) -> Result<Box<dyn Reader>, OpenError> {
        self.store.reader()
    }

    fn upkeep(&mut self) -> Result<Upkeep, CommitError> {
        // Nobody listens in most tests.
        let _ = self.upkeep.send(());
        self.store.upkeep()
    }

    fn close(self: Box<Self>, next: NextIds) -> Result<(), CommitError> {
        Box::new(self.store).close(next)
    }
}

/// A committer over a gate, and the test's side of it.
struct Rig {
    disk: MemoryDisk,
    committer: Committer,
    thread: leveret_persistence::CommitterThread,
    open: Sender<Result<(), CommitError>>,
    seen: Receiver<Seen>,
    upkeep: Receiver<()>,
    results: Arc<Mutex<Vec<Completed>>>,
}

impl Rig {
    fn new(limits: Limits) -> Self {
        let disk = MemoryDisk::default();
        let (store, recovered) = memory::open(&disk);
        let ((open, gate_open), (gate_seen, seen), (gate_upkeep, upkeep)) =
            (mpsc::channel(), mpsc::channel(), mpsc::channel());
        let gate = Gate { store, open: gate_open, seen: gate_seen, upkeep: gate_upkeep };
        let (committer, thread) = Committer::start(Box::new(gate), recovered.next, limits);
        let rig = Self { disk, committer, thread, open, seen, upkeep, results: Arc::default() };
        rig.submit("declare", Batch::change(Change::PutQueue(queue(1))));
        rig.seen.recv().expect("commits");
        rig
    }

    fn submit(&self, label: &'static str, batch: Batch) -> Ticket {
        let results = Arc::clone(&self.results);
        self.committer.submit(batch.on_done(Box::new(move |result| {
            results.lock().expect("not poisoned").push((label, result));
        })))
    }

    /// Lets the commit that waits happen, and waits until the next one has begun.
    fn let_through(&self) -> Seen {
        self.open.send(Ok(())).expect("the committer runs");
        self.seen.recv().expect("commits")
    }
}

fn labels(results: &Mutex<Vec<Completed>>) -> Vec<&'static str> {
    results.lock().expect("not poisoned").iter().map(|(label, _)| *label).collect()
}

fn poll_room(committer: &Committer) -> Poll<()> {
    pin!(committer.room()).poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn what_arrives_during_a_commit_is_committed_together() {
    let rig = Rig::new(Limits::default());
    let first = rig.submit("a", batch(vec![publish(2, &[1])], vec![]));
    let second = rig.submit("b", batch(vec![publish(1, &[1])], vec![settle(1, 7..=7)]));
    assert!(first < second);
    assert_eq!(rig.committer.committed(), Ticket::NONE);
    assert_eq!(rig.let_through(), (vec![1, 2], 1));
    assert_eq!(labels(&rig.results), ["declare"]);
    rig.open.send(Ok(())).unwrap();
    rig.thread.stop().unwrap();
    let results = rig.results.lock().unwrap();
    assert_eq!(results[1..], [("a", Ok(first)), ("b", Ok(second))]);
    assert_eq!(rig.committer.committed(), second);
}

#[test]
fn a_message_that_is_settled_before_its_commit_is_confirmed_and_never_written() {
    let rig = Rig::new(Limits::default());
    rig.submit("publish", batch(vec![publish(1, &[1]), publish(2, &[1])], vec![]));
    rig.submit("settle", batch(vec![], vec![settle(1, 1..=1)]));
    assert_eq!(rig.let_through(), (vec![2], 1));
    rig.open.send(Ok(())).unwrap();
    rig.thread.stop().unwrap();
    assert_eq!(labels(&rig.results), ["declare", "publish", "settle"]);
    assert!(rig.results.lock().unwrap().iter().all(|(_, result)| result.is_ok()));
}

#[test]
fn a_publish_to_a_queue_that_is_gone_leaves_nothing() {
    let rig = Rig::new(Limits::default());
    rig.submit("delete", Batch::change(Change::DeleteQueue(QueueId(1))));
    assert_eq!(rig.let_through(), (vec![], 1));
    rig.submit("late", batch(vec![publish(1, &[1])], vec![]));
    assert_eq!(rig.let_through(), (vec![], 0));
    rig.open.send(Ok(())).unwrap();
    rig.thread.stop().unwrap();
}

#[test]
fn after_a_failed_commit_everything_fails() {
    let rig = Rig::new(Limits::default());
    let good = rig.submit("good", batch(vec![publish(1, &[1])], vec![]));
    rig.let_through();
    rig.open.send(Ok(())).unwrap();
    rig.submit("bad", batch(vec![publish(2, &[1])], vec![]));
    rig.seen.recv().unwrap();
    rig.submit("after", batch(vec![publish(3, &[1])], vec![]));
    assert!(!rig.committer.failed());
    rig.open.send(Err(CommitError::DiskFull("no space".to_owned()))).unwrap();
    let Err(error) = rig.thread.stop() else { panic!("a failed store stopped cleanly") };
    assert!(error.to_string().contains("no space"), "{error}");
    assert!(rig.committer.failed());
    assert_eq!(rig.committer.committed(), good);
    assert_eq!(rig.committer.pending_bytes(), 0);
    let results = rig.results.lock().unwrap();
    assert_eq!(results[2], ("bad", Err(CommitError::DiskFull("no space".to_owned()))));
    assert!(
        matches!(&results[3], ("after", Err(CommitError::Failed(why))) if why.contains("no space"))
    );
    let (_, recovered) = memory::open(&rig.disk);
    assert!(!recovered.clean);
    assert_eq!(recovered.backlog[&QueueId(1)], support::ids([1]));
}

#[test]
fn publishers_wait_while_too_much_is_pending() {
    let limits = Limits { pending_bytes_max: 100, ..Limits::default() };
    let rig = Rig::new(limits);
    assert_eq!(poll_room(&rig.committer), Poll::Ready(()));
    let publishes: Vec<_> = (1..=5).map(|id| publish(id, &[1])).collect();
    let bytes: usize = publishes.iter().map(|publish| publish.message.size()).sum();
    rig.submit("large", batch(publishes, vec![]));
    assert_eq!(rig.committer.pending_bytes(), bytes);
    let mut room = pin!(rig.committer.room());
    let mut context = Context::from_waker(Waker::noop());
    assert_eq!(room.as_mut().poll(&mut context), Poll::Pending);
    rig.let_through();
    rig.submit("small", batch(vec![], vec![settle(1, 1..=1)]));
    rig.let_through();
    assert_eq!(room.as_mut().poll(&mut context), Poll::Ready(()));
    assert_eq!(rig.committer.pending_bytes(), 0);
    rig.open.send(Ok(())).unwrap();
    rig.thread.stop().unwrap();
}

#[test]
fn a_transaction_takes_no_more_than_its_share_and_at_least_one_batch() {
    let limits = Limits { commit_bytes_max: 1, ..Limits::default() };
    let rig = Rig::new(limits);
    for id in 1..=3 {
        rig.submit("publish", batch(vec![publish(id, &[1])], vec![]));
    }
    rig.submit("settle", batch(vec![], vec![settle(1, 1..=1)]));
    assert_eq!(rig.let_through(), (vec![1], 0));
    assert_eq!(rig.let_through(), (vec![2], 0));
    assert_eq!(rig.let_through(), (vec![3], 0));
    assert_eq!(rig.let_through(), (vec![], 1));
    rig.open.send(Ok(())).unwrap();
    rig.thread.stop().unwrap();
}

#[test]
fn a_stopped_committer_has_committed_everything_and_refuses_more() {
    let rig = Rig::new(Limits::default());
    let first = rig.committer.reserve(10);
    assert_eq!(rig.committer.reserve(1), first + 10);
    let queue = rig.committer.next_queue_id();
    assert_ne!(rig.committer.next_queue_id(), queue);
    rig.submit("last", batch(vec![publish(first, &[1])], vec![]));
    rig.open.send(Ok(())).unwrap();
    rig.open.send(Ok(())).unwrap();
    rig.thread.stop().unwrap();
    let results = Arc::clone(&rig.results);
    rig.committer.submit(batch(vec![], vec![]).on_done(Box::new(move |result| {
        results.lock().unwrap().push(("refused", result));
    })));
    assert_eq!(rig.results.lock().unwrap().last(), Some(&("refused", Err(CommitError::Closed))));
    let (_, recovered) = memory::open(&rig.disk);
    assert!(recovered.clean);
    assert_eq!(recovered.next, NextIds { message: first + 11, queue: QueueId(queue.0 + 2) });
    assert_eq!(recovered.backlog[&QueueId(1)], support::ids([first]));
}

#[test]
fn the_store_is_cleaned_up_when_nothing_is_submitted() {
    let rig = Rig::new(Limits::default());
    rig.open.send(Ok(())).unwrap();
    rig.upkeep.recv().unwrap();
    rig.thread.stop().unwrap();
}

#[test]
fn messages_are_scanned_on_other_threads() {
    let disk = MemoryDisk::default();
    let (mut store, _) = memory::open(&disk);
    support::commit(&mut store, vec![publish(1, &[1]), publish(3, &[1])], vec![]);
    let reader = MessageReader::start(&store, 1).unwrap();
    let (sender, receiver) = mpsc::channel();
    reader.scan(vec![1, 2, 3], Box::new(move |found| sender.send(found).unwrap()));
    let found = receiver.recv().unwrap().unwrap();
    assert_eq!(found.iter().map(|scanned| scanned.id).collect::<Vec<_>>(), [1, 3]);
}

#[test]
fn messages_are_read_back_on_other_threads() {
    let disk = MemoryDisk::default();
    let (mut store, _) = memory::open(&disk);
    support::commit(&mut store, vec![publish(1, &[1]), publish(3, &[1])], vec![]);
    let reader = MessageReader::start(&store, 2).unwrap();
    let (sender, receiver) = mpsc::channel();
    for _ in 0..10 {
        let sender = sender.clone();
        reader.read(vec![1, 2, 3], usize::MAX, Box::new(move |found| sender.send(found).unwrap()));
    }
    drop((sender, reader));
    let found: Vec<Result<Vec<u64>, ReadError>> = receiver
        .iter()
        .map(|found| found.map(|found| found.messages.into_iter().map(|(id, _)| id).collect()))
        .collect();
    assert_eq!(found, vec![Ok(vec![1, 3]); 10]);
}
