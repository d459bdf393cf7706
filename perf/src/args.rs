//! The options of `leveret perf`, as clap shows and parses them. `plan` turns them into what is run.

use std::net::SocketAddr;
use std::time::Duration;

use crate::scenario::Scenario;
use crate::uri::Uri;

const EXAMPLES: &str = "\
Examples:
  leveret perf                                      one publisher, one consumer, as fast as it goes
  leveret perf --scenario C                         1 KiB persistent, confirmed, acknowledged
  leveret perf --scenario C --argument x-queue-type=quorum
  leveret perf --rate 2000 --persistent --durable --confirms 100 --prefetch 100
                                                    latency at a steady rate instead of the limit
  leveret perf --type fanout --queues 10 --consumers 10 --durable --persistent --confirms 1000
  leveret perf --publishers 4 --consumers 4 --queues 2 --size 256 --duration 30
  leveret perf --drain --messages 1000000 --durable --persistent --confirms 1000
                                                    fill a queue, then empty it
  leveret perf --connections-only 5000 --duration 60
  leveret perf --relay                              the limit: what the sockets and this tool alone reach
  leveret perf --uri amqp://joe:secret@mq.example:5672/shop --json > result.json

Scenarios (any option given besides one overrides it):
  A  16 B transient, auto-ack                       G  topic exchange with 10,000 bindings
  B  as A, 1 KiB                                    H  2,000/s, 1 KiB, persistent, confirmed
  C  1 KiB persistent, 1,000 confirms outstanding,  I  5,000 idle connections
     prefetch 1,000, one ack for 100                J  declare and bind 10,000 durable queues
  D  as C, 16 B                                     K  as C, one confirm outstanding
  E  1,000,000 x 1 KiB into one queue, then drain
  F  as C, fan-out to 10 queues

Exit status: 0 if everything arrived once and in order; 1 if something was lost, doubled or out of
order; 2 if the run could not be done (no connection, closed by the broker, stalled).";

