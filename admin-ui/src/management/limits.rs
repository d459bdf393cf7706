//! Limits of vhosts and of users: `/api/vhost-limits`, `/api/user-limits`.

use async_trait::async_trait;
use serde_json::Value;

use super::Error;

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

    /// Sets one. An unknown name or a value that is no number is [`Error::BadRequest`].
    async fn put_vhost_limit(&self, vhost: &str, name: &str, value: Value) -> Result<(), Error>;

    /// Removes one; removing one that is not set, or that does not exist, succeeds, as with RabbitMQ.
    async fn delete_vhost_limit(&self, vhost: &str, name: &str) -> Result<(), Error>;

    /// Those of all users that have any.
    async fn user_limits(&self) -> Result<Vec<UserLimits>, Error>;

    /// Sets one. An unknown name or a value that is no number is [`Error::BadRequest`].
    async fn put_user_limit(&self, user: &str, name: &str, value: Value) -> Result<(), Error>;

    /// Removes one; removing one that is not set, or that does not exist, succeeds, as with RabbitMQ.
    async fn delete_user_limit(&self, user: &str, name: &str) -> Result<(), Error>;
}
