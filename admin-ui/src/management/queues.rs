//! Queues: `/api/queues`.

use async_trait::async_trait;

use super::{Error, Object, Put};

/// A queue.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct QueueView {
    /// The vhost's name.
    pub vhost: String,
    /// Its name.
    pub name: String,
    /// `classic`, `quorum` or `stream`.
    pub queue_type: String,
    /// Outlives a restart.
    pub durable: bool,
    /// Goes with its last consumer.
    pub auto_delete: bool,
    /// Goes with the connection that declared it, which alone may use it.
    pub exclusive: bool,
    /// What it was declared with.
    pub arguments: Object,
    /// `running`, `idle`, `flow` and the like.
    pub state: String,
    /// Messages that wait for a consumer.
    pub messages_ready: u64,
    /// Messages that consumers have not acknowledged.
    pub messages_unacknowledged: u64,
    /// Bodies of the messages that wait, in bytes.
    pub message_bytes_ready: u64,
    /// Bodies of the messages that are not acknowledged, in bytes.
    pub message_bytes_unacknowledged: u64,
    /// Bodies that are in memory, in bytes.
    pub message_bytes_ram: u64,
    /// Bodies of persistent messages, in bytes.
    pub message_bytes_persistent: u64,
    /// Consumers.
    pub consumers: u64,
    /// The policy that applies to it.
    pub policy: Option<String>,
    /// The operator policy that applies to it.
    pub operator_policy: Option<String>,
    /// What the two come to.
    pub effective_policy_definition: Object,
    /// Further keys, such as `node`, `message_stats` and `memory`, as they are to be sent. They replace keys of the same name.
    pub extra: Object,
}

/// A queue as it is to be; its type is the argument `x-queue-type`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct QueueDeclaration {
    /// Outlives a restart.
    pub durable: bool,
    /// Goes with its last consumer.
    pub auto_delete: bool,
    /// Arguments.
    pub arguments: Object,
}

/// Queues.
#[async_trait]
pub trait Queues: Send + Sync + 'static {
    /// All of a vhost, or of all vhosts.
    async fn queues(&self, vhost: Option<&str>) -> Result<Vec<QueueView>, Error>;

    /// One.
    async fn queue(&self, vhost: &str, name: &str) -> Result<QueueView, Error>;

    /// Declares one. One that exists with other properties, or an argument that does not hold, is [`Error::BadRequest`].
    async fn put_queue(
        &self,
        by: &str,
        vhost: &str,
        name: &str,
        declaration: QueueDeclaration,
    ) -> Result<Put, Error>;

    /// Deletes one. With `if_empty`, one with messages, and with `if_unused`, one with consumers is [`Error::BadRequest`].
    async fn delete_queue(
        &self,
        by: &str,
        vhost: &str,
        name: &str,
        if_empty: bool,
        if_unused: bool,
    ) -> Result<(), Error>;

    /// Drops the messages that wait, and says how many they were.
    async fn purge_queue(&self, by: &str, vhost: &str, name: &str) -> Result<u64, Error>;
}
