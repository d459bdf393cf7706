//! Declares the exchange, the queues and the bindings of a run, and deletes those that it made. Used
//! by `run`, over a connection of its own.

use std::time::Instant;

use amq_protocol::protocol::{AMQPClass, exchange, queue};
use amq_protocol::types::FieldTable;

use crate::error::Error;
use crate::handshake;
use crate::latency::Latency;
use crate::link::{CHANNEL, Link};
use crate::plan::Plan;

const NOT_FOUND: u16 = 404;

/// The bindings of `--bindings` go to this many queues at most.
const MAX_FILLER_QUEUES: u32 = 100;

/// What the run made, and the connection it was made over.
#[derive(Debug)]
pub(crate) struct Topology {
    link: Link,
    exchange: Option<String>,
    queues: Vec<String>,
    /// Queues whose bindings must never match.
    fillers: Vec<String>,
    /// How long each `queue.declare` took.
    pub(crate) declare_latency: Latency,
    /// How long each `queue.bind` took.
    pub(crate) bind_latency: Latency,
}

/// What deleting showed.
#[derive(Debug, Default)]
pub(crate) struct Removed {
    /// Queues deleted.
    pub(crate) queues: u64,
    /// Messages in queues that should have got none.
    pub(crate) misrouted: u64,
}

impl Topology {
    /// Nothing made yet.
    pub(crate) fn new(link: Link) -> Self {
        Self {
            link,
            exchange: None,
            queues: Vec::new(),
            fillers: Vec::new(),
            declare_latency: Latency::new(),
            bind_latency: Latency::new(),
        }
    }

    /// What the broker calls itself.
    pub(crate) fn server(&self) -> &str {
        &self.link.server
    }

    /// Makes what the plan names and does not exist yet. Whatever it made before an error is deleted
    /// by `remove` all the same.
    pub(crate) async fn declare(&mut self, plan: &Plan) -> Result<(), Error> {
        if !plan.exchange.is_empty() {
            self.declare_exchange(plan).await?;
        }
        for name in &plan.queues {
            if !plan.queue_named || !self.queue_exists(name).await? {
                self.declare_queue(name, plan.durable, &plan.arguments).await?;
                self.queues.push(name.clone());
            }
            if !plan.exchange.is_empty() {
                let started = Instant::now();
                self.bind(name, plan, plan.binding_key(name), false).await?;
                self.bind_latency.record(micros_since(started), 1);
            }
        }
        self.declare_fillers(plan).await
    }

    async fn declare_exchange(&mut self, plan: &Plan) -> Result<(), Error> {
        let declare = |passive| exchange::Declare {
            exchange: plan.exchange.as_str().into(),
            kind: plan.kind.name().into(),
            passive,
            durable: plan.durable,
            ..Default::default()
        };
        if plan.exchange_named && self.exists(exchange_method(declare(true))).await? {
            return Ok(());
        }
        self.call(exchange_method(declare(false)), "exchange.declare").await?;
        self.exchange = Some(plan.exchange.clone());
        Ok(())
    }

    async fn queue_exists(&mut self, name: &str) -> Result<bool, Error> {
        let declare = queue::Declare { queue: name.into(), passive: true, ..Default::default() };
        self.exists(AMQPClass::Queue(queue::AMQPMethod::Declare(declare))).await
    }

