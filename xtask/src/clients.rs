//! Round trips with the clients people use: pika, aio-pika and Celery in Python, amqplib in Node. They are installed once,
//! in versions that `tests/clients` pins. lapin, the Rust client, is part of the black-box tests.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::command::{run_logged, say, watch};
use crate::paths;
use crate::tally::Tally;

fn scripts() -> PathBuf {
    paths::workspace().join("tests/clients")
}

/// Where Python and its clients are installed.
pub(crate) fn python() -> PathBuf {
    paths::reference().join("python")
}

/// Where the clients for Node are installed.
pub(crate) fn node_modules() -> PathBuf {
    scripts().join("node/node_modules")
}

/// Installs the clients unless these very versions are there already.
///
/// # Errors
/// When pip or npm fails; their output is in `clients-install.log` under `target/reference`.
pub(crate) fn install() -> Result<()> {
    fs::create_dir_all(paths::reference())?;
    let log = paths::reference().join("clients-install.log");
    let requirements = fs::read_to_string(scripts().join("requirements.txt"))?;
    let stamp = python().join("installed");
    if fs::read_to_string(&stamp).ok().as_ref() != Some(&requirements) {
        let environment = || {
            run_logged(Command::new("python3").args(["-m", "venv", "--clear"]).arg(python()), &log)
        };
        if environment().is_err() {
            // Debian splits the module from the interpreter.
            let mut apt_get = Command::new("apt-get");
            run_logged(apt_get.args(["install", "--yes", "python3-venv"]), &log)?;
            environment()?;
        }
        let mut pip = Command::new(python().join("bin/pip"));
        pip.args(["install", "--disable-pip-version-check", "--requirement"]);
        run_logged(pip.arg(scripts().join("requirements.txt")), &log)?;
        fs::write(stamp, requirements)?;
    }
    let mut npm = Command::new("npm");
    run_logged(
        npm.args(["ci", "--no-audit", "--no-fund"]).current_dir(scripts().join("node")),
        &log,
    )
}

/// Runs every client against a broker, and counts what they checked.
pub(crate) fn round_trips(tally: &mut Tally, broker: &str, address: SocketAddr) {
    let url = format!("amqp://guest:guest@{address}/%2f");
    let python = python().join("bin/python");
    let clients = [
        (python.as_path(), "python", "pika_round_trip.py"),
        (&python, "python", "aio_pika_round_trip.py"),
        (&python, "python", "celery_round_trip.py"),
        (Path::new("node"), "node", "amqplib_round_trip.js"),
    ];
    for (interpreter, folder, script) in clients {
        let mut command = with_limit(interpreter);
        command.arg(script).arg(&url).current_dir(scripts().join(folder));
        let mut step = Tally::default();
        let ended_well = run(&mut command, &mut step);
        tally.add_step(&format!("{script} against {broker}"), step, ended_well);
    }
}

/// A command that is ended when it takes longer than any round trip should.
pub(crate) fn with_limit(program: &Path) -> Command {
    let mut command = Command::new("timeout");
    command.arg("300").arg(program).env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

/// Runs a client and counts the checks it reports. Whether it ended well.
pub(crate) fn run(command: &mut Command, step: &mut Tally) -> bool {
    match watch(command, |line| step.read_line(line)) {
        Ok(status) => status.success(),
        Err(error) => {
            say(format_args!("{error:#}"));
            false
        }
    }
}
