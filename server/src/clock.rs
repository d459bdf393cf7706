//! The time of day, as messages are stamped with it and deadlines are kept in it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// Milliseconds since the Unix epoch.
pub(crate) fn now_ms() -> u64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
}

/// The moment at which it will be `deadline_ms`, for a timer. A timer that looks again at least once a day bears a clock that
/// is set.
pub(crate) fn instant_of(deadline_ms: u64) -> Instant {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    Instant::now() + Duration::from_millis(deadline_ms.saturating_sub(now_ms())).min(DAY)
}
