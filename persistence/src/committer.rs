//! The one writer: gathers what is submitted while a transaction is being committed, and commits
//! it as the next. Connections and queues submit through [`Committer`]; whoever opened the store
//! starts it and stops it through [`CommitterThread`].

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::Notify;

use crate::change::{Batch, Completion};
use crate::checked::Checked;
use crate::error::CommitError;
use crate::gather::{DeletedQueues, Gathered};
use crate::ids::{MessageId, NextIds, QueueId, Ticket};
use crate::limits::Limits;
use crate::store::{Store, Upkeep};

/// How long nothing must have been submitted before the clean-up begins: it makes a commit of its
/// own, which the next batch would have to wait for.
const UPKEEP_AFTER: Duration = Duration::from_millis(100);

/// A handle to the writer. Cheap to clone; any number of threads may use it.
#[derive(Clone)]
pub struct Committer {
    shared: Arc<Shared>,
}

/// The writer's thread, held by whoever has to stop it.
///
/// Dropping it leaves the thread running until the process ends, which then counts as an unclean
/// stop.
pub struct CommitterThread {
    shared: Arc<Shared>,
    thread: JoinHandle<Result<(), CommitError>>,
}

struct Shared {
    inbox: Mutex<Inbox>,
    arrived: Condvar,
    next_message_id: AtomicU64,
    next_queue_id: AtomicU32,
    committed: AtomicU64,
    pending_bytes: AtomicUsize,
    room: Notify,
    failed: AtomicBool,
    limits: Limits,
}

/// What waits to be committed.
#[derive(Default)]
struct Inbox {
    batches: VecDeque<Submitted>,
    last_ticket: u64,
    /// Whether the writer sleeps on `arrived`: waking it costs a system call, so it is done only
    /// when needed.
    sleeping: bool,
    stopping: bool,
    closed: bool,
}

struct Submitted {
    batch: Batch,
    ticket: Ticket,
    message_bytes: usize,
}

impl Committer {
    /// Starts the writer over `store`, which continues with the ids of `next` (see
    /// [`Recovered::next`](crate::Recovered::next)).
    ///
    /// # Panics
    /// If the operating system gives no thread.
    #[must_use]
    pub fn start(store: Box<dyn Store>, next: NextIds, limits: Limits) -> (Self, CommitterThread) {
        let shared = Arc::new(Shared {
            inbox: Mutex::default(),
            arrived: Condvar::new(),
            next_message_id: AtomicU64::new(next.message),
            next_queue_id: AtomicU32::new(next.queue.0),
            committed: AtomicU64::new(0),
            pending_bytes: AtomicUsize::new(0),
            room: Notify::new(),
            failed: AtomicBool::new(false),
            limits,
        });
        let writer = Writer {
            shared: Arc::clone(&shared),
            store: Checked::new(store),
            deleted: DeletedQueues::default(),
        };
        let thread = std::thread::Builder::new()
            .name("committer".to_owned())
            .spawn(move || writer.run())
            .expect("a process that just started can start a thread");
        (Self { shared: Arc::clone(&shared) }, CommitterThread { shared, thread })
    }

    /// Reserves `n` message ids and returns the first; the others follow it.
    #[must_use]
    pub fn reserve(&self, n: u64) -> MessageId {
        self.shared.next_message_id.fetch_add(n, Ordering::Relaxed)
    }

    /// Reserves a queue id.
    #[must_use]
    pub fn next_queue_id(&self) -> QueueId {
        QueueId(self.shared.next_queue_id.fetch_add(1, Ordering::Relaxed))
    }

