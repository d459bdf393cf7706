//! Queues: a pure state machine (`state.rs`) inside a task that owns it (`task.rs`), reached through a [`Queue`] handle.

pub(crate) mod arguments;
mod compact;
pub(crate) mod consumers;
pub(crate) mod delay;
mod dispatch;
mod dormancy;
pub(crate) mod dying;
mod effects;
pub(crate) mod entry;
pub(crate) mod flow;
mod groups;
mod lane;
mod mailbox;
#[cfg(test)]
mod model;
mod ready;
pub(crate) mod recovered;
pub(crate) mod retry;
pub(crate) mod rules;
pub(crate) mod sequences;
pub(crate) mod settings;
mod settling;
pub(crate) mod state;
mod task;
#[cfg(test)]
mod testing;
mod timers;
pub(crate) mod unacked;
mod view;
mod waiting;

use std::ops::RangeInclusive;
use std::sync::{Arc, OnceLock};

use amq_protocol::types::FieldTable;
use arc_swap::ArcSwap;
use leveret_persistence::{Message, MessageId, QueueId, Ticket};
use leveret_routing::Name;
use tokio::sync::oneshot;

use crate::connection::{ChannelId, ConnectionId};
use crate::limits::COMMAND_OVERHEAD_BYTES;
use crate::vhost::gate::Gate;
use crate::vhost::policy::Effective;
use consumers::{ConsumeError, ConsumerId, ConsumerSpec};
pub(crate) use dormancy::Dormancy;
use entry::Entry;
use flow::Flow;
use mailbox::Mailbox;
#[cfg(test)]
pub(crate) use mailbox::Receiver;
use rules::{Keeps, QueueType, Rules};
use sequences::Publisher;
use state::{Counts, DeleteRefusal, Got, Outcome, Room};
pub(crate) use task::start;
use unacked::DeliveryRange;

/// A queue as everyone but its own task sees it.
#[derive(Debug)]
pub(crate) struct Queue {
    pub(crate) id: QueueId,
    pub(crate) name: Name,
    pub(crate) durable: bool,
    /// Durable and not exclusive: it and its persistent messages survive a restart.
    pub(crate) stored: bool,
    pub(crate) auto_delete: bool,
    pub(crate) kind: QueueType,
    /// Whose messages it keeps; those of an exchange are kept in a queue that clients do not see.
    pub(crate) keeps: Keeps,
    /// The connection that alone may use it.
    pub(crate) owner: Option<ConnectionId>,
    pub(crate) arguments: Arc<FieldTable>,
    /// The submission that made it durable: a second declare waits for it as the first did.
    pub(crate) created: OnceLock<Ticket>,
    /// What its task goes by, for others to look at.
    pub(crate) rules: ArcSwap<Rules>,
    /// The policies that these come from.
    pub(crate) policy: ArcSwap<Effective>,
    /// Where publishers ask if it may refuse them.
    pub(crate) gate: Arc<Gate>,
    /// Whether publishers are to wait.
    pub(crate) flow: Arc<Flow>,
    pub(crate) inbox: Inbox,
    /// Whether it has a task now.
    pub(crate) dormancy: Dormancy,
}

/// The two ways to a queue's task. What publishers send may have to wait for consumers and for the store; what
/// consumers send back must never wait behind it.
#[derive(Debug)]
pub(crate) struct Inbox {
    ordered: Arc<Mailbox>,
    feedback: Arc<Mailbox>,
}

