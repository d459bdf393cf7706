//! `cargo xtask bench`: `leveret perf` against Leveret and RabbitMQ in turn, one broker at a time, each started anew and
//! empty for each run. Absolute numbers belong to a machine; what is compared is the median of the runs, side by side.

use std::fs;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::broker::Leveret;
use crate::command::{describe, say};
use crate::reference::Reference;
use crate::{paths, reference};

/// What to measure.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Scenarios of `leveret perf --help`, one letter each.
    #[arg(long, default_value = "ACFKI", value_name = "LETTERS")]
    scenarios: String,
    /// Seconds measured in each run, after the warm-up.
    #[arg(long, default_value_t = 8, value_name = "SECS")]
    duration: u32,
    /// Seconds of warm-up before each run.
    #[arg(long, default_value_t = 2, value_name = "SECS")]
    warmup: u32,
    /// Runs of each scenario against each broker.
    #[arg(long, default_value_t = 3, value_name = "N")]
    runs: u32,
}

/// A figure of a report: what it is called, where it is in the JSON, its unit's size, and whether more of it is better.
struct Figure {
    name: &'static str,
    pointer: &'static str,
    scale: f64,
    more_is_better: bool,
}

const fn figure(
    name: &'static str,
    pointer: &'static str,
    scale: f64,
    more_is_better: bool,
) -> Figure {
    Figure { name, pointer, scale, more_is_better }
}

/// What is printed of a run, as far as its report has it.
const FIGURES: [Figure; 9] = [
    figure("published/s", "/published/per_second", 1.0, true),
    figure("delivered/s", "/delivered/per_second", 1.0, true),
    figure("confirm p50 ms", "/confirm_latency/p50_ms", 1.0, false),
    figure("confirm p99 ms", "/confirm_latency/p99_ms", 1.0, false),
    figure("end to end p50 ms", "/end_to_end_latency/p50_ms", 1.0, false),
    figure("broker CPU us/message", "/broker_cpu_us", 1.0, false),
    figure("connections/s", "/connections/per_second", 1.0, true),
    figure("peak RSS MB", "/broker_peak_memory", 1e6, false),
    figure("KiB a connection", "/bytes_a_connection", 1024.0, false),
];

/// Builds the broker, measures, and prints one line a figure.
///
/// # Errors
/// When something cannot be built, installed, started or measured.
pub(crate) fn run(options: &Options) -> Result<()> {
    let build = Command::new(env!("CARGO"))
        .args(["build", "--release", "--bin", "leveret", "--locked"])
        .current_dir(paths::workspace())
        .status()?;
    ensure!(build.success(), "the release build failed");
    let root = reference::install()?;
    say(format_args!(
        "Leveret and RabbitMQ {}, medians of {} runs of {} s after {} s of warm-up",
        reference::version(&root)?,
        options.runs,
        options.duration,
        options.warmup
    ));
    for scenario in options.scenarios.chars() {
        let (mut leveret, mut rabbitmq) = (Vec::new(), Vec::new());
        for _ in 0..options.runs {
            let broker = Leveret::start()?;
            leveret.push(measure(scenario, options, &broker.address.to_string(), broker.pid())?);
            drop(broker);
            let broker = Reference::start(&root)?;
            rabbitmq.push(measure(scenario, options, &broker.address.to_string(), broker.pid())?);
        }
        print(scenario, &leveret, &rabbitmq);
    }
    Ok(())
}

/// One run against one broker: the report of `leveret perf`, and what an idle connection costs in memory.
fn measure(scenario: char, options: &Options, address: &str, pid: u32) -> Result<Value> {
    let before = resident_bytes(pid)?;
    let mut perf = Command::new(paths::leveret());
    perf.args(["perf", "--json", "--quiet", "--scenario", &scenario.to_string()]);
    perf.args(["--uri", &format!("amqp://guest:guest@{address}/")]);
    perf.args(["--duration", &options.duration.to_string()]);
    perf.args(["--warmup", &options.warmup.to_string()]);
    perf.args(["--broker-pid", &pid.to_string()]);
    let output = perf.stdin(Stdio::null()).stderr(Stdio::inherit()).output()?;
    ensure!(output.status.success(), "{} ended with {}", describe(&perf), output.status);
    let mut report: Value = serde_json::from_slice(&output.stdout)
        .with_context(|| format!("{} did not print JSON", describe(&perf)))?;
    let number = |pointer| report.pointer(pointer).and_then(Value::as_u64);
    let grown = number("/broker_peak_memory").map(|peak| peak.saturating_sub(before));
    if let (Some(grown), Some(count @ 1..)) = (grown, number("/connections/count"))
        && let Some(report) = report.as_object_mut()
    {
        report.insert("bytes_a_connection".into(), (grown / count).into());
    }
    Ok(report)
}

/// The resident memory of a process, from Linux's `/proc`.
fn resident_bytes(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let kilobytes = status
        .lines()
        .find_map(|line| {
            line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok()
        })
        .context("no VmRSS in /proc")?;
    Ok(kilobytes * 1024)
}

fn print(scenario: char, leveret: &[Value], rabbitmq: &[Value]) {
    say(format_args!("{scenario:<24}{:>14}{:>14}{:>12}", "Leveret", "RabbitMQ", "better by"));
    for figure in &FIGURES {
        let (Some(ours), Some(theirs)) = (median(leveret, figure), median(rabbitmq, figure)) else {
            continue;
        };
        let ratio = if figure.more_is_better { ours / theirs } else { theirs / ours };
        say(format_args!("  {:<22}{ours:>14.2}{theirs:>14.2}{ratio:>11.1}x", figure.name));
    }
}

/// The median of a figure over some runs, if all of them have it.
fn median(reports: &[Value], figure: &Figure) -> Option<f64> {
    let mut values = reports
        .iter()
        .map(|report| Some(report.pointer(figure.pointer)?.as_f64()? / figure.scale))
        .collect::<Option<Vec<f64>>>()?;
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_run_and_needs_the_figure_in_every_run() {
        let report = |rate: f64| serde_json::json!({ "published": { "per_second": rate } });
        let published = &FIGURES[0];
        assert_eq!(median(&[report(5.0), report(1.0), report(3.0)], published), Some(3.0));
        assert_eq!(median(&[report(5.0), serde_json::json!({})], published), None);
        assert_eq!(median(&[], published), None);
    }
}
