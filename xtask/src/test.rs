//! `cargo xtask test`: every check there is, in the order in which a failure is cheapest to find, and one line at the end.

use std::process::{Command, ExitCode};
use std::thread;

use anyhow::{Context, Result, bail};

use crate::broker::Leveret;
use crate::command::{describe, say, watch};
use crate::examples::Broker;
use crate::reference::Reference;
use crate::tally::Tally;
use crate::{clients, examples, instructions, paths, reference};

/// Runs everything. The exit code says whether all of it passed.
pub(crate) fn run() -> ExitCode {
    let mut tally = Tally::default();
    // What the later steps need is fetched while the earlier ones compile.
    let installed = thread::scope(|scope| {
        let installation = scope.spawn(|| {
            clients::install().context("installing the clients")?;
            reference::install().context("installing RabbitMQ")
        });
        code(&mut tally);
        installation.join().unwrap_or_else(|_| bail!("the installation panicked"))
    });
    leveret(&mut tally, installed.is_ok());
    instructions(&mut tally);
    match installed.and_then(|root| {
        let version = reference::version(&root)?;
        Ok((Reference::start_with_plugins(&root)?, version))
    }) {
        Ok((reference, version)) => rabbitmq(&mut tally, &reference, &version),
        Err(error) => {
            say(format_args!("{error:#}"));
            tally.add_step("the reference RabbitMQ runs", Tally::default(), false);
        }
    }
    say(format_args!("{} passed, {} failed", tally.passed, tally.failed));
    if tally.failed == 0 && tally.passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What needs no broker, and the release build that the rest needs.
fn code(tally: &mut Tally) {
    check(tally, cargo(&["fmt", "--all", "--check"]));
    check(
        tally,
        cargo(&["clippy", "--workspace", "--all-targets", "--locked", "--", "--deny", "warnings"]),
    );
    tests(
        tally,
        "unit and property tests",
        cargo(&["test", "--workspace", "--exclude", "leveret-tests", "--locked", "--no-fail-fast"]),
    );
    check(tally, cargo(&["build", "--release", "--bin", "leveret", "--locked"]));
}

/// The black-box tests, the clients and the examples against Leveret.
fn leveret(tally: &mut Tally, clients_installed: bool) {
    let mut blackbox = cargo(&["test", "--package", "leveret-tests", "--locked"]);
    blackbox.env("LEVERET_TEST_BROKER", "leveret").env("LEVERET_TEST_BINARY", paths::leveret());
    tests(tally, "black-box tests against Leveret", blackbox);
    match Leveret::start() {
        Ok(leveret) => {
            losses(tally, &leveret);
            if !clients_installed {
                return;
            }
            clients::round_trips(tally, "Leveret", leveret.address);
            let broker = Broker { name: "Leveret", amqp: leveret.address, http: leveret.http };
            examples::run(tally, broker, true);
        }
        Err(error) => {
            say(format_args!("{error:#}"));
            tally.add_step("Leveret runs", Tally::default(), false);
        }
    }
}

/// A second of each of these loads: nothing may be lost, doubled or out of order, at whatever speed.
fn losses(tally: &mut Tally, leveret: &Leveret) {
    for scenario in ["A", "C", "D", "F"] {
        let mut perf = Command::new(paths::leveret());
        perf.args(["perf", "--quiet", "--scenario", scenario, "--warmup", "0", "--duration", "1"]);
        perf.args(["--uri", &format!("amqp://guest:guest@{}/", leveret.address)]);
        check(tally, perf);
    }
}

/// What a message costs in instructions, against what is on record.
fn instructions(tally: &mut Tally) {
    say("=== instructions a message");
    let compared = instructions::compare();
    if let Err(error) = &compared {
        say(format_args!("{error:#}"));
    }
    tally.add_step("instructions a message", Tally::one(compared.is_ok()), compared.is_ok());
}

/// The same tests and clients against RabbitMQ, without those that need a broker of their own.
fn rabbitmq(tally: &mut Tally, reference: &Reference, version: &str) {
    let arguments = [
        "test",
        "--package",
        "leveret-tests",
        "--locked",
        "--test",
        "blackbox",
        "--",
        "--skip",
        "leveret::",
    ];
    let mut blackbox = cargo(&arguments);
    blackbox.env("LEVERET_TEST_BROKER", reference.address.to_string());
    if let Some(http) = reference.http {
        blackbox.env("LEVERET_TEST_HTTP", http.to_string());
    }
    let name = format!("RabbitMQ {version}");
    tests(tally, &format!("black-box tests against {name}"), blackbox);
    clients::round_trips(tally, &name, reference.address);
    let broker = Broker { name: &name, amqp: reference.address, http: reference.http };
    examples::run(tally, broker, false);
}

fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO"));
    command.args(arguments).current_dir(paths::workspace());
    command
}

/// A step that is one check: it ends well or not.
fn check(tally: &mut Tally, mut command: Command) {
    let name = describe(&command);
    say(format_args!("=== {name}"));
    let ended_well = ended_well(watch(&mut command, |_| ()));
    tally.add_step(&name, Tally::one(ended_well), ended_well);
}

/// A step that runs tests, which are counted one by one.
fn tests(tally: &mut Tally, name: &str, mut command: Command) {
    say(format_args!("=== {name}: {}", describe(&command)));
    let mut step = Tally::default();
    let ended_well = ended_well(watch(&mut command, |line| step.read_line(line)));
    tally.add_step(name, step, ended_well);
}

fn ended_well(outcome: Result<std::process::ExitStatus>) -> bool {
    match outcome {
        Ok(status) => status.success(),
        Err(error) => {
            say(format_args!("{error:#}"));
            false
        }
    }
}