/// What may be asked of a queue's task. Every reply is a oneshot; if the queue is gone the reply never comes.
#[derive(Debug)]
pub(crate) enum Command {
    /// Published messages in id order, already handed to the store as far as they are persistent.
    Publish {
        entries: Vec<Entry>,
        /// What they cost in memory.
        bytes: usize,
    },
    Settle {
        channel: ChannelId,
        ranges: Vec<DeliveryRange>,
        outcome: Outcome,
        stored: bool,
    },
    Consume {
        spec: Box<ConsumerSpec>,
        reply: oneshot::Sender<Result<(), ConsumeError>>,
    },
    Cancel {
        id: ConsumerId,
        reply: oneshot::Sender<()>,
    },
    CloseChannel {
        channel: ChannelId,
    },
    Get {
        channel: ChannelId,
        no_ack: bool,
        reply: GetReply,
    },
    WindowFreed {
        id: ConsumerId,
        messages: u32,
        bytes: usize,
    },
    ChannelFreed {
        channel: ChannelId,
    },
    /// How much it takes, before something is published to a queue that refuses what is over its limit.
    Room {
        reply: oneshot::Sender<Room>,
    },
    /// [`Queue::rules`] have changed. It does not carry them: of two changes, the later one must not be undone by the command of
    /// the earlier one.
    FollowRules,
    /// Its ready messages, where they stay.
    Peek {
        reply: oneshot::Sender<Vec<(MessageId, Option<Message>)>>,
    },
    /// Its messages that wait for their time.
    ListWaiting {
        offset: usize,
        limit: usize,
        reply: oneshot::Sender<Vec<WaitingMessage>>,
    },
    /// What numbering publishers have sent.
    ListPublishers {
        reply: oneshot::Sender<Vec<Publisher>>,
    },
    Purge {
        reply: oneshot::Sender<usize>,
    },
    Delete {
        if_unused: bool,
        if_empty: bool,
        reply: oneshot::Sender<Result<usize, DeleteRefusal>>,
    },
    /// `used`: somebody declares it, which counts against `x-expires`.
    Status {
        used: bool,
        reply: oneshot::Sender<Status>,
    },
    /// The broker stops: remember what was delivered and end.
    Stop,
}

impl Command {
    /// What it costs in memory while it waits, in bytes.
    pub(super) fn cost(&self) -> usize {
        match self {
            Command::Publish { bytes, .. } => *bytes + COMMAND_OVERHEAD_BYTES,
            _ => COMMAND_OVERHEAD_BYTES,
        }
    }
}

/// How a queue is.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Status {
    /// Messages ready to be delivered.
    pub(crate) ready: usize,
    /// Messages delivered and not settled.
    pub(crate) unacked: usize,
    /// Messages that wait for their time.
    pub(crate) waiting: usize,
    pub(crate) consumers: usize,
    /// Bytes of body of the ready messages.
    pub(crate) ready_bytes: u64,
    /// Bytes of body of the delivered messages that are in memory.
    pub(crate) unacked_bytes: u64,
    /// What the messages cost in memory, in bytes.
    pub(crate) memory_bytes: usize,
    pub(crate) counts: Counts,
    /// What numbering publishers have sent, all together.
    pub(crate) publishers: sequences::Counts,
}

/// A message that waits for its time.
#[derive(Clone, Debug)]
pub(crate) struct WaitingMessage {
    pub(crate) id: MessageId,
    /// Milliseconds since the Unix epoch.
    pub(crate) due_ms: u64,
    /// How often it was tried.
    pub(crate) retries: u32,
}

/// Where the answer to a `basic.get` goes.
pub(crate) type GetReply = oneshot::Sender<Result<Got, Unreadable>>;

/// The message that was asked for is in the store, which cannot be read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Unreadable;

/// The queue was deleted: its task has ended, or will without looking at this command.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct QueueGone;

impl Queue {
    /// Hands a command over; waits while the inbox is full.
    pub(crate) async fn send(&self, command: Command) -> Result<(), QueueGone> {
        let inbox = match &command {
            Command::Settle { .. }
            | Command::Cancel { .. }
            | Command::CloseChannel { .. }
            | Command::WindowFreed { .. }
            | Command::ChannelFreed { .. } => &self.inbox.feedback,
            Command::Publish { .. }
            | Command::Consume { .. }
            | Command::Get { .. }
            | Command::Room { .. }
            | Command::FollowRules
            | Command::Peek { .. }
            | Command::ListWaiting { .. }
            | Command::ListPublishers { .. }
            | Command::Purge { .. }
            | Command::Delete { .. }
            | Command::Status { .. }
            | Command::Stop => &self.inbox.ordered,
        };
        inbox.send(command).await.map_err(|_| QueueGone)?;
        self.dormancy.wake();
        Ok(())
    }

