//! One run of `leveret perf` against one subject, with what is to be there beside it.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::Options;
use super::rows::{Beside, Relay, Row};
use super::subject::{Running, Subject};
use crate::broker::stop;
use crate::command::describe;
use crate::paths;

/// How long the idle connections may take to open.
const OPEN_LIMIT: Duration = Duration::from_secs(120);

/// The report of one run, with what an idle connection costs in memory; `None` where the subject cannot do the load.
///
/// # Errors
/// When the load cannot be run, or its messages do not arrive once and in order.
pub(super) fn run(
    row: &Row,
    subject: Subject,
    options: &Options,
    running: &Running,
) -> Result<Option<Value>> {
    let special: &[&str] = match (subject, row.relay) {
        (Subject::Relay, Relay::No) => return Ok(None),
        (Subject::Relay, Relay::With(options)) => options,
        _ => &[],
    };
    let beside = row.beside.iter().map(|beside| beside.set_up(running));
    let beside = beside.collect::<Result<Vec<_>>>()?;
    let pid = running.pid();
    let before = resident_bytes(pid)?;
    let mut perf = perf(running);
    perf.args(&row.load).args(special).args(["--json", "--broker-pid", &pid.to_string()]);
    if row.timed {
        perf.args(["--duration", &options.duration.to_string()]);
        perf.args(["--warmup", &options.warmup.to_string()]);
    }
    let output = perf.stdin(Stdio::null()).stderr(Stdio::inherit()).output()?;
    drop(beside);
    let words = || {
        let said = String::from_utf8_lossy(&output.stdout);
        format!(
            "{} against {} ended with {}: {said}",
            describe(&perf),
            subject.name(),
            output.status
        )
    };
    ensure!(output.status.success(), words());
    let mut report: Value = serde_json::from_slice(&output.stdout).with_context(words)?;
    let number = |pointer| report.pointer(pointer).and_then(Value::as_u64);
    let grown = number("/broker_peak_memory").map(|peak| peak.saturating_sub(before));
    if let (Some(grown), Some(count @ 1..)) = (grown, number("/connections/count"))
        && let Some(report) = report.as_object_mut()
    {
        report.insert("bytes_a_connection".into(), (grown / count).into());
    }
    Ok(Some(report))
}

/// `leveret perf` at the subject's address, without progress.
fn perf(running: &Running) -> Command {
    let mut perf = Command::new(paths::leveret());
    perf.args(["perf", "--quiet", "--uri"]);
    perf.arg(format!("amqp://guest:guest@{}/", running.address()));
    perf
}

/// A process that is stopped when dropped.
struct Held(Child);

impl Drop for Held {
    fn drop(&mut self) {
        stop(&mut self.0);
    }
}

impl Beside {
    /// Puts it there; what has to be held is held by what this returns.
    fn set_up(self, running: &Running) -> Result<Option<Held>> {
        let mut perf = perf(running);
        perf.stdin(Stdio::null()).stdout(Stdio::null());
        match self {
            Self::Queues(count) => {
                perf.args(["--declare-only", "--durable", "--keep", "--queue", "idle"]);
                let status = perf.args(["--queues", &count.to_string()]).status()?;
                ensure!(status.success(), "{} ended with {status}", describe(&perf));
                Ok(None)
            }
            Self::Connections(count) => {
                perf.args(["--duration", "86400", "--connections-only", &count.to_string()]);
                let held = Held(perf.spawn()?);
                wait_for_connections(running.pid(), count)?;
                Ok(Some(held))
            }
        }
    }
}

/// Waits until a process has so many files open, which are nearly all connections.
fn wait_for_connections(pid: u32, count: u32) -> Result<()> {
    let end = Instant::now() + OPEN_LIMIT;
    while fs::read_dir(format!("/proc/{pid}/fd"))?.count() < usize::try_from(count)? {
        ensure!(Instant::now() < end, "{count} connections are not open after {OPEN_LIMIT:?}");
        sleep(Duration::from_millis(50));
    }
    Ok(())
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
