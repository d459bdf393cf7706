//! A Leveret process for the client round trips and the benchmarks. The black-box tests start their own.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::thread;

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::command::describe;
use crate::paths;

/// A running Leveret with a data directory of its own; stopped, and its data removed, when dropped.
pub(crate) struct Leveret {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// Where its HTTP API listens.
    pub(crate) http: Option<SocketAddr>,
    child: Child,
    _data: tempfile::TempDir,
}

impl Leveret {
    /// Starts the release build, and waits until it listens.
    ///
    /// # Errors
    /// When it ends before its ready line.
    pub(crate) fn start() -> Result<Self> {
        Self::launch(Command::new(paths::leveret()))
    }

    /// The same under a program that runs another one in its own process, as `taskset` and `valgrind` do.
    ///
    /// # Errors
    /// As [`Leveret::start`], and where there is no such program.
    pub(crate) fn start_under(mut wrapper: Command) -> Result<Self> {
        wrapper.arg(paths::leveret());
        Self::launch(wrapper)
    }

    fn launch(mut command: Command) -> Result<Self> {
        // Beside the build, since a temporary directory in memory would flatter the measurements.
        let data = tempfile::TempDir::new_in(paths::target())?;
        let mut child = command
            .args(["serve", "--listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0"])
            .args(["--log", "error", "--data"])
            .arg(data.path().join("data"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot run {}", describe(&command)))?;
        let mut lines = BufReader::new(child.stdout.take().context("stdout is piped")?).lines();
        let (address, http) = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| Some((after("amqp://", &line)?, after("http://", &line))))
            .context("leveret ended before it was ready")?;
        // What it still writes is read, so that it never waits for a full pipe.
        thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        Ok(Self { address, http, child, _data: data })
    }

    /// The process to measure.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Leveret {
    fn drop(&mut self) {
        stop(&mut self.child);
    }
}

/// Makes the release build.
///
/// # Errors
/// When it does not compile.
pub(crate) fn build() -> Result<()> {
    let status = Command::new(env!("CARGO"))
        .args(["build", "--release", "--bin", "leveret", "--locked"])
        .current_dir(paths::workspace())
        .status()?;
    ensure!(status.success(), "the release build failed");
    Ok(())
}

/// The first address that the ready line names after `scheme`.
pub(crate) fn after(scheme: &str, line: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once(scheme)?;
    rest.split([';', ',', ' ', '/']).next()?.parse().ok()
}

/// Ends a process of ours with SIGTERM, and waits for it.
pub(crate) fn stop(child: &mut Child) {
    if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        let _already_gone = kill_process(pid, Signal::TERM);
    }
    let _reaped = child.wait();
}
