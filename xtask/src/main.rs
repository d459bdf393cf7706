//! The project's one command. `cargo xtask test` checks everything, with its own set-up; `cargo xtask bench` measures
//! Leveret beside RabbitMQ; `cargo xtask instructions` counts what a message costs.

mod bench;
mod broker;
mod clients;
mod command;
mod examples;
mod instructions;
mod packages;
mod paths;
mod reference;
mod tally;
mod test;

use std::process::ExitCode;

use clap::Parser;

/// Runs every check of the project, or its measurements.
#[derive(Parser)]
#[command(bin_name = "cargo xtask")]
enum Task {
    /// Format, lints, unit tests, and black-box tests and client round trips against Leveret and against RabbitMQ.
    Test,
    /// Leveret, RabbitMQ and the relay in turn, medians of three runs of `leveret perf`.
    Bench(bench::Options),
    /// Instructions of the broker for a message, compared with those on record.
    Instructions(instructions::Options),
}

fn main() -> ExitCode {
    match Task::parse() {
        Task::Test => test::run(),
        Task::Bench(options) => exit_code("bench", bench::run(&options)),
        Task::Instructions(options) => exit_code("instructions", instructions::run(&options)),
    }
}

fn exit_code(task: &str, outcome: anyhow::Result<()>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            command::say(format_args!("{task}: {error:#}"));
            ExitCode::FAILURE
        }
    }
}
