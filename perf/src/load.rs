//! Conducts a run of publishers and consumers: moves it from phase to phase, notices when nothing
//! moves, and gathers the outcomes. Called by `run`; `summary` turns the result into a report.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::MissedTickBehavior;

use crate::consumer;
use crate::error::Error;
use crate::ledger::Ledger;
use crate::plan::Plan;
use crate::process;
use crate::progress::Progress;
use crate::publisher;
use crate::shared::{Phase, Shared};
use crate::workers::{self, Event};

/// How often the phases are looked at. Ends of measurements are this exact, and measured.
const TICK: Duration = Duration::from_millis(20);

/// How long consumers may take to say goodbye.
const GOODBYE_US: u64 = 5_000_000;

/// The counters at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Snapshot {
    pub(crate) at_us: u64,
    pub(crate) published: u64,
    pub(crate) confirmed: u64,
    pub(crate) delivered: u64,
    pub(crate) own_cpu: Option<Duration>,
    pub(crate) broker_cpu: Option<Duration>,
}

impl Snapshot {
    /// The counters now.
    pub(crate) fn take(shared: &Shared) -> Self {
        Self {
            at_us: shared.clock.now_us(),
            published: shared.published.count(),
            confirmed: shared.confirmed.count(),
            delivered: shared.delivered.count(),
            own_cpu: process::cpu_time(None),
            broker_cpu: shared.plan.broker_pid.and_then(|pid| process::cpu_time(Some(pid))),
        }
    }
}

/// Everything a run showed.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) shared: Arc<Shared>,
    /// When measuring began and ended, if it did.
    pub(crate) began: Option<Snapshot>,
    pub(crate) ended: Option<Snapshot>,
    /// When consumers were let loose on what was published.
    pub(crate) drain_began: Option<Snapshot>,
    /// When the last delivery was counted.
    pub(crate) finished: Snapshot,
    pub(crate) publishers: Vec<publisher::Outcome>,
    pub(crate) consumers: Vec<consumer::Outcome>,
    /// What ended the run early.
    pub(crate) error: Option<Error>,
}

struct Conductor {
    shared: Arc<Shared>,
    phase: watch::Sender<Phase>,
    /// When the phase began.
    since_us: u64,
    ready: usize,
    /// The sum of the counters when it last changed, and when that was.
    progress: (u64, u64),
    interrupted: bool,
    outcome: Outcome,
}

/// Runs the plan's publishers and consumers to the end.
pub(crate) async fn run(shared: Arc<Shared>) -> Result<Outcome, Error> {
    let (phase, phase_receiver) = watch::channel(Phase::Connecting);
    let mut events = workers::start(&shared, &phase_receiver)?;
    drop(phase_receiver);
    let finished = Snapshot::take(&shared);
    let mut conductor = Conductor {
        phase,
        since_us: finished.at_us,
        ready: 0,
        progress: (0, finished.at_us),
        interrupted: false,
        outcome: Outcome {
            shared: shared.clone(),
            began: None,
            ended: None,
            drain_began: None,
            finished,
            publishers: Vec::new(),
            consumers: Vec::new(),
            error: None,
        },
        shared,
    };
    conductor.conduct(&mut events).await;
    Ok(conductor.outcome)
}

