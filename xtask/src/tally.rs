//! What has been checked so far, counted from what the steps print.

use crate::command::say;

/// Passed and failed checks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Checks that held.
    pub(crate) passed: u64,
    /// Checks that did not.
    pub(crate) failed: u64,
}

impl Tally {
    /// One check with this outcome.
    pub(crate) fn one(passed: bool) -> Self {
        Self { passed: u64::from(passed), failed: u64::from(!passed) }
    }

    /// Adds the checks that a line of output reports: the summary of a Rust test binary, or `ok - ...` and `not ok - ...`
    /// of a client's round trip.
    pub(crate) fn read_line(&mut self, line: &str) {
        if let Some(summary) = line.strip_prefix("test result: ") {
            self.passed += number_before(summary, " passed");
            self.failed += number_before(summary, " failed");
        } else if line.starts_with("ok - ") {
            self.passed += 1;
        } else if line.starts_with("not ok - ") {
            self.failed += 1;
        }
    }

    /// Adds the checks of a step, and says how many they were.
    pub(crate) fn add_step(&mut self, name: &str, step: Self, ended_well: bool) {
        let step = self.add(step, ended_well);
        say(format_args!("--- {name}: {} passed, {} failed", step.passed, step.failed));
    }

    /// Adds the checks of a step and gives them as they count: a step that ended badly without a failed check, as one
    /// that does not compile, counts as one.
    fn add(&mut self, mut step: Self, ended_well: bool) -> Self {
        if !ended_well && step.failed == 0 {
            step.failed = 1;
        }
        self.passed += step.passed;
        self.failed += step.failed;
        step
    }
}

/// The number right before `word`, as in `ok. 12 passed; 0 failed`.
fn number_before(text: &str, word: &str) -> u64 {
    text.split(word)
        .next()
        .and_then(|before| before.rsplit(' ').next())
        .and_then(|number| number.parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_report_checks_are_counted_and_others_are_not() {
        let mut tally = Tally::default();
        for line in [
            "running 3 tests",
            "test result: ok. 12 passed; 0 failed; 0 ignored; 0 measured; 5 filtered out; finished in 0.1s",
            "test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out",
            "ok - pika: it works",
            "not ok - pika: it does not",
            "okay",
        ] {
            tally.read_line(line);
        }
        assert_eq!(tally, Tally { passed: 16, failed: 3 });
    }

    #[test]
    fn a_step_that_broke_without_a_failed_check_counts_as_one() {
        let mut tally = Tally::default();
        tally.add(Tally::default(), false);
        tally.add(Tally { passed: 2, failed: 0 }, true);
        assert_eq!(tally, Tally { passed: 2, failed: 1 });
    }
}
