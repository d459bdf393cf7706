//! When a publisher with a rate may publish how much. Pure; owned by `publisher`.

const SECOND_US: u64 = 1_000_000;

/// Spreads messages evenly over time.
#[derive(Debug)]
pub(crate) struct Pacer {
    rate: u64,
    /// When the message after the last one sent was due.
    next_us: u64,
    /// What a whole microsecond does not hold of `next_us`, in 1/rate microseconds.
    remainder: u64,
}

impl Pacer {
    /// `rate` messages a second (above 0), the first at `now_us`.
    pub(crate) fn new(rate: u32, now_us: u64) -> Self {
        Self { rate: u64::from(rate.max(1)), next_us: now_us, remainder: 0 }
    }

    /// How many are due. What was held up by more than a second is not made up for.
    pub(crate) fn due(&mut self, now_us: u64) -> u64 {
        let behind = now_us.saturating_sub(self.next_us);
        if behind > SECOND_US {
            self.next_us = now_us - SECOND_US;
            self.remainder = 0;
        }
        match now_us.checked_sub(self.next_us) {
            None => 0,
            Some(elapsed) => (elapsed * self.rate).saturating_sub(self.remainder) / SECOND_US + 1,
        }
    }

    /// Notes that `count` were sent.
    pub(crate) fn sent(&mut self, count: u64) {
        let advance = self.remainder + count * SECOND_US;
        self.next_us += advance / self.rate;
        self.remainder = advance % self.rate;
    }

    /// When the next one is due.
    pub(crate) fn next_us(&self) -> u64 {
        self.next_us
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_kept_exactly_over_time() {
        for rate in [1, 3, 7, 2_000, 333_333, 5_000_000] {
            let mut pacer = Pacer::new(rate, 500);
            let mut sent = 0;
            for now in (500..=10_000_500).step_by(777) {
                let due = pacer.due(now);
                pacer.sent(due);
                sent += due;
            }
            let expected = u64::from(rate) * 10;
            assert!(sent.abs_diff(expected) <= expected / 10_000 + 1, "{rate}: {sent}");
        }
    }

    #[test]
    fn at_most_a_second_is_made_up_for() {
        let mut pacer = Pacer::new(100, 0);
        assert_eq!(pacer.due(60_000_000), 101);
    }
}
