//! Latencies in constant memory: a histogram with an error below one percent. Filled by workers,
//! merged and read by `report`.

use hdrhistogram::Histogram;

/// Ten minutes; what takes longer counts as that.
const MAX_US: u64 = 600_000_000;

/// How long things took, in microseconds.
#[derive(Clone, Debug)]
pub(crate) struct Latency {
    histogram: Histogram<u64>,
    total_us: u64,
}

impl Latency {
    /// With nothing recorded.
    pub(crate) fn new() -> Self {
        let histogram = Histogram::new_with_bounds(1, MAX_US, 2);
        let histogram =
            histogram.expect("two significant digits between these bounds are accepted");
        Self { histogram, total_us: 0 }
    }

    /// Records that `count` messages took `us` each.
    pub(crate) fn record(&mut self, us: u64, count: u64) {
        self.histogram.saturating_record_n(us, count);
        self.total_us += us * count;
    }

    /// Adds everything `other` recorded.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.histogram.add(&other.histogram).expect("all histograms have the same bounds");
        self.total_us += other.total_us;
    }

    /// How many were recorded.
    pub(crate) fn count(&self) -> u64 {
        self.histogram.len()
    }

    /// All of them added up.
    pub(crate) fn total_us(&self) -> u64 {
        self.total_us
    }

    /// The time that `quantile` (0 to 1) of them did not exceed.
    pub(crate) fn quantile_us(&self, quantile: f64) -> u64 {
        self.histogram.value_at_quantile(quantile)
    }

    /// The longest.
    pub(crate) fn max_us(&self) -> u64 {
        self.histogram.max()
    }
}
