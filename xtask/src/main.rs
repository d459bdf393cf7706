//! The project's one command. `cargo xtask test` checks everything, with its own set-up; `cargo xtask bench` measures
//! Leveret beside RabbitMQ.

mod bench;
mod broker;
mod clients;
mod command;
mod examples;
mod paths;
mod reference;
mod tally;
mod test;

use std::process::ExitCode;

use clap::Parser;

/// Runs every check of the project, or its benchmarks.
#[derive(Parser)]
#[command(bin_name = "cargo xtask")]
enum Task {
    /// Format, lints, unit tests, and black-box tests and client round trips against Leveret and against RabbitMQ.
    Test,
    /// Leveret and RabbitMQ in turn, medians of three runs of `leveret perf`.
    Bench(bench::Options),
}

fn main() -> ExitCode {
    match Task::parse() {
        Task::Test => test::run(),
        Task::Bench(options) => match bench::run(&options) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                command::say(format_args!("bench: {error:#}"));
                ExitCode::FAILURE
            }
        },
    }
}