    /// Hands in a batch. Never waits for the store; callers that publish should wait for
    /// [`Committer::room`] first.
    ///
    /// After a stop the completion is called at once, on this thread.
    pub fn submit(&self, batch: Batch) -> Ticket {
        let message_bytes = batch.message_bytes();
        let (ticket, wake) = {
            let mut inbox = self.shared.lock();
            inbox.last_ticket += 1;
            let ticket = Ticket(inbox.last_ticket);
            if inbox.closed {
                drop(inbox);
                complete(batch.done, &Err(CommitError::Closed));
                return ticket;
            }
            self.shared.pending_bytes.fetch_add(message_bytes, Ordering::Relaxed);
            inbox.batches.push_back(Submitted { batch, ticket, message_bytes });
            (ticket, std::mem::take(&mut inbox.sleeping))
        };
        if wake {
            self.shared.arrived.notify_one();
        }
        ticket
    }

    /// The ticket of the latest submission: waiting for it is waiting for all that was handed in so far.
    #[must_use]
    pub fn submitted(&self) -> Ticket {
        Ticket(self.shared.lock().last_ticket)
    }

    /// Everything up to this ticket is durable.
    #[must_use]
    pub fn committed(&self) -> Ticket {
        Ticket(self.shared.committed.load(Ordering::Acquire))
    }

    /// Bytes of the messages that were submitted and are not committed yet.
    #[must_use]
    pub fn pending_bytes(&self) -> usize {
        self.shared.pending_bytes.load(Ordering::Relaxed)
    }

    /// Resolves when [`Committer::pending_bytes`] is below its limit.
    pub async fn room(&self) {
        loop {
            // Registered before the check, so that a commit in between is not missed.
            let mut notified = pin!(self.shared.room.notified());
            notified.as_mut().enable();
            if self.shared.has_room() {
                return;
            }
            notified.await;
        }
    }

    /// Whether a commit has failed. Nothing will be durable any more; the process should stop.
    #[must_use]
    pub fn failed(&self) -> bool {
        self.shared.failed.load(Ordering::Acquire)
    }
}

impl CommitterThread {
    /// Commits what was submitted, closes the store and marks the stop as clean. Blocks until
    /// that is done. Batches submitted from now on may be refused with [`CommitError::Closed`].
    ///
    /// # Errors
    /// If the store had failed, or fails now: then the stop is not clean.
    ///
    /// # Panics
    /// If the writer's thread has panicked.
    pub fn stop(self) -> Result<(), CommitError> {
        self.shared.lock().stopping = true;
        self.shared.arrived.notify_one();
        self.thread.join().expect("the committer does not panic")
    }
}

impl Shared {
    /// The inbox holds only whole batches, so it is fine even if a holder of the lock panicked.
    fn lock(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until something arrives or the time is over; without a time, for as long as it takes.
    fn sleep<'a>(
        &self,
        mut inbox: MutexGuard<'a, Inbox>,
        time: Option<Duration>,
    ) -> MutexGuard<'a, Inbox> {
        inbox.sleeping = true;
        let is_idle = |inbox: &mut Inbox| inbox.batches.is_empty() && !inbox.stopping;
        let arrived = &self.arrived;
        let mut inbox = match time {
            Some(time) => arrived
                .wait_timeout_while(inbox, time, is_idle)
                .map_or_else(|poisoned| poisoned.into_inner().0, |(inbox, _)| inbox),
            None => arrived.wait_while(inbox, is_idle).unwrap_or_else(PoisonError::into_inner),
        };
        inbox.sleeping = false;
        inbox
    }

    /// Messages of so many bytes wait no more, whatever became of them.
    fn release_bytes(&self, bytes: usize) {
        self.pending_bytes.fetch_sub(bytes, Ordering::Relaxed);
        if self.has_room() {
            self.room.notify_waiters();
        }
    }

    fn has_room(&self) -> bool {
        self.pending_bytes.load(Ordering::Relaxed) < self.limits.pending_bytes_max
    }
}

/// The state of the writer's thread.
struct Writer {
    shared: Arc<Shared>,
    store: Checked,
    deleted: DeletedQueues,
}

/// The batches of one transaction, taken apart.
#[derive(Default)]
struct Taken {
    gathered: Gathered,
    completions: Vec<(Ticket, Option<Completion>)>,
    message_bytes: usize,
}