    /// Hands over published messages, which cost `bytes` in memory; gives them back if the queue is gone.
    pub(crate) async fn publish(
        &self,
        entries: Vec<Entry>,
        bytes: usize,
    ) -> Result<(), Vec<Entry>> {
        let sent = self.inbox.ordered.send(Command::Publish { entries, bytes }).await;
        sent.map_err(entries_of)?;
        self.dormancy.wake();
        Ok(())
    }

    /// Hands a command over and waits for its reply.
    pub(crate) async fn ask<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<T>) -> Command,
    ) -> Result<T, QueueGone> {
        let (reply, answer) = oneshot::channel();
        self.send(command(reply)).await?;
        answer.await.map_err(|_| QueueGone)
    }

    /// How it is. `used`: somebody declares it, which counts against `x-expires`. A queue without a task need not be woken for it.
    pub(crate) async fn status(&self, used: bool) -> Result<Status, QueueGone> {
        let idle = self.dormancy.residue(|residue| Status {
            counts: residue.counts,
            publishers: residue.publisher_counts(),
            ..Status::default()
        });
        match idle {
            Some(status) => Ok(status),
            None => self.ask(|reply| Command::Status { used, reply }).await,
        }
    }

    /// Whether it has nothing to do, and so no task.
    pub(crate) fn is_dormant(&self) -> bool {
        self.dormancy.is_asleep()
    }

    /// Has its task end with all its messages, whoever uses it; one that is gone has ended already. The store is the caller's to
    /// tell.
    pub(crate) async fn end(&self) {
        let (if_unused, if_empty) = (false, false);
        self.ask(|reply| Command::Delete { if_unused, if_empty, reply }).await.ok();
    }

    /// Waits until its task has ended.
    pub(crate) async fn ended(&self) {
        self.inbox.ordered.ended().await;
    }

    /// Whether it keeps a message through a restart: a quorum queue keeps transient ones too, as in RabbitMQ.
    pub(crate) fn keeps_message(&self, persistent: bool) -> bool {
        self.stored && (persistent || self.kind == QueueType::Quorum)
    }

    /// Whether `connection` may use it: only its owner may use an exclusive queue.
    pub(crate) fn is_open_to(&self, connection: ConnectionId) -> bool {
        self.owner.is_none_or(|owner| owner == connection)
    }
}

/// Joins ids into runs; they come mostly in order.
pub(crate) fn ranges(ids: Vec<MessageId>) -> Vec<RangeInclusive<MessageId>> {
    ids.into_iter().fold(Vec::new(), extend_ranges)
}

fn extend_ranges(
    mut ranges: Vec<RangeInclusive<MessageId>>,
    id: MessageId,
) -> Vec<RangeInclusive<MessageId>> {
    match ranges.last_mut() {
        Some(last) if last.end().checked_add(1) == Some(id) => *last = *last.start()..=id,
        _ => ranges.push(id..=id),
    }
    ranges
}

fn entries_of(command: Command) -> Vec<Entry> {
    match command {
        Command::Publish { entries, .. } => entries,
        _ => Vec::new(),
    }
}

#[cfg(test)]
impl Queue {
    /// A queue without a task: what it is sent comes out at the other ends of its inbox, `ordered` and `feedback`.
    pub(crate) fn detached(id: u32) -> (Arc<Queue>, Receiver, Receiver) {
        let (ordered, ordered_commands) = Mailbox::new(8 * COMMAND_OVERHEAD_BYTES);
        let (feedback, feedback_commands) = Mailbox::new(8 * COMMAND_OVERHEAD_BYTES);
        let queue = Queue {
            id: QueueId(id),
            name: format!("queue-{id}").as_str().into(),
            durable: false,
            stored: false,
            auto_delete: false,
            kind: QueueType::Classic,
            keeps: Keeps::ForClients,
            owner: None,
            arguments: Arc::default(),
            created: OnceLock::new(),
            rules: ArcSwap::default(),
            policy: ArcSwap::default(),
            gate: Arc::new(Gate::open(u64::from(id))),
            flow: Arc::default(),
            inbox: Inbox { ordered, feedback },
            dormancy: Dormancy::default(),
        };
        (Arc::new(queue), ordered_commands, feedback_commands)
    }
}
