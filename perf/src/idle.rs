//! `--connections-only`: opens connections with a channel each and holds them. Called by `run`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use amq_protocol::protocol::AMQPClass;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;

use crate::error::Error;
use crate::handshake;
use crate::latency::Latency;
use crate::link::{self, Link};
use crate::plan::Plan;
use crate::process;
use crate::report::{Percentiles, Report, Steps};
use crate::summary::per_second;

/// Handshakes under way at once.
const CONNECTING_AT_ONCE: usize = 64;

/// What the connections share.
#[derive(Debug)]
struct Pool {
    plan: Plan,
    connecting: Semaphore,
    opened: AtomicU64,
    /// Set when they are to be closed.
    over: watch::Receiver<bool>,
    /// How long each connection took to open, or why it failed or ended.
    events: mpsc::UnboundedSender<Result<Duration, Error>>,
}

/// Opens `count` connections, holds them for the plan's duration and closes them. Fills `report` with
/// how fast they opened.
pub(crate) async fn run(plan: &Plan, count: u32, report: &mut Report) -> Result<(), Error> {
    let (over_sender, over) = watch::channel(false);
    // Unbounded, yet at most two events a connection.
    let (events, mut receiver) = mpsc::unbounded_channel();
    let pool = Arc::new(Pool {
        plan: plan.clone(),
        connecting: Semaphore::new(CONNECTING_AT_ONCE),
        opened: AtomicU64::new(0),
        over,
        events,
    });
    let started = Instant::now();
    let mut tasks = JoinSet::new();
    for number in 0..count {
        tasks.spawn(hold(pool.clone(), number));
    }
    let mut latency = Latency::new();
    let opening = async {
        for _ in 0..count {
            let Some(event) = receiver.recv().await else {
                break;
            };
            latency.record(u64::try_from(event?.as_micros()).unwrap_or(u64::MAX), 1);
        }
        Ok(())
    };
    let opened = tokio::select! {
        opened = opening => opened,
        () = show_progress(&pool) => Ok(()),
        _ = tokio::signal::ctrl_c() => Err(Error::Interrupted),
    };
    let opened_count = pool.opened.load(Ordering::Relaxed);
    report.connections = Some(Steps {
        count: opened_count,
        per_second: per_second(opened_count, started.elapsed().as_secs_f64()),
        latency: Percentiles::of(&latency),
    });
    opened?;
    let held = tokio::select! {
        event = receiver.recv() => match event {
            Some(Err(error)) => Err(error),
            Some(Ok(_)) | None => Ok(()),
        },
        () = tokio::time::sleep(plan.duration.unwrap_or_default()) => Ok(()),
        _ = tokio::signal::ctrl_c() => Ok(()),
    };
    report.broker_peak_memory = plan.broker_pid.and_then(process::peak_memory);
    over_sender.send_replace(true);
    if held.is_ok() {
        tasks.join_all().await;
    }
    held
}

/// One connection's life.
async fn hold(pool: Arc<Pool>, number: u32) {
    let permit = pool.connecting.acquire().await;
    let started = Instant::now();
    let name = format!("leveret perf idle {number}");
    let mut link = match handshake::connect(&pool.plan.uri, &name).await {
        Ok(link) => link,
        Err(error) => {
            let _given_up = pool.events.send(Err(error));
            return;
        }
    };
    drop(permit);
    pool.opened.fetch_add(1, Ordering::Relaxed);
    let _given_up = pool.events.send(Ok(started.elapsed()));
    let mut over = pool.over.clone();
    let ended = tokio::select! {
        // An error means that the run is gone, which is an end as well.
        _ = over.wait_for(|over| *over) => Ok(()),
        error = watch_over(&mut link) => Err(error),
    };
    match ended {
        Ok(()) => {
            let _politeness = link.close().await;
        }
        Err(error) => {
            let _given_up = pool.events.send(Err(error));
        }
    }
}

/// Answers heartbeats until the connection ends.
async fn watch_over(link: &mut Link) -> Error {
    loop {
        let read = link.turn().await.and_then(|_| {
            while let Some(frame) = link.input.next()? {
                if let link::Notice::Answer(AMQPClass::Basic(method)) =
                    link::interpret(frame, &mut link.output)?
                {
                    return Err(Error::Protocol(format!("{method:?} to an idle connection")));
                }
            }
            Ok(())
        });
        if let Err(error) = read {
            return link.give_up(error).await;
        }
    }
}

/// Never ends.
async fn show_progress(pool: &Pool) {
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    tick.tick().await;
    loop {
        tick.tick().await;
        if !pool.plan.quiet {
            use std::io::Write;
            let opened = pool.opened.load(Ordering::Relaxed);
            // Progress that nobody can read is no reason to stop.
            let _unread = writeln!(std::io::stderr(), "{opened} connections open");
        }
    }
}
