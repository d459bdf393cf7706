//! One line a second on standard error while a run lasts. Fed by `load`.

use std::io::Write;
use std::sync::Arc;

use crate::load::Snapshot;
use crate::report::grouped;
use crate::shared::{Phase, Shared};

/// Shows the rates since the line before.
#[derive(Debug)]
pub(crate) struct Progress {
    shared: Arc<Shared>,
    last: Snapshot,
}

impl Progress {
    /// Starts counting now.
    pub(crate) fn new(shared: &Arc<Shared>) -> Self {
        Self { shared: shared.clone(), last: Snapshot::take(shared) }
    }

    /// Prints a line if a second has passed since the last one.
    pub(crate) fn show(&mut self, phase: Phase) {
        let now_us = self.shared.clock.now_us();
        let elapsed_us = now_us.saturating_sub(self.last.at_us);
        if self.shared.plan.quiet || elapsed_us < 1_000_000 {
            return;
        }
        let now = Snapshot::take(&self.shared);
        let rate = |now: u64, last: u64| grouped((now - last) * 1_000_000 / elapsed_us);
        let plan = &self.shared.plan;
        let mut line = format!("{:>4} s  {:<10}", now_us / 1_000_000, word(phase));
        if plan.publishers > 0 {
            line += &format!("  published {:>10}/s", rate(now.published, self.last.published));
        }
        if plan.confirms > 0 {
            line += &format!("  confirmed {:>10}/s", rate(now.confirmed, self.last.confirmed));
        }
        if plan.consumers > 0 {
            line += &format!("  delivered {:>10}/s", rate(now.delivered, self.last.delivered));
        }
        // Progress that nobody can read is no reason to stop.
        let _unread = writeln!(std::io::stderr(), "{line}");
        self.last = now;
    }
}

fn word(phase: Phase) -> &'static str {
    match phase {
        Phase::Connecting => "connecting",
        Phase::Warmup => "warm-up",
        Phase::Measuring => "measuring",
        Phase::Settling => "settling",
        Phase::Draining | Phase::Finished => "draining",
    }
}