    /// Whether a passive declaration succeeds. The broker closes the channel if it does not.
    async fn exists(&mut self, passive: AMQPClass) -> Result<bool, Error> {
        match self.call(passive, "a passive declaration").await {
            Ok(_) => Ok(true),
            Err(Error::ChannelClosed { code: NOT_FOUND, .. }) => {
                handshake::open_channel(&mut self.link).await?;
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    async fn declare_queue(
        &mut self,
        name: &str,
        durable: bool,
        arguments: &FieldTable,
    ) -> Result<(), Error> {
        let arguments = arguments.clone();
        let declare =
            queue::Declare { queue: name.into(), durable, arguments, ..Default::default() };
        let started = Instant::now();
        let method = AMQPClass::Queue(queue::AMQPMethod::Declare(declare));
        self.call(method, "queue.declare").await?;
        self.declare_latency.record(micros_since(started), 1);
        Ok(())
    }

    async fn bind(
        &mut self,
        name: &str,
        plan: &Plan,
        key: &str,
        nowait: bool,
    ) -> Result<(), Error> {
        let bind = queue::Bind {
            queue: name.into(),
            exchange: plan.exchange.as_str().into(),
            routing_key: key.into(),
            nowait,
            arguments: FieldTable::default(),
        };
        let method = AMQPClass::Queue(queue::AMQPMethod::Bind(bind));
        if nowait {
            return self.link.send(CHANNEL, method).await;
        }
        self.call(method, "queue.bind").await.map(|_| ())
    }

    /// The bindings that make topic matching work for its money.
    async fn declare_fillers(&mut self, plan: &Plan) -> Result<(), Error> {
        let count = plan.bindings.min(MAX_FILLER_QUEUES);
        for number in 0..count {
            let name = format!("leveret-perf-{:04x}-filler-{number}", plan.run_tag);
            self.declare_queue(&name, plan.durable, &FieldTable::default()).await?;
            self.fillers.push(name);
        }
        let key = plan.publish_key(0);
        for number in 0..plan.bindings {
            let Some(queue) = self.fillers.get((number % count) as usize).cloned() else {
                break;
            };
            // Unanswered but for the last: its answer comes after all of them took effect.
            let last = number + 1 == plan.bindings;
            self.bind(&queue, plan, &filler_pattern(key, number), !last).await?;
        }
        Ok(())
    }

    /// Deletes what `declare` made.
    pub(crate) async fn remove(mut self) -> Result<Removed, Error> {
        let mut removed = Removed::default();
        for name in std::mem::take(&mut self.queues) {
            self.delete_queue(&name).await?;
            removed.queues += 1;
        }
        for name in std::mem::take(&mut self.fillers) {
            removed.misrouted += self.delete_queue(&name).await?;
        }
        if let Some(name) = self.exchange.take() {
            let delete = exchange::Delete { exchange: name.as_str().into(), ..Default::default() };
            let method = AMQPClass::Exchange(exchange::AMQPMethod::Delete(delete));
            self.call(method, "exchange.delete").await?;
        }
        self.link.close().await?;
        Ok(removed)
    }

    /// Deletes a queue. Returns how many messages it held.
    async fn delete_queue(&mut self, name: &str) -> Result<u64, Error> {
        let delete = queue::Delete { queue: name.into(), ..Default::default() };
        let method = AMQPClass::Queue(queue::AMQPMethod::Delete(delete));
        match self.call(method, "queue.delete").await? {
            AMQPClass::Queue(queue::AMQPMethod::DeleteOk(ok)) => Ok(u64::from(ok.message_count)),
            _ => Ok(0),
        }
    }

    /// Sends a method and takes the next method on the channel as its answer: nothing else is sent
    /// to a channel that neither publishes nor consumes.
    async fn call(&mut self, method: AMQPClass, what: &'static str) -> Result<AMQPClass, Error> {
        self.link.call(CHANNEL, method, what, |_| true).await
    }
}

fn exchange_method(declare: exchange::Declare) -> AMQPClass {
    AMQPClass::Exchange(exchange::AMQPMethod::Declare(declare))
}

fn micros_since(started: Instant) -> u64 {
    u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX)
}

/// One of many patterns with `*` and `#` in varied places that do not match `key`, though they share
/// words with it.
fn filler_pattern(key: &str, number: u32) -> String {
    let first = key.split('.').next().unwrap_or_default();
    match number % 4 {
        0 => format!("{first}.*.filler{number}"),
        1 => format!("#.filler{number}"),
        2 => format!("{first}.filler{number}.#"),
        _ => format!("*.filler{number}.*"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filler_patterns_differ_and_use_both_wildcards() {
        let patterns: Vec<String> = (0..4).map(|number| filler_pattern("a.b.c", number)).collect();
        assert_eq!(patterns, ["a.*.filler0", "#.filler1", "a.filler2.#", "*.filler3.*"]);
    }
}
