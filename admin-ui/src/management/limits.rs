//! Limits of vhosts and of users: `/api/vhost-limits`, `/api/user-limits`.

use async_trait::async_trait;

use super::Error;

/// What can be limited in a vhost.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum VhostLimit {
    /// `max-connections`.
    MaxConnections,
    /// `max-queues`.
    MaxQueues,
}

/// What can be limited of a user.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum UserLimit {
    /// `max-connections`.
    MaxConnections,
    /// `max-channels`.
    MaxChannels,
}

/// The limits of a vhost. `None` and less than zero: no limit.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct VhostLimits {
    /// The vhost's name.
    pub vhost: String,
    /// Open connections.
    pub max_connections: Option<i64>,
    /// Queues.
    pub max_queues: Option<i64>,
}

/// The limits of a user. `None` and less than zero: no limit.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct UserLimits {
    /// The user's name.
    pub user: String,
    /// Open connections.
    pub max_connections: Option<i64>,
    /// Open channels over all its connections.
    pub max_channels: Option<i64>,
}

/// Limits.
#[async_trait]
pub trait Limits: Send + Sync + 'static {
    /// Those of all vhosts that have any.
    async fn vhost_limits(&self) -> Result<Vec<VhostLimits>, Error>;

    /// Sets one, or with `None` removes it; removing one that is not set succeeds, as with RabbitMQ.
    async fn put_vhost_limit(
        &self,
        vhost: &str,
        limit: VhostLimit,
        value: Option<i64>,
    ) -> Result<(), Error>;

    /// Those of all users that have any.
    async fn user_limits(&self) -> Result<Vec<UserLimits>, Error>;

    /// Sets one, or with `None` removes it; removing one that is not set succeeds, as with RabbitMQ.
    async fn put_user_limit(
        &self,
        user: &str,
        limit: UserLimit,
        value: Option<i64>,
    ) -> Result<(), Error>;
}
