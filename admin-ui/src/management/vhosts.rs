//! Vhosts: `/api/vhosts`.

use async_trait::async_trait;

use super::{Error, Object, Put};

/// A vhost.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct VhostView {
    /// Its name.
    pub name: String,
    /// For people.
    pub description: String,
    /// For people and tools; the broker gives them no meaning.
    pub tags: Vec<String>,
    /// The type of queues declared without `x-queue-type`; none: the node's.
    pub default_queue_type: Option<String>,
    /// The firehose is on.
    pub tracing: bool,
    /// Its deletion is refused.
    pub protected: bool,
    /// Messages in its queues that wait for a consumer.
    pub messages_ready: u64,
    /// Messages of its queues that consumers have not acknowledged.
    pub messages_unacknowledged: u64,
    /// Further keys, such as `cluster_state` and `message_stats`, as they are to be sent.
    pub extra: Object,
}

/// A vhost as it is to be. As with RabbitMQ, changing one sets all of these, not only what the request names.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct VhostSettings {
    /// For people.
    pub description: String,
    /// For people and tools.
    pub tags: Vec<String>,
    /// `classic`, `quorum` or `stream`; none: the node's. The API has checked it.
    pub default_queue_type: Option<String>,
    /// Turns the firehose on or off; none: as it is.
    pub tracing: Option<bool>,
}

/// Vhosts.
#[async_trait]
pub trait Vhosts: Send + Sync + 'static {
    /// All of them.
    async fn vhosts(&self) -> Result<Vec<VhostView>, Error>;

    /// One.
    async fn vhost(&self, name: &str) -> Result<VhostView, Error>;

    /// Creates or changes one. The user who creates it gets all permissions in it, as with RabbitMQ.
    async fn put_vhost(&self, by: &str, name: &str, settings: VhostSettings) -> Result<Put, Error>;

    /// Deletes it with all that is in it, and closes its connections. One that is protected is [`Error::PreconditionFailed`].
    async fn delete_vhost(&self, name: &str) -> Result<(), Error>;

    /// Protects it from being deleted, or no longer. Changing its settings leaves that as it is.
    async fn protect_vhost(&self, name: &str, protected: bool) -> Result<(), Error>;
}
