//! One time scale for the whole run: microseconds since its start. Every worker stamps and measures
//! with a copy of it.

use std::time::{Duration, Instant};

/// Microseconds since the start of the run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    start: Instant,
}

impl Clock {
    /// A clock that starts at zero now.
    pub(crate) fn start() -> Self {
        Self { start: Instant::now() }
    }

    /// Microseconds since the start. Wraps after half a million years.
    #[expect(clippy::cast_possible_truncation, reason = "64 bits of microseconds are enough")]
    pub(crate) fn now_us(self) -> u64 {
        self.start.elapsed().as_micros() as u64
    }

    /// The instant `us` microseconds after the start.
    pub(crate) fn instant(self, us: u64) -> Instant {
        self.start + Duration::from_micros(us)
    }
}
