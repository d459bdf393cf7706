//! The load tool behind `leveret perf`: drives any AMQP 0-9-1 broker, checks that everything comes
//! back once and in order, and reports rates and latencies. The binary's subcommand calls [`run`];
//! benchmarks call [`measure`] and read the [`Report`].
//!
//! The way through the code: [`Args`] and `scenario` become a `plan`; `run` has `topology` declare
//! it and `load` conduct it from phase to phase; `workers` run each `publisher` and `consumer` over a
//! `link` of its own; `summary` makes the report that `text` or JSON shows. On the hot path there are
//! `template` (publishes encoded ahead), `frames` (deliveries read by offset), `confirms` and `ledger`
//! (every number accounted for, at a bit each or less).

mod args;
mod clock;
mod confirms;
mod consumer;
mod content;
mod error;
mod frames;
mod handshake;
mod idle;
mod latency;
mod ledger;
mod link;
mod load;
mod pacer;
mod plan;
mod process;
mod progress;
mod publisher;
mod relay;
mod report;
mod run;
mod scenario;
mod seqset;
mod shared;
mod stamp;
mod summary;
mod template;
mod text;
mod topology;
mod uri;
mod workers;

pub use args::{Args, ExchangeKind};
pub use error::Error;
pub use report::{Loss, Percentiles, Rate, Report, Steps, Verification};
pub use run::{measure, run};
pub use scenario::Scenario;
pub use uri::Uri;
