//! Copying the write-ahead log into the file beside the commits, on a thread of its own, so that
//! no commit waits for the file's sync. Started by the store for its durable file.
//!
//! SQLite can begin the log anew only at a moment when all of it has been copied, and under load
//! there is always another commit. So the thread copies twice, the second time only what was
//! written during the first, and then lets the next commit copy the little that is left.

use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use rusqlite::Connection;
use rusqlite::hooks::Wal;

use super::connection::{checkpoint, open_checkpointer};
use super::convert::open_error;
use crate::error::OpenError;

/// Pages of log at which the thread begins: 32 MiB.
const BEGIN_PAGES: i32 = 2_048;
/// Pages of log at which the disk is too slow for this and commits have to wait: 256 MiB.
const WAIT_PAGES: i32 = 16_384;
/// How often the thread copies before the writer does the rest.
const PASSES: u32 = 2;

/// The thread; stopped when dropped.
pub(super) struct Checkpointer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    phase: Mutex<Phase>,
    changed: Condvar,
}

#[derive(Copy, Clone, Default, Eq, PartialEq)]
enum Phase {
    /// The log is short.
    #[default]
    Resting,
    /// The thread is copying, or about to.
    Copying,
    /// The next commit copies what is left.
    LittleLeft,
    /// The store is being closed.
    Stopping,
}

impl Checkpointer {
    /// Starts the thread for the file at `path` and hooks it into the commits of `writer`.
    pub(super) fn start(path: &Path, writer: &mut Connection) -> Result<Self, OpenError> {
        let connection = open_checkpointer(path)?;
        let shared = Arc::new(Shared::default());
        let hook = Arc::clone(&shared);
        writer
            .wal_hook(Some(move |wal: &mut Wal, pages| {
                hook.committed(wal, pages);
                Ok(())
            }))
            .map_err(|error| open_error(path, &error))?;
        let worker = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("checkpointer".to_owned())
            .spawn(move || worker.run(&connection))
            .map_err(|error| OpenError::Io(error.to_string()))?;
        Ok(Self { shared, thread: Some(thread) })
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        *self.shared.phase() = Phase::Stopping;
        self.shared.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            // It has logged what went wrong, and the log is copied at the next start.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn phase(&self) -> MutexGuard<'_, Phase> {
        self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Called by the writer after each commit, with the length of the log.
    fn committed(&self, wal: &mut Wal, pages: i32) {
        let mut phase = self.phase();
        match *phase {
            Phase::Resting if pages >= BEGIN_PAGES => {
                *phase = Phase::Copying;
                self.changed.notify_one();
            }
            Phase::LittleLeft => {
                *phase = Phase::Resting;
                drop(phase);
                copy_now(wal);
            }
            Phase::Copying if pages >= WAIT_PAGES => {
                // Without the thread, until the log is short: two can not copy at a time.
                while *phase == Phase::Copying {
                    phase = self.changed.wait(phase).unwrap_or_else(PoisonError::into_inner);
                }
                drop(phase);
                copy_now(wal);
            }
            Phase::Resting | Phase::Copying | Phase::Stopping => {}
        }
    }

    fn run(&self, connection: &Connection) {
        loop {
            {
                let mut phase = self.phase();
                while matches!(*phase, Phase::Resting | Phase::LittleLeft) {
                    phase = self.changed.wait(phase).unwrap_or_else(PoisonError::into_inner);
                }
                if *phase == Phase::Stopping {
                    return;
                }
            }
            for _ in 0..PASSES {
                if let Err(error) = checkpoint(connection, "PASSIVE") {
                    tracing::warn!(%error, "checkpoint failed; it will be tried again");
                }
            }
            let mut phase = self.phase();
            if *phase == Phase::Copying {
                *phase = Phase::LittleLeft;
            }
            self.changed.notify_one();
        }
    }
}

/// The commit is durable whether this succeeds or not: what is not copied stays in the log.
fn copy_now(wal: &mut Wal) {
    if let Err(error) = wal.checkpoint() {
        tracing::warn!(%error, "checkpoint failed; it will be tried again");
    }
}
