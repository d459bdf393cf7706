//! A run from the options to the exit status: declare, drive, clean up, report.

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use crate::args::Args;
use crate::error::Error;
use crate::handshake;
use crate::idle;
use crate::latency::Latency;
use crate::load;
use crate::plan::{Mode, Plan};
use crate::relay;
use crate::report::{Percentiles, Report, Steps, grouped};
use crate::shared::Shared;
use crate::summary::{self, per_second};
use crate::text;
use crate::topology::{Removed, Topology};

/// Does what `args` say, prints the report on standard output and returns the exit status: 0 if all
/// went well, 1 if the broker lost, doubled or reordered messages, 2 if the run could not be done.
///
/// Starts event loops of its own, so it must not be called from within a tokio runtime.
pub fn run(args: Args) -> ExitCode {
    let json = args.json;
    let outcome = match args.relay {
        Some(address) => {
            raise_file_limit();
            relay::run(address).map(|()| 0)
        }
        None => measure(args).and_then(|report| print(&report, json).map(|()| report.status())),
    };
    match outcome {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            // Without standard error there is nobody to tell.
            let _nobody = writeln!(io::stderr(), "leveret perf: {error}");
            ExitCode::from(2)
        }
    }
}

/// Does what `args` say, and returns what it found out instead of printing it.
///
/// # Errors
///
/// If the run could not be started: contradictory options, no connection, a queue that cannot be
/// declared. What ends a run once it has started is in [`Report::error`].
pub fn measure(args: Args) -> Result<Report, Error> {
    let plan = Plan::new(args)?;
    raise_file_limit();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let report = runtime.block_on(drive(plan));
    // A handshake that is still under way must not hold up the end.
    runtime.shutdown_background();
    report
}

async fn drive(plan: Plan) -> Result<Report, Error> {
    let mut topology = Topology::new(handshake::connect(&plan.uri, "leveret perf").await?);
    let mut report = Report {
        broker: match topology.server() {
            "" => "An AMQP 0-9-1 broker".to_owned(),
            name => name.to_owned(),
        },
        uri: plan.uri.to_string(),
        scenario: plan.scenario.map(|scenario| format!("{scenario:?}")),
        load: describe(&plan),
        ..Report::default()
    };
    if !plan.quiet {
        // Progress that nobody can read is no reason to stop.
        let _unread = writeln!(io::stderr(), "{} at {}: {}", report.broker, plan.uri, report.load);
    }
    let plan_to_clean = plan.clone();
    let driven = match plan.mode {
        Mode::Idle(count) => idle::run(&plan, count, &mut report).await,
        Mode::Declare => declare(&mut topology, &plan, &mut report).await,
        Mode::Load => load(&mut topology, plan, &mut report).await,
    };
    let removed = clean_up(topology, &plan_to_clean, &mut report).await;
    driven.map_err(explained)?;
    removed?;
    Ok(report)
}

async fn load(topology: &mut Topology, plan: Plan, report: &mut Report) -> Result<(), Error> {
    topology.declare(&plan).await?;
    let outcome = load::run(Arc::new(Shared::new(plan))).await?;
    summary::fill(report, &outcome);
    Ok(())
}

async fn declare(topology: &mut Topology, plan: &Plan, report: &mut Report) -> Result<(), Error> {
    let started = Instant::now();
    topology.declare(plan).await?;
    report.measured_s = started.elapsed().as_secs_f64();
    report.declared = steps(&topology.declare_latency);
    report.bound = steps(&topology.bind_latency);
    Ok(())
}

/// Steps that were made one after the other: their rate follows from how long each took.
fn steps(latency: &Latency) -> Option<Steps> {
    let count = latency.count();
    (count > 0).then(|| Steps {
        count,
        per_second: per_second(count, latency.total_us() as f64 / 1e6),
        latency: Percentiles::of(latency),
    })
}

/// Deletes what was declared, unless it is to be kept. That it fails is news only after a run that
/// went well.
async fn clean_up(topology: Topology, plan: &Plan, report: &mut Report) -> Result<(), Error> {
    if plan.keep {
        return Ok(());
    }
    let started = Instant::now();
    let Removed { queues, misrouted } = match topology.remove().await {
        Ok(removed) => removed,
        Err(_) if report.error.is_some() => return Ok(()),
        Err(error) => return Err(error),
    };
    if let Some(verification) = &mut report.verification {
        verification.misrouted = misrouted;
    }
    if plan.mode == Mode::Declare {
        let per_second = per_second(queues, started.elapsed().as_secs_f64());
        report.deleted = Some(Steps { count: queues, per_second, latency: None });
    }
    Ok(())
}

/// What is run, in words.
fn describe(plan: &Plan) -> String {
    let some = |count: u64, what: &str| {
        format!("{} {what}{}", grouped(count), if count == 1 { "" } else { "s" })
    };
    let durable = if plan.durable { "durable " } else { "" };
    let queues = some(plan.queues.len() as u64, &format!("{durable}queue"));
    let exchange = match plan.exchange.as_str() {
        "" => String::new(),
        _ => format!(" on a {} exchange", plan.kind.name()),
    };
    match plan.mode {
        Mode::Idle(count) => return some(u64::from(count), "idle connection"),
        Mode::Declare => return format!("declare {queues}{exchange}"),
        Mode::Load => {}
    }
    let mut parts = vec![
        some(u64::from(plan.publishers), "publisher"),
        some(u64::from(plan.consumers), "consumer"),
        format!("{queues}{exchange}"),
    ];
    if plan.bindings > 0 {
        parts.push(some(u64::from(plan.bindings), "other binding"));
    }
    if plan.publishers > 0 {
        let mode = if plan.persistent { "persistent" } else { "transient" };
        parts.push(format!("{} B {mode}", grouped(plan.size as u64)));
        parts.push(match plan.confirms {
            0 => "no confirms".to_owned(),
            window => format!("{} unconfirmed at most", grouped(u64::from(window))),
        });
    }
    if plan.rate > 0 {
        parts.push(format!("{}/s each", grouped(u64::from(plan.rate))));
    }
    if plan.consumers > 0 {
        parts.push(match (plan.auto_ack, plan.prefetch) {
            (true, _) => "auto-ack".to_owned(),
            (false, prefetch) => {
                format!("prefetch {}, ack every {}", grouped(prefetch.into()), plan.ack_every)
            }
        });
    }
    if plan.drain {
        parts.push("consumed when all is published".to_owned());
    }
    parts.join(", ")
}

/// Adds what to do about it, where that is known.
fn explained(error: Error) -> Error {
    let advise = |text: String| match text.contains("transient_nonexcl_queues") {
        true => format!("{text} (this broker wants durable queues: add --durable)"),
        false => text,
    };
    match error {
        Error::ConnectionClosed { code, text } => {
            Error::ConnectionClosed { code, text: advise(text) }
        }
        Error::ChannelClosed { code, text } => Error::ChannelClosed { code, text: advise(text) },
        other => other,
    }
}

fn print(report: &Report, json: bool) -> Result<(), Error> {
    let text = match json {
        true => serde_json::to_string_pretty(report)? + "\n",
        false => text::render(report),
    };
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

/// Many connections need many file descriptors, and the usual soft limit is 1,024.
fn raise_file_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // If it cannot be raised, the connection that is one too many will say so.
    let _stays = setrlimit(Resource::Nofile, limit);
}
