//! The programs in `docs/examples`, which the documents quote: each is run as a reader would run it, and is one check. Called by
//! [`crate::test`] for each broker. What is for Leveret alone is not asked of RabbitMQ.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use crate::clients;
use crate::paths;
use crate::tally::Tally;

/// Where a program runs well.
#[derive(Clone, Copy, Eq, PartialEq)]
enum On {
    Both,
    /// It shows what RabbitMQ does not have.
    Leveret,
}

const EXAMPLES: &[(&str, On)] = &[
    ("first_message.py", On::Both),
    ("first_message.js", On::Both),
    ("first_message.rs", On::Both),
    ("rpc.rs", On::Both),
    ("alarms.py", On::Both),
    ("consumer_timeouts.py", On::Both),
    ("dead_lettering.py", On::Both),
    ("deduplication.py", On::Leveret),
    ("delayed_messages.py", On::Leveret),
    ("exchange_types.py", On::Both),
    ("http_api.sh", On::Both),
    ("length_limits.py", On::Both),
    ("message_groups.py", On::Leveret),
    ("policies.sh", On::Both),
    ("priorities.py", On::Both),
    ("publisher_numbers.py", On::Leveret),
    ("quorum_queues.py", On::Both),
    ("retries.py", On::Leveret),
    ("ttl_and_expiry.py", On::Both),
    ("users_and_permissions.sh", On::Both),
    ("vhosts_and_limits.sh", On::Both),
];

/// A broker that listens.
#[derive(Clone, Copy)]
pub(crate) struct Broker<'a> {
    pub(crate) name: &'a str,
    pub(crate) amqp: SocketAddr,
    /// Its HTTP API.
    pub(crate) http: Option<SocketAddr>,
}

/// Runs those that are for Leveret, or for any broker. Without an HTTP API, programs that need one fail.
pub(crate) fn run(tally: &mut Tally, broker: Broker<'_>, is_leveret: bool) {
    for (file, on) in EXAMPLES {
        if !is_leveret && *on == On::Leveret {
            continue;
        }
        let ended_well = clients::run(&mut command(file, broker), &mut Tally::default());
        let name = format!("{file} against {}", broker.name);
        tally.add_step(&name, Tally::one(ended_well), ended_well);
    }
}

/// How a reader starts the program: with the URIs of the broker and of its API, or, in a shell, of the API alone.
fn command(file: &str, broker: Broker<'_>) -> Command {
    let amqp = format!("amqp://guest:guest@{}/%2f", broker.amqp);
    let api = broker.http.map_or_else(String::new, |http| format!("http://{http}/api"));
    let path = paths::workspace().join("docs/examples").join(file);
    let (name, extension) = file.rsplit_once('.').unwrap_or((file, ""));
    match extension {
        "rs" => {
            let mut command = clients::with_limit(Path::new(env!("CARGO")));
            command.args(["run", "--quiet", "--locked", "--package", "leveret-tests"]);
            command.args(["--example", name, "--", &amqp]).current_dir(paths::workspace());
            command
        }
        "js" => {
            let mut command = clients::with_limit(Path::new("node"));
            command.arg(path).arg(amqp).env("NODE_PATH", clients::node_modules());
            command
        }
        "sh" => {
            let mut command = clients::with_limit(Path::new("sh"));
            command.arg(path).arg(api);
            command
        }
        _ => {
            let mut command = clients::with_limit(&clients::python().join("bin/python"));
            command.arg(path).args([amqp, api]);
            command
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_program_of_the_documents_is_run() {
        let there = std::fs::read_dir(paths::workspace().join("docs/examples")).unwrap();
        let there: BTreeSet<String> =
            there.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        assert_eq!(there, EXAMPLES.iter().map(|(file, _)| (*file).to_owned()).collect());
    }
}
