//! What a run does: the options with their defaults filled in and checked against each other. Made
//! once by `run`, then read by every part and never changed.

mod routes;

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use amq_protocol::types::{AMQPValue, FieldTable};

use crate::args::{Args, ExchangeKind};
use crate::error::Error;
use crate::scenario::Scenario;
use crate::stamp::STAMP_LEN;
use crate::uri::Uri;

/// RabbitMQ's own limit on a message.
pub(crate) const MAX_SIZE: usize = 512 * 1024 * 1024;
const MAX_WORKERS: u16 = 10_000;
const MAX_QUEUES: u32 = 1_000_000;

/// What kind of run it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Publish and consume.
    Load,
    /// Open this many connections and hold them.
    Idle(u32),
    /// Declare and bind queues.
    Declare,
}

/// Everything that is decided before the first connection.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) mode: Mode,
    pub(crate) scenario: Option<Scenario>,
    pub(crate) uri: Uri,
    pub(crate) publishers: u16,
    pub(crate) consumers: u16,
    pub(crate) size: usize,
    /// Per publisher and second; 0 = unlimited.
    pub(crate) rate: u32,
    pub(crate) persistent: bool,
    pub(crate) mandatory: bool,
    /// 0 = no confirms.
    pub(crate) confirms: u32,
    pub(crate) prefetch: u16,
    pub(crate) auto_ack: bool,
    pub(crate) ack_every: u16,
    pub(crate) queues: Vec<String>,
    /// The user chose the queue name: the queue may exist already.
    pub(crate) queue_named: bool,
    pub(crate) durable: bool,
    pub(crate) arguments: FieldTable,
    /// Empty for the default exchange.
    pub(crate) exchange: String,
    /// The user chose the exchange name: the exchange may exist already.
    pub(crate) exchange_named: bool,
    pub(crate) kind: ExchangeKind,
    pub(crate) routing_key: Option<String>,
    pub(crate) bindings: u32,
    pub(crate) keep: bool,
    pub(crate) duration: Option<Duration>,
    pub(crate) warmup: Duration,
    /// Of each publisher.
    pub(crate) messages: Option<u64>,
    pub(crate) drain: bool,
    pub(crate) timeout: Duration,
    pub(crate) quiet: bool,
    pub(crate) broker_pid: Option<u32>,
    /// Marks the messages of this run.
    pub(crate) run_tag: u16,
}

impl Plan {
    /// Fills in the scenario and the defaults, and refuses what contradicts itself.
    pub(crate) fn new(args: Args) -> Result<Self, Error> {
        let args = match args.scenario {
            Some(scenario) => scenario.fill(args),
            None => args,
        };
        let [high, low, ..] = RandomState::new().hash_one(std::process::id()).to_be_bytes();
        let run_tag = u16::from_be_bytes([high, low]);
        let own_name = format!("leveret-perf-{run_tag:04x}");
        let exchange = match (&args.exchange, args.kind) {
            (Some(name), _) => name.clone(),
            (None, Some(_)) => own_name.clone(),
            (None, None) => String::new(),
        };
        let prefetch = args.prefetch.unwrap_or(1_000);
        let ack_limit = if prefetch == 0 { 100 } else { prefetch };
        let plan = Self {
            mode: match (args.connections_only, args.declare_only) {
                (Some(connections), _) => Mode::Idle(connections),
                (None, Some(true)) => Mode::Declare,
                (None, _) => Mode::Load,
            },
            scenario: args.scenario,
            uri: match args.uri {
                Some(uri) => uri,
                None => "amqp://".parse().map_err(Error::Options)?,
            },
            publishers: args.publishers.unwrap_or(1),
            consumers: args.consumers.unwrap_or(1),
            size: args.size.unwrap_or(STAMP_LEN),
            rate: args.rate.unwrap_or(0),
            persistent: args.persistent.unwrap_or(false),
            mandatory: args.mandatory,
            confirms: args.confirms.unwrap_or(0),
            prefetch,
            auto_ack: args.auto_ack.unwrap_or(false),
            ack_every: args.ack_every.unwrap_or(100.min(ack_limit)),
            queues: queue_names(
                args.queue.as_ref().unwrap_or(&own_name),
                args.queues.unwrap_or(1),
            )?,
            queue_named: args.queue.is_some(),
            durable: args.durable.unwrap_or(false),
            arguments: field_table(args.arguments),
            exchange,
            exchange_named: args.exchange.is_some(),
            kind: args.kind.unwrap_or(ExchangeKind::Direct),
            routing_key: args.routing_key,
            bindings: args.bindings.unwrap_or(0),
            keep: args.keep,
            warmup: args.warmup.unwrap_or(match args.messages {
                Some(_) => Duration::ZERO,
                None => Duration::from_secs(2),
            }),
            duration: match (args.duration, args.messages) {
                (None, None) => Some(Duration::from_secs(10)),
                (duration, _) => duration,
            },
            messages: args.messages,
            drain: args.drain.unwrap_or(false),
            timeout: args.timeout.unwrap_or(Duration::from_secs(15)),
            quiet: args.quiet,
            broker_pid: args.broker_pid,
            run_tag,
        };
        plan.check().map(|()| plan)
    }

