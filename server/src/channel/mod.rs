//! A channel: what a connection remembers of one (`mod.rs` and the pure parts beside it), and what it does with each method
//! of each class (`basic.rs`, `exchange.rs`, `queue.rs`, `modes.rs`).

pub(crate) mod basic;
pub(crate) mod confirms;
mod consume;
pub(crate) mod content;
mod exchange;
mod modes;
pub(crate) mod publish;
mod queue;
pub(crate) mod settle;
pub(crate) mod tx;
pub(crate) mod unacked;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use foldhash::fast::RandomState;

use crate::connection::ChannelId;
use crate::connections::OpenChannel;
use crate::protocol::Fault;
use crate::queue::Queue;
use crate::queue::consumers::{ChannelLimit, ConsumerId};
use crate::vhost::refusals;
use crate::vhost::reply_to::ReplyAddress;
use confirms::Confirms;
use content::Assembly;
use tx::Tx;
use unacked::Outstanding;

/// One channel.
#[derive(Debug)]
pub(crate) struct Channel {
    pub(crate) id: ChannelId,
    pub(crate) assembly: Assembly,
    pub(crate) mode: Mode,
    pub(crate) outstanding: Outstanding,
    pub(crate) consumers: HashMap<Arc<str>, Consumer, RandomState>,
    pub(crate) reply_consumer: Option<ReplyConsumer>,
    /// What `basic.qos` gives to consumers that are made from now on; 0 = no limit.
    pub(crate) prefetch: u16,
    /// What `basic.qos` with `global` limits.
    pub(crate) limit: Arc<ChannelLimit>,
    /// What an empty queue name means.
    last_queue: Option<String>,
    /// Its place in its user's count.
    _counted: OpenChannel,
}

/// Confirm and transaction mode exclude each other.
#[derive(Debug)]
pub(crate) enum Mode {
    Plain,
    Confirm(Confirms),
    Tx(Tx),
}

/// A consumer as its channel sees it.
#[derive(Debug)]
pub(crate) struct Consumer {
    pub(crate) id: ConsumerId,
    pub(crate) queue: Arc<Queue>,
    /// Taken from the outbox and not yet told to the queue.
    pub(crate) freed_messages: u32,
    pub(crate) freed_bytes: usize,
}

/// The channel's consumer of direct replies.
#[derive(Debug)]
pub(crate) struct ReplyConsumer {
    pub(crate) tag: Arc<str>,
    pub(crate) address: ReplyAddress,
}

impl Channel {
    pub(crate) fn new(id: ChannelId, counted: OpenChannel) -> Channel {
        Channel {
            id,
            assembly: Assembly::Idle,
            mode: Mode::Plain,
            outstanding: Outstanding::default(),
            consumers: HashMap::default(),
            reply_consumer: None,
            prefetch: 0,
            limit: Arc::default(),
            last_queue: None,
            _counted: counted,
        }
    }

    /// A queue name as RabbitMQ expands it: empty means the last queue declared on this channel.
    pub(crate) fn queue_name(&self, name: &str) -> Result<String, Fault> {
        match (name, &self.last_queue) {
            ("", None) => Err(refusals::no_previously_declared_queue()),
            ("", Some(last)) => Ok(last.clone()),
            (name, _) => Ok(clean_name(name)),
        }
    }

    /// Remembers the queue that empty names mean from now on.
    pub(crate) fn declared(&mut self, queue: &str) {
        self.last_queue = Some(queue.to_owned());
    }

    /// The queues that know this channel: those it consumes from and those it owes an answer.
    pub(crate) fn queues(&mut self) -> Vec<Arc<Queue>> {
        let consumed = self.consumers.values().map(|consumer| Arc::clone(&consumer.queue));
        let mut queues: Vec<_> = consumed.collect();
        queues.extend(self.outstanding.take_all().into_iter().map(|unsettled| unsettled.queue));
        if let Mode::Tx(tx) = &mut self.mode {
            queues.extend(tx.take_settled().into_iter().map(|unsettled| unsettled.queue));
        }
        let mut seen = HashSet::new();
        queues.retain(|queue| seen.insert(queue.id));
        queues
    }
}

/// A name as RabbitMQ takes it: without line ends.
pub(crate) fn clean_name(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, '\r' | '\n')).collect()
}
