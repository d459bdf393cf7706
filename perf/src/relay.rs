//! `--relay`: in place of a broker, a program that copies each publish into a delivery, confirms it at once, and stores
//! nothing. What it reaches under a load is the limit that the machine, its sockets and this tool set to any broker.
//! Called by `run`; a thread for each connection.

mod batch;
mod session;
mod topology;

use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use self::session::Session;
use self::topology::Topology;
use crate::error::Error;

/// Enough for a connection's frames of calls; the thousands of idle connections of a scenario have a thread each.
const STACK_BYTES: usize = 256 * 1024;

/// Listens on `address`, says so on standard output, and serves until the process ends.
pub(crate) fn run(address: SocketAddr) -> Result<(), Error> {
    let listener = TcpListener::bind(address)?;
    let mut out = io::stdout().lock();
    // The address that was given may have asked for any free port.
    writeln!(out, "relay listens on amqp://{}", listener.local_addr()?)?;
    out.flush()?;
    drop(out);
    serve(&listener)
}

/// Gives each connection a thread.
fn serve(listener: &TcpListener) -> Result<(), Error> {
    let topology = Arc::new(Topology::default());
    loop {
        let (stream, peer) = listener.accept()?;
        let topology = Arc::clone(&topology);
        let connection = move || {
            if let Err(error) = converse(stream, &topology) {
                // Without standard error there is nobody to tell.
                let _nobody = writeln!(io::stderr(), "relay: {peer}: {}", words(&error));
            }
        };
        thread::Builder::new().stack_size(STACK_BYTES).spawn(connection)?;
    }
}

/// A connection from its first byte to its last.
fn converse(stream: TcpStream, topology: &Topology) -> Result<(), Error> {
    stream.set_nodelay(true)?;
    let mut session = Session::new(stream.try_clone()?, topology);
    let ended = session.run(stream);
    session.leave();
    ended
}

/// What went wrong, seen from this side: an error of this tool takes the other one for a broker.
fn words(error: &Error) -> String {
    match error {
        Error::Protocol(what) => format!("not valid here: {what}"),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::args::Args;
    use crate::report::Report;
    use crate::run::measure;
    use crate::scenario::Scenario;

    /// Runs `args` with this tool against a relay.
    fn check(args: Args) -> Report {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let uri = format!("amqp://{}", listener.local_addr().unwrap());
        thread::spawn(move || serve(&listener));
        let report = measure(Args { uri: Some(uri.parse().unwrap()), quiet: true, ..args });
        let report = report.unwrap();
        assert_eq!(report.status(), 0, "{report:?}");
        report
    }

    #[test]
    fn every_scenario_with_messages_gets_each_of_them_once_and_in_order() {
        use Scenario::{A, B, C, D, F, G, H, K};
        for scenario in [A, B, C, D, F, G, H, K] {
            let args = Args {
                scenario: Some(scenario),
                messages: Some(1_000),
                // G's are declared one by one, in a build that may not be optimised.
                bindings: (scenario == G).then_some(200),
                ..Args::default()
            };
            let found = check(args).verification.unwrap();
            let copies = if scenario == F { 10 } else { 1 };
            assert!(found.complete, "{scenario:?}: {found:?}");
            assert_eq!((found.expected, found.lost), (copies * 1_000, 0), "{scenario:?}");
        }
    }

    #[test]
    fn messages_without_a_consumer_are_confirmed_and_gone() {
        let report = check(Args {
            scenario: Some(Scenario::E),
            messages: Some(5_000),
            drain: Some(false),
            consumers: Some(0),
            ..Args::default()
        });
        assert_eq!(report.confirmed.unwrap().total, 5_000);
    }

    #[test]
    fn consumers_of_one_queue_share_what_many_publish_to_it() {
        let report = check(Args {
            publishers: Some(3),
            consumers: Some(4),
            messages: Some(2_000),
            confirms: Some(50),
            ..Args::default()
        });
        assert_eq!(report.verification.unwrap().expected, 6_000);
    }

    #[test]
    fn bodies_of_many_frames_stay_whole() {
        let args = Args {
            publishers: Some(2),
            size: Some(300_000),
            messages: Some(20),
            ..Args::default()
        };
        assert_eq!(check(args).verification.unwrap().expected, 40);
    }

    #[test]
    fn connections_and_declarations_alone_are_answered() {
        let args = |scenario| Args {
            scenario: Some(scenario),
            duration: Some(Duration::from_millis(10)),
            ..Args::default()
        };
        let idle = check(Args { connections_only: Some(50), ..args(Scenario::I) });
        assert_eq!(idle.connections.unwrap().count, 50);
        let declared = check(Args { queues: Some(20), ..args(Scenario::J) });
        for steps in [declared.declared, declared.bound, declared.deleted] {
            assert_eq!(steps.unwrap().count, 20);
        }
    }
}
