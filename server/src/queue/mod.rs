//! Queues: a pure state machine (`state.rs`) inside a task that owns it (`task.rs`), reached through a [`Queue`] handle.

pub(crate) mod arguments;
pub(crate) mod consumers;
pub(crate) mod flow;
pub(crate) mod groups;
#[cfg(test)]
mod model;
pub(crate) mod ready;
pub(crate) mod retry;
pub(crate) mod sequences;
pub(crate) mod state;
mod task;
pub(crate) mod unacked;

use std::sync::{Arc, OnceLock};

use amq_protocol::types::FieldTable;
use leveret_persistence::{QueueId, Ticket};
use leveret_routing::Name;
use tokio::sync::{mpsc, oneshot};

use crate::connection::{ChannelId, ConnectionId};
use consumers::{ConsumeError, ConsumerId, ConsumerSpec};
use flow::Flow;
use ready::Entry;
use state::{DeleteRefusal, Got, Outcome};
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
    /// The connection that alone may use it.
    pub(crate) owner: Option<ConnectionId>,
    pub(crate) arguments: Arc<FieldTable>,
    /// The submission that made it durable: a second declare waits for it as the first did.
    pub(crate) created: OnceLock<Ticket>,
    /// Whether publishers are to wait.
    pub(crate) flow: Arc<Flow>,
    pub(crate) inbox: Inbox,
}

/// The two ways to a queue's task. What publishers send may have to wait for consumers and for the store; what
/// consumers send back must never wait behind it.
#[derive(Debug)]
pub(crate) struct Inbox {
    ordered: mpsc::Sender<Command>,
    feedback: mpsc::Sender<Command>,
}

/// What may be asked of a queue's task. Every reply is a oneshot; if the queue is gone the reply never comes.
#[derive(Debug)]
pub(crate) enum Command {
    /// Published messages in id order, already handed to the store as far as they are persistent.
    Publish(Vec<Entry>),
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
    Purge {
        reply: oneshot::Sender<usize>,
    },
    Delete {
        if_unused: bool,
        if_empty: bool,
        reply: oneshot::Sender<Result<usize, DeleteRefusal>>,
    },
    Status {
        reply: oneshot::Sender<Status>,
    },
    /// The broker stops: remember what was delivered and end.
    Stop,
}

/// Counts of `queue.declare-ok`.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Status {
    pub(crate) ready: usize,
    pub(crate) consumers: usize,
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
            Command::Publish(_)
            | Command::Consume { .. }
            | Command::Get { .. }
            | Command::Purge { .. }
            | Command::Delete { .. }
            | Command::Status { .. }
            | Command::Stop => &self.inbox.ordered,
        };
        inbox.send(command).await.map_err(|_| QueueGone)
    }

    /// Hands over published messages; gives them back if the queue is gone.
    pub(crate) async fn publish(&self, entries: Vec<Entry>) -> Result<(), Vec<Entry>> {
        let sent = self.inbox.ordered.send(Command::Publish(entries)).await;
        sent.map_err(|refused| entries_of(refused.0))
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

    /// Waits until its task has ended.
    pub(crate) async fn ended(&self) {
        self.inbox.ordered.closed().await;
    }

    /// Whether `connection` may use it: only its owner may use an exclusive queue.
    pub(crate) fn is_open_to(&self, connection: ConnectionId) -> bool {
        self.owner.is_none_or(|owner| owner == connection)
    }
}

fn entries_of(command: Command) -> Vec<Entry> {
    match command {
        Command::Publish(entries) => entries,
        _ => Vec::new(),
    }
}

#[cfg(test)]
impl Queue {
    /// A queue without a task: what it is sent comes out at the other ends of its inbox, `ordered` and `feedback`.
    pub(crate) fn detached(
        id: u32,
    ) -> (Arc<Queue>, mpsc::Receiver<Command>, mpsc::Receiver<Command>) {
        let (ordered, ordered_commands) = mpsc::channel(8);
        let (feedback, feedback_commands) = mpsc::channel(8);
        let queue = Queue {
            id: QueueId(id),
            name: format!("queue-{id}").as_str().into(),
            durable: false,
            stored: false,
            auto_delete: false,
            owner: None,
            arguments: Arc::default(),
            created: OnceLock::new(),
            flow: Arc::default(),
            inbox: Inbox { ordered, feedback },
        };
        (Arc::new(queue), ordered_commands, feedback_commands)
    }
}