impl Conductor {
    async fn conduct(&mut self, events: &mut mpsc::UnboundedReceiver<Event>) {
        let mut progress = Progress::new(&self.shared);
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                event = events.recv() => match event {
                    Some(event) => self.on_event(event),
                    None => return,
                },
                _ = tick.tick() => {}
                _ = tokio::signal::ctrl_c() => self.on_interrupt(),
            }
            self.advance();
            let phase = *self.phase.borrow();
            progress.show(phase);
            let waited = self.shared.clock.now_us().saturating_sub(self.since_us);
            if phase == Phase::Finished && waited > GOODBYE_US {
                return;
            }
        }
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::Ready => self.ready += 1,
            Event::Published(outcome) => self.outcome.publishers.push(outcome),
            Event::Consumed(outcome) => self.outcome.consumers.push(outcome),
            Event::Failed(who, error) => self.fail(named(&who, error)),
        }
    }

    /// The first interrupt ends publishing, the second everything.
    fn on_interrupt(&mut self) {
        if self.interrupted || *self.phase.borrow() == Phase::Connecting {
            self.fail(Error::Interrupted);
        } else if *self.phase.borrow() < Phase::Settling {
            self.enter(Phase::Settling);
        }
        self.interrupted = true;
    }

    /// The first error ends the run; what follows from it is not news.
    fn fail(&mut self, error: Error) {
        self.outcome.error.get_or_insert(error);
        self.enter(Phase::Finished);
    }

    /// Goes on to the next phase once this one has what it waits for.
    fn advance(&mut self) {
        let now_us = self.shared.clock.now_us();
        let elapsed = Duration::from_micros(now_us.saturating_sub(self.since_us));
        let plan = &self.shared.plan;
        let workers = usize::from(plan.publishers) + usize::from(plan.consumers);
        let all_published = self.outcome.publishers.len() == usize::from(plan.publishers);
        let phase = *self.phase.borrow();
        let next = match phase {
            Phase::Connecting if self.ready == workers && plan.warmup.is_zero() => Phase::Measuring,
            Phase::Connecting if self.ready == workers => Phase::Warmup,
            Phase::Warmup if elapsed >= plan.warmup => Phase::Measuring,
            Phase::Measuring if plan.publishers > 0 && all_published => Phase::Settling,
            Phase::Measuring if plan.duration.is_some_and(|limit| elapsed >= limit) => {
                Phase::Settling
            }
            Phase::Settling if all_published => Phase::Draining,
            Phase::Draining if self.is_complete() => Phase::Finished,
            Phase::Connecting
            | Phase::Warmup
            | Phase::Measuring
            | Phase::Settling
            | Phase::Draining
            | Phase::Finished => return self.check_progress(phase, now_us),
        };
        self.enter(next);
    }

    fn enter(&mut self, phase: Phase) {
        if *self.phase.borrow() >= phase {
            return;
        }
        let snapshot = Snapshot::take(&self.shared);
        match phase {
            Phase::Measuring => self.outcome.began = Some(snapshot),
            Phase::Settling => self.outcome.ended = Some(snapshot),
            Phase::Draining => self.outcome.drain_began = Some(snapshot),
            Phase::Finished => self.outcome.finished = snapshot,
            Phase::Connecting | Phase::Warmup => {}
        }
        self.since_us = snapshot.at_us;
        self.progress.1 = snapshot.at_us;
        self.phase.send_replace(phase);
    }

    /// Ends what does not move and has no other end.
    fn check_progress(&mut self, phase: Phase, now_us: u64) {
        let shared = &self.shared;
        let sum = shared.published.count() + shared.confirmed.count() + shared.delivered.count();
        if sum != self.progress.0 {
            self.progress = (sum, now_us);
        }
        let still = Duration::from_micros(now_us.saturating_sub(self.progress.1));
        if still < shared.plan.timeout {
            return;
        }
        let seconds = shared.plan.timeout.as_secs_f64();
        let unconfirmed = shared.published.count().saturating_sub(shared.confirmed.count());
        match phase {
            Phase::Measuring if shared.plan.duration.is_none() => {
                self.fail(Error::Stalled(format!(
                    "nothing was published, confirmed or delivered for {seconds} s: is the broker \
                 blocking publishers (memory or disk alarm)?"
                )))
            }
            Phase::Settling if shared.plan.confirms > 0 => self.fail(Error::Stalled(format!(
                "{unconfirmed} messages were not confirmed, and none for {seconds} s"
            ))),
            Phase::Settling => self.fail(Error::Stalled(format!(
                "the broker did not take everything that was published, and nothing for {seconds} s"
            ))),
            // What has not arrived by now counts as lost.
            Phase::Draining => self.enter(Phase::Finished),
            Phase::Connecting | Phase::Warmup | Phase::Measuring | Phase::Finished => {}
        }
    }

    /// Whether every consumed queue has given all it should.
    fn is_complete(&self) -> bool {
        let complete = |queue: usize, ledger: &Ledger| {
            let mut fed_by = feeding(&self.shared.plan, queue, &self.outcome.publishers);
            fed_by.all(|publisher| ledger.is_complete(publisher.id, &publisher.account))
        };
        self.shared
            .ledgers
            .iter()
            .enumerate()
            .all(|(queue, ledger)| ledger.lock().is_ok_and(|ledger| complete(queue, &ledger)))
    }
}

/// The publishers whose messages are routed to the queue at position `queue`.
pub(crate) fn feeding<'a>(
    plan: &'a Plan,
    queue: usize,
    publishers: &'a [publisher::Outcome],
) -> impl Iterator<Item = &'a publisher::Outcome> {
    publishers.iter().filter(move |publisher| plan.feeds(publisher.id, queue))
}

/// Says whose trouble it is, where that is not plain.
fn named(who: &str, error: Error) -> Error {
    match error {
        Error::Protocol(what) => Error::Protocol(format!("{what} ({who})")),
        other => other,
    }
}