    fn check(&self) -> Result<(), Error> {
        let no_exchange = self.exchange.is_empty();
        let wrong = [
            (
                self.size < STAMP_LEN || self.size > MAX_SIZE,
                "--size must be 16 to 536870912: a body starts with 16 bytes that identify it",
            ),
            (
                self.publishers > MAX_WORKERS || self.consumers > MAX_WORKERS,
                "--publishers and --consumers go up to 10000",
            ),
            (
                self.mode == Mode::Load && self.publishers == 0 && self.consumers == 0,
                "nothing to do: --publishers and --consumers are both 0",
            ),
            (
                self.mode == Mode::Load && self.publishers == 0 && !self.queue_named,
                "--publishers 0 needs --queue: the queue to consume from",
            ),
            (
                self.drain && (self.publishers == 0 || self.consumers == 0),
                "--drain needs publishers and consumers",
            ),
            (self.ack_every == 0, "--ack-every must be at least 1"),
            (
                !self.auto_ack && self.prefetch != 0 && self.ack_every > self.prefetch,
                "--ack-every must not be above --prefetch: the broker would wait for the ack forever",
            ),
            (
                no_exchange && self.routing_key.is_some(),
                "--routing-key needs --exchange or --type: the default exchange routes by queue name",
            ),
            (
                self.bindings > 0 && (no_exchange || self.kind != ExchangeKind::Topic),
                "--bindings needs --type topic",
            ),
            (self.messages == Some(0), "--messages must be at least 1"),
            (self.mode == Mode::Idle(0), "--connections-only must be at least 1"),
            (self.timeout.is_zero(), "--timeout must be above 0"),
        ];
        match wrong.into_iter().find(|(wrong, _)| *wrong) {
            Some((_, why)) => Err(Error::Options(why.to_owned())),
            None => Ok(()),
        }
    }
}

fn queue_names(name: &str, count: u32) -> Result<Vec<String>, Error> {
    match count {
        0 => Err(Error::Options("--queues must be at least 1".to_owned())),
        1 => Ok(vec![name.to_owned()]),
        2..=MAX_QUEUES => Ok((1..=count).map(|number| format!("{name}-{number}")).collect()),
        _ => Err(Error::Options(format!("--queues goes up to {MAX_QUEUES}"))),
    }
}

/// Queue arguments: numbers and booleans as such, everything else as text.
fn field_table(arguments: Vec<(String, String)>) -> FieldTable {
    let mut table = FieldTable::default();
    for (key, value) in arguments {
        let value = if let Ok(number) = value.parse() {
            AMQPValue::LongLongInt(number)
        } else if let Ok(flag) = value.parse() {
            AMQPValue::Boolean(flag)
        } else {
            AMQPValue::LongString(value.into())
        };
        table.insert(key.into(), value);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(args: Args) -> Plan {
        Plan::new(args).unwrap()
    }

    #[test]
    fn an_option_overrides_its_scenario() {
        let args = Args { scenario: Some(Scenario::C), size: Some(64), ..Args::default() };
        let plan = plan(args);
        assert_eq!((plan.size, plan.confirms, plan.ack_every), (64, 1_000, 100));
        assert!(plan.durable && plan.persistent && !plan.auto_ack);
    }

    #[test]
    fn every_scenario_is_a_valid_plan() {
        for scenario in <Scenario as clap::ValueEnum>::value_variants() {
            let args = Args { scenario: Some(*scenario), ..Args::default() };
            assert!(Plan::new(args).is_ok(), "{scenario:?}");
        }
    }

    #[test]
    fn contradictions_are_refused() {
        let d = Args::default;
        let cases = [
            Args { size: Some(15), ..d() },
            Args { publishers: Some(0), ..d() },
            Args { publishers: Some(0), consumers: Some(0), queue: Some("q".into()), ..d() },
            Args { prefetch: Some(10), ack_every: Some(11), ..d() },
            Args { ack_every: Some(0), ..d() },
            Args { routing_key: Some("k".into()), ..d() },
            Args { bindings: Some(1), kind: Some(ExchangeKind::Direct), ..d() },
            Args { queues: Some(0), ..d() },
            Args { messages: Some(0), ..d() },
            Args { drain: Some(true), consumers: Some(0), ..d() },
        ];
        for args in cases {
            assert!(matches!(Plan::new(args.clone()), Err(Error::Options(_))), "{args:?}");
        }
    }

    #[test]
    fn queue_arguments_get_the_type_they_look_like() {
        let pairs = ["n=5", "b=true", "s=quorum"].map(|p| p.split_once('=').unwrap());
        let table = field_table(pairs.map(|(k, v)| (k.to_owned(), v.to_owned())).into());
        assert_eq!(table.inner().get("n"), Some(&AMQPValue::LongLongInt(5)));
        assert_eq!(table.inner().get("b"), Some(&AMQPValue::Boolean(true)));
        assert_eq!(table.inner().get("s"), Some(&AMQPValue::LongString("quorum".into())));
    }
}
