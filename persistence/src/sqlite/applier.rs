//! Brings the tables up to date with the journal, on a thread of its own, so that commits wait
//! only for the journal. The store adds each commit to what is pending, and the thread applies the
//! oldest of it once it is much or has waited for long.
//!
//! Two locks: whoever applies holds the tables first and then, briefly, what is pending.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::convert::commit_error;
use super::durable::Durable;
use super::journal::{CAPACITY, RECORD_BYTES_MAX};
use super::pending::Pending;
use crate::change::{Change, Publish};
use crate::error::{CommitError, OpenError};

/// Weight of what is pending at which its oldest is applied. The more, the more is consumed
/// before; also memory, and what a start has to make up for.
const APPLY_WEIGHT: usize = 24 << 20;
/// How many segments are applied at a time.
const APPLY_SEGMENTS: usize = 2;
// Who waits for room waits for something: what fills the journal so far weighs more than this.
const _: () = assert!(APPLY_WEIGHT + RECORD_BYTES_MAX <= CAPACITY);
/// After how many applications in a row that found most of the messages still there a backlog is
/// building up, and not just a consumer slow for a moment.
const BEHIND_AFTER: u32 = 8;
/// Bytes of messages that go to the tables at once from then on, since they would be written once
/// more than need be. Then it is tried again.
const BEHIND_BYTES: usize = 256 << 20;
/// Weight of what may be pending when one goes to the tables at once: it waits for all of that.
const BEHIND_WEIGHT: usize = 4 << 20;

/// How old the oldest may become: so far the tables are behind, for those who read them with the
/// `sqlite3` program.
const APPLY_AFTER: Duration = Duration::from_secs(1);

/// The thread; stopped when dropped, without applying what is pending.
pub(super) struct Applier {
    shared: Arc<Shared>,
    durable: Arc<Mutex<Durable>>,
    thread: Option<JoinHandle<()>>,
}

/// What is pending, as the store, the applier and readers share it.
#[derive(Default)]
pub(super) struct Shared {
    state: Mutex<State>,
    /// There may be something to apply.
    work: Condvar,
    /// Something was applied.
    room: Condvar,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) pending: Pending,
    /// Where the journal has what is not in the tables.
    applied: u64,
    /// Applications in a row that found most of the messages still there.
    found_most: u32,
    /// Bytes of messages that are still to go to the tables at once.
    behind_bytes: usize,
    failure: Option<CommitError>,
    stopping: bool,
}

impl Applier {
    /// Starts the thread.
    pub(super) fn start(durable: Durable) -> Result<Self, OpenError> {
        let durable = Arc::new(Mutex::new(durable));
        let shared = Arc::new(Shared::default());
        let (tables, worker) = (Arc::clone(&durable), Arc::clone(&shared));
        let thread = std::thread::Builder::new()
            .name("applier".to_owned())
            .spawn(move || worker.run(&tables))
            .map_err(|error| OpenError::Io(error.to_string()))?;
        Ok(Self { shared, durable, thread: Some(thread) })
    }

