//! What the workers of a run share: the clock, the phase, the counters and the ledgers. Made by `run`.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::clock::Clock;
use crate::ledger::Ledger;
use crate::plan::Plan;

/// Where a run is. Workers compare: `phase >= Phase::Settling` means publishing is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Workers connect; consumers start consuming.
    Connecting,
    /// Publishing, not measured.
    Warmup,
    /// Publishing, measured.
    Measuring,
    /// Nothing more is published; confirms are awaited.
    Settling,
    /// Everything is confirmed; deliveries are awaited.
    Draining,
    /// Everyone stops at once.
    Finished,
}

/// A count and the time it last changed.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    count: AtomicU64,
    last_us: AtomicU64,
}

impl Meter {
    /// Adds `count` events that happened now. Called once a batch.
    pub(crate) fn add(&self, count: u64, now_us: u64) {
        if count > 0 {
            self.count.fetch_add(count, Ordering::Relaxed);
            self.last_us.fetch_max(now_us, Ordering::Relaxed);
        }
    }

    /// The count so far.
    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// When it last changed, in microseconds of the run's clock.
    pub(crate) fn last_us(&self) -> u64 {
        self.last_us.load(Ordering::Relaxed)
    }
}

/// Shared by all workers.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) plan: Plan,
    pub(crate) clock: Clock,
    /// Handed to the socket.
    pub(crate) published: Meter,
    /// Acknowledged by the broker (`basic.ack`).
    pub(crate) confirmed: Meter,
    /// Received by consumers.
    pub(crate) delivered: Meter,
    /// What arrived from each queue, by its position.
    pub(crate) ledgers: Vec<Mutex<Ledger>>,
}

impl Shared {
    /// With everything at zero.
    pub(crate) fn new(plan: Plan) -> Self {
        let ledgers = plan.consumed_queues().map(|_| Mutex::new(Ledger::default())).collect();
        Self {
            plan,
            clock: Clock::start(),
            published: Meter::default(),
            confirmed: Meter::default(),
            delivered: Meter::default(),
            ledgers,
        }
    }
}
