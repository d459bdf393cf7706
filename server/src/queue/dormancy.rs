//! Queues that have nothing to do have no task. What is left of one waits here, and whoever sends the queue a command starts its
//! task again. 100,000 queues that nobody uses cost what their names and bindings cost (docs/decisions/0013).

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, Weak};

use super::Queue;
use super::mailbox::Receiver;
use super::state::Residue;
use super::task::Task;
use crate::vhost::Vhost;

/// Whether a queue has a task, and what it is started from.
#[derive(Debug, Default)]
pub(crate) struct Dormancy {
    /// Looked at with every command: most queues that get one are awake.
    asleep: AtomicBool,
    parts: Mutex<Option<Parts>>,
}

/// What a task is started from.
pub(super) struct Parts {
    pub(super) queue: Weak<Queue>,
    pub(super) vhost: Weak<Vhost>,
    pub(super) ordered: Receiver,
    pub(super) feedback: Receiver,
    /// Whether the store may hold transient messages of the queue.
    pub(super) has_paged_out: bool,
    /// Boxed, and none if there is nothing to remember: most queues that nobody uses have never been used.
    pub(super) residue: Option<Box<Residue>>,
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parts").field("residue", &self.residue).finish_non_exhaustive()
    }
}

impl Dormancy {
    /// Whether the queue has no task.
    pub(crate) fn is_asleep(&self) -> bool {
        self.asleep.load(Ordering::SeqCst)
    }

    /// What is left of a queue without a task; none if it has one.
    pub(super) fn residue<T>(&self, look: impl FnOnce(&Residue) -> T) -> Option<T> {
        if !self.is_asleep() {
            return None;
        }
        let parts = self.parts();
        Some(match &parts.as_ref()?.residue {
            Some(residue) => look(residue),
            None => look(&Residue::default()),
        })
    }

    /// Starts the task of a queue that has just been sent a command, if it has none.
    pub(super) fn wake(&self) {
        if !self.is_asleep() {
            return;
        }
        let mut parts = self.parts();
        if let Some(parts) = parts.take() {
            self.asleep.store(false, Ordering::SeqCst);
            if let Some(task) = Task::from_parts(parts) {
                tokio::spawn(task.run());
            }
        }
    }

    /// Leaves the parts of a task that ends for want of work. Gives them back if a command has come meanwhile.
    pub(super) fn sleep(&self, parts: Parts) -> Result<(), Parts> {
        let mut place = self.parts();
        // In this order: a command that is not seen here finds the queue asleep, and waits for the lock.
        self.asleep.store(true, Ordering::SeqCst);
        if parts.ordered.is_empty() && parts.feedback.is_empty() {
            *place = Some(parts);
            return Ok(());
        }
        self.asleep.store(false, Ordering::SeqCst);
        Err(parts)
    }

    fn parts(&self) -> MutexGuard<'_, Option<Parts>> {
        // Each change is one step: a panic elsewhere leaves nothing half done.
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
