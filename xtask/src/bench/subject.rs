//! Who is measured, and how each is started: anew for every run, empty, and with the others stopped.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};

use crate::broker::{Leveret, after, stop};
use crate::paths;
use crate::reference::Reference;

/// Who is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Subject {
    /// Leveret, on all cores.
    Leveret,
    /// Leveret, on the first core only.
    #[value(skip)]
    LeveretOneCore,
    /// Leveret, on the first two cores.
    #[value(skip)]
    LeveretTwoCores,
    /// RabbitMQ from Debian.
    Rabbitmq,
    /// `leveret perf --relay`: the limit of the machine and the load tool.
    Relay,
}

/// A running subject; stopped when dropped.
pub(super) enum Running {
    /// Leveret.
    Leveret(Leveret),
    /// RabbitMQ.
    Reference(Reference),
    /// The relay.
    Relay {
        /// Where it listens.
        address: SocketAddr,
        /// Its process.
        child: Child,
    },
}

impl Subject {
    /// The head of its column.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Leveret => "Leveret",
            Self::LeveretOneCore => "1 core",
            Self::LeveretTwoCores => "2 cores",
            Self::Rabbitmq => "RabbitMQ",
            Self::Relay => "relay",
        }
    }

    /// Starts it, with RabbitMQ from the root folder `rabbitmq`.
    ///
    /// # Errors
    /// When it does not come up.
    pub(super) fn start(self, rabbitmq: Option<&Path>) -> Result<Running> {
        Ok(match self {
            Self::Leveret => Running::Leveret(Leveret::start()?),
            Self::LeveretOneCore => Running::Leveret(on_cores("0")?),
            Self::LeveretTwoCores => Running::Leveret(on_cores("0,1")?),
            Self::Rabbitmq => {
                let root = rabbitmq.context("RabbitMQ is not installed")?;
                Running::Reference(Reference::start(root)?)
            }
            Self::Relay => relay()?,
        })
    }
}

/// Starts Leveret on some cores only, listed as `taskset` has them.
fn on_cores(cores: &str) -> Result<Leveret> {
    let mut taskset = Command::new("taskset");
    taskset.args(["--cpu-list", cores]);
    Leveret::start_under(taskset)
}

/// Starts the relay, and waits until it listens.
fn relay() -> Result<Running> {
    let mut child = Command::new(paths::leveret())
        .args(["perf", "--relay", "127.0.0.1:0"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        // Clients that break off at the end of a run are not worth a line.
        .stderr(Stdio::null())
        .spawn()
        .context("cannot start the relay")?;
    let mut line = String::new();
    BufReader::new(child.stdout.take().context("stdout is piped")?).read_line(&mut line)?;
    match after("amqp://", line.trim_end()) {
        Some(address) => Ok(Running::Relay { address, child }),
        None => {
            stop(&mut child);
            anyhow::bail!("the relay ended before it was ready")
        }
    }
}

impl Running {
    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        match self {
            Self::Leveret(leveret) => leveret.address,
            Self::Reference(reference) => reference.address,
            Self::Relay { address, .. } => *address,
        }
    }

    /// The process to measure.
    pub(super) fn pid(&self) -> u32 {
        match self {
            Self::Leveret(leveret) => leveret.pid(),
            Self::Reference(reference) => reference.pid(),
            Self::Relay { child, .. } => child.id(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Self::Relay { child, .. } = self {
            stop(child);
        }
    }
}
