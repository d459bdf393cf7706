//! The program `leveret`: arguments, logging, exit codes.

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use leveret::Config;

/// Freed on another thread than the one that allocated: what a broker does all day, and mimalloc does well.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// An AMQP 0-9-1 message broker: a drop-in for RabbitMQ's clients, in one small binary.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: Serve,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the broker; this is also what happens without a command
    Serve(Serve),
    /// Load an AMQP broker, check what comes back and say how fast it was
    Perf(Box<leveret_perf::Args>),
}

#[derive(Args, Debug)]
struct Serve {
    #[command(flatten)]
    config: Config,
}

fn main() -> ExitCode {
    let Cli { command, serve } = Cli::parse();
    match command.unwrap_or(Command::Serve(serve)) {
        Command::Serve(Serve { config }) => run(config),
        Command::Perf(args) => leveret_perf::run(*args),
    }
}

#[expect(
    clippy::print_stderr,
    reason = "the reason of a failed start is for the person who started it"
)]
fn run(config: Config) -> ExitCode {
    tracing_subscriber::fmt()
        .with_max_level(config.log)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("leveret: cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(leveret::run(config)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("leveret: {error}");
            ExitCode::FAILURE
        }
    }
}
