//! Permissions by routing key at topic exchanges: `/api/topic-permissions`.

use async_trait::async_trait;

use super::{Error, Put};

/// What a user may do with routing keys at one topic exchange.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TopicPermission {
    /// The user's name.
    pub user: String,
    /// The vhost's name.
    pub vhost: String,
    /// The exchange's name; empty: the default exchange, which has no topics.
    pub exchange: String,
    /// May publish with these routing keys.
    pub write: String,
    /// May bind with these routing keys.
    pub read: String,
}

/// Topic permissions.
#[async_trait]
pub trait TopicPermissions: Send + Sync + 'static {
    /// All of them.
    async fn topic_permissions(&self) -> Result<Vec<TopicPermission>, Error>;

    /// Gives one, for its exchange. A user or vhost that does not exist is [`Error::NotFound`]; a pattern that does not compile is
    /// [`Error::BadRequest`].
    async fn put_topic_permission(&self, permission: TopicPermission) -> Result<Put, Error>;

    /// Takes away the one for an exchange, or all of a user in a vhost.
    async fn delete_topic_permissions(
        &self,
        vhost: &str,
        user: &str,
        exchange: Option<&str>,
    ) -> Result<(), Error>;
}