    /// What is pending, for readers.
    pub(super) fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }

    /// Waits until `bytes` more fit into the journal, which has been written up to `position`.
    pub(super) fn wait_for_room(&self, position: u64, bytes: usize) -> Result<(), CommitError> {
        let mut state = self.shared.lock();
        while state.failure.is_none() && position + bytes as u64 - state.applied > CAPACITY as u64 {
            state = self.shared.room.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.check()
    }

    /// Whether consumers are so far behind that these messages should go to the tables at once.
    ///
    /// What is pending has to become little first, so that none of them waits for long: some of it
    /// is applied before each of the commits until then.
    pub(super) fn is_behind(&self, publishes: &[Publish]) -> Result<bool, CommitError> {
        let mut state = self.shared.lock();
        if state.behind_bytes == 0 || publishes.is_empty() {
            return Ok(false);
        }
        if state.pending.weight() > BEHIND_WEIGHT {
            drop(state);
            let mut durable = lock(&self.durable);
            self.shared.lock().check()?;
            self.shared.apply(&mut durable, APPLY_SEGMENTS)?;
            return Ok(false);
        }
        let bytes = publishes.iter().map(|publish| publish.message.size()).sum();
        state.behind_bytes = state.behind_bytes.saturating_sub(bytes);
        Ok(true)
    }

    /// Adds a commit that is in the journal, which goes on at `end` behind it: only now that it is
    /// durable, since from here on messages that it settles do not come into the tables.
    pub(super) fn add(
        &self,
        publishes: Vec<Publish>,
        changes: Vec<Change>,
        bytes: usize,
        end: u64,
    ) {
        let mut state = self.shared.lock();
        let (was_due, was_empty) = (state.is_much(), state.pending.since().is_none());
        state.pending.add(publishes, changes, bytes, end);
        let wake = was_empty || (state.is_much() && !was_due);
        drop(state);
        if wake {
            self.shared.work.notify_one();
        }
    }

    /// Brings a commit that is not in the journal into the tables, together with all that is
    /// pending.
    ///
    /// The tables are held from before it is added: a message that it settles must not be left out
    /// of any other transaction, in case this one does not come about.
    pub(super) fn commit(
        &self,
        publishes: Vec<Publish>,
        changes: Vec<Change>,
        end: u64,
    ) -> Result<(), CommitError> {
        let mut durable = lock(&self.durable);
        let mut state = self.shared.lock();
        state.check()?;
        state.pending.add(publishes, changes, 0, end);
        drop(state);
        self.shared.apply(&mut durable, usize::MAX)
    }

    /// Applies all that is pending. Returns whether that was anything.
    pub(super) fn apply_all(&self) -> Result<bool, CommitError> {
        let mut durable = lock(&self.durable);
        let state = self.shared.lock();
        state.check()?;
        let any = state.pending.since().is_some();
        drop(state);
        if any {
            self.shared.apply(&mut durable, usize::MAX)?;
        }
        Ok(any)
    }

    /// The tables, for what is not a part of any commit.
    pub(super) fn durable(&self) -> MutexGuard<'_, Durable> {
        lock(&self.durable)
    }

    /// Ends the thread and gives back the tables.
    pub(super) fn stop(mut self) -> Option<Durable> {
        self.end_thread();
        let durable = Arc::clone(&self.durable);
        drop(self);
        let durable = Arc::into_inner(durable)?;
        Some(durable.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    fn end_thread(&mut self) {
        self.shared.lock().stopping = true;
        self.shared.work.notify_one();
        if let Some(thread) = self.thread.take() {
            // A failure has been noted, and the next start applies what is pending.
            let _ = thread.join();
        }
    }
}

impl Drop for Applier {
    fn drop(&mut self) {
        self.end_thread();
    }
}

impl Shared {
    /// What is pending. Held for moments only.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    fn run(&self, durable: &Mutex<Durable>) {
        while let Some(segments) = self.wait_for_work() {
            if self.apply(&mut lock(durable), segments).is_err() {
                return;
            }
        }
    }

    /// Waits until something is to be applied; returns how many segments. `None` when it is time
    /// to stop.
    fn wait_for_work(&self) -> Option<usize> {
        let mut state = self.lock();
        loop {
            if state.stopping || state.failure.is_some() {
                return None;
            }
            if state.is_much() {
                return Some(APPLY_SEGMENTS);
            }
            let Some(since) = state.pending.since() else {
                state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = (since + APPLY_AFTER).saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Some(usize::MAX);
            }
            let waited = self.work.wait_timeout(state, left);
            state = waited.map_or_else(|poisoned| poisoned.into_inner().0, |(state, _)| state);
        }
    }

    /// Applies the oldest segments.
    fn apply(&self, durable: &mut Durable, segments: usize) -> Result<(), CommitError> {
        let Some(portion) = self.lock().pending.take(segments) else {
            return Ok(());
        };
        let result = durable.apply(&portion).map_err(|error| commit_error(&error));
        let mut state = self.lock();
        match &result {
            Ok(()) => {
                state.note_found(portion.publishes.len(), portion.published);
                state.applied = portion.end;
            }
            Err(error) => state.failure = Some(error.clone()),
        }
        let applied = if result.is_ok() { state.pending.applied() } else { Vec::new() };
        drop(state);
        self.room.notify_all();
        drop(applied);
        result
    }
}

impl State {
    fn is_much(&self) -> bool {
        self.pending.weight() >= APPLY_WEIGHT
    }

    /// Notes how many of the messages that were published had to be applied, if that was because
    /// there was much.
    fn note_found(&mut self, found: usize, published: usize) {
        if found * 2 <= published {
            self.found_most = 0;
        } else if self.is_much() {
            self.found_most += 1;
        }
        if self.found_most >= BEHIND_AFTER {
            self.found_most = 0;
            self.behind_bytes = BEHIND_BYTES;
        }
    }

    fn check(&self) -> Result<(), CommitError> {
        self.failure.clone().map_or(Ok(()), Err)
    }
}

/// What is in these locks is whole even if a holder panicked: it is changed in single steps, or
/// the panic has ended the committer.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