/// Drive an AMQP 0-9-1 broker with load, check what comes back and report rates and latencies.
///
/// Works against Leveret, RabbitMQ, LavinMQ and any other AMQP 0-9-1 broker. Every message carries
/// its publisher, its number and the time it was sent, so that what is lost, doubled or out of order
/// is noticed. Queues and exchanges that did not exist before are deleted at the end.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Args {
    /// The broker; by default amqp://guest:guest@127.0.0.1:5672/%2f
    #[arg(long, value_name = "URI", env = "LEVERET_PERF_URI", hide_env_values = true)]
    pub uri: Option<Uri>,
    /// A preset, A to K (listed below with --help); other options override it
    #[arg(long, value_name = "LETTER", ignore_case = true)]
    pub scenario: Option<Scenario>,

    /// Publishers, each with its own connection; each takes a queue, round robin [default: 1]
    #[arg(long, value_name = "N", help_heading = "Load")]
    pub publishers: Option<u16>,
    /// Consumers, each with its own connection; each takes a queue, round robin [default: 1]
    #[arg(long, value_name = "N", help_heading = "Load")]
    pub consumers: Option<u16>,
    /// Body size in bytes, at least 16 [default: 16]
    #[arg(long, value_name = "BYTES", help_heading = "Load")]
    pub size: Option<usize>,
    /// Messages per second of each publisher; 0 = as fast as it can [default: 0]
    #[arg(long, value_name = "MSGS/S", help_heading = "Load")]
    pub rate: Option<u32>,
    /// Publish as persistent (delivery mode 2)
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", help_heading = "Load")]
    pub persistent: Option<bool>,
    /// Publish as mandatory: what matches no queue is returned, and counted
    #[arg(long, help_heading = "Load")]
    pub mandatory: bool,
    /// Publisher confirms: how many messages may be unconfirmed; 0 = no confirms [default: 0]
    #[arg(long, value_name = "WINDOW", help_heading = "Load")]
    pub confirms: Option<u32>,
    /// Prefetch of each consumer; 0 = unlimited [default: 1000]
    #[arg(long, value_name = "N", help_heading = "Load")]
    pub prefetch: Option<u16>,
    /// Consume without acknowledgements (no-ack)
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", help_heading = "Load")]
    pub auto_ack: Option<bool>,
    /// Acknowledge once for every N messages [default: 100, or the prefetch if that is less]
    #[arg(long, value_name = "N", help_heading = "Load")]
    pub ack_every: Option<u16>,

    /// Queues [default: 1]
    #[arg(long, value_name = "N", help_heading = "Topology")]
    pub queues: Option<u32>,
    /// Queue name; with --queues above 1, its beginning, followed by -1, -2, ...
    /// [default: a name of this run's own]
    #[arg(long, value_name = "NAME", help_heading = "Topology")]
    pub queue: Option<String>,
    /// Declare durable queues (and exchange)
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", help_heading = "Topology")]
    pub durable: Option<bool>,
    /// A queue argument, such as x-queue-type=quorum; may be repeated
    #[arg(long = "argument", value_name = "KEY=VALUE", value_parser = key_value, help_heading = "Topology")]
    pub arguments: Vec<(String, String)>,
    /// Publish to this exchange and bind the queues to it [default: the default exchange]
    #[arg(long, value_name = "NAME", help_heading = "Topology")]
    pub exchange: Option<String>,
    /// Exchange type; makes an exchange of this run's own unless --exchange names one
    #[arg(long = "type", value_name = "TYPE", help_heading = "Topology")]
    pub kind: Option<ExchangeKind>,
    /// Bind every queue, and publish, with this key [default: direct: the queue's name; topic:
    /// leveret.perf.key]
    #[arg(long, value_name = "KEY", help_heading = "Topology")]
    pub routing_key: Option<String>,
    /// Add N bindings with * and # to a topic exchange that do not match what is published
    #[arg(long, value_name = "N", help_heading = "Topology")]
    pub bindings: Option<u32>,
    /// Leave the queues and the exchange in place at the end
    #[arg(long, help_heading = "Topology")]
    pub keep: bool,

    /// How long to measure [default: 10, or until done with --messages]
    #[arg(long, value_name = "SECS", value_parser = seconds, help_heading = "Run")]
    pub duration: Option<Duration>,
    /// How long to run before measuring [default: 2, or 0 with --messages]
    #[arg(long, value_name = "SECS", value_parser = seconds, help_heading = "Run")]
    pub warmup: Option<Duration>,
    /// Stop after N messages of each publisher
    #[arg(long, value_name = "N", help_heading = "Run")]
    pub messages: Option<u64>,
    /// Start consuming only when everything is published
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", help_heading = "Run")]
    pub drain: Option<bool>,
    /// Only open N connections with a channel each and hold them for the duration
    #[arg(long, value_name = "N", help_heading = "Run", conflicts_with_all = ["declare_only", "drain"])]
    pub connections_only: Option<u32>,
    /// Only declare and bind the queues, and delete them
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", help_heading = "Run")]
    pub declare_only: Option<bool>,
    /// Instead of a load, be the limit for brokers on this machine: a relay on this address, by
    /// default 127.0.0.1:5672, that copies each publish into a delivery, confirms it at once and
    /// stores nothing. Serves this tool only, without a check of user or topology, until it is stopped
    #[arg(
        long,
        value_name = "ADDR:PORT",
        num_args = 0..=1,
        default_missing_value = "127.0.0.1:5672",
        conflicts_with_all = [
            "scenario",
            "publishers",
            "consumers",
            "messages",
            "connections_only",
            "declare_only",
        ],
        help_heading = "Run"
    )]
    pub relay: Option<SocketAddr>,
    /// Give up when nothing was published, confirmed or delivered for this long
    #[arg(long, value_name = "SECS", value_parser = seconds, default_value = "15", help_heading = "Run")]
    pub timeout: Option<Duration>,

    /// Print the report as one JSON object
    #[arg(long, help_heading = "Output")]
    pub json: bool,
    /// No progress on standard error
    #[arg(long, help_heading = "Output")]
    pub quiet: bool,
    /// Also report CPU time and memory of the process with this id (Linux)
    #[arg(long, value_name = "PID", help_heading = "Output")]
    pub broker_pid: Option<u32>,
}

/// The exchange types whose routing the tool can predict, and so check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum ExchangeKind {
    /// To the queues bound with exactly the routing key.
    Direct,
    /// To every bound queue.
    Fanout,
    /// To the queues whose pattern matches the routing key.
    Topic,
    /// To every bound queue here: the bindings ask for no header.
    Headers,
}

impl ExchangeKind {
    /// The word in `exchange.declare`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Fanout => "fanout",
            Self::Topic => "topic",
            Self::Headers => "headers",
        }
    }
}

fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("expected KEY=VALUE".to_owned()),
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "expected a number of seconds".to_owned())?;
    match Duration::try_from_secs_f64(seconds) {
        // A year: far past any use, and far from where adding it to a clock overflows.
        Ok(duration) if seconds <= 31_536_000.0 => Ok(duration),
        _ => Err("expected 0 to 31536000 seconds".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    /// A program with these options.
    #[derive(Debug, Parser)]
    struct Program {
        #[command(flatten)]
        args: Args,
    }

    fn relay(words: &[&str]) -> Result<Option<SocketAddr>, clap::Error> {
        Program::try_parse_from([&["perf"], words].concat()).map(|program| program.args.relay)
    }

    #[test]
    fn a_relay_has_an_address_of_its_own_and_no_load() {
        let address = |text: &str| Some(text.parse().unwrap());
        assert_eq!(relay(&[]).unwrap(), None);
        assert_eq!(relay(&["--relay"]).unwrap(), address("127.0.0.1:5672"));
        assert_eq!(relay(&["--relay", "127.0.0.1:0"]).unwrap(), address("127.0.0.1:0"));
        // Which may come from the environment.
        assert!(relay(&["--relay", "--uri", "amqp://elsewhere"]).is_ok());
        assert!(relay(&["--relay", "--scenario", "A"]).is_err());
    }
}
