//! Waiting for what sends no event. The only sleep of the black-box tests; everything else waits for a frame.

use std::thread;
use std::time::{Duration, Instant};

/// How long a test waits for anything at all. Far above what a broker needs on a busy machine: reaching it is a failure.
pub const DEADLINE: Duration = Duration::from_secs(20);

const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// Asks `probe` until it answers, and panics with `what` when [`DEADLINE`] passes first.
pub fn until<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + DEADLINE;
    loop {
        if let Some(answer) = probe() {
            return answer;
        }
        assert!(Instant::now() < end, "waited {DEADLINE:?} in vain: {what}");
        thread::sleep(POLL_INTERVAL);
    }
}
