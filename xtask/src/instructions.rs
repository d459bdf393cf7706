//! `cargo xtask instructions`: how many instructions the broker spends on a message, counted by callgrind in the release
//! build. Unlike rates, they are nearly the same from run to run and on a busy machine, so a few percent more are seen in
//! review. They do not see what waits: system calls, caches, locks.
//!
//! Each load runs twice with different numbers of messages, and the difference counts, so that starting and stopping do not.
//! The broker is on one core and gets a hundred messages at a time, so that batches are alike.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::broker::{Leveret, build};
use crate::command::{describe, say};
use crate::{packages, paths};

/// What is counted.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Record the counts in docs/instructions.txt, to be compared with from now on
    #[arg(long)]
    write: bool,
}

/// A kind of message.
struct Load {
    name: &'static str,
    /// The options of `leveret perf`.
    options: &'static str,
    /// Messages in the longer run beyond those of the shorter.
    messages: u64,
    /// How many percent the count may differ from the recorded one: more where settlements and commits may fall into one
    /// batch or another.
    tolerance: u64,
}

const LOADS: [Load; 5] = [
    Load {
        name: "transient",
        options: "--size 16 --auto-ack --confirms 100",
        messages: 10_000,
        tolerance: 2,
    },
    Load {
        name: "topic",
        options: "--size 16 --auto-ack --confirms 100 --type topic --bindings 100",
        messages: 10_000,
        tolerance: 2,
    },
    Load {
        name: "acknowledged",
        options: "--size 16 --confirms 100",
        messages: 10_000,
        tolerance: 10,
    },
    Load {
        name: "fan-out-to-10",
        options: "--size 1024 --auto-ack --confirms 100 --type fanout --queues 10 --consumers 10",
        messages: 4_000,
        tolerance: 15,
    },
    Load {
        name: "persistent",
        options: "--scenario C --confirms 100",
        messages: 10_000,
        tolerance: 10,
    },
];

/// Messages in the shorter run: enough for every buffer to have its size.
const FIRST_MESSAGES: u64 = 2_000;

fn record() -> PathBuf {
    paths::workspace().join("docs/instructions.txt")
}

/// Builds the broker, counts, and prints each count beside the recorded one.
///
/// # Errors
/// When something cannot be built, installed or run, or when a count is above the recorded one by more than its tolerance.
pub(crate) fn run(options: &Options) -> Result<()> {
    build()?;
    if options.write {
        let counts = LOADS.iter().map(|load| Ok((load.name, count(load)?)));
        let text = written(&compiler()?, &counts.collect::<Result<Vec<_>>>()?);
        say(&text);
        return Ok(fs::write(record(), text)?);
    }
    compare()
}

/// Counts with the release build that is there, and compares with the record. Called by `cargo xtask test` too.
///
/// # Errors
/// As [`run`].
pub(crate) fn compare() -> Result<()> {
    let recorded = fs::read_to_string(record())?;
    // Another compiler makes other code, which says nothing about ours.
    let compiler = compiler()?;
    let comparable = recorded.lines().any(|line| line == compiler);
    if !comparable {
        say(format_args!("recorded with another compiler than {compiler}: shown, not judged"));
    }
    let mut grown = Vec::new();
    for load in &LOADS {
        let (now, before) = (count(load)?, recorded_count(&recorded, load.name));
        let before = before.with_context(|| format!("{} is not recorded", load.name))?;
        say(format_args!("{:<16}{now:>10} instructions a message, {before} recorded", load.name));
        if comparable && exceeds(now, before, load.tolerance) {
            grown.push(load.name);
        }
    }
    ensure!(
        grown.is_empty(),
        "more instructions than recorded: {}. If it is worth it: cargo xtask instructions --write",
        grown.join(", ")
    );
    Ok(())
}

fn exceeds(now: u64, before: u64, tolerance: u64) -> bool {
    now * 100 > before * (100 + tolerance)
}

/// Instructions for one message of a load.
fn count(load: &Load) -> Result<u64> {
    let first = collected(load, FIRST_MESSAGES)?;
    let both = collected(load, FIRST_MESSAGES + load.messages)?;
    Ok(both.saturating_sub(first) / load.messages)
}

/// Instructions of a broker from start to stop, with so many messages in between.
fn collected(load: &Load, messages: u64) -> Result<u64> {
    packages::install("valgrind", "valgrind")?;
    let folder = tempfile::tempdir()?;
    let log = folder.path().join("log");
    let mut callgrind = Command::new("taskset");
    callgrind.args([
        "--cpu-list",
        "0",
        "valgrind",
        "--tool=callgrind",
        "--callgrind-out-file=/dev/null",
    ]);
    callgrind.arg(format!("--log-file={}", log.display()));
    let broker = Leveret::start_under(callgrind)?;
    let mut perf = Command::new(paths::leveret());
    perf.args(["perf", "--quiet", "--uri", &format!("amqp://guest:guest@{}/", broker.address)]);
    perf.args(load.options.split(' ')).args(["--messages", &messages.to_string()]);
    let status = perf.stdin(Stdio::null()).stdout(Stdio::null()).status()?;
    ensure!(status.success(), "{} ended with {status}", describe(&perf));
    drop(broker);
    let log = fs::read_to_string(log)?;
    total(&log).with_context(|| format!("callgrind did not say what it counted: {log}"))
}

/// The number in callgrind's last words, `==1== Collected : 30306141`.
fn total(log: &str) -> Option<u64> {
    log.lines().find_map(|line| line.split_once("Collected : ")?.1.trim().parse().ok())
}

/// The first line of `rustc --version`.
fn compiler() -> Result<String> {
    let output = Command::new("rustc").arg("--version").output()?;
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

fn written(compiler: &str, counts: &[(&str, u64)]) -> String {
    let mut text = String::from(
        "# Instructions of the broker for a message: cargo xtask instructions --write\n\
         # What is counted, and how stable it is: docs/performance.md\n",
    );
    let _infallible = writeln!(text, "{compiler}");
    for (name, count) in counts {
        let _infallible = writeln!(text, "{name:<16}{count:>10}");
    }
    text
}

fn recorded_count(recorded: &str, name: &str) -> Option<u64> {
    recorded.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_again() {
        let text = written("rustc 1.2.3", &[("transient", 3_938), ("topic", 4_146)]);
        assert_eq!(recorded_count(&text, "topic"), Some(4_146));
        assert_eq!(recorded_count(&text, "persistent"), None);
        assert!(text.lines().any(|line| line == "rustc 1.2.3"));
    }

    #[test]
    fn only_more_than_the_tolerance_is_too_much() {
        assert!(!exceeds(1_020, 1_000, 2));
        assert!(exceeds(1_021, 1_000, 2));
        assert!(!exceeds(500, 1_000, 2));
    }

    #[test]
    fn the_count_is_found_in_the_last_words_of_callgrind() {
        let log = "==7== Events    : Ir\n==7== Collected : 30306141\n==7== \n";
        assert_eq!(total(log), Some(30_306_141));
        assert_eq!(total("==7== killed\n"), None);
    }
}
