//! The gate before a queue or exchange that does not take every message: one with a limit that refuses, or one that knows
//! duplicates. Whoever publishes through it holds it from its decision until the store has been given the messages, so that two
//! publishers never decide on the same room or the same key (docs/decisions/0008). Passed by [`super::admission`].

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::dedup::Dedup;

/// See the module.
#[derive(Debug)]
pub(crate) struct Gate {
    /// Gates are passed in this order, so that nobody waits in a circle.
    pub(crate) id: u64,
    /// Whether it refuses what is over the length limit.
    refuses: AtomicBool,
    deduplication: Option<Deduplication>,
    /// For those that deduplicate nothing: whose turn it is.
    turn: Arc<Mutex<Option<Dedup>>>,
    duplicates: AtomicU64,
}

/// How duplicates are known.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Deduplication {
    /// The header with the key.
    pub(crate) header: Arc<str>,
    /// How many keys are remembered.
    pub(crate) size: Option<u64>,
    /// For how long, in milliseconds.
    pub(crate) ttl_ms: Option<u64>,
    /// The name of these keys in the store; none if they do not outlive a restart.
    pub(crate) owner: Option<String>,
}

/// A gate that is held.
pub(crate) type Turn = OwnedMutexGuard<Option<Dedup>>;

impl Gate {
    /// An open gate: everything passes.
    pub(crate) fn open(id: u64) -> Gate {
        Gate::new(id, None, None)
    }

    /// One that knows duplicates; `keys` are those it has seen.
    pub(crate) fn new(id: u64, deduplication: Option<Deduplication>, keys: Option<Dedup>) -> Gate {
        let turn = Arc::new(Mutex::new(keys));
        Gate {
            id,
            refuses: AtomicBool::new(false),
            deduplication,
            turn,
            duplicates: AtomicU64::new(0),
        }
    }

    /// Lets it refuse what is over the limit, or not.
    pub(crate) fn set_refuses(&self, refuses: bool) {
        self.refuses.store(refuses, Ordering::Relaxed);
    }

    pub(crate) fn refuses(&self) -> bool {
        self.refuses.load(Ordering::Relaxed)
    }

    pub(crate) fn deduplication(&self) -> Option<&Deduplication> {
        self.deduplication.as_ref()
    }

    /// Whether there is anything to decide.
    pub(crate) fn is_closed(&self) -> bool {
        self.refuses() || self.deduplication.is_some()
    }

    /// Waits for one's turn.
    pub(crate) async fn pass(&self) -> Turn {
        Arc::clone(&self.turn).lock_owned().await
    }

    pub(crate) fn count_duplicate(&self) {
        self.duplicates.fetch_add(1, Ordering::Relaxed);
    }

    /// Duplicates since the broker started.
    pub(crate) fn duplicates(&self) -> u64 {
        self.duplicates.load(Ordering::Relaxed)
    }
}
