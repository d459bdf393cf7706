//! Runs publishers and consumers on threads of their own and reports what becomes of them. Started by
//! `load`.

use std::num::NonZero;
use std::sync::Arc;
use std::thread;

use tokio::runtime;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;

use crate::consumer::{self, Consumer};
use crate::error::Error;
use crate::publisher::{self, Publisher};
use crate::shared::{Phase, Shared};

/// Handshakes under way at once on one thread: more would overflow a listener's backlog.
const CONNECTING_AT_ONCE: usize = 32;

/// What happened to a worker. Each sends `Ready` and one other, or only `Failed`.
#[derive(Debug)]
pub(crate) enum Event {
    /// Connected, and consuming if it is a consumer.
    Ready,
    /// A publisher is done.
    Published(publisher::Outcome),
    /// A consumer is done.
    Consumed(consumer::Outcome),
    /// A worker cannot go on; who, and why.
    Failed(String, Error),
}

#[derive(Clone, Copy, Debug)]
enum Role {
    Consumer(u16),
    Publisher(u16),
}

/// Starts all workers of the plan. The receiver ends when all of them have.
///
/// Each thread runs an event loop of its own, so that a publisher and a consumer neither share a
/// core by accident nor wake each other up through a scheduler.
pub(crate) fn start(
    shared: &Arc<Shared>,
    phase: &watch::Receiver<Phase>,
) -> Result<mpsc::UnboundedReceiver<Event>, Error> {
    let consumers = (0..shared.plan.consumers).map(Role::Consumer);
    let publishers = (0..shared.plan.publishers).map(Role::Publisher);
    let roles: Vec<Role> = consumers.chain(publishers).collect();
    let cores = thread::available_parallelism().map_or(2, NonZero::get);
    let threads = roles.len().min(cores.max(2));
    // Unbounded, yet never more than two events a worker.
    let (events, receiver) = mpsc::unbounded_channel();
    for index in 0..threads {
        let mine: Vec<Role> = roles.iter().copied().skip(index).step_by(threads).collect();
        let (shared, phase, events) = (shared.clone(), phase.clone(), events.clone());
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        thread::Builder::new()
            .name(format!("perf-{index}"))
            .spawn(move || runtime.block_on(run_all(mine, shared, phase, events)))?;
    }
    Ok(receiver)
}

async fn run_all(
    roles: Vec<Role>,
    shared: Arc<Shared>,
    phase: watch::Receiver<Phase>,
    events: mpsc::UnboundedSender<Event>,
) {
    let connecting = Arc::new(Semaphore::new(CONNECTING_AT_ONCE));
    let mut tasks = JoinSet::new();
    for role in roles {
        let (shared, phase, events) = (shared.clone(), phase.clone(), events.clone());
        let connecting = connecting.clone();
        tasks.spawn(async move {
            let last = match run_one(role, shared, phase, &events, &connecting).await {
                Ok(event) => event,
                Err(error) => Event::Failed(role.name(), error),
            };
            // Nobody listens any more only when the run was given up.
            let _given_up = events.send(last);
        });
    }
    tasks.join_all().await;
}

async fn run_one(
    role: Role,
    shared: Arc<Shared>,
    phase: watch::Receiver<Phase>,
    events: &mpsc::UnboundedSender<Event>,
    connecting: &Semaphore,
) -> Result<Event, Error> {
    let permit = connecting.acquire().await;
    match role {
        Role::Publisher(id) => {
            let publisher = Publisher::connect(shared, id).await?;
            drop(permit);
            let _given_up = events.send(Event::Ready);
            publisher.run(phase).await.map(Event::Published)
        }
        Role::Consumer(id) => {
            let consumer = Consumer::connect(shared, id).await?;
            drop(permit);
            let _given_up = events.send(Event::Ready);
            consumer.run(phase).await.map(Event::Consumed)
        }
    }
}

impl Role {
    fn name(self) -> String {
        match self {
            Self::Consumer(id) => format!("consumer {id}"),
            Self::Publisher(id) => format!("publisher {id}"),
        }
    }
}
