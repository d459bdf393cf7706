//! `leveret perf` without the rest of the binary.

use std::process::ExitCode;

use clap::Parser;

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    args: leveret_perf::Args,
}

fn main() -> ExitCode {
    leveret_perf::run(Cli::parse().args)
}