impl Writer {
    fn run(mut self) -> Result<(), CommitError> {
        while let Some(batches) = self.next_batches() {
            let taken = self.gather(batches);
            let result = self.store.commit(&taken.gathered);
            self.finish(taken, &result);
        }
        let next = NextIds {
            message: self.shared.next_message_id.load(Ordering::Relaxed),
            queue: QueueId(self.shared.next_queue_id.load(Ordering::Relaxed)),
        };
        let result = Box::new(self.store).close(next);
        // Only now: whoever sees a refusal may rely on the store being closed.
        let refused = {
            let mut inbox = self.shared.lock();
            inbox.closed = true;
            std::mem::take(&mut inbox.batches)
        };
        for submitted in refused {
            self.shared.release_bytes(submitted.message_bytes);
            complete(submitted.batch.done, &Err(CommitError::Closed));
        }
        result
    }

    /// Waits for work and, when none comes, does the store's clean-up meanwhile. `None` when it is
    /// time to stop.
    fn next_batches(&mut self) -> Option<Vec<Submitted>> {
        let mut pause = Some(UPKEEP_AFTER);
        loop {
            let mut inbox = self.shared.lock();
            if inbox.batches.is_empty() && !inbox.stopping && pause != Some(Duration::ZERO) {
                inbox = self.shared.sleep(inbox, pause);
            }
            if !inbox.batches.is_empty() {
                return Some(self.take(&mut inbox));
            }
            if inbox.stopping {
                return None;
            }
            drop(inbox);
            pause = match self.store.upkeep() {
                Ok(Upkeep::More) => Some(Duration::ZERO),
                Ok(Upkeep::Done) => None,
                Err(error) => {
                    self.note_failure(&error);
                    None
                }
            };
        }
    }

    /// Takes batches up to the size of one transaction, at least one.
    fn take(&self, inbox: &mut Inbox) -> Vec<Submitted> {
        let mut bytes = 0;
        let within = inbox.batches.iter().take_while(|submitted| {
            let fits = bytes < self.shared.limits.commit_bytes_max;
            bytes += submitted.message_bytes;
            fits
        });
        let count = within.count();
        inbox.batches.drain(..count).collect()
    }

    fn gather(&mut self, batches: Vec<Submitted>) -> Taken {
        let mut taken = Taken::default();
        let sum = |len: fn(&Batch) -> usize| batches.iter().map(|s| len(&s.batch)).sum();
        let mut publishes = Vec::with_capacity(sum(|batch| batch.publishes.len()));
        let mut changes = Vec::with_capacity(sum(|batch| batch.changes.len()));
        for Submitted { batch, ticket, message_bytes } in batches {
            publishes.extend(batch.publishes);
            changes.extend(batch.changes);
            taken.completions.push((ticket, batch.done));
            taken.message_bytes += message_bytes;
        }
        self.deleted.apply(&mut publishes, &changes);
        taken.gathered = Gathered::new(publishes, changes);
        taken
    }

    /// Tells everyone what became of their batches.
    fn finish(&self, taken: Taken, result: &Result<(), CommitError>) {
        match result {
            Ok(()) => {
                if let Some((last, _)) = taken.completions.last() {
                    self.shared.committed.store(last.0, Ordering::Release);
                }
            }
            Err(error) => self.note_failure(error),
        }
        self.shared.release_bytes(taken.message_bytes);
        for (ticket, done) in taken.completions {
            complete(done, &result.clone().map(|()| ticket));
        }
    }

    fn note_failure(&self, error: &CommitError) {
        if !self.shared.failed.swap(true, Ordering::AcqRel) {
            tracing::error!(%error, "the store failed; nothing is durable from now on");
        }
    }
}

fn complete(done: Option<Completion>, result: &Result<Ticket, CommitError>) {
    if let Some(done) = done {
        done(result.clone());
    }
}
