//! The presets A to K: the loads that brokers are compared by. Each fills in options that were not
//! given; called by `plan`.

use std::time::Duration;

use crate::args::{Args, ExchangeKind};

/// A named load; `leveret perf --help` says what each is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "UPPER")]
#[expect(missing_docs, reason = "the letters are described once, in the help text and `preset`")]
pub enum Scenario {
    A,
    B,
    C,
    D,
    E,
    F,
    G,
    H,
    I,
    J,
    K,
}

impl Scenario {
    /// `args` with this scenario's values wherever no option was given.
    pub(crate) fn fill(self, args: Args) -> Args {
        let preset = self.preset();
        Args {
            consumers: args.consumers.or(preset.consumers),
            size: args.size.or(preset.size),
            rate: args.rate.or(preset.rate),
            persistent: args.persistent.or(preset.persistent),
            confirms: args.confirms.or(preset.confirms),
            prefetch: args.prefetch.or(preset.prefetch),
            auto_ack: args.auto_ack.or(preset.auto_ack),
            ack_every: args.ack_every.or(preset.ack_every),
            queues: args.queues.or(preset.queues),
            durable: args.durable.or(preset.durable),
            kind: args.kind.or(preset.kind),
            bindings: args.bindings.or(preset.bindings),
            warmup: args.warmup.or(preset.warmup),
            messages: args.messages.or(preset.messages),
            drain: args.drain.or(preset.drain),
            connections_only: args.connections_only.or(preset.connections_only),
            declare_only: args.declare_only.or(preset.declare_only),
            ..args
        }
    }

    fn preset(self) -> Args {
        let transient = |size| Args { size: Some(size), auto_ack: Some(true), ..Args::default() };
        let confirmed = |size, window| Args {
            size: Some(size),
            persistent: Some(true),
            durable: Some(true),
            confirms: Some(window),
            prefetch: Some(1_000),
            ack_every: Some(100),
            ..Args::default()
        };
        match self {
            Self::A => transient(16),
            Self::B => transient(1_024),
            Self::C => confirmed(1_024, 1_000),
            Self::D => confirmed(16, 1_000),
            Self::E => Args {
                messages: Some(1_000_000),
                warmup: Some(Duration::ZERO),
                drain: Some(true),
                auto_ack: Some(true),
                ..confirmed(1_024, 1_000)
            },
            Self::F => Args {
                kind: Some(ExchangeKind::Fanout),
                queues: Some(10),
                consumers: Some(10),
                ..confirmed(1_024, 1_000)
            },
            Self::G => {
                Args { kind: Some(ExchangeKind::Topic), bindings: Some(10_000), ..transient(16) }
            }
            Self::H => Args { rate: Some(2_000), ..confirmed(1_024, 1_000) },
            Self::I => Args { connections_only: Some(5_000), ..Args::default() },
            Self::J => Args {
                declare_only: Some(true),
                kind: Some(ExchangeKind::Direct),
                queues: Some(10_000),
                durable: Some(true),
                ..Args::default()
            },
            Self::K => confirmed(1_024, 1),
        }
    }
}
