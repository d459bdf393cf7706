//! `cargo xtask bench`: `leveret perf` against Leveret, RabbitMQ and the relay in turn, one at a time, each started anew
//! and empty for each run. Absolute numbers belong to a machine; what is compared is the median of the runs, side by side.

mod figures;
mod measure;
mod picture;
mod results;
mod rows;
mod subject;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use self::results::{Measured, Session};
use self::rows::Row;
use self::subject::Subject;
use crate::broker::build;
use crate::command::say;
use crate::{paths, reference};

/// What to measure.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Scenarios of `leveret perf --help`, one letter each
    #[arg(long, default_value = "ABCDEFGHIJK", value_name = "LETTERS")]
    scenarios: String,
    /// In place of the scenarios: does it stay as fast with more publishers, consumers, queues, bindings and connections?
    /// Leveret alone, unless --against says otherwise
    #[arg(long)]
    flat: bool,
    /// In place of the scenarios: a backlog of so many messages of 1 KiB, written and then drained. Leveret alone
    #[arg(long, value_name = "N", conflicts_with = "flat")]
    backlog: Option<u64>,
    /// Leveret on one core and on two (with taskset), in place of Leveret and others
    #[arg(long, conflicts_with = "against")]
    cores: bool,
    /// What to measure, in turn [default: leveret,rabbitmq,relay]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    against: Vec<Subject>,
    /// Seconds measured in each run, after the warm-up
    #[arg(long, default_value_t = 8, value_name = "SECS")]
    duration: u32,
    /// Seconds of warm-up before each run
    #[arg(long, default_value_t = 2, value_name = "SECS")]
    warmup: u32,
    /// Runs of each row against each of them
    #[arg(long, default_value_t = 3, value_name = "N")]
    runs: u32,
    /// Also write benchmark.json and benchmark.svg into this folder, by default `docs`
    #[arg(long, value_name = "DIR", num_args = 0..=1, default_missing_value = "docs")]
    write: Option<PathBuf>,
}

impl Options {
    fn rows(&self) -> Result<Vec<Row>> {
        if let Some(messages) = self.backlog {
            return Ok(vec![rows::backlog(messages)]);
        }
        if self.flat {
            return Ok(rows::flat());
        }
        self.scenarios.chars().map(rows::scenario).collect()
    }

    fn subjects(&self) -> Vec<Subject> {
        if self.cores {
            vec![Subject::LeveretOneCore, Subject::LeveretTwoCores]
        } else if !self.against.is_empty() {
            self.against.clone()
        } else if self.flat || self.backlog.is_some() {
            vec![Subject::Leveret]
        } else {
            vec![Subject::Leveret, Subject::Rabbitmq, Subject::Relay]
        }
    }
}

/// Builds the broker, measures, and prints one line a figure.
///
/// # Errors
/// When something cannot be built, installed, started, measured or written, or when a broker loses something.
pub(crate) fn run(options: &Options) -> Result<()> {
    let (rows, subjects) = (options.rows()?, options.subjects());
    build()?;
    let rabbitmq = match subjects.contains(&Subject::Rabbitmq) {
        true => Some(reference::install()?),
        false => None,
    };
    let mut session = Session {
        rabbitmq: rabbitmq.as_deref().map(reference::version).transpose()?,
        runs: options.runs,
        duration_s: options.duration,
        warmup_s: options.warmup,
        measured: Vec::new(),
    };
    say(session.headline());
    for row in rows {
        let mut measured = Measured::new(row, &subjects);
        for _ in 0..options.runs {
            for (subject, reports) in &mut measured.reports {
                let running = subject.start(rabbitmq.as_deref())?;
                reports.push(measure::run(&measured.row, *subject, options, &running)?);
            }
        }
        say(measured.text(&session));
        session.measured.push(measured);
    }
    match &options.write {
        Some(folder) => write(&session, &paths::workspace().join(folder)),
        None => Ok(()),
    }
}

fn write(session: &Session, folder: &Path) -> Result<()> {
    let json = serde_json::to_string_pretty(&session.json())? + "\n";
    for (name, text) in [("benchmark.json", json), ("benchmark.svg", picture::draw(session))] {
        let path = folder.join(name);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}
