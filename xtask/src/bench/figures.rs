//! The figures that are read out of a report of `leveret perf`, and their medians.

use serde_json::Value;

/// A figure of a report: what it is called, where it is in the JSON, its unit's size, and whether more of it is better.
#[derive(Debug)]
pub(super) struct Figure {
    /// What it is called, with its unit.
    pub(super) name: &'static str,
    pointer: &'static str,
    scale: f64,
    more_is_better: bool,
}

const fn more(name: &'static str, pointer: &'static str) -> Figure {
    Figure { name, pointer, scale: 1.0, more_is_better: true }
}

const fn less(name: &'static str, pointer: &'static str, scale: f64) -> Figure {
    Figure { name, pointer, scale, more_is_better: false }
}

/// What is shown of a run, as far as its report has it.
pub(super) const FIGURES: [Figure; 15] = [
    more("published/s", "/published/per_second"),
    more("confirmed/s", "/confirmed/per_second"),
    more("delivered/s", "/delivered/per_second"),
    more("connections/s", "/connections/per_second"),
    more("declared/s", "/declared/per_second"),
    more("bound/s", "/bound/per_second"),
    more("deleted/s", "/deleted/per_second"),
    less("confirm p50 ms", "/confirm_latency/p50_ms", 1.0),
    less("confirm p99 ms", "/confirm_latency/p99_ms", 1.0),
    less("end to end p50 ms", "/end_to_end_latency/p50_ms", 1.0),
    less("end to end p99 ms", "/end_to_end_latency/p99_ms", 1.0),
    less("broker CPU us/message", "/broker_cpu_us", 1.0),
    less("tool CPU us/message", "/tool_cpu_us", 1.0),
    less("peak RSS MB", "/broker_peak_memory", 1e6),
    less("KiB a connection", "/bytes_a_connection", 1024.0),
];

impl Figure {
    /// The figure with this name.
    pub(super) fn named(name: &str) -> Option<&'static Self> {
        FIGURES.iter().find(|figure| figure.name == name)
    }

    /// The median over some runs, if all of them have it.
    pub(super) fn median(&self, reports: &[Value]) -> Option<f64> {
        let mut values = reports
            .iter()
            .map(|report| Some(report.pointer(self.pointer)?.as_f64()? / self.scale))
            .collect::<Option<Vec<f64>>>()?;
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied()
    }

    /// How many times better `ours` is than `theirs`; below 1, it is worse.
    pub(super) fn ratio(&self, ours: f64, theirs: f64) -> f64 {
        if self.more_is_better { ours / theirs } else { theirs / ours }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_run_and_needs_the_figure_in_every_run() {
        let report = |rate: f64| serde_json::json!({ "published": { "per_second": rate } });
        let published = Figure::named("published/s").unwrap();
        assert_eq!(published.median(&[report(5.0), report(1.0), report(3.0)]), Some(3.0));
        assert_eq!(published.median(&[report(5.0), serde_json::json!({})]), None);
        assert_eq!(published.median(&[]), None);
    }

    #[test]
    fn a_ratio_above_one_is_better_for_rates_and_for_times() {
        assert_eq!(Figure::named("published/s").unwrap().ratio(6.0, 3.0), 2.0);
        assert_eq!(Figure::named("confirm p99 ms").unwrap().ratio(3.0, 6.0), 2.0);
    }
}
